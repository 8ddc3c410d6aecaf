"""Every gradient against the derivative that SymPy derives from the value's formula."""

import re
from pathlib import Path

import numpy as np
import pytest

import nnreg as nn

sp = pytest.importorskip("sympy", exc_type=ImportError)

RNG = np.random.default_rng(0)
X, W, B = (np.round(RNG.standard_normal(shape), 2) + 0.005 for shape in ((3, 2), (2, 2), (2,)))
R, T = (np.round(RNG.standard_normal((3, 2)), 2) for _ in range(2))
LABELS, PROBABILITIES = [1, 0, 1], np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])


def symbols(name, array):
    """Return an object array of symbols, one an entry."""
    made = [sp.Symbol(f"{name}{i}", real=True) for i in range(array.size)]
    return np.array(made, dtype=object).reshape(array.shape)


def derivative(scalar, by, at):
    """Return the derivative of an expression by each symbol of ``by``, at the arrays ``at``."""
    values = {
        s: sp.Rational(str(v))
        for array in at
        for s, v in zip(array[0].flat, array[1].flat, strict=True)
    }
    exact = [sp.diff(scalar, s).doit().subs(values).evalf(30) for s in by.flat]
    return np.array(exact, dtype=np.float64).reshape(by.shape)


def apply(function, array):
    return np.vectorize(function, otypes=[object])(array)


def softmax(z):
    e = apply(sp.exp, z)
    return e / e.sum(axis=1, keepdims=True)


ACTIVATIONS = {
    "ReLU": (nn.ReLU(), lambda x: sp.Max(x, 0)),
    "LeakyReLU": (nn.LeakyReLU(0.25), lambda x: sp.Max(x, 0) + sp.Min(x, 0) / 4),
    "ELU": (nn.ELU(0.5), lambda x: sp.Max(x, 0) + (sp.exp(sp.Min(x, 0)) - 1) / 2),
    "GELU": (nn.GELU(), lambda x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2),
    "Tanh": (nn.Tanh(), sp.tanh),
    "Sigmoid": (nn.Sigmoid(), lambda x: 1 / (1 + sp.exp(-x))),
    "Softplus": (nn.Softplus(), lambda x: sp.log(1 + sp.exp(x))),
}


def backward(layer, x, dy):
    """Return the gradients of a layer in a network, by name."""
    net = nn.Network([layer.clone()], inputs=x.shape[1], dtype="float64")
    for name, values in (("weight", W), ("bias", B)):
        if net.parameters.of(net.layers[0].name):
            net.parameters[f"{net.layers[0].name}.{name}"] = values
    _, cache = net.forward(x, training=True)
    gradient = net.backward(dy, cache)
    returned = {name.rpartition(".")[2]: gradient[name].copy() for name in gradient}
    return returned | {"inputs": net.run_backward(dy, cache, inputs=True)}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    layer, formula = ACTIVATIONS[name]
    x = symbols("x", X)
    expected = derivative((R * apply(formula, x)).sum(), x, [(x, X)])
    np.testing.assert_allclose(backward(layer, X, R)["inputs"], expected, rtol=1e-13)


def test_dense():
    x, w, b = symbols("x", X), symbols("w", W), symbols("b", B)
    scalar, at = (R * (x.dot(w) + b)).sum(), [(x, X), (w, W), (b, B)]
    returned = backward(nn.Dense(2), X, R)
    for name, by in (("inputs", x), ("weight", w), ("bias", b)):
        np.testing.assert_allclose(returned[name], derivative(scalar, by, at), rtol=1e-13)


def test_dropout():
    layer = nn.Dropout(keep_prob=0.5)
    net = nn.Network([layer], inputs=2, dtype="float64")
    mask = net.forward(np.ones_like(X), training=True, step=0)[0].copy()
    x = symbols("x", X)
    expected = derivative((R * (mask * x)).sum(), x, [(x, X)])
    np.testing.assert_allclose(backward(nn.Dropout(keep_prob=0.5), X, R)["inputs"], expected)


def hot(targets):
    return np.eye(2)[LABELS] if isinstance(targets, list) else targets


def cross_entropy(z, targets, smoothing=0):
    t = hot(targets) * (1 - smoothing) + sp.Rational(smoothing) / 2
    return -(t * apply(sp.log, softmax(z))).sum() / 3


def pinball(r):
    return sp.Piecewise((r * sp.Rational(1, 4), r > 0), (r * sp.Rational(-3, 4), True))


def huber(r):
    delta = sp.Rational(1, 2)
    return sp.Piecewise((r**2 / 2, sp.Abs(r) <= delta), (delta * (sp.Abs(r) - delta / 2), True))


LOSSES = {
    "softmax cross-entropy": (nn.SoftmaxCrossEntropy(), LABELS, cross_entropy),
    "softmax cross-entropy, rows": (nn.SoftmaxCrossEntropy(), PROBABILITIES, cross_entropy),
    "softmax cross-entropy, smoothed": (
        nn.SoftmaxCrossEntropy(label_smoothing=0.25),
        LABELS,
        lambda z, t: cross_entropy(z, t, 0.25),
    ),
    "sigmoid cross-entropy": (
        nn.SigmoidCrossEntropy(),
        PROBABILITIES,
        lambda z, t: (apply(lambda v: sp.log(1 + sp.exp(v)), z) - t * z).sum() / 3,
    ),
    "squared error": (nn.MeanSquaredError(), T, lambda z, t: ((z - t) ** 2).sum() / 6),
    "Huber": (nn.Huber(0.5), T, lambda z, t: apply(huber, z - t).sum() / 6),
    "quantile": (nn.Quantile(0.75), T, lambda z, t: apply(pinball, z - t).sum() / 6),
    "Poisson": (nn.Poisson(), abs(T), lambda z, t: (apply(sp.exp, z) - t * z).sum() / 3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    loss, targets, formula = LOSSES[name]
    z = symbols("z", X)
    _, gradient = loss(X, targets)
    expected = derivative(formula(z, targets), z, [(z, X)])
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)


def norms(groups):
    return sum(sp.sqrt((group**2).sum()) for group in groups)


PENALTIES = {
    "L2": (nn.L2(0.25), lambda w: (w**2).sum() / 8),
    "L1": (nn.L1(0.25), lambda w: apply(sp.Abs, w).sum() / 4),
    "elastic net": (
        nn.ElasticNet(0.25, 0.5),
        lambda w: apply(sp.Abs, w).sum() / 4 + (w**2).sum() / 4,
    ),
    "group lasso, inputs": (nn.GroupLasso(0.25, groups="inputs"), lambda w: norms(w) / 4),
    "group lasso, units": (nn.GroupLasso(0.25, groups="units"), lambda w: norms(w.T) / 4),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties(name):
    penalty, formula = PENALTIES[name]
    w, out = symbols("w", W), np.empty_like(W)
    penalty.gradient(W, out)
    np.testing.assert_allclose(out, derivative(formula(w), w, [(w, W)]), rtol=1e-13)


#: By heading of the derivations, the formulas that are checked here.
CHECKED = {
    "Gradient with respect to the input": ["dense"],
    "Gradient with respect to the weights": ["dense"],
    "Gradient with respect to the bias": ["dense"],
    "ReLU and LeakyReLU": ["ReLU", "LeakyReLU"],
    "ELU": ["ELU"],
    "GELU": ["GELU"],
    "Tanh and sigmoid": ["Tanh", "Sigmoid"],
    "Softplus": ["Softplus"],
    "The mask": ["dropout"],
    "Softmax cross-entropy": [name for name in LOSSES if name.startswith("softmax")],
    "Sigmoid cross-entropy": ["sigmoid cross-entropy"],
    "Squared error": ["squared error"],
    "Huber": ["Huber"],
    "Quantile": ["quantile"],
    "Poisson": ["Poisson"],
    "L2 and L1": ["L2", "L1", "elastic net"],
    "The group threshold": ["group lasso, inputs", "group lasso, units"],
}


def test_the_derivations_name_the_formulas_that_are_checked_symbolically():
    page = Path(__file__).parents[1] / "docs" / "understand" / "derivations.md"
    sections = re.split("^### ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    named = {s.partition("\n")[0] for s in sections if "checked at random points, and sym" in s}
    assert named == set(CHECKED)
    tested = {"dense", "dropout", *ACTIVATIONS, *LOSSES, *PENALTIES}
    assert {name for names in CHECKED.values() for name in names} == tested
