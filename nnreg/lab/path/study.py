"""Path study: the regularization path of one network, repeated with several seeds.

Every repeat has the same strengths and a seed of its own, and does not depend on the others. The
result of each point is kept together with the weights from which the next point starts, so an
interrupted study can be continued.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.path.convex import is_linear, solve
from nnreg.lab.path.regularization_path import fit_point, lambda_max, lasso, strength_grid
from nnreg.lab.preprocessing import PreparedRows, Rows, standardize
from nnreg.lab.reporting.results import Progress, cache_key, run_cached
from nnreg.lab.settings import Strengths, TrainingSettings, build_network
from nnreg.lab.sparsity import dense_layers, prune
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.penalties import ElasticNet, Penalty
from nnreg.training.loop import fit

TOLERANCE = 1e-10  # of a linear model: far below the margin by which the path starts above zero
LOSS = SoftmaxCrossEntropy()


@dataclass(frozen=True)
class PathSettings(TrainingSettings):
    """The settings of a path study.

    Parameters
    ----------
    hidden, epochs, batch_size, learning_rate, optimizer, train_size, label_noise, repeats, seed
        As in `TrainingSettings`; ``epochs`` are those at each strength. Without hidden layers the
        model is linear and is trained to its optimum at each strength.
    l2 : float, default 0
        Strength of an L2 penalty at every point; above 0 the penalty is an elastic net.
    points : int, default 12
        Number of L1 strengths.
    ratio : float, default 0.001
        The weakest strength over the strongest.

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

    l2: float = 0.0
    points: int = 12
    ratio: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        validation.number("l2", self.l2, 0)
        validation.whole("points", self.points, 2)
        validation.number("ratio", self.ratio, 0, 1, open_low=True, open_high=True)

    def penalty(self, strength: float) -> Penalty:
        """Return the penalty of one point."""
        return ElasticNet(strength, self.l2, method="proximal") if self.l2 else lasso(strength)


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
        Falling.
    figures : dict of str to ndarray of shape (R, S)
        Those of a `PathPoint`, and ``zeros``, the share of weights that are exactly zero;
        ``inputs`` and ``units``, the inputs and hidden units that :func:`nnreg.lab.prune` leaves.
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
    jobs: int = 1,
    progress: Progress | None = None,
) -> PathStudy:
    """Compute the regularization path in every repeat.

    Parameters
    ----------
    dataset : Dataset
        From `nnreg.datasets.load`.
    settings : PathSettings, optional
    folder : Path, optional
        Where the results of finished points are kept; a study that was interrupted takes them from
        there.
    jobs : int, default 1
        Repeats at once, each in a process of its own. More than one need joblib.
    progress : function (text, done, total), optional
        Called after every point or, with several jobs, after every repeat.

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
    fitter = PathFitter(standardize(prepared), settings, prepared.classes, folder)

    alone = jobs == 1  # a progress bar cannot be sent to another process
    tasks = {
        f"repeat {repeat + 1}": partial(fitter.fit_path, repeat, progress if alone else None)
        for repeat in range(settings.repeats)
    }
    count = settings.points
    results = run_cached(
        tasks,
        jobs=jobs,
        progress=None
        if alone or progress is None
        else lambda done, total: progress("repeats", done * count, total * count),
    )
    repeats = list(results.values())
    figures = {name: np.array([repeat[name] for repeat in repeats]) for name in repeats[0]}
    parameters = figures.pop("parameters")[0]
    weights = parameters[:, : fitter.build_network(0).parameters.weights.size]
    return PathStudy(dataset, prepared, settings, fitter.strengths, figures, weights)


class PathFitter:
    """Fits the path of each repeat.

    Parameters
    ----------
    rows : Rows
    settings : PathSettings
        With the number of epochs filled in.
    classes : int
    folder : Path or None
        Where the results of finished points are kept.
    """

    def __init__(
        self, rows: Rows, settings: PathSettings, classes: int, folder: Path | None
    ) -> None:
        self.rows, self.settings, self.classes, self.folder = rows, settings, classes, folder
        net = self.build_network(0)
        with blas_threads(1):
            top = lambda_max(net, rows.x, rows.y, loss=LOSS, penalty=settings.penalty)
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
        """Return the figures (S,) and the parameters (S, P) of the points of one repeat."""
        net = self.build_network(repeat)
        content = sha256(b"".join(part.tobytes() for part in vars(self.rows).values())).hexdigest()
        strengths = self.strengths.tolist()
        order = range(len(strengths)) if is_linear(net) else reversed(range(len(strengths)))
        settings = replace(self.settings, repeats=1)  # a repeat does not depend on their number
        points: dict[int, dict[str, Array]] = {}
        for index in order:
            key = cache_key("path", content, settings, repeat, strengths, index)
            task = partial(self.fit_point, net, strengths[index])
            point = run_cached({key: task}, folder=self.folder)[key]
            net.parameters.vector[...] = point["parameters"]
            net.steps, net.epochs = point.pop("counts").tolist()
            points[index] = point
            if progress is not None:
                done, total = len(points), len(strengths)
                text = f"repeat {repeat + 1}, L1 {strengths[index]:.2g}"
                progress(text, repeat * total + done, self.settings.repeats * total)
        return {name: np.array([points[i][name] for i in sorted(points)]) for name in point}

    def fit_point(self, net: Network, strength: float) -> dict[str, Array]:
        """Train the network in place under one strength; return its figures and parameters."""
        rows, settings = self.rows, self.settings
        options: dict[str, Any] = {"x": rows.x, "y": rows.y, "loss": LOSS}
        train: Callable[[Network], Any] = partial(solve, **options, tolerance=TOLERANCE)
        if settings.hidden:
            train = partial(
                fit,
                **options,
                optimizer=settings.new_optimizer(),
                epochs=settings.epochs_for(len(rows.x)),
                batch_size=settings.batch_size,
            )
        with blas_threads(1):
            point = fit_point(
                net,
                strength,
                settings.penalty,
                train,
                loss=LOSS,
                data=(rows.x, rows.y),
                test_data=(rows.x_test, rows.y_test),
                metrics=["accuracy"],
            )
        pruned = prune(net)
        figures = point.figures | {
            "zeros": 1.0 - point.figures["nonzeros"] / net.parameters.weights.size,
            "inputs": len(pruned.inputs),
            "units": sum(layer.units for layer in dense_layers(pruned.network.layers)[:-1]),
        }
        return {
            **{name: np.array(float(value)) for name, value in figures.items()},
            "parameters": point.parameters,
            "counts": np.array([net.steps, net.epochs]),
        }
