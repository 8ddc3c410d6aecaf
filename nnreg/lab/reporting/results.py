"""Long work in pieces: over several processes if wanted, each result kept as it comes.

A piece is a function without arguments that returns named arrays. Its name is a digest of all that
its result depends on, so a file of that name holds what would be computed: whatever interrupted the
work, whoever goes on with it finds the finished pieces, and computes the others.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from nnreg._support import validation
from nnreg._support.files import write_whole
from nnreg._support.typing import Array
from nnreg._support.version import __version__

Piece = Callable[[], dict[str, Array]]


def digest(*parts: object) -> str:
    """Return a name for a piece whose result depends on ``parts``, as their ``repr`` shows them.

    Parameters
    ----------
    parts : objects
        What the result depends on. The versions of nnreg and NumPy are added.

    Raises
    ------
    ValueError
        If a ``repr`` tells where in memory a thing is, and so not what it is.

    Examples
    --------
    >>> digest("sine", 3) == digest("sine", 3), digest("sine", 3) == digest("sine", 4)
    (True, False)
    """
    text = repr((*parts, __version__, np.__version__))
    if " at 0x" in text:
        raise ValueError(f"only what its repr describes can be kept in a folder, got {text}")
    return sha256(text.encode()).hexdigest()[:24]


def collect(
    pieces: Mapping[str, Piece],
    *,
    folder: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Array]]:
    """Return the result of every piece, by name, computing those that are not in ``folder``.

    Parameters
    ----------
    pieces : mapping of str to function () -> dict of str to ndarray
        With ``jobs`` above 1 the functions go to other processes, so lambdas are welcome but what
        they hold must bear copying.
    folder : Path, optional
        Where results are kept, a file each. It is made for the first of them.
    jobs : int, default 1
        Processes. More than one need joblib.
    progress : function (done, total), optional
        Told after every piece.

    Raises
    ------
    ImportError
        With ``jobs`` above 1 and without joblib.
    KeyboardInterrupt
        When it comes. The finished pieces are in ``folder``.

    Examples
    --------
    >>> collect({"a": lambda: {"square": np.array(9)}})
    {'a': {'square': array(9)}}
    """
    jobs = validation.whole("jobs", jobs, 1)
    results: dict[str, dict[str, Array]] = {}
    for name in pieces:
        kept = None if folder is None else _read(folder / f"{name}.npz")
        if kept is not None:
            results[name] = kept
    missing = {name: piece for name, piece in pieces.items() if name not in results}
    if progress is not None:
        progress(len(results), len(pieces))
    for name, result in _computed(missing, jobs):
        if folder is not None:
            _keep(folder / f"{name}.npz", result)
        results[name] = result
        if progress is not None:
            progress(len(results), len(pieces))
    return {name: results[name] for name in pieces}


def _computed(pieces: Mapping[str, Piece], jobs: int) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield names and results, in the order in which they are finished."""
    if jobs == 1 or len(pieces) < 2:
        for name, piece in pieces.items():
            yield name, piece()
        return
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise ImportError(
            "more than one job needs joblib: pip install 'nnreg[parallel]', or jobs=1"
        ) from None
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield from parallel(delayed(_named)(name, piece) for name, piece in pieces.items())


def _named(name: str, piece: Piece) -> tuple[str, dict[str, Array]]:
    return name, piece()


def _keep(path: Path, result: dict[str, Array]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **result)
    write_whole(path, content.getvalue(), overwrite=True)


def _read(path: Path) -> dict[str, Array] | None:
    """Return what was kept, or None where there is no such file, or one that is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
        return None
