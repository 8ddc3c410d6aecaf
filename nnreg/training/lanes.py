"""Lanes: threads that share one step, each with rows of the batch of its own.

NumPy lets go of the interpreter inside a matrix product and a long loop, so two Python threads,
each with BLAS held to one thread, keep two cores busy; and they wait for each other twice a step,
where BLAS's own threads meet after every product. A lane's cache hands out rows of the whole
batch's arrays. So when the lanes have met, the whole batch's arrays are there, and nothing was
copied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from nnreg._support.typing import Array
from nnreg.cache import Cache

# Multiplications in a step's matrix products from which on more than one thread is worth waking.
WORTHWHILE = 30_000_000


def split(multiplications: int, threads: int | None) -> tuple[int, int | None]:
    """Return how many lanes a step should have, and how many threads BLAS.

    A small step is over before a second thread has woken up. In a large one the threads of BLAS
    are fastest as long as nothing else runs on the machine: they wait for each other, busily, after
    every product. Lanes meet twice a step and are steady on a machine that is shared. So a number
    of threads that is asked for means lanes; without one, BLAS is left as it is set.

    Parameters
    ----------
    multiplications : int
        In the step's matrix products: three for each weight and row.
    threads : int or None
        What was asked for.

    Returns
    -------
    lanes : int
    blas : int or None
        None leaves BLAS alone.

    Examples
    --------
    >>> small, large = 3 * 2_368 * 16, 3 * 668_672 * 128
    >>> split(small, None), split(large, None), split(large, 2)
    ((1, 1), (1, None), (2, 1))
    """
    if multiplications < WORTHWHILE:
        return 1, 1
    return (1, None) if threads is None else (threads, 1)


_whole_arrays = threading.Lock()  # two lanes may ask for one new buffer at the same time


class LaneCache(Cache):
    """The cache of some rows of a batch: its arrays are rows of another cache's.

    Parameters
    ----------
    whole : Cache
        The batch's.

    Examples
    --------
    >>> whole = Cache()
    >>> lane = LaneCache(whole)
    >>> lane.take(2, 5, 8)
    >>> lane.array("y", (3, 4))[...] = 1.0
    >>> whole.array("y", (8, 4))[:, 0][2:5]
    array([1., 1., 1.], dtype=float32)
    """

    __slots__ = ("_start", "_stop", "_total", "_whole")

    def __init__(self, whole: Cache) -> None:
        super().__init__(whole.dtype)
        self._whole = whole
        self._start = self._stop = self._total = 0

    def take(self, start: int, stop: int, total: int) -> None:
        """Stand for the rows from ``start`` to ``stop`` of a batch of ``total``."""
        self._start, self._stop, self._total = start, stop, total
        for layer in self.layers.values():
            assert isinstance(layer, LaneCache)
            layer.take(start, stop, total)

    def __getitem__(self, layer: str) -> Cache:
        if layer not in self.layers:
            own = self.layers[layer] = LaneCache(self._whole[layer])
            own.take(self._start, self._stop, self._total)
        return self.layers[layer]

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Return this lane's rows of the whole batch's buffer; other shapes are the lane's own."""
        if shape[0] != self._stop - self._start:
            return super().array(name, shape, dtype)
        with _whole_arrays:
            whole = self._whole.array(name, (self._total, *shape[1:]), dtype)
        return whole[self._start : self._stop]


def join(whole: Cache, lanes: Sequence[Cache], names: Sequence[str]) -> None:
    """Make ``whole[name]``, for each layer, hold what the lanes have left, for all rows.

    Rows of one buffer become that buffer again; arrays of a layer's own are put together; anything
    else is taken from the first lane.
    """
    for name in names:
        parts = [lane[name] for lane in lanes]
        target = whole[name]
        for attribute, first in vars(parts[0]).items():
            values = [vars(part)[attribute] for part in parts]
            if (
                isinstance(first, np.ndarray)
                and first.ndim
                and len(first) == len(vars(parts[0])["dy"])
            ):
                first = _joined(values)
            elif any(value is not first for value in values) and not _same(values):
                raise ValueError(
                    f"{name} keeps {attribute!r}, which is not rows of the batch and differs "
                    "between lanes: keep arrays of rows, or say independent_rows = False"
                )
            vars(target)[attribute] = first


def _same(values: list[Any]) -> bool:
    """Return whether plain numbers, texts or arrays are equal; of anything else it is not known."""
    first = values[0]
    if isinstance(first, np.ndarray):
        return all(np.array_equal(first, value) for value in values)
    return isinstance(first, bool | int | float | str) and all(v == first for v in values)


def _joined(parts: list[Array]) -> Array:
    """Return arrays of successive rows as one, without a copy if they are rows of one buffer."""
    first, rows = parts[0], sum(len(part) for part in parts)
    base = first.base
    if not isinstance(base, np.ndarray) or base.shape[1:] != first.shape[1:]:
        return np.concatenate(parts)
    address = base.__array_interface__["data"][0]
    for part in parts:
        if part.base is not base or part.__array_interface__["data"][0] != address:
            return np.concatenate(parts)
        address += part.nbytes
    return base[:rows]


class Crew:
    """The caller and ``size - 1`` threads that wait for work; a context that ends them.

    Examples
    --------
    >>> with Crew(2) as crew:
    ...     crew.run(lambda lane: lane * 10)
    [0, 10]
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._tasks: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(size - 1)]
        self._done: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
        self._threads = [
            threading.Thread(
                target=self._serve, args=(lane,), daemon=True, name=f"nnreg-lane-{lane}"
            )
            for lane in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """Return ``[work(0), work(1), ...]``, done at the same time; an error in any is raised."""
        for tasks in self._tasks:
            tasks.put(work)
        results: list[Any] = [None] * self.size
        failure: BaseException | None = None
        try:
            results[0] = work(0)
        except BaseException as error:  # the others must be met in any case
            failure = error
        for _ in self._tasks:
            lane, results[lane], trouble = self._done.get()
            failure = failure or trouble
        if failure is not None:
            raise failure
        return results

    def _serve(self, lane: int) -> None:
        tasks = self._tasks[lane - 1]
        while (work := tasks.get()) is not None:
            try:
                result = work(lane)
            except BaseException as error:
                self._done.put((lane, None, error))
            else:
                self._done.put((lane, result, None))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for tasks in self._tasks:
            tasks.put(None)
        for thread in self._threads:
            thread.join()
