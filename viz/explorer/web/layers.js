// A layer at a step: a map or a cell for each unit, from a unit's least to its most in this play.
"use strict";

const GAP = 2, MOST_STEP = 63; // of the bytes that units are stored in

function drawLayer(view, agent, facts, step) {
  const layer = chosenLayer(facts), number = facts.layers.indexOf(layer);
  if (!layer) return waits(view.layerBox, "No layer of this agent is on this page.");
  drawTabs(view, facts, layer);
  const pictures = tilesOf(agent, facts, layer, view);
  view.layer.parentElement.classList.toggle("tall", Boolean(pictures));
  if (pictures) return drawTiles(view, layer, pictures);
  const row = stepOf(agent.folder, "layer" + number, step);
  const [units, height = 1, width = 1] = layer.shape;
  const plan = tiled(units, height, width, view.layer.parentElement.clientWidth);
  view.plan = { ...plan, units, layer };
  if (!row) return void (view.layerWords.textContent = "reading " + layer.name + " ...");
  const context = sized(view.layer, plan.width, plan.height);
  context.putImageData(layerImage(row, layer, plan), 0, 0);
  outline(context, plan, Math.min(state.unit, units - 1));
  view.layer.dataset.step = step;
  const unit = Math.min(state.unit, units - 1);
  view.layerWords.textContent = unitWords(layer, unit, row) + " Black to yellow: each unit's least to its most in this play, in 64 steps; grey never changes.";
  view.layer.setAttribute("aria-label", layer.name + " at step " + step + ": " + units + " units. " + unitWords(layer, unit, row));
}

// what stands for each unit but its value now: a picture each, or null; undefined of what is still read
function tilesOf(agent, facts, layer, view) {
  const found = dictionary(agent, facts), kinds = [["now", "now"]];
  if (found) kinds.push(["patches", "what they saw most"], ...(found.weights ? [["weights", "weights"]] : []), ...(found.images ? [["images", "made images"]] : []));
  if (view.tiles.dataset.kinds !== kinds.join()) {
    view.tiles.dataset.kinds = kinds.join();
    choices(view.tiles, kinds, state.tiles);
  }
  view.tiles.value = kinds.some(([kind]) => kind === state.tiles) ? state.tiles : "now";
  view.tiles.parentElement.hidden = kinds.length < 2;
  return view.tiles.value === "now" ? null : TILES[view.tiles.value](found);
}

const TILES = {
  patches: (found) => ({ words: "What each unit saw at its strongest moment in this play, in the newest frame.", size: found.patches.shape.slice(1),
    of: (unit) => picture(rowOf(found.patches, unit), found.patches.shape[1], found.patches.shape[2], 1, null) }),
  weights: (found) => ({ words: "Each filter's weights on the newest frame: red answers to bright, blue to dark; each in a scale of its own, over all its frames.", size: found.weights.shape.slice(2),
    of: (unit) => filterPicture(found.weights, unit, found.weights.shape[1] - 1) }),
  images: (found) => ({ words: "An image made to drive each unit, its newest frame.", size: found.images.shape.slice(2),
    of: (unit) => picture(rowOf(found.images, unit).subarray((found.images.shape[1] - 1) * found.images.shape[2] * found.images.shape[3]), found.images.shape[2], found.images.shape[3], 1, null) }),
};

function drawTiles(view, layer, { words, size: [height, width], of }) {
  const units = layerUnits(layer), room = view.layer.parentElement.clientWidth - 16, zoom = Math.max(1, Math.floor(44 / Math.max(height, width)));
  const across = width * zoom + GAP, down = height * zoom + GAP, columns = Math.min(units, Math.max(1, Math.floor(room / across)));
  view.plan = { columns, across, down, width: columns * across + GAP, height: Math.ceil(units / columns) * down + GAP, units, layer };
  const context = sized(view.layer, view.plan.width, view.plan.height), unit = Math.min(state.unit, units - 1);
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, view.plan.width, view.plan.height);
  for (let one = 0; one < units; one++) context.drawImage(of(one), GAP + one % columns * across, GAP + Math.floor(one / columns) * down, width * zoom, height * zoom);
  outline(context, view.plan, unit);
  view.layerWords.textContent = words + " Click one to open it.";
  view.layer.setAttribute("aria-label", units + " units of " + layer.name + "; " + layer.name + ":" + unit + " is chosen. " + words);
}

function drawTabs(view, facts, layer) {
  const names = facts.layers.map((one) => one.name).join(" ");
  if (view.tabsFor !== names) {
    view.tabsFor = names;
    view.tabs.replaceChildren(...facts.layers.map((one) => made("button",
      { "data-layer": one.name, onclick: () => change({ layer: one.name, unit: 0 }, "push") },
      one.name + " ", made("small", {}, one.shape.join("\u00d7")))));
  }
  for (const tab of view.tabs.children) tab.setAttribute("aria-pressed", tab.dataset.layer === layer.name);
}

// columns and whole-pixel zoom that fill the room without growing higher than it is readable
function tiled(units, height, width, room) {
  const high = room < 600 ? 400 : 250;
  let best = null;
  for (let columns = 1; columns <= units; columns++) {
    const rows = Math.ceil(units / columns);
    const zoom = Math.min(Math.floor((room / columns - GAP) / width), Math.floor((high / rows - GAP) / height), 16);
    if (zoom >= 1 && (!best || zoom > best.zoom || (zoom === best.zoom && rows * columns < best.rows * best.columns))) best = { columns, rows, zoom };
  }
  if (!best) {
    const columns = Math.max(1, Math.floor(room / (width + GAP)));
    best = { columns, rows: Math.ceil(units / columns), zoom: 1 };
  }
  const across = width * best.zoom + GAP, down = height * best.zoom + GAP;
  return { ...best, across, down, width: best.columns * across + GAP, height: best.rows * down + GAP };
}

function layerImage(row, layer, plan) {
  const [units, height = 1, width = 1] = layer.shape, colours = index.palettes.inferno.values;
  const image = new ImageData(plan.width, plan.height), pixels = new Uint32Array(image.data.buffer);
  const quiet = 0xff564942, table = new Uint32Array(MOST_STEP + 1).map((_, level) => {
    const at = Math.round(level / MOST_STEP * 255) * 3;
    return (0xff << 24 | colours[at + 2] << 16 | colours[at + 1] << 8 | colours[at]) >>> 0;
  });
  for (let unit = 0; unit < units; unit++) {
    const left = GAP + unit % plan.columns * plan.across, top = GAP + Math.floor(unit / plan.columns) * plan.down;
    const same = layer.high.values[unit] <= layer.low.values[unit];
    for (let y = 0; y < height * plan.zoom; y++) {
      const from = (unit * height + Math.floor(y / plan.zoom)) * width, to = (top + y) * plan.width + left;
      for (let x = 0; x < width * plan.zoom; x++) pixels[to + x] = same ? quiet : table[row[from + Math.floor(x / plan.zoom)]];
    }
  }
  return image;
}

function outline(context, plan, unit) {
  const left = unit % plan.columns * plan.across, top = Math.floor(unit / plan.columns) * plan.down;
  context.strokeStyle = styled("--accent");
  context.lineWidth = 2;
  context.strokeRect(left + 1, top + 1, plan.across, plan.down);
}

// the unit at a place of the canvas; -1 between them
function unitAt(view, event) {
  const { plan } = view, box = view.layer.getBoundingClientRect();
  if (!plan || !box.width) return -1;
  const column = Math.floor((event.clientX - box.left) * plan.width / box.width / plan.across);
  const unit = Math.floor((event.clientY - box.top) * plan.height / box.height / plan.down) * plan.columns + column;
  return column < plan.columns && unit >= 0 && unit < plan.units ? unit : -1;
}

function unitValue(layer, unit, row) {
  const each = row.length / layer.shape[0], own = row.subarray(unit * each, (unit + 1) * each);
  const low = layer.low.values[unit], high = layer.high.values[unit];
  return low + Math.max(...own) / MOST_STEP * (high - low);
}

function unitWords(layer, unit, row) {
  const low = layer.low.values[unit], high = layer.high.values[unit], map = layer.shape.length > 1;
  return layer.name + ":" + unit + (map ? ", the largest of its map now " : " now ") + short(unitValue(layer, unit, row))
    + "; in this play " + short(low) + " to " + short(high) + ".";
}
