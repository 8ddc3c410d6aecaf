"""Cached results of long computations, in this process or in others.

A task is a function without arguments that returns named arrays. Its key is a digest of everything
that its result depends on. A result is saved in a file ``nnreg-KEY-DIGEST.npz``, where DIGEST is
that of the file's content: a damaged file, or one that nnreg did not write, is never read, replaced
or removed. When an interrupted run is repeated, finished results are read, the others computed.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import closing, contextmanager, nullcontext, suppress
from hashlib import sha256
from pathlib import Path

import numpy as np

from nnreg._support import validation
from nnreg._support.files import write_whole
from nnreg._support.interrupts import signal_handler
from nnreg._support.npz import ArrayFile
from nnreg._support.system import end_with_parent
from nnreg._support.typing import Array
from nnreg._support.version import __version__

Task = Callable[[], dict[str, Array]]

Progress = Callable[[str, int, int], None]
"""Called with a description, the number of finished units, and the number of all units."""


class WorkerDiedError(RuntimeError):
    """Worker processes ended before they returned their results."""


def cache_key(kind: str, *parts: object) -> str:
    """Return the key of a result that depends on the ``repr`` of ``parts``.

    Parameters
    ----------
    kind : str
        The experiment, with which the key begins.
    parts : objects
        Everything that the result depends on. The versions of nnreg and NumPy are added.

    Raises
    ------
    ValueError
        If a ``repr`` contains a memory address, so that it does not describe the object.

    Examples
    --------
    >>> cache_key("sine", 3) == cache_key("sine", 3), cache_key("sine", 3) == cache_key("sine", 4)
    (True, False)
    """
    # By default NumPy shortens long arrays and rounds their values.
    with np.printoptions(threshold=sys.maxsize, floatmode="unique", formatter=None):
        text = repr((*parts, __version__, np.__version__))
    if " at 0x" in text:
        raise ValueError(f"only objects whose repr describes them can be cached, got {text}")
    return f"{kind}-{sha256(text.encode()).hexdigest()[:24]}"


def run_cached(
    tasks: Mapping[str, Task],
    *,
    folder: Path | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    keep_workers: bool = False,
) -> dict[str, dict[str, Array]]:
    """Return the result of every task, by key, computing those that are not in ``folder``.

    Parameters
    ----------
    tasks : mapping of str to function () -> dict of str to ndarray
        For other processes the functions are pickled by joblib, which supports lambdas too.
    folder : Path, optional
        Where results are saved, one file per result. It is created for the first of them.
    jobs : int, optional
        As for :func:`resolve_jobs`.
    progress : function (done, total), optional
        Called after every task.
    keep_workers : bool, default False
        Leave joblib's worker processes to the next call, inside :func:`end_workers`.

    Raises
    ------
    ImportError
        With ``jobs`` above 1 and without joblib.
    WorkerDiedError
        If a worker process was killed, for instance for lack of memory. Dask starts it again, and
        computes its tasks elsewhere; there the error means that the scheduler was lost.
    KeyboardInterrupt
        On Ctrl-C. The finished results are in ``folder``; joblib's worker processes have ended.

    Examples
    --------
    >>> run_cached({"a": lambda: {"square": np.array(9)}})
    {'a': {'square': array(9)}}
    """
    ending = nullcontext() if keep_workers else end_workers(jobs)
    jobs = resolve_jobs(jobs)
    results: dict[str, dict[str, Array]] = {}
    for key in tasks:
        for path in [] if folder is None else list_results(folder, key):
            with suppress(ValueError), ArrayFile(str(path)) as file:
                results[key] = {name: file.read(name) for name in file.names}
    missing = {key: task for key, task in tasks.items() if key not in results}
    if progress is not None:
        progress(len(results), len(tasks))
    with ending, closing(_compute(missing, jobs)) as computed:
        for key, result in computed:
            if folder is not None:
                _save(folder, key, result)
            results[key] = result
            if progress is not None:
                progress(len(results), len(tasks))
    return {key: results[key] for key in tasks}


def resolve_jobs(jobs: int | None) -> int:
    """Return the number of processes, 1 for this process alone.

    Parameters
    ----------
    jobs : int or None
        More than 1 requires joblib. None means 1 or, inside ``joblib.parallel_config(...)``, its
        backend (such as Dask's) and its number of jobs.

    Raises
    ------
    ValueError, TypeError
        If it is not a positive whole number.

    Examples
    --------
    >>> import joblib
    >>> with joblib.parallel_config(n_jobs=3):
    ...     resolve_jobs(1), resolve_jobs(None)
    (1, 3)
    """
    if jobs is not None:
        return validation.whole("jobs", jobs, 1)
    joblib = sys.modules.get("joblib")  # if it is not imported, no configuration is active
    if joblib is None:
        return 1
    backend, number = joblib.parallel.get_active_backend()
    return int(backend.default_n_jobs if number is None else number)


@contextmanager
def end_workers(jobs: int | None) -> Iterator[None]:
    """End joblib's worker processes on this machine after the block.

    >>> with end_workers(jobs=1):
    ...     pass
    """
    try:
        yield
    finally:
        joblib = sys.modules.get("joblib")  # None: it is not installed, which was reported
        if joblib is not None and resolve_jobs(jobs) != 1:
            backend = joblib.parallel.get_active_backend()[0]
            if isinstance(backend, joblib.parallel.BACKENDS["loky"]):
                executor = joblib.externals.loky.get_reusable_executor(reuse=True)
                executor.shutdown(wait=True, kill_workers=True)


def list_results(folder: Path, kind: str) -> list[Path]:
    """Return the unchanged files of results, of one kind or with one key.

    >>> list_results(Path("no such folder"), "path")
    []
    """
    paths = folder.glob(f"nnreg-{kind}-*.npz") if kind else ()
    contents = ((path, read_file(path)) for path in paths)
    return [path for path, c in contents if c is not None and path.stem.endswith(_digest(c))]


def read_file(path: Path) -> bytes | None:
    """Return the content of a regular file, otherwise None.

    >>> read_file(Path("no such file"))
    """
    with suppress(OSError):
        if path.is_file() and not path.is_symlink():
            return path.read_bytes()
    return None


def _compute(
    tasks: Mapping[str, Task], jobs: int
) -> Generator[tuple[str, dict[str, Array]], None, None]:
    """Yield keys and results, in the order in which they are finished."""
    if jobs == 1 or not tasks:
        for key, task in tasks.items():
            yield key, task()
        return
    try:
        from joblib import Parallel, delayed
        from joblib.parallel import BACKENDS, get_active_backend
    except ImportError:
        raise ImportError(
            "more than one job requires joblib: pip install 'nnreg[parallel]', or jobs=1"
        ) from None
    backend = get_active_backend()[0]
    local, streams = isinstance(backend, BACKENDS["loky"]), backend.supports_return_generator
    # Arrays are copied to the workers: `fit` shuffles memory-mapped data in another order. To a
    # cluster all tasks are sent at once, for workers that join later.
    parallel = Parallel(
        n_jobs=jobs,
        return_as="generator_unordered" if streams else "list",
        max_nbytes=None,
        pre_dispatch="2 * n_jobs" if local else "all",
    )
    try:
        # Worker processes inherit the ignored signal, so Ctrl-C interrupts this process only. To
        # block the signal would have no effect, because joblib unblocks it.
        with signal_handler(signal.SIGINT, signal.SIG_IGN):
            try:
                results = parallel(
                    delayed(_work)(os.getpid(), key, task) for key, task in tasks.items()
                )
            except OSError as error:
                if local or not streams:  # it may be that of a task
                    raise
                raise CancelledError from error  # the scheduler does not answer
        try:
            for result in results:  # noqa: UP028  # `yield from` would close it with a warning
                yield result
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # joblib warns that tasks are cancelled
                if streams:
                    results.close()
    except BrokenExecutor:
        raise WorkerDiedError(
            "a worker process was killed, perhaps for lack of memory; use fewer jobs"
        ) from None
    except CancelledError:
        raise WorkerDiedError("the connection to the scheduler of the workers was lost") from None


def _work(parent: int, key: str, task: Task) -> tuple[str, dict[str, Array]]:
    """Compute a result in a worker, which may be a thread, or a process on another machine."""
    if os.getppid() == parent:
        end_with_parent(parent)
    return key, task()


def _save(folder: Path, key: str, result: dict[str, Array]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **result)
    content = buffer.getvalue()
    if list_results(folder, key):  # by a worker that was given up, but not dead
        return
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # a damaged file of this name is not replaced
        write_whole(folder / f"nnreg-{key}-{_digest(content)}.npz", content)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
