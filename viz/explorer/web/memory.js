// The console's memory at the step that is shown, changed by a slider: what the emulator and the agent make of it.
"use strict";

const memory = { about: null, now: null, nowFor: "", edit: null, wanted: null, busy: false };

async function makeMemory() {
  const controls = find("live-controls"), part = (name, tag, attributes, ...children) => (memory[name] = made(tag, attributes, ...children));
  try {
    memory.about = await ask("about");
  } catch (error) {
    return void (find("live-words").textContent = error.message);
  }
  if (!memory.about.variables.length) return void (find("live-words").textContent = "No byte of this game's memory has a name: there is nothing to change here.");
  controls.append(made("label", {}, "variable ", part("variable", "select", { onchange: chooseVariable })),
    part("slider", "input", { type: "range", min: 0, step: 1, oninput: () => wantEdit(Number(memory.slider.value)) }),
    part("number", "output", { class: "told" }), part("back", "button", { onclick: setBack }, "set back"));
  choices(memory.variable, memory.about.variables.map((one) => [one.name, one.name.replaceAll("_", " ")]), memory.about.variables[0].name);
  find("live-how").textContent = "The recorded play is played again in the emulator, up to " + memory.about.stack + " steps before this one; there a copy of the console"
    + " has the byte set before each of the " + memory.about.stack + " actions whose frames the agent is given. Screen, values, layer and map are what the emulator and"
    + " the agent then give, in the play's own scales. " + memory.about.state;
  editing.at = (agent, step) => memory.edit && memory.edit.screen && memory.edit.agent === agent && memory.edit.step === step ? memory.edit : null;
  draws("agent step", followStep);
  draws("method", () => memory.edit && memory.edit.method !== state.method && wantEdit(memory.edit.place));
  chooseVariable();
}

const chosenVariable = () => memory.about.variables.find((one) => one.name === memory.variable.value);

function chooseVariable() {
  const chosen = chosenVariable();
  memory.slider.max = chosen.values.length - 1;
  memory.slider.setAttribute("aria-label", chosen.name.replaceAll("_", " "));
  memory.variable.title = chosen.words;
  setBack();
}

// what is at a moment belongs to it alone: at another one the memory is as it was recorded
async function followStep() {
  const agent = current(), name = index.agents.indexOf(agent) + "/" + Math.min(state.step, agent.steps - 1);
  if (memory.nowFor === name) return;
  memory.nowFor = name;
  forgetEdit();
  memory.now = null;
  if (player.timer) return void (memory.nowFor = ""); // not while it plays
  try {
    const found = await ask("memory/" + name);
    if (memory.nowFor !== name) return;
    memory.now = found;
  } catch (error) {
    find("live-words").textContent = error.message;
  }
  showNow();
}

function forgetEdit() {
  memory.wanted = null;
  if (memory.busy) stopWork();
  if (!memory.edit) return;
  memory.edit = null;
  redraw("step");
}

function setBack() {
  forgetEdit();
  showNow();
}

// the slider where the recorded value is
function showNow() {
  const chosen = chosenVariable(), now = memory.now && memory.now[chosen.name], known = typeof now === "number";
  memory.slider.value = known ? chosen.values.indexOf(now) : 0;
  tellValue(known ? short(now) : "unknown");
  memory.back.disabled = true;
  find("live-words").textContent = chosen.words + ". At this step " + (known ? "it is " + short(now) : "what it tells of is absent, or the memory was not recorded") + ".";
}

function tellValue(words) {
  memory.number.textContent = words;
  memory.slider.setAttribute("aria-valuetext", words);
}

// the last value that was asked for is worked on; those before it that have not begun are not
function wantEdit(place) {
  const agent = current(), chosen = chosenVariable(), value = chosen.values[place];
  tellValue(short(value));
  memory.back.disabled = false;
  memory.wanted = { agent, step: Math.min(state.step, agent.steps - 1), place, value, variable: chosen.name };
  if (!memory.busy) workOnEdits();
}

async function workOnEdits() {
  memory.busy = true;
  while (memory.wanted) {
    const wanted = memory.wanted;
    memory.wanted = null;
    try {
      const asked = { agent: index.agents.indexOf(wanted.agent), step: wanted.step, variable: wanted.variable, value: wanted.value,
        method: factsOf(wanted.agent).methods.some((one) => one.name === state.method) ? state.method : "" };
      const found = await work("edit", asked, tellProgress);
      if (found && memory.nowFor === asked.agent + "/" + wanted.step && !memory.back.disabled) showEdit({ ...wanted, method: asked.method, ...found });
    } catch (error) {
      find("live-words").textContent = error.message;
    }
  }
  memory.busy = false;
}

const tellProgress = (job) => (find("live-words").textContent = "playing the game again: " + short(job.finished) + " of " + short(job.total) + " steps");

function showEdit(edit) {
  if (edit.screen) {
    edit.frame = picture(edit.screen.values, edit.screen.shape[0], edit.screen.shape[1], 3, null);
    const given = edit.frames, [count, height, width, channels] = given.shape;
    edit.frames = Array.from({ length: count }, (_, place) => picture(rowOf(given, place), height, width, channels, null));
  }
  memory.edit = edit;
  find("live-words").textContent = edit.words;
  redraw("step");
}
