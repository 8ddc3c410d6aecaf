// The controls: one for each setting, generated from the choices and limits of the engine.

import { text, texts } from "./texts.js";

const GROUPS = {
  data: ["data", "rows", "noise", "label_noise", "data_seed", "regression"],
  training: ["optimizer", "learning_rate", "batch_size", "patience", "seed"],
  regularization: ["l2", "l1", "l1_method", "compare", "max_norm"],
};
const WHOLE = ["rows", "data_seed", "batch_size", "patience", "seed", "units"];
// Ranges of the sliders; of the logarithmic ones, in powers of 10, where the left end is 0.
const LOGARITHMIC = { learning_rate: [-5, 1], l2: [-6, 1], l1: [-6, 1], max_norm: [-2, 2] };
const SLIDERS = { rows: [4, 400], noise: [0, 1], batch_size: [1, 100], units: [1, 16] };

// Create an element: attributes, then children; functions are listeners.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function label(name) {
  return texts.knobs[name]?.[0] ?? name;
}

// Generate the controls. `change(knobs)` is called with the settings to change; `refresh(settings,
// locked)` shows settings; `locked()` lists the names that are marked in the assignment.
export function makeKnobs(choices, defaults, change) {
  const shown = [];
  let current = defaults;

  function control(name, get, set, within = name) {
    const hint = texts.knobs[name]?.[1] ?? "";
    const id = `knob-${within}`;
    const value = get(defaults);
    let inputs, show;
    if (choices[name]) {
      const select = element("select", { id, change: () => set(select.value) },
        ...choices[name].map((each) => new Option(text(`values.${each}`), each)));
      inputs = [select];
      show = (now) => { select.value = now; };
    } else if (typeof value === "boolean") {
      const box = element("input", { type: "checkbox", id, change: () => set(box.checked) });
      inputs = [box];
      show = (now) => { box.checked = now; };
    } else {
      [inputs, show] = numeric(name, id, set);
    }
    const lock = within === name
      ? [element("input", { type: "checkbox", class: "lock", "data-lock": name,
          "aria-label": `${text("layer.lock")}: ${label(name)}` })] : [];
    const row = element("div", { class: "knob", title: hint, "data-knob": within },
      element("label", { for: id }, label(name)), ...inputs, ...lock);
    shown.push({ name: within.split(".")[0], inputs, row, update(settings) {
      const now = get(settings);
      if (now !== undefined) show(now);
    } });
    return row;
  }

  function numeric(name, id, set) {
    const [low, high] = choices.limits[name];
    const logarithmic = LOGARITHMIC[name];
    const box = element("input", { type: "number", id, min: low, max: high,
      step: WHOLE.includes(name) ? 1 : "any",
      change: () => {
        if (box.value === "" && !box.validity.badInput) box.value = last;
        else if (box.reportValidity()) set(Number(box.value));
      } });
    let last;
    const write = (now) => {
      last = now;
      if (box !== document.activeElement) box.value = now;
    };
    if (/seed|patience/.test(name)) return [[box], write];
    const [left, right] = logarithmic ?? SLIDERS[name] ?? [low, high];
    const slider = element("input", { type: "range", "aria-label": `${label(name)}, slider`,
      min: left - (logarithmic ? 0.1 : 0), max: right,
      step: logarithmic ? 0.1 : WHOLE.includes(name) ? 1 : 0.01,
      input: () => {
        const at = Number(slider.value);
        const value = !logarithmic ? at : at < left ? 0 : Number((10 ** at).toPrecision(2));
        box.value = value;
        set(value);
      } });
    return [[slider, box], (now) => {
      write(now);
      slider.value = !logarithmic ? now : now > 0 ? Math.log10(now) : left - 0.1;
    }];
  }

  const panel = document.getElementById("knobs");
  for (const [group, names] of Object.entries(GROUPS)) {
    const fieldset = element("fieldset", { id: `group-${group}` },
      element("legend", {}, text(`groups.${group}`)),
      ...names.map((name) => control(name, (settings) => settings[name],
        (value) => change({ [name]: value }))));
    panel.append(fieldset);
  }

  const layersPanel = document.getElementById("layers");
  let layerControls = 0; // their number among those shown; they are at the end
  let structure = "";

  function layersChange(edit) {
    const layers = structuredClone(current.layers);
    edit(layers);
    current = { ...current, layers };
    change({ layers });
  }

  function makeLayers(settings) {
    shown.splice(shown.length - layerControls);
    const before = shown.length;
    const cards = settings.layers.map((layer, index) => {
      const within = (name) => `layers.${index}.${name}`;
      const field = (name) => control(name, (all) => all.layers?.[index]?.[name] ?? 1,
        (value) => layersChange((layers) => { layers[index][name] = value; }), within(name));
      const strength = (name) => control(name, (all) => all.layers?.[index]?.penalty?.[name] ?? 0,
        (value) => layersChange((layers) => { layers[index].penalty[name] = value; }),
        within(name));
      const toggle = control("penalty", (all) => Boolean(all.layers?.[index]?.penalty),
        (on) => layersChange((layers) => {
          layers[index].penalty = on ? { l1: 0, l2: 0.01 } : null;
        }), within("penalty"));
      return element("fieldset", { class: "layer" },
        element("legend", {}, text("layer.name", { number: index + 1 })),
        field("units"), field("activation"), field("keep_prob"), toggle,
        ...(layer.penalty ? [strength("l2"), strength("l1")] : []));
    });
    const last = settings.layers.length - 1;
    const [low, high] = choices.limits.layers;
    const button = (key, id, disabled, edit) => element("button",
      { id, type: "button", disabled, click: () => layersChange(edit) }, text(key));
    const add = button("layer.add", "add-layer", last + 1 >= high, (layers) => layers.push(
      structuredClone(layers.at(-1) ?? { units: 8, activation: "relu", keep_prob: 1, penalty: null })));
    const remove = button("layer.remove", "remove-layer", last + 1 <= low,
      (layers) => layers.pop());
    const lock = element("input", { type: "checkbox", class: "lock", "data-lock": "layers",
      "aria-label": `${text("layer.lock")}: ${label("layers")}` });
    const buttons = element("div", { class: "row", "data-knob": "layers" }, add, remove, lock);
    shown.push({ name: "layers", inputs: [add, remove], row: buttons, fixed: true, update() {} });
    layerControls = shown.length - before;
    layersPanel.replaceChildren(...cards, buttons);
  }

  return {
    refresh(settings, locked) {
      current = settings;
      const now = JSON.stringify(settings.layers.map((layer) => Boolean(layer.penalty)));
      if (now !== structure) makeLayers(settings);
      structure = now;
      for (const { name, inputs, row, fixed, update } of shown) {
        update(settings);
        row.classList.toggle("locked", locked.includes(name));
        if (!fixed || locked.includes(name)) {
          for (const input of inputs) input.disabled = locked.includes(name);
        }
      }
      const hide = (name, hidden) => {
        document.querySelector(`[data-knob="${name}"]`).hidden = hidden;
      };
      for (const name of ["noise", "data_seed"]) hide(name, /csv|points|digits/.test(settings.data));
      hide("rows", settings.data === "points");
    },
    locked: () => [...document.querySelectorAll("[data-lock]:checked")]
      .map((box) => box.dataset.lock),
  };
}
