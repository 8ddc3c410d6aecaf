r"""Optimizers: updates of one parameter vector.

``update(parameters, gradients)`` modifies only the parameters and the optimizer's state. Every
rule is written once, for a block of the vector that fits into the processor's cache.

``step_size`` is the step size of a proximal map: the limit of the factor by which a *constant*
gradient is multiplied. For SGD with momentum ``μ`` the velocity tends to ``g/(1 - μ)``, so it is
``lr/(1 - μ)``; for RMSprop and Adam it is a vector, ``lr/(√v̂ + ε)``. With the plain learning rate
instead, the fixed point would not be a minimum. With full batches and a learning rate of at most
``1/L``, ``L`` the Lipschitz constant of the gradient, every step of SGD without momentum lowers the
objective; :class:`IPiano` has a similar guarantee. For the other rules only the fixed points are
correct.

Gradient clipping is an option of every rule. ``clip_norm=c`` multiplies the whole gradient by
``min(1, c/‖g‖)`` (Pascanu, Mikolov & Bengio, 2013, algorithm 1), then ``clip_value=c`` limits each
value to ``[-c, c]``. ``g`` is the gradient passed to ``update``, penalties included. A proximal map
is applied after the step and is not clipped: its ``step_size`` does not change. While the gradient
is clipped, the effect of a proximal penalty relative to the data loss is therefore larger than its
strength, and a limit so small that it still clips at the minimum changes the minimum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg import kernels
from nnreg._support import memory, validation
from nnreg._support.hyperparameters import Checked, Configurable, check_dtype
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.kernels import axpby
from nnreg.parameters import Parameters

BLOCK = 65_536  # values per block: with gradient and state, a few megabytes in float32

# Every FLUSH_EVERY updates, parameters and state below FLUSH_BELOW times the smallest normal number
# (1.6e-30 in float32, 3e-300 in float64) become zero, because subnormal numbers are slow.
FLUSH_EVERY = 64
FLUSH_BELOW = 2.0**27


class Optimizer(Configurable):
    """Base class of optimizers: state vectors, the number of steps, clipping, and the blocks.

    A subclass lists its state vectors in ``state_names`` and defines :meth:`update_block`.

    Parameters
    ----------
    learning_rate : float
        At least 0; may be changed at any time.
    clip_norm : float, optional
        Largest Euclidean norm of the whole gradient.
    clip_value : float, optional
        Largest absolute value in the gradient.

    Attributes
    ----------
    steps : int
        Number of updates.
    state : dict of str to ndarray of shape (P,)
        Created at the first update, with zeros.

    Notes
    -----
    An optimizer belongs to one network: after the first update, the parameters of another one raise
    an error. Copies of the network, pickled ones included, are the same network in this sense, and
    one that was loaded from a file may continue with the optimizer. :meth:`reset` resets it.

    Examples
    --------
    >>> import nnreg as nn
    >>> class SignDescent(nn.Optimizer):
    ...     def update_block(self, w, g, part, work):
    ...         w -= self.learning_rate * np.sign(g)
    >>> p = nn.Parameters({"w": nn.Parameter((2,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 3, -4
    >>> SignDescent(0.1).update(p, g)
    >>> p.vector
    array([-0.1,  0.1])
    """

    learning_rate = Checked(validation.number, 0)
    clip_norm = Checked(validation.number, 0, open_low=True, optional=True)
    clip_value = Checked(validation.number, 0, open_low=True, optional=True)
    state_names: tuple[str, ...] = ()
    _saved = frozenset(["steps", "state", "_network", "_scale", "_weights", "_memory"])

    def __init__(
        self,
        learning_rate: float,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        if isinstance(learning_rate, Parameters):
            raise TypeError(
                "learning_rate must be a number, got parameters: pass them to "
                "update(net.parameters, gradients) instead"
            )
        self.learning_rate = learning_rate
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.reset()

    def reset(self) -> None:
        """Reset the state, the number of steps and the network; keep the hyperparameters."""
        self.steps = 0
        self.state: dict[str, Array] = {}
        self._network: Any = None
        self._scale = 1.0
        self._memory = Cache()

    def update(self, parameters: Parameters, gradients: Parameters) -> None:
        """Move ``parameters`` one step against ``gradients``, which are not modified.

        Parameters
        ----------
        parameters, gradients : Parameters
            Of one network.

        Raises
        ------
        TypeError
            If one of them is not a Parameters object.
        ValueError
            If they differ in names, shapes or dtype; if this optimizer has updated another network;
            if a hyperparameter would be zero or infinite in their dtype.
        """
        for name, value in (("parameters", parameters), ("gradients", gradients)):
            validation.instance(name, value, Parameters, "Parameters such as net.parameters")
        layouts = [
            (p.vector.dtype, [(name, view.shape) for name, view in p.items()])
            for p in (parameters, gradients)
        ]
        if layouts[0] != layouts[1]:
            raise ValueError(
                "gradients must have the names, shapes and dtype of the parameters, "
                f"{parameters!r}, got {gradients!r}"
            )
        self.begin(parameters, gradients)
        size = parameters.vector.size
        work = self._memory.array("work", (min(BLOCK, size),), parameters.vector.dtype)
        for start in range(0, size, BLOCK):
            part = slice(start, min(start + BLOCK, size))
            self.update_slice(parameters, gradients, part, work)

    def begin(self, parameters: Parameters, gradients: Parameters) -> None:
        """Begin an update: check the network, count the step, compute the gradient's norm.

        With ``clip_norm`` the whole gradient is needed here, penalties included; otherwise it is
        not used.
        """
        self.prepare(parameters)
        self._weights = parameters.weights.size
        self._scale = 1.0
        if self.clip_norm is not None:
            g = gradients.vector
            largest = float(max(g.max(initial=0), -g.min(initial=0))) or 1.0
            norm = largest * float(np.linalg.norm(g / largest))  # the squares may overflow
            self._scale = self.clip_norm / max(norm, self.clip_norm)
        self.steps += 1

    def prepare(self, parameters: Parameters) -> None:
        """Create the state for these parameters.

        Raises
        ------
        ValueError
            If this optimizer has updated another network, or if a hyperparameter would be zero or
            infinite in their dtype.
        """
        w = parameters.vector
        if self._network is None:
            check_dtype(w.dtype, self)
            self._network = w.size, w.dtype, parameters.origin
        if parameters.origin is None:  # loaded from a file, as the optimizer may be
            parameters.origin = self._network[2]
        elif self._network[2] is None:
            self._network = (*self._network[:2], parameters.origin)
        if (w.size, w.dtype, parameters.origin) != self._network:
            size, dtype, _ = self._network
            raise ValueError(
                f"this optimizer has updated {size} values of {dtype}, it cannot update {w.size} "
                f"of {w.dtype}. An optimizer belongs to one network, and this is another network: "
                "create another optimizer, or call reset()"
            )
        for name in self.state_names:
            if name not in self.state:
                self.state[name] = memory.zeros_like(w)

    def restore(self, steps: int, state: Mapping[str, Array], vector: Array) -> None:
        """Continue from a saved state.

        Parameters
        ----------
        steps : int
        state : mapping of str to ndarray of shape (P,)
            Copied.
        vector : ndarray of shape (P,)
            The parameters that the state belongs to.

        Raises
        ------
        ValueError
            If an array is missing, or is not finite or not of the vector's shape and dtype.
        """
        steps = validation.whole("steps", steps, 0)
        if missing := sorted(set(self.state_names if steps else ()) - state.keys()):
            raise ValueError(f"state must have {', '.join(missing)}, got {list(state)}")
        for name, values in state.items():
            if (values.shape, values.dtype) != (vector.shape, vector.dtype):
                raise ValueError(
                    f"state[{name!r}] must have shape {vector.shape} and dtype {vector.dtype}, "
                    f"got {values.shape} and {values.dtype}"
                )
            validation.finite(f"state[{name!r}]", values)
        self.reset()
        self.steps = steps
        self.state = {name: memory.zeros_like(values) for name, values in state.items()}
        for name, values in state.items():
            self.state[name][...] = values
        self._network = vector.size, vector.dtype, None

    def update_slice(
        self, parameters: Parameters, gradients: Parameters, part: slice, work: Array
    ) -> None:
        """Update one part of the vector; each part once after :meth:`begin`.

        ``work`` is a working array of at least the same size.
        """
        w, g = parameters.vector[part], gradients.vector[part]
        work = work[: w.size]
        if self._scale != 1.0 or self.clip_value is not None:
            g = np.multiply(g, self._scale, out=self._memory.array("clipped", g.shape, g.dtype))
            if self.clip_value is not None:
                np.clip(g, -self.clip_value, self.clip_value, out=g)
        self.update_block(w, g, part, work)
        if self.steps % FLUSH_EVERY == 0:
            limit = float(np.finfo(w.dtype).tiny) * FLUSH_BELOW
            for values in (w, *(state[part] for state in self.state.values())):
                kernels.flush_denormals(values, limit, work)

    def update_block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        """Update a block of parameters in place: the rule itself.

        Parameters
        ----------
        w, g : ndarray of shape (n,)
            Parameters, and the gradient, which must not be modified.
        part : slice
            Their position in the vector; ``self.state[name][part]`` is their state.
        work : ndarray of shape (n,)
            A working array for intermediate results.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define update_block(w, g, part, work)"
        )

    @property
    def step_size(self) -> float | Array:
        """The step size of a proximal map, a number or an array of shape (P,)."""
        return self.step_size_of(slice(None))

    def step_size_of(self, part: slice) -> float | Array:
        """Return :attr:`step_size` of a part of the vector; the next call may overwrite it."""
        raise NotImplementedError(f"{type(self).__name__} must define step_size_of(part)")


class SGD(Optimizer):
    """Gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013).

    ::

        v = momentum·v + g
        w = w - learning_rate·v  # nesterov: g + momentum·v instead of v

    Parameters
    ----------
    learning_rate : float
    momentum : float, default 0
        In [0, 1).
    nesterov : bool, default False
    clip_norm, clip_value : float, optional
        As for :class:`Optimizer`.

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

    momentum = Checked(validation.number, 0, 1, open_high=True)
    nesterov = Checked(validation.flag)

    def __init__(
        self,
        learning_rate: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm=clip_norm, clip_value=clip_value)
        self.momentum, self.nesterov = momentum, nesterov
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0")

    def prepare(self, parameters: Parameters) -> None:
        """Create the velocity when the momentum is not zero."""
        super().prepare(parameters)
        if self.momentum and "velocity" not in self.state:
            self.state["velocity"] = memory.zeros_like(parameters.vector)

    def update_block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        """Update a block in place."""
        rate, direction = self.learning_rate, g
        if "velocity" in self.state:
            direction = self.state["velocity"][part]
            axpby(1.0, g, self.momentum, direction)
        if self.nesterov:
            np.multiply(direction, rate, out=work)
            axpby(-self.momentum, work, 1.0, w, work)
            direction = g
        axpby(-rate, direction, 1.0, w, work)

    def step_size_of(self, part: slice) -> float:
        """Return ``learning_rate/(1 - momentum)``."""
        return float(self.learning_rate / (1.0 - self.momentum))


class _Adaptive(Optimizer):
    """A rule that divides each step by the root of a mean of past squared gradients."""

    epsilon = Checked(validation.number, 0, open_low=True)
    state_names: tuple[str, ...] = ("mean_square",)

    def _correction(self) -> float:
        """Return the divisor of ``mean_square`` that corrects its bias."""
        return 1.0

    def step_size_of(self, part: slice) -> Array:
        """Return ``learning_rate/(√v̂ + epsilon)``."""
        if not self.steps:
            raise ValueError("step_size is known only after the first update")
        square = self.state["mean_square"]
        size = self._memory.array("step_size", square.shape, square.dtype)[part]
        np.sqrt(square[part], out=size)
        size *= 1.0 / math.sqrt(self._correction())
        size += self.epsilon
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
    clip_norm, clip_value : float, optional
        As for :class:`Optimizer`.

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

    rho = Checked(validation.number, 0, 1, open_high=True)

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm=clip_norm, clip_value=clip_value)
        self.rho, self.epsilon = rho, epsilon

    def update_block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        """Update a block in place."""
        square = self.state["mean_square"][part]
        axpby(1.0 - self.rho, np.multiply(g, g, out=work), self.rho, square, work)
        np.sqrt(square, out=work)
        work += self.epsilon
        np.divide(g, work, out=work)
        axpby(-self.learning_rate, work, 1.0, w, work)


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
        adds its value ``e`` to the root of the uncorrected one, which corresponds to
        ``epsilon = e/√(1 - beta_2ᵗ)`` here.
    clip_norm, clip_value : float, optional
        As for :class:`Optimizer`.

    Notes
    -----
    The corrections are scalars, so they are applied to scalars (the paper, end of section 2): with
    ``c = √(1 - beta_2ᵗ)``, the last line above and below multiplied by ``c`` is::

        w = w - (learning_rate·c/(1 - beta_1ᵗ))·m/(√v + c·epsilon)

    ``state["mean"]`` is ``m``, ``state["mean_square"]`` is ``v``.

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

    beta_1 = Checked(validation.number, 0, 1, open_high=True)
    beta_2 = Checked(validation.number, 0, 1, open_high=True)
    state_names = ("mean", "mean_square")

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm=clip_norm, clip_value=clip_value)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def _correction(self) -> float:
        return 1.0 - float(self.beta_2) ** self.steps

    def update_block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        """Update a block in place."""
        mean, square = self.state["mean"][part], self.state["mean_square"][part]
        c = math.sqrt(self._correction())
        axpby(1.0 - self.beta_1, g, self.beta_1, mean, work)
        axpby(1.0 - self.beta_2, np.multiply(g, g, out=work), self.beta_2, square, work)
        np.sqrt(square, out=work)
        work += c * self.epsilon
        np.divide(mean, work, out=work)
        axpby(-self.learning_rate * c / (1.0 - self.beta_1**self.steps), work, 1.0, w, work)


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
    clip_norm, clip_value : float, optional
        As for :class:`Optimizer`.

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((1,), nn.ones)}, "float64")
    >>> p.vector[:] = 1.0
    >>> AdamW(0.1, weight_decay=0.5).update(p, p.like())
    >>> p.vector
    array([0.95])
    """

    weight_decay = Checked(validation.number, 0)

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        self.weight_decay = weight_decay

    def update_block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        """Update a block in place."""
        w[: max(0, self._weights - part.start)] *= 1.0 - self.learning_rate * self.weight_decay
        super().update_block(w, g, part, work)


class IPiano(Optimizer):
    """Inertial proximal gradient descent (Ochs, Chen, Brox & Pock, 2014).

    ::

        w = prox(w - learning_rate·g + momentum·(w - w_before))

    where ``w_before`` is ``w`` one step earlier, after the proximal map.

    Parameters
    ----------
    learning_rate : float
    momentum : float, default 0.9
        In [0, 1).
    clip_norm, clip_value : float, optional
        As for :class:`Optimizer`.

    Notes
    -----
    The momentum of :class:`SGD` averages gradients. It continues to act on a weight that the
    proximal map sets to zero, and the objective need not decrease. Here momentum is applied to the
    full previous step, proximal map included.

    Descent is proven for full batches, a data loss whose gradient is Lipschitz continuous with
    constant ``L``, a convex penalty and a learning rate below ``2(1 - momentum)/L``: for some
    positive ``c``, ``total + c·‖w - w_before‖²`` decreases with every step, and bounded parameters
    converge to a stationary point. Without a proximal map, and with constant
    hyperparameters, it is :class:`SGD` with momentum.

    Examples
    --------
    >>> import nnreg as nn
    >>> p = nn.Parameters({"w": nn.Parameter((1,), nn.zeros)}, "float64")
    >>> g = p.like()
    >>> g.vector[:] = 1.0
    >>> optimizer = IPiano(0.1, momentum=0.5)
    >>> optimizer.update(p, g)
    >>> optimizer.update(p, g)
    >>> p.vector.round(9)  # -0.1, then -0.1 and half of the previous step
    array([-0.25])
    >>> optimizer.step_size
    0.1
    """

    momentum = Checked(validation.number, 0, 1, open_high=True)
    state_names = ("before",)

    def __init__(
        self,
        learning_rate: float,
        *,
        momentum: float = 0.9,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm=clip_norm, clip_value=clip_value)
        self.momentum = momentum

    def prepare(self, parameters: Parameters) -> None:
        """Set ``w_before`` to ``w`` before the first step."""
        super().prepare(parameters)
        if not self.steps:
            self.state["before"][...] = parameters.vector

    def update_block(self, w: Array, g: Array, part: slice, work: Array) -> None:
        """Update a block in place."""
        before = self.state["before"][part]
        np.subtract(w, before, out=work)
        np.copyto(before, w)
        axpby(self.momentum, work, 1.0, w, work)
        axpby(-self.learning_rate, g, 1.0, w, work)

    def step_size_of(self, part: slice) -> float:
        """Return ``learning_rate``."""
        return float(self.learning_rate)
