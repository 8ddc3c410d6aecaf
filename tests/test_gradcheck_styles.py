"""The gradient check on all styles of calling and all kinds of objects."""

import collections
import copy
import functools
import itertools
import pickle
import random
import types

import numpy as np
import pytest

import nnreg as nn

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal(4)
T = RNG.standard_normal((5, 3))


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def sigmoid(Z):  # as courses write it
    return 1 / (1 + np.exp(-Z))


def sigmoid_backward(dA, Z):
    return dA * sigmoid(Z) * sigmoid(-Z)


def sigmoid_prime(Z):
    return sigmoid(Z) * sigmoid(-Z)


def embedding(table, i):
    return table[i].sum(), np.bincount(i, minlength=5)[:, None] + 0 * table


def mse(pred, y):
    return ((pred - y) ** 2).mean(), 2 * (pred - y) / pred.size


def regression(X, y, w):
    e = X @ w - y
    return (e**2).mean(), 2 * X.T @ e / len(y)


def propagate(w, b):
    e = X @ w + b - T[:, :1]
    return {"dw": 2 * X.T @ e / 5, "db": 2 * e.sum() / 5}, (e.T @ e) / 5


def thinc(x, w):
    return x @ w, lambda dout: (dout @ w.T, x.T @ dout)


def object_loss(p):
    return (p.w**2).sum() + p.scale, {"w": 2 * p.w, "scale": 1.0}


Gradients = collections.namedtuple("Gradients", "dw dx db")
Unnamed = collections.namedtuple("Unnamed", "first second third")


def affine_into(make):
    """Return a backward pass whose gradients are what ``make`` makes of those by x, w and b."""
    return lambda dout, cache: make(*affine_backward(dout, cache))


def keyword_backward(dout, *, cache):
    return affine_backward(dout, cache)


def optional_cache(dout, cache=None):
    return affine_backward(dout, cache)


def softmax_loss(z, labels):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = np.arange(len(z))
    dz = p.copy()
    dz[rows, labels] -= 1
    return -np.log(p[rows, labels]).mean(), dz / len(z)


def tanh_layer(x, params):
    y = np.tanh(x @ params["W"])
    return y * params["scale"], (x, y, params)


def tanh_layer_backward(dout, cache):
    x, y, params = cache
    dz = dout * params["scale"] * (1 - y**2)
    return dz @ params["W"].T, {"dW": x.T @ dz, "scale": (dout * y).sum(axis=0)}


def damage(x):
    y = 3 * x
    x[...] = 0
    return y


class Params:
    __slots__ = ("scale", "w")

    def __init__(self):
        self.w, self.scale = W.copy(), 0.5


#: Right code: (name, arguments of the check, options, blocks)
RIGHT = [
    ("a cache", (affine, affine_backward, X, W, B), {}, "x w b"),
    ("one array", (lambda x: np.sin(x), lambda dout: dout * np.cos(X), X), {}, "x"),
    ("dictionary", (affine, affine_into(lambda x, w, b: {"b": b, "w": w, "x": x}), X, W, B), {},
     "x w b"),
    ("None", (affine, affine_into(lambda x, w, b: (None, w, b)), X, W, B), {}, "w b"),
    ("parameters", (tanh_layer, tanh_layer_backward, X, {"W": W, "scale": B, "mode": "train"}), {},
     "x W scale"),
    ("labels", (softmax_loss, X, np.array([0, 1, 2, 0, 1])), {}, "z"),
    ("damages its argument", (damage, lambda dout: 3 * dout, X), {}, "x"),
    ("integers", (affine, affine_backward, np.arange(15).reshape(5, 3), W, B), {}, "x w b"),
    ("bytes", (affine, affine_backward, np.ones((5, 3), np.uint8), W, B), {}, "x w b"),
    ("lists", (lambda x, b: (np.dot(x, W) + b, x), lambda d, x: (d @ W.T, d.sum(axis=0)),
               X.tolist(), B.tolist()), {}, "x b"),
    ("big-endian", (affine, affine_backward, X.astype(">f8"), W, B), {}, "x w b"),
    ("f(Z), backward(dA, Z)", (sigmoid, sigmoid_backward, X), {}, "Z"),
    ("f, f_prime", (sigmoid, sigmoid_prime, X), {}, "Z"),
    ("f, f_prime of the output", (sigmoid, lambda a: a * (1 - a), X), {}, "Z"),
    ("context of forward", (lambda ctx, x: ctx.setdefault("y", np.exp(x)),
                            lambda ctx, grad: grad * ctx["y"], {}, X), {}, "x"),
    ("cost, gradient", (lambda w: (w**2).sum(), lambda w: 2 * w, W), {}, "w"),
    ("cache first", (affine, lambda cache, dout: affine_backward(dout, cache), X, W, B), {},
     "x w b"),
    ("two caches", (lambda x: (3 * x, 3, x), lambda d, a, x: a * d, X), {}, "x"),
    ("closure", (thinc, X, W), {}, "x w"),
    ("any arguments", (affine, lambda *d_and_cache: affine_backward(*d_and_cache), X, W, B), {},
     "x w b"),
    ("no dout", (lambda x: (x**2).sum(), lambda: 2 * X, X), {}, "x"),
    ("the arguments as cache", (lambda x, w: x @ w, lambda d, cache: affine_backward(d, cache)[:2],
                                X, W), {}, "x w"),
    ("the output", (sigmoid, lambda dout, y: dout * y * (1 - y), X), {}, "Z"),
    ("partial", (functools.partial(affine, w=W, b=B), affine_into(lambda x, w, b: x), X), {}, "x"),
    ("(gradients, cost)", (propagate, W[:, :1], 0.0), {}, "w b"),
    ("value and two gradients", (lambda a, b: ((a * b).sum(), b, a), W, W + 1), {}, "a b"),
    ("target second", (mse, X, T), {}, "pred"),
    ("target first", (lambda y_true, y_pred: mse(y_pred, y_true), T, X), {}, "y_pred"),
    ("X, y, w", (regression, X, T[:, 0], W[:, 0]), {}, "w"),
    ("integers as indices", (embedding, X, np.array([1, 1, 3])), {}, "table"),
    ("object", (object_loss, Params()), {}, "p.scale p.w"),
    ("namespace", (affine, affine_into(lambda x, w, b: types.SimpleNamespace(b=b, dw=w, x=x)),
                   X, W, B), {}, "x w b"),
    ("named tuple", (affine, affine_into(lambda x, w, b: Gradients(w, x, b)), X, W, B), {},
     "x w b"),
    ("tuple of other names", (affine, affine_into(Unnamed), X, W, B), {}, "x w b"),
    ("generator", (affine, affine_into(lambda *gradients: (g for g in gradients)), X, W, B), {},
     "x w b"),
    ("dictionary's values", (affine, affine_into(lambda x, w, b: {1: x, 2: w, 3: b}.values()),
                             X, W, B), {}, "x w b"),
    ("dL_dx", (affine, affine_into(lambda x, w, b: {"dL_dx": x, "dLdw": w, "dloss_db": b}),
               X, W, B), {}, "x w b"),
    ("keyword-only cache", (affine, keyword_backward, X, W, B), {}, "x w b"),
    ("optional cache", (affine, optional_cache, X, W, B), {}, "x w b"),
    ("text beside", (lambda w: ((w**2).sum(), 2 * w, "log"), W), {}, "w"),
    ("two dictionaries", (lambda p, q: (p["w"] * q["w"], (p["w"], q["w"])),
                          lambda d, c: ({"w": d * c[1]}, {"w": d * c[0]}),
                          {"w": W}, {"w": W + 1}), {}, 'p["w"] q["w"]'),
    ("list in a dictionary", (lambda p: ((p["ws"][1] ** 2).sum(), {"ws": [0 * W, 2 * p["ws"][1]]}),
                              {"ws": [W, B]}), {}, 'p["ws"][0] p["ws"][1]'),
    ("array for a list of one", (lambda ws: ((ws[0] ** 2).sum(), 2 * ws[0]), [W]), {}, "ws[0]"),
    ("list of one for an array", (lambda w: ((w**2).sum(), {"w": [2 * w], "x": None}), W), {}, "w"),
    ("array for a list", (lambda ws: ((ws[0] * ws[1]).sum(), np.array([ws[1], ws[0]])),
                          [W, W + 1]), {}, "ws[0] ws[1]"),
    ("dictionaries for arrays", (lambda a, b: ((a * b).sum(), ({"a": b}, {"b": a})), W, W + 1), {},
     "a b"),
    ("by structure", (lambda a, p, c: ((p[0] ** 2).sum() + p[1].sum(), ([2 * p[0], 0 * p[1] + 1],
                                                                       None)), X, [W, B], T), {},
     "p[0] p[1]"),
    ("wrt", (lambda a, b: (((a - b) ** 2).sum(), 2 * (b - a)), X, T), {"wrt": ["b"]}, "b"),
    ("wrt by key", (lambda w: ((w**2).sum(), {"delta": 2 * w, "other": 3.0}), W),
     {"wrt": {"delta": "w", "other": None}}, "w"),
    ("asserts floats", (lambda x: np.vectorize(float)(x) * 3, lambda dout: 3 * dout, X), {}, "x"),
    ("float32", (affine, affine_backward, *(a.astype(np.float32) for a in (X, W, B))), {}, "x w b"),
    ("float32 in a dictionary", (lambda p: ((p["w"] ** 3).sum(), {"w": 3 * p["w"] ** 2}),
                                 {"w": W.astype(np.float32)}), {}, "w"),
    ("float32 asked for", (lambda x: np.tanh(x), lambda dout: dout / np.cosh(X) ** 2,
                           X.astype(np.float32)), {"dtype": "float32"}, "x"),
    ("float32 demanded", (lambda x: [x * 2][x.dtype != np.float32], lambda dout: 2 * dout,
                          X.astype(np.float32)), {}, "x"),
    ("cast inside", (lambda x: np.tanh(x.astype(np.float32)), lambda d: d / np.cosh(X) ** 2, X),
     {}, "x"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "options", "blocks"), [pytest.param(*r[1:], id=r[0]) for r in RIGHT]
)
def test_right_code_passes_and_every_gradient_is_compared(arguments, options, blocks):
    before = pickle.dumps([a for a in arguments if not callable(a)])
    report = nn.check_gradients(*arguments, **options)
    assert report.passed, report
    assert [row.block for row in report.rows] == blocks.split()
    assert {row.method for row in report.rows} != {"complex"} or report.max_error < 1e-12
    assert pickle.dumps([a for a in arguments if not callable(a)]) == before


WRONG = [
    ("a number", (lambda w, b: ((w * b).sum(), (b + 0 * w, 2 * w.sum())), W, 0.5), "b"),
    ("0-d", (lambda w, b: ((w * b).sum(), (b + 0 * w, 2 * w.sum())), W, np.array(0.5)), "b"),
    ("in a list", (lambda ws: ((ws[1] ** 2).sum(), [0 * W, ws[1]]), [W, B]), "ws[1]"),
    ("nested", (lambda p: ((p["a"]["w"] ** 2).sum(), {"a": {"w": p["a"]["w"]}}), {"a": {"w": W}}),
     'p["a"]["w"]'),
    ("cast inside", (lambda x: np.tanh(x.astype(np.float32)), lambda d: d, X), "x"),
    ("unmentioned attribute", None, "w"),
    ("namespace", (affine, affine_into(lambda x, w, b: types.SimpleNamespace(x=x, w=w, b=2 * b)),
                   X, W, B), "b"),
    ("tuple", (affine, affine_into(lambda x, w, b: (x, 2 * w, b)), X, W, B), "w"),
    ("generator", (affine, affine_into(lambda x, w, b: (g for g in (x, 2 * w, b))), X, W, B), "w"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "block"), [pytest.param(*w[1:], id=w[0]) for w in WRONG])
def test_a_wrong_gradient_does_not_pass_wherever_it_is(arguments, block):
    if arguments is None:
        layer = Nasty()
        layer.factor = 2.0
        arguments = layer.forward, layer.backward, X
    failed = [row.block for row in nn.check_gradients(*arguments).rows if not row.passed]
    assert failed == [block]


class Parameters:
    """A layer whose parameters are in a list and in an object; two of its gradients are wrong."""

    def __init__(self):
        self.params, self.grads = [W.copy(), B.copy()], [None, None]
        self.scale = types.SimpleNamespace(data=B + 2, grad=None)
        self.mask, self.rates = np.ones(X.shape), np.ones(3)

    def forward(self, x):
        if not (self.rates <= 1).all():
            raise ValueError("rates must be at most 1")
        self.x = x * self.mask
        self.y = self.x @ self.params[0] + self.params[1]
        return self.y * self.scale.data

    def backward(self, dout):
        dy = dout * self.scale.data
        self.grads = [self.x.T @ dy, dy.mean(0)]
        self.scale.grad = (dout * self.y).mean(0)
        return dy @ self.params[0].T * self.mask


def test_attributes_are_compared_or_named():
    layer = Parameters()
    for subject in ((layer.forward, layer.backward), (layer,)):
        report = nn.check_gradients(*subject, X)
        failed = [row.block for row in report.rows if not row.passed]
        assert failed == ["params[1]", "scale.data"]
        assert list(report.not_checked) == ["mask", "rates"]
    report = nn.check_gradients(
        lambda p: ((p["w"] * p["b"]).sum(), {"w": p["b"]}), {"w": B, "b": B}
    )
    assert list(report.not_checked) == ["b"]
    for x, dtype in ((B.astype(object), "object"), (B + 1j, "complex128")):
        report = nn.check_gradients(lambda x: ((x * x).sum().real, 2 * x), x)
        assert f"x has dtype {dtype}; pass real numbers" in str(report)


REFUSED = [
    ((lambda w: (w**2, 2 * w), W), {}, "scalar, one number.*mean"),
    ((lambda z, y: ((z - y) ** 2, 2 * (z - y)), B, B + 1), {}, "one loss per row"),
    ((lambda x: None, lambda d: d, X), {}, "returned None.*return output"),
    ((lambda x: "y", lambda d: d, X), {}, "must return one array of numbers, got str"),
    ((lambda w: ("value", 2 * w), W), {}, "must be a number, got one str"),
    ((lambda w: ((w, w), 2 * w), W), {}, "must be a number, got 2 values"),
    ((lambda w: ((w**2).sum(), 2j * w), W), {}, "to w must have real numbers, got complex128"),
    ((lambda x: x, lambda d, q, r: d, X), {}, r"lambda dout: .*\(dout, q, r\)"),
    ((lambda w: ((w**2).sum(), 2 * w), np.empty((0, 3))), {}, "w: it is empty"),
    ((nn.L2(0.1), np.empty(0)), {}, "w: it is empty"),
    ((mse, X, T), {"wrt": ["z"]}, "wrt names 'z'; the arguments are pred, y"),
    ((mse, X, T), {"tolerance": -1.0}, "tolerance must be"),
    ((mse, X, T), {"dtype": "float16"}, "dtype must be one of"),
    (
        (nn.Network([nn.Dense(2)], inputs=3), X),
        {},
        r"call check_gradients\(net, x, y, loss\), got 1",
    ),
    ((nn.Network([nn.Dense(2)], inputs=3), nn.Huber(), X, T), {}, "got the loss in another place"),
    ((nn.Network([nn.Dense(2)], inputs=3), X, T, nn.Huber), {}, r"must be a Loss such as nn.Soft"),
    (("net", X), {}, "subject must be a Network"),
    ((nn.L2(1.0), X), {"method": "complx"}, "did you mean 'complex'"),
    ((nn.L2(1.0), X), {"error_metric": "cs231"}, "did you mean 'cs231n'"),
    ((nn.L2(1.0), X), {"dropout": "on"}, "dropout must be one of 'frozen', 'off'"),
    ((np.sin, X), {}, r"must return the pair \(value, gradient\)"),
    ((np.sin, lambda d: None, X), {}, "nothing to check: .* returns no gradient"),
    ((lambda x: np.sin(x), lambda d: {"theta": d}, X), {}, "none of these is an argument: x"),
    ((np.sin, lambda d: d, X), {"parameters": {"W": W}}, "parameters= and gradients= belong toget"),
    ((np.sin, lambda d: d, X), {"parameters": {"W": W}, "gradients": dict}, "must return 'W'"),
    ((mse, X, T), {"dtype": 3}, "dtype must be one of"),
    ((mse, X, T), {"wrt": ["pred", "y"]}, "an argument for each of the 1 gradients"),
    ((mse, X, T), {"wrt": 3}, "wrt must be a name, or a list"),
    ((mse, X, T), {"wrt": [["pred"]]}, r"wrt names \['pred'\]"),
    ((mse, X, T), {"parameters": 3}, "parameters must be a dictionary"),
    ((affine, affine_backward, X, W, B), {"parameters": {}, "gradients": 3}, "must be a function"),
]


@pytest.mark.parametrize(("arguments", "options", "words"), REFUSED)
def test_what_cannot_be_checked_is_refused_with_the_cure(arguments, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        nn.check_gradients(*arguments, **options)


def test_a_returned_gradient_that_belongs_to_nothing_fails_and_is_named():
    report = nn.check_gradients(lambda w: ((w**2).sum(), {"w": 2 * w, "extra": w}), W)
    assert not report.passed
    assert all(row.passed for row in report.rows)
    assert "no argument has this name" in report.not_checked['"extra"']
    assert "wrt=" in str(report)
    report = nn.check_gradients(lambda w: ((w**2).sum(), 2 * w, w), W)
    assert not report.passed
    for whole in (W, np.array(1.0), 1.0):  # instead of one gradient per part
        report = nn.check_gradients(
            lambda p, w, g=whole: ((w**2).sum() + p["b"].sum(), (g, 2 * w)), {"a": B, "b": B}, W
        )
        assert "it is one array, and the argument has 2" in str(report)
        assert not report.passed
    twice = nn.check_gradients(lambda w: ((w**2).sum(), {"w": w, "dw": 2 * w}), W)
    assert "another gradient belongs to the same argument" in str(twice)
    for answer, reason in (
        ({"ws": [W, B], "w": [W, W]}, "it is a list, not an array"),
        ({"ws": [W, B, B], "w": W}, "it has no counterpart in the argument"),
    ):
        report = nn.check_gradients(
            lambda ws, w, answer=answer: ((ws[0] * w).sum(), answer), [W, B], W
        )
        assert reason in str(report)
    report = nn.check_gradients(
        *(np.sin, lambda dout: dout * np.cos(X), X),
        parameters={},
        gradients=lambda: {"W": W},
    )
    assert 'no parameter has this name: write parameters={..., "W": ...}' in str(report)
    flags = nn.check_gradients(lambda m, w: ((m * w).sum(), {"m": 1.0 * w, "w": 1.0 * m}), W > 0, W)
    assert "m has no real numbers" in str(flags)
    assert not flags.passed
    ints = nn.check_gradients(lambda i, w: (w[i].sum(), (w, 0 * w)), np.array([0, 1]), W)
    assert "astype(float)" in str(ints)


def test_a_number_beside_the_gradients_is_named_with_the_line_that_leaves_it_out():
    def loss(w, b):
        return (w**2).sum() + (b**2).sum(), (2 * w, 2 * b), 0.75

    def backward(dout, cache):
        return affine_backward(dout, cache), 0.75

    for call, line in (
        ((loss, W, B), "lambda w, b: loss(w, b)[:2]"),
        ((affine, backward, X, W, B), "lambda dout, cache: backward(dout, cache)[0]"),
    ):
        report = nn.check_gradients(*call)
        assert not report.passed
        assert all(row.passed for row in report.rows)
        assert report.unmatched["the value 0.75"].endswith(line)
    assert nn.check_gradients(lambda w, b: loss(w, b)[:2], W, B).passed
    assert nn.check_gradients(lambda w: (*mse(w, B), 0.75), B + 1, wrt=["w", None]).passed


def test_a_frame_is_named_with_the_line_that_makes_an_array_of_it():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    square = lambda x: ((np.asarray(x) ** 2).sum(), 2 * np.asarray(x))
    for frame in (pandas.DataFrame(X), polars.DataFrame(X)):
        assert "pass x.to_numpy()" in str(nn.check_gradients(square, frame))
    for call in ((square, polars.LazyFrame(X)), (nn.Tanh(), polars.LazyFrame(X))):
        with pytest.raises(TypeError, match=r"a LazyFrame is a query; x.collect\(\)"):
            nn.check_gradients(*call)


def test_a_backward_pass_that_overwrites_its_dout_passes_and_this_is_noted():
    def backward(dout, x):
        dout *= x > 0
        return dout

    report = nn.check_gradients(lambda x: (x * (x.real > 0), x), backward, X)
    assert report.passed
    assert "changes its argument, the derivative, in place" in report.notes[0]


def test_a_permutation_that_would_match_is_named_in_the_failure():
    report = nn.check_gradients(lambda u, v: (((u - 2 * v) ** 2).sum(), 4 * (2 * v - u)), X, T)
    assert not report.passed
    assert "It is the derivative with respect to v: if that is intended, write wrt=['v']" in str(
        report
    )


def test_precision_is_judged_from_forward_alone_and_said():
    report = nn.check_gradients(lambda x: np.tanh(x), lambda d: d * 1.00001 / np.cosh(X) ** 2, X)
    assert not report.passed  # forward computes in float64, whatever the size of the error
    single = nn.check_gradients(*next(r for r in RIGHT if r[0] == "cast inside")[1])
    assert "computes in float32" in str(single)
    loose = nn.check_gradients(
        lambda x: np.tanh(x), lambda d: d * 1.00001 / np.cosh(X) ** 2, X, tolerance=1e-4
    )
    assert loose.passed


def test_an_array_that_forward_no_longer_uses_is_named():
    layer = Nasty()
    stale = layer.w
    layer.w = layer.w + 1
    report = nn.check_gradients(
        layer.forward,
        layer.backward,
        X,
        parameters={"w": stale},
        gradients=lambda: {"w": layer.dw},
    )
    assert "forward does not use the array passed as parameters['w']" in str(report)


def test_assert_gradients_raises_with_the_report():
    assert nn.testing.assert_gradients(affine, affine_backward, X, W, B).passed
    with pytest.raises(AssertionError, match=r"FAILED\n(.*\n)*.*WRONG"):
        nn.testing.assert_gradients(np.sin, lambda dout: dout, X)


# --- Objects that are hard to put back ----------------------------------------------------------


class Nasty:
    """An affine map that changes whatever it can."""

    factor = 1.0
    count = 0
    history: list = []  # noqa: RUF012  # shared by the class, as beginners do

    def __init__(self):
        self.w = W.copy()

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.x = x
        Nasty.count += 1
        Nasty.history.append(len(x))
        return x @ self.w

    def backward(self, dout):
        dx = dout @ self.w.T
        self.dw = self.factor * self.x.T @ dout
        self.w -= 0.1 * self.dw
        return dx


class Slots(Nasty):
    __slots__ = ("__private", "late")

    def forward(self, x):
        self.late, self.__private = x, 1
        return super().forward(x)


class Property(Nasty):
    @property
    def w(self):
        return self._w

    @w.setter
    def w(self, value):
        self._w = value


class Frozen(Nasty):
    def __setattr__(self, name, value):
        if name == "w" and "w" in vars(self):
            raise AttributeError("w is fixed")
        super().__setattr__(name, value)

    def backward(self, dout):
        self.dw = self.x.T @ dout
        return dout @ self.w.T


class Generators(Nasty):
    def __init__(self):
        super().__init__()
        self.rngs = [np.random.default_rng(0), np.random.RandomState(0), random.Random(0)]

    def forward(self, x):
        y = super().forward(x)
        a, b, c = self.rngs
        mask = (a.random(y.shape) < 0.5) + b.uniform() + c.random()
        self.mask = mask + np.random.rand() + random.random()
        return y * self.mask

    def backward(self, dout):
        return super().backward(dout * self.mask)


class Containers(Nasty):
    def __init__(self):
        super().__init__()
        self.queue, self.seen = collections.deque([1, 2], maxlen=3), {1}
        self.table = collections.defaultdict(list, a=[np.zeros(2)])
        self.ordered, self.order = collections.OrderedDict(a=1, b=2), {"a": 1, "b": 2}
        self.bits, self.grown = np.random.PCG64(0), np.zeros(2)
        self.view, self.fixed = self.w[:1], np.ones(2)
        self.fixed.flags.writeable = False
        self.itself = self

    def forward(self, x):
        self.queue.append(3)
        self.seen.add(2)
        self.table["b"].append(x)
        self.ordered[len(self.ordered)] = self.order["a"] = self.order.pop("a")
        self.bits.random_raw()
        self.grown.resize(len(self.grown) + 1, refcheck=False)
        self.table["a"][0] += 1
        self.fixed.flags.writeable = True
        self.fixed += 1
        del self.itself
        return super().forward(x)


class Stack(Nasty):
    def __init__(self):
        super().__init__()
        self.layers = [Nasty(), Slots()]
        self.layers[1].w = RNG.standard_normal((4, 2))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in self.layers[::-1]:
            dout = layer.backward(dout)
        return dout


def everything(thing, seen=()):
    """Return a description of all that an object holds, identities of arrays included."""
    if id(thing) in seen or (callable(thing) and not isinstance(thing, Nasty)):
        return id(thing)
    seen = (*seen, id(thing))
    if isinstance(thing, np.ndarray):
        return id(thing), thing.flags.writeable, thing.shape, thing.tobytes()
    if isinstance(thing, np.random.Generator | np.random.BitGenerator):
        return str(getattr(thing, "bit_generator", thing).state)
    if isinstance(thing, np.random.RandomState):
        return pickle.dumps(thing.get_state())
    if isinstance(thing, random.Random):
        return thing.getstate()
    if isinstance(thing, dict):
        return [(key, everything(value, seen)) for key, value in thing.items()]
    if isinstance(thing, list | tuple | collections.deque):
        return [everything(value, seen) for value in thing]
    if isinstance(thing, Nasty):
        held = {n: getattr(thing, n) for n in ("late", "_Slots__private") if hasattr(thing, n)}
        return everything(vars(thing) | held | {"count": Nasty.count, "h": Nasty.history}, seen)
    return copy.copy(thing)


KINDS = [Nasty, Slots, Property, Frozen, Generators, Containers, Stack]


@pytest.mark.parametrize("called", [False, True], ids=["forward", "the object itself"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_put_back_to_the_bit(kind, called):
    layer, x = kind(), X.copy()
    before = everything([layer, x, random.getstate()])
    report = nn.check_gradients(layer if called else layer.forward, layer.backward, x)
    assert report.passed, report
    assert len(report.rows) > 1 or kind is Property
    assert everything([layer, x, random.getstate()]) == before


@pytest.mark.parametrize("fails", [1, 2, 3, 7])
def test_an_object_is_put_back_when_it_raises_in_the_middle(fails):
    class Raises(Containers):
        def forward(self, x):
            y = super().forward(x)
            if next(calls) >= fails:
                raise KeyboardInterrupt
            return y

    calls = itertools.count(1)
    layer = Raises()
    before = everything(layer)
    with pytest.raises(KeyboardInterrupt):
        nn.check_gradients(layer.forward, layer.backward, X)
    assert everything(layer) == before


def test_closures_and_global_variables_are_put_back():
    weights, state = W.copy(), {"calls": 0}

    def forward(x):
        nonlocal weights, late
        state["calls"] += 1
        weights = late = weights.copy()
        return x @ weights

    first = weights
    report = nn.check_gradients(forward, lambda dout: dout @ W.T, X)
    assert report.passed
    assert state == {"calls": 0}
    assert weights is first
    assert "late" not in locals()
    late = None


def test_gradients_returned_by_the_names_of_an_objects_arrays_are_compared():
    class ByName(Nasty):
        def backward(self, dout):
            dx = super().backward(dout)
            self.db = dout.sum(axis=0)
            return {"x": dx, "dw": 2 * self.dw, "db": self.db}

    layer = ByName()
    report = nn.check_gradients(layer.forward, layer.backward, X)
    assert [(row.block, row.passed) for row in report.rows] == [("x", True), ("w", False)]
    assert list(report.unmatched) == ['"db"']


def test_the_initializers_of_a_network_are_not_called_by_the_check():
    calls = []

    def initializer(shape, rng):
        calls.append(shape)
        return np.ones(shape)

    net = nn.Network([nn.Dense(2, initializer=initializer)], inputs=3)
    nn.check_gradients(net, X, [0, 1, 0, 1, 0], nn.SoftmaxCrossEntropy()).assert_ok()
    nn.check_gradients(net.layers[0], X).assert_ok()
    assert len(calls) == 1


def test_gradients_that_backward_adds_to_and_arrays_that_an_object_holds_twice_are_right():
    class Accumulates(Nasty):
        def __init__(self):
            super().__init__()
            self.params = {"w": self.w, "s": np.array(2.0)}
            self.grads = {"s": np.array(5.0)}
            self.dw = np.ones_like(self.w)  # of an earlier pass

        def forward(self, x):
            self.x = x
            return x @ self.params["w"] * self.params["s"]

        def backward(self, dout):
            self.grads["s"] = (dout * (self.x @ self.params["w"])).sum()
            dout = dout * self.params["s"]
            self.dw += self.x.T @ dout
            return dout @ self.params["w"].T

    layer = Accumulates()
    report = nn.check_gradients(layer.forward, layer.backward, X)
    assert report.passed, report
    assert [row.block for row in report.rows] == ["x", "w", 'params["s"]']
    assert layer.params["w"] is layer.w
    assert (layer.dw == 1).all()
