"""Fixtures and settings of all tests: random examples, data folder, checks of global state."""

import os
import signal
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from state import changes, process_state, set_threads, threads

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's background job
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:  # there is a worker for each core
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for processes that tests start
    set_threads(int(os.environ["OPENBLAS_NUM_THREADS"]))

with suppress(ImportError):
    import sklearn.metrics  # noqa: F401  # draws from Python's generator when first imported

# No test fails because a machine is slow.
ANY_SPEED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("dev", max_examples=8, **ANY_SPEED)
hypothesis.settings.register_profile("ci", max_examples=50, derandomize=True, **ANY_SPEED)
hypothesis.settings.register_profile("thorough", max_examples=1000, **ANY_SPEED)
hypothesis.settings.register_profile(
    "mutation",
    max_examples=20,
    derandomize=True,
    **ANY_SPEED,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile(os.environ.get("NNREG_HYPOTHESIS", "dev"))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say how many examples are drawn and, of a run of all tests, how long it takes."""
    drawn = hypothesis.settings().max_examples
    lines = [f"random examples of each property: {drawn} (50 with NNREG_HYPOTHESIS=ci)"]
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        minutes = "two and a half" if config.option.markexpr == "not slow" else "seven"
        lines.append(f"time: about {minutes} minutes on two cores (-n 2), of which 20 s to begin")
    return lines


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on Windows what only POSIX can do."""
    if sys.platform == "win32":
        for item in items:
            if item.get_closest_marker("posix"):
                item.add_marker(pytest.mark.skip(reason="needs POSIX"))


@pytest.fixture(autouse=True)
def state_left_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    before = process_state()
    yield
    changed = changes(before, process_state())
    if request.path.parent.name == "parity":  # other frameworks set what they like
        changed = [name for name in changed if name.startswith("np.")]
    assert not changed


@pytest.fixture
def two_blas_threads() -> Iterator[None]:
    """Begin from two threads, also where the environment allows one."""
    before = threads()
    set_threads(2)
    if not before or set(threads()) != {2}:
        pytest.skip("this BLAS cannot be given a number of threads")
    yield
    set_threads(before[0])


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Return a generator of the test's own, the same in every run."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """Return the folder of the four MNIST files, or skip."""
    data = os.environ.get("NNREG_DATA")
    if not data:
        pytest.skip("needs MNIST: NNREG_DATA is not set")
    folder = Path(data) / "mnist"
    if not folder.is_dir():
        pytest.skip(f"needs MNIST: NNREG_DATA={data} has no folder mnist")
    return folder
