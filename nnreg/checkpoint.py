"""Checkpoints: a network as one ``.npz`` file, its parameters and a description in JSON.

Nothing in it is a pickle.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnreg import initializers, layers, penalties
from nnreg._support import validation
from nnreg._support.files import check_path, write_whole
from nnreg._support.version import __version__
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.penalties import Constraint, Penalty

FORMAT = 1
FIELDS = frozenset(
    ["inputs", "seed", "dtype", "steps", "epochs", "layers", "penalty", "penalties", "initializers"]
)
OPTIONAL = frozenset(["format", "nnreg", "conventions", "constraint"])
CONVENTIONS = {
    "L2": "strength/2 * sum(w**2)",
    "L1": "strength * sum(abs(w))",
    "penalties": "on weights only, divided by nothing",
    "constraints": "on weights only; MaxNorm on each column, a unit's incoming weights",
    "keep_prob": "probability that a unit is kept; kept units are divided by it in training",
    "weights": "shape (inputs, outputs): y = x @ w + b",
    "vector": "every weight in layer order, then everything else in layer order",
}


def save(net: Network, path: str | Path, *, overwrite: bool = False) -> None:
    """Write architecture, parameters, counters, penalties, constraints and their conventions.

    Parameters
    ----------
    net : Network
    path : path
        Written whole or not at all.
    overwrite : bool, default False

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ValueError
        If a parameter is not finite.
    TypeError
        If a layer, penalty or constraint does not keep an argument of its ``__init__`` as an
        attribute of the same name.

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
    overwrite = validation.flag("overwrite", overwrite)
    validation.finite("net.parameters", net.parameters.vector)
    rules: dict[int, tuple[int, Any]] = {}
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
        "initializers": net.initializers,
        "conventions": CONVENTIONS,
        "penalties": [entry for _, entry in rules.values()],
    }
    content = io.BytesIO()
    np.savez(
        content, parameters=net.parameters.vector, description=np.array(json.dumps(description))
    )
    write_whole(path, content.getvalue(), overwrite=overwrite)


def load(path: str | Path, *, custom: Mapping[str, Any] | None = None) -> Network:
    """Read what :func:`save` wrote.

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
        If the file is not such a file, names something unknown, or has a value that cannot be: the
        error names the file and the field. Nothing is drawn, and no memory is allocated for
        parameters that are not in the file.

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
    if not isinstance(custom, Mapping | None):
        raise TypeError(f"custom must map names to classes or functions, got {custom!r}")
    path = check_path("path", path)
    content = io.BytesIO(Path(path).read_bytes())  # np.load would leave a broken file open
    try:
        with np.load(content, allow_pickle=False) as file:
            if any(entry.compress_type for entry in file.zip.infolist()):
                raise ValueError("it is compressed")  # and might unpack to any size
            vector, description = file["parameters"], json.loads(str(file["description"]))
        if description["format"] != FORMAT:
            raise ValueError(f"it has format {description['format']}, this version reads {FORMAT}")
        if wrong := (FIELDS ^ description.keys()) - OPTIONAL:
            raise ValueError(
                f"its fields must be {sorted(FIELDS)}, this differs in {sorted(wrong)}"
            )
        return _decode_network(description, vector, _get_kinds() | dict(custom or {}))
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a network saved by nnreg: {error}") from error


def _decode_network(fields: dict[str, Any], vector: Any, kinds: dict[str, Any]) -> Network:
    rules: list[Any] = []
    for index, entry in enumerate(fields["penalties"]):
        rules.append(_decode_object(f"penalties[{index}]", entry, kinds, rules))
    net = Network.from_vector(
        [
            _decode_object(f"layers[{index}]", entry, kinds, rules)
            for index, entry in enumerate(fields["layers"])
        ],
        vector,
        inputs=fields["inputs"],
        penalty=_decode(fields["penalty"], kinds, rules),
        constraint=_decode(fields.get("constraint"), kinds, rules),
        seed=fields["seed"],
        dtype=fields["dtype"],
    )
    net.parameters.origin = None  # an optimizer of the saved network may continue with it
    net.steps, net.epochs = fields["steps"], fields["epochs"]
    names = fields["initializers"]
    if names.keys() != set(net.parameters) or not all(isinstance(n, str) for n in names.values()):
        raise ValueError(f"initializers must name one for each parameter, got {names}")
    net.initializers = names
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
            rules[id(value)] = len(rules), entry
        return {"penalty" if isinstance(value, Penalty) else "constraint": rules[id(value)][0]}
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


def _get_kinds() -> dict[str, Any]:
    """Return the layers, penalties, constraints and initializers of nnreg by name."""
    kinds = (Layer, Penalty, Constraint)
    classes = {**vars(layers), **vars(penalties)}
    known = {n: c for n, c in classes.items() if isinstance(c, type) and issubclass(c, kinds)}
    return known | {n: f for n, f in vars(initializers).items() if callable(f)}


def _decode_object(field: str, entry: Any, kinds: dict[str, Any], rules: list[Any]) -> Any:
    """Construct a layer, penalty or constraint; an error names the field."""
    try:
        settings = {n: _decode(value, kinds, rules) for n, value in entry["settings"].items()}
        result = _look_up(entry["kind"], kinds)(**settings)
    except Exception as error:
        raise ValueError(f"{field}: {error}") from error
    if not isinstance(result, Layer | Penalty | Constraint):
        raise ValueError(f"{field}: {entry['kind']!r} is no layer, penalty or constraint")
    return result


def _decode(value: Any, kinds: dict[str, Any], rules: list[Any]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "function":
        return _look_up(content, kinds)
    return rules[validation.whole(kind, content, 0, len(rules) - 1)]


def _look_up(name: str, kinds: dict[str, Any]) -> Any:
    if name not in kinds:
        raise ValueError(
            f"the file names {name!r}: give it as load(path, custom={{{name!r}: {name}}})"
        )
    return kinds[name]
