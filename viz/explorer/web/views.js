// Views of one agent each: the game, its decision, what it was given, a layer. There are one or two.
"use strict";

const views = [];

function makeView() {
  const view = { seen: [] };
  const part = (name, tag, attributes) => (view[name] = made(tag, attributes));
  const box = part("box", "article", { class: "view" });
  part("title", "h2", { class: "who" });
  const game = made("div", { class: "game", role: "group", "aria-label": "the game" },
    part("screen", "canvas", { class: "screen", role: "img" }),
    part("told", "p", { class: "told" }),
    made("label", {}, "over it ", part("methods", "select", { class: "methods", onchange: () => change({ method: view.methods.value }) })),
    part("mapWords", "p", { class: "note" }));
  const decision = made("div", { class: "decision", role: "group", "aria-label": "its decision" },
    part("valueWords", "p", { class: "told value" }), part("bars", "ol", { class: "bars" }), part("barWords", "p", { class: "note" }));
  const seen = made("div", { class: "given", role: "group", "aria-label": "what it was given" },
    part("frames", "div", { class: "frames" }));
  view.layerBox = made("div", { class: "layer", role: "group", "aria-label": "a layer" },
    part("tabs", "div", { class: "tabs" }), made("label", { class: "showing" }, "shown ", part("tiles", "select", { class: "tiles", onchange: () => change({ tiles: view.tiles.value }) })), made("div", { class: "room" }, part("layer", "canvas", { class: "units", role: "img" })), part("layerWords", "p", { class: "note" }));
  view.layer.onclick = (event) => {
    const unit = unitAt(view, event);
    if (unit >= 0) change({ layer: view.plan.layer.name, unit }, "push");
  };
  view.layer.onmousemove = (event) => {
    const unit = unitAt(view, event);
    view.layer.title = unit < 0 ? "" : view.plan.layer.name + ":" + unit;
  };
  box.append(view.title, made("div", { class: "inside" }, game, decision, seen, view.layerBox));
  new ResizeObserver(() => redraw("size")).observe(box);
  return view;
}

function drawViews() {
  const shown = [current(), ...(state.beside ? [called(state.beside)] : [])];
  while (views.length < shown.length) views.push(makeView());
  find("views").classList.toggle("two", shown.length > 1);
  const boxes = views.slice(0, shown.length).map((view) => view.box), there = [...find("views").children];
  if (there.length !== boxes.length || there.some((box, place) => box !== boxes[place])) find("views").replaceChildren(...boxes);
  shown.forEach((agent, place) => drawView(views[place], agent));
}

function drawView(view, agent) {
  const facts = factsOf(agent), step = stepFor(agent);
  view.title.textContent = agent.name;
  if (!facts || !have(agent.screens + "/facts") || step === undefined) {
    view.told.textContent = "reading ...";
    return;
  }
  if (view.methodsFor !== agent) {
    view.methodsFor = agent;
    choices(view.methods, [["", "nothing"], ...facts.methods.map((one) => [one.name, one.name.replaceAll("_", " ")])], state.method);
  }
  view.methods.value = chosenMethod(facts) ? state.method : "";
  const score = facts.scores ? "score " + short(facts.scores.values[step]) + ", " : "";
  const verb = agent.ablated ? "would take " : facts.recorded ? "took " : "best action ";
  view.told.textContent = "step " + step + ", " + score + verb + actionAt(facts, step) + besideWords(agent, step);
  drawGame(view, agent, facts, step);
  drawDecision(view, agent, facts, step);
  drawSeen(view, agent, step);
  drawLayer(view, agent, facts, step);
}

// how like the current agent's moment this one is
function besideWords(agent) {
  const own = current();
  if (agent === own) return "";
  if (agent.screens === own.screens) return "; the same moment of the same play";
  const matches = have(own.screens + "/matches"), found = matches && matches[agent.screens];
  if (!found) return "";
  const step = Math.min(state.step, own.steps - 1);
  return "; " + found.bytes.values[step] + " of 128 bytes differ, at a random moment " + short(found.usual) + " (median)";
}
