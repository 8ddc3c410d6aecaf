"""Argument validation: what every entry point accepts and rejects, and its messages.

A refused call leaves the network and the optimizer as they were, to the bit.
"""

import re

import numpy as np
import pytest
from small import everything, unchanged

import nnreg as nn
from nnreg.losses import RowLoss
from nnreg.training.schedules import Schedule

X = np.random.default_rng(0).normal(size=(6, 2))
LABELS, YES = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 0, 1, 0, 1])
REAL, ONES = np.ones((6, 3)), np.ones((6, 2))
SOFTMAX, SIGMOID, SQUARED = (
    nn.SoftmaxCrossEntropy(),
    nn.SigmoidCrossEntropy(),
    nn.MeanSquaredError(),
)
REAL_NUMBERS = "must contain real numbers, got dtype"


class OwnLoss(nn.Loss):
    """A loss that takes no weights."""

    def __call__(self, outputs, targets):
        r = outputs - targets
        return (r**2).mean(), 2 * r / r.size


def network(outputs=2, **options):
    return nn.Network(
        [nn.Dense(4), nn.Tanh(), nn.Dense(outputs)], inputs=2, penalty=nn.L2(0.1), **options
    )


RIGHT = object()  # stands for targets that are right


def fit(net, x=X, y=RIGHT, **options):
    y = good(options.get("loss", SOFTMAX), net) if y is RIGHT else y
    return nn.fit(net, x, y, **({"loss": SOFTMAX, "optimizer": nn.SGD(0.1), "epochs": 1} | options))


def good(loss, net):
    """Return targets that are right."""
    outputs = net.widths[-1]
    return YES % outputs if isinstance(loss, nn.SoftmaxCrossEntropy) else np.ones((6, outputs))


def backward(net, doutputs):
    _, cache = net.forward(X, training=True)
    net.steps = 0
    net.backward(doutputs, cache)


def changed(array, index, value, dtype=None):
    array = np.array(array, dtype)
    array[index] = value
    return array


CASES = {}  # by group: name, call of a network, error, pattern, outputs of the network


def refuse(name, call, error, words, outputs=2):
    """Add a case to the group that its name begins with."""
    group = re.split("[,=]", name)[0]
    CASES.setdefault(group, []).append((name, call, error, words, outputs))


def bind(function, *arguments):
    return lambda net: function(net, *arguments)


# --- Rows of numbers ------------------------------------------------------------------------------

ROWS = {  # where an array of rows comes in, and what its argument is called
    "forward": ("x", lambda net, x: net.forward(x)),
    "forward in training": ("x", lambda net, x: net.forward(x, training=True)),
    "predict": ("x", lambda net, x: net.predict(x)),
    "backward": ("doutputs", backward),
    "fit": ("x", lambda net, x: fit(net, x)),
    "fit, validation": ("validation x", lambda net, x: fit(net, validation_data=(x, YES))),
    "evaluate": ("x", lambda net, x: nn.evaluate(net, x, YES, loss=SOFTMAX)),
    "a loss": ("outputs", lambda net, x: SOFTMAX(x, YES)),
}
SHAPES = {
    "one row": (X[0], r"must have shape \(N, .*got shape \(2,\)"),
    "one number": (1.5, r"must have shape \(N, .*got shape \(\)"),
    "rank 3": (X[np.newaxis], r"must have shape \(N, .*got shape \(1, 6, 2\)"),
    "no rows": (X[:0], r"must not be empty, got shape \(0, 2\)"),
    "masked": (np.ma.masked_less(X, 0), r"must not have masked values.*\.filled"),
    "no list": ([], r"must have shape \(N, .*got shape \(0,\)"),
    "ragged rows": ([[1.0, 2.0], [3.0]], "must be an array of numbers, got rows of different len"),
}
KINDS = {
    "complex": (X + 0j, f"{REAL_NUMBERS} complex128: use .real"),
    "words": ([["a", "b"]] * 6, rf"{REAL_NUMBERS} <U1: astype\(float\)"),
    "numbers as words": (X.astype(str), rf"{REAL_NUMBERS} <U.*astype\(float\)"),
    "objects": (X.astype(object), rf"{REAL_NUMBERS} object: astype\(float\)"),
    "None": (None, f"{REAL_NUMBERS} object"),
    "a dict": (
        {"a": 1},
        rf"{REAL_NUMBERS} object: dict with the names \['a'\]; write data\[name\]",
    ),
    "a generator": ((row for row in X), f"{REAL_NUMBERS} object"),
    "dates": (np.zeros((6, 2), "datetime64[s]"), f"{REAL_NUMBERS} datetime64.*timedelta64"),
    "durations": (np.zeros((6, 2), "timedelta64[s]"), f"{REAL_NUMBERS} timedelta64"),
    "records": (np.zeros(6, [("a", "f8")]), f"{REAL_NUMBERS} .*structured_to_unstructured"),
    "bytes": (X.astype("S"), rf"{REAL_NUMBERS} \|S"),
}
for entry, (name, call) in ROWS.items():
    for what, (value, words) in SHAPES.items():
        refuse(f"{entry}, {what}", bind(call, value), ValueError, f"^{name} {words}")
    for what, (value, words) in KINDS.items():
        if what == "a generator" and entry in ("predict", "fit", "evaluate"):
            continue  # an iterable of batches
        refuse(f"{entry}, {what}", bind(call, value), TypeError, f"^{name} {words}")
    for value, dtype in zip([np.nan, np.inf, -np.inf, np.nan, np.nan], "dddfe", strict=True):
        words = rf"^{name}( \(as float32\))? must be finite, got {value} at index \[4, 1\]"
        x = changed(X, (4, 1), value, dtype)
        refuse(f"{entry}, {value} in {dtype}", bind(call, x), ValueError, words)
    if name != "outputs":  # a loss has no width and no dtype of its own
        for columns in (1, 3):
            words = rf"^{name} must have shape \(N, 2\), .*got shape \(6, {columns}\)"
            refuse(f"{entry}, {columns} wide", bind(call, np.ones((6, columns))), ValueError, words)
        words = rf"^{name} (must fit into|\(as) float32.*, got .* at index \[4, 1\]"
        x = changed(X, (4, 1), 1e300)
        refuse(f"{entry}, too large", bind(call, x), ValueError, words)
for rows in (5, 7):
    y = np.zeros(rows, int)
    for call, names in [
        (lambda net, y: fit(net, y=y), "y and x"),
        (lambda net, y: fit(net, validation_data=(X, y)), "validation y and validation x"),
        (lambda net, y: nn.evaluate(net, X, y, loss=SOFTMAX), "y and x"),
        (lambda net, y: SOFTMAX(X, y), "targets and outputs"),
        (lambda net, y: backward(net, np.ones((len(y), 2))), "doutputs and the outputs"),
    ]:
        words = rf"^{names} must agree in rows, got {rows} and 6"
        refuse(f"{rows} rows, {names}", bind(call, y), ValueError, words)

# --- Targets --------------------------------------------------------------------------------------

TARGETS = {  # where targets come in, and what the message begins with
    "fit": ("y: targets", lambda net, y, loss: fit(net, y=y, loss=loss)),
    "fit, validation": (
        "validation y: targets",
        lambda net, y, loss: fit(net, loss=loss, validation_data=(X, y)),
    ),
    "evaluate": ("y: targets", lambda net, y, loss: nn.evaluate(net, X, y, loss=loss, metrics=())),
    "the loss": ("targets", lambda net, y, loss: loss(net.predict(X), y)),
}
ONE_HOT, CLASSES = np.eye(3)[LABELS], "must be class numbers from 0 to 2, got"
WRONG_TARGETS = [  # loss, outputs, targets, error, words
    (SOFTMAX, 3, changed(LABELS, 4, 3), ValueError, rf"{CLASSES} 3 at index \[4\]"),
    (SOFTMAX, 3, LABELS + 1, ValueError, rf"{CLASSES} 3 at index \[2\]"),
    (SOFTMAX, 3, changed(LABELS, 1, -1), ValueError, rf"{CLASSES} -1 at index \[1\]"),
    (SOFTMAX, 3, np.full(6, 2**64 - 1, "u8"), ValueError, "got 18446744073709551615 at index"),
    (
        SOFTMAX,
        3,
        LABELS * 1.0,
        TypeError,
        r"integer class numbers, got dtype float64 \(np.asarray\(y, int\)",
    ),
    (SOFTMAX, 3, LABELS * 0.5, TypeError, "must be integer class numbers, got dtype float64$"),
    (SOFTMAX, 3, LABELS > 1, TypeError, "must be integer class numbers, got dtype bool"),
    (SOFTMAX, 3, list("abcabc"), TypeError, rf"{REAL_NUMBERS} <U1: .*np.unique\(labels"),
    (SOFTMAX, 3, LABELS.astype(object), TypeError, f"{REAL_NUMBERS} object"),
    (SOFTMAX, 3, LABELS + 0j, TypeError, f"{REAL_NUMBERS} complex"),
    (SOFTMAX, 3, LABELS[:, np.newaxis], ValueError, r"\(N,\) or .* \(N, 3\), got shape \(6, 1\)"),
    (SOFTMAX, 3, np.eye(2)[YES], ValueError, r"\(N, 3\), got shape \(6, 2\)"),
    (SOFTMAX, 3, 1, ValueError, r"got shape \(\)"),
    (SOFTMAX, 3, [[1, 0, 0], [1]], ValueError, "got rows of different lengths"),
    (SOFTMAX, 3, REAL, ValueError, r"add up to 1 in each row, got \[1. 1. 1.\] at index \[0\]"),
    (
        SOFTMAX,
        3,
        changed(ONE_HOT, 2, [-1, 1, 1]),
        ValueError,
        r"in each row, got .* at index \[2\]",
    ),
    (
        SOFTMAX,
        3,
        changed(ONE_HOT, (5, 1), np.nan),
        ValueError,
        r"finite, got nan at index \[5, 1\]",
    ),
    (SOFTMAX, 1, YES, ValueError, "SigmoidCrossEntropy"),
    (SOFTMAX, 1, YES[:, np.newaxis], ValueError, "SigmoidCrossEntropy"),
    (
        SIGMOID,
        1,
        np.eye(2)[YES],
        ValueError,
        r"exactly the outputs' shape, \(N, 1\), got shape \(6, 2\)",
    ),
    (SIGMOID, 1, YES, ValueError, r"\(N, 1\), got shape \(6,\) \(np.reshape\(y, \(-1, 1\)"),
    (SIGMOID, 1, LABELS[:, np.newaxis], ValueError, r"lie in \[0, 1\], got 2.0 at index \[2, 0\]"),
    (SIGMOID, 3, -REAL, ValueError, r"must lie in \[0, 1\], got -1.0 at index \[0, 0\]"),
    (
        SQUARED,
        1,
        LABELS * 1.0,
        ValueError,
        r"\(N, 1\), got shape \(6,\) \(np.reshape\(y, \(-1, 1\)",
    ),
    (SQUARED, 3, LABELS * 1.0, ValueError, r"\(N, 3\), got shape \(6,\)$"),
    (SQUARED, 3, REAL[:1], ValueError, "must agree in rows, got 1 and 6"),
    (SQUARED, 3, REAL[:, :1], ValueError, r"got shape \(6, 1\)"),
    (
        SQUARED,
        3,
        changed(REAL, (3, 2), np.nan),
        ValueError,
        r"be finite, got nan at index \[3, 2\]",
    ),
    (nn.Huber(), 3, changed(REAL, (3, 2), -np.inf), ValueError, "got -inf at index"),
    (SQUARED, 3, REAL + 0j, TypeError, f"{REAL_NUMBERS} complex128"),
    (
        nn.Poisson(),
        3,
        changed(REAL, (1, 1), -2),
        ValueError,
        r"lie in \[0, inf\], got -2.0 at index \[1",
    ),
    (SQUARED, 3, np.ones((0, 3)), ValueError, "must agree in rows, got 0 and 6"),
]
for entry, (name, call) in TARGETS.items():
    for loss, outputs, y, error, words in WRONG_TARGETS:
        start = name.removesuffix(": targets") if "agree in rows" in words else name
        refuse(
            f"{entry}, {words[:30]}", bind(call, y, loss), error, f"^{start}.* ?{words}", outputs
        )
    if name != "targets":
        words = rf"^{name} must fit into float32, got 1e\+300 at index \[2, 1\]"
        y = changed(REAL, (2, 1), 1e300)
        refuse(f"{entry}, too large", bind(call, y, SQUARED), ValueError, words, 3)
        for y in (1.5, None, "abc", np.ones((5, 1)), [[np.nan]] * 6):
            words = r"^(validation )?y|give y, too$"
            refuse(f"{entry}, {y}", bind(call, y, OwnLoss()), (TypeError, ValueError), words, 1)

# --- Weights, validation data ---------------------------------------------------------------------

for name, call, error, words in [
    ("scalar rows", lambda _: SQUARED(X[0], X), ValueError, r"outputs must have shape .*\(2,\)"),
    ("text", lambda _: SQUARED([["a"]], [[1]]), TypeError, f"outputs {REAL_NUMBERS} <U1"),
    (
        "a pass's result",
        lambda net: SOFTMAX(net.forward(X), YES),
        TypeError,
        "got a tuple: net.for",
    ),
    (
        "targets too large",
        lambda net: SQUARED(net.predict(X), X + 1e300),
        ValueError,
        r"targets \(as float32\) must be finite, got inf",
    ),
    (
        "some weights too large",
        lambda net: SQUARED(net.predict(X), X, [1e300] + 5 * [1]),
        ValueError,
        "^weights must have a sum representable in float32",
    ),
]:
    refuse(f"a loss, {name}", call, error, words)

WRONG_WEIGHTS = [
    ([1, 1, -1, 1, 1, 1], ValueError, r"must not be negative, got -1 at index \[2\]"),
    (np.zeros(6), ValueError, "must not all be zero"),
    (np.ones(5), ValueError, r"must have shape \(6,\), one per row, got \(5,\)"),
    (np.ones((6, 1)), ValueError, r"must have shape \(6,\), .*got \(6, 1\)"),
    (2.0, ValueError, r"must have shape \(6,\), .*got \(\)"),
    ([1, 1, 1, np.nan, 1, 1], ValueError, r"must be finite, got nan at index \[3\]"),
    (["1"] * 6, TypeError, f"{REAL_NUMBERS} <U1"),
    (np.ones(6) + 0j, TypeError, f"{REAL_NUMBERS} complex128"),
    ({0: 1.0}, TypeError, f"{REAL_NUMBERS} object"),
    (np.full(6, 1e300), ValueError, ""),
]
for weights, error, words in WRONG_WEIGHTS:
    refuse(
        f"sample_weight={weights}",
        lambda net, w=weights: fit(net, sample_weight=w),
        error,
        f"^sample_weight {words}",
    )
    refuse(
        f"weights={weights}",
        lambda net, w=weights: SOFTMAX(net.predict(X), YES, weights=w),
        error,
        rf"^weights( \(as float32\))? {words}",
    )
WRONG_CLASS_WEIGHTS = [
    ([1.0, 2.0], TypeError, r' must be a dict or "balanced", got \[1'),
    ("balance", ValueError, r" must be one of 'balanced', got 'balance' \(did you mean 'balanced'"),
    ({3: 1.0}, ValueError, r" must name classes in y, \[0, 1\], got 3"),
    ({"1": 1.0}, ValueError, " must name classes in y, .*got '1'"),
    ({1: -1.0}, ValueError, r"\[1\] must be a number in \[0, inf.*got -1.0"),
    ({1: np.nan}, ValueError, r"\[1\] must be a number in \[0, inf.*got nan"),
    ({1: "2"}, TypeError, r"\[1\] must be a number in \[0, inf.*got '2'"),
    ({0: 0.0, 1: 0.0}, ValueError, ".* must not all be zero"),
]
for value, error, words in WRONG_CLASS_WEIGHTS:
    words = f"^(sample_weight times )?class_weight{words}"
    refuse(f"class_weight={value}", lambda net, v=value: fit(net, class_weight=v), error, words)
for loss, y, words in [
    (SOFTMAX, ONE_HOT, r"have .*one class number per row, got shape \(6, 3\)"),
    (SQUARED, REAL, r"have .*one class number per row, got shape \(6, 3\)"),
    (SQUARED, np.full((6, 1), 0.5), r"be class numbers, got 0.5 at index \[0\]"),
]:
    for value in ("balanced", {0: 1.0}):
        refuse(
            f"class_weight={value}, {words}",
            lambda net, y=y, loss=loss, v=value: fit(net, y=y, loss=loss, class_weight=v),
            ValueError,
            f"^y with class_weight must {words}",
            y.shape[1],
        )
BOTH = {"validation_data": (X, YES), "validation_split": 0.2}
for options, error, words in [
    ({"validation_data": X}, TypeError, "validation_data must be a pair .*, got ndarray"),
    ({"validation_data": 0.2}, TypeError, "validation_data must be a pair .*, got 0.2"),
    ({"validation_data": (X, YES, 1, 2)}, TypeError, r"validation_data must .*, got \(array"),
    (BOTH, ValueError, "validation_data and validation_split exclude each other"),
    ({"validation_split": 1.0}, ValueError, r"validation_split must be a number in \[0, 1\)"),
    ({"validation_split": 20}, ValueError, "validation_split must be .*, got 20"),
    ({"validation_split": -0.1}, ValueError, "validation_split must be .*, got -0.1"),
    ({"validation_split": "0.2"}, TypeError, "validation_split must be .*, got '0.2'"),
    ({"validation_split": True}, TypeError, "validation_split must be .*, got True"),
    ({"validation_split": 0.01}, ValueError, "validation_split=0.01 leaves none of 6 rows for val"),
    ({"validation_split": 0.99}, ValueError, "validation_split=0.99 leaves none of 6 rows for tra"),
]:
    refuse(f"{list(options.items())[-1]}", lambda net, o=options: fit(net, **o), error, words)

# --- Numbers and whole numbers --------------------------------------------------------------------

ANY, FROM_0, OVER_0, UNIT = "(-inf, inf)", "[0, inf)", "(0, inf)", "[0, 1)"
NUMBERS = [  # argument, a call with it, its bounds as the message gives them, values outside
    ("strength", nn.L2, FROM_0, [-1e-4]),
    ("strength", nn.L1, FROM_0, [-0.1]),
    ("l1", lambda v: nn.ElasticNet(v, 0.1), FROM_0, [-0.1]),
    ("l2", lambda v: nn.ElasticNet(0.1, v), FROM_0, [-0.1]),
    ("strength", lambda v: nn.GroupLasso(v, groups="units"), FROM_0, [-0.1]),
    ("limit", nn.MaxNorm, OVER_0, [0.0]),
    ("learning_rate", nn.SGD, FROM_0, [-0.1]),
    ("momentum", lambda v: nn.SGD(0.1, momentum=v), UNIT, [-0.1, 1.0, 1.5]),
    ("momentum", lambda v: nn.IPiano(0.1, momentum=v), UNIT, [-0.1, 1.0]),
    ("learning_rate", nn.RMSprop, FROM_0, [-0.1]),
    ("rho", lambda v: nn.RMSprop(rho=v), UNIT, [-0.1, 1.0]),
    ("epsilon", lambda v: nn.RMSprop(epsilon=v), OVER_0, [0.0, -1e-8]),
    ("learning_rate", nn.Adam, FROM_0, [-0.1]),
    ("beta_1", lambda v: nn.Adam(beta_1=v), UNIT, [-0.1, 1.0]),
    ("beta_2", lambda v: nn.Adam(beta_2=v), UNIT, [-0.1, 1.0]),
    ("epsilon", lambda v: nn.Adam(epsilon=v), OVER_0, [0.0, -1e-8]),
    ("weight_decay", lambda v: nn.AdamW(weight_decay=v), FROM_0, [-0.1]),
    ("keep_prob", lambda v: nn.Dropout(keep_prob=v), "(0, 1]", [0.0, -0.1, 1.0001, 20]),
    ("slope", nn.LeakyReLU, UNIT, [-0.1, 1.0]),
    ("alpha", nn.ELU, OVER_0, [0.0, -1.0]),
    ("delta", nn.Huber, OVER_0, [0.0, -1.0]),
    ("q", nn.Quantile, "(0, 1)", [0.0, 1.0, -0.5]),
    ("label_smoothing", lambda v: nn.SoftmaxCrossEntropy(label_smoothing=v), UNIT, [-0.1, 1.0]),
    ("normalizer", lambda v: SQUARED(X, X, normalizer=v), OVER_0, [0.0, -1]),
    ("min_delta", lambda v: nn.EarlyStopping(min_delta=v), FROM_0, [-0.1]),
    ("value", nn.ConstantSchedule, ANY, []),
    ("start", lambda v: nn.StepDecay(v, factor=0.5, every=1), ANY, []),
    ("factor", lambda v: nn.StepDecay(1, factor=v, every=1), FROM_0, [-1.0]),
    ("factor", lambda v: nn.ExponentialDecay(1, factor=v, every=1), FROM_0, [-1.0]),
    ("start", lambda v: nn.CosineDecay(v, 10), ANY, []),
    ("end", lambda v: nn.CosineDecay(0.1, 10, end=v), ANY, []),
    ("half", lambda v: nn.InverseTimeDecay(0.1, half=v), OVER_0, [0.0, -1.0]),
]
NO_NUMBERS = ("0.1", None, True, np.True_, b"0.1", 0.1j, [0.1], {}, np.array([0.1, 0.2]))
for name, make, bounds, outside in NUMBERS:
    for value in [*outside, np.nan, np.inf, -np.inf, 10**400]:
        words = f"^{name} must be .*{re.escape(bounds)}.*, got {re.escape(repr(value))}$"
        refuse(f"{name}={value}"[:40], lambda _, f=make, v=value: f(v), ValueError, words)
    for value in NO_NUMBERS:
        if value is None and name == "normalizer":
            continue
        words = f"(?s)^{name} must be .*, got {re.escape(repr(value))}$"
        refuse(f"{name}={value!r}", lambda _, f=make, v=value: f(v), TypeError, words)

WHOLES = [  # argument, a call with it, the least value
    ("units", lambda _, v: nn.Dense(v), 1),
    ("inputs", lambda _, v: nn.Network([nn.Dense(1)], inputs=v), 1),
    ("seed", lambda _, v: network(seed=v), 0),
    ("patience", lambda _, v: nn.EarlyStopping(patience=v), 1),
    ("every", lambda _, v: nn.StepDecay(0.1, factor=0.5, every=v), 1),
    ("every", lambda _, v: nn.ExponentialDecay(0.1, factor=0.5, every=v), 1),
    ("steps", lambda _, v: nn.CosineDecay(0.1, v), 1),
    ("steps", lambda _, v: nn.Warmup(v, nn.ConstantSchedule(0.1)), 1),
    ("n", lambda net, v: next(nn.batches(v, 32, net)), 1),
    ("batch_size", lambda net, v: next(nn.batches(9, v, net)), 1),
    ("step", lambda net, v: net.forward(X, training=True, step=v), 0),
    ("epochs", lambda net, v: fit(net, epochs=v), 0),
    ("batch_size", lambda net, v: fit(net, batch_size=v), 1),
    ("threads", lambda net, v: fit(net, threads=v), 1),
]
for name, call, least in WHOLES:
    words = f"^{name} must be a whole number (of at least|from) {least}.*, got {least - 1}$"
    refuse(f"{name}={least - 1}", bind(call, least - 1), ValueError, words)
    for value in (2.0, "2", True, 2.5, [2], 2j, np.float32(2)):
        words = f"^{name} must be a whole number.*got {re.escape(repr(value))}$"
        refuse(f"{name}={value!r}", bind(call, value), TypeError, words)

words = r"^epochs must be a whole number.*got ndarray of shape \(3, 2\)$"
refuse("epochs=array", lambda net: fit(net, epochs=np.ones((3, 2))), TypeError, words)
words = "^threads must be a whole number from 1 to .*, got 4294967296$"
refuse("threads=2**32", lambda net: fit(net, threads=2**32), ValueError, words)

# --- Names ----------------------------------------------------------------------------------------

WATCH = [nn.EarlyStopping("data_los", mode="min")]
for call, name, value, near in [
    (lambda _: nn.L1(0.1, method="proximl"), "method", "proximl", "proximal"),
    (lambda _: nn.ElasticNet(0, 0, method="subgradiant"), "method", "subgradiant", "subgradient"),
    (lambda _: nn.GroupLasso(0.1, groups="unit"), "groups", "unit", "units"),
    (lambda _: setattr(nn.L1(0.1), "method", "proximl"), "method", "proximl", "proximal"),
    (
        lambda _: setattr(nn.GroupLasso(0.1, groups="units"), "groups", "input"),
        "groups",
        "input",
        "inputs",
    ),
    (lambda _: network(dtype="flaot32"), "dtype", "flaot32", "float32"),
    (lambda _: network(dtype=np.float16), "dtype", "float16", "float"),
    (lambda net: net.copy(dtype="flaot32"), "dtype", "flaot32", "float32"),
    (lambda net: fit(net, metrics="mean_sqared_error"), "metrics", "mean_sqared_error", "mean_sq"),
    (lambda net: fit(net, class_weight="balancd"), "class_weight", "balancd", "balanced"),
    (lambda _: nn.EarlyStopping(mode="mni"), "mode", "mni", "min"),
    (lambda net: fit(net, callbacks=WATCH), "monitor", "data_los", "data_loss"),
    (
        lambda _: nn.HyperparameterScheduler(nn.L2(0.1), "strenght", nn.ConstantSchedule(0.1)),
        "attribute",
        "strenght",
        "strength",
    ),
]:
    words = rf"^{name} must be .*'{value}' \(did you mean '{near}"
    refuse(f"{name}={value}", call, ValueError, words)

for call, words in [  # an argument that is unknown, with the one to write instead; or missing
    (lambda _: nn.Network([nn.Dense(1)], inputs=1, pennalty=None), "'pennalty'"),
    (lambda _: nn.Network([nn.Dense(1)]), "'inputs'"),
    (lambda net: fit(net, epoch=5), "'epoch'"),
    (lambda net: nn.fit(net, X, YES, optimizer=nn.Adam(), epochs=1), "'loss'"),
    (lambda net: nn.evaluate(net, X, YES, los=nn.Huber()), "'los'"),
    (lambda _: nn.Dense(1, activation="relu"), "Dense .*'activation'"),
    (lambda _: nn.Dropout(keepprob=0.8), r"no argument 'keepprob' \(did you mean 'keep_prob'"),
    (
        lambda _: nn.Dropout(0.2),
        "keep_prob=.*got 0.2.*keep_prob = 1 - rate|got 0.2.*keep_prob=.*1 - rate",
    ),
    (lambda _: nn.Dropout(rate=0.2), "keep_prob = 1 - rate"),
    (lambda _: nn.Dropout(p=0.2), "keep_prob = 1 - "),
    (lambda _: nn.Dropout(0.2, keep_prob=0.8), "keep_prob"),
    (lambda _: nn.Adam(lr=0.1), "Adam has no argument 'lr': write learning_rate="),
    (lambda net: nn.Adam(net.parameters, lr=0.1), "'lr': write learning_rate="),
    (lambda net: nn.Adam(net.parameters), r"learning_rate .* update\(net.parameters, gradients\)"),
    (lambda _: nn.Adam(betas=(0.9, 0.99)), "'betas': write beta_1= and beta_2="),
    (lambda _: nn.Adam(beta1=0.9), r"'beta1' \(did you mean 'beta_1'"),
    (lambda _: nn.SGD(0.1, weight_decay=0.1), "'weight_decay': .*penalty=nn.L2"),
    (lambda _: nn.SGD(0.1, 0.9), "SGD takes momentum, .* by name, got 0.9: write momentum="),
    (lambda _: nn.SGD(0.1, clipnorm=1), "'clipnorm': write clip_norm="),
    (lambda _: nn.L2(l2=0.1), "L2 has no argument 'l2': write strength="),
    (lambda _: nn.L1(lambda_=0.1), "'lambda_': write strength="),
    (lambda _: nn.MaxNorm(max_value=3), "'max_value': write limit="),
    (lambda _: nn.SoftmaxCrossEntropy(from_logits=True), r"'from_logits': .*\(logits\)"),
    (lambda _: nn.MeanSquaredError(reduction="mean"), "'reduction': every loss is a mean"),
]:
    refuse(words, call, TypeError, words)

# --- Layers, losses, optimizers, callbacks, caches ------------------------------------------------

for layers, error, words in [
    (
        lambda: (nn.Dense(1) for _ in range(2)),
        TypeError,
        "layers must be a list of layers, got gen",
    ),
    (lambda: nn.Dense(1), TypeError, "layers must be a list of layers, got Dense"),
    (lambda: None, TypeError, "layers must be a list of layers, got NoneType"),
    (lambda: {"a": nn.Dense(1)}, TypeError, "layers must be a list of layers, got dict"),
    (lambda: {nn.Dense(1)}, TypeError, "layers must be a list of layers, got set"),
    (list, ValueError, "layers must not be empty"),
    (lambda: [64, 10], TypeError, r"layers\[0\] must be a Layer, got 64"),
    (lambda: [nn.Dense(1), "relu"], TypeError, r"layers\[1\] must be a Layer, got 'relu'"),
    (
        lambda: [nn.Dense(1), nn.ReLU],
        TypeError,
        r"layers\[1\] must be a Layer, got <class .*: write ReLU\(",
    ),
    (lambda: [nn.Dense(1), np.tanh], TypeError, r"layers\[1\] must be a Layer, got <uf"),
    (lambda: [network()], TypeError, r"layers\[0\] must be a Layer, got Network"),
    (lambda: [dense := nn.Dense(2), nn.ReLU(), dense], ValueError, "a layer .* once|make another"),
]:
    refuse(words, lambda _, f=layers: nn.Network(f(), inputs=2), error, words)
EITHER = (TypeError, ValueError)
NET, LOSS = "^net must be a Network, got", "^loss must be a Loss such as"
NO_NETS, NO_LOSSES = [None, "net", nn.Network], ["mse", None, nn.SoftmaxCrossEntropy, print]
NO_CONSTRAINTS = ["maxnorm", 3.0, nn.MaxNorm, nn.L2(0.1)]
NO_PENALTIES = ["l2", 0.01, nn.L2, True, [nn.L2(0.1)]]
NO_CALLBACKS = [5, None, [5], ["progress"], [nn.Progress], nn.EarlyStopping, [None], {"a": 1}]


def fit_with(name):
    """Return a call of ``fit`` with a value for this argument."""
    options = {"x": X, "y": YES, "loss": SOFTMAX, "optimizer": nn.SGD(0.1), "epochs": 1}
    return lambda net, v: nn.fit(**({"net": net} | options | {name: v}))


def evaluate_with(name):
    return lambda net, v: nn.evaluate(**({"net": net, "x": X, "y": YES, "loss": SOFTMAX, name: v}))


for name, call, values, error, words in [  # the same error for each of the values
    (
        *("Network(penalty)", lambda _, v: nn.Network([nn.Dense(1)], inputs=1, penalty=v)),
        *(
            ["inherit", *NO_PENALTIES],
            TypeError,
            "penalty must be None or a Penalty such as",
        ),
    ),
    (
        *("net.penalty", lambda net, v: setattr(net, "penalty", v)),
        *(
            ["inherit", *NO_PENALTIES],
            TypeError,
            "penalty must be None or a Penalty such as",
        ),
    ),
    (
        *("constraint", lambda _, v: nn.Network([nn.Dense(1)], inputs=1, constraint=v)),
        *(NO_CONSTRAINTS, TypeError, "constraint must be None or a Constraint such as"),
    ),
    (
        *("Dense(constraint)", lambda _, v: nn.Dense(1, constraint=v), NO_CONSTRAINTS, TypeError),
        'constraint must be "inherit", None or a Constraint',
    ),
    (
        *("Dense(penalty)", lambda _, v: nn.Dense(1, penalty=v), NO_PENALTIES, TypeError),
        'penalty must be "inherit", None or a Penalty such',
    ),
    (
        *("initializer", lambda _, v: nn.Dense(1, initializer=v)),
        *(["he_normal", 0.1, np.zeros((2, 1))], TypeError),
        r"initializer must be a function \(shape, rng\) -> array",
    ),
    ("fit(net)", fit_with("net"), [*NO_NETS, [nn.Dense(1)]], TypeError, NET),
    ("evaluate(net)", evaluate_with("net"), [*NO_NETS, [nn.Dense(1)]], TypeError, NET),
    ("batches(net)", lambda _, v: next(nn.batches(9, 3, v)), [*NO_NETS, 32], TypeError, NET),
    ("fit(loss)", fit_with("loss"), [*NO_LOSSES, nn.L2(0.1)], TypeError, LOSS),
    ("evaluate(loss)", evaluate_with("loss"), [*NO_LOSSES, nn.L2(0.1)], TypeError, LOSS),
    (
        *("fit(optimizer)", fit_with("optimizer"), ["adam", None, nn.Adam, 0.01, SQUARED]),
        *(TypeError, "^optimizer must be an Optimizer such as"),
    ),
    (
        *("fit(callbacks)", fit_with("callbacks"), NO_CALLBACKS, TypeError),
        "^callbacks must be Callbacks or functions of the state, got",
    ),
    ("fit(metrics)", fit_with("metrics"), [5, [5], [None]], EITHER, "^metrics must be"),
    ("evaluate(metrics)", evaluate_with("metrics"), [5, [5], [None]], EITHER, "^metrics must be"),
    (
        *("a metric of labels", fit_with("metrics")),
        *(["mean_absolute_error", "mean_squared_error"], ValueError),
        r"the metric mean_\w+ needs targets of the outputs' shape, \(N, 2\), got \(N,\)",
    ),
    (
        "a schedule's target",
        lambda _, v: nn.HyperparameterScheduler(v, "a", nn.ConstantSchedule(0.1)),
        *([nn.SGD, 0.1, "optimizer", None], TypeError),
        "target must be an object with hyperparameters, .*, got",
    ),
    (
        *("schedule", lambda _, v: nn.HyperparameterScheduler(nn.SGD(0.1), "learning_rate", v)),
        *([0.1, "cosine", None], TypeError, "schedule must be a schedule or a function .*, got"),
    ),
    (
        *("after", lambda _, v: nn.Warmup(10, v), [0.1, "cosine", None], TypeError),
        "after must be a schedule or a function .*, got",
    ),
    (
        *("monitor", lambda _, v: nn.EarlyStopping(v), [5, None, ["val_data_loss"], min]),
        *(TypeError, "monitor must be the name of a column .*, got"),
    ),
    (
        *("backward(cache)", lambda net, v: net.backward(ONES, v), [None, "cache", {}, X]),
        *(TypeError, "cache must be the Cache that forward returned, got"),
    ),
    (
        *("forward(cache)", lambda net, v: net.forward(X, cache=v)),
        *(["cache", {}, nn.Cache("float64")], EITHER, "^cache must "),
    ),
    (  # in float32 the sum would be zero, subnormal or infinite
        "weights of one size",
        lambda net, v: SOFTMAX(net.predict(X), YES, weights=np.full(6, v)),
        *([1e-46, 1e-42, 1e-38, 1e38], ValueError),
        "^weights must have a sum representable in float32, .*, so divide them by ",
    ),
    (
        "weights for a loss without",
        lambda net, v: fit(network(1), y=YES[:, np.newaxis], loss=OwnLoss(), **v),
        *([{"sample_weight": np.ones(6)}, {"class_weight": "balanced"}], TypeError),
        "^sample_weight and class_weight need a loss whose __call__ takes weights, OwnLoss does",
    ),
    *(
        (
            name,
            call,
            ["no", None, 1, np.nan],
            TypeError,
            rf"^{name} must be True( or False|, False or 'blocks'), got",
        )
        for name, call in [
            ("nesterov", lambda _, v: nn.SGD(0.1, momentum=0.9, nesterov=v)),
            ("bias", lambda _, v: nn.Dense(1, bias=v)),
            ("shuffle", fit_with("shuffle")),
            ("shuffle", lambda net, v: nn.batches(9, 3, net, shuffle=v)),
            ("overwrite", lambda _, v: nn.CSVLog("log.csv", overwrite=v)),
            ("restore_best_weights", lambda _, v: nn.EarlyStopping(restore_best_weights=v)),
            (
                "plain_sgd",
                lambda _, v: nn.convert_penalty(1, source="keras", target="nnreg", plain_sgd=v),
            ),
        ]
    ),
]:
    for value in values:
        refuse(f"{name}={value!r:.40}", bind(call, value), error, words)
for name, call in {  # zero or infinite in float32
    "learning_rate of SGD": lambda net, v: fit(net, optimizer=nn.SGD(v)),
    "clip_value of SGD": lambda net, v: fit(net, optimizer=nn.SGD(0.1, clip_value=v)),
    "weight_decay of AdamW": lambda net, v: fit(net, optimizer=nn.AdamW(weight_decay=v)),
    "learning_rate of Adam": lambda net, v: nn.Adam(v).update(net.parameters, net.parameters),
    "strength of L1": lambda net, v: setattr(net, "penalty", nn.L1(v)) or fit(net),
    "limit of MaxNorm": lambda net, v: setattr(net, "constraint", nn.MaxNorm(v)) or fit(net),
    "delta of Huber": lambda net, v: fit(net, loss=nn.Huber(v)),
}.items():
    for value in (1e-46, 1e39):
        words = rf"^{name} must be 0 or from 1.4e-45 to 3.4e\+38 .* float32, got {value!r}"
        refuse(f"{name}, {value}", bind(call, value), ValueError, words.replace("e+39", r"e\+39"))
OTHER = nn.Network([nn.Dense(3)], inputs=2, dtype="float64")
for name, call, error, words in [
    (
        "accuracy without classes",
        lambda net: fit(net, y=X, loss=SQUARED, metrics=["accuracy"]),
        TypeError,
        "the metric accuracy needs a loss that predicts classes, got MeanSquaredError",
    ),
    (
        "accuracy without classes, evaluate",
        lambda net: nn.evaluate(net, X, X, loss=nn.Huber(), metrics=["accuracy"]),
        TypeError,
        "needs a loss that predicts classes, got Huber",
    ),
    (
        "predict, a later row",
        lambda net: net.predict(changed(np.zeros((5000, 2)), (4000, 1), np.nan)),
        ValueError,
        r"x .*must be finite, got nan at index \[4000, 1\]",
    ),
    (
        "nesterov without momentum",
        lambda _: nn.SGD(0.1, nesterov=True),
        ValueError,
        "nesterov=True needs a momentum above 0, got momentum=0",
    ),
    (
        "more rows than a memory holds",
        lambda net: nn.batches(2**63, 1, net),
        ValueError,
        r"^n must be a whole number from 1 to .*, got 9223372036854775808",
    ),
    (
        "a layer of another network",
        lambda net: nn.Network([net.layers[0]], inputs=2),
        ValueError,
        "dense_1 is in a network already",
    ),
    (
        "an initializer's shape",
        lambda _: nn.Network([nn.Dense(3, initializer=lambda *_: np.zeros(2))], inputs=2),
        ValueError,
        r"of dense_1.weight must return shape \(2, 3\), got \(2,\)",
    ),
    (
        "backward after inference",
        lambda net: net.backward(ONES, net.forward(X)[1]),
        ValueError,
        "needs the cache of a pass in training mode: .*training=True",
    ),
    (
        "backward without a pass",
        lambda net: net.backward(ONES, nn.Cache("float32")),
        ValueError,
        "needs the cache of a pass in training mode",
    ),
    (
        "a replay in inference",
        lambda net: net.forward(X, step=3),
        ValueError,
        "step repeats a training step, so it needs training=True",
    ),
    (
        "a cache of another network",
        lambda net: net.backward(ONES, OTHER.forward(X, training=True)[1]),
        ValueError,
        "cache must come from this network's forward",
    ),
    (
        "penalty gradients of another network",
        lambda net: net.add_penalty_gradient(OTHER.parameters.like()),
        ValueError,
        "gradients must be those of this network",
    ),
    (
        "step sizes of another network",
        lambda net: net.apply_proximal(np.ones(9)),
        ValueError,
        r"step_size must be a number or have shape \(22,\), got \(9,\)",
    ),
    (
        "gradients of another network",
        lambda net: nn.Adam().update(net.parameters, OTHER.parameters.like()),
        ValueError,
        "gradients must have the names, .* 22 values .*, got .* 9 values",
    ),
    (
        "an unknown parameter",
        lambda net: net.parameters["dense_9.weight"],
        KeyError,
        "no parameter 'dense_9.weight'; available: dense_1.weight, ",
    ),
    ("nn.sigmoid(text)", lambda _: nn.sigmoid("a"), TypeError, f"z {REAL_NUMBERS} <U1"),
    (
        "nn.softmax()",
        lambda _: nn.softmax(2.0),
        ValueError,
        r"z must have at least one .*, got shape \(\)",
    ),
    ("nn.softmax([])", lambda _: nn.softmax([]), ValueError, r"z must have at least one .*\(0,\)"),
]:
    refuse(name, call, error, words)
for out, error, words in [
    (np.empty((4, 2)), ValueError, r"out must .* shape \(6, 2\) and .* got .* shape \(4, 2\)"),
    (np.empty((6, 2), "f4"), ValueError, "out must .* dtype float64, got .* dtype float32"),
    ([], TypeError, r"out must be an array to write into, got \[\]"),
    (np.broadcast_to(0.0, (6, 2)), ValueError, "out must be writeable .*, got a read-only array"),
    (True, TypeError, "out must be an array to write into, got True"),
]:
    for loss in (SQUARED, SOFTMAX, SIGMOID, nn.Poisson(), nn.Huber(), nn.Quantile()):
        y = YES if loss is SOFTMAX else ONES
        refuse(
            f"{loss}, out={out!r:.9}", lambda _, o=out, f=loss, y=y: f(X, y, out=o), error, words
        )


@pytest.mark.parametrize("group", CASES)
def test_a_wrong_argument_is_named_and_nothing_has_changed(group):
    for name, call, error, words, outputs in CASES[group]:
        print(name)  # pytest shows it if the case fails
        net = network(outputs)
        with unchanged(net), pytest.raises(error, match=words) as caught:
            call(net)
        assert isinstance(error, tuple) or type(caught.value) is error


# --- Attributes -----------------------------------------------------------------------------------

ADJUSTABLE = {
    "strength": lambda: nn.L2(0.1),
    "l1": lambda: nn.ElasticNet(0.1, 0.1),
    "limit": lambda: nn.MaxNorm(1.0),
    "learning_rate": nn.Adam,
    "beta_1": nn.Adam,
    "clip_norm": nn.Adam,
    "clip_value": nn.Adam,
    "weight_decay": nn.AdamW,
    "momentum": lambda: nn.SGD(0.1, momentum=0.9),
    "rho": nn.RMSprop,
    "keep_prob": lambda: nn.Dropout(keep_prob=0.5),
    "slope": nn.LeakyReLU,
    "alpha": nn.ELU,
    "delta": nn.Huber,
    "q": nn.Quantile,
    "label_smoothing": lambda: nn.SoftmaxCrossEntropy(label_smoothing=0.1),
}


@pytest.mark.parametrize(("name", "make"), ADJUSTABLE.items(), ids=ADJUSTABLE)
def test_a_hyperparameter_is_checked_whenever_it_is_set(name, make):
    rule = make()
    before = getattr(rule, name)
    for value, error in ((-1.0, ValueError), (np.nan, ValueError), ("0.1", TypeError)):
        with pytest.raises(error, match=f"^{name} must be .*, got {value!r}"):
            setattr(rule, name, value)
        assert getattr(rule, name) == before
    setattr(rule, name, np.float64(0.25))
    assert type(getattr(rule, name)) is float


@pytest.mark.parametrize(("name", "call", "least"), WHOLES)
def test_a_numpy_integer_is_taken(name, call, least):
    call(network(), np.int32(3))


def test_weights_that_a_split_leaves_all_zero_are_named():
    seen = []
    look = lambda outputs, targets: seen.append(targets.ravel().tolist()) or 0.0
    numbers = np.arange(6.0)[:, np.newaxis] * np.ones(2)
    fit(network(), y=numbers, loss=SQUARED, metrics=look, validation_split=0.5)
    net, weights = network(), np.isin(np.arange(6), seen[-1]) * 1.0
    words = r"^sample_weight of .* rows must not all be zero"
    with unchanged(net), pytest.raises(ValueError, match=words):
        fit(net, sample_weight=weights, validation_split=0.5)


# --- Methods that a subclass must define ----------------------------------------------------------

MISSING = {
    "forward": (nn.Layer(), 2, r"Layer .*must define forward"),
    "backward": (nn.Layer(), 2, r"Layer .*must define backward"),
    "gradient": (nn.Layer(), 3, r"Layer .*must define gradient"),
    "__call__": (nn.Loss(), 2, r"Loss must define __call__\(outputs, targets\)"),
    "compute_rows": (RowLoss(), 3, r"RowLoss must define compute_rows\(outputs, targets, out\)"),
    "value": (nn.Penalty(), 1, "Penalty (must define|has no)"),
    "gradient of a penalty": (nn.Penalty(), 2, "Penalty (must define|has no)"),
    "proximal": (nn.Penalty(), 3, "Penalty (must define|has no)"),
    "project": (nn.Constraint(), 2, r"Constraint must define project\(w, out\)"),
    "update_block": (nn.Optimizer(0.1), 4, r"Optimizer must define update_block\(w, g, part, work"),
    "step_size_of": (nn.Optimizer(0.1), 1, r"Optimizer must define step_size_of\(part\)"),
    "__call__ of a schedule": (Schedule(), 1, r"Schedule must define __call__\(step\)"),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_method_that_a_subclass_lacks_is_named(name):
    rule, arguments, message = MISSING[name]
    with pytest.raises(NotImplementedError, match=message):
        getattr(rule, name.partition(" ")[0])(*(np.ones((2, 2)) for _ in range(arguments)))


def test_a_class_may_take_any_arguments_by_name():
    class Open(nn.Layer):
        def __init__(self, units, **options):
            self.units, self.options = units, options

    assert Open(2, colour="red").options == {"colour": "red"}


# --- What is taken --------------------------------------------------------------------------------


class Frame:
    """As much of a data frame as an array is made from."""

    def __array__(self, dtype=None, copy=None):
        return np.array(np.arange(12.0).reshape(6, 2), dtype)


def memory_mapped(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(12.0).reshape(6, 2))
    return np.load(path, mmap_mode="r")


def read_only(_):
    x = np.arange(12.0).reshape(6, 2)
    x.flags.writeable = False
    return x


TAKEN = {
    "list": lambda _: np.arange(12.0).reshape(6, 2).tolist(),
    "tuple of rows": lambda _: tuple(map(tuple, np.arange(12).reshape(6, 2).tolist())),
    "list of arrays": lambda _: list(np.arange(12.0).reshape(6, 2)),
    "data frame": lambda _: Frame(),
    "Fortran order": lambda _: np.asfortranarray(np.arange(12.0).reshape(6, 2)),
    "every other column": lambda _: np.arange(24.0).reshape(6, 4)[:, ::2] / 2,
    "masked nowhere": lambda _: np.ma.masked_less(np.arange(12.0).reshape(6, 2), 0),
    "backward rows": lambda _: np.arange(12.0).reshape(6, 2)[::-1].copy()[::-1],
    "broadcast": lambda _: np.arange(12.0).reshape(6, 2) + np.broadcast_to(0.0, (6, 2)),
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "uint8": lambda _: np.arange(12, dtype=np.uint8).reshape(6, 2),
    "int64": lambda _: np.arange(12).reshape(6, 2),
    "float16": lambda _: np.arange(12, dtype=np.float16).reshape(6, 2),
    "float32": lambda _: np.arange(12, dtype=np.float32).reshape(6, 2),
    "other byte order": lambda _: np.arange(12, dtype=">f4").reshape(6, 2),
    "longdouble": lambda _: np.arange(12, dtype=np.longdouble).reshape(6, 2),
}
each_taken = pytest.mark.parametrize("make", TAKEN.values(), ids=TAKEN)


@each_taken
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_numbers_are_the_same_data_in_every_form(make, dtype, tmp_path):
    def outcome(x):
        net = network().copy(dtype)
        history = fit(net, x, epochs=2, batch_size=4, validation_data=(x, YES), shuffle=False)
        outputs, _ = net.forward(x)
        assert outputs.dtype == net.parameters.vector.dtype == dtype
        assert (outputs == net.predict(x)).all()
        return outputs.tobytes(), history["val_data_loss"], everything(net)

    assert outcome(make(tmp_path)) == outcome(np.arange(12.0).reshape(6, 2))


@each_taken
def test_data_are_never_written_to(make, tmp_path):
    x = make(tmp_path)
    if not isinstance(x, np.ndarray) or not x.flags.writeable:
        pytest.skip("cannot be written to")
    x.flags.writeable = False
    net = network()
    fit(net, x, epochs=2, validation_split=0.5)
    net.predict(x)
    _, cache = net.forward(x, training=True)
    doutputs = np.ones((6, 2), "float32")
    doutputs.flags.writeable = False
    net.backward(doutputs, cache)


def test_bools_are_zeros_and_ones():
    def outcome(x):
        net = network()
        return fit(net, x)["data_loss"], net.predict(x).tobytes(), everything(net)

    assert outcome(X > 0) == outcome((X > 0).astype(float))


def test_labels_may_be_any_integers():
    outcomes = set()
    for kind in ("int8", "uint8", "int64", "uint64", ">i4", list, tuple):
        net = network()
        fit(net, y=kind(YES.tolist()) if isinstance(kind, type) else YES.astype(kind))
        outcomes.add(net.parameters.vector.tobytes())
    assert len(outcomes) == 1


def test_rows_of_probabilities_may_be_a_little_off_and_a_tuple_of_layers_is_taken():
    fit(network(3), y=np.full((6, 3), 1 / 3, "float32"))
    fit(network(3), y=np.array([[1, 0, 0]] * 6))
    assert "accuracy" not in nn.evaluate(network(), X, X, loss=nn.Huber())
    assert len(nn.Network((nn.Dense(2), nn.ReLU()), inputs=2).layers) == 2
    assert np.isfinite(network().copy("float64").predict(changed(X, (4, 1), 1e300))).all()


def test_a_frame_of_numbers_and_bools_is_taken_and_one_with_text_is_named():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "red": X[:, 1] > 0})
    expected = np.column_stack([X[:, 0], X[:, 1] > 0])
    for given in (frame, frame.convert_dtypes()):
        assert (network().predict(given) == network().predict(expected)).all()
    for given in (frame.assign(red=list("abcabc")), frame.assign(red=frame["a"].astype(object))):
        with pytest.raises(
            TypeError, match=r"^x must .* columns \['red'\] of .*columns=\['red'\].*astype\(float\)"
        ):
            fit(network(), given)


def test_an_archive_in_the_place_of_its_array_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", images=X)
    with (
        np.load(tmp_path / "a.npz") as archive,
        pytest.raises(TypeError, match=r"names \['images'\]"),
    ):
        network().predict(archive)
