// What an agent computes of its actions at a step: bars, the value, and the frames it was given.
"use strict";

function makeBars(view, facts) {
  view.rows = facts.actions.map((name) => {
    const fill = made("span", { class: "fill" }), number = made("span", { class: "number" });
    const row = made("li", {}, made("span", { class: "action" }, name), made("span", { class: "rail" }, fill), number);
    return { row, fill, number };
  });
  view.bars.replaceChildren(...view.rows.map(({ row }) => row));
  view.bars.style.setProperty("--rows", Math.ceil(facts.actions.length / 2));
  view.reach = facts.drawn === "probability" ? [0, 1] : reachOf(facts.rated);
}

// how far ratings lie from the mean of all, over the whole play
function reachOf(rated) {
  let low = 0, high = 0;
  for (let step = 0; step < rated.shape[0]; step++) {
    const row = rowOf(rated, step), mean = meanOf(row);
    for (const value of row) {
      low = Math.min(low, value - mean);
      high = Math.max(high, value - mean);
    }
  }
  return [low, high > low ? high : low + 1];
}

const meanOf = (row) => row.reduce((sum, value) => sum + value, 0) / row.length;

function drawDecision(view, agent, facts, step) {
  if (view.madeFor !== agent) {
    makeBars(view, facts);
    view.madeFor = agent;
  }
  const rated = ratedAt(facts, step), [low, high] = view.reach, taken = facts.taken.values[step];
  const mean = facts.drawn === "probability" ? 0 : meanOf(rated), best = rated.indexOf(Math.max(...rated));
  const place = (value) => 100 * (value - low) / (high - low);
  view.rows.forEach(({ row, fill, number }, action) => {
    const ends = [place(0), place(rated[action] - mean)].sort((a, b) => a - b);
    fill.style.left = ends[0] + "%";
    fill.style.width = Math.max(0.5, ends[1] - ends[0]) + "%";
    number.textContent = short(rated[action]);
    row.classList.toggle("taken", action === taken);
    row.classList.toggle("best", action === best);
  });
  const words = facts.drawn === "probability" ? "from 0 to 1"
    : "bars from the mean of all, one scale for this play (" + short(low) + " to " + short(high) + ")";
  view.barWords.textContent = facts.rating + " of each action; " + words + ". Lit: what it "
    + (facts.recorded && !agent.ablated ? "took" : "would take") + (taken === best ? "." : "; \u25c6 marks the largest.");
  view.valueWords.textContent = facts.valueWords + ": " + short(facts.value.values[step]);
}

function drawSeen(view, agent, step) {
  const frames = seenAt(agent, step);
  if (!frames) return;
  if (view.seen.length !== frames.length) {
    view.seen = frames.map((_, place) => made("canvas", { role: "img", "data-place": place }));
    view.frames.replaceChildren(...view.seen.map((canvas, place) => made("figure", {}, canvas,
      made("figcaption", {}, place === frames.length - 1 ? "now" : "T\u2212" + (frames.length - 1 - place)))));
  }
  const facts = have(agent.screens + "/facts").seen, room = view.frames.clientWidth;
  const fits = (count) => count * (facts.width + 8) - 8 <= room;
  const across = [frames.length, Math.ceil(frames.length / 2)].find(fits) || 1; // in one row, or two
  view.frames.style.setProperty("--across", across);
  const zoom = wholeZoom(room / across - 8, facts.width, 2, 2);
  view.seen.forEach((canvas, place) => {
    const frame = frames[place], age = frames.length - 1 - place;
    const blank = frame || Object.assign(document.createElement("canvas"), { width: facts.width, height: facts.height });
    const context = enlarged(canvas, blank, zoom);
    if (!frame) context.fillRect(0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", frame ? "the frame of " + age + " steps before" : "no frame yet: black");
  });
}
