// A worker that turns cameras into pixels, so that the page never waits for the network.
//
// It is told {open: address of the model, factor, only: a backend or null} once, then {draw: {pose, intrinsics, size, refining}} as often as there
// is something new to see, and {stop: true} when a refining picture is no longer wanted. It answers {progress},
// {opened}, {drawn}, {stopped} and {error}.

import { rays } from "./camera.js";

// Rays that are computed at a time at first; then as many as take BAND_TIME milliseconds.
const FIRST_BAND = 4096, LARGEST_BAND = 262144, BAND_TIME = 60;

let ort, model, session, backend, factor;
let band = FIRST_BAND;
let stopping = false;

self.onmessage = async ({ data }) => {
  try {
    if (data.open) await open(data.open, data.factor, data.only);
    else if (data.draw) await draw(data.draw);
    else if (data.stop) stopping = true;
  } catch (error) {
    self.postMessage({ error: explained(error) });
  }
};

async function open(address, blockSize, only) {
  factor = blockSize;
  if (typeof WebAssembly !== "object") {
    throw new Failure("This browser has no WebAssembly", "The network cannot run without it.", "Use a recent browser, or allow WebAssembly in its settings.");
  }
  try {
    ort = await import("./runtime/ort.webgpu.min.mjs");
  } catch (error) {
    throw new Failure("The runtime cannot be loaded", String(error.message), "Copy the folder runtime to the server, which must send .mjs files as text/javascript.");
  }
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
  model = await download(address);
  self.postMessage({ progress: 1 });
  if (only) await start(only, true);
  else if (!(await hasGraphicsCard() && await start("webgpu"))) await start("wasm", true);
  self.postMessage({ opened: backend, threads: ort.env.wasm.numThreads });
}

async function download(address) {
  const missing = (why) => new Failure("The network cannot be loaded", why, "Copy model.onnx to the server, beside index.html.");
  let answer;
  try {
    answer = await fetch(address);
  } catch (error) {
    throw missing(error.message);
  }
  if (!answer.ok) throw missing(`The server answers ${answer.status} ${answer.statusText}.`);
  const total = Number(answer.headers.get("content-length")) || 0;
  const parts = [];
  let size = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    // A compressed answer is longer than announced.
    self.postMessage({ progress: total ? Math.min(0.99, size / total) : 0.5 });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Whether WebGPU is more than the processor playing a graphics card, which is slower than the processor itself. */
async function hasGraphicsCard() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  } catch {
    return false;
  }
}

/** Whether a session on this backend could be made and answers; with `last`, its error is thrown. */
async function start(name, last = false) {
  try {
    session = await ort.InferenceSession.create(model, { executionProviders: [name] });
    const pose = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]];
    await answers({ pose, intrinsics: [1, 1, 1, 1], columns: 2, factor }, 0, 2);
    backend = name;
    return true;
  } catch (error) {
    if (last) throw new Failure("The network cannot run here", String(error.message ?? error), "Try a recent browser, or one with more free memory.");
    return false;
  }
}

async function draw(wanted) {
  stopping = false;
  const began = performance.now();
  let pixels;
  try {
    pixels = await picture(wanted);
  } catch (error) {
    // Graphics cards go away, for example when a laptop wakes up.
    if (backend !== "webgpu") throw error;
    await start("wasm", true);
    self.postMessage({ opened: backend, threads: ort.env.wasm.numThreads });
    pixels = await picture(wanted);
  }
  if (!pixels) return self.postMessage({ stopped: true });
  const time = performance.now() - began;
  self.postMessage({ drawn: pixels, size: wanted.size, time }, [pixels.buffer]);
}

/** Red, green, blue and opacity of a picture in bytes; null where it was stopped. */
async function picture({ pose, intrinsics, size, refining }) {
  const [width, height] = size;
  const columns = Math.ceil(width / factor), rows = Math.ceil(height / factor);
  const camera = { pose, intrinsics, columns, factor };
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let row = 0; row < rows;) {
    // A network that makes blocks looks at the neighbours of each, so its pictures are made at once.
    const count = factor > 1 ? rows : Math.min(rows - row, Math.max(1, Math.floor(band / columns)));
    const began = performance.now();
    const rgb = await answers(camera, row, count);
    const pace = (count * columns) / Math.max(1, performance.now() - began);
    band = Math.min(LARGEST_BAND, Math.max(FIRST_BAND, pace * BAND_TIME));
    write(rgb, columns * factor, row * factor, pixels, width, Math.min(height, (row + count) * factor));
    row += count;
    if (refining && row < rows) {
      await messagesAreRead();
      if (stopping) return null;
    }
  }
  return pixels;
}

async function answers(camera, firstRow, rows) {
  const shape = [rows, camera.columns, 3];
  const { origins, directions } = rays(camera, firstRow, rows);
  const { rgb } = await session.run({
    origins: new ort.Tensor("float32", origins, shape),
    directions: new ort.Tensor("float32", directions, shape),
  });
  const data = await rgb.getData();
  rgb.dispose();
  return data;
}

/** Copy colours into rows [top, bottom) of a picture; what lies beyond its right border is left out. */
function write(rgb, stride, top, pixels, width, bottom) {
  for (let y = top; y < bottom; y++) {
    for (let x = 0, from = (y - top) * stride * 3, to = y * width * 4; x < width; x++, from += 3, to += 4) {
      pixels[to] = 255 * rgb[from];
      pixels[to + 1] = 255 * rgb[from + 1];
      pixels[to + 2] = 255 * rgb[from + 2];
    }
  }
}

function messagesAreRead() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); resolve(); };
    port2.postMessage(0);
  });
}

class Failure extends Error {
  constructor(what, why, cure) {
    super(what);
    Object.assign(this, { what, why, cure });
  }
}

function explained(error) {
  return error instanceof Failure
    ? { what: error.what, why: error.why, cure: error.cure }
    : { what: "The picture cannot be drawn", why: String(error.message ?? error), cure: "Reload the page." };
}
