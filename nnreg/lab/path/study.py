"""The study: the regularization path of one network, several times over, as `nnreg path` runs it.

Every repeat walks the same strengths with a seed of its own, and no repeat waits for another. A
point is kept as soon as it is finished, with the weights from which the next one begins, so an
interrupted study goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from nnreg._support import validation
from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.comparison.experiment import Progress, build
from nnreg.lab.path.convex import is_linear, solve
from nnreg.lab.path.regularization_path import grid, lambda_max, lasso, measure
from nnreg.lab.preprocessing import Prepared, Rows, prepare, standardized
from nnreg.lab.reporting.results import collect, digest
from nnreg.lab.settings import Settings, Strengths
from nnreg.lab.sparsity.pruning import dense_layers, prune
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.penalties import ElasticNet, Penalty
from nnreg.training.loop import fit

TOLERANCE = 1e-10  # of a linear model: far below the margin by which the path begins above zero


@dataclass(frozen=True)
class PathSettings:
    """The settings of a study.

    Parameters
    ----------
    hidden : tuple of int, default (256, 256)
        Units of the hidden layers, each followed by ReLU. None of them makes a linear model, which
        is brought to its optimum at every strength.
    l2 : float, default 0
        Strength of an L2 penalty that stays the same: with it, the penalty is an elastic net.
    points : int, default 12
        Strengths of L1.
    ratio : float, default 0.001
        The weakest over the strongest.
    epochs : int, optional
        At each strength. Unless given, as many as make 1,000 steps, but 10 at least and 100 at
        most.
    batch_size : int, default 32
    learning_rate : float, optional
        Unless given, the optimizer's own; see `OPTIMIZERS`.
    optimizer : str, default "adam"
    train_size : int, optional
        Training rows to use; all of them unless given.
    label_noise : float, default 0
        Share of the training labels, in [0, 0.5), to make wrong.
    repeats : int, default 3
    seed : int, default 0

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

    hidden: tuple[int, ...] = (256, 256)
    l2: float = 0.0
    points: int = 12
    ratio: float = 1e-3
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    optimizer: str = "adam"
    train_size: int | None = None
    label_noise: float = 0.0
    repeats: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        validation.whole("points", self.points, 2)
        validation.number("ratio", self.ratio, 0, 1, open_low=True, open_high=True)
        self.training  # noqa: B018  # checks the others

    @property
    def training(self) -> Settings:
        """The settings that a comparison has too."""
        shared = {field.name for field in fields(Settings)}
        return Settings(**{name: value for name, value in vars(self).items() if name in shared})

    def penalty(self, strength: float) -> Penalty:
        """Return the penalty of one point."""
        return ElasticNet(strength, self.l2, method="proximal") if self.l2 else lasso(strength)


@dataclass(frozen=True, eq=False)
class PathStudy:
    """All that was found.

    Parameters
    ----------
    dataset : Dataset
    rows : Prepared
    settings : PathSettings
        With the number of epochs filled in.
    strengths : ndarray of shape (S,)
        Falling.
    figures : dict of str to ndarray of shape (R, S)
        Those of a path's `Point`, and ``zeros``, the share of weights that are exactly zero;
        ``inputs`` and ``units``, the inputs and hidden units that compaction leaves.
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
    rows: Prepared
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
    """Walk the path in every repeat.

    Parameters
    ----------
    dataset : Dataset
        From `nnreg.datasets.load`.
    settings : PathSettings, optional
    folder : Path, optional
        Where finished points are kept, and found again by the same study.
    jobs : int, default 1
        Repeats that are walked at once, each in a process of its own; several need joblib.
    progress : function (text, done, total), optional
        Told after every point or, with several jobs, after every repeat.

    Raises
    ------
    ValueError
        If the data are too few for the settings.
    NonFiniteLossError
        If training breaks down.
    KeyboardInterrupt
        When it comes. The finished points are in ``folder``.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = PathSettings((), points=3, train_size=50, repeats=1)
    >>> found = study_path(load("digits"), settings)
    >>> found.figures["nonzeros"][0, 0], found.figures["inputs"][0, 0]
    (np.float64(0.0), np.float64(1.0))
    """
    settings = PathSettings() if settings is None else settings
    prepared = prepare(
        dataset,
        train_size=settings.train_size,
        label_noise=settings.label_noise,
        seed=settings.seed,
    )
    n = len(prepared.x)
    settings = replace(settings, epochs=settings.training.epochs_for(n), train_size=n)
    walk = _Walk(standardized(prepared), settings, prepared.classes, folder)
    with blas_threads(1):
        first = walk.network(0)
        data = walk.rows.x, walk.rows.y
        top = lambda_max(first, *data, loss=walk.loss, penalty=settings.penalty)
    walk.strengths = tuple(grid(top, settings.points, settings.ratio, first.dtype))

    def tell(text: str, done: int) -> None:
        if progress is not None:
            progress(text, done, settings.repeats * settings.points)

    alone = jobs == 1
    # What goes to another process cannot hold a bar on this one's terminal.
    pieces = {
        f"repeat {repeat + 1}": partial(walk, repeat, tell if alone else None)
        for repeat in range(settings.repeats)
    }
    results = collect(
        pieces,
        jobs=jobs,
        progress=None if alone else lambda done, _: tell("repeats", done * settings.points),
    )
    found = list(results.values())
    weights = found[0]["parameters"][:, : first.parameters.weights.size]
    figures = {
        name: np.array([repeat[name] for repeat in found])
        for name in found[0]
        if name != "parameters"
    }
    return PathStudy(dataset, prepared, settings, np.array(walk.strengths), figures, weights)


@dataclass
class _Walk:
    """What the repeats share; called with a number, it walks that one."""

    rows: Rows
    settings: PathSettings
    classes: int
    folder: Path | None
    strengths: tuple[float, ...] = ()

    @property
    def loss(self) -> SoftmaxCrossEntropy:
        return SoftmaxCrossEntropy()

    def network(self, repeat: int) -> Network:
        """Return the network that a repeat begins with."""
        settings = self.settings
        inputs, seed = self.rows.x.shape[1], settings.seed + repeat
        net = build(Strengths(), settings.training, inputs, self.classes, seed)
        return net if settings.hidden else net.copy("float64")

    def __call__(
        self, repeat: int, tell: Callable[[str, int], None] | None = None
    ) -> dict[str, Array]:
        """Return the figures (S,) and the parameters (S, P) of one repeat's points."""
        net = self.network(repeat)
        content = sha256(b"".join(part.tobytes() for part in vars(self.rows).values())).hexdigest()
        places = range(len(self.strengths))
        order = places if is_linear(net) else reversed(places)
        alike = replace(self.settings, repeats=1)
        found: dict[int, dict[str, Array]] = {}
        for place in order:
            strength = self.strengths[place]
            name = digest("path", content, alike, repeat, self.strengths, place)
            visit = partial(self._visit, net, strength)
            point = collect({name: visit}, folder=self.folder)[name]
            net.parameters.vector[...] = point["parameters"]
            net.steps, net.epochs = (int(count) for count in point.pop("counts"))
            found[place] = point
            if tell is not None:
                done = repeat * len(self.strengths) + len(found)
                tell(f"repeat {repeat + 1}, L1 {strength:.2g}", done)
        return {name: np.array([found[place][name] for place in places]) for name in found[0]}

    def _visit(self, net: Network, strength: float) -> dict[str, Array]:
        """Train under one strength, and measure."""
        rows, settings = self.rows, self.settings
        net.penalty = settings.penalty(strength)
        with blas_threads(1):
            started = time.perf_counter()
            if is_linear(net):
                solve(net, rows.x, rows.y, loss=self.loss, tolerance=TOLERANCE)
            else:
                self._fit(net)
            seconds = time.perf_counter() - started
            test = rows.x_test, rows.y_test
            figures = measure(net, (rows.x, rows.y), test, self.loss, ["accuracy"])
        small = prune(net)
        figures |= {
            "seconds": seconds,
            "zeros": 1.0 - figures["nonzeros"] / net.parameters.weights.size,
            "inputs": len(small.inputs),
            "units": sum(layer.units for layer in dense_layers(small.network.layers)[:-1]),
        }
        result = {name: np.array(float(value)) for name, value in figures.items()}
        result["parameters"] = net.parameters.vector.copy()
        result["counts"] = np.array([net.steps, net.epochs])
        return result

    def _fit(self, net: Network) -> None:
        training = self.settings.training
        assert training.epochs is not None
        history = fit(
            *(net, self.rows.x, self.rows.y),
            loss=self.loss,
            optimizer=training.new_optimizer(),
            epochs=training.epochs,
            batch_size=training.batch_size,
        )
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
