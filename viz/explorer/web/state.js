// The one state of the page, which is its address too; and who draws what of it.
"use strict";

let index = null; // what data/index.js holds
const USUAL = { agent: "", step: 0, layer: "", unit: 0, method: "", colour: "agent", beside: "",
  hidden: "", tiles: "now", theme: "", view: "" };
const state = { ...USUAL };
const drawers = []; // [keys, function]
let waiting = new Set(), planned = 0, addressed = 0;

// draws at once and whenever one of these keys changes, or data arrive
function draws(keys, draw) {
  drawers.push([new Set(keys.split(" ")), draw]);
}

// how: "push" for what the way back should undo
function change(changes, how) {
  const keys = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!keys.length) return;
  if (how === "push") writeAddress("push"); // what was, as it is now
  Object.assign(state, changes);
  redraw(...keys);
  if (how === "push") history.pushState(null, "", address());
  else {
    clearTimeout(addressed); // browsers refuse hundreds of changes in a second
    addressed = setTimeout(writeAddress, 300);
  }
}

function redraw(...keys) {
  keys.forEach((key) => waiting.add(key));
  if (!planned) planned = requestAnimationFrame(drawNow);
}

function drawNow() {
  const keys = waiting;
  waiting = new Set();
  planned = 0;
  for (const [wanted, draw] of drawers) {
    if (keys.has("data") || [...keys].some((key) => wanted.has(key))) draw(keys);
  }
}

function address() {
  const words = Object.entries(state).filter(([key, value]) => String(value) !== String(USUAL[key]))
    .map(([key, value]) => key + "=" + encodeURIComponent(value).replace(/%2F/g, "/").replace(/%3A/g, ":").replace(/%2C/g, ","));
  return "#" + words.join("&");
}

function writeAddress() {
  clearTimeout(addressed);
  if (player.timer) addressed = setTimeout(writeAddress, 1000); // not while it plays
  else if (location.hash !== address()) history.replaceState(null, "", address());
}

// takes what the address says; what it says wrongly is left as usual, and told
function readAddress() {
  const found = { ...USUAL, agent: index.agents[0].short };
  for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
    const [key, value] = [part.split("=")[0], part.slice(part.indexOf("=") + 1)];
    if (key in USUAL) found[key] = plain(value);
  }
  for (const key of ["step", "unit"]) found[key] = Math.max(0, Math.floor(Number(found[key])) || 0);
  for (const key of ["agent", "beside"]) {
    const known = index.agents.find((agent) => agent.short === found[key] || agent.name === found[key]);
    if (found[key] && !known) say("no agent " + found[key] + " on this page");
    found[key] = known ? known.short : key === "agent" ? index.agents[0].short : "";
  }
  Object.assign(state, found);
  redraw(...Object.keys(USUAL));
}

function plain(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

addEventListener("popstate", readAddress);
addEventListener("hashchange", readAddress);
