// Work that a server does for a served page: one job at a time, followed until it ends.
"use strict";

const jobs = { running: 0 };

// what a server says to a question; throws its one line where it refuses
async function ask(path, data) {
  const how = data === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) };
  let answer;
  try {
    answer = await fetch("live/" + path, how);
  } catch {
    throw new Error("The server does not answer: it was stopped.");
  }
  const found = await answer.json().catch(() => ({ error: "The server refused: " + answer.status + "." }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// begins a job and waits for its result; null if it was stopped
async function work(path, data, tell) {
  const { job } = await ask(path, data);
  jobs.running = job;
  try {
    for (;;) {
      const found = await ask("jobs/" + job);
      if (found.state === "done") return unpacked(found.result);
      if (found.state === "failed") throw new Error(found.error);
      if (found.state === "stopped") return null;
      tell(found);
    }
  } finally {
    jobs.running = 0;
  }
}

const stopWork = () => jobs.running ? ask("stop/" + jobs.running, {}).catch(() => {}) : null;
