"""The network: layers in a row, and their parameters in one vector.

``forward`` and ``backward`` are the chain rule written out: values go up through the layers,
derivatives come down; penalties are in :mod:`nnreg.regularization`. There is no training switch
to forget: training mode exists only inside a call that asks for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnreg import random
from nnreg._support import tables, validation
from nnreg._support.typing import Array
from nnreg.cache import Cache
from nnreg.layers.base import Layer
from nnreg.parameters import Parameters
from nnreg.penalties import Constraint, Penalty
from nnreg.regularization import Objective

if TYPE_CHECKING:
    pass

# MERGED DOCSTRING: A network in words: layers, shapes, parameters, initial values, penalties.


PREDICT_ROWS = 1024


class Network(Objective):
    """A multilayer perceptron.

    Parameters
    ----------
    layers : sequence of Layer
        New ones: a layer belongs to one network and one place.
    inputs : int
        The number of inputs, D.
    penalty, constraint : Penalty and Constraint, optional
        On the weights of every layer that does not say otherwise. May be replaced at any time.
    seed : int, default 0
        All that the network ever draws is a function of it.
    dtype : {"float32", "float64"}, default "float32"

    Attributes
    ----------
    layers : tuple of Layer
    parameters : Parameters
        All values, in one vector.
    steps, epochs : int
        Training passes begun, and epochs finished. Masks depend on the one, the order of rows on
        the other.

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

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        inputs: int,
        penalty: Penalty | None = None,
        constraint: Constraint | None = None,
        seed: int = 0,
        dtype: Any = "float32",
    ) -> None:
        if isinstance(layers, Layer) or not isinstance(layers, Sequence):
            raise TypeError(f"layers must be a list of layers, got {type(layers).__name__}")
        self.penalty, self.constraint = penalty, constraint
        self._build(
            layers,
            validation.whole("inputs", inputs, 1),
            validation.whole("seed", seed),
            _dtype(dtype, "float32", "float64"),
        )

    def _build(self, layers: Sequence[Layer], inputs: int, seed: int, dtype: np.dtype[Any]) -> None:
        """Name the layers, lay out the vector, draw the initial values, and only then bind."""
        if not layers:
            raise ValueError("layers must not be empty")
        counts: dict[str, int] = {}
        names: list[str] = []
        self.widths = [inputs]
        declared = {}
        for place, layer in enumerate(layers):
            validation.instance(f"layers[{place}]", layer, Layer, "a Layer")
            if layer._bound is not None or any(layer is other for other in layers[:place]):
                where = layer.name or f"layers[{place}]"
                raise ValueError(
                    f"{where} is in a network already; a layer has one place, make another"
                )
            kind = type(layer).__name__.lower()
            counts[kind] = counts.get(kind, 0) + 1
            names.append(f"{kind}_{counts[kind]}")
            for own_name, parameter in layer.parameters(self.widths[-1]).items():
                if not own_name.isidentifier():
                    raise ValueError(
                        f"{kind} cannot call a parameter {own_name!r}: it becomes an attribute, "
                        "so it must be a Python name"
                    )
                if hasattr(type(layer), own_name):
                    raise ValueError(
                        f"{kind} cannot call a parameter {own_name!r}: "
                        "its class has an attribute of that name"
                    )
                declared[f"{names[-1]}.{own_name}"] = parameter
            self.widths.append(layer.outputs(self.widths[-1]))
        self.inputs, self.seed, self.dtype = inputs, seed, dtype
        self.steps = self.epochs = 0
        self.layers = tuple(layers)
        self.parameters = Parameters(declared, dtype)
        self.initializers: dict[str, str] = {}
        self._trainable = [i for i, name in enumerate(names) if self.parameters.of(name)]
        self._first = self._trainable[0] if self._trainable else len(self.layers)
        self._initialize(names)
        for place, (layer, name) in enumerate(zip(layers, names, strict=True)):
            layer.bind(name, self.parameters.of(name), seed, place)

    def _initialize(self, names: list[str]) -> None:
        for count, place in enumerate(self._trainable):
            following = (type(later).initializer_before for later in self.layers[place + 1 :])
            default = next((i for i in following if i is not None), Layer.initializer_before)
            rng = random.generator(self.seed, "initial", count)
            for own_name, view in self.parameters.of(names[place]).items():
                name = f"{names[place]}.{own_name}"
                initializer = self.parameters.declared[name].initializer or default
                assert initializer is not None
                values = validation.numeric(f"initial {name}", initializer(view.shape, rng))
                validation.finite(f"initial {name}", values)
                if values.shape != view.shape:
                    raise ValueError(
                        f"the initializer of {name} must return shape {view.shape}, "
                        f"got {values.shape}"
                    )
                view[...] = values
                self.initializers[name] = getattr(initializer, "__name__", repr(initializer))

    # --- Forward and backward ---------------------------------------------------------------------

    def forward(
        self, x: Any, *, training: bool = False, cache: Cache | None = None, step: int | None = None
    ) -> tuple[Array, Cache]:
        """Return the raw outputs (N, M), and the cache that a backward pass needs.

        Parameters
        ----------
        x : array_like of shape (N, D)
            Finite numbers; cast to the network's dtype.
        training : bool, default False
            Whether dropout is active and a backward pass may follow. Takes the number ``steps``,
            and counts it.
        cache : Cache, optional
            One that an earlier pass returned. Its buffers are used again, so what that pass
            returned is overwritten.
        step : int, optional
            In training mode: replay this step's masks, counting nothing.

        Raises
        ------
        ValueError, TypeError
            If ``x`` is not such an array.
        """
        x = validation.cast("x", validation.matrix("x", x, self.inputs), self.dtype)
        if cache is None:
            cache = Cache(self.dtype)
        elif not isinstance(cache, Cache):
            raise TypeError(f"cache must be a Cache, got {cache!r}")
        elif cache.dtype != self.dtype:
            raise ValueError(f"cache must be one of dtype {self.dtype}, got {cache.dtype}")
        cache.bind(self)
        if step is not None:
            step = validation.whole("step", step)
            if not training:
                raise ValueError("step replays a training step, so it needs training=True")
        elif training:
            step = self.steps
            self.steps += 1
        return self.run_forward(x, cache, training=training, step=step or 0), cache

    def run_forward(
        self, x: Array, cache: Cache, *, training: bool, step: int = 0, first_row: int = 0
    ) -> Array:
        """Do what :meth:`forward` does, inside the door.

        ``x`` is of the network's dtype already, and nothing is counted.
        """
        cache.reset(training=training, step=step, first_row=first_row)
        rows = len(x)
        for layer, width in zip(self.layers, self.widths[1:], strict=True):
            own = cache[layer.name]
            own.reset(training=training, step=step, first_row=first_row)
            x = layer.forward(x, own)
            _fits(layer, "forward", x, (rows, width), cache.dtype)
            if not training:
                own.clear()
        cache.rows = rows
        return x

    def backward(self, doutputs: Any, cache: Cache) -> Parameters:
        """Return the gradient of the *data* loss by every parameter.

        Parameters
        ----------
        doutputs : array_like of shape (N, M)
            The derivative of the loss by the outputs.
        cache : Cache
            Of a forward pass in training mode. It owns the result, which the next backward pass
            with it overwrites.

        Raises
        ------
        ValueError, TypeError
            If the cache is of another kind of pass, or ``doutputs`` of another shape than its
            outputs.
        """
        if not isinstance(cache, Cache):
            raise TypeError(
                f"cache must be the Cache that forward returned, got {type(cache).__name__}"
            )
        if not cache.training:
            raise ValueError(
                "backward needs the cache of a pass in training mode: net.forward(x, training=True)"
            )
        if cache.owner is not self:
            raise ValueError("cache must come from this network's forward, got another network's")
        doutputs = validation.matrix("doutputs", doutputs, self.widths[-1])
        validation.same_rows("doutputs", doutputs, "the outputs", cache.rows)
        self.run_deltas(validation.cast("doutputs", doutputs, self.dtype), cache)
        if cache.gradients is None:
            cache.gradients = self.parameters.like()
        for layer in self.trainable_layers():
            self.run_gradient(layer, cache, cache.gradients)
        return cache.gradients

    def run_deltas(self, dy: Array, cache: Cache, *, inputs: bool = False) -> Array:
        """Carry the derivative down, leaving in each layer's cache the ``dy`` that it will need.

        Below the first layer with parameters nobody asks for it in training; with ``inputs=True``
        it is carried on, and the derivative by the network's inputs is returned.
        """
        last = 0 if inputs else self._first
        for place in range(len(self.layers) - 1, last - 1, -1):
            layer = self.layers[place]
            own = cache[layer.name]
            own.dy = dy
            if inputs or place > last:
                dy = layer.backward(dy, own)
                _fits(layer, "backward", dy, (cache.rows, self.widths[place]), cache.dtype)
        return dy

    def run_gradient(
        self, layer: Layer, cache: Cache, gradients: Parameters, part: slice | None = None
    ) -> None:
        """Overwrite one layer's part of ``gradients``, or some rows of it."""
        own = cache[layer.name]
        if part is None:
            layer.gradient(own.dy, own, gradients.of(layer.name))
        else:
            layer.gradient(own.dy, own, gradients.of(layer.name), part=part)  # type: ignore[call-arg]  # asked before

    def trainable_layers(self) -> Iterator[Layer]:
        """Yield the layers that have parameters, in order."""
        return (self.layers[place] for place in self._trainable)

    def predict(self, x: Any) -> Array:
        """Return the raw outputs (N, M) in inference mode: dropout is off, and no cache is kept.

        Examples
        --------
        >>> import nnreg as nn
        >>> net = nn.Network([nn.Dense(1, initializer=nn.ones)], inputs=2)
        >>> net.predict([[1.0, 2.0]])
        array([[3.]], dtype=float32)
        """
        x = validation.matrix("x", x, self.inputs)
        validation.finite("x", x)
        outputs = np.empty((len(x), self.widths[-1]), self.dtype)
        cache = Cache(self.dtype)
        for start in range(0, len(x), PREDICT_ROWS):
            rows = slice(start, start + PREDICT_ROWS)
            part = x[rows] if x.dtype == self.dtype else validation.cast("x", x[rows], self.dtype)
            outputs[rows] = self.run_forward(part, cache, training=False)
        return outputs

    def copy(self, dtype: Any = None) -> Network:
        """Return an independent network of the same layers, values and counters.

        It is cast to ``dtype`` where that is given.
        """
        new = object.__new__(type(self))
        # complex128 is for the gradient check
        dtype = self.dtype if dtype is None else _dtype(dtype, "float32", "float64", "complex128")
        # One deep copy, so that layers which share a penalty go on sharing its copy.
        rules = self.penalty, self.constraint
        layers, rules = copy.deepcopy(([layer.clone() for layer in self.layers], rules))
        new._build(layers, self.inputs, self.seed, dtype)
        new.parameters.vector[...] = self.parameters.vector
        new.steps, new.epochs = self.steps, self.epochs
        new.penalty, new.constraint = rules
        new.initializers = dict(self.initializers)
        return new

    def summary(self) -> None:
        """Print the layers: shapes, parameters, initial values, and each parameter's penalty."""
        print(summary(self))

    def _repr_html_(self) -> str:
        return summary_html(self)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        return (
            f"Network([{layers}], inputs={self.inputs}, penalty={self.penalty!r}, "
            f"constraint={self.constraint!r}, seed={self.seed}, dtype='{self.dtype}')"
        )


def _dtype(dtype: Any, *known: str) -> np.dtype[Any]:
    """Return a dtype that is one of the known ones, given as a name, a type or a dtype."""
    return np.dtype(
        validation.one_of("dtype", getattr(dtype, "__name__", None) or str(dtype), known)
    )


def _fits(layer: Layer, method: str, array: Any, shape: tuple[int, int], dtype: Any) -> None:
    """Raise unless what a layer has returned is an array of this shape and dtype."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{layer.name}.{method} must return an array, got {array!r}")
    if array.shape != shape or (array.dtype is not dtype and array.dtype != dtype):
        raise ValueError(
            f"{layer.name}.{method} must return shape {shape} and dtype {dtype}, "
            f"got {array.shape} and {array.dtype}"
        )


#: Columns of numbers.
RIGHT = (1, 4)


def summary(net: Network) -> str:
    """Return what ``net.summary()`` prints.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network(
    ...     [nn.Dense(3), nn.ReLU(), nn.Dense(2, penalty=None)], inputs=4, penalty=nn.L2(0.1)
    ... )
    >>> print(summary(net))
    layer    outputs  parameter  shape   values  initial         penalty
    -------  -------  ---------  ------  ------  --------------  ----------------
    dense_1        3  weight     (4, 3)      12  he_normal       L2(strength=0.1)
                      bias       (3,)         3  zeros           none
    relu_1         3
    dense_2        2  weight     (3, 2)       6  glorot_uniform  none
                      bias       (2,)         2  zeros           none
    23 values: 18 weights, 5 others; 4 inputs, float32, seed 0
    Penalties: strength/2 * sum(w**2) for L2, strength * sum(abs(w)) for L1; never divided, never on
    biases.
    """
    head, rows = _cells(net)
    return "\n".join([tables.text_table(head, rows, right=RIGHT), *_remarks(net)])


def summary_html(net: Network) -> str:
    """Return what a notebook shows of a network.

    >>> import nnreg as nn
    >>> summary_html(nn.Network([nn.ReLU()], inputs=2)).count("<tr")
    2
    """
    head, rows = _cells(net)
    return tables.html_table(head, rows, right=RIGHT) + tables.paragraphs(_remarks(net))


def _cells(net: Network) -> tuple[list[str], list[list[str]]]:
    limited = any(True for _ in net.constrained())
    rows = []
    for place, layer in enumerate(net.layers):
        label, width = layer.name, str(net.widths[place + 1])
        if settings := repr(layer).partition("(")[2].rstrip(")"):
            label += f" {settings}" if not net.parameters.of(layer.name) else ""
        first = True
        for own_name, view in net.parameters.of(layer.name).items():
            name = f"{layer.name}.{own_name}"
            rows.append(
                [
                    label if first else "",
                    width if first else "",
                    own_name,
                    str(view.shape),
                    f"{view.size:,}",
                    net.initializers[name],
                    _or_none(net.penalty_of(name)),
                    *([_or_none(net.constraint_of(name))] if limited else []),
                ]
            )
            first = False
        if first:
            rows.append([label, width, "", "", "", "", "", *([""] if limited else [])])
    head = ["layer", "outputs", "parameter", "shape", "values", "initial", "penalty"]
    head += ["constraint"] if limited else []
    return head, rows


def _remarks(net: Network) -> list[str]:
    p = net.parameters
    return [
        f"{p.vector.size:,} values: {p.weights.size:,} weights, {p.biases.size:,} others; "
        f"{net.inputs} inputs, {net.dtype}, seed {net.seed}",
        "Penalties: strength/2 * sum(w**2) for L2, strength * sum(abs(w)) for L1; "
        "never divided, never on biases.",
    ]


def _or_none(thing: object) -> str:
    return "none" if thing is None else repr(thing)
