"""Output folders, in which nothing that nnreg did not write is overwritten or deleted.

A report consists of ``report.json`` and other files. ``report.json`` lists the SHA-256 of the
others and ends with the SHA-256 of the text before it. A file is replaced or removed only if its
content has the SHA-256 that the ``report.json`` in its folder lists. All other files are the
user's.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from nnreg._support.system import reserve_folder
from nnreg.lab.reporting.results import list_results, read_file

REPORT, PAGE = "report.json", "report.html"
SEAL = b'\n "sha256": "'


def report_files(pictures: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the files of a report.

    >>> report_files(["curves"])
    ('report.json', 'report.html', 'curves.png')
    """
    return (REPORT, PAGE, *(f"{name}.png" for name in pictures))


def seal(numbers: Mapping[str, Any]) -> bytes:
    r"""Return the content of a ``report.json``, which ends with the SHA-256 of the text before it.

    >>> seal({"a": 1})
    b'{\n "a": 1,\n "sha256": "3839993...3575"\n}\n'
    """
    text = json.dumps(_without_nan(numbers), indent=1, allow_nan=False, ensure_ascii=False)
    body = f"{text[:-2]},".encode()
    return body + SEAL + sha256(body).hexdigest().encode() + b'"\n}\n'


def written_files(folder: Path) -> dict[str, str]:
    """Return the files in a folder that are unchanged since nnreg wrote them, with their SHA-256.

    >>> written_files(Path("no such folder"))
    {}
    """
    content = read_file(folder / REPORT) or b""
    body, _, end = content.rpartition(SEAL)
    if end != sha256(body).hexdigest().encode() + b'"\n}\n':
        return {}
    try:
        digests = {**json.loads(content)["files"], REPORT: sha256(content).hexdigest()}
    except (ValueError, LookupError, TypeError, RecursionError):  # not as `seal` writes it
        return {}
    contents = {name: read_file(folder / name) for name in digests if Path(name).name == name}
    return {
        name: digests[name]
        for name, content in contents.items()
        if content is not None and sha256(content).hexdigest() == digests[name]
    }


@contextmanager
def open_folder(
    out: Path, pictures: Iterable[str], *, force: bool = False, resume: str = ""
) -> Iterator[Path]:
    """Create the folder of a report, before anything is computed; remove it if it stays empty.

    Parameters
    ----------
    out : Path
        If it exists already, a number is added: ``out-2``, ``out-3``.
    pictures : iterable of str
        Names of the report's pictures.
    force : bool, default False
        Use ``out`` itself, and replace an earlier report in it.
    resume : str, optional
        A kind of results, see `nnreg.lab.reporting.results.cache_key`: a folder that has such
        results of an interrupted run is used again.

    Yields
    ------
    Path

    Raises
    ------
    OSError
        If the folder cannot be created or another run is using it, or if a file of the report
        would replace one that nnreg did not write.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> with open_folder(out, []) as folder:
    ...     folder.name == f"{out.name}-2"
    True
    """
    folder, number = out, 1
    made: list[Path] = []
    try:
        while True:
            again = force or bool(list_results(folder, resume))
            made = [path for path in (folder, *folder.parents) if not path.exists()]
            try:
                folder.mkdir(parents=True, exist_ok=again)
                break
            except FileExistsError:
                if again:
                    raise
            if out.name in ("", ".."):
                raise FileExistsError(f"the folder {out} exists: name a new one, or add --force")
            number += 1
            folder = out.with_name(f"{out.name}-{number}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} is read-only: name another folder")
        for name in {*report_files(pictures)} - written_files(folder).keys():
            if os.path.lexists(folder / name):
                raise FileExistsError(
                    f"{folder / name} was not written by nnreg, or was changed since, and is not "
                    "replaced: move it, or name another folder"
                )
        with reserve_folder(folder):
            yield folder
    finally:
        for path in made:
            with suppress(OSError):  # it is not empty
                path.rmdir()


def _without_nan(value: Any) -> Any:
    """Return a JSON value with None instead of numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
