"""Checkpoints: a network, its optimizer and its run as one file, NPZ or safetensors.

The file has arrays, a description in JSON, and a checksum of both. Nothing in it is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnreg import initializers, layers, optimizers, penalties
from nnreg._support import containers, validation
from nnreg._support.files import check_path, check_target, write_whole
from nnreg._support.hyperparameters import Stateful
from nnreg._support.states import find_lost, get_states, hash_attributes, set_states, to_python
from nnreg._support.tables import printable
from nnreg._support.typing import Array
from nnreg._support.version import __version__
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.optimizers import Optimizer
from nnreg.penalties import Constraint, Penalty

FORMAT = 1
OPTIMIZER = "optimizer attributes"  # not the arrays of its `state`, which are "optimizer."
FIELDS = frozenset(
    ["inputs", "seed", "dtype", "steps", "epochs", "layers", "penalty", "penalties", "initializers"]
)
OPTIONAL = frozenset(
    [
        *("format", "nnreg", "conventions", "constraint", "classes"),
        *("optimizer", "run", "parameters", "states"),
    ]
)
CONVENTIONS = {
    "L2": "strength/2 * sum(w**2)",
    "L1": "strength * sum(abs(w))",
    "penalties": "on weights only; not divided by the number of rows or weights",
    "constraints": "on weights only; MaxNorm on each column, a unit's incoming weights",
    "keep_prob": "probability that a unit is kept; kept units are divided by it in training",
    "weights": "shape (inputs, outputs): y = x @ w + b",
    "vector": "every weight in layer order, then everything else in layer order",
}


def save(
    net: Network, path: str | Path, *, optimizer: Optimizer | None = None, overwrite: bool = False
) -> None:
    """Write architecture, parameters, counters, penalties, constraints and their conventions.

    Parameters
    ----------
    net : Network
    path : path
        Written completely or not at all. If it ends in ``.safetensors``, the file has that format
        and contains each parameter under its name, such as ``dense_1.weight``; otherwise NPZ.
    optimizer : Optimizer, optional
        Saved too, with its state; :func:`load_optimizer` reads it, so that training can continue
        exactly.
    overwrite : bool, default False

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ImportError
        If the format is safetensors, and it is not installed.
    ValueError
        If a parameter is not finite, or the optimizer has updated another network.
    TypeError
        If a layer, penalty, constraint or optimizer does not keep an argument of its ``__init__``
        as an attribute of the same name.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> path = Path(tempfile.mkdtemp()) / "net.npz"
    >>> net = nn.Network([nn.Dense(2), nn.Dropout(keep_prob=0.8)], inputs=3, penalty=nn.L2(0.1))
    >>> nn.save(net, path)
    >>> nn.load(path)
    Network([Dense(units=2, penalty='inherit', constraint='inherit', initializer=None,
    bias=True),
    Dropout(keep_prob=0.8)], inputs=3, penalty=L2(strength=0.1), constraint=None, seed=0,
    dtype='float32')
    """
    validation.instance("net", net, Network, "a Network")
    if optimizer is not None:
        validation.instance("optimizer", optimizer, Optimizer, "an Optimizer such as nn.Adam()")
        optimizer.prepare(net.parameters)
    overwrite = validation.flag("overwrite", overwrite)
    validation.finite("net.parameters", net.parameters.vector)
    write_checkpoint(path, net, optimizer, overwrite=overwrite)
    _warn_of_attributes(net, optimizer)


def write_checkpoint(
    path: str | Path,
    net: Network,
    optimizer: Optimizer | None = None,
    run: Any = None,
    others: Mapping[str, Stateful] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a network, its optimizer, a run's description, and the states of other objects."""
    path = check_target(path, overwrite=overwrite)
    content = encode_checkpoint(path, net, optimizer, run, others)
    write_whole(path, content, overwrite=overwrite)


def encode_checkpoint(
    path: str | Path,
    net: Network,
    optimizer: Optimizer | None = None,
    run: Any = None,
    others: Mapping[str, Stateful] | None = None,
) -> bytes:
    """Return the content of the file that :func:`write_checkpoint` writes."""
    objects: dict[str, Any] = {}
    description = describe(net, optimizer, objects) | ({} if run is None else {"run": run})
    by_name = containers.is_safetensors(path)
    arrays = dict(net.parameters if by_name else {"parameters": net.parameters.vector})
    if optimizer is not None:
        arrays |= {f"optimizer.{name}": values for name, values in optimizer.state.items()}
    description["states"] = get_states({**objects, **(others or {})}, arrays)
    text = json.dumps(description, default=to_python)
    texts = {"description": text, "checksum": _checksum(text, arrays)}
    return containers.pack(path, arrays, texts)


def describe(
    net: Network, optimizer: Optimizer | None = None, objects: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the description of a network and its optimizer for JSON, without arrays and states.

    The layers, penalties, constraints and the optimizer are added to ``objects``, by name.
    """
    rules: dict[int, tuple[Any, Any]] = {}
    description = {
        "format": FORMAT,
        "nnreg": __version__,
        "inputs": net.inputs,
        "seed": net.seed,
        "dtype": str(net.dtype),
        "steps": net.steps,
        "epochs": net.epochs,
        "layers": [_encode_object(layer, layer.get_config(), rules) for layer in net.layers],
        "penalty": _encode("penalty", net.penalty, rules),
        "constraint": _encode("constraint", net.constraint, rules),
        "parameters": _get_shapes(net),
        "initializers": net.initializers,
        "conventions": CONVENTIONS,
        "penalties": [entry for _, entry in rules.values()],
    }
    if net.classes is not None:
        description["classes"] = list(net.classes)
    if optimizer is not None:
        entry = _encode_object(optimizer, optimizer.get_config(), rules)
        description["optimizer"] = entry | {"steps": optimizer.steps}
    if objects is not None:
        objects |= _name_objects(net.layers, [rule for rule, _ in rules.values()], optimizer)
    return description


def _name_objects(layers: Any, rules: list[Any], optimizer: Any = None) -> dict[str, Any]:
    objects = {layer.name: layer for layer in layers}
    objects |= {f"penalties[{index}]": rule for index, rule in enumerate(rules)}
    return objects if optimizer is None else objects | {OPTIMIZER: optimizer}


def _get_shapes(net: Network) -> list[list[Any]]:
    """Return name and shape of each parameter, in the order of the vector."""
    return [[name, list(net.parameters[name].shape)] for name in net.parameters.slices]


def restore(
    net: Network, optimizer: Optimizer, fields: dict[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Restore a network and an optimizer, created by the same code, from the contents of a file.

    The objects are kept, so that a schedule of the user still sets their attributes.

    Raises
    ------
    ValueError
        If the file has other objects, or a value that cannot be.
    """
    objects: dict[str, Any] = {}
    if _get_structure(fields) != _get_structure(describe(net, optimizer, objects)):
        raise ValueError("a penalty, constraint or layer was replaced while it was trained")
    entries = [*fields["layers"], *fields["penalties"], fields["optimizer"]]
    for thing, entry in zip(objects.values(), entries, strict=True):
        config = thing.get_config()
        for name in config | entry["settings"]:
            value = entry["settings"].get(name)
            if name not in config and getattr(thing, name, "") is not None:
                raise ValueError(f"{entry['kind']} has no argument {name!r}")
            if not isinstance(value, dict) and value != config.get(name):
                setattr(thing, name, _encode(name, value, {}))
    for layer, inputs, outputs in zip(net.layers, net.widths, net.widths[1:], strict=False):
        if layer.outputs(inputs) != outputs:
            raise ValueError(f"{layer.name} has another number of outputs")
    net.parameters.vector = arrays["parameters"]
    net.steps, net.epochs = fields["steps"], fields["epochs"]
    _restore_optimizer(optimizer, fields, arrays)
    set_states(objects, fields, arrays)


def _get_structure(fields: dict[str, Any]) -> list[Any]:
    """Return the kinds of a description's objects, and their references to each other."""
    objects = [*fields["layers"], *fields["penalties"], fields["optimizer"]]
    return [fields["penalty"], fields["constraint"]] + [
        (entry["kind"], {n: v for n, v in entry["settings"].items() if isinstance(v, dict)})
        for entry in objects
    ]


def _restore_optimizer(
    optimizer: Optimizer, fields: dict[str, Any], arrays: Mapping[str, Array]
) -> None:
    state = {
        name.removeprefix("optimizer."): values
        for name, values in arrays.items()
        if name.startswith("optimizer.")
    }
    optimizer.restore(fields["optimizer"]["steps"], state, arrays["parameters"])


def _checksum(text: str, arrays: Mapping[str, Array]) -> str:
    """Return the SHA-256 of a description and of the arrays, by their names."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def load(path: str | Path, *, custom: Mapping[str, Any] | None = None) -> Network:
    """Read the network that :func:`save` wrote.

    Parameters
    ----------
    path : path
    custom : mapping of str to class or function, optional
        Your own layers, penalties, constraints and initializers, by name.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If the file has another format, was altered, or contains an unknown name or an invalid
        value; the error names the file and the field. No initial values are drawn, and no memory
        is allocated for parameters that are not in the file.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> class Double(nn.Layer):
    ...     def forward(self, x, cache):
    ...         return 2 * x
    ...
    ...     def backward(self, dy, cache):
    ...         return 2 * dy
    >>> path = Path(tempfile.mkdtemp()) / "net.npz"
    >>> nn.save(nn.Network([Double()], inputs=1), path)
    >>> nn.load(path, custom={"Double": Double}).predict([[4.0]])
    array([[8.]], dtype=float32)
    """
    kinds = _get_kinds(custom)
    description, arrays = read_checkpoint(path)
    with name_file(path):
        net = _decode_network(description, arrays, kinds)
    return net


def load_optimizer(path: str | Path, *, custom: Mapping[str, Any] | None = None) -> Optimizer:
    """Read the optimizer that ``save(net, path, optimizer=optimizer)`` wrote.

    Parameters
    ----------
    path : path
    custom : mapping of str to class, optional
        Your own optimizers, by name.

    Raises
    ------
    ValueError
        As for :func:`load`, or if the file has no optimizer.

    Examples
    --------
    >>> import tempfile, nnreg as nn
    >>> path = Path(tempfile.mkdtemp()) / "run.npz"
    >>> net, optimizer = nn.Network([nn.Dense(2)], inputs=3), nn.Adam(0.01)
    >>> nn.save(net, path, optimizer=optimizer)
    >>> nn.load_optimizer(path)
    Adam(learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-08)
    """
    kinds = _get_kinds(custom)
    description, arrays = read_checkpoint(path)
    if "optimizer" not in description:
        raise ValueError(f"{path} has no optimizer; save(net, path, optimizer=optimizer) adds it")
    with name_file(path):
        entry = description["optimizer"]
        optimizer: Optimizer = _decode_object("optimizer", entry, kinds, [], Optimizer)
        _restore_optimizer(optimizer, description, arrays)
        set_states({OPTIMIZER: optimizer}, description, arrays)
    return optimizer


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the description and the arrays of a file, after a check of checksum and fields."""
    path = check_path("path", path)
    with name_file(path):
        arrays, texts = containers.unpack(path)
        if (text := texts.get("description")) is None:
            raise ValueError("it has no description of a network")
        description = json.loads(text)
        if description["format"] != FORMAT:
            raise ValueError(f"it has format {description['format']}, this version reads {FORMAT}")
        checksum = texts.get("checksum")  # files of version 0.1 have none
        if checksum is not None and checksum != _checksum(text, arrays):
            raise ValueError("it was altered: its checksum differs")
        if wrong := (FIELDS ^ description.keys()) - OPTIONAL:
            raise ValueError(
                f"its fields must be {sorted(FIELDS)}, this differs in {sorted(wrong)}"
            )
        if "parameters" not in arrays:
            arrays["parameters"] = _join_parameters(description, arrays)
    return description, arrays


def _join_parameters(fields: dict[str, Any], arrays: dict[str, Array]) -> Array:
    """Remove the parameters from ``arrays``, and return them as one vector."""
    parts = [np.empty(0, fields["dtype"])]
    for name, shape in fields.get("parameters", [["parameters", None]]):
        part = arrays.pop(name, None)
        if part is None or list(part.shape) != shape:
            got = "none" if part is None else part.shape
            raise ValueError(f"{name} must have shape {shape}, got {got}")
        parts.append(part.ravel())
    return np.concatenate(parts)


def _warn_of_attributes(net: Network, optimizer: Optimizer | None) -> None:
    """Warn of attributes of a user's class that are missing after loading."""
    objects: dict[str, Any] = {}
    describe(net, optimizer, objects)
    shipped = _get_kinds(None).values()
    if all(type(thing) in shipped for thing in objects.values()):
        return
    new = Network.from_vector(
        [type(layer)(**layer.get_config()) for layer in net.layers],
        inputs=net.inputs,
        seed=net.seed,
        dtype=net.dtype,
    )
    layers = _name_objects(new.layers, [])
    for place, thing in objects.items():
        again = layers.get(place) or type(thing)(**thing.get_config())
        if lost := find_lost(thing, hash_attributes(again)):
            warnings.warn(lost, stacklevel=3)


@contextmanager
def name_file(path: str | Path, kind: str = "a network saved by nnreg") -> Iterator[None]:
    """Name the file in any error inside the block: damaged bytes fail in any part of a reader."""
    try:
        yield
    except (ImportError, OSError):  # an extra is not installed; there is no such file
        raise
    except Exception as error:
        reason = printable(str(error).removeprefix(f"{path}: ") or type(error).__name__, 500)
        raise ValueError(f"{path} cannot be read as {kind}: {reason}") from error


def _decode_network(
    fields: dict[str, Any], arrays: Mapping[str, Array], kinds: dict[str, Any]
) -> Network:
    rules: list[Any] = []
    for index, entry in enumerate(fields["penalties"]):
        rules.append(_decode_object(f"penalties[{index}]", entry, kinds, rules))
    net = Network.from_vector(
        [
            _decode_object(f"layers[{index}]", entry, kinds, rules)
            for index, entry in enumerate(fields["layers"])
        ],
        arrays["parameters"],
        inputs=fields["inputs"],
        penalty=_decode(fields["penalty"], kinds, rules),
        constraint=_decode(fields.get("constraint"), kinds, rules),
        seed=fields["seed"],
        dtype=fields["dtype"],
        classes=fields.get("classes"),
    )
    if (shapes := fields.get("parameters")) not in (None, _get_shapes(net)):
        raise ValueError(f"parameters must be {_get_shapes(net)}, got {shapes}")
    net.parameters.origin = None  # an optimizer of the saved network may continue with it
    net.steps, net.epochs = fields["steps"], fields["epochs"]
    names = fields["initializers"]
    named = all(isinstance(name, str) and name.isprintable() for name in names.values())
    if names.keys() != set(net.parameters) or not named:
        raise ValueError(f"initializers must name one for each parameter, got {names}")
    net.initializers = names
    set_states(_name_objects(net.layers, rules), fields, arrays)
    return net


def _encode_object(obj: object, config: dict[str, Any], rules: dict[int, Any]) -> dict[str, Any]:
    kind = type(obj).__name__
    settings = {name: _encode(f"{kind}.{name}", value, rules) for name, value in config.items()}
    return {"kind": kind, "settings": settings}


def _encode(name: str, value: Any, rules: dict[int, Any]) -> Any:
    """Return a setting as JSON can represent it.

    A penalty or constraint becomes its number in ``rules``, so that layers that share one
    still do after loading. One that another is made of comes before it.
    """
    if isinstance(value, Penalty | Constraint):
        if id(value) not in rules:
            entry = _encode_object(value, value.get_config(), rules)
            rules[id(value)] = value, entry
        kind = "penalty" if isinstance(value, Penalty) else "constraint"
        return {kind: list(rules).index(id(value))}
    if isinstance(value, np.generic):
        value = value.item()
    if callable(value) and (function := getattr(value, "__name__", None)):
        return {"function": function}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{name} must be a number, a text, a penalty, a constraint or a function to be saved, "
        f"got {value!r}"
    )


def _get_kinds(custom: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the classes and functions that a file may name: those of nnreg, and the user's."""
    if not isinstance(custom, Mapping | None):
        raise TypeError(f"custom must map names to classes or functions, got {custom!r}")
    kinds = (Layer, Penalty, Constraint, Optimizer)
    classes = {**vars(layers), **vars(penalties), **vars(optimizers)}
    known = {
        name: kind
        for name, kind in classes.items()
        if isinstance(kind, type) and issubclass(kind, kinds) and kind not in kinds
        if not name.startswith("_")
    }
    functions = {n: f for n, f in vars(initializers).items() if callable(f)}
    return known | functions | dict(custom or {})


def _decode_object(
    field: str,
    entry: Any,
    kinds: dict[str, Any],
    rules: list[Any],
    expected: Any = Layer | Penalty | Constraint,
) -> Any:
    """Construct a layer, penalty, constraint or optimizer; an error names the field."""
    try:
        settings = {n: _decode(value, kinds, rules) for n, value in entry["settings"].items()}
        result = _look_up(entry["kind"], kinds)(**settings)
    except Exception as error:
        raise ValueError(f"{field}: {error}") from error
    if not isinstance(result, expected):
        raise ValueError(f"{field}: {entry['kind']!r} is no {expected}")
    return result


def _decode(value: Any, kinds: dict[str, Any], rules: list[Any]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "function":
        return _look_up(content, kinds)
    return rules[validation.whole(kind, content, 0, len(rules) - 1)]


def _look_up(name: Any, kinds: dict[str, Any]) -> Any:
    if name not in kinds:
        shown = name if isinstance(name, str) and name.isidentifier() else "..."
        raise ValueError(
            f"the file names {name!r}: give it as load(path, custom={{{name!r}: {shown}}})"
        )
    return kinds[name]
