// The page: what is looked at, how finely it is drawn, and what the visitor does. See camera.js for the geometry and
// renderer.js for the network.
//
// For tests and pictures: ?view=0 shows one of the poses of scene.json, ?size=200x200 fixes the picture's size, and
// ?bench=20 measures frames per second; ?backend=wasm or webgpu takes no other. <html data-state> is loading, moving,
// still or error.

import { poseAt, resized, zoomed } from "./camera.js";

// Milliseconds a frame may take while the view moves, and how long it must rest before it is refined.
const FRAME_TIME = 45, REST = 120;
const COARSEST = 1 / 8;
// Levels of 255 by which the outline of a picture before a plain backdrop varies.
const PLAIN = 12;
const BACKENDS = { webgpu: "WebGPU", wasm: "CPU" };

const byId = (id) => document.getElementById(id);
const root = document.documentElement, canvas = byId("picture");
const query = new URLSearchParams(location.search);
const worker = new Worker("renderer.js", { type: "module" });

let scene;
const gaze = { yaw: 0, pitch: 0, zoom: 1 };
// What is being drawn, what the canvas shows, and what is known of the machine.
let busy = null, shown = { scale: 0, changes: -1 }, changes = 0, lastChange = 0;
let raysPerTime = 0, framesPerSecond = 0, device = "", timer = 0;

main().catch((error) => fail("This scene cannot be opened", error.message, "Copy the whole folder to the server."));

async function main() {
  worker.onerror = () => fail("A part of this page is missing", "renderer.js cannot be loaded.", "Copy the whole folder to the server, and use a recent browser.");
  worker.onmessage = ({ data }) => receive(data);
  const answer = await fetch("scene.json");
  if (!answer.ok) throw new Error(`scene.json: the server answers ${answer.status}.`);
  scene = await answer.json();
  byId("stage").textContent = "Loading the network";
  const address = new URL(scene.model, location.href).href;
  worker.postMessage({ open: address, factor: scene.factor, only: query.get("backend") });
}

function receive(message) {
  if (message.error) {
    fail(message.error.what, message.error.why, message.error.cure);
  } else if (message.progress !== undefined) {
    byId("progress").style.width = `${100 * message.progress}%`;
    if (message.progress === 1) byId("stage").textContent = "Starting the network";
  } else if (message.opened) {
    const threads = message.opened === "wasm" && message.threads > 1 ? ` × ${message.threads}` : "";
    device = BACKENDS[message.opened] + threads;
    root.dataset.backend = message.opened;
    if (!busy) begin();
  } else {
    finish(message);
  }
}

function begin() {
  if (query.has("bench")) return bench(Number(query.get("bench")) || 20);
  if (!query.has("view")) listen();
  draw();
}

// What is drawn

/** The size of the picture at rest: no more pixels than the window shows. */
function fullSize() {
  const given = /^(\d+)x(\d+)$/.exec(query.get("size") ?? "");
  if (given) return [Number(given[1]), Number(given[2])];
  const [width, height] = scene.size;
  const room = Math.min(canvas.clientWidth / width, canvas.clientHeight / height) * devicePixelRatio;
  return scaled(scene.size, Math.min(1, room));
}

function scaled([width, height], scale) {
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** The present camera for a picture of some size. */
function camera(size) {
  const view = scene.views[Number(query.get("view"))];
  if (query.has("view") && view) {
    return { pose: view.camera_to_world, intrinsics: resized(view.intrinsics, view.size, size), size };
  }
  const intrinsics = zoomed(resized(scene.intrinsics, scene.size, size), size, gaze.zoom);
  return { pose: poseAt(scene.navigation, gaze.yaw, gaze.pitch), intrinsics, size };
}

/** The largest scale at which the machine keeps up with a moving view. */
function movingScale() {
  const [width, height] = fullSize();
  if (!raysPerTime) return COARSEST;
  const affordable = Math.sqrt((raysPerTime * FRAME_TIME * scene.factor ** 2) / (width * height));
  return Math.min(1, Math.max(COARSEST, affordable));
}

/** Draw what is new, or refine what is shown; nothing where both are done. */
function draw() {
  if (busy) {
    if (busy.refining) worker.postMessage({ stop: true });
    return;
  }
  clearTimeout(timer);
  const fresh = shown.changes !== changes;
  const rest = lastChange + REST - performance.now();
  if (!fresh && shown.scale >= 1) return settle();
  if (!fresh && rest > 0) {
    timer = setTimeout(draw, rest);
    return;
  }
  const exact = query.has("view");
  const scale = exact ? 1 : fresh ? movingScale() : Math.min(1, 2 * shown.scale);
  busy = { scale, changes, refining: !fresh, began: performance.now() };
  if (fresh) root.dataset.state = "moving";
  worker.postMessage({ draw: { ...camera(scaled(fullSize(), scale)), refining: busy.refining } });
}

function finish(message) {
  const task = busy;
  busy = null;
  if (message.drawn) {
    show(message.drawn, message.size);
    const rays = (message.size[0] * message.size[1]) / scene.factor ** 2;
    raysPerTime = mixed(raysPerTime, rays / Math.max(1, message.time));
    // The first picture also prepares the machine.
    if (!task.refining && shown.scale) framesPerSecond = mixed(framesPerSecond, 1000 / (performance.now() - task.began));
    shown = { scale: task.scale, changes: task.changes };
    report(message.size);
    task.done?.();
  }
  if (!task.done) draw();
}

function mixed(old, value) {
  return old ? 0.7 * old + 0.3 * value : value;
}

function show(pixels, [width, height]) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  byId("loading").hidden = true;
}

function report([width, height]) {
  const pace = ` · ${framesPerSecond.toFixed(framesPerSecond < 10 ? 1 : 0)} fps`;
  byId("status").textContent = `${device} · ${width} × ${height}${framesPerSecond ? pace : ""}`;
}

/** A plain backdrop goes on around the first picture and all others; beside photographs the page stays dark. */
function tint() {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const outline = [[0, 0, width, 1], [0, height - 1, width, 1], [0, 0, 1, height], [width - 1, 0, 1, height]]
    .flatMap((side) => [...context.getImageData(...side).data]);
  const channels = [0, 1, 2].map((channel) => outline.filter((_, i) => i % 4 === channel).sort((a, b) => a - b));
  const at = (share) => channels.map((values) => values[Math.floor(share * (values.length - 1))]);
  const low = at(0.1), high = at(0.9);
  const plain = high.every((value, i) => value - low[i] <= PLAIN);
  canvas.style.background = plain ? `rgb(${at(0.5).join(" ")})` : "";
}

/** Everything that was asked for is on the canvas. */
function settle() {
  if (!root.dataset.drawn) tint();
  root.dataset.state = "still";
  root.dataset.drawn = `${canvas.width}x${canvas.height}`;
}

/** Frames per second at full size along a part of the allowed yaw, left in <html data-fps>. */
async function bench(frames) {
  const [low, high] = scene.navigation.yaw ?? [-Math.PI, Math.PI];
  let began = 0;
  for (let i = 0; i <= frames; i++) {
    gaze.yaw = low + ((high - low) * i) / frames;
    await new Promise((done) => {
      busy = { scale: 1, changes, refining: false, began: performance.now(), done };
      worker.postMessage({ draw: { ...camera(fullSize()), refining: false } });
    });
    // The first frame warms up.
    if (i === 0) began = performance.now();
  }
  framesPerSecond = (1000 * frames) / (performance.now() - began);
  root.dataset.fps = framesPerSecond.toFixed(2);
  report([canvas.width, canvas.height]);
  settle();
}

// What the visitor does

function listen() {
  const pointers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    canvas.classList.add("held");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    if (pointers.size === 1) {
      turn(event.clientX - before.clientX, event.clientY - before.clientY);
    } else {
      const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
      zoom(distance(event, other) / Math.max(1, distance(before, other)));
    }
    pointers.set(event.pointerId, event);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      pointers.delete(event.pointerId);
      canvas.classList.toggle("held", pointers.size > 0);
    });
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    // Mice count in lines of about 16 pixels, touchpads in pixels.
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 16 : 1) * 0.0015));
  }, { passive: false });
  canvas.addEventListener("dblclick", home);
  byId("home").addEventListener("click", home);
  byId("full").addEventListener("click", fullScreen);
  addEventListener("keydown", press);
  addEventListener("resize", changed);
}

function press(event) {
  const step = canvas.clientWidth / 40;
  const actions = {
    ArrowLeft: () => turn(step, 0), ArrowRight: () => turn(-step, 0),
    ArrowUp: () => turn(0, step), ArrowDown: () => turn(0, -step),
    "+": () => zoom(1.1), "-": () => zoom(1 / 1.1), Home: home, f: fullScreen,
  };
  if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

/** Turn as if the scene were held where the pointer went down: once across the picture is all of the range. */
function turn(x, y) {
  const { yaw, pitch } = scene.navigation;
  const side = Math.min(canvas.clientWidth, canvas.clientHeight) * gaze.zoom;
  const across = yaw ? yaw[1] - yaw[0] : Math.PI;
  gaze.yaw -= (x / side) * across;
  if (yaw) gaze.yaw = clamp(gaze.yaw, yaw);
  gaze.pitch = clamp(gaze.pitch + (y / side) * Math.min(across, Math.PI), pitch);
  changed();
}

function zoom(factor) {
  gaze.zoom = clamp(gaze.zoom * factor, scene.navigation.zoom);
  changed();
}

function home() {
  Object.assign(gaze, { yaw: 0, pitch: 0, zoom: 1 });
  changed();
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else root.requestFullscreen?.();
}

function changed() {
  changes++;
  lastChange = performance.now();
  byId("hint").classList.add("known");
  draw();
}

function clamp(value, [low, high]) {
  return Math.min(high, Math.max(low, value));
}

function distance(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}
