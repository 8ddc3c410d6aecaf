r"""Optimizers: arithmetic on one vector.

``update(parameters, gradients)`` changes the parameters, its own state, and nothing else. Every
rule is written once, for a block of the vector that fits into the processor's cache, and applied
block by block.

``step_size`` is what a proximal map needs: the factor that a *constant* gradient would end up being
multiplied with. For SGD with momentum ``μ`` the velocity tends to ``g/(1 - μ)``, so it is
``lr/(1 - μ)``; for RMSprop and Adam it is a vector, ``lr/(√v̂ + ε)``. With the plain learning rate
instead, the fixed point would not be a minimum. Descent is proven for plain SGD only; for the
others the fixed points are the right ones.
"""

from __future__ import annotations

import math

import numpy as np

from nnreg import kernels
from nnreg._support import hyperparameters, validation
from nnreg._support.typing import Array
from nnreg.parameters import Parameters

# MERGED DOCSTRING: iPiano: gradient descent with momentum that is proven to descend under a
# proximal map too.
#
# The momentum of :class:`nnreg.SGD` averages gradients. It goes on pushing at a weight that the
# proximal map holds at zero, and nothing guarantees that the objective goes down. Here it is the
# weights that have momentum, after the proximal map has had its say: the step is begun with ``β``
# times the last *whole* step, penalty included.
#


BLOCK = 65_536  # values: with gradient and state, some megabyte in float32

# Every so many updates, parameters and state smaller than this many times the smallest normal
# number become zero (1.6e-30 in float32, 3e-300 in float64), before they are subnormal and slow.
FLUSH_EVERY = 64
FLUSH_BELOW = 2.0**27


class Optimizer:
    """What the rules share: state vectors, the number of steps, and the walk over blocks.

    A rule names its state vectors in ``slots`` and gives ``_block``, which updates one block of the
    parameters.

    Attributes
    ----------
    steps : int
        Updates made so far.
    state : dict of str to ndarray of shape (P,)
        Made, zero, at the first update.

    Examples
    --------
    >>> import nnreg as nn
    >>> class SignDescent(nn.Optimizer):
    ...     def _block(self, w, g, part, work):
    ...         w -= self.learning_rate * np.sign(g)
    >>> p = nn.Parameters({"w": nn.Parameter((2,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 3, -4
    >>> SignDescent(0.1).update(p, g)
    >>> p.vector
    array([-0.1,  0.1])
    """

    learning_rate = hyperparameters.bounded(0)
    slots: tuple[str, ...] = ()

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.steps = 0
        self.state: dict[str, Array] = {}
        self._work: dict[str, Array] = {}

    def update(self, parameters: Parameters, gradients: Parameters) -> None:
        """Move ``parameters`` one step against ``gradients``, which stay as they are.

        Parameters
        ----------
        parameters, gradients : Parameters
            Of one network.

        Raises
        ------
        ValueError
            If the two differ in size, or from what this optimizer has been used with.
        """
        for name, given in (("parameters", parameters), ("gradients", gradients)):
            if not isinstance(given, Parameters):
                raise TypeError(f"{name} must be Parameters such as net.parameters, got {given!r}")
        if parameters.vector.shape != gradients.vector.shape:
            raise ValueError(
                f"gradients must have {parameters.vector.size} values, as the parameters, "
                f"got {gradients.vector.size}"
            )
        self.begin(parameters)
        for start in range(0, parameters.vector.size, BLOCK):
            self.update_block(parameters, gradients, start, self._work["block"])

    def begin(self, parameters: Parameters) -> None:
        """Begin an update: count it, and see that the state fits."""
        self.prepare(parameters)
        self._weights = parameters.weights.size
        self.steps += 1

    def update_block(
        self, parameters: Parameters, gradients: Parameters, start: int, work: Array
    ) -> None:
        """Update up to ``len(work)`` values from ``start`` on; each once after :meth:`begin`."""
        part = slice(start, min(start + len(work), parameters.vector.size))
        w, g = parameters.vector[part], gradients.vector[part]
        self._block(w, g, part, work[: len(w)])
        if self.steps % FLUSH_EVERY == 0:
            limit = float(np.finfo(w.dtype).tiny) * FLUSH_BELOW
            for values in (w, *(state[part] for state in self.state.values())):
                kernels.flush(values, limit, work[: len(w)])

    def prepare(self, parameters: Parameters) -> None:
        """Make the state for these parameters; refuse what an earlier state does not fit."""
        w = parameters.vector
        if "block" not in self._work:
            self._work["block"] = np.empty(min(BLOCK, w.size), w.dtype)
            self._serves = (w.size, w.dtype)
            for name in self.slots:
                self.state.setdefault(name, np.zeros_like(w))
        if self._serves != (w.size, w.dtype):
            raise ValueError(
                f"this optimizer has updated {self._serves[0]} values of {self._serves[1]}, it "
                f"cannot update {w.size} of {w.dtype}. One optimizer serves one network"
            )

    def _block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        raise NotImplementedError

    @property
    def step_size(self) -> float | Array:
        """The step that a proximal map needs; see the module's text."""
        return self.step_size_of(slice(None))

    def step_size_of(self, part: slice) -> float | Array:
        """Return :attr:`step_size` of a part of the vector; the next call may overwrite it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return hyperparameters.described(self)


class SGD(Optimizer):
    """Gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013).

    ::

        v = momentum·v + g
        w = w - learning_rate·v  # nesterov: g + momentum·v in the place of v

    Parameters
    ----------
    learning_rate : float
    momentum : float, default 0
        In [0, 1).
    nesterov : bool, default False

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((1,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 1.0
    >>> sgd = SGD(0.1, momentum=0.5)
    >>> sgd.update(p, g)
    >>> sgd.update(p, g)
    >>> p.vector.round(9)  # -0.1, then -0.15 more
    array([-0.25])
    >>> sgd.step_size
    0.2
    """

    momentum = hyperparameters.bounded(0, 1, open_high=True)

    def __init__(
        self, learning_rate: float, *, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(learning_rate)
        self.momentum = momentum
        self.nesterov = validation.flag("nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0")

    def prepare(self, parameters: Parameters) -> None:
        """Make the velocity too, once there is a momentum."""
        if self.momentum and "velocity" not in self.state:
            self.state["velocity"] = np.zeros_like(parameters.vector)
        super().prepare(parameters)

    def _block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        direction = g
        if "velocity" in self.state:
            direction = self.state["velocity"][part]
            direction *= self.momentum
            direction += g
        np.multiply(direction, self.learning_rate, out=work)
        if self.nesterov:
            work *= self.momentum
            w -= work
            np.multiply(g, self.learning_rate, out=work)
        w -= work

    def step_size_of(self, part: slice) -> float:
        """Return ``learning_rate/(1 - momentum)``."""
        return float(self.learning_rate / (1.0 - self.momentum))


class _Adaptive(Optimizer):
    """A rule whose steps are divided, parameter by parameter, by a root of past squares."""

    epsilon = hyperparameters.bounded(0, open_low=True)
    slots: tuple[str, ...] = ("square",)

    def _root(self, square: Array, out: Array) -> None:
        """Write what the rule divides by: ``√v + epsilon``, or ``√v̂ + epsilon``."""
        raise NotImplementedError

    def step_size_of(self, part: slice) -> Array:
        """Return ``learning_rate`` divided by the root."""
        if not self.steps:
            raise ValueError("step_size is known after the first update, there was none yet")
        if "step_size" not in self._work:
            self._work["step_size"] = np.empty_like(self.state["square"])
        size = self._work["step_size"][part]
        self._root(self.state["square"][part], size)
        np.divide(self.learning_rate, size, out=size)
        return size


class RMSprop(_Adaptive):
    """Gradient descent scaled by a running root mean square (Tieleman & Hinton, lecture 6e, 2012).

    ::

        v = rho·v + (1 - rho)·g²
        w = w - learning_rate·g/(√v + epsilon)

    Parameters
    ----------
    learning_rate : float, default 0.001
    rho : float, default 0.9
        In [0, 1).
    epsilon : float, default 1e-8
        Positive; outside the root, as in PyTorch. Keras puts it inside.

    Notes
    -----
    The state holds ``s = v/(1 - rho)``, whose recursion ``s = rho·s + g²`` needs one pass less.
    So a ``rho`` that is changed in mid-training weighs the past anew, by its own ``1 - rho``.

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((1,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 3.0
    >>> RMSprop(0.1, rho=0.75).update(p, g)
    >>> p.vector.round(6)  # v = 9/4: -0.1 * 3/1.5
    array([-0.2])
    """

    rho = hyperparameters.bounded(0, 1, open_high=True)

    def __init__(
        self, learning_rate: float = 1e-3, *, rho: float = 0.9, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self.rho, self.epsilon = rho, epsilon

    def _block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        square = self.state["square"][part]
        square *= self.rho
        np.multiply(g, g, out=work)
        square += work
        self._root(square, work)
        np.divide(g, work, out=work)
        work *= self.learning_rate
        w -= work

    def _root(self, square: Array, out: Array) -> None:
        np.multiply(square, 1.0 - self.rho, out=out)
        np.sqrt(out, out=out)
        out += self.epsilon


class Adam(_Adaptive):
    """Adaptive moments (Kingma & Ba, 2015, algorithm 1).

    ::

        m = beta_1·m + (1 - beta_1)·g            m̂ = m/(1 - beta_1ᵗ)
        v = beta_2·v + (1 - beta_2)·g²           v̂ = v/(1 - beta_2ᵗ)
        w = w - learning_rate·m̂/(√v̂ + epsilon)

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-8
        Positive; added to the root of the *corrected* moment, as in the paper and PyTorch. Keras
        adds its own, ``e``, to the root of the uncorrected one, which comes to
        ``epsilon = e/√(1 - beta_2ᵗ)`` here.

    Notes
    -----
    The state holds ``a = m/(1 - beta_1)`` and ``s = v/(1 - beta_2)``, whose recursions
    ``a = beta_1·a + g`` and ``s = beta_2·s + g²`` save two passes. (So a beta that is changed in
    mid-training weighs the past anew, by its own ``1 - beta``.) With
    ``c₁ = (1 - beta_1)/(1 - beta_1ᵗ)`` and ``c₂ = √((1 - beta_2)/(1 - beta_2ᵗ))`` the corrected
    moments are ``m̂ = c₁a`` and ``√v̂ = c₂√s``. Divided above and below by ``c₂``, the step is::

        w = w - (learning_rate·c₁/c₂)·a/(√s + epsilon/c₂)

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((2,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 5.0, -0.01
    >>> Adam(0.1).update(p, g)
    >>> p.vector.round(6)  # the first step is lr·sign(g)
    array([-0.1,  0.1])
    """

    beta_1 = hyperparameters.bounded(0, 1, open_high=True)
    beta_2 = hyperparameters.bounded(0, 1, open_high=True)
    slots = ("mean", "square")

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def _corrections(self) -> tuple[float, float]:
        c1 = (1.0 - self.beta_1) / (1.0 - self.beta_1**self.steps)
        c2 = math.sqrt((1.0 - self.beta_2) / (1.0 - self.beta_2**self.steps))
        return c1, c2

    def _block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        c1, c2 = self._corrections()
        mean, square = self.state["mean"][part], self.state["square"][part]
        mean *= self.beta_1
        mean += g
        square *= self.beta_2
        np.multiply(g, g, out=work)
        square += work
        np.sqrt(square, out=work)
        work += self.epsilon / c2
        np.divide(mean, work, out=work)
        work *= self.learning_rate * c1 / c2
        w -= work

    def _root(self, square: Array, out: Array) -> None:
        _, c2 = self._corrections()
        np.sqrt(square, out=out)
        out *= c2
        out += self.epsilon


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, algorithm 2), on weights only.

    ::

        w = w - learning_rate·weight_decay·w         # weights; not biases
        then Adam's step

    Unlike an L2 penalty the decay is not divided by ``√v̂``.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for :class:`Adam`.
    weight_decay : float, default 0.01
        At least 0.

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((1,), nn.ones)}, "float64")
    >>> p.vector[:] = 1.0
    >>> AdamW(0.1, weight_decay=0.5).update(p, p.like())
    >>> p.vector
    array([0.95])
    """

    weight_decay = hyperparameters.bounded(0)

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        self.weight_decay = weight_decay

    def _block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        w[: max(0, self._weights - part.start)] *= 1.0 - self.learning_rate * self.weight_decay
        super()._block(w, g, part, work)


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

    momentum = hyperparameters.bounded(0, 1, open_high=True)
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
