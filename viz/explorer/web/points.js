// Every agent's moments in one map of the console's memory.
"use strict";

const MISSING = [118, 118, 118], STRIP = 12, TRAIL = 30;
let cloud = null, board = null, boxing = false, drag = null, hovered = 0;

const shownNames = () => index.agents.filter((agent) => !agent.ablated);
const hiddenNames = () => new Set(state.hidden.split(",").filter(Boolean));
const pixel = ([red, green, blue]) => (0xff << 24 | blue << 16 | green << 8 | red) >>> 0;
const rgbOf = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

function makePoints() {
  const inside = find("points-inside");
  if (index.points.nothing) return waits(inside, index.points.nothing);
  board = { canvas: made("canvas", { id: "cloud", tabindex: 0, role: "img" }), label: made("div", { class: "hover", hidden: true }),
    legend: made("fieldset", { class: "legend" }), strip: made("div", { class: "strip", id: "strip", "aria-live": "polite" }), rectangle: made("div", { class: "rectangle", hidden: true }) };
  board.colour = made("select", { id: "colour", onchange: () => change({ colour: board.colour.value }) });
  choices(board.colour, [["agent", "algorithm and run"], ["score", "score"], ["step", "step"], ...index.points.variables.map((name) => ["ram:" + name, name])], state.colour);
  board.box = made("button", { id: "box", "aria-pressed": "false", title: "or drag with shift", onclick: () => setBoxing(!boxing) }, "box");
  const tools = made("div", { class: "controls" }, made("label", {}, "colour ", board.colour), board.box,
    made("button", { onclick: () => showStrip(0, 0, board.canvas.width, board.canvas.height), id: "in-view" }, "frames in view"),
    made("button", { "aria-label": "zoom in on this moment", onclick: () => zoomAt(1.6) }, "+"), made("button", { "aria-label": "zoom out", onclick: () => zoomAt(1 / 1.6) }, "\u2212"),
    made("button", { onclick: () => { cloud && cloud.whole(); redraw("cloud"); } }, "whole"));
  inside.append(tools, made("div", { class: "board" }, board.canvas, board.label, board.rectangle), board.legend,
    made("p", { class: "note" }, index.points.count.toLocaleString("en") + " moments; " + index.points.made + ". Neighbours are alike; distances between groups, their sizes and shapes say nothing. " + index.points.quality + ". The ring is this moment, the line the "
      + TRAIL + " steps before it. Click a point for its frame; drag to move, wheel to zoom."), board.strip);
  makePointer();
  new ResizeObserver(() => redraw("size")).observe(inside);
  draws("agent step colour hidden theme size cloud", drawPoints);
}

function drawPoints(keys) {
  board.colour.value = state.colour;
  if (board.colour.value !== state.colour) state.colour = board.colour.value = "agent"; // there is no such
  const points = have("points");
  if (!points) return;
  if (!cloud) cloud = new Cloud(board.canvas, points);
  const width = Math.floor(find("points-inside").clientWidth), height = Math.min(560, Math.max(300, Math.round(width * 0.8)));
  sized(board.canvas, width, height);
  if (["data", "colour", "hidden", "theme"].some((key) => keys.has(key)) || !cloud.painted) paintPoints(points);
  const context = cloud.draw(pixel(rgbOf(styled("--box"))));
  drawHere(context, points);
  const here = current(), hidden = hiddenNames();
  board.canvas.setAttribute("aria-label", "map of " + (cloud.count) + " moments of " + shownNames().filter((agent) => !hidden.has(agent.short)).map((agent) => agent.short).join(", ") + "; the ring is step " + state.step + " of " + here.short);
}

function paintPoints(points) {
  const agents = shownNames(), hidden = hiddenNames(), off = agents.map((agent) => hidden.has(agent.short));
  const whose = points.agent.values, scale = state.colour === "agent" ? null : scaleOf(points);
  if (state.colour !== "agent" && !scale) return; // its file is still to come
  const colours = agents.map((agent) => pixel(rgbOf(agent.colour))), table = index.palettes.viridis.values;
  const missing = pixel(MISSING), lookup = Array.from({ length: 256 }, (_, at) => pixel(table.subarray(at * 3, at * 3 + 3)));
  for (let point = 0; point < cloud.count; point++) {
    const agent = whose[point];
    cloud.marker[point] = scale ? FILLED : markerOf(agents, agent);
    if (off[agent]) cloud.paint[point] = 0;
    else if (!scale) cloud.paint[point] = colours[agent];
    else {
      const value = scale.values[point];
      cloud.paint[point] = Number.isNaN(value) ? missing : lookup[Math.round(255 * (value - scale.low) / (scale.high - scale.low || 1))];
    }
  }
  cloud.painted = true;
  drawLegend(points, agents, off, scale);
}

// runs of one algorithm are markers, not colours
const markerOf = (agents, number) => agents.slice(0, number).filter((agent) => agent.algorithm === agents[number].algorithm).length % 4;

function scaleOf(points) {
  const words = state.colour.replace(/^ram:/, ""), number = index.points.variables.indexOf(words);
  const found = state.colour === "score" ? points.score : state.colour === "step" ? points.step : number < 0 ? points.score : have("variables/" + number);
  if (!found) return null;
  let low = Infinity, high = -Infinity;
  for (const value of found.values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { values: found.values, low, high, words };
}

function drawLegend(points, agents, off, scale) {
  const counts = agents.map(() => 0);
  for (const agent of points.agent.values) counts[agent]++;
  const algorithms = [...new Set(agents.map((agent) => agent.algorithm))], rows = [made("legend", {}, "shown")];
  for (const algorithm of algorithms) {
    const own = agents.filter((agent) => agent.algorithm === algorithm);
    if (own.length > 1) rows.push(toggle(own[0].title, own, off, agents, "", null));
    for (const agent of own) rows.push(toggle(agent.short, [agent], off, agents, counts[agents.indexOf(agent)].toLocaleString("en"), swatch(agents, agent, scale)));
  }
  if (scale) rows.push(colourBar(scale));
  board.legend.replaceChildren(...rows);
}

function toggle(words, own, off, agents, count, mark) {
  const box = made("input", { type: "checkbox", "data-agents": own.map((agent) => agent.short).join(",") });
  box.checked = own.some((agent) => !off[agents.indexOf(agent)]);
  box.onchange = () => {
    const hidden = hiddenNames();
    for (const agent of own) hidden[box.checked ? "delete" : "add"](agent.short);
    change({ hidden: [...hidden].sort().join(",") });
    requestAnimationFrame(() => board.legend.querySelector('[data-agents="' + CSS.escape(box.dataset.agents) + '"]')?.focus());
  };
  return made("label", { class: own.length > 1 ? "whole" : "" }, box, ...(mark ? [mark] : []), " " + words, made("small", {}, count ? " " + count : ""));
}

function swatch(agents, agent, scale) {
  const canvas = made("canvas", { width: 11, height: 11, "aria-hidden": "true" }), context = canvas.getContext("2d");
  context.fillStyle = scale ? styled("--faint") : agent.colour;
  const kind = scale ? FILLED : markerOf(agents, agents.indexOf(agent));
  for (const [x, y] of stamp(kind, 5)) context.fillRect((x + 2) * 2, (y + 2) * 2, 2, 2);
  return canvas;
}

function colourBar(scale) {
  const table = index.palettes.viridis.values, canvas = picture(table, 1, 256, 3, null);
  canvas.className = "scale";
  return made("span", { class: "bar-of" }, scale.words.replaceAll("_", " ") + " " + short(scale.low), canvas, short(scale.high) + ", grey: absent or not known");
}

// this moment as a ring, and the way that led here
function drawHere(context, points) {
  const agents = shownNames(), own = agents.findIndex((agent) => agent.screens === current().screens);
  if (!cloud.byMoment) {
    cloud.byMoment = agents.map(() => new Map());
    points.step.values.forEach((step, point) => cloud.byMoment[points.agent.values[point]].set(step, point));
  }
  const way = [], moments = cloud.byMoment[own], episodes = factsOf(current())?.episodes.values;
  for (let step = Math.max(0, state.step - TRAIL); step <= state.step; step++) {
    if (moments.has(step) && (!episodes || episodes[step] === episodes[state.step])) way.push(cloud.place(moments.get(step)));
  }
  if (!way.length) return;
  context.strokeStyle = styled("--ink");
  context.lineWidth = 1;
  context.beginPath();
  way.forEach(([x, y]) => context.lineTo(x, y));
  context.stroke();
  const [x, y] = way[way.length - 1];
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(x, y, 7, 0, 7);
  context.stroke();
}

function zoomAt(factor) {
  if (!cloud) return;
  const point = cloud.byMoment?.[shownNames().findIndex((agent) => agent.screens === current().screens)]?.get(state.step);
  if (point !== undefined && factor > 1) [cloud.middleX, cloud.middleY] = [cloud.x[point], cloud.y[point]];
  cloud.zoom(factor);
  redraw("cloud");
}

function setBoxing(on) {
  boxing = on;
  board.box.setAttribute("aria-pressed", on);
  board.canvas.style.cursor = on ? "crosshair" : "";
}

function makePointer() {
  const { canvas } = board, at = (event) => [event.offsetX, event.offsetY];
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { from: at(event), last: at(event), box: boxing || event.shiftKey, moved: false };
  };
  canvas.onpointermove = (event) => {
    const [x, y] = at(event);
    if (!cloud) return;
    if (!drag) return hover(x, y);
    drag.moved = drag.moved || Math.hypot(x - drag.from[0], y - drag.from[1]) > 4;
    if (drag.box) showRectangle(drag.from, [x, y]);
    else if (drag.moved) {
      cloud.pan(x - drag.last[0], y - drag.last[1]);
      redraw("cloud");
    }
    drag.last = [x, y];
  };
  canvas.onpointerup = (event) => {
    const [x, y] = at(event), was = drag;
    drag = null;
    board.rectangle.hidden = true;
    if (!was || !cloud) return;
    if (!was.moved) clicked(x, y);
    else if (was.box) {
      const [left, right] = [was.from[0], x].sort((a, b) => a - b), [top, bottom] = [was.from[1], y].sort((a, b) => a - b);
      showStrip(left, top, right, bottom);
      setBoxing(false);
    }
  };
  canvas.onpointerleave = () => hideHover();
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (cloud) cloud.zoom(event.deltaY < 0 ? 1.25 : 0.8, ...at(event));
    redraw("cloud");
  }, { passive: false });
}

function clicked(x, y) {
  const point = cloud.nearest(x, y);
  if (point < 0) return;
  const points = have("points");
  showAgent(shownNames()[points.agent.values[point]], points.step.values[point]);
}

function pointWords(points, point) {
  const agent = shownNames()[points.agent.values[point]], scale = state.colour.startsWith("ram:") && scaleOf(points);
  const value = scale ? ", " + scale.words.replaceAll("_", " ") + " " + (Number.isNaN(scale.values[point]) ? "absent" : short(scale.values[point])) : "";
  const score = points.score.values[point];
  return agent.short + " step " + points.step.values[point] + (Number.isNaN(score) ? "" : ", score " + short(score)) + value;
}

function hover(x, y) {
  const point = cloud.nearest(x, y), points = have("points");
  board.canvas.style.cursor = boxing ? "crosshair" : point < 0 ? "" : "pointer";
  clearTimeout(hovered);
  if (point < 0) return hideHover();
  board.label.replaceChildren(pointWords(points, point));
  board.label.hidden = false;
  const left = Math.min(x + 14, board.canvas.width - 190);
  board.label.style.left = left + "px";
  board.label.style.top = y + 14 + "px";
  hovered = setTimeout(() => framed(board.label, shownNames()[points.agent.values[point]], points.step.values[point]), 150);
}

// the moment's frame below the label, once it is read; files come one by one
function framed(label, agent, step) {
  const frame = frameAt(agent, step);
  if (frame) label.append(frame);
  else hovered = setTimeout(() => framed(label, agent, step), 100);
}

function hideHover() {
  clearTimeout(hovered);
  board.label.hidden = true;
}

function showRectangle(from, to) {
  const style = board.rectangle.style;
  style.left = Math.min(from[0], to[0]) + "px";
  style.top = Math.min(from[1], to[1]) + "px";
  style.width = Math.abs(from[0] - to[0]) + "px";
  style.height = Math.abs(from[1] - to[1]) + "px";
  board.rectangle.hidden = false;
}

// frames of some of the moments in a part of the map, evenly over agents and time
function showStrip(left, top, right, bottom) {
  const points = have("points");
  if (!cloud || !points) return;
  const key = (point) => points.agent.values[point] * 2 ** 32 + points.step.values[point];
  const found = cloud.inside(left, top, right, bottom).sort((a, b) => key(a) - key(b));
  const each = Math.max(1, found.length / STRIP), some = Array.from({ length: Math.min(STRIP, found.length) }, (_, at) => found[Math.floor(at * each)]);
  const whose = new Set(found.map((point) => points.agent.values[point])).size;
  const words = !found.length ? "No moment is there." : found.length + " moments of " + whose + " agent" + (whose > 1 ? "s" : "") + (some.length < found.length ? "; " + some.length + " of them, evenly" : "");
  board.strip.replaceChildren(made("h3", {}, words), made("div", { class: "frames-of" }, ...some.map((point) => stripFrame(points, point))));
}

function stripFrame(points, point) {
  const agent = shownNames()[points.agent.values[point]], step = points.step.values[point], words = pointWords(points, point);
  const canvas = made("canvas", { role: "img", "aria-label": "frame of " + words }), button = made("button", { class: "moment", onclick: () => showAgent(agent, step) }, canvas, made("span", {}, words));
  whenThere(canvas, () => frameAt(agent, step));
  return button;
}

// puts a picture on a canvas as soon as what it is made of has been read
function whenThere(canvas, picturing) {
  const source = picturing();
  if (source) enlarged(canvas, source, 1);
  else setTimeout(() => canvas.isConnected && whenThere(canvas, picturing), 60);
}
