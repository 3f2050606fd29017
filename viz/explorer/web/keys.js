// Keys: everything that they do is a button or a field too.
"use strict";

const KEYS = [
  ["\u2190 \u2192", "one step back or on; with shift ten"],
  ["Home End", "the first step, the last"],
  ["space", "play or pause"],
  ["\u2191 \u2193", "the unit before, the next"],
  ["[ ]", "the layer before, the next"],
  ["s", "the next method of saliency"],
  ["b", "the next bookmark"],
  ["/", "find a step, a unit or an action"],
  ["?", "these keys"],
];

const DOES = {
  ArrowLeft: (event) => goTo(state.step - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => goTo(state.step + (event.shiftKey ? 10 : 1)),
  Home: () => goTo(0),
  End: () => goTo(lastStep()),
  " ": () => play(!player.timer),
  ArrowUp: () => otherUnit(-1),
  ArrowDown: () => otherUnit(1),
  "[": () => otherLayer(-1),
  "]": () => otherLayer(1),
  s: nextMethod,
  b: nextBookmark,
  "/": () => find("search").focus(),
  "?": () => find("keys").showModal(),
};

function otherUnit(by) {
  const facts = factsOf(current()), layer = facts && chosenLayer(facts);
  if (layer) change({ unit: Math.max(0, Math.min(layerUnits(layer) - 1, state.unit + by)) });
}

function otherLayer(by) {
  const facts = factsOf(current());
  if (!facts || !facts.layers.length) return;
  const number = facts.layers.indexOf(chosenLayer(facts)) + by;
  change({ layer: facts.layers[(number + facts.layers.length) % facts.layers.length].name, unit: 0 });
}

function nextMethod() {
  const facts = factsOf(current());
  if (!facts) return;
  const names = ["", ...facts.methods.map((method) => method.name)];
  change({ method: names[(names.indexOf(state.method) + 1) % names.length] });
}

// a step, layer:unit, or an action's name: the next step at which it is taken
function search(text) {
  const facts = factsOf(current()), words = text.trim();
  if (!words || !facts) return say("");
  const unit = words.match(/^(.+):(\d+)$/), layer = unit && facts.layers.find((one) => one.name === unit[1]);
  if (/^\d+$/.test(words) && Number(words) <= lastStep()) return say(""), goTo(Number(words), "push");
  if (layer && Number(unit[2]) < layerUnits(layer)) return say(""), change({ layer: layer.name, unit: Number(unit[2]) }, "push");
  const action = facts.actions.indexOf(words.toUpperCase()), taken = facts.taken.values;
  if (action < 0) return say("Nothing is called \u201c" + words + "\u201d: give a step (0 to " + lastStep() + "), a unit such as " + facts.layers[0].name + ":0, or an action such as " + facts.actions[0] + ".");
  let found = taken.indexOf(action, state.step + 1);
  if (found < 0) found = taken.indexOf(action);
  if (found < 0) return say(words.toUpperCase() + " is taken at no step of this play.");
  say("");
  goTo(found, "push");
}

function makeKeys() {
  for (const [key, words] of KEYS) find("keys-list").append(made("dt", {}, key), made("dd", {}, words));
  find("help").onclick = () => find("keys").showModal();
  find("keys-close").onclick = () => find("keys").close();
  find("search").onkeydown = (event) => {
    if (event.key === "Enter") search(find("search").value);
    if (event.key === "Escape") find("search").blur();
  };
  addEventListener("keydown", (event) => {
    const inField = event.target.closest("input, select, textarea, dialog");
    const pressed = event.key === " " && event.target.closest("button, a");
    if (inField || pressed || event.ctrlKey || event.altKey || event.metaKey || !(event.key in DOES)) return;
    event.preventDefault();
    DOES[event.key](event);
  });
}
