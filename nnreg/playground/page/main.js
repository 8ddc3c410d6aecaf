// The page: it sends messages to the engine, and shows the replies.

import { connect, decode } from "./engine.js";
import { element, label, makeKnobs } from "./knobs.js";
import { hidePhases, showPhase } from "./phase.js";
import { format, nearest, readTheme } from "./pictures.js";
import { makeShare } from "./share.js";
import { text, texts } from "./texts.js";
import { view, drawAll, drawFast, drawNumbers, describe } from "./view.js";

const find = (id) => document.getElementById(id);
const FAST = { grid: 50, units: 20, links: 1, mask: 1 };
const SLOW = { ...FAST, curves: 1, histogram: 31, inputs: 1 };
const SPEEDS = { slow: { steps: 1, wait: 500 }, normal: { steps: 1 }, fast: { steps: 20 },
  fastest: { steps: 10000 } };
const MAX_FILE = 4e6, MAX_ADDRESS = 200_000, MAX_REPLAY = 1e6; // bytes, characters, steps
const REPLAY = { do: "play", steps: 5000, ms: 60 };

let engine, knobs, share;
let playing = false, running = false; // what the button says, and whether the loop has ended
let page = { locked: [], question: "", speed: "fast" };

const wanted = (want) => (find("spread").checked ? { ...want, spread: want === FAST ? undefined : 30 }
  : want);
const frame = () => new Promise(requestAnimationFrame);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function say(key, values = {}) {
  find("status").textContent = text(`status.${key}`, values);
}

function alarm(message, cure = false) {
  find("alarm").hidden = !message;
  find("alarm").firstElementChild.textContent = message ?? "";
  find("alarm").lastElementChild.hidden = !cure;
}

// --- Replies ---------------------------------------------------------------------------------------

function decodeAll(part) {
  if (!part || typeof part !== "object") return part;
  if ("f32" in part || "u8" in part) return decode(part);
  if (Array.isArray(part)) return part.map(decodeAll);
  return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, decodeAll(each)]));
}

// Take over a reply; return false if it is an error, which is shown.
function take(reply) {
  if (reply.error) {
    alarm(reply.error.message);
    if (knobs) knobs.refresh(latest(), page.locked);
    return false;
  }
  if (reply.layout && view.status?.epoch > 0) {
    const { curves } = view.pictures;
    view.previous = { status: view.status, curves };
  }
  for (const name of ["choices", "presets", "settings", "layout", "status", "preset"]) {
    if (name in reply) view[name] = reply[name];
  }
  if (reply.data) {
    view.data = decodeAll(reply.data);
    view.data.train.name = "train";
    view.data.val.name = "val";
    view.pictures = {};
  }
  Object.assign(view.pictures, decodeAll(reply.pictures ?? {}));
  return true;
}

async function send(message) {
  try {
    return await engine.send(message);
  } catch (error) {
    playing = false;
    const message = error instanceof TypeError ? text("status.gone") : error.message;
    return { error: { message } };
  }
}

let waiting = 0; // messages without a reply yet

// Send a message, take its reply over, and draw everything.
async function act(message, after) {
  alarm();
  document.body.ariaBusy = Boolean(++waiting);
  const reply = await send({ ...message, want: { ...wanted(SLOW), verdict: 1 } });
  document.body.ariaBusy = Boolean(--waiting);
  if (message.knobs === sent) sent = null;
  if (!take(reply)) return false;
  if (reply.settings) knobs.refresh(latest(), page.locked);
  if (reply.layout) begin(message);
  if (reply.phase) {
    showPhase(reply.phase);
    say("phase", { ...reply.phase, name: text(`phase.names.${reply.phase.name}`) });
  } else if (!/^(set|state|judge|export)$/.test(message.do)) {
    hidePhases();
  }
  showStopped();
  after?.(reply);
  drawAll();
  if (!playing && !view.status.replaying && !(reply.phase?.number < 5)) await writeAddress();
  return reply;
}

// What a new run changes in the page.
function begin(message) {
  hidePhases();
  if (message.do === "restore") view.preset = null;
  if (message.do === "preset" || message.do === "restore") view.previous = null;
  showLesson();
  const names = view.layout.parameters.filter((each) => each.shape.length === 2);
  find("weight").elements.parameter.replaceChildren(...names.map(({ name }) => new Option(name)));
  limitWeight();
  find("points").hidden = view.settings.data !== "points";
  share.reset();
}

// A weight is chosen among those of its array.
function limitWeight() {
  const { parameter, from, to } = find("weight").elements;
  const { shape } = view.layout.parameters.find(({ name }) => name === parameter.value);
  [from.max, to.max] = [shape[0] - 1, shape[1] - 1];
}

function showStopped() {
  const { stopped } = view.status;
  if (stopped) alarm(stopped.message, stopped.why === "diverged" && !isLocked("learning_rate"));
}

const isLocked = (name) => page.locked.includes(name);

function numbers() {
  const { status } = view;
  return { epoch: status.epoch, step: status.step, train: format(status.train),
    val: format(status.val), penalty: format(status.penalty) };
}

// --- Training --------------------------------------------------------------------------------------

// Begin or pause. A click that comes before the loop has ended continues it.
async function play() {
  playing = !playing;
  buttons();
  if (running) return;
  running = true;
  while (playing) await train();
  running = false;
  buttons();
}

async function train() {
  alarm();
  hidePhases();
  say("playing");
  let drawn = performance.now(), pictures = 60;
  const aim = view.preset && view.status.step < view.preset.steps ? view.preset.steps : Infinity;
  let reached = false;
  const ask = (count) => { // the reply is taken over when it comes, in the order of the messages
    const { steps, wait } = SPEEDS[page.speed];
    const ms = pictures > 40 ? 10 : 40; // on a slow computer fewer pictures, not fewer steps
    const left = Math.min(steps, aim - view.status.step);
    const want = count % 12 ? FAST : { ...wanted(SLOW), verdict: count % 60 ? undefined : 1 };
    return Promise.all([send({ do: "play", steps: left, ms, want }).then(take), wait && sleep(wait)]);
  };
  let taken = true, reply = ask(0);
  for (let count = 1; playing; count++) {
    [taken] = await reply;
    reached = view.status.step >= aim;
    if (!taken || !playing || view.status.stopped || reached) break;
    reply = ask(count); // the engine computes the next picture while this one is drawn
    const now = performance.now();
    pictures += 0.05 * (1000 / (now - drawn) - pictures);
    drawn = now;
    drawFast();
    if (count % 12 === 1) drawAll(false);
    if (count % 30 === 1) writeAddress(); // after a reload the run goes on from here
    find("counters").textContent = text("run.counters", { epoch: view.status.epoch,
      step: view.status.step, rate: Math.round(view.status.steps_per_second),
      pictures: Math.round(pictures) });
    await frame();
  }
  if (!taken || view.status.stopped || reached) playing = false; // and not by a click
  buttons();
  await reply; // of the message that was sent ahead
  if (!taken) return;
  if (!await act({ do: "state" })) return;
  if (reached) say("suggested", { steps: aim });
  else say("paused", numbers());
}

function buttons() {
  for (const id of ["play", "reset"]) find(id).disabled = false;
  for (const id of ["epoch", "batch", "phase"]) find(id).disabled = playing || running;
  find("play").textContent = text(playing ? "run.pause" : "run.play");
}

async function pause() {
  for (; running; await sleep(5)) playing = false;
}

async function step(what) {
  if (await act({ do: what }) && what !== "phase") say("paused", numbers());
}

async function reset() {
  await pause();
  if (await act({ do: "reset" })) say("ready", numbers());
}

let sent = null, pending = {}; // settings without a reply yet, and those that wait for it

const latest = () => ({ ...view.settings, ...sent, ...pending });

async function change(settings) {
  Object.assign(pending, settings);
  while (!sent && Object.keys(pending).length) {
    [sent, pending] = [pending, {}];
    const names = Object.keys(sent).map(label).join(", ");
    const reply = await act({ do: "set", knobs: sent });
    if (reply && reply.reset) say("anew", { knob: names });
  }
}

// Replace data that have to be given first: the points of the data that are shown, or a file.
function changeKnobs(settings) {
  if (settings.data === "points" && !view.settings.points.length) return editPoints();
  if (settings.data === "csv" && !view.settings.csv) {
    knobs.refresh(latest(), page.locked);
    find("file").click();
    return undefined;
  }
  return change(settings);
}

function editPoints() {
  const { train, val, inputs, regression } = view.data;
  let made = [[-1, -1, 0], [1, 1, 0], [-0.8, -0.9, 0], [-1, 1, 1], [1, -1, 1], [0.9, -0.8, 1]];
  if (inputs === 2 && !regression) { // every third point is a validation point
    const at = (part, row) => [part.x[2 * row], part.x[2 * row + 1], part.y[row]];
    const pairs = Math.min(Math.floor(train.y.length / 2), val.y.length, 100);
    made = Array.from({ length: pairs }, (_, i) =>
      [at(train, 2 * i), at(train, 2 * i + 1), at(val, i)]).flat();
  }
  return change({ data: "points", points: made });
}

async function readFile(file) {
  if (file?.size > MAX_FILE) alarm(text("own_data.long"));
  if (!file || file.size > MAX_FILE) return;
  const csv = await file.text();
  await change({ data: "csv", csv });
  if (view.settings.csv !== csv && view.settings.regression && !isLocked("regression")) {
    await change({ data: "csv", csv, regression: false }); // after a file whose target is a number
  }
}

// --- Lessons, assignments and the address ------------------------------------------------------------

async function openPreset(name) {
  await pause();
  if (await act({ do: "preset", name })) say("ready", numbers());
}

function showLesson() {
  const name = view.preset?.name, lesson = name && texts.presets[name];
  find("preset").value = name ?? "";
  find("lesson").hidden = !lesson || Boolean(page.question);
  if (!lesson) return;
  find("lesson").children[0].textContent = lesson.title;
  find("lesson").children[1].textContent = lesson.text;
  const cures = Object.entries(view.preset.cures)
    .filter(([, settings]) => !Object.keys(settings).some(isLocked));
  find("cures").replaceChildren(...cures.map(([key, settings]) => element("button", { "data-cure": key, click: () => cure(settings) }, text(`cures.${key}`))));
}

// Train again from step 0 with one cure, without the others, so that two runs can be compared.
async function cure(settings) {
  const { preset } = view, usual = { ...view.choices.defaults, ...preset.settings };
  const names = Object.values(preset.cures).flatMap(Object.keys);
  await pause();
  if (!await act({ do: "set", knobs: { ...Object.fromEntries(names.filter((name) => !isLocked(name))
    .map((name) => [name, usual[name]])), ...settings } })) return;
  if (view.status.step > 0 && !await act({ do: "reset" })) return;
  view.preset = preset;
  if (!playing) await play();
}

function showAssignment() {
  find("question").hidden = !page.question;
  find("question").lastElementChild.textContent = page.question;
  find("assignment").hidden = Boolean(page.question || page.locked.length);
  find("preset").disabled = isLocked("preset");
  for (const id of ["own-csv", "own-points"]) find(id).disabled = isLocked("data");
  for (const input of find("points").elements) input.disabled = isLocked("data");
  knobs.refresh(view.settings, page.locked);
}

// The part of the address after #; null if there is none.
async function address(shown = page) {
  const { state } = await send({ do: "state" });
  return state ? `#${encodeURIComponent(JSON.stringify({ state, page: shown,
    preset: view.preset?.name }))}` : null;
}

async function writeAddress() {
  const hash = await address();
  const long = hash?.length > MAX_ADDRESS || view.status.step > MAX_REPLAY;
  find("long").hidden = !long;
  if (hash) window.history.replaceState(null, "", long ? "#" : hash);
}

// Return the preset and the run that an address names; an error if it cannot be read.
function readAddress(part) {
  const hash = decodeURIComponent(part.slice(1));
  if (!hash || hash.startsWith("preset=")) return { message: hash
    ? { do: "preset", name: hash.slice(7) } : { do: "restore", state: {} } };
  const { state, preset, page: shown } = JSON.parse(hash);
  return { message: { do: "restore", state }, name: preset?.name ?? preset, shown };
}

async function openAddress(part) {
  await pause();
  let saved = {}, failure = "";
  try {
    saved = readAddress(part);
    if (!await act(saved.message)) {
      failure = text("status.refused", { why: find("alarm").firstElementChild.textContent });
    }
  } catch {
    failure = text("status.unreadable");
  }
  if (failure) {
    saved = {};
    if (await act({ do: "restore", state: {} })) alarm(failure);
  }
  const { locked, question, speed } = saved.shown ?? {};
  page = { locked: Array.isArray(locked) ? locked : [], question: String(question ?? ""),
    speed: Object.hasOwn(SPEEDS, speed) ? speed : page.speed };
  if (Object.hasOwn(view.presets, saved.name)) {
    view.preset = { name: saved.name, ...view.presets[saved.name] };
  }
  showLesson();
  showAssignment();
  find("speed").value = page.speed;
  const end = view.status.step + view.status.replaying;
  while (view.status.replaying) {
    say("replaying", { left: view.status.replaying });
    if (!take(await send(REPLAY))) return;
    drawNumbers();
  }
  if (!failure) await act({ do: "state" });
  say(end && view.status.step === end ? "restored" : "ready", numbers());
}

// --- The parts of the page ---------------------------------------------------------------------------

function listen() {
  find("play").onclick = play;
  for (const what of ["epoch", "batch", "phase"]) find(what).onclick = () => step(what);
  find("reset").onclick = reset;
  find("preset").onchange = () => {
    if (find("preset").value) return openPreset(find("preset").value);
    view.preset = null;
    showLesson();
    return writeAddress();
  };
  find("speed").onchange = () => { page.speed = find("speed").value; };
  find("log").onchange = () => { view.logarithmic = find("log").checked; drawAll(); };
  find("spread").onchange = () => { view.pictures.spread = null; act({ do: "state" }); };
  find("judge").onclick = async () => {
    find("judge").disabled = true;
    const reply = await act({ do: "judge" },
      ({ verdict }) => { view.pictures.verdict = verdict; });
    if (reply) say(reply.verdict.judged ? "judging" : "unjudged");
    find("judge").disabled = false;
  };
  find("alarm").lastElementChild.onclick = async () => {
    if (await act({ do: "set", knobs: { learning_rate: view.settings.learning_rate / 10 } })) {
      await reset();
    }
  };

  const weight = find("weight").elements;
  weight.parameter.onchange = limitWeight;
  find("weight").onsubmit = (event) => {
    event.preventDefault();
    const { shape, start } = view.layout.parameters.find(({ name }) => name === weight.parameter.value);
    const index = start + Number(weight.from.value) * shape[1] + Number(weight.to.value);
    change({ weight: [index, Number(weight.value.value)] });
  };
  find("network").onclick = ({ offsetX, offsetY }) => {
    const link = nearest(view.links, offsetX, offsetY);
    if (!link) return;
    Object.assign(weight.parameter, { value: link.name });
    for (const [name, value] of [["from", link.i], ["to", link.j], ["value", link.value]]) {
      weight[name].value = value;
    }
    limitWeight();
    weight.value.focus();
  };

  const point = find("points").elements;
  const add = (x1, x2) => find("points").reportValidity() && change({ points: [
    ...latest().points, [x1, x2, Number(point.class.value)]] });
  find("points").onsubmit = (event) => {
    event.preventDefault();
    add(Number(point.x1.value), Number(point.x2.value));
  };
  find("undo").onclick = () => change({ points: latest().points.slice(0, -1) });
  find("regions").onclick = ({ offsetX, offsetY, target }) => {
    if (view.settings.data !== "points" || isLocked("data")) return;
    const [[x0, x1], [y0, y1]] = view.data.box;
    add(x0 + (x1 - x0) * offsetX / target.clientWidth,
      y1 - (y1 - y0) * offsetY / target.clientHeight);
  };

  const file = element("input", { id: "file", type: "file", accept: ".csv,text/csv", hidden: true,
    change: () => { readFile(file.files[0]); file.value = ""; } }); // the same file again, too
  find("group-data").append(file, element("div", { class: "row", "data-own": "" },
    element("button", { type: "button", id: "own-csv", click: () => file.click() },
      text("own_data.csv")),
    element("button", { type: "button", id: "own-points", click: editPoints },
      text("own_data.points"))));
  document.ondragover = (event) => event.preventDefault();
  document.ondrop = (event) => {
    event.preventDefault();
    if (!isLocked("data")) readFile(event.dataTransfer.files[0]);
  };

  const redraw = () => { readTheme(); drawAll(); };
  window.matchMedia("(prefers-color-scheme: dark)").onchange = redraw;
  window.onresize = redraw;
  window.onhashchange = ({ newURL }) => openAddress(new URL(newURL).hash);
  setInterval(() => playing && describe(), 3000);
}

async function start() {
  for (const each of document.querySelectorAll("[data-text]")) {
    each.textContent = text(each.dataset.text);
  }
  document.title = text("title");
  document.querySelector("[data-lock=preset]").ariaLabel = `${text("layer.lock")}: ${label("preset")}`;
  find("question-text").ariaLabel = text("assignment.question");
  find("address").ariaLabel = text("assignment.address");
  readTheme();
  buttons();
  for (const id of ["play", "epoch", "batch", "phase", "reset"]) find(id).disabled = true;
  try {
    engine = await connect((what) => {
      find("engine").textContent = text("engine.loading", { what });
    });
  } catch (error) {
    return alarm(error.message);
  }
  find("engine").textContent = text(`engine.${engine.kind}`);
  const reply = await send({ do: "hello" });
  if (!take(reply)) return undefined;
  knobs = makeKnobs(view.choices, view.settings, changeKnobs);
  share = makeShare({ send, address: (shown) => address({ ...page, ...shown }), say, alarm,
    locked: knobs.locked });
  find("preset").append(new Option(text("own"), ""), ...Object.keys(view.presets).map((name) =>
    new Option(texts.presets[name]?.title ?? name, name)));
  find("speed").append(...Object.keys(SPEEDS).map((name) =>
    new Option(text(`run.speeds.${name}`), name)));
  find("speed").value = page.speed;
  listen();
  buttons();
  await openAddress(window.location.hash);
  document.body.dataset.ready = "";
  return undefined;
}

start();
