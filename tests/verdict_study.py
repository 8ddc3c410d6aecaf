"""How often the verdict of `nnreg compare` is right: synthetic data with a known truth.

    python tests/verdict_study.py            # 400 verdicts, about fifteen minutes of one processor
    python tests/verdict_study.py 4 100      # four cases from number 100: 80 verdicts

A case is a process with known probabilities, a number of rows, and a network with its penalty and
epochs, all drawn at random. Of each case 20 data sets are drawn. The true answer is that of the
mean losses, over the 20 networks trained on all rows, on 100,000 fresh rows: of the network, and of
its neighbours with half and twice the units and epochs, and a third and three times the penalty.
The verdict on each data set, made by `nnreg.lab.comparison.validation` from its rows alone, is
compared with it.

Thousands of small networks are trained, so this file trains them side by side, with the initial
weights and the batches of `nnreg.fit`; `test_verdicts.py` compares the losses. Dropout is left out.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnreg._support.typing import Array
from nnreg.lab import VARIANTS, Settings, Strengths, build_network
from nnreg.lab.comparison.selection import ModelSelection
from nnreg.lab.comparison.validation import (
    DIVISIONS,
    Candidate,
    Run,
    ValidatedVariant,
    Validation,
    compute_losses,
    list_changes,
)
from nnreg.lab.preprocessing import PreparedRows, Rows, standardize
from nnreg.lab.verdicts import SMALLEST_GAIN, WORDS
from nnreg.random import generator

SIZES = (60, 120, 300, 1005, 120, 60, 300, 1005, 120, 4995)  # folds of equal size
DRAWS = 20
FRESH = 5_000  # rows for each draw, 100,000 in all
ZONE = 2  # an effect is near the limit if it is within this factor of SMALLEST_GAIN
RATE = 0.01


class Process:
    """Classes of known probability: Gaussians, a random network, or a wave with wrong labels."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.kind = str(rng.choice(["Gaussians", "network", "wave"]))
        self.inputs = {"Gaussians": int(rng.choice([2, 5])), "network": 5, "wave": 2}[self.kind]
        self.classes = 3 if self.kind == "Gaussians" else 2
        centers = rng.normal(size=(3, self.inputs))
        distance = float(rng.choice([1.0, 2.0, 3.0]))
        self.centers = centers * distance / np.linalg.norm(centers[0] - centers[1])
        self.first = rng.normal(size=(self.inputs + 1, 6))
        self.second = rng.normal(size=6) * float(rng.choice([1.0, 2.0, 5.0]))
        self.wrong = float(rng.choice([0.02, 0.1, 0.25]))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return inputs (n, D) and the probabilities of their classes, (n, K)."""
        x = rng.normal(size=(n, self.inputs))
        if self.kind == "Gaussians":
            x += self.centers[rng.integers(3, size=n)]
            logits = -0.5 * ((x[:, np.newaxis] - self.centers) ** 2).sum(axis=2)
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            return x, p / p.sum(axis=1, keepdims=True)
        if self.kind == "network":
            hidden = np.tanh(x @ self.first[1:] + self.first[0])
            p = 1 / (1 + np.exp(-(hidden @ self.second)))
        else:
            p = np.where(x[:, 1] > np.sin(2 * x[:, 0]), 1 - self.wrong, self.wrong)
        return x, np.stack([1 - p, p], axis=1)


@dataclass
class Case:
    """A process, a number of rows, and a network with its training; all drawn at random."""

    number: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.number, 0])
        self.process, self.rows = Process(rng), SIZES[self.number % len(SIZES)]
        hidden = ((1,), (2,), (4,), (8,), (32,), (16, 16))[rng.integers(6)]
        self.settings = Settings(
            hidden=hidden,
            epochs=int(rng.choice([8, 20, 40])),
            batch_size=min(512, max(8, self.rows // 10)),
            learning_rate=RATE,
            l2=float(rng.choice([1, 3, 10, 100])) / self.rows,
            l1=float(rng.choice([0.3, 1, 3])) / self.rows,
            keep_prob=1.0,
        )
        self.variant = str(rng.choice(["none", "none", "L2", "L1"]))
        l2, l1 = Strengths(l2=self.settings.l2), Strengths(l1=self.settings.l1)
        strengths = dict(zip(VARIANTS, (Strengths(), l2, l1, Strengths(), l2), strict=True))
        self.selection = ModelSelection(strengths, ())
        self.base = Candidate(hidden, strengths[self.variant], self.settings.epochs)
        self.changes = list_changes(self.base, self.variant, self.selection)

    def draw(self, draw: int) -> tuple[PreparedRows, Array]:
        """Return training rows with fresh rows as test rows, and the probabilities of all."""
        rng = np.random.default_rng([self.number, 1, draw])
        x, p = self.process.draw(self.rows + FRESH, rng)
        y = (rng.random(len(x))[:, np.newaxis] > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        x = x.astype(np.float32)
        n = self.rows
        k = self.process.classes
        return PreparedRows(x[:n], y[:n], x[n:], y[n:], k, 0, False), p


def train(
    candidates: Sequence[Candidate],
    rows: Sequence[Rows],
    seeds: Sequence[int],
    classes: int,
    settings: Settings,
    measure: Callable[[Candidate, int, Callable[[Array], Array]], None],
) -> None:
    """Train candidates on several data sets of one size, all side by side, by Adam.

    ``measure(candidate, data set, predict)`` is called with every candidate after its epochs.
    """
    networks = {(c.hidden, c.strengths) for c in candidates}
    for hidden in {c.hidden for c in candidates}:
        lengths = {
            s: max(c.epochs for c in candidates if (c.hidden, c.strengths) == (hidden, s))
            for h, s in networks
            if h == hidden
        }
        for length in set(lengths.values()):
            group = [s for s in lengths if lengths[s] == length]
            wanted = [c for c in candidates if c.hidden == hidden and c.strengths in group]
            _train_group(wanted, group, rows, seeds, classes, settings, measure)


def _train_group(
    candidates: Sequence[Candidate],
    group: Sequence[Strengths],
    rows: Sequence[Rows],
    seeds: Sequence[int],
    classes: int,
    settings: Settings,
    measure: Callable[[Candidate, int, Callable[[Array], Array]], None],
) -> None:
    x, y = np.array([r.x for r in rows]), np.eye(classes, dtype=np.float32)[[r.y for r in rows]]
    hidden, (many, n, inputs) = candidates[0].hidden, x.shape
    layers = len(hidden) + 1
    nets = {
        seed: build_network(hidden, Strengths(), inputs=inputs, outputs=classes, seed=seed)
        for seed in set(seeds)
    }
    parameters = [
        np.array([[nets[seed].parameters[f"dense_{i + 1}.{name}"] for seed in seeds]] * len(group))
        for name in ("weight", "bias")
        for i in range(layers)
    ]
    parameters[layers:] = [bias[:, :, np.newaxis] for bias in parameters[layers:]]
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    l2, l1 = (
        np.array([getattr(s, name) for s in group], np.float32).reshape(-1, 1, 1, 1)
        for name in ("l2", "l1")
    )

    def forward(x: Array, nets: object = slice(None)) -> list[Array]:
        outputs = [x]
        for i in range(layers):
            z = outputs[-1] @ parameters[i][nets] + parameters[layers + i][nets]
            outputs.append(np.maximum(z, 0) if i < layers - 1 else z)
        return outputs

    step = 0
    for epoch in range(max(c.epochs for c in candidates)):
        orders = {seed: generator(seed, "order", epoch).permutation(n) for seed in set(seeds)}
        order = np.array([orders[seed] for seed in seeds])
        for start in range(0, n, settings.batch_size):
            batch = np.arange(many)[:, np.newaxis], order[:, start : start + settings.batch_size]
            *inside, logits = forward(x[batch])
            p = np.exp(logits - logits.max(axis=-1, keepdims=True))
            dz = (p / p.sum(axis=-1, keepdims=True) - y[batch]) / np.float32(batch[1].shape[1])
            gradients: list[Array] = [np.empty(0)] * (2 * layers)
            for i in reversed(range(layers)):
                gradients[i] = np.swapaxes(inside[i], -1, -2) @ dz + l2 * parameters[i]
                gradients[layers + i] = dz.sum(axis=-2, keepdims=True)
                if i:
                    dz = (dz @ np.swapaxes(parameters[i], -1, -2)) * (inside[i] > 0)
            step += 1
            for i, (w, g, m, v) in enumerate(
                zip(parameters, gradients, means, squares, strict=True)
            ):
                m += np.float32(0.1) * (g - m)
                v += np.float32(0.001) * (g * g - v)
                root = np.sqrt(v / np.float32(1 - 0.999**step))
                rate = np.float32(RATE) / (root + np.float32(1e-8))
                w -= rate * m / np.float32(1 - 0.9**step)
                if i < layers and l1.any():
                    w[:] = np.sign(w) * np.maximum(np.abs(w) - rate * l1, 0)
        for candidate in candidates:
            if candidate.epochs == epoch + 1:
                s = group.index(candidate.strengths)
                for g in range(many):
                    measure(candidate, g, lambda x, nets=(s, g): forward(x, nets)[-1])


class SideBySide(Validation):
    """The validation of one data set, with runs that were trained side by side with others."""

    def train(self, wanted: object) -> None:
        """Leave `runs` as it is; `judge` raises KeyError if one is not trained yet."""


def study(case: Case) -> dict[str, object]:
    """Return the true answer of a case, and the verdicts on its draws."""
    seeds, classes, settings = range(DRAWS), case.process.classes, case.settings
    drawn = [case.draw(draw) for draw in seeds]
    more, less = (case.changes[side].values() for side in ("more", "less"))
    half = replace(case.base, hidden=tuple(max(1, units // 2) for units in case.base.hidden))
    tried = list(dict.fromkeys([case.base, *less, *more]))
    candidates = list(dict.fromkeys([*tried, half]))

    final = [standardize(rows) for rows, _ in drawn]
    losses = {candidate: np.empty(DRAWS) for candidate in candidates}
    trains = np.empty(DRAWS)

    def measure_truth(candidate: Candidate, draw: int, predict: Callable[[Array], Array]) -> None:
        p, outputs = drawn[draw][1][case.rows :], predict(final[draw].x_test)
        each = [compute_losses(outputs, np.full(FRESH, k)) for k in range(classes)]
        losses[candidate][draw] = (p.T * each).sum() / FRESH
        if candidate == case.base:
            trains[draw] = compute_losses(predict(final[draw].x), final[draw].y).mean()

    train(candidates, final, seeds, classes, settings, measure_truth)

    validations = [SideBySide(replace(settings, seed=draw), drawn[draw][0]) for draw in seeds]
    judged: dict[int, ValidatedVariant] = {}
    names = [case.variant]
    for divisions in range(1, DIVISIONS + 1):
        if not (waiting := [draw for draw in seeds if draw not in judged]):
            break
        pairs = [
            (validations[draw], fold)
            for draw in waiting
            for fold in np.unique(validations[draw].find_folds(divisions)[-1]).tolist()
        ]
        folds = [validation.folds[fold] for validation, fold in pairs]

        def measure(candidate: Candidate, g: int, predict: Callable[[Array], Array]) -> None:
            validation, fold = pairs[g]  # noqa: B023  # called in this turn
            rows, full = validation.folds[fold], validation.at_full_length(candidate)
            run = validation.runs.setdefault((fold, full), Run())
            run.losses[candidate.epochs] = compute_losses(predict(rows.x_test), rows.y_test)
            mean = compute_losses(predict(rows.x), rows.y).mean()
            run.train_losses[candidate.epochs] = float(mean)

        repeated = [validation.settings.seed + fold for validation, fold in pairs]
        train(tried, folds, repeated, classes, settings, measure)
        for draw in waiting:
            with contextlib.suppress(KeyError):  # another division is needed
                judged |= {draw: validations[draw].judge(names, case.selection)[case.variant]}

    base = losses[case.base].mean()
    gains = {
        side: max(1 - losses[c].mean() / base for c in side_candidates)
        for side, side_candidates in (("less", [*less, half]), ("more", more))
    }
    entropies = [-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1).mean() for _, p in drawn]
    floor = float(np.mean(entropies))  # the lowest expected loss
    lowest = [-np.log(p[np.arange(case.rows), r.y]).mean() for r, p in drawn]  # of these labels
    gains["more"] = gains["more"] if trains.mean() >= floor else -np.inf
    words = [judged[draw].verdict.word for draw in seeds]
    return {
        "case": f"{case.process.kind}, {case.rows} rows, {case.base}",
        "rows": case.rows,
        "truth": WORDS[gains["less"] >= SMALLEST_GAIN, gains["more"] >= SMALLEST_GAIN],
        "clear": not any(1 / ZONE < gain / SMALLEST_GAIN < ZONE for gain in gains.values()),
        "gains": gains,
        "verdicts": words,
        "below floor": sum(
            word == "underfit" and loss < least
            for word, loss, least in zip(words, trains, lowest, strict=True)
        ),
        "draws": (trains, np.array(lowest)),
        "losses": (floor, float(trains.mean()), float(base)),
        "changes": [judged[draw].changes for draw in seeds],
    }


def summarize(results: Sequence[dict[str, object]]) -> list[str]:
    """Return the table, in Markdown."""
    lines = [
        "| rows | verdicts | right | wrong | not known | right of the known |",
        "|---|---|---|---|---|---|",
    ]
    groups = {str(n): [r for r in results if r["rows"] == n] for n in sorted(set(SIZES))}
    groups |= {"all": results, "all but those near the limit": [r for r in results if r["clear"]]}
    for name, group in groups.items():
        counts = Counter(
            "not known" if word == "not known" else "right" if word == r["truth"] else "wrong"
            for r in group
            for word in r["verdicts"]
        )
        n, known = counts.total(), counts["right"] + counts["wrong"]
        shares = [counts[w] / max(n, 1) for w in ("right", "wrong", "not known")]
        shares.append(counts["right"] / max(known, 1))
        lines.append(f"| {name} | {n} | " + " | ".join(f"{s:.1%}" for s in shares) + " |")
    return lines


def main(count: int = 20, first: int = 0) -> None:
    """Print each case when it is finished, then the table."""
    results: list[dict[str, object]] = []
    with contextlib.suppress(KeyboardInterrupt):
        for number in range(first, first + count):
            results.append(result := study(Case(number)))
            floor, trained, loss = result["losses"]
            gains = ", ".join(f"{side} {gain:+.3f}" for side, gain in result["gains"].items())
            print(f"{number}: {result['case']}")
            print(f"  noise floor {floor:.3f}, train loss {trained:.3f}, loss {loss:.3f}; {gains}")
            print(f"  {result['truth']}; verdicts: {dict(Counter(result['verdicts']))}", flush=True)
    print("\n".join(summarize(results)))
    print("underfit below the noise floor:", sum(r["below floor"] for r in results))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
