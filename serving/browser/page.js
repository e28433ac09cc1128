// Runs model/encode.onnx and model/decode.onnx on a picture; asks nobody else.

import { at, load, offer, ort, read, say, start } from "./shared.js";

const MOST_BYTES = 20 * 2 ** 20;
// Of a picture for a model of maps; larger ones are shrunk.
const MOST_PIXELS = 2 ** 18;
const LEAST_SIDE = 8;
// Pixels by which a side may be short of a model's and is padded, as
// keras_csc/data/images.py has it.
const MOST_PADDING = 4;
// Below, pixels are shown as squares.
const SMALL = 128;
// The weights of ITU-R BT.601, as TensorFlow makes grey of colours.
const GREY = [0.2989, 0.587, 0.114];
const EXPORT = "make browser MODEL=NAME";

// === The model ===

function checked(encode, decode) {
  const [image, features] = [encode, decode].map((s) => s.inputMetadata[0]);
  const shape = image.shape ?? [];
  if (
    image.name !== "image" ||
    features.name !== "features" ||
    ![1, 3].includes(shape[3])
  )
    throw new Error(
      "model/encode.onnx and model/decode.onnx are not those that " +
        `"${EXPORT}" makes: their inputs are ${image.name} and ` +
        `${features.name}, in place of image and features.`
    );
  const [made, taken] = [encode.outputMetadata[0], features].map((each) =>
    each.shape?.at(-1)
  );
  if (made !== taken)
    throw new Error(
      "model/encode.onnx and model/decode.onnx are of two models: one makes " +
        `${made} features, the other takes ${taken}. Copy both of one export.`
    );
  const map = typeof shape[1] !== "number";
  return { encode, decode, map, height: shape[1], width: shape[2],
    channels: shape[3] };
}

function said(model) {
  const size = model.map
    ? `of any size from ${LEAST_SIDE}×${LEAST_SIDE}`
    : `of ${model.width}×${model.height} pixels`;
  const colour = model.channels === 1 ? "grey" : "colour";
  return `The model is for ${colour} pictures ${size}.`;
}

// === The picture ===

// What is drawn of a picture and where, each [left, top, width, height], the
// size of all, and what was done to it.
function placed(picture, model) {
  const { width, height } = picture;
  if (model.map) {
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
    const size = [width, height].map((n) => Math.floor(n * scale));
    if (Math.min(...size) < LEAST_SIDE)
      throw new Error(
        `The picture has ${width}×${height} pixels; its sides must be at ` +
          `least ${LEAST_SIDE}, and not so unequal.`
      );
    return { part: [0, 0, width, height], place: [0, 0, ...size], size,
      verb: "shrunk" };
  }
  const size = [model.width, model.height];
  const growth = [model.width - width, model.height - height];
  if (growth.every((n) => n >= 0 && n <= MOST_PADDING)) {
    const before = growth.map((n) => Math.floor(n / 2));
    return { part: [0, 0, width, height], place: [...before, width, height],
      size, verb: "padded" };
  }
  const scale = Math.min(width / model.width, height / model.height);
  const cut = [model.width * scale, model.height * scale];
  const corner = [(width - cut[0]) / 2, (height - cut[1]) / 2];
  return { part: [...corner, ...cut], place: [0, 0, ...size], size,
    verb: "resized and cut" };
}

function tensorOf(picture, { part, place: where, size }, model) {
  const [width, height] = size;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "black"; // Around what is too small.
  context.fillRect(0, 0, width, height);
  context.fillStyle = "white"; // Behind what is transparent.
  context.fillRect(...where);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, ...part, ...where);
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Float32Array(width * height * model.channels);
  for (let place = 0; place < width * height; place++) {
    const pixel = data.subarray(4 * place, 4 * place + 3);
    if (model.channels === 1)
      values[place] =
        Math.round(GREY.reduce((sum, w, c) => sum + w * pixel[c], 0)) / 127.5 -
        1;
    else
      pixel.forEach((level, c) => {
        values[3 * place + c] = level / 127.5 - 1;
      });
  }
  return new ort.Tensor("float32", values, [1, height, width, model.channels]);
}

// === The answer ===

function draw(canvas, values, [height, width, channels]) {
  canvas.width = width;
  canvas.height = height;
  canvas.classList.toggle("small", Math.max(width, height) <= SMALL);
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let place = 0; place < width * height; place++)
    for (let c = 0; c < 3; c++) {
      const value = values[channels * place + (channels === 1 ? 0 : c)];
      pixels[4 * place + c] = Math.round((value + 1) * 127.5);
    }
  const image = new ImageData(pixels, width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The upper left part of an image that may be larger: maps are whole places.
function cropped({ data, dims }, [height, width, channels]) {
  const made = new Float32Array(height * width * channels);
  for (let row = 0; row < height; row++) {
    const start = row * dims[2] * channels;
    const part = data.subarray(start, start + width * channels);
    made.set(part, row * width * channels);
  }
  return made;
}

function psnr(one, other) {
  let sum = 0;
  one.forEach((value, place) => (sum += (value - other[place]) ** 2));
  return 10 * Math.log10((4 * one.length) / sum);
}

async function timed(session, feeds) {
  const began = performance.now();
  const answer = await session.run(feeds);
  return [Object.values(answer)[0], performance.now() - began];
}

// The features of a place, and words that say of which.
function shownFeatures({ data, dims }) {
  const count = dims.at(-1);
  if (dims.length === 2) return [data, `${count} numbers, of norm 1.`];
  const [, height, width] = dims;
  const middle = (height >> 1) * width + (width >> 1);
  const words =
    `${height}×${width} places of ${count} numbers each, of norm 1; ` +
    "these are of the place in the middle.";
  return [data.subarray(middle * count, (middle + 1) * count), words];
}

function item(value, number) {
  const line = document.createElement("li");
  const name = document.createElement("i");
  name.textContent = number + 1;
  line.append(name, value.toFixed(3));
  return line;
}

async function show(file, model) {
  say(`${file.name} is being read.`);
  const picture = await read(file, MOST_BYTES);
  const placement = placed(picture, model);
  const image = tensorOf(picture, placement, model);
  const shape = image.dims.slice(1);
  const [features, encoding] = await timed(model.encode, { image });
  const [answer, decoding] = await timed(model.decode, { features });
  const made = cropped(answer, shape);
  draw(at("given"), image.data, shape);
  draw(at("made"), made, shape);
  const [height, width] = shape;
  const sizes = [picture, { width, height }].map((p) => `${p.width}×${p.height}`);
  at("given-said").textContent =
    sizes[0] === sizes[1]
      ? `${sizes[0]} pixels`
      : `${placement.verb} from ${sizes[0]} to ${sizes[1]} pixels`;
  at("made-said").textContent = `${psnr(image.data, made).toFixed(1)} dB`;
  at("encode-time").textContent = `${encoding.toFixed(1)} ms`;
  at("decode-time").textContent = `${decoding.toFixed(1)} ms`;
  const [numbers, words] = shownFeatures(features);
  at("features-said").textContent = words;
  at("features").replaceChildren(...[...numbers].map(item));
  const all = {
    image: { shape, data: [...image.data] },
    features: { shape: features.dims.slice(1), data: [...features.data] },
    reconstruction: { shape, data: [...made] },
  };
  offer(new Blob([JSON.stringify(all)], { type: "application/json" }));
  at("result").hidden = false;
  say(`${file.name} is done.`);
}

// A session answers one question at a time.
let queue = Promise.resolve();

function failed(error) {
  at("result").hidden = true;
  say("", error.message);
}

at("model").textContent = "The model is being loaded.";
try {
  await start();
  const model = checked(
    await load("encode", EXPORT),
    await load("decode", EXPORT)
  );
  at("model").textContent = said(model);
  at("file").disabled = false;
  at("file").addEventListener("change", () => {
    const [file] = at("file").files;
    if (file) queue = queue.then(() => show(file, model)).catch(failed);
  });
} catch (error) {
  at("model").textContent = "There is no model.";
  failed(error);
}
