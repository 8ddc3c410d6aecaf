"""States: attributes beyond the arguments of ``__init__``, which are saved and restored.

The state of an object is what its ``get_state`` returns. Arrays are saved under the name of
the object and of the attribute, such as ``norm_1.mean``; numbers and strings as JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.hyperparameters import Stateful, named_parameters
from nnreg._support.memory import Copyable
from nnreg._support.typing import Array


def to_python(value: Any) -> Any:
    """Return a NumPy number as a Python number, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a checkpoint can have numbers, texts and arrays, got {value!r}")


def get_states(objects: Mapping[str, Stateful], arrays: dict[str, Array]) -> dict[str, Any]:
    """Return the numbers and texts of the objects' states, and add their arrays to ``arrays``."""
    states: dict[str, dict[str, Any]] = {}
    for place, thing in objects.items():
        name = f"{type(thing).__name__}.get_state()"
        for key, value in validation.instance(name, thing.get_state(), dict, "a dict").items():
            if not isinstance(value, np.ndarray):
                try:
                    json.dumps(value, default=to_python)
                except (TypeError, ValueError) as error:
                    raise TypeError(f"{name}[{key!r}]: {error}") from None
                states.setdefault(place, {})[key] = value
            elif value.dtype.kind not in "biuf" or f"{place}.{key}" in arrays:
                raise TypeError(
                    f"{name}[{key!r}] must be a number, a text or an array of numbers, and no "
                    f"parameter, got {value.dtype}"
                )
            else:
                arrays[f"{place}.{key}"] = value.astype(value.dtype.newbyteorder("="), copy=False)
    return states


def set_states(
    objects: Mapping[str, Stateful], fields: dict[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Restore the state of each object from the contents of a file."""
    states = fields.get("states", {})
    for place, thing in objects.items():
        state = dict(states.get(place, {}))
        for name, values in arrays.items():
            if name.startswith(f"{place}."):
                state[name.removeprefix(f"{place}.")] = values.copy()  # it may be read-only
        if state:
            thing.set_state(state)


class _Pickler(pickle.Pickler):
    """A pickler that writes other objects of a run as their class; they are compared separately."""

    def persistent_id(self, value: Any) -> str | None:
        return type(value).__name__ if isinstance(value, Copyable) else None


def hash_attributes(thing: Any) -> dict[str, bytes]:
    """Return a hash of each attribute that is neither an argument nor part of the state.

    An attribute that cannot be pickled, such as an open file, is left out.
    """
    kept = {p.name for p in named_parameters(type(thing).__init__)}
    kept |= thing.get_state().keys() | thing._saved
    hashes = {}
    for name, value in thing.__getstate__().items():
        if name not in kept:
            content = io.BytesIO()
            with suppress(Exception):
                _Pickler(content, 5).dump(value)
                hashes[name] = hashlib.sha256(content.getvalue()).digest()
    return hashes


def find_lost(thing: Any, hashes: dict[str, bytes]) -> str:
    """Return which attribute differs from these hashes, and the lines that save it."""
    now = hash_attributes(thing)
    for name in {**hashes, **now}:
        if now.get(name) != hashes.get(name):
            kind = type(thing).__name__
            state = ", ".join(f'"{key}": self.{key}' for key in [*thing.get_state(), name])
            return (
                f"{kind}.{name} has changed and is not saved. Add to the class {kind}:\n"
                f"    def get_state(self):\n        return {{{state}}}\n"
                f"with None for self.{name} if it need not be saved"
            )
    return ""
