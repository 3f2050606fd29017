// Data of the page: scripts that hand themselves over, read when they are needed.
"use strict";

const MOST_HELD = 160; // files of screens, layers and maps that are kept in memory
const held = new Map(); // name -> what it holds, in the order of last use
const asked = new Map(); // name -> what to do when it has come
let whenRead = () => {};
let whenFailed = () => {};

window.zoo = {
  take(name, data) {
    const answer = asked.get(name);
    if (answer) answer(data);
    else if (name === "index") begin(data);
  },
};

// what a file holds; undefined until it is read, which this begins
function have(name) {
  if (held.has(name)) {
    const found = held.get(name);
    held.delete(name);
    held.set(name, found); // the last used
    return found;
  }
  if (!asked.has(name)) {
    read(name).then((found) => {
      held.set(name, found);
      forgetOldest();
      whenRead(name);
    }).catch((error) => whenFailed(name, error));
  }
  return undefined;
}

function forgetOldest() {
  const files = [...held.keys()].filter((name) => /_\d+$/.test(name));
  for (const name of files.slice(0, Math.max(0, files.length - MOST_HELD))) {
    held.delete(name);
    asked.delete(name);
  }
}

function read(name) {
  return new Promise((answer, refuse) => {
    const script = document.createElement("script");
    asked.set(name, answer);
    script.src = "explorer_data/" + name + ".js";
    script.onload = () => script.remove();
    script.onerror = () => refuse(new Error("explorer_data/" + name + ".js cannot be read"));
    document.head.append(script);
  }).then(unpacked);
}

// the same with its arrays taken apart, wherever they stand in it
async function unpacked(data) {
  if (Array.isArray(data)) return Promise.all(data.map(unpacked));
  if (!data || typeof data !== "object") return data;
  if (typeof data.content === "string" && data.shape) return array(data);
  const entries = Object.entries(data);
  const values = await Promise.all(entries.map(([, value]) => unpacked(value)));
  return Object.fromEntries(entries.map(([name], place) => [name, values[place]]));
}

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };

async function array({ shape, type, changes, content }) {
  const text = atob(content), bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new KINDS[type](await new Response(stream).arrayBuffer());
  const row = shape.slice(1).reduce((product, size) => product * size, 1);
  if (changes) for (let place = row; place < values.length; place++) values[place] += values[place - row];
  return { shape, row, values };
}

// one row of an array: its values at one step
const rowOf = (found, number) => found.values.subarray(number * found.row, (number + 1) * found.row);

// the row of a step in an agent's files of that kind; undefined until it is read
function stepOf(folder, kind, step) {
  const found = have(folder + "/" + kind + "_" + Math.floor(step / index.chunk));
  return found && rowOf(found, step % index.chunk);
}
