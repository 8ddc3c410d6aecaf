"""MPI: the communicator of all ranks, for ``fit(..., communicator=nnreg.distributed.world())``.

``mpiexec -n 4 python train.py`` starts four processes, the ranks, that run one script. ``fit`` uses
the communicator that it receives, so one that was made by mpi4py, such as ``MPI.COMM_WORLD`` or a
part of it, is accepted, too. What ``fit`` does with it is in :mod:`nnreg.training.shards`.

The rules for the script:

- Every rank calls ``fit`` with the same arguments, and its callbacks do the same on every rank. The
  ranks compare code, versions, arguments, data and parameters before training, and parameters after
  every epoch. ``state.stop`` on one rank stops all.
- Inside ``fit``, only rank 0 prints and writes files. Elsewhere, write ``if world().rank == 0``.
- ``checkpoint=`` saves the run; the same command continues it, on any number of ranks.
- If a rank can hold only a part of the data, write ``partitioned=True``; the parts in the order of
  the ranks are the data. The rows of each batch are then sorted, so that dropout masks belong to
  other rows than without it. A batch is divided as its rows are, which is less even.
- Ranks use one BLAS thread each, unless ``threads=`` is given.
"""

from __future__ import annotations

import sys
from typing import Any

from nnreg.training.shards import end_all_ranks


def world() -> Any:
    """Return the communicator of all ranks, ``MPI.COMM_WORLD`` of mpi4py.

    From this call on, an exception that a script does not catch ends all ranks, after its message.
    Without it, the other ranks would wait for the one that has ended, so call it first. Exceptions
    inside ``fit`` end all ranks with any communicator; ``sys.exit`` outside of it does so if the
    script is started by ``python -m mpi4py train.py``.

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
