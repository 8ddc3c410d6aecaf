"""Settings of the playground: what each knob accepts, and the data and rules that it stands for."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnreg import datasets
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.lab.preprocessing import Standardization
from nnreg.lab.settings import ACTIVATIONS, OPTIMIZERS
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.layers.dropout import Dropout
from nnreg.losses import MeanSquaredError, RowLoss, SoftmaxCrossEntropy
from nnreg.penalties import L1, L2, METHODS, Constraint, ElasticNet, MaxNorm, Penalty

Settings = dict[str, Any]

VALIDATION_ROWS = 200  # of generated data
MAX_VALIDATION_ROWS = 1000  # of a CSV file
TEST_SHARE = 0.3  # of a CSV file
MAX_LAYERS, MAX_POINTS, MAX_CSV = 6, 500, 1_000_000
MAX_CLASSES, MAX_INPUTS = 20, 100
MAX_NUMBER = 1e100  # of a CSV file; the squares of larger ones overflow

ADVICE = {
    "set header": "write the names of the columns into the first line",
    "target=": "numbers are expected in all columns but the last: replace the text or leave the "
    "column out",
    "dropna": "fill the cell or leave the row out",
    "decimal=": "write decimal points",
    "leave out regression": "for classes, unmark 'The target is a number'",
    "regression=True": "if the target is a number, mark 'The target is a number'",
    "encoding=": "save the file as UTF-8",
}
"""What can be done on the page, by a part of the message of `nnreg.datasets.read_csv`."""

GENERATORS: Mapping[str, tuple[str, Settings]] = {
    "moons": ("two_moons", {}),
    "rings": ("rings", {}),
    "spirals": ("spirals", {}),
    "sine": ("noisy_sine", {}),
    "sparse": ("sparse_linear", {"inputs": 20, "relevant": 2}),
}
"""By name: a function of `nnreg.datasets`, and its arguments besides rows, noise and seed."""

LAYER: Settings = {"units": 8, "activation": "relu", "keep_prob": 1.0, "penalty": None}
DEFAULTS: Settings = {
    "data": "moons",
    "rows": 100,
    "noise": 0.2,
    "label_noise": 0.0,
    "data_seed": 0,
    "points": [],
    "csv": "",
    "regression": False,
    "layers": [LAYER, LAYER],
    "optimizer": "adam",
    "learning_rate": 0.01,
    "l2": 0.0,
    "l1": 0.0,
    "l1_method": "subgradient",
    "max_norm": 0.0,
    "batch_size": 10,
    "seed": 0,
    "patience": 0,
    "compare": False,
}

# Settings that determine the data or the initial weights; all others can change during training.
RESETS = (
    "data",
    "rows",
    "noise",
    "label_noise",
    "data_seed",
    "points",
    "csv",
    "regression",
    "seed",
)

LIMITS: Mapping[str, tuple[float, float]] = {
    "rows": (4, 1000),
    "noise": (0, 2),
    "label_noise": (0, 0.5),
    "data_seed": (0, 2**31),
    "layers": (0, MAX_LAYERS),
    "units": (1, 64),
    "keep_prob": (0.05, 1),
    "learning_rate": (0, 1e6),
    "l2": (0, 1000),
    "l1": (0, 1000),
    "max_norm": (0, 1000),
    "batch_size": (1, 1000),
    "seed": (0, 2**31),
    "patience": (0, 10_000),
}
CHOICES = {
    "data": [*GENERATORS, "digits", "points", "csv"],
    "optimizer": list(OPTIMIZERS),
    "l1_method": list(METHODS),
    "activation": [name for name in ACTIVATIONS if name != "gelu"],  # it needs SciPy
}


def check(settings: Mapping[str, Any]) -> Settings:
    """Return complete settings, with the default of each one that is missing.

    Raises
    ------
    ValueError, TypeError
        The message names the setting, the accepted values and the received one.

    Examples
    --------
    >>> check({"l2": 0.1})["l2"], check({})["optimizer"]
    (0.1, 'adam')
    >>> check({"lerning_rate": 1})
    Traceback (most recent call last):
        ...
    ValueError: there is no setting 'lerning_rate' (did you mean 'learning_rate'?)
    """
    for name in settings:
        if name not in DEFAULTS:
            hint = validation.nearest(str(name), DEFAULTS)
            raise ValueError(f"there is no setting {name!r}{hint}")
    return {name: _check(name, settings.get(name, value)) for name, value in DEFAULTS.items()}


def _check(name: str, value: Any, default: Any = None) -> Any:
    default = DEFAULTS.get(name, LAYER.get(name)) if default is None else default
    if name in ("layers", "points"):
        most = MAX_LAYERS if name == "layers" else MAX_POINTS
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(
                f"{name} must be a list of at most {most}, got {validation.show(value)}"
            )
        return [(_check_layer if name == "layers" else _check_point)(item) for item in value]
    if name in CHOICES:
        return validation.one_of(name, value, CHOICES[name])
    if isinstance(default, bool):
        return validation.flag(name, value)
    if isinstance(default, int):
        return validation.whole(name, value, *map(int, LIMITS[name]))
    if isinstance(default, float):
        return validation.number(name, value, *LIMITS[name])
    if not isinstance(value, str) or len(value) > MAX_CSV:
        raise ValueError(f"{name} must be text of at most {MAX_CSV:,} characters")
    return value


def _check_layer(layer: Any) -> Settings:
    if not isinstance(layer, dict) or not layer.keys() <= LAYER.keys():
        raise ValueError(f"a layer must have {', '.join(LAYER)}, got {validation.show(layer)}")
    checked = {name: layer.get(name, value) for name, value in LAYER.items()}
    penalty = checked.pop("penalty")
    if penalty is not None:
        if not isinstance(penalty, dict) or not penalty.keys() <= {"l1", "l2"}:
            raise ValueError(f"penalty must be null or l1 and l2, got {validation.show(penalty)}")
        penalty = {name: _check(name, penalty.get(name, 0.0)) for name in ("l1", "l2")}
    return {**{name: _check(name, value) for name, value in checked.items()}, "penalty": penalty}


def check_weight(weight: Any, size: int) -> list[Any]:
    """Return the index of a parameter and its new value, checked."""
    if not isinstance(weight, list) or len(weight) != 2:
        raise ValueError(f"weight must be [index, value], got {validation.show(weight)}")
    index = validation.whole("the index of weight", weight[0], 0, size - 1)
    return [index, validation.number("weight", weight[1], -1000, 1000)]


def _check_point(point: Any) -> list[float]:
    if not isinstance(point, list) or len(point) != 3:
        raise ValueError(f"a point must be [x1, x2, class], got {validation.show(point)}")
    x1, x2, label = point
    number = partial(validation.number, low=-1e3, high=1e3)
    return [number("x1", x1), number("x2", x2), validation.whole("class", label, 0, 3)]


# --- Data -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PlaygroundData:
    """Training and validation rows.

    Attributes
    ----------
    x, y, x_val, y_val : ndarray
        float64, (N, D) and (N,) or, of a regression, (N, 1).
    classes : list of str
        Empty for a regression.
    names : list of D str
    wrong : list of int
        Training rows whose label was made wrong.
    relevant : list of int or None
        The inputs on which the target depends, where that is known.
    """

    x: Array
    y: Array
    x_val: Array
    y_val: Array
    classes: list[str]
    names: list[str]
    wrong: list[int]
    relevant: list[int] | None = None

    @property
    def loss(self) -> RowLoss:
        """A new loss for these targets."""
        return SoftmaxCrossEntropy() if self.classes else MeanSquaredError()

    @property
    def outputs(self) -> int:
        """The number of outputs of a network for these targets."""
        return len(self.classes) or 1


def make_data(settings: Settings) -> PlaygroundData:
    """Return the data of checked settings.

    >>> data = make_data(check({"data": "spirals", "label_noise": 0.1}))
    >>> data.x.shape, data.x_val.shape, data.classes, len(data.wrong)
    ((100, 2), (200, 2), ['0', '1', '2'], 10)
    """
    kind, rows, seed = settings["data"], settings["rows"], settings["data_seed"]
    relevant = None
    if kind == "csv":
        x, y, x_val, y_val, classes, names = _read(settings["csv"], settings["regression"], seed)
        x, y = x[:rows], y[:rows]
    elif kind == "points":
        x, y, x_val, y_val = _place(settings["points"])
        classes = list(map(str, range(int(max(y.max(), y_val.max())) + 1)))
        names = ["x1", "x2"]
    elif kind == "digits":
        (x, y), (x_val, y_val) = datasets.load_digits()
        x, y, classes = x[:rows], y[:rows], list("0123456789")
        names = [f"pixel {number}" for number in range(64)]
    else:
        total = rows + VALIDATION_ROWS
        name, options = GENERATORS[kind]
        make = getattr(datasets, name)
        x, y, *truth = make(total, noise=settings["noise"], seed=seed, **options)
        relevant = np.flatnonzero(truth[0]).tolist() if kind == "sparse" else None
        x, x_val, y, y_val = x[:rows], x[rows:], y[:rows], y[rows:]
        classes = [] if y.ndim == 2 else list(map(str, range(int(y_val.max()) + 1)))
        names = [f"x{number + 1}" for number in range(x.shape[1])]
    wrong: list[int] = []
    if classes and settings["label_noise"]:
        share = settings["label_noise"]
        y, flipped = datasets.flip_labels(y, share, classes=len(classes), seed=seed)
        wrong = flipped.tolist()
    x, x_val = (np.ascontiguousarray(part, np.float64) for part in (x, x_val))
    return PlaygroundData(x, y, x_val, y_val, classes, names, wrong, relevant)


def _place(points: list[list[float]]) -> tuple[Array, Array, Array, Array]:
    classes = len({point[2] for point in points})
    if len(points) < 6 or classes < 2:
        raise ValueError(
            "points: place at least 6 points of at least 2 classes (every third one is a "
            f"validation point), got {len(points)} of {classes}"
        )
    table = np.array(points)
    x, y, held_out = table[:, :2], table[:, 2].astype(np.int64), np.arange(len(table)) % 3 == 2
    return x[~held_out], y[~held_out], x[held_out], y[held_out]


def _read(text: str, regression: bool, seed: int) -> tuple[Any, ...]:
    """Read a table, split off validation rows, and standardize by the training rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data.csv")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        try:
            table = datasets.read_csv(path, regression=regression)
        except ValueError as error:
            raise ValueError(_advise(str(error).replace(folder + os.sep, ""))) from None
    if len(table.x) < 8 or table.x.shape[1] > MAX_INPUTS or len(table.class_names) > MAX_CLASSES:
        raise ValueError(
            f"data.csv: at least 8 rows, at most {MAX_INPUTS} inputs and {MAX_CLASSES} classes "
            f"are possible, got {len(table.x)}, {table.x.shape[1]} and {len(table.class_names)}; "
            + ADVICE["regression=True"]
        )
    if max(np.abs(table.x).max(), np.abs(table.y).max()) > MAX_NUMBER:
        raise ValueError(f"data.csv: all numbers must be from -{MAX_NUMBER:g} to {MAX_NUMBER:g}")
    groups = np.zeros(len(table.y), int) if regression else table.y
    training, test = datasets.split_rows(groups, test_size=TEST_SHARE, seed=seed)
    test = test[:MAX_VALIDATION_ROWS]
    scale = Standardization.of(table.x[training])
    x, x_val = scale.apply(table.x[training]), scale.apply(table.x[test])
    y, y_val = table.y[training], table.y[test]
    if regression:
        scale = Standardization.of(y)
        y, y_val = ((part - scale.mean) / scale.scale for part in (y, y_val))
    return x, y, x_val, y_val, list(table.class_names), list(table.feature_names)


def _advise(message: str) -> str:
    """Return the fault that a message names, with what can be done about it on the page."""
    fault = re.split(r"; (?!a classification)|\. If | \(if ", message, maxsplit=1)[0]
    advice = [text for part, text in ADVICE.items() if part in message.removeprefix(fault)]
    return f"{fault}; {advice[0]}" if advice else message


# --- Rules ----------------------------------------------------------------------------------------


def make_penalty(l1: float, l2: float, method: str) -> Penalty | None:
    """Return the penalty of two strengths; None if both are 0.

    >>> make_penalty(0.1, 0.0, "proximal"), make_penalty(0.0, 0.0, "proximal")
    (L1(strength=0.1, method='proximal'), None)
    """
    if l1 and l2:
        return ElasticNet(l1, l2, method=method)
    return L1(l1, method=method) if l1 else L2(l2) if l2 else None


def make_layers(settings: Settings, outputs: int) -> list[Layer]:
    """Return the layers; each hidden one is Dense, activation, Dropout."""
    layers: list[Layer] = []
    for layer in settings["layers"]:
        layers += Dense(layer["units"]), ACTIVATIONS[layer["activation"]](), Dropout()
    return [*layers, Dense(outputs)]


def make_rules(settings: Settings, *, twin: bool = False) -> dict[str, Any]:
    """Return what the settings set during training, by place.

    A place is an attribute, as in a program: ``net.penalty``, ``net.layers[2].keep_prob``. The twin
    uses the other treatment of L1.

    >>> make_rules(check({"layers": [], "l2": 0.1}))
    {'net.penalty': L2(strength=0.1), 'net.constraint': None, 'optimizer.learning_rate': 0.01}
    """
    method, limit = settings["l1_method"], settings["max_norm"]
    if twin:
        method = next(name for name in METHODS if name != method)
    constraint: Constraint | None = MaxNorm(limit) if limit else None
    rules: dict[str, Any] = {
        "net.penalty": make_penalty(settings["l1"], settings["l2"], method),
        "net.constraint": constraint,
        "optimizer.learning_rate": settings["learning_rate"],
    }
    for number, layer in enumerate(settings["layers"]):
        penalty: Any = layer["penalty"]
        penalty = "inherit" if penalty is None else make_penalty(**penalty, method=method)
        rules[f"net.layers[{3 * number}].penalty"] = penalty
        rules[f"net.layers[{3 * number + 2}].keep_prob"] = layer["keep_prob"]
    return rules


def make_optimizer(settings: Settings) -> Any:
    """Return a new optimizer."""
    make: Callable[[float], Any] = OPTIMIZERS[settings["optimizer"]][0]
    return make(settings["learning_rate"])


def needs_reset(old: Settings, new: Settings) -> bool:
    """Return whether a change needs new data or new initial weights.

    >>> needs_reset(check({}), check({"l1": 0.1})), needs_reset(check({}), check({"layers": []}))
    (False, True)
    """

    def shape(settings: Settings) -> list[Any]:
        return [(layer["units"], layer["activation"]) for layer in settings["layers"]]

    return any(old[name] != new[name] for name in RESETS) or shape(old) != shape(new)
