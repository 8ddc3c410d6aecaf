"""Path study: the regularization path of one network, repeated with several seeds.

All repeats have the same strengths; each has its own seed and is independent of the others. The
result of each point is saved together with the weights from which the next point starts, so an
interrupted study can be continued.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.path.convex import solve
from nnreg.lab.path.regularization_path import lambda_max, regularization_path, strength_grid
from nnreg.lab.preprocessing import PreparedRows, Rows, standardize
from nnreg.lab.reporting.results import Progress, cache_key, resolve_jobs, run_cached
from nnreg.lab.settings import Strengths, TrainingSettings, build_network
from nnreg.lab.sparsity import dense_layers, prune
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.penalties import ElasticNet
from nnreg.training.loop import fit

TOLERANCE = 1e-10  # of the solver; well below √ε, by which the first strength exceeds lambda_max
NETWORK_TOP = 0.25  # times the strength from which a network with hidden layers learns nothing
LOSS = SoftmaxCrossEntropy()


@dataclass(frozen=True)
class PathSettings(TrainingSettings):
    """The settings of a path study.

    Parameters
    ----------
    hidden, epochs, batch_size, learning_rate, optimizer, train_size, label_noise, repeats, seed
        As in `TrainingSettings`; ``epochs`` is the number for each strength, by default that of
        about 200 steps. Without hidden layers the model is linear and is trained to its optimum at
        each strength.
    l2 : float, default 0
        Strength of an L2 penalty at every point; above 0 the penalty is an elastic net.
    points : int, default 10
        Number of L1 strengths.
    ratio : float, default 0.001
        Ratio of the smallest to the greatest strength.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range.

    Examples
    --------
    >>> PathSettings(points=1)
    Traceback (most recent call last):
        ...
    ValueError: points must be a whole number of at least 2, got 1
    """

    steps: ClassVar[int] = 200  # each strength starts from the weights of the one before
    l2: float = 0.0
    points: int = 10
    ratio: float = 1e-3

    def penalty(self, strength: float) -> ElasticNet:
        """Return the penalty of one point."""
        return ElasticNet(strength, self.l2, method="proximal")


@dataclass(frozen=True, eq=False)
class PathStudy:
    """The result of a path study.

    Parameters
    ----------
    dataset : Dataset
    rows : PreparedRows
    settings : PathSettings
        With the number of epochs filled in.
    strengths : ndarray of shape (S,)
        In decreasing order.
    figures : dict of str to ndarray of shape (R, S)
        The figures of `PathPoint`, and ``zeros``, the share of weights that are exactly zero;
        ``inputs`` and ``units``, the numbers of inputs and hidden units after
        :func:`nnreg.lab.prune`.
    weights : ndarray of shape (S, W)
        Of the first repeat.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = PathSettings((8,), points=2, epochs=1, train_size=50, repeats=1)
    >>> study_path(load("digits"), settings).figures["zeros"].shape
    (1, 2)
    """

    dataset: Dataset
    rows: PreparedRows
    settings: PathSettings
    strengths: Array
    figures: dict[str, Array]
    weights: Array


def study_path(
    dataset: Dataset,
    settings: PathSettings | None = None,
    *,
    folder: Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> PathStudy:
    """Compute the regularization path in every repeat.

    Parameters
    ----------
    dataset : Dataset
        From `nnreg.datasets.load`.
    settings : PathSettings, optional
    folder : Path, optional
        Where the results of finished points are saved; an interrupted study reads them from there.
        The workers write them, so workers on other machines must have the folder too.
    jobs : int, optional
        Number of worker processes for the repeats. More than one requires joblib. None means 1 or,
        inside ``joblib.parallel_config(...)``, its backend and its number.
    progress : function (text, done, total), optional
        Called after every point or, with other processes, after every repeat.

    Raises
    ------
    ValueError
        If the data are too few for the settings.
    NonFiniteLossError
        If the loss of a training run is not finite.
    KeyboardInterrupt
        On Ctrl-C. The finished points are in ``folder``.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = PathSettings((), points=3, train_size=50, repeats=1)
    >>> study = study_path(load("digits"), settings)
    >>> study.figures["nonzeros"][0, 0], study.figures["inputs"][0, 0]
    (np.float64(0.0), np.float64(1.0))
    """
    prepared, settings = (PathSettings() if settings is None else settings).prepare(dataset)
    # absolute: the processes of a cluster have other working folders
    absolute = None if folder is None else folder.absolute()
    fitter = PathFitter(standardize(prepared), settings, prepared.classes, absolute)

    single = resolve_jobs(jobs) == 1  # a progress bar cannot be sent to another process
    tasks = {
        f"repeat {repeat + 1}": partial(fitter.fit_path, repeat, progress if single else None)
        for repeat in range(settings.repeats)
    }
    points = settings.points
    results = run_cached(
        tasks,
        jobs=jobs,
        progress=None
        if single or progress is None
        else lambda done, total: progress("repeats", done * points, total * points),
    )
    repeats = list(results.values())
    figures = {name: np.array([repeat[name] for repeat in repeats]) for name in repeats[0]}
    weights = figures.pop("weights")[0]
    return PathStudy(dataset, prepared, settings, fitter.strengths, figures, weights)


class PathFitter:
    """The computation of the path of each repeat.

    Parameters
    ----------
    rows : Rows
    settings : PathSettings
        With the number of epochs filled in.
    classes : int
    folder : Path or None
        Where the results of finished points are saved.
    """

    def __init__(
        self, rows: Rows, settings: PathSettings, classes: int, folder: Path | None
    ) -> None:
        self.rows, self.settings, self.classes, self.folder = rows, settings, classes, folder
        net = self.build_network(0)
        with blas_threads(1):
            top = lambda_max(net, rows.x, rows.y, loss=LOSS, penalty=settings.penalty)
        top *= NETWORK_TOP if settings.hidden else 1
        self.strengths = np.array(strength_grid(top, settings.points, settings.ratio, net.dtype))

    def build_network(self, repeat: int) -> Network:
        """Return the initial network of a repeat."""
        settings = self.settings
        net = build_network(
            settings.hidden,
            Strengths(),
            inputs=self.rows.x.shape[1],
            outputs=self.classes,
            seed=settings.seed + repeat,
        )
        return net if settings.hidden else net.copy("float64")

    def fit_path(self, repeat: int, progress: Progress | None = None) -> dict[str, Array]:
        """Return the figures (S,) and the weights (S, W) of the points of one repeat."""
        rows, net, total = self.rows, self.build_network(repeat), len(self.strengths)
        # So that saved results are valid for any number of repeats.
        settings = replace(self.settings, repeats=1)
        digest, seconds = rows.digest(), dict[float, float]()

        def train_cached(net: Network) -> None:
            key = cache_key("path", digest, settings, repeat, self.strengths, net.penalty)
            result = run_cached({key: partial(self.train, net)}, folder=self.folder, jobs=1)[key]
            net.parameters.vector[...] = result["parameters"]
            net.steps, net.epochs = result["counts"].tolist()
            strength = net.penalty.l1  # type: ignore[union-attr]  # an ElasticNet
            seconds[strength] = float(result["seconds"])
            if progress is not None:
                done = repeat * total + len(seconds)
                text = f"repeat {repeat + 1}, L1 {strength:.2g}"
                progress(text, done, self.settings.repeats * total)

        with blas_threads(1):
            path = regularization_path(
                net,
                rows.x,
                rows.y,
                loss=LOSS,
                penalty=settings.penalty,
                strengths=self.strengths,
                train=train_cached,
                test_data=(rows.x_test, rows.y_test),
                metrics=["accuracy"],
            )
        pruned = []
        for point in path.points:
            net.parameters.vector[...] = point.parameters
            pruned.append(prune(net))
        hidden = [dense_layers(part.network)[:-1] for part in pruned]
        return {
            **{name: path.values(name) for name in path.points[0].figures},
            "seconds": np.array([seconds[strength] for strength in path.strengths]),
            "zeros": 1.0 - path.values("nonzeros") / path.weights_size,
            "inputs": np.array([float(len(part.inputs)) for part in pruned]),
            "units": np.array([float(sum(layer.units for layer in part)) for part in hidden]),
            "weights": path.weights,
        }

    def train(self, net: Network) -> dict[str, Array]:
        """Train the network in place, and return its parameters, its counters and the time."""
        rows, settings = self.rows, self.settings
        started = time.perf_counter()
        if settings.hidden:
            fit(
                net,
                rows.x,
                rows.y,
                loss=LOSS,
                optimizer=settings.new_optimizer(),
                epochs=settings.epochs_for(len(rows.x)),
                batch_size=settings.batch_size,
            )
        else:
            solve(net, rows.x, rows.y, loss=LOSS, tolerance=TOLERANCE)
        return {
            "parameters": net.parameters.vector.copy(),
            "counts": np.array([net.steps, net.epochs]),
            "seconds": np.array(time.perf_counter() - started),
        }
