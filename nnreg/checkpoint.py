"""A network as one file: a ``.npz`` with the vector of parameters and a description in JSON.

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
from nnreg._support import hyperparameters
from nnreg._support.files import write_whole
from nnreg._support.version import __version__
from nnreg.layers.base import Layer
from nnreg.network import Network
from nnreg.penalties import Constraint, Penalty

FORMAT = 1
NEEDED = frozenset(
    ["inputs", "seed", "dtype", "steps", "epochs", "layers", "penalty", "penalties", "initializers"]
)
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
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {net!r}")
    shared: list[tuple[Penalty | Constraint, Any]] = []
    description = {
        "format": FORMAT,
        "nnreg": __version__,
        "inputs": net.inputs,
        "seed": net.seed,
        "dtype": str(net.dtype),
        "steps": net.steps,
        "epochs": net.epochs,
        "layers": [_described(layer, layer.get_config(), shared) for layer in net.layers],
        "penalty": _plain("penalty", net.penalty, shared),
        "constraint": _plain("constraint", net.constraint, shared),
        "initializers": net.initializers,
        "conventions": CONVENTIONS,
    }
    description["penalties"] = [entry for _, entry in shared]
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
        Layers, penalties, constraints and initializers of one's own, by name.

    Raises
    ------
    ValueError
        If the file is not such a file, or names something unknown.

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
    try:
        content = io.BytesIO(Path(path).read_bytes())  # np.load would leave a broken file open
        with np.load(content, allow_pickle=False) as file:
            vector = file["parameters"]
            description = json.loads(str(file["description"]))
        version = description["format"]
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a network saved by nnreg: {error}") from error
    if version != FORMAT:
        raise ValueError(f"{path} has format {version}, this version reads {FORMAT}")
    if missing := NEEDED - description.keys():
        raise ValueError(f"{path} is not a network saved by nnreg: it lacks {sorted(missing)}")
    known = _known() | dict(custom or {})
    shared: list[Any] = []
    for entry in description["penalties"]:
        shared.append(_made(entry, known, shared))
    net = Network(
        [_made(entry, known, shared) for entry in description["layers"]],
        inputs=description["inputs"],
        penalty=_revived(description["penalty"], known, shared),
        constraint=_revived(description.get("constraint"), known, shared),
        seed=description["seed"],
        dtype=description["dtype"],
    )
    if vector.shape != net.parameters.vector.shape or vector.dtype != net.dtype:
        raise ValueError(
            f"{path} holds {vector.size} values of {vector.dtype}, its layers need "
            f"{net.parameters.vector.size} of {net.dtype}"
        )
    net.parameters.vector[...] = vector
    net.steps, net.epochs = description["steps"], description["epochs"]
    net.initializers = description["initializers"]
    return net


def _described(thing: object, settings: dict[str, Any], shared: list[Any]) -> dict[str, Any]:
    kind = type(thing).__name__
    return {
        "kind": kind,
        "settings": {k: _plain(f"{kind}.{k}", v, shared) for k, v in settings.items()},
    }


def _plain(name: str, value: Any, shared: list[Any]) -> Any:
    """Return a setting as JSON can hold it.

    A penalty or constraint becomes its number in the list ``shared``, so that layers that share one
    still do after loading. One that another is made of comes before it.
    """
    if isinstance(value, Penalty | Constraint):
        place = next((i for i, (other, _) in enumerate(shared) if other is value), None)
        if place is None:
            entry = _described(value, hyperparameters.get_config(value), shared)
            place = len(shared)
            shared.append((value, entry))
        return {"penalty" if isinstance(value, Penalty) else "constraint": place}
    if isinstance(value, np.generic):
        value = value.item()
    if callable(value) and (own_name := getattr(value, "__name__", None)):
        return {"function": own_name}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{name} must be a number, a text, a penalty, a constraint or a function to be saved, "
        f"got {value!r}"
    )


def _known() -> dict[str, Any]:
    known: dict[str, Any] = {}
    for module in (layers, penalties):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, Layer | Penalty | Constraint):
                known[name] = value
    known |= {n: f for n, f in vars(initializers).items() if callable(f) and not n.startswith("_")}
    return known


def _made(entry: dict[str, Any], known: dict[str, Any], shared: list[Any]) -> Any:
    kind = _named(entry["kind"], known)
    return kind(**{k: _revived(v, known, shared) for k, v in entry["settings"].items()})


def _revived(value: Any, known: dict[str, Any], shared: list[Any]) -> Any:
    if isinstance(value, dict):
        if "function" in value:
            return _named(value["function"], known)
        return shared[value["penalty" if "penalty" in value else "constraint"]]
    return value


def _named(name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise ValueError(
            f"the file names {name!r}: give it as load(path, custom={{{name!r}: {name}}})"
        )
    return known[name]
