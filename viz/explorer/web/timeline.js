// Time: the value's curve with episodes' ends and bookmarks, play, and steps.
"use strict";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8], MARGIN_LEFT = 52, MARGIN_TOP = 14;
const player = { timer: 0, last: 0, rest: 0, speed: 1 };

const lastStep = () => current().steps - 1;
const goTo = (step, how) => change({ step: Math.max(0, Math.min(lastStep(), step)) }, how);

function play(on) {
  cancelAnimationFrame(player.timer);
  player.timer = 0;
  if (on) {
    if (state.step >= lastStep()) goTo(0);
    player.last = performance.now();
    player.timer = requestAnimationFrame(tick);
  } else writeAddress();
  find("play").textContent = on ? "pause" : "play";
}

function tick(now) {
  const facts = factsOf(current()), ready = facts && frameAt(current(), state.step);
  player.rest = ready ? player.rest + (now - player.last) / 1000 * facts.rate * player.speed : 0;
  player.last = now;
  const steps = Math.floor(player.rest);
  player.rest -= steps;
  if (steps) goTo(state.step + steps);
  if (facts) stepOf(current().screens, "frames", Math.min(lastStep(), state.step + 40)); // ahead of time
  if (state.step >= lastStep()) play(false);
  else player.timer = requestAnimationFrame(tick);
}

// the kinds of bookmarks: their sign, what they are called, and how they are drawn over the curve
const BOOKMARKS = {
  critical: { sign: "\u25bc", title: "critical moments", draw: (context, x) => triangle(context, x) },
  gain: { sign: "+", title: "better than expected", draw: (context, x) => cross(context, x, true) },
  loss: { sign: "\u2212", title: "worse than expected", draw: (context, x) => cross(context, x, false) },
};

function nextBookmark() {
  const facts = factsOf(current()), steps = facts ? facts.bookmarks.flatMap((kind) => kind.moments.map(([step]) => step)) : [];
  if (!steps.length) return;
  const later = steps.filter((step) => step > state.step);
  goTo(Math.min(...(later.length ? later : steps)), "push");
}

function bookmarkRow(facts) {
  const shown = facts.bookmarks.filter((kind) => kind.moments.length);
  if (!shown.length) return [made("span", {}, "No moment stands out: the best actions never lead.")];
  return shown.flatMap((kind) => {
    const { sign, title } = BOOKMARKS[kind.name];
    return [made("span", { title: kind.words }, sign + " " + title + ": "),
      ...kind.moments.map(([at, much]) => made("button", { title: title + "; " + kind.words + ": " + short(much), "data-step": at,
        onclick: () => goTo(at, "push") }, made("span", { "aria-label": title }, sign), " " + at))];
  });
}

function drawTime(keys) {
  const agent = current(), facts = factsOf(agent), step = Math.min(state.step, agent.steps - 1);
  if (!facts) return;
  if (document.activeElement !== find("step") || Number(find("step").value) !== step) find("step").value = step;
  find("step").max = agent.steps - 1;
  find("steps").textContent = "of 0 to " + (agent.steps - 1);
  find("timeline").setAttribute("aria-valuemax", agent.steps - 1);
  find("timeline").setAttribute("aria-valuenow", step);
  find("timeline").setAttribute("aria-valuetext", "step " + step + ", " + facts.valueWords + " " + short(facts.value.values[step]));
  const scored = facts.rewards && facts.rewards.values[step] ? "reward " + short(facts.rewards.values[step]) + " at this step" : "";
  find("status").textContent = scored;
  drawCurve(facts, agent.steps, step);
  if (drawTime.agent !== agent) {
    drawTime.agent = agent;
    find("bookmarks").replaceChildren(...bookmarkRow(facts));
  }
  for (const button of find("bookmarks").querySelectorAll("button")) button.setAttribute("aria-pressed", Number(button.dataset.step) === step);
}

function drawCurve(facts, steps, step) {
  const canvas = find("timeline"), width = canvas.clientWidth, height = canvas.clientHeight;
  const context = sized(canvas, width, height), values = facts.value.values;
  const inside = width - MARGIN_LEFT - 8, x = (at) => MARGIN_LEFT + (steps > 1 ? at / (steps - 1) : 0) * inside;
  const low = Math.min(...values), high = Math.max(...values), room = height - MARGIN_TOP - 6;
  const y = (value) => MARGIN_TOP + room - (high > low ? (value - low) / (high - low) : 0.5) * room;
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = styled("--faint");
  context.textAlign = "right";
  context.fillText(short(high), MARGIN_LEFT - 6, MARGIN_TOP + 8);
  context.fillText(short(low), MARGIN_LEFT - 6, height - 4);
  drawUnitTrace(context, x, room, height);
  context.strokeStyle = styled("--faint");
  context.setLineDash([3, 3]);
  context.beginPath();
  facts.episodes.values.forEach((episode, at, all) => {
    if (at && episode !== all[at - 1]) line(context, x(at - 0.5), MARGIN_TOP, height);
  });
  context.stroke();
  context.setLineDash([]);
  context.strokeStyle = styled("--curve");
  context.lineWidth = 1.2;
  context.beginPath();
  values.forEach((value, at) => context.lineTo(x(at), y(value)));
  context.stroke();
  context.fillStyle = styled("--mark");
  for (const kind of facts.bookmarks) for (const [at] of kind.moments) BOOKMARKS[kind.name].draw(context, x(at));
  context.strokeStyle = styled("--accent");
  context.lineWidth = 2;
  context.beginPath();
  line(context, x(step), 0, height);
  context.stroke();
}

function line(context, x, top, bottom) {
  context.moveTo(x, top);
  context.lineTo(x, bottom);
}

function triangle(context, x) {
  context.beginPath();
  context.moveTo(x - 5, 1);
  context.lineTo(x + 5, 1);
  context.lineTo(x, 10);
  context.fill();
}

// a plus, or a minus
function cross(context, x, upright) {
  context.fillRect(x - 5, 4, 10, 2);
  if (upright) context.fillRect(x - 1, 0, 2, 10);
}

// the chosen unit's own curve, faint, where the dictionary has it
function drawUnitTrace(context, x, room, height) {
  const trace = typeof unitTrace === "function" && unitTrace();
  if (!trace) return;
  context.fillStyle = styled("--trace");
  context.beginPath();
  context.moveTo(x(0), height);
  trace.forEach((value, at) => context.lineTo(x(at), height - value / 255 * room));
  context.lineTo(x(trace.length - 1), height);
  context.fill();
}

function stepUnder(event) {
  const box = find("timeline").getBoundingClientRect(), inside = box.width - MARGIN_LEFT - 8;
  return Math.round((event.clientX - box.left - MARGIN_LEFT) / inside * lastStep());
}

function makeTime() {
  choices(find("speed"), SPEEDS.map((speed) => [speed, "\u00d7" + speed]), 1);
  find("speed").onchange = () => (player.speed = Number(find("speed").value));
  find("first").onclick = () => goTo(0);
  find("last").onclick = () => goTo(lastStep());
  find("previous").onclick = () => goTo(state.step - 1);
  find("next").onclick = () => goTo(state.step + 1);
  find("play").onclick = () => play(!player.timer);
  find("step").onchange = () => goTo(Number(find("step").value) || 0, "push");
  const canvas = find("timeline");
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    goTo(stepUnder(event), "push");
  };
  canvas.onpointermove = (event) => event.buttons && goTo(stepUnder(event));
  new ResizeObserver(() => redraw("size")).observe(canvas);
  draws("agent step size theme layer unit", drawTime);
}
