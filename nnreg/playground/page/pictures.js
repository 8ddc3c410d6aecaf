// Pictures, each drawn on a canvas from arrays of the engine; nothing is computed by a network here.

import { text } from "./texts.js";

// Okabe and Ito's colors, which differ with every kind of color blindness, and two more.
export const CLASSES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00",
  "#F0E442", "#999999", "#882255", "#44AA99"];
const POSITIVE = CLASSES[0], NEGATIVE = CLASSES[1];
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const mix = (from, to, share) => from.map((value, k) => value + (to[k] - value) * share);

let theme = {};
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  theme = Object.fromEntries(["paper", "ink", "line", "grey", "train", "val", "positive", "negative"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  const light = Number(style.getPropertyValue("--light"));
  theme.classes = CLASSES.map((color) => `rgb(${mix(rgb(color), [255, 255, 255], light)})`);
  theme.ramps = Object.fromEntries(CLASSES.map((color) => [color, ramp(rgb(theme.paper), rgb(color))]));
}

// 256 colors between two, each as the 32 bits of a pixel
function ramp(from, to) {
  const pixels = new Uint8ClampedArray(1024);
  for (let k = 0; k < 256; k++) pixels.set([...mix(from, to, k / 255), 255], 4 * k);
  return new Uint32Array(pixels.buffer);
}

// Prepare a canvas of this height in CSS pixels; return its context, width and height.
function prepare(canvas, height) {
  const width = canvas.clientWidth, scale = window.devicePixelRatio || 1;
  const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
    canvas.style.height = `${height}px`;
  }
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "12px system-ui, sans-serif";
  g.textBaseline = "middle";
  return [g, width, height];
}

const scratch = document.createElement("canvas");
// Draw an image of columns × rows pixels into a rectangle; color(i) returns a color of a ramp.
function image(g, columns, rows, color, left, top, width, height, flip = true, smooth = true) {
  if (scratch.width !== columns || scratch.height !== rows) {
    scratch.width = columns;
    scratch.height = rows;
  }
  const pen = scratch.getContext("2d", { willReadFrequently: true });
  const pixels = pen.createImageData(columns, rows), colors = new Uint32Array(pixels.data.buffer);
  for (let row = 0, i = 0; row < rows; row++) {
    let at = columns * (flip ? rows - 1 - row : row);
    for (let column = 0; column < columns; column++) colors[at++] = color(i++);
  }
  pen.putImageData(pixels, 0, 0);
  g.imageSmoothingEnabled = smooth;
  g.drawImage(scratch, left, top, width, height);
}

function signed(value, largest) { // -1..1: orange, background, blue
  const share = largest ? Math.min(1, Math.abs(value) / largest) : 0;
  return theme.ramps[value >= 0 ? POSITIVE : NEGATIVE][Math.round(255 * share)];
}

function marker(g, kind, x, y, size) {
  g.beginPath();
  if (kind === 0) g.arc(x, y, size, 0, 7);
  else if (kind === 1) g.rect(x - size * 0.9, y - size * 0.9, 1.8 * size, 1.8 * size);
  else {
    const corners = kind === 2 ? [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]]
      : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
    corners.forEach(([dx, dy], k) => g[k ? "lineTo" : "moveTo"](x + size * dx, y + size * dy));
    g.closePath();
  }
}

function points(g, part, place, wrong = [], regression = false) {
  const filled = part.name === "train";
  for (let row = 0; row < part.y.length; row++) {
    const [x, y] = place(row);
    const color = regression ? theme[part.name] : theme.classes[part.y[row] % 10];
    marker(g, regression ? 0 : part.y[row] % 4, x, y, filled ? 3.6 : 3);
    g.fillStyle = color;
    g.lineWidth = filled ? 1 : 1.4;
    g.strokeStyle = filled ? theme.paper : color;
    if (filled) g.fill();
    g.stroke();
    if (wrong.includes(row)) {
      g.strokeStyle = theme.ink;
      g.lineWidth = 1.4;
      g.beginPath();
      g.moveTo(x - 5, y - 5); g.lineTo(x + 5, y + 5);
      g.moveTo(x + 5, y - 5); g.lineTo(x - 5, y + 5);
      g.stroke();
    }
  }
}

function frame(g, width, height, [[x0, x1], [y0, y1]]) {
  g.strokeStyle = theme.line;
  g.lineWidth = 1;
  g.strokeRect(0.5, 0.5, width - 1, height - 1);
  g.fillStyle = theme.ink;
  g.font = "11px system-ui, sans-serif";
  for (const [value, x, y, align] of [[x0, 4, height - 8, "left"], [x1, width - 4, height - 8,
    "right"], [y1, 4, 10, "left"], [y0, 4, height - 22, "left"]]) {
    g.textAlign = align;
    g.fillText(format(value, 2), x, y);
  }
}

// The output of a network with two inputs: classes with their probability, or values.
export function regions(canvas, grid, data, spread) {
  const [g, width, height] = prepare(canvas, canvas.clientWidth);
  const size = grid.size;
  if (spread) {
    const values = spread.values ?? spread.std;
    const most = spread.values ? 255 : Math.max(...values);
    image(g, spread.size, spread.size, (i) => signed(values[i], most), 0, 0, width, height);
  } else if (grid.values) {
    const largest = grid.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    image(g, size, size, (i) => signed(grid.values[i], largest), 0, 0, width, height);
  } else {
    const least = 1 / Math.max(2, data.outputs); // the confidence of a guess
    const ramps = CLASSES.map((color) => theme.ramps[color]);
    const shares = Uint8Array.from({ length: 256 }, (_, confidence) =>
      255 * (0.12 + 0.55 * Math.max(0, (confidence / 255 - least) / (1 - least))));
    image(g, size, size, (i) => ramps[grid.class[i] % 10][shares[grid.confidence[i]]], 0, 0, width,
      height);
  }
  const [[x0, x1], [y0, y1]] = data.box;
  for (const part of [data.val, data.train]) {
    points(g, part, (row) => [(part.x[2 * row] - x0) / (x1 - x0) * width,
      height - (part.x[2 * row + 1] - y0) / (y1 - y0) * height],
    part.name === "train" ? data.train.wrong : [], data.regression);
  }
  frame(g, width, height, data.box);
}

// The output of a network with one input, with the band of Monte-Carlo dropout.
export function line(canvas, grid, data, spread) {
  const [g, width, height] = prepare(canvas, canvas.clientWidth * 0.75);
  const [[x0, x1]] = data.box;
  const ys = [...data.train.y, ...data.val.y], [least, most] = [Math.min(...ys), Math.max(...ys)];
  const [y0, y1] = [least - 0.1 * (most - least), most + 0.1 * (most - least)];
  const across = (x) => (x - x0) / (x1 - x0) * width;
  const up = (y) => height - (y - y0) / (y1 - y0) * height;
  if (spread) {
    const at = (i) => x0 + (x1 - x0) * i / (spread.size - 1);
    g.beginPath();
    for (const sign of [2, -2]) {
      for (let k = 0; k < spread.size; k++) {
        const i = sign > 0 ? k : spread.size - 1 - k;
        g.lineTo(across(at(i)), up(spread.mean[i] + sign * spread.std[i]));
      }
    }
    g.globalAlpha = 0.25;
    g.fillStyle = theme.train;
    g.fill();
    g.globalAlpha = 1;
  }
  for (const part of [data.val, data.train]) {
    points(g, part, (row) => [across(part.x[row]), up(part.y[row])], [], true);
  }
  g.beginPath();
  grid.x.forEach((x, i) => g.lineTo(across(x), up(grid.y[i])));
  g.strokeStyle = theme.ink;
  g.lineWidth = 2;
  g.stroke();
  frame(g, width, height, [[x0, x1], [y0, y1]]);
}

// The norm of the weights of each input, relevant inputs dark.
export function bars(canvas, norms, relevant, names) {
  const [g, width, height] = prepare(canvas, 170);
  const most = Math.max(...norms) || 1, step = (width - 10) / norms.length;
  g.textAlign = "center";
  norms.forEach((norm, i) => {
    const tall = norm / most * (height - 40);
    g.fillStyle = !relevant || relevant.includes(i) ? theme.positive : theme.grey;
    g.fillRect(5 + step * i + 1, height - 20 - tall, Math.max(1, step - 2), tall);
    g.fillStyle = theme.ink;
    if (norm === 0) g.fillText("0", 5 + step * (i + 0.5), height - 28);
    if (i % Math.ceil(22 / step) === 0) g.fillText(names[i], 5 + step * (i + 0.5), height - 9);
  });
}

const MOST = 12; // units of a layer that are drawn; of the inputs 20

// The network: links by weight, each unit with its picture. Returns the links with their places.
export function network(canvas, layout, vector, { units, mask, data }) {
  const tallest = Math.min(12, Math.max(...layout.widths));
  const [g, width, height] = prepare(canvas, Math.max(160, 40 * tallest + 20));
  const weights = layout.parameters.filter((each) => each.shape.length === 2);
  const columns = layout.widths.map((count, column) => {
    const many = Math.min(count, column ? MOST : 20), gap = Math.min(46, (height - 24) / many);
    const x = 34 + (width - 78) * column / (layout.widths.length - 1);
    return Array.from({ length: many },
      (_, i) => ({ x, y: (height - 12) / 2 + gap * (i - (many - 1) / 2), size: gap - 8 }));
  });
  const size = Math.min(34, ...columns.flat().map((node) => node.size), 0.6 * width / columns.length);
  let largest = 0;
  for (const { shape, start } of weights) {
    for (let i = 0; i < shape[0] * shape[1]; i++) largest = Math.max(largest, Math.abs(vector[start + i]));
  }
  const links = [];
  weights.forEach(({ name, shape, start }, column) => {
    columns[column].forEach((from, i) => columns[column + 1].forEach((to, j) => {
      const index = start + i * shape[1] + j, value = vector[index];
      links.push({ name, i, j, index, value, x0: from.x + size / 2, y0: from.y, x1: to.x - size / 2,
        y1: to.y });
      if (value === undefined) return;
      g.beginPath();
      g.moveTo(from.x + size / 2, from.y);
      g.lineTo(to.x - size / 2, to.y);
      g.setLineDash(value === 0 ? [2, 4] : []);
      g.strokeStyle = value === 0 ? theme.grey : value > 0 ? theme.positive : theme.negative;
      g.lineWidth = value === 0 ? 1 : 0.3 + 4.5 * Math.abs(value) / (largest || 1);
      g.stroke();
    }));
  });
  g.setLineDash([]);
  columns.forEach((nodes, column) => {
    const hidden = column - 1 < columns.length - 2 && column > 0;
    const pictures = hidden ? units?.[column - 1] : null;
    nodes.forEach(({ x, y }, i) => {
      const left = x - size / 2, top = y - size / 2;
      g.fillStyle = theme.paper;
      g.fillRect(left, top, size, size);
      if (pictures) unitPicture(g, pictures, i, left, top, size);
      else if (column === 1 && layout.widths[0] === 64 && hidden) {
        const { shape: [, many], start } = weights[0];
        image(g, 8, 8, (k) => signed(vector[start + k * many + i], largest), left, top, size, size,
          false, false);
      }
      const off = hidden && mask?.[column - 1]?.[i] === 0;
      g.strokeStyle = off ? theme.val : theme.ink;
      g.lineWidth = off ? 2 : 1;
      g.strokeRect(left, top, size, size);
      if (off) {
        g.beginPath();
        g.moveTo(left, top); g.lineTo(left + size, top + size);
        g.moveTo(left + size, top); g.lineTo(left, top + size);
        g.stroke();
      }
      g.fillStyle = theme.ink;
      const caption = column === 0 ? data.names[i] : hidden ? "" : data.classes[i] ?? "y";
      g.textAlign = "center";
      if (caption) g.fillText(String(caption).replace("pixel ", ""), x, y, size - 2);
    });
    if (layout.widths[column] > nodes.length) {
      g.textAlign = "center";
      g.fillText(text("network.more", { count: layout.widths[column] - nodes.length }),
        nodes[0].x, height - 7);
    }
  });
  return links;
}

function unitPicture(g, { units, values }, unit, left, top, size) {
  const count = values.length / units, side = Math.round(Math.sqrt(count));
  const at = (i) => (values[unit * count + i] - 128) / 127;
  if (side * side === count && side > 6) {
    image(g, side, side, (i) => signed(at(i), 1), left, top, size, size);
    return;
  }
  g.beginPath();
  for (let i = 0; i < count; i++) {
    g.lineTo(left + size * i / (count - 1), top + size / 2 - at(i) * size * 0.45);
  }
  g.strokeStyle = theme.positive;
  g.lineWidth = 1.5;
  g.stroke();
}

// The link nearest to a place of the picture of the network, at most 8 pixels away.
export function nearest(links, x, y) {
  let found = null, least = 8;
  for (const link of links) {
    const [dx, dy] = [link.x1 - link.x0, link.y1 - link.y0];
    const along = ((x - link.x0) * dx + (y - link.y0) * dy) / (dx * dx + dy * dy);
    if (along < 0 || along > 1) continue;
    const away = Math.hypot(x - link.x0 - along * dx, y - link.y0 - along * dy);
    if (away < least) [found, least] = [link, away];
  }
  return found;
}

// Curves over epochs: series of {label, x, y, color (a name of the theme), dash}.
export function curves(canvas, series, logarithmic, best) {
  const [g, width, height] = prepare(canvas, 210);
  const scale = logarithmic ? (y) => Math.log10(Math.max(y, 1e-6)) : (y) => y;
  const ys = series.flatMap(({ y }) => [...y]).filter((y) => Number.isFinite(y)
    && (!logarithmic || y > 0)).map(scale).sort((a, b) => a - b);
  if (!ys.length) return;
  const low = logarithmic ? ys[0] : 0;
  const top = logarithmic ? ys.at(-1) : ys[Math.floor(0.99 * (ys.length - 1))] * 1.05;
  const high = Math.max(top, low + 1e-9);
  const last = Math.max(1, ...series.map(({ x }) => x.at(-1) ?? 0));
  const legend = 15 * Math.ceil(series.length / 2) + 4;
  const [left, bottom] = [44, height - 18];
  const across = (x) => left + (width - left - 6) * x / last;
  const up = (y) => bottom - (bottom - legend - 4) * (scale(y) - low) / (high - low);
  g.strokeStyle = theme.line;
  g.fillStyle = theme.ink;
  g.lineWidth = 1;
  for (let k = 0; k <= 3; k++) {
    const value = low + (high - low) * k / 3, y = bottom - (bottom - legend - 4) * k / 3;
    g.beginPath();
    g.moveTo(left, y);
    g.lineTo(width - 6, y);
    g.stroke();
    g.textAlign = "right";
    g.fillText(format(logarithmic ? 10 ** value : value, 2), left - 5, y);
    g.textAlign = k === 3 ? "right" : "center";
    const epoch = Math.round(last * k / 3);
    if (k === 0 || epoch !== Math.round(last * (k - 1) / 3)) {
      g.fillText(epoch, across(epoch), height - 7);
    }
  }
  g.save();
  g.beginPath();
  g.rect(left, legend - 2, width - left, bottom - legend + 3);
  g.clip();
  for (const { x, y, color, dash } of series) {
    g.beginPath();
    x.forEach((epoch, i) => { if (Number.isFinite(y[i])) g.lineTo(across(epoch), up(y[i])); });
    g.setLineDash(dash);
    g.strokeStyle = theme[color];
    g.lineWidth = 2;
    g.stroke();
  }
  g.restore();
  if (best !== undefined) {
    g.setLineDash([2, 2]);
    g.strokeStyle = theme.ink;
    g.beginPath();
    g.moveTo(across(best), legend);
    g.lineTo(across(best), bottom);
    g.stroke();
    g.textAlign = "left";
    g.fillText(text("curves.best"), across(best) + 3, legend + 8);
  }
  series.forEach(({ label, color, dash }, k) => {
    const [x, y] = [4 + (k % 2) * width * 0.46, 9 + 15 * Math.floor(k / 2)];
    g.setLineDash(dash);
    g.strokeStyle = theme[color];
    g.lineWidth = 2;
    g.beginPath();
    g.moveTo(x, y);
    g.lineTo(x + 22, y);
    g.stroke();
    g.setLineDash([]);
    g.textAlign = "left";
    g.fillText(label, x + 27, y, width * 0.46 - 30);
  });
}

// The histogram of the weights, and beside it those that are exactly 0; the twin's as outlines.
export function histogram(canvas, { low, high, counts, zeros, twin_counts: twin }) {
  const [g, width, height] = prepare(canvas, 130);
  const most = Math.max(1, ...counts, ...(twin ?? [])), step = (width - 12) / counts.length;
  counts.forEach((count, i) => {
    const tall = (count / most) * (height - 34);
    g.fillStyle = theme.train;
    g.fillRect(6 + step * i, height - 18 - tall, step - 1, tall);
    if (!twin) return;
    const other = (twin[i] / most) * (height - 34);
    g.strokeStyle = theme.val;
    g.lineWidth = 1.5;
    g.strokeRect(6.5 + step * i, height - 18 - other, step - 2, other);
  });
  g.fillStyle = theme.ink;
  g.textAlign = "left";
  g.fillText(format(low, 2), 6, height - 8);
  g.textAlign = "right";
  g.fillText(format(high, 2), width - 6, height - 8);
  g.textAlign = "center";
  g.fillText(text("histogram.zeros", { zeros }), width / 2, 8);
}

// A number with some significant digits; an integer as it is.
export function format(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(digits - 1)
    : String(Number(value.toPrecision(digits)));
}
