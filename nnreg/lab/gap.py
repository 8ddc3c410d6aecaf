"""Why the loss of training is not the loss of the test, part by part.

While a network is trained, what one watches is its objective: the loss on the training rows with
dropout at work, plus the penalty. What one wants is the loss on new rows, in inference mode, with
neither. Three things lie between them, and only the last of them is overfitting::

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
from nnreg.network import PREDICT_ROWS, Network
from nnreg.training import data


@dataclass(frozen=True)
class LossGap:
    """The training objective, the test loss, and what lies between them.

    Parameters
    ----------
    train_loss : float
        Data loss on the training rows in inference mode.
    dropout_loss : float
        The same in training mode, dropout at work: the mean over ``masks`` draws.
    dropout_error : float
        Its Monte-Carlo standard error.
    penalty : float
    test_loss : float
        Data loss on the test rows in inference mode.
    masks : int

    Examples
    --------
    >>> print(LossGap(0.30, 0.45, 0.01, 0.05, 0.40, 20))
    objective         0.5000  what training watches
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
        """What training watches: loss in training mode plus penalty."""
        return self.dropout_loss + self.penalty

    @property
    def dropout(self) -> float:
        """What dropout adds to the loss on the training rows."""
        return self.dropout_loss - self.train_loss

    @property
    def generalization(self) -> float:
        """What new rows cost: test loss minus train loss, both in inference mode."""
        return self.test_loss - self.train_loss

    @property
    def difference(self) -> float:
        """Test loss minus objective: generalization, minus dropout, minus penalty."""
        return self.test_loss - self.objective

    def __str__(self) -> str:
        rows = [
            ["objective", f"{self.objective:.4f}", "what training watches"],
            ["- penalty", f"{self.penalty:.4f}", ""],
            ["- dropout", f"{self.dropout:.4f}", self._draws()],
            ["= train loss", f"{self.train_loss:.4f}", "in inference mode"],
            ["+ generalization", f"{self.generalization:.4f}", ""],
            ["= test loss", f"{self.test_loss:.4f}", ""],
        ]
        return "\n".join(text_table(["", "", ""], rows, right=[1]).splitlines()[2:])

    def _draws(self) -> str:
        return f"± {self.dropout_error:.4f}, {self.masks} draws" if self.dropout_error else ""


def explain_gap(
    net: Network, x: Any, y: Any, x_test: Any, y_test: Any, *, loss: Loss, masks: int = 20
) -> LossGap:
    """Take the difference between a network's training objective and its test loss apart.

    Parameters
    ----------
    net : Network
        It is left as it is; its counters too.
    x, y : array_like
        Training rows.
    x_test, y_test : array_like
        Rows that it was not trained on.
    loss : Loss
    masks : int, default 20
        Draws of dropout's masks, at least 2: those of the next training steps.

    Returns
    -------
    LossGap

    Raises
    ------
    ValueError, TypeError
        If the rows do not fit the network or the loss, or there are too few draws.

    Notes
    -----
    The training loss in a `History` is the mean over an epoch in which the network changed; while
    it still improves, that is larger than what is found here for the network as it stands.

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
    dropped = [
        float(loss.compute(_in_training(net, x, net.steps + draw), y)[0]) for draw in range(masks)
    ]
    return LossGap(
        train_loss=float(loss.compute(net.predict(x), y)[0]),
        dropout_loss=float(np.mean(dropped)),
        dropout_error=float(np.std(dropped, ddof=1)) / masks**0.5,
        penalty=float(net.penalty_value()),
        test_loss=float(loss.compute(net.predict(x_test), y_test)[0]),
        masks=masks,
    )


def _in_training(net: Network, x: Array, step: int) -> Array:
    """Return the outputs of one training step, piece by piece, counting nothing."""
    outputs = np.empty((len(x), net.widths[-1]), net.dtype)
    cache = Cache(net.dtype)
    for start in range(0, len(x), PREDICT_ROWS):
        piece = slice(start, start + PREDICT_ROWS)
        part = validation.cast("x", x[piece], net.dtype)
        outputs[piece] = net.run_forward(part, cache, training=True, step=step, first_row=start)
    return outputs
