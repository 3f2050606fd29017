// Agents, and what is known of them at a step.
"use strict";

const called = (name) => index.agents.find((agent) => agent.short === name) || index.agents[0];
const current = () => called(state.agent);
const factsOf = (agent) => have(agent.folder + "/facts");
const chosenLayer = (facts) => facts.layers.find((layer) => layer.name === state.layer) || facts.layers[0];
const chosenMethod = (facts) => facts.methods.find((method) => method.name === state.method);
const layerUnits = (layer) => layer.shape[0];

// where an agent is shown at: the current one at the step, another at the moment most like it
function stepFor(agent) {
  const own = current();
  if (agent === own) return Math.min(state.step, agent.steps - 1);
  if (agent.screens === own.screens) return Math.min(state.step, agent.steps - 1);
  const matches = have(own.screens + "/matches");
  const found = matches && matches[agent.screens];
  return found ? found.steps.values[Math.min(state.step, own.steps - 1)] : undefined;
}

// the game's colour screen at a step, as a canvas of its own size
function frameAt(agent, step) {
  const facts = have(agent.screens + "/facts"), row = facts && stepOf(agent.screens, "frames", step);
  if (!row) return undefined;
  const { height, width, palette } = facts.frames;
  return picture(row, height, width, 3, palette.values.length ? palette.values : null);
}

// the frames of an observation, oldest first, as canvases; null where the stack has nothing yet
function seenAt(agent, step) {
  const facts = have(agent.screens + "/facts");
  if (!facts) return undefined;
  const { count, copies, height, width, channels } = facts.seen, found = [];
  const episodes = facts.episodes.values;
  for (let age = count - 1; age >= 0; age--) {
    let at = Math.max(0, step - age);
    const missing = step - age < 0 || episodes[at] !== episodes[step];
    while (missing && episodes[at] !== episodes[step]) at++; // an episode's first
    const row = missing && !copies ? null : stepOf(agent.screens, "seen", at);
    if (row === undefined) return undefined;
    found.push(row && picture(row, height, width, channels, null));
  }
  return found;
}

const ratedAt = (facts, step) => rowOf(facts.rated, step);
const actionAt = (facts, step) => facts.actions[facts.taken.values[step]];
