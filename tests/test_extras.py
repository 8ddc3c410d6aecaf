"""The extras: what each installs, and the error without it, as docs/reference/extras.md states."""

import configparser
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from small import fit, network

import nnreg as nn
from nnreg import interop, plots
from nnreg.commands.experiments import dask_workers
from nnreg.lab.reporting.results import run_cached

CHECKOUT = Path(__file__).parents[1]
PAGE = (CHECKOUT / "docs/reference/extras.md").read_text(encoding="utf-8")
DEVELOPMENT = {"all", "test", "docs", "dev"}


def run_two_jobs() -> None:
    run_cached({"a": dict, "b": dict}, jobs=2)


# By extra: the package that is missing, and a use of it.
USES: dict[str, tuple[str, Callable[[], object]]] = {
    "plots": ("matplotlib", lambda: plots.history_curves({"data_loss": [1.0]})),
    "progress": ("tqdm", lambda: fit(network(), callbacks=[nn.Progress()])),
    "pandas": ("pandas", lambda: nn.History().to_pandas()),
    "parallel": ("joblib", run_two_jobs),
    "dask": ("distributed", lambda: dask_workers("tcp://head:8786").__enter__()),
    "testing": ("hypothesis", lambda: import_module("nnreg.testing.strategies")),
    "safetensors": ("safetensors", lambda: nn.save(network(), "net.safetensors")),
    "sklearn": ("sklearn", lambda: import_module("nnreg.estimators")),
    "keras": ("h5py", lambda: interop.save_keras(network(), "net.keras")),
    "onnx": ("onnx", lambda: interop.save_onnx(network(), "net.onnx")),
    "mpi": ("mpi4py", lambda: nn.distributed.world()),
    "torch": ("torch", lambda: interop.to_torch(network())),
}


@pytest.fixture(scope="module")
def extras() -> dict[str, list[str]]:
    """The requirements by extra."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    section = setup["options.extras_require"]
    return {extra: section[extra].split() for extra in section}


def test_each_extra_for_users_is_tried(extras):
    assert set(USES) == set(extras) - DEVELOPMENT


def test_all_is_every_extra_for_users_but_torch_which_is_large(extras):
    (everything,) = extras["all"]
    assert everything == f"nnreg[{','.join(extra for extra in USES if extra != 'torch')}]"


@pytest.mark.parametrize("extra", USES)
def test_without_it_the_error_says_what_to_install(extra, tmp_path, monkeypatch):
    missing, use = USES[extra]
    blocked = {missing, *(name for name in sys.modules if name.startswith(f"{missing}."))}
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        for name in blocked:
            patch.setitem(sys.modules, name, None)
        for name in ("nnreg.estimators", "nnreg.testing.strategies"):  # imported anew
            patch.delitem(sys.modules, name, raising=False)
        with pytest.raises(ImportError) as caught:
            use()
    assert f"`{caught.value}`" in row_of(extra)
    assert f"pip install 'nnreg[{extra}]'" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extra", USES)
def test_the_page_states_what_it_installs(extra, extras):
    for requirement in extras[extra]:
        name, _, version = requirement.partition(";")[0].partition(">=")
        assert f"{name} {version}".strip() in row_of(extra)


def row_of(extra: str) -> str:
    """Return the row of the page's table."""
    (row,) = re.findall(rf"^\| `{extra}` \|.*$", PAGE, re.MULTILINE)
    return row
