"""Machine, versions, threads and date: the conditions of a measurement."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "nnreg",
    "numpy",
    "scipy",
    "threadpoolctl",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "torch",
    "jax",
    "jaxlib",
    "scikit-learn",
    "onnx",
    "onnxruntime",
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS")


def processor() -> str:
    """Return the name of the processor."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_cores(count: int) -> None:
    """Restrict this process and those that it starts to so many cores, for Linux.

    Thread pools that are created afterwards have as many threads; NumPy's exists already.
    """
    from threadpoolctl import threadpool_limits

    allowed = sorted(os.sched_getaffinity(0))
    if not 1 <= count <= len(allowed):
        raise SystemExit(f"--cores must be 1 to {len(allowed)}, got {count}")
    os.sched_setaffinity(0, allowed[:count])
    threadpool_limits(count)


def version(package: str) -> str | None:
    """Return the installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of the installed packages; of nnreg, that of the imported code."""
    import nnreg

    installed = {package: version(package) for package in PACKAGES}
    return {name: v for name, v in installed.items() if v} | {"nnreg": nnreg.__version__}


def load() -> float | None:
    """Return the load average over the last minute."""
    return os.getloadavg()[0] if sys.platform != "win32" else None


def about() -> dict[str, Any]:
    """Return the conditions that are stored with every result."""
    import numpy  # noqa: F401  # so that its BLAS is loaded
    from threadpoolctl import threadpool_info

    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    keys = ("internal_api", "version", "threading_layer", "architecture", "num_threads")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
        "blas": [{key: pool.get(key) for key in keys} for pool in blas],
        "environment": {name: os.environ[name] for name in THREADS if name in os.environ},
        "load": load(),
    }


def peak_memory() -> int:
    """Return the peak memory of this process in bytes.

    Linux counts what a process inherits from its parent into ``ru_maxrss``, so there its own table
    is read.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
