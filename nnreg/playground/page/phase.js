// One training step, phase by phase: the stages of nn.explain, their formulas and numbers.

import { element } from "./knobs.js";
import { format } from "./pictures.js";
import { text } from "./texts.js";

const NAMES = ["forward", "loss", "backward", "penalty", "update"];

function values({ name, shape, values: rows }) {
  const part = rows.length * rows[0].length < shape.reduce((a, b) => a * b, 1)
    ? ` (${text("phase.part", { rows: rows.length, columns: rows[0].length,
      shape: shape.join(" × ") })})` : "";
  return element("details", {}, element("summary", {}, text("phase.values", { name }) + part),
    element("div", { class: "scroll" }, element("table", { "data-array": name },
      ...rows.map((row) => element("tr", {}, ...row.map((value) =>
        element("td", {}, element("data", { value, title: value }, format(value)))))))));
}

function stageCard(stage) {
  const head = ["array", "shape", "norm", "largest", "zeros"];
  const card = element("article", { "data-stage": stage.name, "data-part": stage.part },
    element("h3", {}, `${stage.name} `, element("code", {}, stage.subject)),
    ...stage.formulas.map((formula) => element("p", { class: "formula" },
      element("code", {}, formula.text), ` ${formula.shapes}`)));
  if (stage.check) {
    const { passed, error, text: failure } = stage.check;
    card.append(element("p", { class: passed ? "checked" : "failed" }, passed
      ? text("phase.checked", { error: format(error, 2) }) : text("phase.failed", { text: failure })));
  }
  card.append(...stage.alarms.map((alarm) => element("p", { class: "failed" }, `⚠ ${alarm}`)));
  if (stage.arrays.length) {
    card.append(element("div", { class: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ...head.map((name) =>
        element("th", { scope: "col" }, text(`phase.${name}`))))),
      element("tbody", {}, ...stage.arrays.map((array) => element("tr", {},
        element("th", { scope: "row" }, array.name),
        element("td", {}, array.shape.join(" × ")),
        ...["norm", "largest", "zeros"].map((name) => element("td", {},
          element("data", { value: array[name] }, format(array[name]))))))))),
    ...stage.arrays.filter((array) => array.values.length && array.values[0].length).map(values));
  }
  card.append(...stage.notes.map((note) => element("p", {}, note)));
  return card;
}

export function showPhase(phase) {
  const section = document.getElementById("phases");
  if (section.hidden) {
    section.hidden = false;
    section.scrollIntoView({ block: "start" });
  }
  document.getElementById("steps").replaceChildren(...NAMES.map((name, i) => element("li",
    { "aria-current": i + 1 === phase.number ? "step" : undefined,
      class: i + 1 < phase.number ? "done" : "" }, text(`phase.names.${name}`))));
  const rows = phase.rows.length > 10 ? `${phase.rows.slice(0, 10).join(", ")}, …`
    : phase.rows.join(", ");
  document.getElementById("phase-summary").textContent = text("phase.summary", { rows,
    step: phase.step, data_loss: format(phase.data_loss), penalty: format(phase.penalty),
    total: format(phase.total) });
  document.getElementById("stages").replaceChildren(...phase.stages.map(stageCard));
}

export function hidePhases() {
  document.getElementById("phases").hidden = true;
}
