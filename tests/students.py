"""Wrong backward passes as students write them: plain functions without nnreg."""

import numpy as np

RNG = np.random.default_rng(11)
X = RNG.standard_normal((5, 4))
W = RNG.standard_normal((4, 3))
SQUARE = RNG.standard_normal((4, 4))
B = RNG.standard_normal(3)
LABELS = np.array([2, 0, 3, 1, 1])
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


def tanh_forward(x):
    y = np.tanh(x)
    return y, y


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


def mask_drawn_again(dout, cache):
    dropout_param, mask = cache
    rng = np.random.default_rng(dropout_param["seed"] + 1)
    return dout * (rng.random(mask.shape) < dropout_param["p"]) / dropout_param["p"]


def two_layers_forward(x, w1, w2):
    hidden = np.tanh(x @ w1)
    y = 1 / (1 + np.exp(-(hidden @ w2)))
    return y, (x, w1, w2, hidden, y)


def two_layers_backward(dout, cache):
    """Carry back dout, not the delta of the output, to the hidden layer's weights."""
    x, w1, w2, hidden, y = cache
    delta, slope = dout * y * (1 - y), 1 - hidden**2
    return (delta @ w2.T * slope) @ w1.T, x.T @ (dout @ w2.T * slope), hidden.T @ delta


#: (forward, backward, arguments, block that is wrong, name of the known bug)
PAIRS = [
    (
        two_layers_forward,
        two_layers_backward,
        (X, W, RNG.standard_normal((3, 2))),
        "w1",
        "gradient: hidden delta from the output's error",
    ),
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
        affine(lambda x, w, d, dx, dw, db: (d.dot(w), dw, db)),
        (X, SQUARE, RNG.standard_normal(4)),
        "x",
        "dense: dx with w for its transpose",
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
    (tanh_forward, lambda dout, y: dout, (X[0],), "x", "activation: derivative missing"),
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


def ridge(w, lam=0.7):
    return 0.5 * lam * (w**2).sum(), 2 * lam * w


def ridge_without_strength(w, lam=0.7):
    return 0.5 * lam * (w**2).sum(), w


def two_layers(x, t, w1, b1, w2):
    """Compute with the examples in columns; the hidden delta carries back the error."""
    hidden = np.tanh(w1 @ x + b1)
    y = 1 / (1 + np.exp(-(w2 @ hidden)))
    error = (y - t) / x.shape[1]
    delta = error * y * (1 - y)
    hidden_delta = (w2.T @ error) * (1 - hidden**2)
    gradients = {"w1": hidden_delta @ x.T, "w2": delta @ hidden.T}
    return 0.5 * ((y - t) ** 2).sum() / x.shape[1], gradients


def lasso(w, lam=0.7):
    return lam * (np.sign(w.real) * w).sum(), lam * np.where(w.real >= 0, 1.0, -1.0)


#: (function, arguments, name of the known bug)
FUNCTIONS = [
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
    (ridge, (W,), "L2: 2λ"),
    (ridge_without_strength, (W,), "L2: strength missing"),
    (lasso, (np.array([1.0, 0.0, -2.0]),), "L1: sign(0) = +1"),
    (
        two_layers,
        (X.T, RNG.random((2, 5)), W.T, B[:, None], RNG.standard_normal((2, 3))),
        "gradient: hidden delta from the output's error",
    ),
]
