"""Wrong backward passes as students write them: plain functions without nnreg."""

import numpy as np

RNG = np.random.default_rng(11)
X = RNG.standard_normal((5, 4))
W = RNG.standard_normal((4, 3))
SQUARE = RNG.standard_normal((4, 4))
B = RNG.standard_normal(3)
LABELS = np.array([2, 0, 3, 1, 1])
BINARY = RNG.integers(0, 2, (5, 4)).astype(float)
IMAGES = RNG.standard_normal((5, 2, 2))


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    flat = x.reshape(len(x), -1)
    return (dout @ w.T).reshape(x.shape), flat.T @ dout, dout.sum(axis=0)


def affine(change):
    """Return affine_backward with its three results changed."""

    def backward(dout, cache):
        x, w, _ = cache
        flat = x.reshape(len(x), -1)
        return change(flat, w, dout, *affine_backward(dout, cache))

    return backward


def linear_forward(a, w, b):
    """Compute with the examples in columns."""
    return w @ a + b, (a, w)


def linear_backward(change):
    def backward(dz, cache):
        a, w = cache
        return change(w.T @ dz, dz @ a.T, dz.sum(axis=1, keepdims=True), a.shape[1])

    return backward


def relu_forward(x):
    return np.maximum(0, x), x


def sigmoid_forward(x):
    y = 1 / (1 + np.exp(-x))
    return y, y


def tanh_forward(x):
    y = np.tanh(x)
    return y, y


def leaky_forward(x):
    return np.where(x.real > 0, x, 0.2 * x), x


def dropout_forward(x, dropout_param):
    rng = np.random.default_rng(dropout_param["seed"])
    mask = (rng.random(x.shape) < dropout_param["p"]) / dropout_param["p"]
    return x * mask, (dropout_param, mask)


def loop_over_rows(flat, w, dout, dx, dw, db):
    for row, d in zip(flat, dout, strict=True):
        dw = np.outer(row, d)
    return dx, dw, db


def relu_in_place(dout, x):
    dout[x <= 0] = 0
    return dout


def relu_with_ones_at_zero(dout, x):
    return np.where(x >= 0, dout, 0)


def sigmoid_twice(dout, y):
    s = 1 / (1 + np.exp(-y))
    return dout * s * (1 - s)


def mask_drawn_again(dout, cache):
    dropout_param, mask = cache
    rng = np.random.default_rng(dropout_param["seed"] + 1)
    return dout * (rng.random(mask.shape) < dropout_param["p"]) / dropout_param["p"]


#: (forward, backward, arguments, block that is wrong, name of the known bug)
PAIRS = [
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw.T, db)),
        (X, W, B),
        "w",
        "dense: dw transposed",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, d.T.dot(x), db)),
        (X, SQUARE, RNG.standard_normal(4)),
        "w",
        "dense: dw transposed",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw.T.reshape(w.shape), db)),
        (X, W, B),
        "w",
        "dense: dw transposed and reshaped",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw / len(x), db)),
        (X, W, B),
        "w",
        "layer: divided by N",
    ),
    (affine_forward, affine(loop_over_rows), (X, W, B), "w", "layer: dw from the last row"),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, np.einsum("nd,nm->ndm", x, d), db)),
        (X, W, B),
        "w",
        "layer: dw not summed",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw, d)),
        (X, W, B),
        "b",
        "dense: db not summed",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw, d.mean(axis=0))),
        (IMAGES, W, B),
        "b",
        "dense: db averaged",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw, d[0])),
        (X, W, B),
        "b",
        "dense: db from the first row",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw, np.zeros_like(db))),
        (X, W, B),
        "b",
        "dense: db missing",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx, dw, db * 0 + np.sum(d))),
        (X, W, B),
        "b",
        "dense: db summed over everything",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (d.dot(w), dw, db)),
        (X, SQUARE, RNG.standard_normal(4)),
        "x",
        "dense: dx with w for its transpose",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (dx[::-1], dw, db)),
        (X, W, B),
        "x",
        "dense: dx with its rows reversed",
    ),
    (
        affine_forward,
        affine(lambda x, w, d, dx, dw, db: (-dx, dw, db)),
        (IMAGES, W, B),
        "x",
        "layer: sign",
    ),
    (
        linear_forward,
        linear_backward(lambda da, dw, db, m: (da, dw / m, db)),
        (X.T, W.T, B[:, None]),
        "w",
        "layer: divided by the columns",
    ),
    (
        linear_forward,
        linear_backward(lambda da, dw, db, m: (da, -dw, db)),
        (X.T, W.T, B[:, None]),
        "w",
        "layer: sign",
    ),
    (relu_forward, lambda dout, x: dout, (X,), "x", "ReLU: no mask"),
    (relu_forward, lambda dout, x: dout * (dout > 0), (X,), "x", "ReLU: mask from dy"),
    (relu_forward, lambda dout, x: dout * (x < 0), (X,), "x", "ReLU: mask of the wrong sign"),
    (
        relu_forward,
        lambda dout, x: np.maximum(0, x) * dout,
        (IMAGES,),
        "x",
        "ReLU: output for mask",
    ),
    (relu_forward, lambda dout, x: (x > 0) * 1.0, (X,), "x", "activation: dy missing"),
    (relu_forward, relu_in_place, (X,), None, "layer: dy damaged"),
    (relu_forward, relu_with_ones_at_zero, (X,), None, "ReLU: >= 0"),
    (
        leaky_forward,
        lambda dout, x: np.where(x > 0, 0.2 * dout, dout),
        (X,),
        "x",
        "LeakyReLU: slopes swapped",
    ),
    (tanh_forward, lambda dout, y: dout * (1 - y), (X,), "x", "tanh: 1 - y"),
    (tanh_forward, lambda dout, y: dout * (1 - np.tanh(y) ** 2), (X,), "x", "tanh: applied to y"),
    (tanh_forward, lambda dout, y: dout, (X[0],), "x", "activation: derivative missing"),
    (sigmoid_forward, lambda dout, y: y * dout, (X,), "x", "sigmoid: y"),
    (sigmoid_forward, sigmoid_twice, (X,), "x", "sigmoid: applied to y"),
    (
        dropout_forward,
        lambda dout, cache: dout,
        (X, {"p": 0.6, "seed": 3}),
        "x",
        "dropout: mask and scale missing in backward",
    ),
    (
        dropout_forward,
        lambda dout, cache: dout / cache[0]["p"],
        (X, {"p": 0.6, "seed": 3}),
        "x",
        "dropout: mask missing in backward",
    ),
    (
        dropout_forward,
        lambda dout, cache: dout * (cache[1] > 0),
        (X, {"p": 0.6, "seed": 3}),
        "x",
        "dropout: scale missing in backward",
    ),
    (
        dropout_forward,
        lambda dout, cache: dout * cache[1] / cache[0]["p"],
        (X, {"p": 0.6, "seed": 3}),
        "x",
        "dropout: scale twice",
    ),
    (
        dropout_forward,
        mask_drawn_again,
        (X, {"p": 0.6, "seed": 3}),
        "x",
        "dropout: mask redrawn in backward",
    ),
]


def softmax(z):
    e = np.exp(z - z.real.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_loss(gradient):
    """Return a function (z, y) -> (value, gradient) whose gradient is of p, y, N."""

    def loss(z, y):
        p = softmax(z)
        return -np.log(p[np.arange(len(z)), y]).mean(), gradient(p.real.copy(), y, len(z))

    return loss


def minus_one(p, y):
    p[np.arange(len(p)), y] -= 1
    return p


def true_class_only(p, y, N):
    dz = np.zeros_like(p)
    n = np.arange(N)
    dz[n, y] = (p[n, y] - 1) / N
    return dz


def logistic_loss(gradient):
    def loss(z, y):
        p = 1 / (1 + np.exp(-z))
        value = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() / len(z)
        return value, gradient(p.real, y, len(z))

    return loss


def squared_loss(gradient):
    return lambda z, y: (((z - y) ** 2).mean(), gradient(z.real, y))


def ridge(w, lam=0.7):
    return 0.5 * lam * (w**2).sum(), 2 * lam * w


def ridge_without_strength(w, lam=0.7):
    return 0.5 * lam * (w**2).sum(), w


def lasso(w, lam=0.7):
    return lam * (np.sign(w.real) * w).sum(), lam * np.where(w.real >= 0, 1.0, -1.0)


#: (function, arguments, name of the known bug)
FUNCTIONS = [
    (softmax_loss(lambda p, y, N: minus_one(p, y)), (X, LABELS), "loss: 1/N missing"),
    (softmax_loss(lambda p, y, N: minus_one(p, y) / N**2), (X, LABELS), "loss: N twice"),
    (softmax_loss(lambda p, y, N: -minus_one(p, y) / N), (X, LABELS), "loss: sign"),
    (softmax_loss(true_class_only), (X, LABELS), "softmax cross-entropy: diagonal only"),
    (
        softmax_loss(lambda p, y, N: (p - y[:, None]) / N),
        (X, LABELS),
        "softmax cross-entropy: label number subtracted",
    ),
    (
        softmax_loss(lambda p, y, N: minus_one(p, y - 1) / N),
        (X, LABELS),
        "softmax cross-entropy: labels counted from one",
    ),
    (
        logistic_loss(lambda p, y, N: (p - y) * p * (1 - p) / N),
        (X, BINARY),
        "sigmoid cross-entropy: extra p(1 - p)",
    ),
    (squared_loss(lambda z, y: (z - y) / z.size), (X, BINARY), "squared error: 2 missing"),
    (
        squared_loss(lambda z, y: 2 * (z - y) / len(z)),
        (X, BINARY),
        "squared error: divided by N alone",
    ),
    (ridge, (W,), "L2: 2λ"),
    (ridge_without_strength, (W,), "L2: strength missing"),
    (lasso, (np.array([1.0, 0.0, -2.0]),), "L1: sign(0) = +1"),
]
