// A cloud of points on a canvas, drawn pixel by pixel into one array: 45,000 take a few milliseconds.
"use strict";

const GRID = 65535, FILLED = 0, PLUS = 1, CROSS = 2, HOLLOW = 3;

// offsets of a marker's pixels, side 3, 5, ...
function stamp(kind, side) {
  const reach = side >> 1, found = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const edge = Math.max(Math.abs(x), Math.abs(y)) === reach;
      if (kind === FILLED || (kind === PLUS && x * y === 0) || (kind === CROSS && Math.abs(x) === Math.abs(y)) || (kind === HOLLOW && edge)) found.push([x, y]);
    }
  }
  return found;
}

class Cloud {
  constructor(canvas, points) {
    Object.assign(this, { canvas, x: points.x.values, y: points.y.values, count: points.x.values.length });
    this.paint = new Uint32Array(this.count); // a colour each; 0 is not drawn
    this.marker = new Uint8Array(this.count);
    this.whole();
  }

  // the middle of the view, on the grid, and its width there
  whole() {
    Object.assign(this, { middleX: GRID / 2, middleY: GRID / 2, wide: GRID * 1.06 });
  }

  get scale() {
    return Math.min(this.canvas.width, this.canvas.height) / this.wide;
  }

  place(point) {
    return [this.canvas.width / 2 + (this.x[point] - this.middleX) * this.scale, this.canvas.height / 2 + (this.y[point] - this.middleY) * this.scale];
  }

  draw(ground) {
    const { width, height } = this.canvas, context = this.canvas.getContext("2d");
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(ground);
    const side = this.count > 12000 && this.wide > GRID / 3 ? 3 : 5, reach = side >> 1;
    const stamps = [FILLED, PLUS, CROSS, HOLLOW].map((kind) => Int32Array.from(stamp(kind, kind === FILLED ? Math.min(side, 3) : side), ([x, y]) => y * width + x));
    const { scale, pixels, paint, marker } = this, left = width / 2 - this.middleX * scale, top = height / 2 - this.middleY * scale;
    for (let point = 0; point < this.count; point++) {
      const colour = paint[point];
      if (!colour) continue;
      const x = Math.round(left + this.x[point] * scale), y = Math.round(top + this.y[point] * scale);
      if (x < reach || y < reach || x >= width - reach || y >= height - reach) continue;
      const at = y * width + x, offsets = stamps[marker[point] & 3];
      for (let pixel = 0; pixel < offsets.length; pixel++) pixels[at + offsets[pixel]] = colour;
    }
    context.putImageData(this.image, 0, 0);
    return context;
  }

  // the drawn point nearest to a place of the canvas, if one is near; -1 if not
  nearest(x, y, within = 12) {
    let best = -1, least = within * within;
    for (let point = 0; point < this.count; point++) {
      if (!this.paint[point]) continue;
      const [left, top] = this.place(point), far = (left - x) ** 2 + (top - y) ** 2;
      if (far < least) [best, least] = [point, far];
    }
    return best;
  }

  inside(left, top, right, bottom) {
    const found = [];
    for (let point = 0; point < this.count; point++) {
      const [x, y] = this.place(point);
      if (this.paint[point] && x >= left && x <= right && y >= top && y <= bottom) found.push(point);
    }
    return found;
  }

  pan(x, y) {
    this.middleX -= x / this.scale;
    this.middleY -= y / this.scale;
  }

  // around a place of the canvas, which stays where it is
  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const wide = Math.max(GRID / 200, Math.min(GRID * 2, this.wide / factor)), share = 1 - wide / this.wide;
    this.middleX += (x - this.canvas.width / 2) / this.scale * share;
    this.middleY += (y - this.canvas.height / 2) / this.scale * share;
    this.wide = wide;
  }
}
