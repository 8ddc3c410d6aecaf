"""What a submission may use of the machine, where the platform lets a process be limited.

``resource`` is Unix's. Elsewhere the time limit and the watch over what is printed remain.
"""

from __future__ import annotations

from pathlib import Path

PRINTED = 1_000_000  # bytes that one check may print
LARGEST_FILE = 16 * PRINTED  # beyond what is seen in time by whoever watches what is printed


def limit(megabytes: int) -> None:
    """Limit this process: ``megabytes`` more memory than now, no large files, no core dumps."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_AS: _mapped() + megabytes * 2**20,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in wanted.items():
        _, hard = resource.getrlimit(what)
        try:
            lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (lower, lower))
        except (ValueError, OSError):  # macOS refuses a limit below what it has mapped itself
            continue


def _mapped() -> int:
    """Return how many bytes of addresses this process has, if the system says so."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return 0
    import resource

    return int(statistics.read_text().split()[0]) * resource.getpagesize()
