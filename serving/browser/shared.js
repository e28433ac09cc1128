// What the pages and their worker share.

// Stock web servers send .mjs as no script, and browsers refuse it.
const RUNTIME = "./ort.wasm.bundle.min.js";

export const at = (id) => document.getElementById(id);

export function say(status, error = "") {
  at("status").textContent = status;
  at("error").textContent = error;
  at("error").hidden = !error;
}

// === The model ===

export let ort;

export async function start() {
  try {
    ort = await import(RUNTIME);
  } catch (error) {
    throw new Error(
      `ONNX Runtime, ${RUNTIME}, can't be loaded: ${error.message}. It must ` +
        "lie beside this page: put all files of site/ on the server."
    );
  }
  // One thread needs no headers of the server.
  ort.env.wasm.numThreads = 1;
}

export async function load(name, command) {
  const path = `model/${name}.onnx`;
  // Else a browser may keep one of several files, and fetch another anew.
  const answer = await fetch(path, { cache: "no-cache" }).catch(() => ({
    status: "no answer",
  }));
  if (!answer.ok)
    throw new Error(
      `There is no ${path} beside this page (${answer.status}). ` +
        `"${command}" makes one; copy it there.`
    );
  const bytes = new Uint8Array(await answer.arrayBuffer());
  try {
    return await ort.InferenceSession.create(bytes);
  } catch (error) {
    throw new Error(`${path} is no ONNX model that runs here: ${error.message}`);
  }
}

// === Files ===

export async function read(file, mostBytes) {
  if (!file.size) throw new Error(`${file.name} is empty.`);
  if (file.size > mostBytes)
    throw new Error(
      `${file.name} has ${file.size.toLocaleString("en")} bytes, more than ` +
        `${mostBytes.toLocaleString("en")}: make the picture smaller.`
    );
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(
      `${file.name} is not a picture that this browser reads: choose a JPEG, ` +
        "PNG, GIF, BMP or WebP file."
    );
  }
}

export function offer(blob) {
  URL.revokeObjectURL(at("save").href);
  at("save").href = URL.createObjectURL(blob);
}
