// Elements, canvases and numbers.
"use strict";

const find = (id) => document.getElementById(id);

// texts are set as text: nothing from a card or a file becomes markup
function made(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function choices(select, rows, chosen) {
  select.replaceChildren(...rows.map(([value, words]) => made("option", { value }, words)));
  select.value = chosen;
}

function sized(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  return canvas.getContext("2d");
}

// a picture of bytes (rows, columns, 1, 3 or 4) as a canvas; palette: of single bytes
function picture(bytes, height, width, channels, palette) {
  const canvas = document.createElement("canvas");
  const context = sized(canvas, width, height), image = context.createImageData(width, height);
  for (let place = 0; place < height * width; place++) {
    const from = palette ? bytes[place] * 3 : place * channels, source = palette || bytes;
    const grey = !palette && channels === 1;
    for (let part = 0; part < 3; part++) image.data[place * 4 + part] = source[from + (grey ? 0 : part)];
    image.data[place * 4 + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// draws with every pixel as so many whole ones
function enlarged(canvas, source, zoom) {
  const context = sized(canvas, source.width * zoom, source.height * zoom);
  context.imageSmoothingEnabled = false;
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context;
}

const styled = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// as many digits as a number deserves
function short(value) {
  if (!Number.isFinite(value)) return "none";
  if (Number.isInteger(value)) return value.toLocaleString("en").replace("-", "\u2212");
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toFixed(digits).replace("-", "\u2212");
}

const percent = (share) => (100 * share).toFixed(share < 0.1 && share > 0 ? 1 : 0) + "\u00a0%";

function say(words) {
  find("failure").textContent = words;
  find("failure").hidden = !words;
}

function waits(element, words) {
  element.replaceChildren(made("p", { class: "state" }, words));
}
