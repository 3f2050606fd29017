// The chosen unit: what it tells of, how often it has which value, and the moments at which it answers most.
"use strict";

const CHART = [360, 92];
let told = ""; // the unit that is shown

// the dictionary of the chosen layer, or undefined until it is read; null where there is none
function dictionary(agent, facts) {
  if (!facts.units) return null;
  return have(agent.folder + "/units" + facts.layers.indexOf(chosenLayer(facts)));
}

function chosenUnit(facts) {
  const layer = chosenLayer(facts);
  return layer ? Math.min(state.unit, layerUnits(layer) - 1) : 0;
}

// the unit's value at every step, 0 to 255
function unitTrace() {
  const agent = current(), facts = factsOf(agent), found = facts && dictionary(agent, facts);
  return found ? rowOf(found.trace, chosenUnit(facts)) : null;
}

function makeUnit() {
  draws("agent layer unit theme", drawUnit);
  draws("step", markMoment);
}

function drawUnit(keys) {
  const agent = current(), facts = factsOf(agent), inside = find("unit-inside");
  if (!facts) return;
  const layer = chosenLayer(facts), found = layer && dictionary(agent, facts), unit = chosenUnit(facts);
  find("unit-title").textContent = layer ? "The unit " + layer.name + ":" + unit + (found && found.map ? ", of its map the largest value" : "") : "No unit";
  if (found === null) return waits(inside, "This page was made without a dictionary of units (--no-dictionary).");
  if (!found) return waits(inside, "reading the units of " + layer.name + " ...");
  const name = [agent.folder, layer.name, unit, isDark()].join(" ");
  if (name === told && keys.has("data")) return; // what has come is of something else
  told = name;
  const row = found.units[unit];
  inside.replaceChildren(...unitParts(agent, facts, layer, found, row, unit));
  markMoment();
}

function unitParts(agent, facts, layer, found, row, unit) {
  const parts = row.dead ? [made("p", { class: "state" }, "Silent in this play: never above 0, or never changing.")] : [];
  const words = row.words.length ? row.words : [facts.units.startsWith("What units") ? facts.units : agent.ablated ? facts.units : "Of the variables that were asked about, none stands out for this unit."];
  parts.push(made("ul", { class: "words" }, ...words.map((line) => made("li", {}, line))));
  if (row.effect) parts.push(made("p", {}, row.effect));
  if (row.words.length) parts.push(made("details", {}, made("summary", {}, "how sure this is"), made("p", { class: "note" }, facts.units)));
  const pictures = made("div", { class: "pictures" }, made("figure", {}, histogram(row), made("figcaption", {}, "how often it has which value before its ReLU (square root of the count; the line is 0)")));
  if (found.weights) pictures.append(weightsOf(found.weights, unit));
  if (found.images) pictures.append(imageOf(found.images, unit));
  parts.push(pictures, made("h3", {}, "Where it answers most in this play"), made("div", { class: "frames-of", id: "moments" }, ...row.top.map((spot) => momentOf(agent, found, spot, layer))));
  parts.push(made("p", { class: "note" }, "Left what it saw, in the newest frame; the box is its exact receptive field. Moments are at least 15 steps apart. Its curve lies behind the value's, above."));
  return parts;
}

function momentOf(agent, found, spot, layer) {
  const zoom = wholeZoom(108, Math.max(...found.field), 8, 99), patch = made("canvas", { role: "img", "aria-label": "what it saw at step " + spot.step });
  const frame = made("canvas", { role: "img", "aria-label": "the frame of step " + spot.step + " with its receptive field" });
  whenSeen(patch, agent, spot, found, zoom);
  whenThere(frame, () => boxed(frameAt(agent, spot.step), spot.native));
  return made("button", { class: "moment", "data-step": spot.step, onclick: () => goTo(spot.step, "push") }, made("span", { class: "pair" }, ...(found.map ? [patch] : []), frame), made("span", {}, "step " + spot.step + ": " + short(spot.value)));
}

function boxed(frame, [top, left, height, width]) {
  if (!frame) return undefined;
  const context = frame.getContext("2d");
  context.strokeStyle = "#ff4848";
  context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  return frame;
}

// the field's part of the newest frame; what lies beyond the screen stays empty
function whenSeen(canvas, agent, spot, found, zoom) {
  const frames = seenAt(agent, spot.step), newest = frames && frames[frames.length - 1];
  if (!newest) return void setTimeout(() => (canvas.isConnected || !canvas.width) && whenSeen(canvas, agent, spot, found, zoom), 60);
  const [top, left, height, width] = spot.seen, context = sized(canvas, found.field[1] * zoom, found.field[0] * zoom);
  context.imageSmoothingEnabled = false;
  context.drawImage(newest, left, top, width, height, (left - spot.whole[1]) * zoom, (top - spot.whole[0]) * zoom, width * zoom, height * zoom);
}

function histogram(row) {
  const canvas = made("canvas", { role: "img", "aria-label": "histogram from " + short(row.low) + " to " + short(row.high) }), [width, height] = CHART;
  const context = sized(canvas, width, height), base = height - 18, most = Math.max(...row.histogram), each = width / row.histogram.length;
  context.fillStyle = styled("--bar");
  row.histogram.forEach((count, at) => {
    const high = count ? Math.max(1, Math.sqrt(count / most) * (base - 6)) : 0;
    context.fillRect(at * each, base - high, each - 1, high);
  });
  context.fillStyle = styled("--faint");
  context.font = "12px system-ui, sans-serif";
  context.fillText(short(row.low), 0, height - 3);
  context.textAlign = "right";
  context.fillText(short(row.high), width, height - 3);
  if (row.low < 0 && row.high > 0) {
    const zero = -row.low / (row.high - row.low) * width;
    context.fillStyle = styled("--mark");
    context.fillRect(zero, 2, 1, base - 2);
    context.textAlign = "center";
    if (zero > 40 && zero < width - 40) context.fillText("0", zero, height - 3);
  }
  return canvas;
}

// a filter's weights on one frame, red where bright pixels raise it, blue where they lower it
function filterPicture(weights, unit, frame) {
  const [, , rows, columns] = weights.shape, own = rowOf(weights, unit), most = largest(own), table = index.palettes.signed.values;
  const part = own.subarray(frame * rows * columns, (frame + 1) * rows * columns);
  return picture(Uint8Array.from(part, (value) => Math.round((value / most + 1) * 127)), rows, columns, 1, table);
}

const largest = (values) => values.reduce((high, value) => Math.max(high, Math.abs(value)), 0) || 1;

function sideBySide(pictures, words) {
  const [{ width, height }] = pictures, source = document.createElement("canvas"), canvas = made("canvas", { role: "img", "aria-label": words });
  const context = sized(source, pictures.length * (width + 1) - 1, height);
  pictures.forEach((one, place) => context.drawImage(one, place * (width + 1), 0));
  enlarged(canvas, source, Math.max(1, Math.min(9, Math.floor(360 / source.width))));
  return canvas;
}

function weightsOf(weights, unit) {
  const frames = weights.shape[1], pictures = Array.from({ length: frames }, (_, frame) => filterPicture(weights, unit, frame));
  return made("figure", {}, sideBySide(pictures, "the filter's weights on each of " + frames + " frames"),
    made("figcaption", {}, "its weights, oldest frame first: red answers to bright, blue to dark; full colour at " + short(largest(rowOf(weights, unit))) + ", a scale of its own"));
}

function imageOf(images, unit) {
  const [, frames, rows, columns] = images.shape, own = rowOf(images, unit);
  const pictures = Array.from({ length: frames }, (_, frame) => picture(own.subarray(frame * rows * columns, (frame + 1) * rows * columns), rows, columns, 1, null));
  return made("figure", {}, sideBySide(pictures, "an image made to drive the unit, " + frames + " frames"),
    made("figcaption", {}, "made to drive it, oldest frame first: no screen that the game shows"));
}

function markMoment() {
  for (const button of document.querySelectorAll("#moments button")) button.setAttribute("aria-pressed", Number(button.dataset.step) === state.step);
}
