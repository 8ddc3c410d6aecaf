"""scikit-learn: ``MLPClassifier.partial_fit``, an epoch a call, since ``fit`` resets the optimizer.

It has no dropout and no L1. Its ``alpha`` is divided by the rows of the batch, hence the product.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.frameworks.stepwise import plan
from benchmarks.problem import BETA_1, BETA_2, Array, Problem


class SklearnMLP:
    """The classifier, its weights replaced after its own beginning."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.x, self.y = problem.data()
        self.classes = np.arange(problem.widths[-1])
        self.model = MLPClassifier(
            problem.hidden,
            solver="adam" if problem.optimizer == "adam" else "sgd",
            alpha=problem.l2 * problem.batch,
            batch_size=problem.batch,
            learning_rate_init=problem.rate,
            momentum=problem.momentum,
            nesterovs_momentum=False,
            beta_1=BETA_1,
            beta_2=BETA_2,
            epsilon=problem.epsilon,
            n_iter_no_change=10**9,
        )
        self.begin()

    def begin(self) -> None:
        """Let it make its arrays, then overwrite them and forget the optimizer's state."""
        self.fit(self.x[: self.problem.batch], self.y[: self.problem.batch])
        for (w, b), coefs, intercepts in zip(
            self.problem.weights(), self.model.coefs_, self.model.intercepts_, strict=True
        ):
            coefs[...], intercepts[...] = w, b
        del self.model._optimizer

    def fit(self, x: Array, y: Array) -> None:
        """Train for an epoch."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.partial_fit(x, y, classes=self.classes)

    def follow(self, steps: int) -> list[float]:
        """Fit batch by batch; scikit-learn reports data loss and penalty together."""
        losses = []
        for step in range(steps):
            rows = self.problem.rows(step)
            penalty = self.problem.l2 / 2 * sum(float((w * w).sum()) for w in self.model.coefs_)
            self.fit(self.x[rows], self.y[rows])
            losses.append(float(self.model.loss_) - penalty)
        return losses

    def chunk(self, steps: int, warm: int) -> float:
        """Fit epochs, and time whole calls."""
        few = max(1, warm) * self.problem.batch
        self.fit(self.x[:few], self.y[:few])
        rows, epochs = plan(self.problem, steps)
        start = time.perf_counter()
        for _ in range(epochs):
            self.fit(self.x[:rows], self.y[:rows])
        return (time.perf_counter() - start) / (epochs * rows / self.problem.batch)

    def parameters(self) -> list[Array]:
        """Return them layer by layer."""
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [values for pair in pairs for values in pair]
