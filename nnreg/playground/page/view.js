// What is shown now, and how it is drawn: pictures, numbers and their descriptions in words.

import { element } from "./knobs.js";
import * as draw from "./pictures.js";
import { text } from "./texts.js";

const find = (id) => document.getElementById(id);
const format = draw.format;

export const view = { choices: null, presets: null, settings: null, data: null, layout: null,
  status: null, preset: null, pictures: {}, previous: null, links: [], logarithmic: false };

function show(id, shown) {
  find(id).hidden = !shown;
  return shown;
}

// The pictures that change with every step.
export function drawFast() {
  const { pictures, data, layout, settings } = view;
  const { grid, units, links, mask, spread, inputs } = pictures;
  if (!links) return;
  view.links = draw.network(find("network"), layout, links.vector, { units, mask, data });
  if (show("twin", links.twin)) {
    draw.network(find("twin"), layout, links.twin, { data });
  }
  let kind = "inputs";
  const uncertain = find("spread").checked && spread;
  const twin = show("twin-regions", settings.compare && (grid ? grid.twin : inputs && links.twin));
  if (grid && data.inputs === 1) {
    kind = "line";
    draw.line(find("regions"), grid, data, uncertain);
    if (twin) draw.line(find("twin-regions"), grid.twin, data);
  } else if (grid) {
    kind = uncertain ? "spread" : "regions";
    draw.regions(find("regions"), grid, data, uncertain);
    if (twin) draw.regions(find("twin-regions"), grid.twin, data);
  } else if (inputs) {
    draw.bars(find("regions"), [...inputs.norms], inputs.relevant, data.names);
    if (twin) draw.bars(find("twin-regions"), norms(links.twin), inputs.relevant, data.names);
  }
  view.kind = kind;
  find("outputs").classList.toggle("below", kind === "inputs");
}

function norms(vector) {
  const { shape: [inputs, units], start } = view.layout.parameters[0];
  return Array.from({ length: inputs }, (_, i) =>
    Math.hypot(...vector.subarray(start + i * units, start + (i + 1) * units)));
}

export function drawNumbers() {
  const { status, pictures, layout, previous } = view;
  const weights = (vector) => (vector ? Math.hypot(...vector.subarray(0, status.weights)) : null);
  const columns = { now: { ...status, norm: weights(pictures.links?.vector) } };
  if (status.twin) columns.twin = { epoch: status.epoch, ...status.twin, norm: weights(pictures.links?.twin) };
  if (previous) columns.previous = previous.status;
  const rows = ["epoch", "train", "val", "gap", "penalty", "total", "train_accuracy",
    "val_accuracy", "zeros", "norm"].filter((row) => row in status || /gap|norm/.test(row))
    .filter((row) => !row.endsWith("accuracy") || status[row] !== null);
  const cell = (row, column) => {
    const value = row === "gap" ? column.val - column.train : column[row];
    return element("td", {}, element("data", { value }, format(value)));
  };
  find("numbers").replaceChildren(element("caption", {}, text("numbers.caption")),
    element("thead", {}, element("tr", {}, element("td"), ...Object.keys(columns).map((name) =>
      element("th", { scope: "col" }, text(`numbers.${name}`))))),
    element("tbody", {}, ...rows.map((row) => element("tr", { "data-row": row },
      element("th", { scope: "row" }, text(`numbers.${row}`)),
      ...Object.values(columns).map((column) => cell(row, column))))));
  return layout;
}

function drawCurves() {
  const { curves } = view.pictures;
  if (!curves) return;
  const line = (name, color, dash, from = curves) => (from?.[name]?.length
    ? [{ label: text(`curves.${name}`), x: from.epochs, y: from[name], color, dash }] : []);
  const before = view.previous?.curves;
  const series = [...line("train", "train", []), ...line("val", "val", [6, 3]),
    ...(view.status.penalty || curves.penalty?.some((each) => each > 0)
      ? [...line("penalty", "grey", [2, 2]), ...line("total", "ink", [9, 3, 2, 3])] : []),
    ...line("twin_train", "positive", [1, 2]), ...line("twin_val", "negative", [1, 2]),
    ...(before?.val?.length ? [{ label: text("curves.previous"), x: before.epochs, y: before.val,
      color: "grey", dash: [1, 3] }] : [])];
  draw.curves(find("curves"), series, view.logarithmic, view.status.stopped?.best);
}

// Everything; the pictures of every step only if `fast`.
export function drawAll(fast = true) {
  if (!view.data) return;
  if (fast) drawFast();
  drawNumbers();
  drawCurves();
  const { histogram, verdict } = view.pictures;
  if (histogram) draw.histogram(find("histogram"), histogram);
  if (verdict) {
    const [word, reason] = find("verdict").querySelectorAll("strong, span");
    word.textContent = `${verdict.word}:`;
    word.className = verdict.word.replace(" ", "-");
    reason.textContent = verdict.reason;
    find("verdict").querySelector("details p").textContent = verdict.rule;
  }
  find("verdict").hidden = !verdict;
  describe();
}

// The pictures in words, for screen readers.
export function describe() {
  const { status, data, layout, pictures, settings } = view;
  const { links, curves, histogram } = pictures;
  const count = (zeros, method) => text("network.zeros", { zeros, weights: status.weights,
    method: status.twin ? `${method}: ` : "" });
  const other = view.choices.l1_method.find((name) => name !== settings.l1_method);
  find("zeros").textContent = count(status.zeros, settings.l1_method);
  if (show("twin-zeros", status.twin)) find("twin-zeros").textContent = count(status.twin.zeros, other);
  const title = text(`output.${view.kind}`);
  find("output-title").textContent = title;
  find("output-legend").textContent = text(`output.legend_${/regions|spread/.test(view.kind)
    ? "points" : view.kind}`);
  find("spread-label").hidden = !settings.layers.some((layer) => layer.keep_prob < 1)
    || data.inputs > 2 || (data.inputs === 1 && data.outputs > 2);
  const tell = (id, path, values) => find(id).setAttribute("aria-label", text(path, values));
  for (const id of ["regions", "twin-regions"]) {
    tell(id, "output.described", { title, train: data.train.y.length, val: data.val.y.length,
      wrong: data.train.wrong.length, classes: data.classes.join(", ") || "–",
      train_accuracy: format(status.train_accuracy), val_accuracy: format(status.val_accuracy) });
  }
  if (links) {
    for (const [id, vector, zeros] of [["network", links.vector, status.zeros],
      ["twin", links.twin, status.twin?.zeros]]) {
      if (!vector) continue;
      tell(id, "network.described", { widths: layout.widths.join(", "), zeros,
        weights: status.weights, largest: format(vector.subarray(0, status.weights)
          .reduce((most, each) => Math.max(most, Math.abs(each)), 0)) });
    }
  }
  if (curves?.val?.length) {
    const lowest = Math.min(...curves.val.filter(Number.isFinite));
    tell("curves", "curves.described", { first: curves.epochs[0], last: curves.epochs.at(-1),
      train: `${format(curves.train[0])} – ${format(curves.train.at(-1))}`,
      val: `${format(curves.val[0])} – ${format(curves.val.at(-1))}`, lowest: format(lowest),
      epoch: curves.epochs[curves.val.indexOf(lowest)] });
  }
  if (histogram) {
    tell("histogram", "histogram.described", { ...histogram, low: format(histogram.low),
      high: format(histogram.high) });
  }
}
