"""The trace of a training step: what every layer computes, forward and backward, in numbers.

A copy of the network does the step with the engine's own methods, and the arrays that go through
its layers are recorded.
"""

from __future__ import annotations

import os
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
from nnreg.tracing.rendering import render_fragment, render_html, render_text
from nnreg.tracing.stages import RecordedStep, StepData, build_stages, mark_not_finite
from nnreg.training.data import validate_data
from nnreg.training.step import IGNORE_FLOAT_ERRORS

#: Rows at which a layer is checked alone; the whole network is checked with all.
ROWS_ALONE = 8


class Trace(StepData):
    """One training step, as text (``print(trace)``), in a notebook, or as a page (``save``).

    Its attributes are those of :class:`nnreg.tracing.stages.StepData`.

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

    def __str__(self) -> str:
        return render_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return render_fragment(self)

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
        write_whole(path, render_html(self).encode(), overwrite=overwrite)


def explain(
    net: Network, x: Any, y: Any, loss: Loss, *, step: int | None = None, check: bool = True
) -> Trace:
    """Show one training step layer by layer, forward and backward, with its formulas and numbers.

    Parameters
    ----------
    net : Network
        It is left as it is: parameters, counters, generators.
    x : array_like of shape (N, D)
    y : array_like
        The targets that the loss takes: class numbers (N,), or (N, M).
    loss : Loss
    step : int, optional
        The step whose dropout masks are used; unless given, the one that comes next.
    check : bool, default True
        Check the derivatives of the whole network, those of the loss, and those of every layer
        alone, at the inputs that it has in this step: of the first eight rows, which is quick and
        shows where a mistake is. See :func:`nnreg.check_gradients`.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit the network or the loss.

    Notes
    -----
    Values that overflow are no error: the stage where they first appear has an alarm, and nothing
    is checked.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(2, initializer=nn.ones), nn.ReLU()], inputs=3)
    >>> trace = nn.explain(net, np.ones((4, 3)), np.zeros((4, 2)), nn.MeanSquaredError())
    >>> print(trace["forward", "dense_1"].formulas[0])
    y = x w + b: (4, 3) (3, 2) + (2,) -> (4, 2)
    """
    validation.instance("net", net, Network, "a Network")
    validation.instance("loss", loss, Loss, "a Loss such as nn.SoftmaxCrossEntropy()")
    x, y = validate_data(net, loss, x, y)
    step = net.steps if step is None else validation.whole("step", step)
    check = validation.flag("check", check)
    x = x.astype(net.dtype, copy=False)
    if y.dtype.kind != "i":
        y = y.astype(net.dtype)
    snapshot = Snapshot(vars(loss))
    try:
        return _trace(net, x, y, loss, step, check)
    finally:
        snapshot.restore()


def _trace(net: Network, x: Array, y: Array, loss: Loss, step: int, check: bool) -> Trace:
    with np.errstate(**IGNORE_FLOAT_ERRORS):
        recorded = RecordedStep(net.copy(), x, y, loss, step)
        stages = build_stages(recorded, loss)
    outputs = zip(net.layers, net.widths[1:], strict=True)
    trace = Trace(
        [layer.name for layer in net.layers],
        [net.inputs, *(width for layer, width in outputs if net.parameters.of(layer.name))],
        len(x),
        step,
        str(net.dtype),
        recorded.data_loss,
        float(net.penalty_value()),
        stages,
        finite=not mark_not_finite(stages, recorded.data_loss),
    )
    if check and trace.finite:
        _check(trace, net, recorded, loss)
    return trace


def _check(trace: Trace, net: Network, step: RecordedStep, loss: Loss) -> None:
    """Check the whole network, and each layer alone, which locates a mistake."""
    fresh = net.copy()
    fresh.steps = step.step
    trace.report = check_gradients(fresh, step.x, step.y, loss)
    trace["backward", "loss"].check = check_gradients(loss, step.outputs, step.y)
    for layer in fresh.layers:
        x = step.seen[layer.name]["x"][:ROWS_ALONE]
        trace["backward", layer.name].check = check_gradients(layer, x)
    penalty = [row for row in trace.report.rows if row.quantity == "penalty"]
    if penalty:
        trace["backward", "penalty"].check = GradientReport("the penalty", penalty)
