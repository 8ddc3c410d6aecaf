"""Sweeps on a Dask cluster: the numbers of one process, also after a worker was killed."""

import os
import random
import signal
import sys

import numpy as np
import pytest
from experiments import fake_pictures, quick
from test_path_study import same

from nnreg.commands import experiments
from nnreg.commands.main import main
from nnreg.datasets import load
from nnreg.lab import Polynomial, SamplingDesign, Sine, bias_variance_sweep, study_path
from nnreg.lab.path import study
from nnreg.lab.path.study import PathSettings
from nnreg.lab.reporting.results import WorkerDiedError, list_results

distributed = pytest.importorskip("distributed")
joblib = pytest.importorskip("joblib")

pytestmark = [pytest.mark.dask, pytest.mark.posix]

PATH = PathSettings((8,), points=3, epochs=2, train_size=60, repeats=3)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    state, path = random.getstate(), sys.path.copy()  # which distributed changes
    with distributed.Client(cluster) as client, joblib.parallel_config(backend="dask"):
        yield client
    random.setstate(state)
    sys.path[:] = path


@pytest.fixture(scope="module")
def whole():
    """The path, computed in this process."""
    return study_path(load("digits"), PATH, jobs=1)


def bias_variance():
    learners = {"1": Polynomial(1), "3": Polynomial(3)}
    sweep = bias_variance_sweep(learners, Sine(), SamplingDesign(datasets=3, points=50))
    return [result.predictions for result in sweep.values()]


def comparison():
    result = quick(hidden=(4,), epochs=1, repeats=1)
    changes = [part.gain for each in result.validated.values() for part in each.changes]
    return [run.weights for (run,) in result.runs.values()], changes


def grid_search():
    search = pytest.importorskip("sklearn.model_selection")
    from nnreg.estimators import MLPClassifier

    model = MLPClassifier((8,), solver="lbfgs", tol=1e9, random_state=0)
    x = np.random.default_rng(0).normal(size=(60, 4))
    grid = search.GridSearchCV(model, {"alpha": [1e-3, 1.0]}, cv=2, scoring="neg_log_loss")
    return grid.fit(x, x[:, 0] > x[:, 1]).cv_results_["mean_test_score"]


@pytest.mark.parametrize(
    "sweep", [bias_variance, comparison, pytest.param(grid_search, marks=pytest.mark.slow)]
)
def test_a_cluster_computes_what_one_process_computes(sweep, client):
    on_cluster = sweep()
    with joblib.parallel_config(backend="loky", n_jobs=1):
        np.testing.assert_equal(on_cluster, sweep())


@pytest.mark.reliability(
    fault="A worker of a Dask cluster is killed during a sweep",
    sees="Nothing: Dask computes its tasks elsewhere; no result is lost or stored twice",
)
def test_a_worker_that_is_killed_changes_no_number_and_doubles_no_point(client, whole, tmp_path):
    killed = []

    def kill(text, done, total):
        if done and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    result = study_path(load("digits"), PATH, folder=tmp_path, progress=kill)
    assert killed
    assert same(result, whole)
    assert len(list_results(tmp_path, "path")) == 9


def test_a_scheduler_that_is_lost_between_two_stages_is_named(client, monkeypatch):
    def fail(*arguments):
        raise distributed.comm.CommClosedError("Connection reset by peer")

    monkeypatch.setattr(joblib._dask.DaskDistributedBackend, "effective_n_jobs", fail)
    with pytest.raises(WorkerDiedError, match="the connection to the scheduler"):
        bias_variance()


def test_the_command_computes_on_the_workers_of_an_address(client, tmp_path, monkeypatch, capsys):
    fake_pictures(monkeypatch)
    monkeypatch.chdir(tmp_path)
    options = "--sweep degree --values 1 --datasets 3 --points 9 --out out --dask"
    address = client.scheduler.address
    assert main(["bias-variance", *options.split(), address]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.json", "report.html"}
    monkeypatch.setattr(experiments, "__version__", "0")
    assert main(["bias-variance", *options.split(), address]) == 2
    assert "install the same version on all machines" in capsys.readouterr().err


@pytest.mark.reliability(
    fault="All processes of a Dask cluster end during a sweep",
    sees="One line that the connection to the scheduler was lost, how many results are kept, and "
    "how to continue; exit status 1",
)
@pytest.mark.slow
def test_after_the_whole_cluster_is_gone_the_rest_is_computed(
    client, cluster, whole, tmp_path, monkeypatch
):
    def end(text, done, total):
        if done:
            cluster.close()

    message = ""
    try:
        study_path(load("digits"), PATH, folder=tmp_path, progress=end)
    except WorkerDiedError as error:
        message = str(error)
    kept = len(list_results(tmp_path, "path"))
    if kept < 9:  # else the cluster had computed all points before its end
        assert "scheduler" in message
    trained, fit = [], study.fit
    monkeypatch.setattr(study, "fit", lambda *a, **k: trained.append(1) or fit(*a, **k))
    assert same(study_path(load("digits"), PATH, folder=tmp_path, jobs=1), whole)
    assert 3 <= kept == 9 - len(trained)
