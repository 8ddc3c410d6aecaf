"""CS231n's functions, implemented with nnreg's kernels and optimizers.

Forward and backward functions (``out, cache``, then gradients), update rules
(``next_w, config = rule(w, dw, config)``) and the ``Solver``, under the course's names and with its
conventions. A student's forward function can be combined with a backward function of this module,
and the other way round.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg import kernels, random
from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.initializers import zeros
from nnreg.optimizers import SGD, Adam, Optimizer, RMSprop
from nnreg.parameters import Parameter, Parameters

MODES = ("train", "test")


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return ``out = x w + b``, the rows of ``x`` flattened, and the cache ``(x, w, b)``.

    Parameters
    ----------
    x : ndarray of shape (N, d_1, ..., d_k)
    w : ndarray of shape (D, M)
        ``D`` is the product of the ``d``.
    b : ndarray of shape (M,)

    Returns
    -------
    out : ndarray of shape (N, M)
    cache : tuple

    Examples
    --------
    >>> out, cache = affine_forward(np.ones((1, 2, 2)), np.ones((4, 1)), np.zeros(1))
    >>> out
    array([[4.]])
    >>> [gradient.shape for gradient in affine_backward(np.ones((1, 1)), cache)]
    [(1, 2, 2), (4, 1), (1,)]
    """
    return kernels.affine(_flatten(x), w, b), (x, w, b)


def affine_backward(dout: Array, cache: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """Return ``dx, dw, db``, in the shapes of ``x``, ``w`` and ``b``.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
    cache : tuple
        Of :func:`affine_forward`.
    """
    x, w, _ = cache
    dx = kernels.affine_dx(dout, w).reshape(x.shape)
    return dx, kernels.affine_dw(_flatten(x), dout), kernels.affine_db(dout)


def relu_forward(x: Array) -> tuple[Array, Array]:
    """Return ``out = max(x, 0)`` and the cache, ``x``.

    Parameters
    ----------
    x : ndarray of any shape

    Examples
    --------
    >>> out, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> out, relu_backward(np.ones(3), cache)
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """
    return kernels.rectifier(x), x


def relu_backward(dout: Array, cache: Array) -> Array:
    """Return ``dx = dout * (x > 0)``.

    Parameters
    ----------
    dout : ndarray of the shape of x
    cache : ndarray
        Of :func:`relu_forward`.
    """
    factor = np.empty_like(cache)
    kernels.rectifier(cache, work=factor)
    return kernels.rectifier_dx(dout, factor)


def affine_relu_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Any, Array]]:
    """Return ``out`` of an affine map and ReLU, and both caches.

    Parameters
    ----------
    x, w, b : ndarray
        As for :func:`affine_forward`.

    Examples
    --------
    >>> affine_relu_forward(np.ones((1, 2)), -np.ones((2, 1)), np.zeros(1))[0]
    array([[0.]])
    """
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout: Array, cache: tuple[Any, Array]) -> tuple[Array, Array, Array]:
    """Return ``dx, dw, db``.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
    cache : tuple
        Of :func:`affine_relu_forward`.
    """
    fc_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), fc_cache)


def softmax_loss(x: Array, y: Array) -> tuple[Any, Array]:
    """Return the mean cross-entropy of softmax, and its derivative with respect to the scores.

    Parameters
    ----------
    x : ndarray of shape (N, C)
    y : ndarray of shape (N,)
        The right classes, from 0 to C - 1.

    Returns
    -------
    loss : float
    dx : ndarray of shape (N, C)

    Raises
    ------
    ValueError
        If ``x`` or ``y`` has another shape, or ``y`` a class out of range.

    Examples
    --------
    >>> loss, dx = softmax_loss(np.zeros((2, 4)), np.array([0, 3]))
    >>> round(float(loss), 4)  # log 4
    1.3863
    >>> dx[0]
    array([-0.375,  0.125,  0.125,  0.125])
    """
    if np.ndim(x) != 2:
        raise ValueError(f"x must be scores of shape (N, C), got shape {np.shape(x)}")
    value, dx = kernels.softmax_cross_entropy(x, _check_labels("y", y, *x.shape))
    dx /= len(x)
    return value.mean(), dx


def _check_labels(name: str, labels: Any, rows: int, classes: int | None = None) -> Array:
    """Return labels as an array of class numbers, one per row, from 0 to ``classes - 1``."""
    y = np.asarray(labels)
    if y.shape != (rows,) or y.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold class numbers, integers of shape ({rows},), got {y.dtype} of shape "
            f"{y.shape}{': use .ravel()' if y.size == rows and y.ndim > 1 else ''}"
        )
    last = np.inf if classes is None else classes - 1
    expected = f"hold class numbers from 0{'' if classes is None else f' to {last}'}"
    validation.reject(name, y, (y < 0) | (y > last), expected)
    return y


def dropout_forward(
    x: Array, dropout_param: Mapping[str, Any]
) -> tuple[Array, tuple[Mapping[str, Any], Array | None]]:
    """Return ``out`` of inverted dropout, and the cache ``(dropout_param, mask)``.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
    dropout_param : mapping
        ``"p"``, the probability to *keep* a unit, as in the course's current edition (in early
        ones, to drop it); ``"mode"``, ``"train"`` or ``"test"``; and optionally ``"seed"``, with
        which every call has the same mask. It is not the one that NumPy's global generator would
        draw from that seed.

    Returns
    -------
    out : ndarray of the shape of x
    cache : tuple
        The mask includes the factor ``1/p``; it is None in test mode.

    Raises
    ------
    ValueError
        If ``"p"`` is not in (0, 1], or the mode is unknown.

    Examples
    --------
    >>> out, cache = dropout_forward(np.ones((1, 6)), {"p": 0.5, "mode": "train", "seed": 1})
    >>> out
    array([[2., 0., 2., 2., 0., 2.]])
    >>> bool((dropout_backward(np.ones((1, 6)), cache) == out).all())
    True
    """
    p = validation.number('dropout_param["p"]', dropout_param["p"], 0, 1, open_low=True)
    mode = validation.one_of('dropout_param["mode"]', dropout_param["mode"], MODES)
    if mode == "test":
        return x, (dropout_param, None)
    seed = dropout_param.get("seed")
    words = random.RandomBits(random.key(secrets.randbits(32) if seed is None else seed, "mask"))
    mask = np.empty(_flatten(x).shape, x.real.dtype)
    for rows, bits in words.rows(0, 0, mask.shape):
        kernels.keep_mask(bits, kernels.keep_threshold(p), out=mask[rows])
    mask = mask.reshape(x.shape)
    return x * mask, (dropout_param, mask)


def dropout_backward(dout: Array, cache: tuple[Mapping[str, Any], Array | None]) -> Array:
    """Return ``dx``: ``dout`` times the mask, or in test mode ``dout``.

    Parameters
    ----------
    dout : ndarray of the shape of x
    cache : tuple
        Of :func:`dropout_forward`.
    """
    mask = cache[1]
    return dout if mask is None else dout * mask


def _flatten(x: Array) -> Array:
    return x.reshape(len(x), -1)


def sgd(w: Array, dw: Array, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """Make a step of gradient descent.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-2 by default.

    Returns
    -------
    next_w : ndarray
    config : dict

    Examples
    --------
    >>> sgd(np.array([1.0]), np.array([2.0]), {"learning_rate": 0.25})
    (array([0.5]), {'learning_rate': 0.25})
    """
    config = _with_defaults(config, learning_rate=1e-2)
    return _update(SGD(config["learning_rate"]), w, dw, config)


def sgd_momentum(
    w: Array, dw: Array, config: dict[str, Any] | None = None
) -> tuple[Array, dict[str, Any]]:
    """Make a step with momentum: ``v = momentum*v - learning_rate*dw``, ``w = w + v``.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-2 by default; ``momentum``, 0.9; ``velocity``, zero.

    Returns
    -------
    next_w : ndarray
    config : dict
        With the new velocity.

    Notes
    -----
    nnreg's velocity is ``u = momentum*u + dw``, so that ``v = -learning_rate*u``. They differ
    where the learning rate changes between steps: then the course's velocity keeps the old one.

    Examples
    --------
    >>> w, config = sgd_momentum(np.zeros(1), np.ones(1), {"learning_rate": 0.5, "momentum": 0.5})
    >>> w, config = sgd_momentum(w, np.ones(1), config)
    >>> w, config["velocity"]
    (array([-1.25]), array([-0.75]))
    """
    config = _with_defaults(config, learning_rate=1e-2, momentum=0.9, velocity=np.zeros_like(w))
    rate = config["learning_rate"]
    rule = SGD(rate, momentum=config["momentum"])
    if not rule.momentum:
        return _update(rule, w, dw, {**config, "velocity": -rate * dw})
    scaled = {**config, "velocity": np.array(config["velocity"], w.dtype) / -rate}
    next_w, scaled = _update(rule, w, dw, scaled, velocity="velocity")
    return next_w, {**scaled, "velocity": -rate * scaled["velocity"]}


def rmsprop(
    w: Array, dw: Array, config: dict[str, Any] | None = None
) -> tuple[Array, dict[str, Any]]:
    """Make a step of RMSprop.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-2 by default; ``decay_rate``, 0.99; ``epsilon``, 1e-8; ``cache``,
        the running mean of squares, zero.

    Returns
    -------
    next_w : ndarray
    config : dict
        With the new cache.

    Examples
    --------
    >>> rmsprop(np.zeros(1), np.full(1, 3.0), {"decay_rate": 0.75})[0].round(6)  # cache 9/4
    array([-0.02])
    """
    config = _with_defaults(
        config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, cache=np.zeros_like(w)
    )
    rate, rho = config["learning_rate"], config["decay_rate"]
    rule = RMSprop(rate, rho=rho, epsilon=config["epsilon"])
    return _update(rule, w, dw, config, cache="mean_square")


def adam(w: Array, dw: Array, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """Make a step of Adam, with bias correction.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-3 by default; ``beta1``, 0.9; ``beta2``, 0.999; ``epsilon``, 1e-8;
        ``m`` and ``v``, zero; ``t``, the number of previous steps, 0.

    Returns
    -------
    next_w : ndarray
    config : dict
        With the new ``m``, ``v`` and ``t``.

    Examples
    --------
    >>> w, config = adam(np.zeros(2), np.array([5.0, -0.01]), {"learning_rate": 0.1})
    >>> w.round(6), config["t"]  # the first step is the rate, against the sign
    (array([-0.1,  0.1]), 1)
    """
    config = _with_defaults(
        config,
        **{"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        **{"m": np.zeros_like(w), "v": np.zeros_like(w), "t": 0},
    )
    rate, beta_1, beta_2 = config["learning_rate"], config["beta1"], config["beta2"]
    rule = Adam(rate, beta_1=beta_1, beta_2=beta_2, epsilon=config["epsilon"])
    rule.steps = validation.whole('config["t"]', config["t"])
    config["t"] = rule.steps + 1
    return _update(rule, w, dw, config, m="mean", v="mean_square")


#: Update rules by name, for ``Solver(update_rule=)``.
RULES = {"sgd": sgd, "sgd_momentum": sgd_momentum, "rmsprop": rmsprop, "adam": adam}


def _with_defaults(config: dict[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """Return a copy of the configuration, completed by the defaults."""
    options = {} if config is None else dict(config)
    validation.unknown_arguments("config", options, defaults)
    config = {**defaults, **options}
    rate = config["learning_rate"]
    validation.number('config["learning_rate"]', rate, 0, open_low=True)
    return config


def _update(
    rule: Optimizer, w: Array, dw: Array, config: dict[str, Any], **states: str
) -> tuple[Array, dict[str, Any]]:
    """Return ``w`` after one step, and the configuration with the rule's new states."""
    if np.shape(dw) != np.shape(w):
        raise ValueError(f"dw must have the shape of w, {np.shape(w)}, got {np.shape(dw)}")
    parameters = Parameters({"w": Parameter((w.size,), zeros)}, w.dtype)
    gradients = parameters.like()
    parameters.vector[...] = np.ravel(w)
    gradients.vector[...] = np.ravel(dw)
    for name, state in states.items():
        rule.state[state] = np.array(config[name], w.dtype).ravel()
    rule.update(parameters, gradients)
    arrays = {name: rule.state[state].reshape(w.shape) for name, state in states.items()}
    return parameters.vector.reshape(w.shape).copy(), {**config, **arrays}


DATA = ("X_train", "y_train", "X_val", "y_val")


class Solver:
    """Train a model, and keep the parameters with the best accuracy on validation data.

    Parameters
    ----------
    model : object
        With ``params``, arrays by name, and ``loss(X, y=None)``, which returns scores (N, C), or
        with ``y`` the loss and a dictionary of gradients with the names of ``params``.
    data : dict
        ``X_train``, ``y_train``, ``X_val`` and ``y_val``.
    update_rule : {"sgd", "sgd_momentum", "rmsprop", "adam"}
    optim_config : dict, optional
        Configuration of the rule; each parameter has a separate copy.
    lr_decay : float, default 1
        Factor of the learning rates after each epoch.
    batch_size : int, default 100
    num_epochs : int, default 10
    num_train_samples : int or None, default 1000
        Number of training examples for the accuracy; None means all.
    num_val_samples : int, optional
    print_every : int, default 10
        Iterations.
    verbose : bool, default True
    seed : int, default 0
        For batches and samples; the course draws from NumPy's global generator instead.

    Attributes
    ----------
    loss_history : list of float
        One per iteration.
    train_acc_history, val_acc_history : list of float
        One per epoch, and one after the first iteration.
    best_val_acc : float
    best_params : dict of str to ndarray

    Notes
    -----
    As in the course, a batch is drawn *with replacement*, so that an epoch is a number of
    iterations and not a pass over the data. :func:`nnreg.fit` makes passes. There
    are no checkpoint files: the course's are pickles.

    Examples
    --------
    >>> from nnreg.course.cs231n import affine_backward, affine_forward, softmax_loss
    >>> class Linear:
    ...     def __init__(self):
    ...         self.params = {"W": np.zeros((2, 2)), "b": np.zeros(2)}
    ...
    ...     def loss(self, X, y=None):
    ...         scores, cache = affine_forward(X, self.params["W"], self.params["b"])
    ...         if y is None:
    ...             return scores
    ...         loss, dscores = softmax_loss(scores, y)
    ...         _, dW, db = affine_backward(dscores, cache)
    ...         return loss, {"W": dW, "b": db}
    >>> X, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    >>> data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    >>> solver = Solver(Linear(), data, batch_size=2, num_epochs=5, verbose=False)
    >>> solver.train()
    >>> solver.best_val_acc, len(solver.loss_history)
    (1.0, 5)
    """

    def __init__(
        self,
        model: Any,
        data: dict[str, Any],
        *,
        update_rule: str = "sgd",
        optim_config: dict[str, Any] | None = None,
        lr_decay: float = 1.0,
        batch_size: int = 100,
        num_epochs: int = 10,
        num_train_samples: int | None = 1000,
        num_val_samples: int | None = None,
        print_every: int = 10,
        verbose: bool = True,
        seed: int = 0,
    ) -> None:
        if missing := [name for name in DATA if name not in data]:
            raise ValueError(f"data must have {', '.join(DATA)}; {missing[0]} is missing")
        self.model = model
        self.X_train, self.X_val = np.asarray(data["X_train"]), np.asarray(data["X_val"])
        self.y_train = _check_labels("y_train", data["y_train"], len(self.X_train))
        self.y_val = _check_labels("y_val", data["y_val"], len(self.X_val))
        self.update_rule = RULES[validation.one_of("update_rule", update_rule, RULES)]
        self.lr_decay = validation.number("lr_decay", lr_decay, 0, open_low=True)
        self.batch_size = validation.whole("batch_size", batch_size, 1)
        self.num_epochs = validation.whole("num_epochs", num_epochs, 1)
        self.num_train_samples = num_train_samples
        self.num_val_samples = num_val_samples
        self.print_every = validation.whole("print_every", print_every, 1)
        self.verbose = validation.flag("verbose", verbose)
        self._rng = random.generator(validation.whole("seed", seed), "order")
        self.optim_configs = {name: dict(optim_config or {}) for name in model.params}
        self.epoch, self.best_val_acc = 0, 0.0
        self.best_params: dict[str, Array] = {}
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []

    def train(self) -> None:
        """Train for ``num_epochs``; afterwards the model has the best parameters."""
        per_epoch = max(len(self.X_train) // self.batch_size, 1)
        iterations = self.num_epochs * per_epoch
        for t in range(iterations):
            self._step()
            if self.verbose and t % self.print_every == 0:
                print(f"(Iteration {t + 1} / {iterations}) loss: {self.loss_history[-1]:f}")
            if (t + 1) % per_epoch == 0:
                self.epoch += 1
                for config in self.optim_configs.values():
                    config["learning_rate"] *= self.lr_decay
            if t == 0 or (t + 1) % per_epoch == 0:
                self._measure()
        self.model.params = self.best_params

    def _step(self) -> None:
        batch = self._rng.choice(len(self.X_train), self.batch_size)
        loss, gradients = self.model.loss(self.X_train[batch], self.y_train[batch])
        self.loss_history.append(float(loss))
        for name, w in self.model.params.items():
            self.model.params[name], self.optim_configs[name] = self.update_rule(
                w, gradients[name], self.optim_configs[name]
            )

    def _measure(self) -> None:
        train = self.check_accuracy(self.X_train, self.y_train, self.num_train_samples)
        val = self.check_accuracy(self.X_val, self.y_val, self.num_val_samples)
        self.train_acc_history.append(train)
        self.val_acc_history.append(val)
        if self.verbose:
            print(
                f"(Epoch {self.epoch} / {self.num_epochs}) train acc: {train:f}; val_acc: {val:f}"
            )
        if val > self.best_val_acc or not self.best_params:
            self.best_val_acc = val
            self.best_params = {name: w.copy() for name, w in self.model.params.items()}

    def check_accuracy(
        self, x: Array, y: Array, num_samples: int | None = None, batch_size: int = 100
    ) -> float:
        """Return the share of examples whose largest score is at their class.

        Parameters
        ----------
        x : ndarray of shape (N, ...)
        y : ndarray of shape (N,)
        num_samples : int, optional
            Number of examples to draw; all by default.
        batch_size : int, default 100
        """
        if num_samples is not None and num_samples < len(x):
            drawn = self._rng.choice(len(x), num_samples)
            x, y = x[drawn], y[drawn]
        parts = [slice(start, start + batch_size) for start in range(0, len(x), batch_size)]
        predicted = [np.argmax(self.model.loss(x[part]), axis=1) for part in parts]
        return float(np.mean(np.concatenate(predicted) == y))
