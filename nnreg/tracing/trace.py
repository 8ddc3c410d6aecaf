"""The trace of a training step: the numbers that every layer computes, forward and backward.

A copy of the network executes the step, and the inputs and outputs of its layers are recorded.
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

#: Rows for the check of a single layer; the whole network is checked with all rows.
LAYER_ROWS = 8


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
        """Return HTML for a notebook."""
        return render_fragment(self)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the step as one HTML page, which loads no other files.

        Parameters
        ----------
        path : path
        overwrite : bool, default False

        Raises
        ------
        FileExistsError
            If the file exists and ``overwrite`` is False.
        """
        write_whole(path, render_html(self).encode(), overwrite=overwrite)


def explain(
    net: Network, x: Any, y: Any, loss: Loss, *, step: int | None = None, check: bool = True
) -> Trace:
    """Show one training step layer by layer, forward and backward, with its formulas and numbers.

    Parameters
    ----------
    net : Network
        It is not modified: parameters, counters, generators.
    x : array_like of shape (N, D)
    y : array_like
        The targets of the loss: class numbers (N,), or (N, M).
    loss : Loss
    step : int, optional
        The step whose dropout masks are used; by default the next one.
    check : bool, default True
        Check the derivatives of the whole network, of the loss, and of every single layer at its
        inputs in this step; a layer is checked with the first eight rows, which locates a mistake
        quickly. See :func:`nnreg.check_gradients`.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit the network or the loss.

    Notes
    -----
    Values that overflow do not raise an error: the first stage with such values has an alarm, and
    no derivative is checked.

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
    """Check the whole network, and each single layer, which locates a mistake."""
    checked = net.copy()
    checked.steps, checked.classes = step.step, None  # the targets are numbers
    trace.report = check_gradients(checked, step.x, step.y, loss)
    trace["backward", "loss"].check = check_gradients(loss, step.outputs, step.y)
    for layer in checked.layers:
        x = step.seen[layer.name]["x"][:LAYER_ROWS]
        trace["backward", layer.name].check = check_gradients(layer, x)
    penalty = [row for row in trace.report.rows if row.quantity == "penalty"]
    if penalty:
        trace["backward", "penalty"].check = GradientReport("the penalty", penalty)
