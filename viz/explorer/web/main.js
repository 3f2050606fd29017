// The page begins when data/index.js has handed itself over.
"use strict";

async function begin(data) {
  if (typeof DecompressionStream === "undefined") {
    return say("This browser is too old for this page: it lacks DecompressionStream (Chrome 80, Safari 16.4, Firefox 113 have it).");
  }
  whenRead = () => redraw("data");
  whenFailed = (name, error) => say(error.message + ": the page is not whole; make it again, or copy its whole folder.");
  index = await unpacked(data);
  makeHeader();
  makeTime();
  makeKeys();
  draws("agent step layer unit method beside tiles size theme", drawViews);
  for (const make of [typeof makePoints === "function" && makePoints, typeof makeUnit === "function" && makeUnit]) if (make) make();
  readAddress();
}

function makeHeader() {
  find("agents").append(...index.agents.map((agent) => made("button",
    { title: agent.name, "data-agent": agent.short, onclick: () => showAgent(agent) }, agent.short)));
  const others = () => index.agents.filter((agent) => agent !== current());
  draws("agent beside", () => {
    for (const button of find("agents").children) button.setAttribute("aria-pressed", button.dataset.agent === state.agent);
    choices(find("beside"), [["", "nobody"], ...others().map((agent) => [agent.short, agent.short])], state.beside);
    find("beside").parentElement.hidden = index.agents.length < 2;
    document.title = index.game + ": " + current().name;
  });
  find("beside").onchange = () => change({ beside: find("beside").value }, "push");
  find("link").onclick = copyLink;
  find("theme").onclick = () => change({ theme: isDark() ? "light" : "dark" });
  draws("theme", () => {
    if (state.theme) document.documentElement.dataset.theme = state.theme;
    else delete document.documentElement.dataset.theme;
    find("theme").textContent = isDark() ? "light" : "dark";
  });
  const again = index.madeBy ? ["Made by the Atari Zoo: ", made("code", {}, index.madeBy)] : ["Made by the Atari Zoo (viz.explorer.explore)."];
  find("made").append(...again);
}

function showAgent(agent, step) {
  const beside = state.beside === agent.short ? state.agent : state.beside;
  change({ agent: agent.short, beside, step: step === undefined ? Math.min(state.step, agent.steps - 1) : step }, "push");
}

const isDark = () => state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

async function copyLink() {
  writeAddress();
  const link = location.href.split("#")[0] + address();
  let done = false;
  try {
    await navigator.clipboard.writeText(link);
    done = true;
  } catch {
    const field = made("input", { value: link, "aria-label": "link" });
    document.body.append(field);
    field.select();
    done = document.execCommand("copy");
    field.remove();
  }
  find("link").textContent = done ? "copied" : "copy the address";
  setTimeout(() => (find("link").textContent = "copy link"), 2000);
}
