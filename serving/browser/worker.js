// What the page of the denoiser computes: an answer to each question.

import { load, ort, start } from "./shared.js";

// As keras_csc/restoration/noise.py has it.
const WAVELET = [-0.1294095, -0.2241439, 0.8365163, -0.4829629];

let model;

function loaded() {
  model ??= start().then(() => load("denoise_tile", "make browser"));
  return model;
}

function gaussian() {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random());
}

// The deviation of the noise of one colour, from the finest details.
function estimated({ data, width, height }, colour) {
  const found = new Float32Array(((height - 2) >> 1) * ((width - 2) >> 1));
  let count = 0;
  for (let row = 3; row < height; row += 2)
    for (let column = 3; column < width; column += 2) {
      let detail = 0;
      for (let i = 0; i < 4; i++)
        for (let j = 0; j < 4; j++) {
          const place = (row - i) * width + column - j;
          detail += WAVELET[i] * WAVELET[j] * data[4 * place + colour];
        }
      found[count++] = Math.abs(detail);
    }
  return found.sort()[count >> 1] / 0.6745;
}

function mean(data, colour) {
  let sum = 0;
  for (let place = colour; place < data.length; place += 4) sum += data[place];
  return sum / (255 * (data.length / 4));
}

const ANSWERS = {
  load: async () => void (await loaded()),

  // Adds noise to a picture, and looks at it as a whole.
  prepare(picture, added) {
    const { data } = picture;
    if (added)
      for (let place = 0; place < data.length; place++)
        if (place % 4 < 3) data[place] += added * gaussian();
    const noise = [0, 1, 2].map((colour) => estimated(picture, colour));
    const means = [0, 1, 2].map((colour) => mean(data, colour));
    return { noisy: picture, noise: Math.max(...noise), means };
  },

  async denoise({ data, width, height }, noise, means) {
    const session = await loaded();
    const values = new Float32Array(3 * width * height);
    for (let place = 0; place < values.length; place++)
      values[place] = data[4 * Math.floor(place / 3) + (place % 3)] / 255;
    const shape = [1, height, width, 3];
    const { denoised } = await session.run({
      image: new ort.Tensor("float32", values, shape),
      noise: new ort.Tensor("float32", [noise / 255], [1]),
      means: new ort.Tensor("float32", means, [1, 3]),
    });
    const made = new ImageData(width, height);
    made.data.fill(255);
    denoised.data.forEach((value, place) => {
      made.data[4 * Math.floor(place / 3) + (place % 3)] = 255 * value;
    });
    return made;
  },

  psnr({ data: one }, { data: other }) {
    let sum = 0;
    one.forEach((value, place) => (sum += (value - other[place]) ** 2));
    return 10 * Math.log10((255 ** 2 * 0.75 * one.length) / sum);
  },
};

addEventListener("message", async ({ data: [name, ...question] }) => {
  try {
    postMessage({ answer: await ANSWERS[name](...question) });
  } catch (error) {
    postMessage({ error: error.message });
  }
});
