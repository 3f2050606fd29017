// The game at a step, with what a method says of the decision over it.
"use strict";

// weak values, which are most of what a map holds, are let fade
const HUE = [0, 229, 255], DIMMED = 0.6, STEPS_OF_MAP = 15, FADE = 1.5;

function drawGame(view, agent, facts, step) {
  const frame = frameAt(agent, step);
  if (!frame) return void (view.mapWords.textContent = "reading the screens of this step ...");
  const zoom = wholeZoom(view.screen.parentElement.clientWidth, frame.width, 3, 420 / frame.height);
  const context = enlarged(view.screen, frame, zoom);
  const told = drawMap(context, agent, facts, step, zoom, frame);
  view.screen.setAttribute("aria-label", index.game + " as " + agent.name + " saw it at step " + step);
  view.mapWords.textContent = told;
  view.screen.dataset.step = step;
}

// the largest whole number that fits; one that would be too high is left
function wholeZoom(room, width, most, high) {
  return Math.max(1, Math.min(most, Math.floor(room / width), Math.max(1, Math.floor(high + 0.01))));
}

// the newest map at or before the step; returns what is to be said of it
function drawMap(context, agent, facts, step, zoom, frame) {
  const method = chosenMethod(facts), number = facts.methods.indexOf(method);
  if (!method) return "";
  const since = step % method.every, at = step - since;
  const file = have(agent.folder + "/map" + number + "_" + Math.floor(at / index.chunk));
  if (!file) return "reading the maps of " + method.name + " ...";
  const first = Math.ceil((at - at % index.chunk) / method.every) * method.every;
  const row = rowOf(file, (at - first) / method.every);
  const seen = have(agent.screens + "/facts").seen, [top, left, height, width] = seen.box;
  context.fillStyle = "rgb(0 0 0 / " + (1 - DIMMED) + ")";
  context.fillRect(0, 0, frame.width * zoom, frame.height * zoom);
  context.imageSmoothingEnabled = true;
  context.drawImage(overlayOf(row, method), left * zoom, top * zoom, width * zoom, height * zoom);
  return method.name.replaceAll("_", " ") + " of " + method.explains
    + (since ? "; of step " + at + ", " + since + " before: one of " + method.every + " steps was explained" : "")
    + ". Full colour at " + short(method.full) + ", " + method.unit
    + "; absolute values, one scale for this play, weak ones fade" + (method.note ? "; " + method.note : "") + ".";
}

function overlayOf(row, method) {
  const [rows, columns] = method.shape, bytes = new Uint8ClampedArray(rows * columns * 4);
  for (let place = 0; place < row.length; place++) {
    bytes.set(HUE, place * 4);
    bytes[place * 4 + 3] = (row[place] / STEPS_OF_MAP) ** FADE * 240;
  }
  const canvas = document.createElement("canvas");
  sized(canvas, columns, rows).putImageData(new ImageData(bytes, columns, rows), 0, 0);
  return canvas;
}
