"""Containers: named arrays and texts as the bytes of one file, in NPZ or in safetensors.

The format is chosen by the file's name: safetensors for ``.safetensors``, NPZ for any other. In
safetensors the texts are the metadata. Neither format has a pickle in it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support.files import open_regular
from nnreg._support.npz import ArrayFile
from nnreg._support.typing import Array


def is_safetensors(path: str | Path) -> bool:
    """Return whether a file of this name is in the format safetensors.

    >>> is_safetensors("net.safetensors"), is_safetensors("net.npz")
    (True, False)
    """
    return Path(path).suffix.lower() == ".safetensors"


def pack(path: str | Path, arrays: Mapping[str, Array], texts: Mapping[str, str]) -> bytes:
    """Return the content of a file of this name.

    Parameters
    ----------
    path : path
    arrays : mapping of str to ndarray
        Of numbers or bools.
    texts : mapping of str to str
        Under other names than the arrays.

    Raises
    ------
    ImportError
        If the name ends in ``.safetensors``, and safetensors is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "a.npz")
    >>> size = path.write_bytes(pack(path, {"x": np.ones(2)}, {"unit": "metre"}))
    >>> unpack(path)
    ({'x': array([1., 1.])}, {'unit': 'metre'})
    """
    if is_safetensors(path):
        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        content: bytes = _safetensors().save(whole, {"format": "np", **texts})
        return content
    buffer = io.BytesIO()
    named: dict[str, Any] = {**arrays, **{name: np.array(text) for name, text in texts.items()}}
    np.savez(buffer, **named)
    return buffer.getvalue()


def unpack(path: str | Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the texts of a file; inverse of :func:`pack`.

    Raises
    ------
    Exception
        Of any type, if the content is damaged or has another format.
    """
    path = str(path)
    if is_safetensors(path):
        with open_regular(path) as file:
            content = file.read()
        arrays: dict[str, Array] = _safetensors().load(content)  # checks the header and the sizes
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return arrays, header.get("__metadata__", {})
    with ArrayFile(path) as archive:
        values = {name: archive.read(name) for name in archive.names}
    texts = {name: values.pop(name) for name in list(values) if values[name].dtype.kind == "U"}
    return values, {name: str(text) for name, text in texts.items()}


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            "a .safetensors file needs safetensors: pip install 'nnreg[safetensors]'"
        ) from None
    return safetensors.numpy
