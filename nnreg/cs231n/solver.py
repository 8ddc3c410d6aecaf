"""The solver: batches, steps, decay of the learning rate, accuracies, the best parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from nnreg import checks, streams
from nnreg.cs231n.optim import RULES
from nnreg.kernels import Array

DATA = ("X_train", "y_train", "X_val", "y_val")


class Model(Protocol):
    """What a solver trains.

    ``params`` are arrays by name. ``loss(X)`` returns scores (N, C); ``loss(X, y)`` the loss and a
    dictionary of gradients with the names of ``params``.
    """

    params: dict[str, Array]

    @property
    def loss(self) -> Callable[..., Any]:
        """The function that has both forms."""
        ...


class Solver:
    """Train a model, and keep the parameters with the best accuracy on validation data.

    Parameters
    ----------
    model : Model
        With ``params``, and ``loss(X, y=None)``.
    data : dict
        ``X_train``, ``y_train``, ``X_val`` and ``y_val``.
    update_rule : {"sgd", "sgd_momentum", "rmsprop", "adam"}
    optim_config : dict, optional
        For the rule; each parameter has its own copy.
    lr_decay : float, default 1
        What learning rates are multiplied with after each epoch.
    batch_size : int, default 100
    num_epochs : int, default 10
    num_train_samples : int or None, default 1000
        Of how many training examples the accuracy is measured; None is all.
    num_val_samples : int, optional
    print_every : int, default 10
        Iterations.
    verbose : bool, default True
    seed : int, default 0
        For batches and samples: not the course's, which draws from NumPy's global generator.

    Attributes
    ----------
    loss_history : list of float
        One an iteration.
    train_acc_history, val_acc_history : list of float
        One an epoch, the start included.
    best_val_acc : float
    best_params : dict of str to ndarray

    Notes
    -----
    As in the course, a batch is drawn *with replacement*, so that an epoch is a number of
    iterations and not a pass over the data. nnreg's own :func:`nnreg.fit` makes passes. There
    are no checkpoint files: the course's are pickles.

    Examples
    --------
    >>> from nnreg.cs231n import affine_backward, affine_forward, softmax_loss
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
        model: Model,
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
        for name in DATA:
            if name not in data:
                raise ValueError(f"data must have {', '.join(DATA)}; {name} is missing")
        self.model = model
        self.X_train, self.y_train, self.X_val, self.y_val = (np.asarray(data[n]) for n in DATA)
        self.update_rule = RULES[checks.one_of("update_rule", update_rule, RULES)]
        self.lr_decay = checks.number("lr_decay", lr_decay, 0, open_low=True)
        self.batch_size = checks.whole("batch_size", batch_size, 1)
        self.num_epochs = checks.whole("num_epochs", num_epochs, 1)
        self.num_train_samples = num_train_samples
        self.num_val_samples = num_val_samples
        self.print_every = checks.whole("print_every", print_every, 1)
        self.verbose = checks.flag("verbose", verbose)
        self._rng = streams.generator(checks.whole("seed", seed), "order")
        self.optim_configs = {name: dict(optim_config or {}) for name in model.params}
        self.epoch, self.best_val_acc = 0, 0.0
        self.best_params: dict[str, Array] = {}
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []

    def train(self) -> None:
        """Train for ``num_epochs``; afterwards the model has the best parameters."""
        each = max(len(self.X_train) // self.batch_size, 1)
        iterations = self.num_epochs * each
        for t in range(iterations):
            self._step()
            if self.verbose and t % self.print_every == 0:
                print(f"(Iteration {t + 1} / {iterations}) loss: {self.loss_history[-1]:f}")
            if (t + 1) % each == 0:
                self.epoch += 1
                for config in self.optim_configs.values():
                    config["learning_rate"] *= self.lr_decay
            if t == 0 or (t + 1) % each == 0:
                self._measure()
        self.model.params = self.best_params

    def _step(self) -> None:
        batch = self._rng.choice(len(self.X_train), self.batch_size)
        loss, gradients = self.model.loss(self.X_train[batch], self.y_train[batch])
        self.loss_history.append(float(loss))
        for name, w in self.model.params.items():
            made = self.update_rule(w, gradients[name], self.optim_configs[name])
            self.model.params[name], self.optim_configs[name] = made

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
            Of so many, drawn from them.
        batch_size : int, default 100
        """
        if num_samples is not None and num_samples < len(x):
            drawn = self._rng.choice(len(x), num_samples)
            x, y = x[drawn], y[drawn]
        parts = [slice(start, start + batch_size) for start in range(0, len(x), batch_size)]
        predicted = [np.argmax(self.model.loss(x[part]), axis=1) for part in parts]
        return float(np.mean(np.concatenate(predicted) == y))
