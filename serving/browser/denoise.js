// Removes noise from a picture, a tile at a time; asks nobody else.

import { at, offer, read, say } from "./shared.js";

// As keras_csc/restoration/geometry.py has them.
const BLOCK = 4;
const TILE = 512;
const SHARED = 96;
const LEAST_SIDE = 16;
const MOST_BYTES = 2 ** 27;
const MOST_PIXELS = 2 ** 26;
// A worker takes 300 MB. Not all browsers say how many GB there are.
const MEMORY = navigator.deviceMemory ?? 4;
const CORES = navigator.hardwareConcurrency;
const WORKERS = Math.min(4, CORES, Math.ceil(MEMORY / 2));
// Of the example.
const ADDED = 25;

const [before, after] = ["given", "made"].map((id) =>
  at(id).getContext("2d", { willReadFrequently: true })
);
const workers = [];
let picture, name;
let runs = 0;
let busy = false;

// === Workers ===

function ask(place, ...question) {
  workers[place] ??= new Worker("worker.js", { type: "module" });
  return new Promise((resolve, reject) => {
    workers[place].onmessage = ({ data }) =>
      data.error ? reject(new Error(data.error)) : resolve(data.answer);
    workers[place].onerror = () =>
      reject(
        new Error("worker.js can't be run: put all files of site/ on the server.")
      );
    workers[place].postMessage(question);
  });
}

function stop() {
  runs++;
  if (busy) workers.splice(0).forEach((worker) => worker.terminate());
  busy = false;
  at("progress").hidden = true;
}

// === Tiles ===

// Of an axis, what each tile sees, from and to, and what it keeps.
function spans(length) {
  if (length <= TILE) return [[0, length, 0, length]];
  const count = Math.ceil(length / (TILE - SHARED));
  const edge = (number) => Math.round((number * length) / count);
  const start = (number) => {
    const most = Math.min(edge(number) - SHARED / 2, length - TILE);
    return Math.floor(Math.max(most, 0) / BLOCK) * BLOCK;
  };
  return Array.from({ length: count }, (_, n) => {
    const end = n < count - 1 ? start(n) + TILE : length;
    return [start(n), end, edge(n), edge(n + 1)];
  });
}

async function byTiles({ width, height }, noise, means) {
  const tiles = spans(height).flatMap((rows) =>
    spans(width).map((columns) => [rows, columns])
  );
  const count = tiles.length;
  let done = 0;
  async function work(place) {
    while (tiles.length) {
      const [[top, bottom, first, last], [left, right, begin, end]] =
        tiles.shift();
      const size = [right - left, bottom - top];
      const tile = before.getImageData(left, top, ...size);
      const made = await ask(place, "denoise", tile, noise, means);
      const kept = [begin - left, first - top, end - begin, last - first];
      after.putImageData(made, left, top, ...kept);
      at("progress").value = ++done / count;
    }
  }
  const places = [...Array(Math.min(WORKERS, count)).keys()];
  await Promise.all(places.map(work));
}

// === A picture ===

function show() {
  at("added-said").textContent = at("added").value;
  at("noise-said").textContent = at("noise").value;
}

async function denoise() {
  stop();
  const run = runs;
  busy = true;
  const began = performance.now();
  const { width, height } = picture;
  const added = Number(at("added").value);
  say(`${name} is being denoised.`);
  for (const context of [before, after]) {
    Object.assign(context.canvas, { width, height });
    context.fillStyle = "white"; // Behind what is transparent.
    context.fillRect(0, 0, width, height);
    context.drawImage(picture, 0, 0);
  }
  at("result").style.setProperty("--width", width);
  at("result").style.setProperty("--aspect", width / height);
  for (const id of ["before-said", "after-said", "time"])
    at(id).textContent = "";
  at("size").textContent = `${width}×${height} pixels`;
  at("save").hidden = true;
  at("progress").value = 0;
  at("progress").hidden = at("result").hidden = false;

  const clean = before.getImageData(0, 0, width, height);
  const { noisy, noise, means } = await ask(0, "prepare", clean, added);
  for (const context of [before, after]) context.putImageData(noisy, 0, 0);
  if (at("estimate").checked) at("noise").value = noise;
  show();
  await byTiles(picture, Number(at("noise").value), means);
  if (added)
    for (const [id, context] of [["before-said", before], ["after-said", after]]) {
      const compared = context.getImageData(0, 0, width, height);
      const found = await ask(0, "psnr", clean, compared);
      at(id).textContent = `${found.toFixed(1)} dB`;
    }
  const seconds = (performance.now() - began) / 1000;
  const blob = await new Promise((made) => after.canvas.toBlob(made));
  if (run !== runs) return;
  offer(blob);
  at("save").download = `${name.replace(/\.[^.]*$/, "")}-denoised.png`;
  at("save").hidden = false;
  at("time").textContent = `${seconds.toFixed(1)} s`;
  busy = false;
  stop();
  say(`${name} is done.`);
}

function failed(error) {
  stop();
  picture = undefined;
  at("result").hidden = true;
  say("", error.message);
}

function again() {
  show();
  if (picture) denoise().catch(failed);
}

async function open(file, added) {
  stop();
  say(`${file.name} is being read.`);
  const found = await read(file, MOST_BYTES);
  const { width, height } = found;
  if (Math.min(width, height) < LEAST_SIDE || width * height > MOST_PIXELS)
    throw new Error(
      `The picture has ${width}×${height} pixels; it must have sides of at ` +
        `least ${LEAST_SIDE}, and at most ${MOST_PIXELS.toLocaleString("en")} ` +
        "pixels."
    );
  [picture, name] = [found, file.name];
  at("added").value = added;
  again();
}

let queue = Promise.resolve();

function choose(file, added = 0) {
  if (file) queue = queue.then(() => open(file, added)).catch(failed);
}

// === The page ===

async function example() {
  at("file").value = "";
  const answer = await fetch("example.jpg");
  choose(new File([await answer.blob()], "example.jpg"), ADDED);
}

function divide() {
  at("stage").style.setProperty("--split", at("split").value);
  at("stage").style.setProperty("--scrolled", `${at("stage").scrollLeft}px`);
}

function drag({ buttons, clientX }) {
  const { left, width } = at("stage").getBoundingClientRect();
  if (buttons) at("split").value = (100 * (clientX - left)) / width;
  divide();
}

at("model").textContent = "The model is being loaded.";
try {
  await ask(0, "load");
  at("model").textContent = 
    "It draws a photograph anew, from few small patterns, without its noise.";
  at("settings").disabled = false;
  at("file").addEventListener("change", () => choose(at("file").files[0]));
  at("example").addEventListener("click", () => example().catch(failed));
  at("noise").addEventListener("input", () => (at("estimate").checked = false));
  for (const id of ["added", "noise"]) at(id).addEventListener("input", show);
  for (const id of ["added", "noise", "estimate"])
    at(id).addEventListener("change", again);
  at("split").addEventListener("input", divide);
  at("stage").addEventListener("scroll", divide);
  for (const kind of ["pointerdown", "pointermove"])
    at("stage").addEventListener(kind, drag);
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    at("file").files = event.dataTransfer.files;
    choose(at("file").files[0]);
  });
} catch (error) {
  at("model").textContent = "There is no model.";
  failed(error);
}
