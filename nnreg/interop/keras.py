"""Keras 3 models in the format ``.keras``, read and written without Keras.

The file is a zip archive: ``config.json`` describes the layers, ``model.weights.h5`` has their
weights. Both are read as data. Nothing in them is executed, and no path in them is opened.

===================================  ============================================================
Keras                                nnreg
===================================  ============================================================
``Dense(activation="relu")``         ``Dense``, then ``ReLU``
``L2(s)``: ``s · Σ w²``              ``L2(2 * s)``: ``2s/2 · Σ w²``; ``L1(s)`` is ``L1(s)``
``L1L2(l1, l2)``                     ``ElasticNet(l1, 2 * l2)``
``MaxNorm(limit, axis=0)``           ``MaxNorm(limit)``
``Dropout(rate)``, Gaussian too      ``Dropout(keep_prob=1 - rate)``
``Flatten``                          no layer: pass rows ``x.reshape(len(x), -1)``
``Softmax``, as the last layer       no layer: a network's outputs are logits
===================================  ============================================================
"""

from __future__ import annotations

import inspect
import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnreg import layers as nn
from nnreg._support import validation
from nnreg._support.files import check_path, write_whole
from nnreg._support.npz import ZipReader
from nnreg._support.tables import printable
from nnreg._support.typing import Array
from nnreg._support.version import __version__
from nnreg.checkpoint import name_file
from nnreg.conventions import convert_penalty
from nnreg.interop.shared import build_network, get_strengths, make_penalty
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.penalties import Constraint, MaxNorm, Penalty

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
IGNORED = ("name", "dtype", "kernel_initializer", "bias_initializer", "seed")
SOFTMAX = "softmax"

# --- Reading --------------------------------------------------------------------------------------


def load_keras(path: str | Path) -> Network:
    """Read a model that Keras 3 saved with ``model.save("model.keras")``.

    Keras need not be installed. A ``Sequential`` or functional model is read if its layers form a
    chain of those in the table of :mod:`nnreg.interop.keras`, activations included: linear, relu,
    leaky_relu, elu, gelu, tanh, sigmoid, softplus.

    Parameters
    ----------
    path : path

    Returns
    -------
    Network
        With the regularizer of each layer as its penalty. The state of the optimizer is not read.

    Raises
    ------
    ImportError
        If h5py is not installed.
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If the file is damaged, or a layer or one of its settings has no equal in nnreg; the error
        names the layer.

    Warns
    -----
    UserWarning
        If the last activation is softmax. It is left out: a network's outputs are logits, and
        ``nn.SoftmaxCrossEntropy().probabilities(outputs)`` returns what Keras predicts.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> path = Path(tempfile.mkdtemp()) / "model.keras"
    >>> net = nn.Network([nn.Dense(2), nn.Dropout(keep_prob=0.8)], inputs=3, penalty=nn.L2(0.1))
    >>> save_keras(net, path)
    >>> copy = load_keras(path)
    >>> copy.layers[0].penalty, copy.layers[1]
    (L2(strength=0.1), Dropout(keep_prob=0.8))
    """
    _h5py()
    path = check_path("path", path)
    with name_file(path, "a model of Keras"):
        with ZipReader(path, "a .keras", "model.save(path) in Keras does") as file:
            model = json.loads(file.read_bytes(CONFIG))
            if WEIGHTS not in file.names:
                raise ValueError(
                    f"it has no {WEIGHTS}: save the whole model with its weights in one file, "
                    "model.save(path)"
                )
            content = file.read_bytes(WEIGHTS)
        entries = _list_layers(model)
        inputs = _read_inputs(entries)
        layers: list[Any] = []
        places: list[tuple[str, int]] = []  # of the dense layers in the file of weights
        for entry in entries[1:]:
            converted = _read_layer(entry)
            if isinstance(converted[0], nn.Dense):
                places.append((_place(len(places)), 1 + converted[0].use_bias))
            layers += converted
        layers = [layer for layer in layers if layer is not None]
        softmax = bool(layers) and layers[-1] == SOFTMAX
        layers = layers[: len(layers) - softmax]
        if SOFTMAX in layers:
            raise ValueError("softmax has no equal in nnreg, except as the last activation")
        dtypes = sorted(set(_list_dtypes(entries[1:])))
        arrays = list(_read_arrays(content, places))
        net = build_network(layers, arrays, inputs=inputs, dtype=dtypes[0])
        if dtypes != [net.dtype]:
            raise ValueError(
                f"every layer must compute in the dtype of the weights, {net.dtype}; "
                f"got {', '.join(dtypes)}"
            )
    if softmax:
        warnings.warn(
            f"{printable(path, None)}: the softmax at its end is left out, and predict returns "
            "logits; nn.SoftmaxCrossEntropy().probabilities(outputs) returns the probabilities",
            stacklevel=2,
        )
    return net


def _list_layers(model: Mapping[str, Any]) -> list[Any]:
    """Return the layers' entries in the order of computation, the input layer first."""
    kind, config = model["class_name"], model["config"]
    if not _is_shipped(model) or kind not in ("Sequential", "Functional"):
        raise ValueError(f"it is a {kind!r}; only Sequential and functional models are read")
    entries: list[Any] = config["layers"]
    if kind == "Sequential":
        if not entries or entries[0]["class_name"] != "InputLayer":
            raise ValueError("its input shape is unknown; begin with keras.Input((D,))")
        return entries
    named = {entry["name"]: entry for entry in entries}
    following: dict[str, str] = {}
    for name, entry in named.items():
        if entry["class_name"] == "InputLayer":
            continue
        before = _find_input(name, entry)
        if before in following:
            raise ValueError(f"{before!r} is the input of two layers; the model must be a chain")
        following[before] = name
    first, last = _find_end(config["input_layers"]), _find_end(config["output_layers"])
    chain = [first]
    while chain[-1] in following:
        chain.append(following.pop(chain[-1]))
    if following or chain[-1] != last or len(chain) != len(entries):
        raise ValueError("its layers must be a chain, from one input to one output")
    return [named[name] for name in chain]


def _find_input(name: str, entry: Mapping[str, Any]) -> str:
    """Return the name of the layer whose output is this layer's only input."""
    nodes = entry["inbound_nodes"]
    if len(nodes) != 1 or len(nodes[0]["args"]) != 1 or any(nodes[0]["kwargs"].values()):
        raise ValueError(f"layer {name!r} must be called once, with one input and no arguments")
    return _find_end(nodes[0]["args"][0]["config"]["keras_history"])


def _find_end(reference: Any) -> str:
    """Return the name in ``[name, 0, 0]``, or in a list of one of these."""
    while isinstance(reference, list) and len(reference) == 1:
        reference = reference[0]
    name, *node = reference
    if not isinstance(name, str) or node != [0, 0]:
        raise ValueError("it must have one input and one output, and use each layer once")
    return name


def _read_inputs(entries: list[Any]) -> int:
    """Return the number of inputs; rows of another form have to be flattened first."""
    shape = entries[0]["config"]["batch_shape"][1:]
    if not shape or None in shape:
        raise ValueError(f"its input shape {shape} must be fixed, as in keras.Input((784,))")
    if len(shape) > 1:
        flatten = entries[1] if len(entries) > 1 else {}
        if flatten.get("class_name") != "Flatten":
            raise ValueError(f"its inputs have shape {shape}, so Flatten must be the first layer")
        if flatten["config"].get("data_format", "channels_last") != "channels_last":
            raise ValueError("its Flatten reorders the inputs: data_format must be channels_last")
    return math.prod(validation.whole("input shape", size, 1) for size in shape)


def _list_dtypes(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        policy = entry["config"].get("dtype", "float32")
        yield policy if isinstance(policy, str) else policy["config"]["name"]


def _is_shipped(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry names a class of Keras, not one that is registered by a user."""
    package = str(entry.get("module")).partition(".")[0]
    return package == "keras" and entry.get("registered_name") in (None, entry["class_name"])


def _read_layer(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a layer without weights and its activation; None for none, ``SOFTMAX`` for that."""
    kind, config = entry["class_name"], entry["config"]
    what = f"layer {config.get('name', '')!r}"
    if kind not in LAYERS or not _is_shipped(entry):
        raise ValueError(f"{what}: {kind!r} has no equal in nnreg; known are {', '.join(LAYERS)}")
    settings = {k: v for k, v in config.items() if k not in IGNORED and v is not None}
    if settings.get("trainable", False) is True:
        del settings["trainable"]  # False is refused: nnreg has no fixed layers
    build = LAYERS[kind]
    for name in settings.keys() - inspect.signature(build).parameters.keys():
        raise ValueError(f"{what}: {name}={settings[name]!r:.80} has no equal in nnreg")
    try:
        result = build(**settings)
    except Exception as error:
        raise ValueError(f"{what}: {error}") from error
    return result if isinstance(result, tuple) else (result,)


def _read_activation(activation: Any = "linear") -> Any:
    """Return the layer of an activation, given by its name or as a layer."""
    if isinstance(activation, dict) and activation["class_name"] in LAYERS:
        (layer,) = _read_layer(activation)
        return layer
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(
            f"activation={activation!r:.80} has no equal in nnreg; known are "
            f"{', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[activation]()


def _read_dense(
    units: int,
    activation: Any = "linear",
    use_bias: bool = True,
    kernel_regularizer: Any = None,
    kernel_constraint: Any = None,
) -> tuple[nn.Dense, Any]:
    penalty, constraint = _read_penalty(kernel_regularizer), _read_constraint(kernel_constraint)
    layer = nn.Dense(units, penalty=penalty, constraint=constraint, bias=use_bias)
    return layer, _read_activation(activation)


def _complement(rate: Any) -> float:
    """Return ``1 - rate`` without its rounding error: 0.1 for 0.9, not 0.09999999999999998."""
    return round(1 - validation.number("rate", rate), 12)


def _read_relu(max_value: Any = None, negative_slope: float = 0.0, threshold: float = 0.0) -> Layer:
    if max_value is not None or threshold != 0:
        raise ValueError("max_value and threshold have no equal in nnreg")
    return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()


def _read_softmax(axis: Any = -1) -> str:
    if axis not in (-1, 1):
        raise ValueError(f"axis={axis!r:.80} must be -1")
    return SOFTMAX


def _read_penalty(entry: Any) -> Penalty | None:
    if entry is None:
        return None
    names = {"L1": {"l1"}, "L2": {"l2"}, "L1L2": {"l1", "l2"}}.get(entry["class_name"])
    strengths = entry["config"]
    if names is None or not _is_shipped(entry) or not strengths.keys() <= names:
        raise ValueError(f"kernel_regularizer {entry['class_name']!r} has no equal in nnreg")
    return make_penalty(
        *(
            convert_penalty(strengths.get(kind, 0.0), source="keras", target="nnreg", kind=kind)
            for kind in ("l1", "l2")
        )
    )


def _read_constraint(entry: Any) -> Constraint | None:
    if entry is None:
        return None
    config = entry["config"]
    if entry["class_name"] != "MaxNorm" or not _is_shipped(entry):
        raise ValueError(f"kernel_constraint {entry['class_name']!r} has no equal in nnreg")
    if config.get("axis", 0) not in (0, [0]):
        raise ValueError(f"MaxNorm must have axis=0, a unit's incoming weights, got {config}")
    return MaxNorm(config["max_value"])


ACTIVATIONS: Mapping[str, Callable[[], Any]] = {
    "linear": lambda: None,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    SOFTMAX: lambda: SOFTMAX,
}

LAYERS: Mapping[str, Callable[..., Any]] = {
    "Dense": _read_dense,
    "Activation": _read_activation,
    "ReLU": _read_relu,
    "LeakyReLU": lambda negative_slope=0.3: nn.LeakyReLU(negative_slope),
    "ELU": lambda alpha=1.0: nn.ELU(alpha),
    "Softmax": _read_softmax,
    "Dropout": lambda rate: nn.Dropout(keep_prob=_complement(rate)),
    "GaussianDropout": lambda rate: nn.GaussianDropout(keep_prob=_complement(rate)),
    "Flatten": lambda data_format=None: None,
}


def _read_arrays(content: bytes, places: list[tuple[str, int]]) -> Iterator[list[Array]]:
    """Yield the arrays of each group of an HDF5 file; what points elsewhere is not followed."""
    try:
        with _h5py().File(io.BytesIO(content), "r") as file:
            for place, count in places:
                yield [_read_array(file, f"{place}/{number}") for number in range(count)]
    except OSError as error:  # of HDF5, where the content is damaged
        raise ValueError(f"{WEIGHTS} is damaged: {error}") from error


def _read_array(group: Any, place: str) -> Array:
    h5py = _h5py()
    for name in place.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(
            group.get(name, getlink=True), h5py.HardLink
        ):
            raise ValueError(f"{WEIGHTS} has no {place}")
        group = group[name]
    if (
        not isinstance(group, h5py.Dataset)
        or (group.chunks, group.external, group.is_virtual) != (None, None, False)
        or group.dtype not in ("float32", "float64")
        or group.id.get_storage_size() != math.prod(group.shape or ()) * group.dtype.itemsize
    ):
        raise ValueError(
            f"{place} in {WEIGHTS} must be an array of float32 or float64, stored whole and "
            "without compression as Keras does"
        )
    values: Array = group[()]
    return np.asarray(values, group.dtype.newbyteorder("="))


def _place(index: int) -> str:
    """Return where the weights of a dense layer are: by its number, whatever its name is."""
    return f"layers/dense_{index}/vars" if index else "layers/dense/vars"


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError("a .keras file needs h5py: pip install 'nnreg[keras]'") from None
    return h5py


# --- Writing --------------------------------------------------------------------------------------


def save_keras(net: Network, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a ``Sequential`` model that ``keras.saving.load_model`` of Keras 3 opens.

    Its layers have the names of the network's, such as ``dense_1``. The outputs are logits, as
    those of the network: compile with a loss that has ``from_logits=True``.

    Parameters
    ----------
    net : Network
    path : path
        Written completely or not at all; its name must end in ``.keras``.
    overwrite : bool, default False

    Raises
    ------
    ImportError
        If h5py is not installed.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ValueError
        If a layer, penalty or constraint has no equal in Keras, which includes every class of your
        own; the error names the layer. Or if a parameter is not finite.

    Warns
    -----
    UserWarning
        If a penalty is proximal. It is written as the same regularizer, which Keras trains with
        subgradients, so that no further weight becomes exactly zero. Also if the network has labels
        of classes, which the file cannot contain.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> path = Path(tempfile.mkdtemp()) / "model.keras"
    >>> net = nn.Network([nn.Dense(8), nn.ReLU(), nn.Dense(2)], inputs=4, penalty=nn.L2(0.02))
    >>> save_keras(net, path)
    >>> config = json.loads(zipfile.ZipFile(path).read("config.json"))["config"]
    >>> [layer["config"]["name"] for layer in config["layers"]]
    ['inputs', 'dense_1', 'relu_1', 'dense_2']
    >>> config["layers"][1]["config"]["kernel_regularizer"]["config"]  # Keras' L2 has no half
    {'l1': 0.0, 'l2': 0.01}
    """
    h5py = _h5py()
    validation.instance("net", net, Network, "a Network")
    overwrite = validation.flag("overwrite", overwrite)
    if not check_path("path", path).endswith(".keras"):
        raise ValueError(f"path must end in .keras, or Keras does not open it, got {path}")
    validation.finite("net.parameters", net.parameters.vector)
    dtype = str(net.dtype)
    first = {"batch_shape": [None, net.inputs], "dtype": dtype, "name": "inputs"}
    config = {
        "name": "sequential",
        "layers": [
            _entry("layers", "InputLayer", first),
            *(_write_layer(net, layer, dtype) for layer in net.layers),
        ],
        "build_input_shape": [None, net.inputs],
    }
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        dense = (layer for layer in net.layers if isinstance(layer, nn.Dense))
        for index, layer in enumerate(dense):
            group = file.create_group(_place(index))
            for number, array in enumerate(net.parameters.of(layer.name).values()):
                group[str(number)] = array
    members: dict[str, str | bytes] = {
        "metadata.json": json.dumps({"keras_version": "3", "written_by": f"nnreg {__version__}"}),
        CONFIG: json.dumps(_entry("", "Sequential", config)),
        WEIGHTS: weights.getvalue(),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(zipfile.ZipInfo(name), content)  # without the time of day
    write_whole(path, archive.getvalue(), overwrite=overwrite)
    methods = {segment.rule.method for segment in net.regularization.penalties}
    for lost, text in (
        (
            "proximal" in methods,
            "Keras trains with subgradients, which make no weight exactly zero",
        ),
        (net.classes is not None, f"a .keras file has no labels; these are lost: {net.classes!r}"),
    ):
        if lost:
            warnings.warn(text, stacklevel=2)


def _entry(module: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    module = f"keras.{module}".removesuffix(".")
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def _write_layer(net: Network, layer: Layer, dtype: str) -> dict[str, Any]:
    if type(layer) not in WRITERS:
        raise ValueError(f"{layer.name}: {type(layer).__name__} has no equal in Keras")
    kind, settings = WRITERS[type(layer)]
    config = {"name": layer.name, "dtype": dtype, **settings(layer)}
    if isinstance(layer, nn.Dense):
        weight = f"{layer.name}.weight"
        l1, l2 = get_strengths(weight, net.regularization.penalty_of(weight))
        if l1 or l2:
            converted = {
                name: convert_penalty(strength, source="nnreg", target="keras", kind=name)
                for name, strength in (("l1", l1), ("l2", l2))
            }
            config["kernel_regularizer"] = _entry("regularizers", "L1L2", converted)
        constraint = net.regularization.constraint_of(weight)
        if constraint is not None:
            if type(constraint) is not MaxNorm:
                raise ValueError(f"{weight}: {constraint!r} has no equal in Keras")
            limit = {"max_value": constraint.limit, "axis": 0}
            config["kernel_constraint"] = _entry("constraints", "MaxNorm", limit)
    return _entry("layers", kind, config)


WRITERS: Mapping[type[Layer], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    nn.Dense: ("Dense", lambda layer: {"units": layer.units, "use_bias": layer.use_bias}),
    nn.ReLU: ("ReLU", lambda layer: {}),
    nn.LeakyReLU: ("LeakyReLU", lambda layer: {"negative_slope": layer.slope}),
    nn.ELU: ("ELU", lambda layer: {"alpha": layer.alpha}),
    nn.GELU: ("Activation", lambda layer: {"activation": "gelu"}),
    nn.Tanh: ("Activation", lambda layer: {"activation": "tanh"}),
    nn.Sigmoid: ("Activation", lambda layer: {"activation": "sigmoid"}),
    nn.Softplus: ("Activation", lambda layer: {"activation": "softplus"}),
    nn.Dropout: ("Dropout", lambda layer: {"rate": _complement(layer.keep_prob)}),
    nn.GaussianDropout: ("GaussianDropout", lambda layer: {"rate": _complement(layer.keep_prob)}),
}
