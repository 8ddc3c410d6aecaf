"""Loss gap: the difference between the training objective and the test loss, part by part.

The objective that training minimizes is the loss on the training rows with dropout active, plus the
penalty. The test loss is that of new rows in inference mode, without a penalty. They differ by
three terms; only the last of them, generalization, measures overfitting::

    objective  =  train loss + dropout + penalty
    test loss  =  train loss + generalization
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.tables import text_table
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.training import data


@dataclass(frozen=True)
class LossGap:
    """The training objective, the test loss, and the terms between them.

    Parameters
    ----------
    train_loss : float
        Data loss on the training rows in inference mode.
    dropout_loss : float
        Data loss on the training rows in training mode, the mean over ``masks`` draws.
    dropout_error : float
        Monte-Carlo standard error of ``dropout_loss``.
    penalty : float
    test_loss : float
        Data loss on the test rows in inference mode.
    masks : int

    Examples
    --------
    >>> print(LossGap(0.30, 0.45, 0.01, 0.05, 0.40, 20))
    objective         0.5000  minimized by training
    - penalty         0.0500
    - dropout         0.1500  ± 0.0100, 20 draws
    = train loss      0.3000  in inference mode
    + generalization  0.1000
    = test loss       0.4000
    """

    train_loss: float
    dropout_loss: float
    dropout_error: float
    penalty: float
    test_loss: float
    masks: int

    @property
    def objective(self) -> float:
        """Loss in training mode plus penalty."""
        return self.dropout_loss + self.penalty

    @property
    def dropout(self) -> float:
        """The increase of the loss on the training rows caused by dropout."""
        return self.dropout_loss - self.train_loss

    @property
    def generalization(self) -> float:
        """Test loss minus train loss, both in inference mode."""
        return self.test_loss - self.train_loss

    @property
    def difference(self) -> float:
        """Test loss minus objective: generalization - dropout - penalty."""
        return self.test_loss - self.objective

    def parts(self) -> dict[str, float]:
        """Return the parts by name, as `nnreg.plots.gap_bars` expects them."""
        return {
            "penalty": self.penalty,
            "dropout": self.dropout,
            "train loss": self.train_loss,
            "generalization": self.generalization,
        }

    def __str__(self) -> str:
        error = f"± {self.dropout_error:.4f}, {self.masks} draws" if self.dropout_error else ""
        rows = [
            ["objective", f"{self.objective:.4f}", "minimized by training"],
            ["- penalty", f"{self.penalty:.4f}", ""],
            ["- dropout", f"{self.dropout:.4f}", error],
            ["= train loss", f"{self.train_loss:.4f}", "in inference mode"],
            ["+ generalization", f"{self.generalization:.4f}", ""],
            ["= test loss", f"{self.test_loss:.4f}", ""],
        ]
        return "\n".join(text_table(["", "", ""], rows, right=[1]).splitlines()[2:])


def explain_gap(
    net: Network, x: Any, y: Any, x_test: Any, y_test: Any, *, loss: Loss, masks: int = 20
) -> LossGap:
    """Decompose the difference between a network's training objective and its test loss.

    Parameters
    ----------
    net : Network
        Not modified, its counters included.
    x, y : array_like
        Training rows.
    x_test, y_test : array_like
        Rows that the network was not trained on.
    loss : Loss
    masks : int, default 20
        Number of draws of the dropout masks, at least 2. They are those of the next training steps.

    Returns
    -------
    LossGap

    Raises
    ------
    ValueError, TypeError
        If the rows do not fit the network or the loss, or ``masks`` is below 2.

    Notes
    -----
    The training loss in a `History` is the mean over an epoch during which the network changed.
    While it still improves, that mean is larger than the value computed here.

    Examples
    --------
    >>> import nnreg as nn
    >>> (x, y), test = nn.datasets.load_digits()
    >>> net = nn.Network(
    ...     [nn.Dense(32), nn.ReLU(), nn.Dropout(keep_prob=0.5), nn.Dense(10)],
    ...     inputs=64,
    ...     penalty=nn.L2(1e-3),
    ... )
    >>> loss = nn.SoftmaxCrossEntropy()
    >>> history = nn.fit(net, x, y, loss=loss, optimizer=nn.Adam(0.01), epochs=10)
    >>> gap = explain_gap(net, x, y, *test, loss=loss)
    >>> gap.objective > gap.test_loss > gap.train_loss
    True
    """
    x, y = data.validate_data(net, loss, x, y)
    x_test, y_test = data.validate_data(net, loss, x_test, y_test, "test ")
    masks = validation.whole("masks", masks, 2)
    losses = [
        float(loss.compute(_forward_in_training(net, x, net.steps + draw), y)[0])
        for draw in range(masks)
    ]
    return LossGap(
        train_loss=float(loss.compute(net.predict(x), y)[0]),
        dropout_loss=float(np.mean(losses)),
        dropout_error=float(np.std(losses, ddof=1)) / masks**0.5,
        penalty=float(net.penalty_value()),
        test_loss=float(loss.compute(net.predict(x_test), y_test)[0]),
        masks=masks,
    )


def _forward_in_training(net: Network, x: Array, step: int) -> Array:
    """Return the outputs (N, M) of one training step; ``net.steps`` is not changed."""
    outputs = np.empty((len(x), net.widths[-1]), net.dtype)
    cache = Cache(net.dtype)
    for rows, chunk in net.row_chunks(x):
        outputs[rows] = net.run_forward(
            chunk, cache, training=True, step=step, first_row=rows.start
        )
    return outputs
