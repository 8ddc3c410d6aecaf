"""A run of the playground: a network in training whose settings change, and its exact repetition.

A run is determined by its initial settings, the changes with their step numbers, and the number of
steps: the same three give the same parameters to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.lab.comparison.validation import EARLIER, FAR_BELOW
from nnreg.lab.verdicts import FIT_RULE, Change, Verdict, classify_fit, compute_baseline
from nnreg.network import Network
from nnreg.playground.settings import (
    DEFAULTS,
    PlaygroundData,
    Settings,
    check,
    check_weight,
    make_data,
    make_layers,
    make_optimizer,
    make_rules,
    needs_reset,
)
from nnreg.training.order import draw_batches
from nnreg.training.step import IGNORE_FLOAT_ERRORS, NonFiniteLossError, TrainingStep

MAX_REPLAY, MAX_CHANGES = 1_000_000, 2_000
MAX_POINTS = 400  # of a curve
JUDGED_STEPS = 10_000  # a longer run is not repeated for the verdict
UNREGULARIZED: Settings = {"l1": 0.0, "l2": 0.0, "max_norm": 0.0}


class Run:
    """A network, its optimizer and its training step.

    Parameters
    ----------
    settings : dict
        Checked settings.
    data : PlaygroundData
    twin : bool, default False
        Whether the other treatment of L1 is used.
    """

    def __init__(self, settings: Settings, data: PlaygroundData, *, twin: bool = False) -> None:
        layers = make_layers(settings, data.outputs)
        seed, inputs = settings["seed"], data.x.shape[1]
        self.net = Network(layers, inputs=inputs, seed=seed, dtype="float64")
        self.loss, self.data, self.twin = data.loss, data, twin
        self.rules: dict[str, Any] = {}
        self._use(make_optimizer(settings))
        self.apply(settings)

    def _use(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.step = TrainingStep(self.net, self.loss, optimizer)

    def apply(self, settings: Settings, *, new_optimizer: bool = False) -> None:
        """Set the rules that differ from those in use."""
        if new_optimizer:
            self._use(make_optimizer(settings))
        rules = make_rules(settings, twin=self.twin)
        for place, value in rules.items():
            if repr(self.rules.get(place, self)) != repr(value):
                owner, _, attribute = place.rpartition(".")
                number = owner.removeprefix("net.layers[").rstrip("]")
                layers: dict[str, Any] = {"net": self.net, "optimizer": self.optimizer}
                setattr(layers.get(owner) or self.net.layers[int(number)], attribute, value)
        self.rules = rules

    def make_twin(self, settings: Settings) -> Run:
        """Return a copy that continues with the other treatment of L1."""
        other, vector = Run(settings, self.data, twin=True), self.net.parameters.vector
        other.net.parameters.vector[...] = vector
        other.net.steps, other.net.epochs = self.net.steps, self.net.epochs
        if self.optimizer.steps:
            other.optimizer.restore(self.optimizer.steps, self.optimizer.state, vector)
        return other

    def measure(self) -> tuple[float, float, float, Array]:
        """Return train loss, validation loss, penalty, and the losses of the validation rows."""
        data = self.data
        with np.errstate(**IGNORE_FLOAT_ERRORS):
            train, rows = (
                self.loss.compute_rows(self.net.run_predict(x), y, None)[0]
                for x, y in ((data.x, data.y), (data.x_val, data.y_val))
            )
            return float(train.mean()), float(rows.mean()), self.net.penalty_value(), rows

    def measure_accuracy(self) -> list[float | None]:
        """Return the accuracy on training and on validation rows; None for a regression."""
        data = self.data
        if not data.classes:
            return [None, None]
        pairs = ((data.x, data.y), (data.x_val, data.y_val))
        with np.errstate(**IGNORE_FLOAT_ERRORS):
            return [float((self.net.run_predict(x).argmax(axis=1) == y).mean()) for x, y in pairs]

    @property
    def zeros(self) -> int:
        """The number of weights that are exactly 0."""
        return int((self.net.parameters.weights == 0).sum())


class Curve:
    """Figures by epoch, at most `MAX_POINTS`: of a long run every second one, fourth one, ..."""

    def __init__(self) -> None:
        self.every = 1
        self.points: list[tuple[int, list[Any]]] = []

    def append(self, epoch: int, figures: list[Any]) -> None:
        """Add an epoch; the last one is always kept."""
        if self.points and (self.points[-1][0] % self.every or self.points[-1][0] == epoch):
            self.points.pop()
        self.points.append((epoch, figures))
        if len(self.points) > MAX_POINTS:
            self.every *= 2
            self.points = [p for p in self.points if p[0] % self.every == 0 or p[0] == epoch]


class Training:
    """A run from step 0, with the changes of its settings.

    Parameters
    ----------
    settings : dict
        Checked settings.

    Attributes
    ----------
    runs : list of Run
        The network that is shown, and its twin if there is one.
    stopped : dict or None
        Why training has ended: ``diverged`` or ``early stopping``.
    target : int or None
        In a repetition, the step at which it ends.

    Examples
    --------
    >>> training = Training(check({"rows": 50}))
    >>> training.train(12)
    >>> training.change({"l2": 0.1})
    >>> training.train(8)
    >>> training.state
    {'settings': {'rows': 50}, 'changes': [[12, {'l2': 0.1}]], 'steps': 20}
    >>> again = Training.repeat(training.state)
    >>> again.train(1000)
    >>> bool((again.main.net.parameters.vector == training.main.net.parameters.vector).all())
    True
    """

    def __init__(self, settings: Settings) -> None:
        self.data = make_data(settings)
        self.settings = self.initial = settings
        self.runs = [Run(settings, self.data)]
        self.changes: list[tuple[int, Settings]] = []
        self.future: list[tuple[int, Settings]] = []
        self.target: int | None = None
        self.steps, self.speed = 0, 0.0
        self.batch_loss: float | None = None
        self.stopped: dict[str, Any] | None = None
        self.judged: tuple[int, list[Change]] = (-1, [])
        self.figures: list[tuple[float, float, float, Array]] = []
        self.curve, self.points = Curve(), {}  # type: Curve, dict[int, Array]
        self._batches: list[Array] = []
        self._position = 0
        self._best: tuple[float, int, int, Array] | None = None
        if settings["compare"]:
            self.runs.append(self.main.make_twin(settings))
        self._record()

    @property
    def main(self) -> Run:
        """The run that is shown."""
        return self.runs[0]

    @property
    def epoch(self) -> int:
        """The number of complete epochs."""
        return int(self.main.net.epochs)

    @property
    def state(self) -> dict[str, Any]:
        """What `repeat` needs; for JSON."""
        initial = {name: v for name, v in self.initial.items() if v != DEFAULTS[name]}
        changes = [[step, knobs] for step, knobs in self.changes]
        return {"settings": initial, "changes": changes, "steps": self.steps}

    def change(self, knobs: Mapping[str, Any]) -> None:
        """Apply checked settings, or ``weight``, from the next step on."""
        old = self.settings
        new = {**old, **{name: value for name, value in knobs.items() if name != "weight"}}
        if "weight" in knobs:
            index, value = knobs["weight"]
            self.main.net.parameters.vector[index] = value
        for run in self.runs:
            run.apply(new, new_optimizer=new["optimizer"] != old["optimizer"])
        if new["compare"] != old["compare"]:
            self.runs[1:] = [self.main.make_twin(new)] if new["compare"] else []
        if not self._position:
            self._batches = []  # of an epoch that has not begun
        self.settings = new
        if self.changes and self.changes[-1][0] == self.steps and "weight" not in knobs:
            self.changes[-1][1].update(knobs)
        else:
            self.changes.append((self.steps, dict(knobs)))
        self._record()
        if not self._position and self.steps:
            self._stop_early()

    # --- Training ---------------------------------------------------------------------------------

    def next_rows(self) -> Array:
        """Return the row numbers of the next batch."""
        if not self._batches:
            net, rows = self.main.net, len(self.data.x)
            self._batches = list(draw_batches(rows, self.settings["batch_size"], net, True))
        return self._batches[self._position]

    @property
    def steps_to_epoch(self) -> int:
        """The number of steps to the end of the epoch."""
        self.next_rows()
        return len(self._batches) - self._position

    def train(self, steps: int, seconds: float = math.inf) -> None:
        """Train at most so many steps; a repetition ends at its last one."""
        start, first = time.perf_counter(), self.steps
        while True:
            while self.future and self.future[0][0] == self.steps:
                self.change(self.future.pop(0)[1])
            done, passed = self.steps - first, time.perf_counter() - start
            if self.target == self.steps or self.stopped:  # earlier, with another build of NumPy
                self.target = None
                break
            if done == steps or (done and passed > seconds):
                break
            self._train_batch()
        if done:
            self.speed = done / passed

    def _train_batch(self) -> None:
        rows, data = self.next_rows(), self.data
        try:
            losses = [run.step(data.x, data.y, rows) for run in self.runs]
        except NonFiniteLossError as error:
            self.stopped = {"why": "diverged", "step": error.step, "layer": error.layer}
            self.stopped |= {"epoch": self.epoch, "message": str(error)}
            return
        self.batch_loss, self.steps = losses[0], self.steps + 1
        self._position += 1
        if self._position == len(self._batches):
            self._batches, self._position = [], 0
            for run in self.runs:
                run.net.epochs += 1
            self._record()
            self._stop_early()

    def _record(self) -> None:
        self.figures = [run.measure() for run in self.runs]
        self.curve.append(self.epoch, self.figures)

    def _stop_early(self) -> None:
        """End training if the validation loss has not improved for ``patience`` epochs."""
        loss, vector = self.figures[0][1], self.main.net.parameters.vector
        patience = self.settings["patience"]
        if self._best is None or loss < self._best[0]:
            self._best = loss, self.epoch, self.steps, vector.copy()
        elif patience and self.epoch - self._best[1] >= patience and not self.stopped:
            best, epoch, step, vector[...] = self._best
            text = f"no validation loss below {best:.4g} of epoch {epoch}, which is restored"
            self.stopped = {"why": "early stopping", "epoch": self.epoch, "message": text}
            self.stopped |= {"best": epoch, "best_step": step}
            self.figures = [run.measure() for run in self.runs]

    # --- Repetition -------------------------------------------------------------------------------

    @classmethod
    def repeat(cls, state: Any) -> Training:
        """Return the beginning of the repetition of a run, which `train` continues.

        Raises
        ------
        ValueError, TypeError
            If the state is not one of a run.
        """
        validation.instance("state", state, dict, "an object")
        settings, changes = state.get("settings", {}), state.get("changes", [])
        validation.instance("settings", settings, dict, "an object")
        validation.instance("changes", changes, list, "a list")
        target = validation.whole("steps", state.get("steps", 0), 0, MAX_REPLAY)
        if len(changes) > MAX_CHANGES:
            raise ValueError(f"changes must be at most {MAX_CHANGES:,}, got {len(changes):,}")
        training = cls(check(settings))
        now, last = training.settings, 0
        for change in changes:
            if not isinstance(change, list) or len(change) != 2 or not isinstance(change[1], dict):
                raise TypeError(f"a change must be [step, knobs], got {validation.show(change)}")
            last = validation.whole("the step of a change", change[0], last, target)
            knobs = training.check_change(change[1], now)
            if knobs is None:
                raise ValueError(f"the change at step {last} needs a new run: {list(change[1])}")
            training.future.append((last, knobs))
            now = {**now, **{name: value for name, value in knobs.items() if name != "weight"}}
        training.target = target
        training.train(0)
        return training

    def check_change(self, knobs: Settings, settings: Settings) -> Settings | None:
        """Return what differs from the settings, checked; None if it needs a new run."""
        knobs = dict(knobs)
        weight = knobs.pop("weight", None)
        new = check({**settings, **knobs})
        if needs_reset(settings, new):
            return None
        changed = {name: new[name] for name in knobs if new[name] != settings[name]}
        if weight is not None:
            changed["weight"] = check_weight(weight, self.main.net.parameters.vector.size)
        return changed

    # --- Verdict ----------------------------------------------------------------------------------

    def judge(self, *, more: bool = False) -> dict[str, Any]:
        """Return the verdict by the one rule.

        Parameters
        ----------
        more : bool, default False
            Repeat the run for twice the epochs, and without regularization if it has some. By
            default only the epochs of this run are compared, so underfitting is not found.
        """
        if more and not self.stopped and self.judged[0] != self.steps <= JUDGED_STEPS:
            self.judged = self.steps, self._try_more()
        train, loss, _, rows = self.figures[0]
        changes = []
        for epoch in sorted({self.epoch // part for part in EARLIER}):
            at, figures = min(self.curve.points, key=lambda point: abs(point[0] - epoch))
            if 0 < at < self.epoch:
                changes.append(_compare(f"{at} epochs", "less", rows, figures[0][3]))
        judged = self.judged[0] == self.steps
        changes += self.judged[1] if judged else []
        y = self.data.y
        baseline = compute_baseline(y) if self.data.classes else float(y.var())
        with np.errstate(**IGNORE_FLOAT_ERRORS):
            error = float(rows.std(ddof=1)) / len(rows) ** 0.5
        verdict = classify_fit(train, loss, error, changes, baseline=baseline)
        lowest = loss * (1 - max((change.gain for change in changes), default=0.0))
        if verdict.word == "right fit" and not judged and train >= FAR_BELOW * lowest:
            text = "no change was tried that fits the training rows more closely"
            verdict = Verdict("not known", text)
        if self.stopped and self.stopped["why"] == "diverged":
            verdict = Verdict("diverged", self.stopped["message"])
        parts = {"word": verdict.word, "reason": verdict.reason, "rule": FIT_RULE}
        return {**parts, "changes": list(map(str, changes)), "judged": judged}

    def _try_more(self) -> list[Change]:
        rows = self.figures[0][3]
        longer = self._repeat_with({}, 2 * self.steps)
        changes = [_compare(f"{2 * self.epoch} epochs", "more", rows, longer)]
        plain = [{**layer, "keep_prob": 1.0, "penalty": None} for layer in self.settings["layers"]]
        without = {**UNREGULARIZED, "layers": plain}
        if any(self.settings[name] != value for name, value in without.items()):
            losses = self._repeat_with(without, self.steps)
            changes.append(_compare("no regularization", "more", rows, losses))
        return changes

    def _repeat_with(self, fixed: Settings, steps: int) -> Array:
        """Return the losses of the validation rows of a run that keeps some settings."""
        fixed = {**fixed, "patience": 0, "compare": False}
        other = Training(check({**self.initial, **fixed}))
        for step, knobs in self.changes:
            kept = {name: value for name, value in knobs.items() if name not in fixed}
            other.future.append((step, kept))
        other.train(steps)
        return np.full(len(self.data.x_val), np.inf) if other.stopped else other.figures[0][3]


def _compare(name: str, side: str, losses: Array, changed: Array) -> Change:
    """Return the effect of a change, with the standard error of the rows of this one run."""
    if not np.isfinite(changed).all() or not np.isfinite(losses.mean()):
        return Change(name, side, -math.inf, 0.0)
    gains = (losses - changed) / losses.mean()
    return Change(name, side, float(gains.mean()), float(gains.std(ddof=1)) / len(gains) ** 0.5)
