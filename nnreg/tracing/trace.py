"""One training step, told: what every layer computes, forward and backward, with its real numbers.

Nothing is computed anew. A copy of the network does the step with the engine's own methods, inside
the door, while someone looks at what goes into every layer and what comes out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.files import write_whole
from nnreg._support.typing import Array
from nnreg.gradcheck.check import check_gradients
from nnreg.gradcheck.report import GradientReport
from nnreg.gradcheck.snapshot import Snapshot
from nnreg.losses import Loss
from nnreg.network import Network
from nnreg.tracing import diagnostics
from nnreg.tracing.recorder import Done
from nnreg.tracing.stages import Stage, told
from nnreg.training.data import validate_data
from nnreg.training.step import IGNORE_FLOAT_ERRORS

#: Rows at which a layer is checked alone; the whole network is checked with all.
ALONE = 8


@dataclass(eq=False)
class Trace:
    """One training step, as text (``print(trace)``), in a notebook, or as a page (``save``).

    Attributes
    ----------
    layers : list of str
        Their names.
    widths : list of int
        Of the inputs, and of the outputs of each layer that has parameters.
    rows, step : int
        Rows of the batch, and the step whose masks were used.
    dtype : str
    data_loss, penalty, total : float
    stages : list of Stage
        In the order of the step.
    finite : bool
        Whether every value is.
    report : GradientReport or None
        The check of the whole network; None if it was not asked for or not possible.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2)
    >>> trace = nn.explain(net, [[1.0, 2.0]], [[5.0]], nn.MeanSquaredError())
    >>> trace.data_loss, trace.passed  # (3 - 5)²
    (4.0, True)
    >>> trace["backward", "dense_1"].arrays["dw"]
    array([[-4.],
           [-8.]], dtype=float32)
    """

    layers: list[str]
    widths: list[int]
    rows: int
    step: int
    dtype: str
    data_loss: float
    penalty: float
    stages: list[Stage]
    finite: bool = True
    report: GradientReport | None = None

    @property
    def total(self) -> float:
        """What training makes small: data loss plus penalty."""
        return self.data_loss + self.penalty

    @property
    def passed(self) -> bool | None:
        """Whether every derivative that was checked is right; None if none was."""
        if self.report is None:
            return None
        alone = [stage.check.passed for stage in self.stages if stage.check]
        return self.report.passed and all(alone)

    @property
    def alarms(self) -> list[str]:
        """All that is wrong, with the stage where it is."""
        return [f"{s.name}, {s.part}: {alarm}" for s in self.stages for alarm in s.alarms]

    def __getitem__(self, key: tuple[str, str]) -> Stage:
        """Return a stage by its part and name: ``trace["backward", "dense_1"]``."""
        for stage in self.stages:
            if (stage.part, stage.name) == key:
                return stage
        known = ", ".join(dict.fromkeys(stage.name for stage in self.stages))
        raise KeyError(f'no stage {key!r}; there are "forward" and "backward" of {known}')

    def __str__(self) -> str:
        from nnreg.tracing.text import text

        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from nnreg.tracing.page import fragment

        return fragment(self)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the step as one HTML page, which loads nothing from elsewhere.

        Parameters
        ----------
        path : path
        overwrite : bool, default False

        Raises
        ------
        FileExistsError
            If there is such a file and ``overwrite`` is False.
        """
        from nnreg.tracing.page import page

        write_whole(path, page(self).encode(), overwrite=overwrite)


def explain(
    net: Network, x: Any, y: Any, loss: Loss, *, step: int | None = None, check: bool = True
) -> Trace:
    """Tell one training step layer by layer, forward and backward, with its formulas and numbers.

    Parameters
    ----------
    net : Network
        It is left as it is: parameters, counters, generators.
    x : array_like of shape (N, D)
    y : array_like
        What the loss wants: class numbers (N,), or (N, M).
    loss : Loss
    step : int, optional
        The step whose dropout masks are used; unless given, the one that comes next.
    check : bool, default True
        Check the derivatives of the whole network, those of the loss, and those of every layer
        alone, at the inputs that it has in this step: of the first eight rows, which is quick and
        tells where a mistake is. See :func:`nnreg.check_gradients`.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit the network or the loss.

    Notes
    -----
    Values that overflow are told, not refused: the stage where they first appear has an alarm.
    Nothing is checked then.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2, initializer=nn.ones), nn.ReLU()], inputs=3)
    >>> trace = nn.explain(net, np.ones((4, 3)), np.zeros((4, 2)), nn.MeanSquaredError())
    >>> print(trace["forward", "dense_1"].formulas[0])
    y = x w + b: (4, 3) (3, 2) + (2,) -> (4, 2)
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {net!r}")
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a Loss such as nn.SoftmaxCrossEntropy(), got {loss!r}")
    x, y = validate_data(net, loss, x, y)
    step = net.steps if step is None else validation.whole("step", step)
    check = validation.flag("check", check)
    x = x.astype(net.dtype, copy=False)
    if y.dtype.kind != "i":
        y = y.astype(net.dtype)
    kept = Snapshot(vars(loss))
    try:
        return _explained(net, x, y, loss, step, check)
    finally:
        kept.restore()


def _explained(net: Network, x: Array, y: Array, loss: Loss, step: int, check: bool) -> Trace:
    with np.errstate(**IGNORE_FLOAT_ERRORS):
        done = Done(net.copy(), x, y, loss, step)
        stages = told(done, loss)
    places = enumerate(net.layers, 1)
    with_parameters = [place for place, layer in places if net.parameters.of(layer.name)]
    trace = Trace(
        [layer.name for layer in net.layers],
        [net.inputs, *(net.widths[place] for place in with_parameters)],
        len(x),
        step,
        str(net.dtype),
        done.data_loss,
        float(net.penalty_value()),
        stages,
        finite=not diagnostics.not_finite(stages, done.data_loss),
    )
    if check and trace.finite:
        _check(trace, net, done, loss)
    return trace


def _check(trace: Trace, net: Network, done: Done, loss: Loss) -> None:
    """Check the whole network, and each layer alone, so that a mistake is found in its place."""
    fresh = net.copy()
    fresh.steps = done.step
    trace.report = check_gradients(fresh, done.x, done.y, loss)
    trace["backward", "loss"].check = check_gradients(loss, done.outputs, done.y)
    for layer in fresh.layers:
        x = done.seen[layer.name]["x"][:ALONE]
        trace["backward", layer.name].check = check_gradients(layer, x)
    penalty = [row for row in trace.report.rows if row.quantity == "penalty"]
    if penalty:
        trace["backward", "penalty"].check = GradientReport("the penalty", penalty)
