"""The gradient check as students of courses call it: it works, or the error has the cure."""

import re

import numpy as np
import pytest

import nnreg as nn
from nnreg.testing import diagnose


class TwoLayerNet:
    """CS231n's network; ``factor`` multiplies the gradient of W1."""

    def __init__(self, factor=1.0):
        shapes = {"W1": (4, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
        rng = np.random.default_rng(0)
        self.params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        self.factor = factor

    def loss(self, X, y=None, reg=0.1):
        w1, b1, w2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        h = np.maximum(X @ w1 + b1, 0)
        scores = h @ w2 + b2
        if y is None:
            return scores
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(X))
        value = -np.log(p[rows, y]).mean() + 0.5 * reg * ((w1**2).sum() + (w2**2).sum())
        p[rows, y] -= 1
        p /= len(X)
        dh = p @ w2.T * (h > 0)
        dw1 = (X.T @ dh + reg * w1) * self.factor
        return value, {
            "W1": dw1,
            "b1": dh.sum(axis=0),
            "W2": h.T @ p + reg * w2,
            "b2": p.sum(axis=0),
        }


class Classifier:
    """CS231n's linear classifier: one gradient, without a name."""

    def __init__(self, factor=1.0):
        self.W, self.factor = np.random.default_rng(1).standard_normal((4, 3)), factor

    def loss(self, X, y, reg):
        scores = X @ self.W - np.eye(3)[y]
        value = (scores**2).sum() / len(X) + reg * (self.W**2).sum()
        return value, (2 * X.T @ scores / len(X) + 2 * reg * self.W) * self.factor


X = np.random.default_rng(2).standard_normal((6, 4))
y = np.array([0, 1, 2, 0, 1, 2])
W, B = np.random.default_rng(3).standard_normal((4, 3)), np.zeros(3)


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def forward_propagation(X, Y, parameters):  # Coursera: examples are columns
    a = 1 / (1 + np.exp(-(parameters["W"] @ X + parameters["b"])))
    return -(Y * np.log(a) + (1 - Y) * np.log(1 - a)).mean(), (a, parameters["W"])


def backward_propagation(X, Y, cache):
    a, _ = cache
    return {"dW": (a - Y) @ X.T / X.shape[1] * factor, "db": (a - Y).mean(keepdims=True)}


Y, PARAMETERS = np.array([[1, 0, 1, 1, 0, 1]]), {"W": W[:, :1].T.copy(), "b": np.zeros((1, 1))}
factor = 1.0

CALLS = {
    "net.loss": lambda check, net, clf: check(net.loss, X, y),
    "parameters=": lambda check, net, clf: check(net.loss, X, y, parameters=net.params),
    "reg by position": lambda check, net, clf: check(net.loss, X, y, 0.5),
    "reg by name": lambda check, net, clf: check(net.loss, X, y, reg=0.5),
    "both": lambda check, net, clf: check(net.loss, X, y, reg=0.5, parameters=net.params),
    "y by name": lambda check, net, clf: check(net.loss, X, y=y),
    "the network": lambda check, net, clf: check(net, X, y),
    "no argument": lambda check, net, clf: check(lambda: net.loss(X, y), parameters=net.params),
    "params as argument": lambda check, net, clf: check(lambda p: net.loss(X, y), net.params),
    "gradients computed before": lambda check, net, clf: check(
        net.loss, X, y, parameters=net.params, gradients=net.loss(X, y)[1]
    ),
    "value and gradients": lambda check, net, clf: check(
        lambda: net.loss(X, y)[0], parameters=net.params, gradients=lambda: net.loss(X, y)[1]
    ),
    "one gradient": lambda check, net, clf: check(clf.loss, X, y, 0.1),
    "one gradient of a parameter": lambda check, net, clf: check(
        clf.loss, X, y, 0.1, parameters={"W": clf.W}
    ),
    "one array": lambda check, net, clf: check(
        lambda W1: (net.loss(X, y)[0], net.loss(X, y)[1]["W1"]), net.params["W1"]
    ),
    "Coursera": lambda check, net, clf: check(
        forward_propagation, backward_propagation, X.T, Y, PARAMETERS
    ),
    "Coursera by name": lambda check, net, clf: check(
        forward_propagation, backward_propagation, X.T, Y, parameters=PARAMETERS
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_students_of_courses_type_passes_and_finds_a_mistake(name, monkeypatch):
    call = CALLS[name]
    report = call(nn.check_gradients, TwoLayerNet(), Classifier())
    assert report.passed, report
    assert len(report.rows) >= 1
    monkeypatch.setitem(globals(), "factor", 2.0)
    report = call(nn.check_gradients, TwoLayerNet(2.0), Classifier(2.0))
    assert [row.block for row in report.rows if not row.passed] in (["W1"], ["W"])
    assert "twice" in str(call(diagnose, TwoLayerNet(2.0), Classifier(2.0)))


net = TwoLayerNet()
gradient = net.loss(X, y)[1]["W1"]


def f(W1):
    return net.loss(X, y)[0]


def cost():
    return net.loss(X, y)[0]


#: Calls that cannot work, and the line in the message, which is run where it is complete.
CURED = [
    (lambda: nn.check_gradients(net.loss, net.params), "net.loss, X, y, parameters=net.params"),
    (lambda: nn.check_gradients(net.loss(X, y), net.params), "net.loss, X, y"),
    (lambda: nn.check_gradients(f, net.params["W1"], gradient), "lambda W1: (f(W1), gradient), W1"),
    (lambda: nn.check_gradients(f, net.params["W1"]), "lambda W1: (f(W1), gradient), W1"),
    (lambda: nn.check_gradients(cost, net.params, net.loss(X, y)[1]),
     "cost, parameters=net.params, gradients=grads"),
    (lambda: nn.check_gradients(affine_forward, affine_backward, X, W, B, X), "Leave out dout"),
    (lambda: nn.check_gradients(net.loss), "missing a required argument: 'X'"),
    (lambda: nn.check_gradients(net.loss, X),
     "net.loss(X), without y, reg, returned one ndarray"),
    (lambda: nn.check_gradients(TwoLayerNet, X, y), "Make an object: check_gradients(TwoLayerNet("),
    (lambda: nn.check_gradients(net.params, net.loss(X, y)[1]), "check_gradients(f, parameters)"),
    (lambda: nn.check_gradients(net.loss, X, y, parameters=[W]), "such as net.params"),
    (lambda: nn.check_gradients(net.loss, X, y, tolerence=1e-7), "did you mean 'tolerance'"),
    (lambda: nn.check_gradients(net.loss, X, y, h=1e-5), "no option 'h'"),
    (lambda: nn.check_gradients(lambda x, *, p: x, X, p=1), "takes it by name only: write lambda"),
    (lambda: nn.check_gradients(nn.L2(1.0), X, reg=1), "without reg="),
]  # fmt: skip


@pytest.mark.parametrize(("call", "line"), CURED)
def test_what_cannot_work_says_the_line_that_does(call, line):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    message = str(error.value)
    assert line in re.sub(r"TwoLayerNet\.loss", "net.loss", message)
    assert len(message) < 420, "no array is printed"
    if re.match(r"(net\.loss, X, y|lambda W1|cost, par)", line):
        names = {**globals(), "W1": net.params["W1"], "grads": net.loss(X, y)[1]}
        eval(f"nn.check_gradients({line})", names).assert_ok()
