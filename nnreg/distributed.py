"""MPI: the communicator of all ranks, for ``fit(..., communicator=nnreg.distributed.world())``.

``mpiexec -n 4 python train.py`` starts four processes, the ranks, that run one script. ``fit`` uses
the communicator that it receives, so one that was made by mpi4py, such as ``MPI.COMM_WORLD`` or a
part of it, is accepted, too. What ``fit`` does with it is in :mod:`nnreg.training.shards`.
"""

from __future__ import annotations

import sys
from typing import Any

from nnreg.training.shards import end_all_ranks


def world() -> Any:
    """Return the communicator of all ranks, ``MPI.COMM_WORLD`` of mpi4py.

    From this call on, an exception that a script does not catch ends all ranks, after its message.
    Without it, the other ranks would wait for the one that has ended. Exceptions inside ``fit`` do
    so with any communicator.

    Returns
    -------
    mpi4py.MPI.Intracomm

    Raises
    ------
    ImportError
        If mpi4py or MPI is not installed.

    Examples
    --------
    A script that was not started by ``mpiexec`` is the only rank:

    >>> world().size  # doctest: +SKIP
    1
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            "MPI needs mpi4py and an MPI library: pip install 'nnreg[mpi]'"
        ) from error
    communicator = MPI.COMM_WORLD
    if communicator.size > 1 and not isinstance(sys.excepthook, _EndAllRanks):
        sys.excepthook = _EndAllRanks(sys.excepthook, communicator)
    return communicator


class _EndAllRanks:
    """An exception hook that prints the exception as before, and ends all ranks."""

    def __init__(self, hook: Any, communicator: Any) -> None:
        self.hook, self.communicator = hook, communicator

    def __call__(self, kind: Any, error: Any, trace: Any) -> None:
        """Print the exception, and end all ranks."""
        self.hook(kind, error, trace)
        end_all_ranks(self.communicator)
