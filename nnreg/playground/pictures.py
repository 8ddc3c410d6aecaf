"""Pictures of a session as numbers: arrays that the page draws, and the stages of a step."""

from __future__ import annotations

import base64
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.parameters import Parameters
from nnreg.playground.settings import PlaygroundData
from nnreg.playground.training import Run, Training
from nnreg.prediction import sample_predictions
from nnreg.tracing import Stage
from nnreg.tracing.diagnostics import norm
from nnreg.training.step import IGNORE_FLOAT_ERRORS

MAX_SIZE = 100  # points of a picture along one side
MAX_GRIDS = 4  # of different sizes, whose points are kept
SHOWN = 8  # rows and columns of an array in a stage
SAMPLES = 20  # of Monte-Carlo dropout


def encode(values: Any, kind: str = "f32") -> dict[str, str]:
    """Return an array as base64 of float32 (``f32``) or uint8 (``u8``).

    >>> encode([0, 255], "u8")
    {'u8': 'AP8='}
    """
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(values, "<f4" if kind == "f32" else np.uint8)
    return {kind: base64.b64encode(array.tobytes()).decode()}


def check_want(want: Any) -> dict[str, int]:
    """Return the pictures that a message wants, and the size of each."""
    validation.instance("want", want, dict, "an object")
    names = [validation.one_of("want", name, PICTURES) for name in want]
    return {name: validation.whole(name, want[name], 1, MAX_SIZE) for name in names}


def draw(training: Training, want: Mapping[str, int]) -> dict[str, Any]:
    """Return pictures by name; None for one that this run does not have."""
    with np.errstate(**IGNORE_FLOAT_ERRORS):
        return {name: PICTURES[name](training, size) for name, size in want.items()}


def make_box(data: PlaygroundData) -> Array:
    """Return the lowest and the highest value of each input in pictures, (D, 2)."""
    x = np.concatenate([data.x, data.x_val])
    margin = 0.05 * np.ptp(x, axis=0) + 1e-6
    return np.stack([x.min(axis=0) - margin, x.max(axis=0) + margin], axis=1)


def _points(training: Training, size: int) -> Array | None:
    """Return the inputs (N, D) of a picture; None if they are more than two."""
    data = training.data
    if data.x.shape[1] > 2:
        return None
    if size not in training.points:
        if len(training.points) == MAX_GRIDS:
            training.points.clear()
        axes = [np.linspace(low, high, size) for low, high in make_box(data)]
        training.points[size] = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(axes))
    return training.points[size]


def _grid(training: Training, size: int) -> Any:
    x = _points(training, size)
    if x is None:
        return None
    main, *twins = ({"size": size, **_draw_outputs(run, x)} for run in training.runs)
    return {**main, **({"twin": twins[0]} if twins else {})}


def _draw_outputs(run: Run, x: Array) -> dict[str, Any]:
    """Return the function of one input, or the values or classes at points of two."""
    outputs, classes = run.net.run_predict(x), run.data.classes
    p = run.loss.probabilities(outputs) if classes else outputs
    if x.shape[1] == 1:  # of more than two classes the one that is predicted
        return {"x": encode(x), "y": encode(p[:, -1] if outputs.shape[1] < 3 else p.argmax(axis=1))}
    if not classes:
        return {"values": encode(p)}
    confidence = 255 * np.nan_to_num(p.max(axis=1))
    return {"class": encode(p.argmax(axis=1), "u8"), "confidence": encode(confidence, "u8")}


def _units(training: Training, size: int) -> Any:
    x = _points(training, size)
    if x is None:
        return None
    net, pictures, cache = training.main.net, [], Cache("float64")
    for number, layer in enumerate(net.layers):
        x = layer.forward(x, cache[layer.name])
        if number % 3 == 1:  # an activation
            largest = np.maximum(np.abs(x).max(axis=0), 1e-12)
            values = np.nan_to_num(128.5 + 127 * (x / largest)).T
            picture = {"name": layer.name, "units": x.shape[1], "values": encode(values, "u8")}
            pictures.append({**picture, "largest": largest.tolist()})
    return pictures


def _links(training: Training, _: int) -> Any:
    names = ("vector", "twin")
    return {
        name: encode(run.net.parameters.vector)
        for name, run in zip(names, training.runs, strict=False)
    }


def _mask(training: Training, _: int) -> Any:
    """Return the mask of the last step's first row in each hidden layer.

    It is None before the first step; after a new optimizer each mask is, until the next step.
    """
    if not training.steps:
        return None
    masks = []
    for layer in training.main.net.layers[2::3]:
        mask = getattr(training.main.step.cache[layer.name], "mask", None)
        masks.append(None if mask is None else (mask[0] != 0).astype(int).tolist())
    return masks


def _spread(training: Training, size: int) -> Any:
    x, run = _points(training, size), training.main
    if x is None or all(layer["keep_prob"] == 1 for layer in training.settings["layers"]):
        return None
    samples = sample_predictions(run.net, x, samples=SAMPLES)
    if training.data.classes and x.shape[1] == 1:
        if training.data.outputs > 2:
            return None
        p = run.loss.probabilities(samples.outputs.reshape(-1, 2))[:, 1].reshape(SAMPLES, -1)
        return {"size": size, "mean": encode(p.mean(axis=0)), "std": encode(p.std(axis=0))}
    if training.data.classes:
        share = samples.mutual_information(run.loss) / np.log(training.data.outputs)
        return {"size": size, "values": encode(255 * share, "u8")}
    return {"size": size, "mean": encode(samples.mean), "std": encode(samples.std)}


def _curves(training: Training, _: int) -> Any:
    points = training.curve.points
    curves = {"epochs": encode([epoch for epoch, _ in points])}
    for prefix, number in (("", 0), ("twin_", 1))[: len(training.runs)]:
        table = np.array(
            [runs[number][:3] if number < len(runs) else (np.nan,) * 3 for _, runs in points]
        ).T
        names = ("train", "val", "penalty")
        curves |= {prefix + name: encode(row) for name, row in zip(names, table, strict=True)}
        curves[prefix + "total"] = encode(table[0] + table[2])
    return curves


def _histogram(training: Training, bins: int) -> Any:
    weights = [run.net.parameters.weights for run in training.runs]
    finite = [w[np.isfinite(w)] for w in weights]
    low = min(float(w.min(initial=0)) for w in finite)
    high = max(float(w.max(initial=0)) for w in finite)
    picture: dict[str, Any] = {"low": low, "high": high}
    for prefix, w, run in zip(("", "twin_"), finite, training.runs, strict=False):
        picture[prefix + "counts"] = np.histogram(w, bins, (low, high))[0].tolist()
        picture[prefix + "zeros"] = run.zeros
    return picture


def _inputs(training: Training, _: int) -> Any:
    w = training.main.net.parameters["dense_1.weight"]
    return {"norms": encode(np.linalg.norm(w, axis=1)), "relevant": training.data.relevant}


def _predictions(training: Training, _: int) -> Any:
    data = training.data
    if not data.classes:
        return None
    outputs = training.main.net.run_predict(data.x_val)
    return {"val": encode(outputs.argmax(axis=1), "u8")}


def _verdict(training: Training, _: int) -> Any:
    return training.judge()


PICTURES: Mapping[str, Callable[[Training, int], Any]] = {
    "grid": _grid,
    "units": _units,
    "links": _links,
    "mask": _mask,
    "spread": _spread,
    "curves": _curves,
    "histogram": _histogram,
    "inputs": _inputs,
    "predictions": _predictions,
    "verdict": _verdict,
}


# --- Stages ---------------------------------------------------------------------------------------


def _show_array(name: str, array: Array) -> dict[str, Any]:
    table = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    return {
        "name": name,
        "shape": list(array.shape),
        "norm": norm(array),
        "largest": float(np.abs(array).max(initial=0)),
        "zeros": int((array == 0).sum()),
        "values": table[:SHOWN, :SHOWN].tolist(),
    }


def show_stage(stage: Stage) -> dict[str, Any]:
    """Return a stage of `nn.explain` as plain data."""
    report = stage.check
    check = report and {"passed": report.passed, "error": report.max_error, "text": str(report)}
    return {
        "part": stage.part,
        "name": stage.name,
        "subject": stage.subject,
        "formulas": [{"text": f.text, "shapes": f.shapes} for f in stage.formulas],
        "arrays": [_show_array(name, array) for name, array in stage.arrays.items()],
        "notes": stage.notes,
        "alarms": stage.alarms,
        "check": check,
    }


def show_update(run: Run, before: Parameters) -> dict[str, Any]:
    """Return the update of a step as plain data: each parameter, its gradient and its change."""
    rule = (inspect.getdoc(type(run.optimizer)) or "").partition("::\n\n")[2].partition("\n\n")[0]
    arrays = []
    for name, old in before.items():
        change = run.net.parameters[name] - old
        gradient = run.step.gradients[name]
        arrays += [
            _show_array(name, old),
            _show_array(f"gradient of {name}", gradient),
            _show_array(f"change of {name}", change),
        ]
    return {
        "part": "update",
        "name": "optimizer",
        "subject": repr(run.optimizer),
        "formulas": [
            {"text": line, "shapes": ""} for line in textwrap.dedent(rule).splitlines() if line
        ],
        "arrays": arrays,
        "notes": [f"{run.zeros} of {before.weights.size} weights are exactly 0."],
        "alarms": [],
        "check": None,
    }
