"""Tests of the gradient check and the diagnosis on randomly drawn code, right or with one mistake.

A pair is a computation (an affine map, an activation, a loss, a small network, ...) in one of the
styles in which people call backward, in float64, float32, or cast to float32 inside. It is right,
or it has one mistake: a known bug, or a mistake of another kind. Counted are

- false passes: a wrong gradient for which the check passes;
- false alarms: a right gradient for which it does not, or an error;
- changed objects: arguments, attributes or generators that are not the same bits afterwards;
- known bugs that ``diagnose`` names, and mistakes of other kinds that it gives a name.

``python -m benchmarks.drawn_pairs --pairs 20000`` prints the table by style.
"""

from __future__ import annotations

import argparse
import pickle
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import nnreg as nn
from nnreg.testing import KNOWN_BUGS, diagnose

Arrays = dict[str, np.ndarray]


@dataclass
class Computation:
    """A computation: its arrays, forward, backward, and mistakes to make in backward.

    ``forward(arrays)`` returns the output and what backward needs; ``backward(dy, memory)`` returns
    a gradient for each array. ``mistakes`` holds ``(names, block, change)``: the known bugs that it
    matches, none if it is of another kind; and ``change(gradient, dy, memory)``, the wrong
    gradient.
    """

    name: str
    arrays: Arrays
    forward: Callable[[Arrays], tuple[Any, Any]]
    backward: Callable[[Any, Any], Arrays]
    mistakes: list[tuple[tuple[str, ...], str, Callable[..., Any]]] = field(default_factory=list)
    data: tuple[Any, ...] = ()  # arguments that are not differentiated by
    scalar: bool = False


def relu_like(rng: Any, name: str) -> Computation:
    """Return an elementwise function."""
    x = rng.standard_normal((5, 4))
    x += 0.05 * np.sign(x)
    functions = {
        "relu": (lambda x: x * (x.real > 0), lambda x, y: (x > 0) * 1.0),
        "tanh": (np.tanh, lambda x, y: 1 - y**2),
        "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x, y: y * (1 - y)),
        "softplus": (lambda x: np.log(1 + np.exp(x)), lambda x, y: 1 / (1 + np.exp(-x))),
    }
    f, slope = functions[name]
    known = {
        "relu": [
            ("ReLU: no mask", lambda g, dy, m: dy * 1.0),
            ("ReLU: mask from dy", lambda g, dy, m: dy * (dy > 0)),
            ("ReLU: mask of the wrong sign", lambda g, dy, m: dy * (m[0] <= 0)),
            ("ReLU: output for mask", lambda g, dy, m: dy * m[1]),
        ],
        "tanh": [
            ("tanh: 1 - y", lambda g, dy, m: dy * (1 - m[1])),
            ("tanh: applied to y", lambda g, dy, m: dy * (1 - np.tanh(m[1]) ** 2)),
            ("tanh: derivative of the sigmoid", lambda g, dy, m: dy * m[1] * (1 - m[1])),
        ],
        "sigmoid": [
            ("sigmoid: y", lambda g, dy, m: dy * m[1]),
            ("sigmoid: x(1 - x)", lambda g, dy, m: dy * m[0] * (1 - m[0])),
            ("sigmoid: derivative of tanh", lambda g, dy, m: dy * (1 - m[1] ** 2)),
        ],
        "softplus": [
            ("softplus: sigmoid of y", lambda g, dy, m: dy / (1 + np.exp(-m[1]))),
            ("softplus: sigmoid of -x", lambda g, dy, m: dy / (1 + np.exp(m[0]))),
        ],
    }[name]
    mistakes = [((bug,), "x", change) for bug, change in known]
    mistakes += [
        (("activation: dy missing",), "x", lambda g, dy, m: slope(*m)),
        (("layer: sign",), "x", lambda g, dy, m: -g),
    ]
    if name != "relu":
        bug = ("activation: derivative missing",)
        mistakes.append((bug, "x", lambda g, dy, m: dy * 1.0))
    forward = lambda a: (f(a["x"]), (a["x"], f(a["x"])))
    return Computation(name, {"x": x}, forward, lambda dy, m: {"x": dy * slope(*m)}, mistakes)


def affine(rng: Any) -> Computation:
    """Return ``x w + b``."""
    arrays = {"x": rng.standard_normal((5, 4)), "w": rng.standard_normal((4, 3))}
    arrays["b"] = rng.standard_normal(3)

    def forward(a: Arrays) -> tuple[Any, Any]:
        return a["x"] @ a["w"] + a["b"], (a["x"], a["w"])

    def backward(dy: Any, m: Any) -> Arrays:
        return {"x": dy @ m[1].T, "w": m[0].T @ dy, "b": dy.sum(axis=0)}

    mistakes = [
        (("dense: db averaged",), "b", lambda g, dy, m: dy.mean(axis=0)),
        (("dense: db from the first row",), "b", lambda g, dy, m: dy[0].copy()),
        (("dense: db missing",), "b", lambda g, dy, m: 0 * g),
        (("dense: db summed over everything",), "b", lambda g, dy, m: 0 * g + dy.sum()),
        (("dense: dx with its rows reversed",), "x", lambda g, dy, m: g[::-1].copy()),
        (
            ("dense: rows summed before the product",),
            "w",
            lambda g, dy, m: np.outer(m[0].sum(axis=0), dy.sum(axis=0)),
        ),
        (("dense: dw transposed and reshaped",), "w", lambda g, dy, m: g.T.reshape(g.shape)),
        (("layer: dw from the last row",), "w", lambda g, dy, m: np.outer(m[0][-1], dy[-1])),
        (("layer: divided by N",), "w", lambda g, dy, m: g / 5),
        (("layer: times N",), "w", lambda g, dy, m: g * 5),
        (("layer: sign",), "w", lambda g, dy, m: -g),
        (("layer: twice",), "x", lambda g, dy, m: 2 * g),
        (("layer: dy missing",), "w", lambda g, dy, m: m[0].T @ np.ones_like(dy)),
        (("layer: dw missing",), "w", lambda g, dy, m: 0 * g),
        (("gradient: penalty's term",), "w", lambda g, dy, m: g + 0.1 * m[1]),
    ]
    return Computation("affine", arrays, forward, backward, mistakes)


def normalization(rng: Any, name: str) -> Computation:
    """Return softmax, log-softmax or batch normalization as a layer."""
    arrays = {"x": rng.standard_normal((5, 4))}

    def forward(a: Arrays) -> tuple[Any, Any]:
        x = a["x"]
        if name == "batch normalization":
            centred = x - x.mean(axis=0)
            deviation = np.sqrt((centred * centred).mean(axis=0) + 1e-3)
            return centred / deviation, (centred / deviation, deviation)
        e = np.exp(x - x.real.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return (p, (p, None)) if name == "softmax" else (np.log(p), (p, None))

    def backward(dy: Any, m: Any) -> Arrays:
        y, deviation = m
        if name == "batch normalization":
            return {"x": (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / deviation}
        if name == "softmax":
            return {"x": y * (dy - (dy * y).sum(axis=1, keepdims=True))}
        return {"x": dy - y * dy.sum(axis=1, keepdims=True)}

    known = {
        "softmax": [
            ("diagonal only", lambda g, dy, m: dy * m[0] * (1 - m[0])),
            ("sum term missing", lambda g, dy, m: dy * m[0]),
            ("sum over the batch", lambda g, dy, m: m[0] * (dy - (dy * m[0]).sum(axis=0))),
        ],
        "log-softmax": [
            ("sum term missing", lambda g, dy, m: dy * 1.0),
            ("dy in the second term", lambda g, dy, m: dy - m[0] * dy),
            ("sum over the batch", lambda g, dy, m: dy - m[0] * dy.sum(axis=0)),
        ],
        "batch normalization": [
            ("statistics as constants", lambda g, dy, m: dy / m[1]),
            ("variance term missing", lambda g, dy, m: (dy - dy.mean(axis=0)) / m[1]),
            ("mean term missing", lambda g, dy, m: g + dy.mean(axis=0) / m[1]),
        ],
    }[name]
    mistakes = [((f"{name}: {bug}",), "x", change) for bug, change in known]
    return Computation(name, arrays, forward, backward, mistakes)


def loss(rng: Any, name: str) -> Computation:
    """Return a loss of outputs and targets."""
    z = rng.standard_normal((5, 4))
    targets = rng.integers(0, 4, 5) if name == "softmax loss" else rng.standard_normal((5, 4))
    if name == "logistic loss":
        targets = rng.integers(0, 2, (5, 4)).astype(float)
    rows = np.arange(5)

    def forward(a: Arrays) -> tuple[Any, Any]:
        z, t = a["z"], targets
        if name == "softmax loss":
            e = np.exp(z - z.real.max(axis=1, keepdims=True))
            p = e / e.sum(axis=1, keepdims=True)
            return -np.log(p[rows, t]).mean(), p
        if name == "logistic loss":
            p = 1 / (1 + np.exp(-z))
            return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 5, p
        return ((z - t) ** 2).mean(), z

    def backward(dy: Any, p: Any) -> Arrays:
        if name == "softmax loss":
            d = p.copy()
            d[rows, targets] -= 1
            return {"z": dy * d / 5}
        return {"z": dy * (p - targets) / 5 if name == "logistic loss" else dy * (p - targets) / 10}

    hot = np.eye(4)[targets] if name == "softmax loss" else None
    mistakes: list[Any] = [
        (("loss: sign",), "z", lambda g, dy, m: -g),
        (("loss: N twice",), "z", lambda g, dy, m: g / 5),
        (("loss: 1/N missing",), "z", lambda g, dy, m: g * 5),
    ]
    if name == "mse":
        mistakes[2] = (
            ("squared error: divided by N alone", "loss: M missing"),
            "z",
            lambda g, dy, m: g * 4,
        )
        mistakes.append((("squared error: 2 missing", "loss: half"), "z", lambda g, dy, m: g / 2))
    elif name == "softmax loss":
        mistakes += [
            (("softmax cross-entropy: diagonal only",), "z", lambda g, dy, m: hot * (m - 1) / 5),
            (("softmax cross-entropy: targets missing",), "z", lambda g, dy, m: m / 5),
            (("softmax cross-entropy: by the probabilities",), "z", lambda g, dy, m: -hot / m / 5),
        ]
    else:
        mistakes.append(
            (("sigmoid cross-entropy: extra p(1 - p)",), "z", lambda g, dy, m: g * m * (1 - m))
        )
    return Computation(name, {"z": z}, forward, backward, mistakes, (targets,), scalar=True)


def network(rng: Any) -> Computation:
    """Return the loss of a network of two layers with an L2 penalty, by its parameters."""
    x, t = rng.standard_normal((7, 4)), rng.integers(0, 3, 7)
    arrays = {"W1": rng.standard_normal((4, 5)), "b1": rng.standard_normal(5)}
    arrays |= {"W2": rng.standard_normal((5, 3)), "b2": rng.standard_normal(3)}

    def forward(a: Arrays) -> tuple[Any, Any]:
        h = np.tanh(x @ a["W1"] + a["b1"])
        s = h @ a["W2"] + a["b2"]
        e = np.exp(s - s.real.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        data = -np.log(p[np.arange(7), t]).mean()
        return data + 0.1 * ((a["W1"] ** 2).sum() + (a["W2"] ** 2).sum()), (a, h, p)

    def data_gradients(m: Any) -> Arrays:
        a, h, p = m
        d = p.copy()
        d[np.arange(7), t] -= 1
        d /= 7
        dh = d @ a["W2"].T * (1 - h * h)
        return {"W1": x.T @ dh, "b1": dh.sum(axis=0), "W2": h.T @ d, "b2": d.sum(axis=0)}

    def backward(dy: Any, m: Any) -> Arrays:
        g = data_gradients(m)
        return g | {"W1": g["W1"] + 0.2 * m[0]["W1"], "W2": g["W2"] + 0.2 * m[0]["W2"]}

    def unclipped(name: str) -> Callable[..., Any]:
        return lambda g, dy, m: 0.3 * data_gradients(m)[name] + 0.2 * m[0][name]

    mistakes = [
        (("gradient: sign",), "W1", lambda g, dy, m: -g),
        (("gradient: twice",), "b1", lambda g, dy, m: 2 * g),
        (("gradient: half",), "b2", lambda g, dy, m: g / 2),
        (("gradient: missing",), "b1", lambda g, dy, m: 0 * g),
        (("gradient: times N",), "b2", lambda g, dy, m: 7 * g),
        (("gradient: divided by N",), "b1", lambda g, dy, m: g / 7),
        (
            ("gradient: times N",),
            "W1",
            lambda g, dy, m: 7 * (g - 0.2 * m[0]["W1"]) + 0.2 * m[0]["W1"],
        ),
        (("gradient: penalty's term",), "W2", lambda g, dy, m: g + 0.2 * m[0]["W2"]),
        (("gradient: penalty's term",), "W1", lambda g, dy, m: g - 0.2 * m[0]["W1"]),
        (("gradient: penalty on the bias",), "b1", lambda g, dy, m: g + 0.2 * m[0]["b1"]),
        (("gradient: penalty added after the clip",), "W1", unclipped("W1")),
    ]
    return Computation("network", arrays, forward, backward, mistakes, scalar=True)


def sigmoid_network(rng: Any) -> Computation:
    """Return the squared error of a network of two layers with sigmoids, by its parameters."""
    x, t = rng.standard_normal((7, 4)), rng.uniform(0, 1, (7, 3))
    arrays = {"W1": rng.standard_normal((4, 5)), "b1": rng.standard_normal(5)}
    arrays |= {"W2": rng.standard_normal((5, 3)), "b2": rng.standard_normal(3)}

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def forward(a: Arrays) -> tuple[Any, Any]:
        h = sigmoid(x @ a["W1"] + a["b1"])
        y = sigmoid(h @ a["W2"] + a["b2"])
        return 0.5 * ((y - t) ** 2).sum() / 7, (a, h, y)

    def backward(dy: Any, m: Any, back: Any = None) -> Arrays:
        a, h, y = m
        delta = dy * (y - t) / 7 * y * (1 - y)
        back = delta @ a["W2"].T if back is None else back
        dh = back * h * (1 - h)
        return {"W1": x.T @ dh, "b1": dh.sum(axis=0), "W2": h.T @ delta, "b2": delta.sum(axis=0)}

    def from_error(name: str) -> Callable[..., Any]:
        return lambda g, dy, m: backward(dy, m, dy * (m[2] - t) / 7 @ m[0]["W2"].T)[name]

    mistakes = [
        (("gradient: hidden delta from the output's error",), name, from_error(name))
        for name in ("W1", "W1", "b1")
    ]
    mistakes += [
        (("gradient: sign",), "W2", lambda g, dy, m: -g),
        (("gradient: twice",), "b2", lambda g, dy, m: 2 * g),
        (("gradient: divided by N",), "W1", lambda g, dy, m: g / 7),
    ]
    return Computation("sigmoid network", arrays, forward, backward, mistakes, scalar=True)


COMPUTATIONS: list[Callable[[Any], Computation]] = [
    affine,
    *(partial(relu_like, name=name) for name in ("relu", "tanh", "sigmoid", "softplus")),
    *(partial(normalization, name=n) for n in ("softmax", "log-softmax", "batch normalization")),
    *(partial(loss, name=name) for name in ("softmax loss", "logistic loss", "mse")),
    network,
    sigmoid_network,
]


def other_mistakes(rng: Any) -> list[Callable[..., Any]]:
    """Return mistakes of kinds that no known bug describes."""
    factor = rng.uniform(1.15, 1.7)

    def one_entry(g: Any, dy: Any, m: Any) -> Any:
        g = g.copy()
        index = np.abs(g).argmax()
        g.flat[index] *= factor
        return g

    return [
        lambda g, dy, m: g * factor + 0.01 * g**2,
        lambda g, dy, m: g + 0.2 * np.abs(g).max() * np.cos(np.arange(g.size).reshape(g.shape)),
        lambda g, dy, m: np.roll(g, 1),
        lambda g, dy, m: np.tanh(1.3 * g + 0.1),
        one_entry,
    ]


# --- Styles -------------------------------------------------------------------------------------

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def _ordered(c: Computation, cast: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    return ((name, cast(array)) for name, array in c.arrays.items())


def with_cache(c: Computation, wrong: Any, cast: Any) -> Call:
    """``forward(*arrays) -> (out, cache)``, ``backward(dout, cache)``."""
    names = list(c.arrays)

    def forward(*arrays: Any) -> Any:
        return c.forward(dict(zip(names, arrays, strict=False)))

    def backward(dout: Any, cache: Any) -> Any:
        g = wrong(c.backward(dout, cache), dout, cache)
        return tuple(g[name] for name in names) if len(names) > 1 else g[names[0]]

    return forward, (backward, *(a for _, a in _ordered(c, cast))), {}


def in_dictionary(c: Computation, wrong: Any, cast: Any) -> Call:
    """``forward(params)``, gradients in a dictionary with ``d`` before the names."""

    def forward(params: Any) -> Any:
        return c.forward(params)

    def backward(dout: Any, cache: Any) -> Any:
        return {f"d{name}": g for name, g in wrong(c.backward(dout, cache), dout, cache).items()}

    return forward, (backward, dict(_ordered(c, cast))), {}


def nested(c: Computation, wrong: Any, cast: Any) -> Call:
    """``params["layer"]["w"]``, gradients in the same tree."""

    def forward(params: Any) -> Any:
        return c.forward(params["layer"])

    def backward(dout: Any, cache: Any) -> Any:
        return {"layer": wrong(c.backward(dout, cache), dout, cache)}

    return forward, (backward, {"layer": dict(_ordered(c, cast))}), {}


def in_list(c: Computation, wrong: Any, cast: Any) -> Call:
    """``forward(weights)`` with a list, a list of gradients."""
    names = list(c.arrays)

    def forward(weights: Any) -> Any:
        return c.forward(dict(zip(names, weights, strict=True)))

    def backward(dout: Any, cache: Any) -> Any:
        g = wrong(c.backward(dout, cache), dout, cache)
        return [g[name] for name in names]

    return forward, (backward, [a for _, a in _ordered(c, cast)]), {}


def with_inputs(c: Computation, wrong: Any, cast: Any) -> Call | None:
    """``f(Z)``, ``f_backward(dA, Z)``."""
    if len(c.arrays) > 1:
        return None
    [(name, array)] = _ordered(c, cast)

    def f(Z: Any) -> Any:  # as courses write it
        return c.forward({name: Z})[0]

    def f_backward(dA: Any, Z: Any) -> Any:
        memory = c.forward({name: Z})[1]
        return wrong(c.backward(dA, memory), dA, memory)[name]

    return f, (f_backward, array), {}


def derivative(c: Computation, wrong: Any, cast: Any) -> Call | None:
    """``f(z)``, ``f_prime(z)``, of elementwise functions."""
    if c.name not in ("relu", "tanh", "sigmoid", "softplus"):
        return None
    [(name, array)] = _ordered(c, cast)

    def f(z: Any) -> Any:
        return c.forward({name: z})[0]

    def f_prime(z: Any) -> Any:
        memory, ones = c.forward({name: z})[1], np.ones_like(z)
        return wrong(c.backward(ones, memory), ones, memory)[name]

    return f, (f_prime, array), {}


def value_and_gradients(c: Computation, wrong: Any, cast: Any) -> Call | None:
    """``loss(*arrays) -> (value, gradients)``."""
    if not c.scalar:
        return None
    names = list(c.arrays)

    def gradients(arrays: Arrays) -> Any:
        value, memory = c.forward(arrays)
        if np.iscomplexobj(value):
            return value, {name: 0 * a.real for name, a in arrays.items()}
        return value, wrong(c.backward(1.0, memory), 1.0, memory)

    if len(names) > 1:

        def network_loss(params: Any) -> Any:
            return gradients(params)

        return network_loss, (dict(_ordered(c, cast)),), {}

    def loss_function(z: Any, y: Any) -> Any:
        value, g = gradients({names[0]: z})
        return value, g[names[0]]

    return loss_function, (cast(c.arrays[names[0]]), *c.data), {}


def closure(c: Computation, wrong: Any, cast: Any) -> Call:
    """``forward(*arrays) -> (out, backward)``."""
    names = list(c.arrays)

    def forward(*arrays: Any) -> Any:
        out, memory = c.forward(dict(zip(names, arrays, strict=True)))

        def backward(dout: Any) -> Any:
            g = wrong(c.backward(dout, memory), dout, memory)
            return tuple(g[name] for name in names)

        return out, backward

    return forward, tuple(a for _, a in _ordered(c, cast)), {}


class Layer:
    """An object with state: parameters, memory, gradients, a generator, a counter."""

    def __init__(self, c: Computation, wrong: Any, cast: Any, style: str) -> None:
        self.c, self.wrong, self.style, self.calls = c, wrong, style, 0
        self.rng, self.draws = np.random.default_rng(1), random.Random(1)
        self.first = next(iter(c.arrays))
        for name, array in _ordered(c, cast):
            if name != self.first:
                setattr(self, name, array)

    def __call__(self, x: Any) -> Any:
        """Return the output."""
        return self.forward(x)

    def forward(self, x: Any) -> Any:
        """Compute the output, and store it with what backward needs."""
        self.calls += 1
        self.noise = self.rng.random() + self.draws.random() + np.random.random()
        parameters = {name: getattr(self, name) for name in self.c.arrays if name != self.first}
        self.output, self.memory = self.c.forward({self.first: x, **parameters})
        return None if self.style == "nnfs" else self.output

    def backward(self, dvalues: Any, learning_rate: float = 0.1) -> Any:
        """Compute and store the gradients, and update the parameters."""
        g = self.wrong(self.c.backward(dvalues, self.memory), dvalues, self.memory)
        for name, gradient in g.items():
            if name != self.first:
                setattr(self, f"d{name}", gradient)
                getattr(self, name)[...] -= learning_rate * gradient
        self.dinputs = g[self.first]
        return None if self.style == "nnfs" else self.dinputs


class RateLayer(Layer):
    """``backward(grad, learning_rate)``."""

    def backward(self, grad: Any, learning_rate: float) -> Any:
        """Compute and store the gradients, and update the parameters."""
        return super().backward(grad, learning_rate)


def of_object(c: Computation, wrong: Any, cast: Any, *, style: str = "") -> Call | None:
    """``layer.forward(x)``, ``layer.backward(dout)``, ``layer.w`` and ``layer.dw``."""
    if c.name.endswith("network"):
        return None
    layer = (RateLayer if style == "rate" else Layer)(c, wrong, cast, style)
    if c.name == "affine" and style == "parameters":
        options = {
            "parameters": {"w": layer.w, "b": layer.b},
            "gradients": lambda: {"w": layer.dw, "b": layer.db},
        }
    else:
        options = {}
    first = layer if style == "callable" else layer.forward
    return first, (layer.backward, cast(c.arrays[layer.first])), options


STYLES: dict[str, Callable[..., Call | None]] = {
    "backward(dout, cache)": with_cache,
    "dictionary of arrays": in_dictionary,
    "nested dictionary": nested,
    "list of arrays": in_list,
    "backward(dA, Z)": with_inputs,
    "f, f_prime": derivative,
    "loss -> (value, gradients)": value_and_gradients,
    "closure": closure,
    "object": partial(of_object, style=""),
    "object, parameters=": partial(of_object, style="parameters"),
    "object that is called": partial(of_object, style="callable"),
    "backward(grad, learning_rate)": partial(of_object, style="rate"),
    "nnfs object": partial(of_object, style="nnfs"),
}
#: Names of a loss's bugs in functions whose outputs and targets cannot be distinguished.
SAME = {
    "loss: sign": "gradient: sign",
    "loss: half": "gradient: half",
    "loss: N twice": "gradient: divided by N",
    "loss: 1/N missing": "gradient: times N",
    "loss: M missing": "gradient: times N",
}
DTYPES = ("float64", "float32", "cast inside")


def draw(number: int, seed: int) -> tuple[str, str, Call, tuple[str, ...] | None, str]:
    """Return one drawn pair: style, dtype, the call, the bugs (None: right), and a description."""
    rng = np.random.default_rng([seed, number])
    while True:
        style = str(rng.choice(list(STYLES)))
        c = COMPUTATIONS[rng.integers(len(COMPUTATIONS))](rng)
        dtype = str(rng.choice(DTYPES, p=[0.5, 0.3, 0.2]))
        kind = ("right", "known", "known", "other")[rng.integers(4)]
        names: tuple[str, ...] | None = None
        block, change = next(iter(c.arrays)), None
        if kind == "known":
            names, block, change = c.mistakes[rng.integers(len(c.mistakes))]
        elif kind == "other":
            changes = other_mistakes(rng)
            names, change = (), changes[rng.integers(len(changes))]
            block = str(rng.choice(list(c.arrays)))
        if style == "f, f_prime" and names and any("dy" in name for name in names):
            continue  # there is no dy
        call = STYLES[style](*_prepare(c, block, change, dtype))
        if call is not None:
            return style, dtype, call, names, f"{c.name}, {block}: {names}"


def _prepare(c: Computation, block: str, change: Any, dtype: str) -> tuple[Any, ...]:
    def wrong(g: Arrays, dy: Any, memory: Any) -> Arrays:
        return g if change is None else g | {block: change(g[block], dy, memory)}

    single = dtype != "float64"
    if dtype == "cast inside":
        forward = c.forward

        def cast_forward(arrays: Arrays) -> tuple[Any, Any]:
            return forward({n: np.asarray(a, dtype=np.float32) for n, a in arrays.items()})

        c.forward = cast_forward
    return c, wrong, lambda array: array.astype(np.float32 if single else np.float64)


def state(call: Call) -> bytes:
    """Return everything that the call could change, as bytes."""
    subject, arguments, _ = call
    owner = getattr(subject, "__self__", subject if isinstance(subject, Layer) else None)
    attributes = {n: v for n, v in vars(owner).items() if n not in ("c", "wrong")} if owner else {}
    values = [a for a in arguments if not callable(a)]
    globals_ = np.random.get_state(), random.getstate()
    return pickle.dumps([values, {n: pickle.dumps(v) for n, v in attributes.items()}, globals_])


def check_pair(number: int, seed: int, name_bugs: bool = True) -> tuple[str, str, str]:
    """Return style, result and description of one drawn pair."""
    style, _, call, names, words = draw(number, seed)
    subject, arguments, options = call
    before = state(call)
    try:
        report = nn.check_gradients(subject, *arguments, **options)
    except Exception as error:
        return style, "error", f"{words}: {type(error).__name__}: {error}"
    if state(call) != before:
        return style, "changed", words
    if names is None:
        return style, "right" if report.passed else "false alarm", f"{words} {report}"
    if report.passed:
        return style, "false pass", f"{words} {report}"
    if not name_bugs:
        return style, "found", words
    try:
        diagnosis = diagnose(subject, *arguments, **options)
    except Exception as error:
        return style, "error", f"{words}: diagnose: {type(error).__name__}: {error}"
    if state(call) != before:
        return style, "changed", words
    bugs = {d.known_bug.name for d in (diagnosis, *diagnosis.others) if d.known_bug}
    if names:
        named = len(bugs) == 1 and bugs <= {*names, *(SAME[n] for n in names if n in SAME)}
        return style, "named" if named else "not named", f"{words} {diagnosis}"
    return style, "named wrongly" if bugs else "other", f"{words} {diagnosis}"


def run(
    pairs: int, seed: int = 0, jobs: int = 1, *, name_bugs: bool = True
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Return the results by style, and the descriptions of the wrong ones.

    ``name_bugs=False`` leaves out ``diagnose``, which takes most of the time.
    """
    work = partial(check_pair, seed=seed, name_bugs=name_bugs)
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            results = list(pool.map(work, range(pairs), chunksize=100))
    else:
        results = list(map(work, range(pairs)))
    table: dict[str, Counter[str]] = {style: Counter() for style in STYLES}
    for style, result, _ in results:
        table[style][result] += 1
    good = ("right", "found", "named", "other")
    return table, [f"{s}: {r}: {words}" for s, r, words in results if r not in good]


def show(table: dict[str, Counter[str]]) -> str:
    """Return the table as Markdown."""
    lines = [
        "| style | pairs | false passes | false alarms | changed | known bugs named | "
        "others given a name |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    total: Counter[str] = Counter()
    for counts in table.values():
        total += counts
    for style, n in [*table.items(), ("all", total)]:
        known = n["named"] + n["not named"]
        share = f"{n['named']:,} of {known:,}"
        share += f" ({100 * n['named'] / known:.1f} %)" if known else ""
        others = f"{n['named wrongly']} of {n['named wrongly'] + n['other']:,}"
        lines.append(
            f"| {style} | {sum(n.values()):,} | {n['false pass']} | "
            f"{n['false alarm'] + n['error']} | {n['changed']} | {share} | {others} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Draw the pairs, check them, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drawn_pairs", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    assert KNOWN_BUGS
    table, bad = run(given.pairs, given.seed, given.jobs)
    print(show(table))
    for words in bad[:40]:
        print(words[:600], file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
