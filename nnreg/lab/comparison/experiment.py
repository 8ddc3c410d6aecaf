"""The comparison experiment: one network, five regularizers, everything else equal.

Within a repeat all five variants start from the same weights and are trained on the same batches in
the same order, because both are functions of the seed. Every variant has the dropout layers; with
``keep_prob = 1`` they are the identity. So the results differ by regularization alone, and the
repeats, which differ in their seed, measure the random variation of the differences.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from nnreg._support.blas import blas_threads
from nnreg._support.typing import Array
from nnreg.datasets import Dataset
from nnreg.lab.comparison.figures import VariantRun
from nnreg.lab.comparison.report import Comparison
from nnreg.lab.comparison.selection import make_grids, select_strengths
from nnreg.lab.comparison.validation import LOSS, Validation
from nnreg.lab.preprocessing import Rows, standardize
from nnreg.lab.reporting.results import Progress, Task, cache_key, end_workers, run_cached
from nnreg.lab.settings import VARIANTS, Settings, Strengths, build_network
from nnreg.network import Network
from nnreg.training.loop import fit
from nnreg.training.step import NonFiniteLossError

Key = TypeVar("Key", bound=Hashable)


def compare(
    dataset: Dataset,
    settings: Settings | None = None,
    *,
    folder: Path | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Select the strengths, train every variant in every repeat, then find the verdicts.

    Parameters
    ----------
    dataset : Dataset
        From `nnreg.datasets.load`.
    settings : Settings, optional
    folder : Path, optional
        Where the results of finished runs are saved; an interrupted comparison reads them from
        there.
    jobs : int, optional
        Number of worker processes for the runs. More than one requires joblib. None means 1 or,
        inside ``joblib.parallel_config(...)``, its backend and its number. The result is the same.
    progress : function (text, done, total), optional
        Called after every run. The total is an estimate: the verdicts may need more runs or fewer.

    Raises
    ------
    ValueError
        If the data are too few for the settings.
    NonFiniteLossError
        If the loss of a final run is not finite. In the selection, such a candidate is rejected.
    KeyboardInterrupt
        On Ctrl-C. The finished runs are in ``folder``.

    Notes
    -----
    BLAS uses one thread: the matrices are small, and the results are then the same for any number
    of processors.

    Examples
    --------
    >>> from nnreg.datasets import load
    >>> settings = Settings(l2=0.1, l1=0.001, keep_prob=0.5, epochs=2, train_size=50, repeats=1)
    >>> comparison = compare(load("digits"), settings)
    >>> comparison.curves("L2", "test_loss").shape
    (1, 2)
    """
    rows, settings = (Settings() if settings is None else settings).prepare(dataset)
    n, digest = len(rows.x), rows.digest()
    training = replace(settings, repeats=1)  # so that saved runs are valid for any number
    finished = total = 0

    def compute(tasks: Mapping[Key, Task]) -> dict[Key, dict[str, Array]]:
        nonlocal finished
        keys = {cache_key("compare", digest, training, each): each for each in tasks}

        def count(done: int, new: int) -> None:
            if progress is not None:
                progress("runs", finished + done, max(total, finished + new))

        results = run_cached(
            {key: tasks[each] for key, each in keys.items()},
            folder=folder,
            jobs=jobs,
            progress=count,
            keep_workers=True,
        )
        finished += len(tasks)
        return {keys[key]: result for key, result in results.items()}

    validation = Validation(settings, rows, compute)
    grids, folds = make_grids(settings, n), validation.count_folds
    total = sum(map(len, grids.values())) + len(grids.get("l2", ()))
    total += len(VARIANTS) * (settings.repeats + 2 * folds)
    with blas_threads(1), end_workers(jobs):
        selection = select_strengths(settings, n, validation.select_losses)
        final = standardize(rows)
        results = compute(
            {
                (variant, strengths, repeat): partial(
                    train_variant, variant, strengths, repeat, final, training, rows.classes
                )
                for repeat in range(settings.repeats)
                for variant, strengths in selection.strengths.items()
            }
        )
        validated = validation.judge(VARIANTS, selection)
    runs: dict[str, list[VariantRun]] = {variant: [] for variant in VARIANTS}
    for (variant, strengths, repeat), result in results.items():
        net = build_variant(strengths, repeat, final, settings, rows.classes)
        runs[variant].append(make_run(net, result))
    rows_held_out = len(validation.folds[0].x_test)
    return Comparison(dataset, rows, settings, selection, rows_held_out, runs, validated)


def build_variant(
    strengths: Strengths, repeat: int, rows: Rows, settings: Settings, classes: int
) -> Network:
    """Return the initial network of one variant in one repeat."""
    return build_network(
        settings.hidden,
        strengths,
        inputs=rows.x.shape[1],
        outputs=classes,
        seed=settings.seed + repeat,
        l1_method=settings.l1_method,
    )


def train_variant(
    variant: str, strengths: Strengths, repeat: int, rows: Rows, settings: Settings, classes: int
) -> dict[str, Array]:
    """Train one variant in one repeat, and evaluate it after every epoch.

    Returns
    -------
    dict of str to ndarray
        The curves of a `VariantRun`, ``parameters``, ``counts`` of steps and epochs, ``seconds``.
    """
    net = build_variant(strengths, repeat, rows, settings, classes)
    figures: list[dict[str, float]] = []
    try:
        with blas_threads(1):
            history = fit(
                net,
                rows.x,
                rows.y,
                loss=LOSS,
                optimizer=settings.new_optimizer(),
                epochs=settings.epochs_for(len(rows.x)),
                batch_size=settings.batch_size,
                callbacks=[lambda state: figures.append(measure(net, rows))],
            )
    except NonFiniteLossError as error:
        error.args = (f"{variant} ({strengths}), repeat {repeat + 1}: {error}",)
        raise
    return {
        **{name: np.array([part[name] for part in figures]) for name in figures[0]},
        "parameters": net.parameters.vector.copy(),
        "counts": np.array([net.steps, net.epochs]),
        "seconds": np.array(sum(history["seconds"])),
    }


def measure(net: Network, rows: Rows) -> dict[str, float]:
    """Return the figures of a network in inference mode."""
    figures: dict[str, float] = {}
    for part, x, y in (("train", rows.x, rows.y), ("test", rows.x_test, rows.y_test)):
        outputs = net.predict(x)
        figures[f"{part}_accuracy"] = float(np.mean(LOSS.classes(outputs) == y))
        figures[f"{part}_loss"] = float(LOSS.compute(outputs, y)[0])
    figures["penalty"] = float(net.penalty_value())
    return figures


def make_run(net: Network, result: Mapping[str, Array]) -> VariantRun:
    """Return the figures of a run, with the network as :func:`train_variant` has trained it."""
    curves = {name: values.tolist() for name, values in result.items() if values.ndim}
    net.parameters.vector[...] = curves.pop("parameters")
    net.steps, net.epochs = curves.pop("counts")
    weights = net.parameters.weights
    last = {name: values[-1] for name, values in curves.items()}
    figures = last | {
        "gap": last["test_loss"] - last["train_loss"],
        "total": last["train_loss"] + last["penalty"],
        "weight_norm": float(np.linalg.norm(weights.astype(np.float64))),
        "zeros": float(np.mean(weights == 0)),
        "seconds": float(result["seconds"]),
    }
    return VariantRun(net.seed, figures, curves, net)
