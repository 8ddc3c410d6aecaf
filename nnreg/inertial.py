r"""iPiano: gradient descent with momentum that is proven to descend under a proximal map too.

The momentum of :class:`nnreg.SGD` averages gradients. It goes on pushing at a weight that the
proximal map holds at zero, and nothing guarantees that the objective goes down. Here it is the
weights that have momentum, after the proximal map has had its say: the step is begun with ``β``
times the last *whole* step, penalty included.
"""

from __future__ import annotations

import numpy as np

from nnreg import checks
from nnreg.kernels import Array
from nnreg.optimizers import Optimizer
from nnreg.parameters import Parameters


class InertialSGD(Optimizer):
    """Inertial proximal gradient descent, iPiano (Ochs, Chen, Brox & Pock, 2014).

    ::

        w = prox(w - learning_rate·g + momentum·(w - w_before))

    where ``w_before`` is ``w`` as it was one step earlier, after the proximal map.

    Parameters
    ----------
    learning_rate : float
    momentum : float, default 0.9
        In [0, 1).

    Notes
    -----
    Proven for full batches, a data loss whose gradient changes by at most ``L`` times as much as
    the parameters, a convex penalty and a learning rate below ``2(1 - momentum)/L``: for some
    positive ``c``, ``total + c·‖w - w_before‖²`` falls with every step, and parameters that stay
    bounded converge to a stationary point. Without a proximal map, and with constant numbers, it is
    :class:`nnreg.SGD` with momentum.

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((1,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 1.0
    >>> inertial = InertialSGD(0.1, momentum=0.5)
    >>> inertial.update(p, g)
    >>> inertial.update(p, g)
    >>> p.vector.round(9)  # -0.1, then -0.1 and half of the last step
    array([-0.25])
    >>> inertial.step_size
    0.1
    """

    momentum = checks.bounded(0, 1, open_high=True)
    slots = ("before",)

    def __init__(self, learning_rate: float, *, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        self.momentum = momentum

    def prepare(self, parameters: Parameters) -> None:
        """Begin at rest: one step earlier the parameters were where they are."""
        super().prepare(parameters)
        if not self.steps:
            self.state["before"][...] = parameters.vector

    def _block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        before = self.state["before"][part]
        np.subtract(w, before, out=work)
        np.copyto(before, w)
        work *= self.momentum
        w += work
        np.multiply(g, self.learning_rate, out=work)
        w -= work

    def step_size_of(self, part: slice) -> float:
        """Return ``learning_rate``."""
        return float(self.learning_rate)
