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

from nnreg._support.files import write_whole
from nnreg._support.system import reserve_folder
from nnreg.checkpoint import read_checkpoint
from nnreg.lab.reporting.results import list_results, read_file
from nnreg.training.resume import BEST, FILE_NAME

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


def read_numbers(folder: Path) -> dict[str, Any]:
    """Return the content of the ``report.json`` in a folder, empty if nnreg did not write it.

    >>> read_numbers(Path("no such folder"))
    {}
    """
    content = read_file(folder / REPORT) or b""
    body, _, end = content.rpartition(SEAL)
    if end != sha256(body).hexdigest().encode() + b'"\n}\n':
        return {}
    with suppress(ValueError, RecursionError):
        numbers: Any = json.loads(content)
        if isinstance(numbers, dict) and isinstance(numbers.get("files"), dict):
            return numbers
    return {}  # not as `seal` writes it


def written_files(folder: Path) -> dict[str, str]:
    """Return the files in a folder that are unchanged since nnreg wrote them, with their SHA-256.

    >>> written_files(Path("no such folder"))
    {}
    """
    numbers = read_numbers(folder)
    if not numbers:
        return {}
    digests = {**numbers["files"], REPORT: sha256(read_file(folder / REPORT) or b"").hexdigest()}
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
        _refuse_files(folder, {*report_files(pictures)} - written_files(folder).keys())
        with reserve_folder(folder):
            yield folder
    finally:
        for path in made:
            with suppress(OSError):  # it is not empty
                path.rmdir()


@contextmanager
def open_model_folder(
    out: Path, names: Iterable[str], run: Mapping[str, Any], *, force: bool = False
) -> Iterator[Path]:
    """Create the folder of a training run, or open the folder of a run that goes on.

    A folder belongs to a run if its ``report.json``, which is written first, has the key ``run``.

    Parameters
    ----------
    out : Path
    names : iterable of str
        The names of the files that the run will write, without ``report.json``.
    run : mapping of str to values
        The settings of the run, ready for JSON.
    force : bool, default False
        Begin anew: remove the unchanged files that nnreg wrote. Other files are kept.

    Yields
    ------
    Path

    Raises
    ------
    OSError
        If the folder cannot be created or has other files.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "pets"
    >>> with open_model_folder(out, ["model.npz"], {"epochs": 3}) as folder:
    ...     read_numbers(folder)["run"]
    {'epochs': 3}
    """
    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(f"{out} is read-only: name another folder")
        with reserve_folder(out):
            _begin_run(out, names, run, force)
        yield out
    finally:
        for path in made:
            with suppress(OSError):  # it is not empty
                path.rmdir()


def _refuse_files(folder: Path, names: Iterable[str]) -> None:
    """Raise if one of these files of the user exists."""
    for name in names:
        if os.path.lexists(folder / name):
            raise FileExistsError(
                f"{folder / name} was not written by nnreg, or was changed since, and is not "
                "replaced: move it, or name another folder"
            )


def _begin_run(out: Path, names: Iterable[str], run: Mapping[str, Any], force: bool) -> None:
    """Write the first ``report.json``, unless the folder belongs to a run that goes on."""
    if force:
        remove_run(out)
    elif "run" in read_numbers(out):
        return
    _refuse_files(out, (REPORT, *names))
    if others := [] if force else sorted(os.listdir(out)):
        raise FileExistsError(
            f"{out} has other files, such as {others[0]}: name a new folder, or add --force, "
            "which keeps them"
        )
    write_whole(out / REPORT, seal({"run": run, "files": {}}))


def remove_run(folder: Path) -> None:
    """Remove the unchanged files that nnreg wrote: the report, its files and the checkpoints.

    >>> remove_run(Path("no such folder"))
    """
    for name in (*list_checkpoints(folder), *written_files(folder)):
        (folder / name).unlink(missing_ok=True)


def list_checkpoints(folder: Path) -> list[str]:
    """Return the names of the checkpoints that are whole, the oldest first, then ``best.npz``.

    >>> list_checkpoints(Path("no such folder"))
    []
    """
    names = []
    for path in sorted(folder.glob("*.npz"), key=lambda path: (path.name == BEST, path.name)):
        if path.name == BEST or FILE_NAME.fullmatch(path.name):
            with suppress(OSError, ValueError):
                fields, _ = read_checkpoint(path)
                names += [path.name] if "settings" in fields.get("run", ()) else []
    return names


def _without_nan(value: Any) -> Any:
    """Return a JSON value with None instead of numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
