"""The network: a sequence of layers, and their parameters in one vector.

``forward`` computes the outputs of the layers in order, ``backward`` their derivatives in reverse
order by the chain rule. Penalties are in :mod:`nnreg.regularization`. Training mode is an argument
of ``forward``.
"""

from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np

from nnreg._support import hyperparameters, labels, memory, rows, tables, validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer, check_result, declare, initialize, name_layers
from nnreg.parameters import Parameters
from nnreg.penalties import Constraint, Penalty
from nnreg.regularization import Regularization
from nnreg.summary import NUMBERS, summarize

CHUNK_ROWS = 1024  # rows per chunk in inference
MAX_STEP = 2**62 - 1

# The buffers of a prediction of few rows are kept for the next one, because creating them takes as
# long as the products. A prediction takes the cache away, so two threads never use the same one.
FEW_ROWS = 32
_prediction_caches: WeakKeyDictionary[Network, Cache] = WeakKeyDictionary()

# Attributes that cannot be replaced, because layers and caches refer to them.
FIXED = frozenset(["layers", "parameters", "regularization", "inputs", "widths", "dtype"])

# Locked while a step is counted, so that steps of two threads have different numbers, and during a
# fork, so that it is not locked in the child. (A signal handler may fork while it is locked.)
_counting = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_counting.acquire,
        after_in_parent=_counting.release,
        after_in_child=_counting.release,
    )


class Network(memory.Copyable):
    """A multilayer perceptron.

    Parameters
    ----------
    layers : sequence of Layer
        Layers that belong to no network yet; each may occur once.
    inputs : int
        The number of inputs, D.
    penalty, constraint : Penalty and Constraint, optional
        For the weights of every layer that inherits it. May be replaced at any time.
    seed : int, default 0
        The seed of every random draw.
    dtype : {"float32", "float64"}, default "float32"
    classes : sequence of str or int, optional
        The labels of the classes, one for each output, or two for a single output. The targets in
        training are then labels, and ``predict(x, classes=True)`` returns labels.

    Attributes
    ----------
    layers : tuple of Layer
    parameters : Parameters
        All parameters, in one vector.
    regularization : Regularization
        The penalty and the constraint of each weight.
    steps, epochs : int
        Number of training passes, and of completed epochs. Masks depend on the former, the order of
        rows on the latter.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or a layer already belongs to a network.

    Notes
    -----
    Copies made by ``copy``, ``copy.deepcopy`` and ``pickle`` predict and train exactly like the
    original.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network(
    ...     [nn.Dense(3), nn.ReLU(), nn.Dense(2)], inputs=4, penalty=nn.L2(0.1), seed=0
    ... )
    >>> outputs, cache = net.forward(np.ones((5, 4)), training=True)
    >>> gradients = net.backward(np.ones((5, 2)), cache)
    >>> gradients["dense_2.bias"]
    array([5., 5.], dtype=float32)
    """

    steps = hyperparameters.Checked(validation.whole, 0, MAX_STEP)
    epochs = hyperparameters.Checked(validation.whole, 0, MAX_STEP)
    classes: Any  # labels, or None; checked when set

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        inputs: int,
        penalty: Penalty | None = None,
        constraint: Constraint | None = None,
        seed: int = 0,
        dtype: Any = "float32",
        classes: Sequence[Any] | None = None,
    ) -> None:
        self._lay_out(layers, inputs, penalty, constraint, seed, dtype)
        self.classes = classes
        self.initializers = initialize(self._named, self.parameters, self.seed)
        self._bind()

    @classmethod
    def from_vector(
        cls,
        layers: Sequence[Layer],
        vector: Array | None = None,
        *,
        inputs: int,
        penalty: Penalty | None = None,
        constraint: Constraint | None = None,
        seed: int = 0,
        dtype: Any = "float32",
        classes: Sequence[Any] | None = None,
    ) -> Self:
        """Return a network with these parameters, zeros by default; no initializer is called.

        Parameters
        ----------
        layers, inputs, penalty, constraint, seed, dtype, classes
            As in the class.
        vector : ndarray of shape (P,), optional
            All parameters, in the order of ``net.parameters.vector``.

        Raises
        ------
        ValueError, TypeError
            As in the class, or if the vector has another size or dtype. Raised before memory is
            allocated.

        Examples
        --------
        >>> import nnreg as nn
        >>> net = nn.Network.from_vector(
        ...     [nn.Dense(1)], np.array([2.0, 1.0]), inputs=1, dtype="float64"
        ... )
        >>> net.predict([[3.0]])
        array([[7.]])
        """
        new = object.__new__(cls)
        new._lay_out(layers, inputs, penalty, constraint, seed, dtype, vector)
        new.classes = classes
        new.initializers = dict.fromkeys(new.parameters, "given")
        new._bind()
        return new

    def _lay_out(
        self,
        layers: Sequence[Layer],
        inputs: int,
        penalty: Penalty | None,
        constraint: Constraint | None,
        seed: int,
        dtype: Any,
        vector: Array | None = None,
    ) -> None:
        """Check the layers and declare their parameters, without changing the layers."""
        self.identity = os.urandom(16)
        self.inputs = validation.whole("inputs", inputs, 1)
        self._seed = validation.whole("seed", seed)
        self.dtype = validation.float_dtype(dtype, "float32", "float64")
        self.steps = self.epochs = 0
        named = name_layers(layers)
        self.layers, self._named = tuple(layers), named
        self.widths, declared = declare(named, self.inputs)
        size = sum(math.prod(parameter.shape) for parameter in declared.values())
        if vector is not None and (vector.shape != (size,) or vector.dtype != self.dtype):
            raise ValueError(
                f"vector must have shape ({size},) and dtype {self.dtype}, "
                f"got {vector.shape} and {vector.dtype}"
            )
        self.parameters = Parameters(declared, self.dtype)
        if vector is not None:
            self.parameters.vector = vector
        self.regularization = Regularization(named, self.parameters, penalty, constraint)
        self._outputs = list(zip(layers, named, self.widths[1:], strict=True))
        self._trainable = [i for i, name in enumerate(named) if self.parameters.of(name)]
        self._first_trainable = min(self._trainable, default=len(self.layers))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        self._bind()

    def _bind(self) -> None:
        """Bind each layer to its name, its views of the vector, and the seed."""
        for index, (name, layer) in enumerate(self._named.items()):
            layer.bind(name, self.parameters.of(name), self.seed, index)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and name in self.__dict__:
            raise AttributeError(
                f"net.{name} cannot be replaced; to change parameters, assign values to "
                'net.parameters.vector or net.parameters["dense_1.weight"]'
            )
        if name == "classes" and value is not None:
            value = labels.check_classes("classes", value, self.widths[-1])
        super().__setattr__(name, value)

    @property
    def seed(self) -> int:
        """The seed of every random draw."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = validation.whole("seed", seed)
        self.identity = os.urandom(16)  # invalidates caches that were filled with the old seed
        self._bind()

    # --- Forward and backward ---------------------------------------------------------------------

    def forward(
        self, x: Any, *, training: bool = False, cache: Cache | None = None, step: int | None = None
    ) -> tuple[Array, Cache]:
        """Return the raw outputs (N, M), and the cache for a backward pass.

        Parameters
        ----------
        x : array_like of shape (N, D)
            Finite numbers; cast to the network's dtype.
        training : bool, default False
            Whether dropout is active and a backward pass may follow. Uses step number ``steps``
            and increments it.
        cache : Cache, optional
            The cache of an earlier pass. Its buffers are reused, so the outputs of that pass are
            overwritten.
        step : int, optional
            In training mode: repeat the masks of this step; ``steps`` does not change.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        training = validation.flag("training", training)
        values = validation.cast("x", validation.matrix("x", x, self.inputs), self.dtype)
        cache = Cache(self.dtype) if cache is None else cache
        validation.instance("cache", cache, Cache, "a Cache")
        if cache.dtype != self.dtype:
            raise ValueError(f"cache must have dtype {self.dtype}, got {cache.dtype}")
        if step is not None:
            step = validation.whole("step", step, 0, 2**64 - 1)  # the generator's counter
            if not training:
                raise ValueError("step repeats a training step, so it needs training=True")
        elif training:
            step = self.begin_step()
        cache.bind(self.identity)
        outputs = self.run_forward(values, cache, training=training, step=step or 0)
        if np.may_share_memory(outputs, values):  # values may be the caller's array
            outputs = outputs.copy()
        return outputs, cache

    def begin_step(self) -> int:
        """Return the number of a new training step, and increment ``steps``; thread-safe."""
        with _counting:
            step: int = self.steps
            self.__dict__["steps"] = step + 1  # without the checks of an assignment
        return step

    def run_forward(
        self, x: Array, cache: Cache, *, training: bool, step: int = 0, first_row: int = 0
    ) -> Array:
        """Run the forward pass without checks.

        ``x`` must have the network's dtype, and ``steps`` does not change.
        """
        cache.reset(training, step, first_row)
        cache.rows = rows = len(x)
        dtype, layer_caches = cache.dtype, cache.layers
        for layer, name, width in self._outputs:
            layer_cache = layer_caches.get(name) or cache[name]
            layer_cache.reset(training, step, first_row)
            x = layer.forward(x, layer_cache)
            if type(x) is not np.ndarray or x.shape != (rows, width) or x.dtype is not dtype:
                check_result(layer, "forward", x, (rows, width), dtype)
            if not training:
                layer_cache.clear()
        return x

    def backward(self, doutputs: Any, cache: Cache) -> Parameters:
        """Return the gradient of the *data* loss with respect to every parameter.

        Parameters
        ----------
        doutputs : array_like of shape (N, M)
            The derivative of the loss with respect to the outputs.
        cache : Cache
            The cache of a forward pass in training mode. It contains the result, which the next
            backward pass with this cache overwrites.

        Raises
        ------
        ValueError, TypeError
            If the cache is from inference mode or another network, or if ``doutputs`` does not have
            the shape of the outputs.
        """
        validation.instance("cache", cache, Cache, "the Cache that forward returned")
        if not cache.training:
            raise ValueError(
                "backward needs the cache of a pass in training mode: net.forward(x, training=True)"
            )
        if cache.owner != self.identity:
            raise ValueError("cache must come from this network's forward, got another network's")
        doutputs = validation.matrix("doutputs", doutputs, self.widths[-1])
        validation.same_rows("doutputs", doutputs, "the outputs", cache.rows)
        self.run_backward(validation.cast("doutputs", doutputs, self.dtype), cache)
        if cache.gradients is None:
            cache.gradients = self.parameters.like()
        for layer in self.trainable_layers():
            self.run_gradient(layer, cache, cache.gradients)
        return cache.gradients

    def run_backward(self, dy: Array, cache: Cache, *, inputs: bool = False) -> Array:
        """Run the backward pass down to the first layer with parameters.

        Each layer's ``dy`` is stored in its cache. With ``inputs=True`` the pass continues to the
        first layer, and the derivative with respect to the network's inputs is returned.
        """
        last = 0 if inputs else self._first_trainable
        rows, dtype, layer_caches = cache.rows, cache.dtype, cache.layers
        for index in range(len(self.layers) - 1, last - 1, -1):
            layer, width = self.layers[index], self.widths[index]
            layer_cache = layer_caches[layer.name]
            layer_cache.dy = dy
            if inputs or index > last:
                dy = layer.backward(dy, layer_cache)
                if type(dy) is not np.ndarray or dy.shape != (rows, width) or dy.dtype is not dtype:
                    check_result(layer, "backward", dy, (rows, width), dtype)
        return dy

    def run_gradient(self, layer: Layer, cache: Cache, gradients: Parameters) -> None:
        """Overwrite one layer's part of ``gradients``."""
        layer_cache = cache[layer.name]
        layer.gradient(layer_cache.dy, layer_cache, gradients.of(layer.name))

    def trainable_layers(self) -> Iterator[Layer]:
        """Yield the layers that have parameters, in order."""
        return (self.layers[index] for index in self._trainable)

    # --- Prediction -------------------------------------------------------------------------------

    def predict(self, x: Any, *, classes: bool = False) -> Array:
        """Return the raw outputs (N, M) in inference mode: without dropout and without a cache.

        Parameters
        ----------
        x : array_like of shape (N, D), or iterable of batches
            A batch is an array, or a tuple that begins with one.
        classes : bool, default False
            If True, return the label of the largest output of each row, (N,), from
            ``net.classes``; with a single output, the second label where it is positive.

        Examples
        --------
        >>> import nnreg as nn
        >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2)
        >>> net.predict([[1.0, 2.0]])
        array([[3.]], dtype=float32)
        >>> net.classes = ["no", "yes"]
        >>> net.predict([[1.0, 2.0], [-1.0, 0.0]], classes=True)
        array(['yes', 'no'], dtype='<U3')
        """
        names = (
            labels.require_classes(self.classes) if validation.flag("classes", classes) else None
        )
        parts = [self.run_predict(part) for part in rows.read_rows("x", x, self.inputs)]
        outputs = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return outputs if names is None else labels.choose_labels(outputs, names)

    def run_predict(self, x: Any) -> Array:
        """Return the raw outputs in inference mode, without checks."""
        outputs = np.empty((len(x), self.widths[-1]), self.dtype)
        cache = _prediction_caches.pop(self, None) or Cache(self.dtype)
        for part, chunk in self.row_chunks(x):
            outputs[part] = self.run_forward(chunk, cache, training=False)
        if len(x) <= FEW_ROWS:
            _prediction_caches[self] = cache
        return outputs

    def row_chunks(self, x: Any) -> Iterator[tuple[slice, Array]]:
        """Yield ``(part, x[part])`` in the network's dtype, 1,024 rows at a time.

        All rows at once if a layer's rows depend on each other.
        """
        size = CHUNK_ROWS if all(layer.independent_rows for layer in self.layers) else len(x)
        for start in range(0, len(x), size):
            chunk = x[part := slice(start, start + size)]
            if chunk.dtype != self.dtype:
                chunk = validation.cast("x", chunk, self.dtype, start)
            yield part, chunk

    @property
    def penalty(self) -> Penalty | None:
        """The penalty on the weights of every layer that inherits it."""
        return self.regularization.penalty  # type: ignore[no-any-return]  # checked when set

    @penalty.setter
    def penalty(self, penalty: Penalty | None) -> None:
        self.regularization.penalty = penalty

    @property
    def constraint(self) -> Constraint | None:
        """The constraint on the weights of every layer that inherits it."""
        return self.regularization.constraint  # type: ignore[no-any-return]  # checked when set

    @constraint.setter
    def constraint(self, constraint: Constraint | None) -> None:
        self.regularization.constraint = constraint

    def penalty_value(self) -> Any:
        """Return ``R(w)``, the sum over all penalized weights, as a Python number."""
        return self.regularization.value()

    def add_penalty_gradient(self, gradients: Parameters) -> None:
        """Add ``∂R/∂w`` to the result of :meth:`backward`; a proximal penalty adds nothing.

        Examples
        --------
        >>> import nnreg as nn
        >>> net = nn.Network([nn.Dense(2, initializer=nn.ones)], inputs=1, penalty=nn.L2(0.5))
        >>> gradients = net.parameters.like()
        >>> net.add_penalty_gradient(gradients)
        >>> gradients.vector
        array([0.5, 0.5, 0. , 0. ], dtype=float32)
        """
        validation.instance("gradients", gradients, Parameters, "what net.backward returned")
        if gradients.vector.size != self.parameters.vector.size:
            raise ValueError(f"gradients must be those of this network, got {gradients!r}")
        self.regularization.add_gradient(gradients)

    def apply_proximal(self, step_size: float | Array) -> None:
        """Apply the proximal maps after an optimizer's step, then the constraints.

        ``step_size`` is ``optimizer.step_size``: a number, or an array of shape (P,). Without a
        proximal penalty or a constraint, the parameters do not change.
        """
        if not isinstance(step_size, np.ndarray):
            step_size = validation.number("step_size", step_size, 0)
        elif step_size.shape != self.parameters.vector.shape:
            raise ValueError(
                f"step_size must be a number or have shape {self.parameters.vector.shape}, "
                f"got {step_size.shape}"
            )
        self.regularization.apply_proximal(step_size)

    def constrain(self) -> None:
        """Project the weights onto their constraints.

        ``apply_proximal`` does this after every step; call this method before the first one.

        Examples
        --------
        >>> import nnreg as nn
        >>> layers, constraint = [nn.Dense(1, initializer=nn.ones)], nn.MaxNorm(1.0)
        >>> net = nn.Network(layers, inputs=4, constraint=constraint)
        >>> net.constrain()
        >>> net.parameters.weights
        array([0.5, 0.5, 0.5, 0.5], dtype=float32)
        """
        self.regularization.constrain()

    def copy(self, dtype: Any = None) -> Self:
        """Return an independent network with the same layers, values and counters.

        It is cast to ``dtype`` unless that is None. Layers that share a penalty share its copy.
        """
        if dtype is not None:  # complex128 is for the gradient check
            dtype = validation.float_dtype(dtype, "float32", "float64", "complex128")
        # The copy's layers and rules refer to these parameters instead of the old ones.
        parameters = self.parameters.copy(dtype)
        new = copy.deepcopy(self, {id(self.parameters): parameters})
        new.__dict__.update(dtype=parameters.vector.dtype, identity=os.urandom(16))
        return new

    __copy__ = copy

    def summary(self) -> None:
        """Print the layers: shapes, parameters, initial values, and each parameter's penalty."""
        head, rows, remarks = summarize(self)
        print(tables.text_table(head, rows, right=NUMBERS), *remarks, sep="\n")

    def _repr_html_(self) -> str:
        head, rows, remarks = summarize(self)
        return tables.html_table(head, rows, right=NUMBERS) + tables.paragraphs(remarks)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        classes = "" if self.classes is None else f", classes={self.classes!r}"
        return (
            f"Network([{layers}], inputs={self.inputs}, penalty={self.penalty!r}, "
            f"constraint={self.constraint!r}, seed={self.seed}, dtype='{self.dtype}'{classes})"
        )
