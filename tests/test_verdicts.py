"""The verdict: its rule, its changes and its validation rows, and cases with a known answer."""

import dataclasses
import math

import numpy as np
import pytest
from experiments import each, quick
from verdict_study import Case, study, summarize, train

from nnreg.datasets import Dataset, load
from nnreg.lab import VARIANTS, Settings, Strengths
from nnreg.lab.comparison.selection import select_strengths
from nnreg.lab.comparison.validation import (
    Candidate,
    Validation,
    compute_here,
    compute_losses,
    list_changes,
    split_folds,
)
from nnreg.lab.preprocessing import prepare
from nnreg.lab.verdicts import Change, classify_fit, compute_baseline, has_diverged

SET = {"l2": 0.03, "l1": 0.003, "keep_prob": 0.5}


def judge(data, **settings):
    """Return the verdict on the network without regularization, and the loss on training rows."""
    rows, settings = Settings(**(SET | settings)).prepare(data)
    validation = Validation(settings, rows)
    selection = select_strengths(settings, len(rows.x), validation.select_losses)
    return validation.judge(["none"], selection)["none"].verdict


def make_noisy_classes(n=120):
    """Three overlapping Gaussians; the best possible accuracy is about 70 %."""
    rng = np.random.default_rng(3)
    y = np.arange(n) % 3
    x = np.array([[0.0, 0.0], [1.2, 0.0], [0.0, 1.2]])[y] + rng.normal(size=(n, 2))
    return Dataset("Gaussians", x, y, ("a", "b"), ("0", "1", "2"), "here")


def make_noisy_line(n=300):
    """Two classes; P(y = 1) is the normal distribution function of the first feature."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    y = (x[:, 0] + rng.normal(size=n) > 0).astype(int)
    return Dataset("line", x, y, ("a", "b", "c"), ("0", "1"), "here")


LESS, MORE = Change("less", "less", 0.2, 0.01), Change("more", "more", 0.2, 0.01)


def with_gain(change, gain, error=0.01):
    return dataclasses.replace(change, gain=gain, error=error)


class TestRule:
    @pytest.mark.parametrize(
        ("less", "more", "expected"),
        [
            (-0.5, -0.5, "right fit"),
            (0.05, 0.05, "right fit"),  # neither decrease is large enough to count
            (-0.5, 0.2, "underfit"),
            (0.2, -0.5, "overfit"),
            (0.2, 0.2, "mixed"),
            (0.101, -0.5, "not known"),  # within the standard error
            (0.101, 0.2, "underfit"),
            (0.2, 0.101, "overfit"),
            (-math.inf, 0.2, "underfit"),  # a change whose training breaks down does not help
        ],
    )
    def test_the_verdict_says_which_changes_help(self, less, more, expected):
        changes = [with_gain(LESS, less), with_gain(MORE, more)]
        assert classify_fit(1.0, 1.0, 0.01, changes, baseline=2.3).word == expected

    def test_the_best_change_of_each_kind_decides_and_is_the_reason(self):
        changes = [with_gain(LESS, 0.3), with_gain(LESS, -1.0), with_gain(MORE, -0.1)]
        verdict = classify_fit(0.1, 1.0, 0.01, changes, baseline=2.3)
        assert str(verdict) == "overfit: 30.0 % ± 1.0 lower with less"

    @pytest.mark.parametrize("changes", [[], [with_gain(LESS, 0.0)], [with_gain(MORE, 0.0)]])
    def test_what_was_not_tried_is_not_known(self, changes):
        verdict = classify_fit(1.1, 1.0, 0.01, changes, baseline=2.3)
        assert verdict.word == "not known"
        assert "no change was tried that fits the training rows" in verdict.reason

    @pytest.mark.parametrize(("train", "word"), [(0.5, "right fit"), (0.82, "underfit")])
    def test_a_low_train_loss_is_never_underfit(self, train, word):
        """The lowest loss on new rows is 0.8; the noise is not higher."""
        changes = [with_gain(LESS, 0.0), MORE]
        assert classify_fit(train, 1.0, 0.01, changes, baseline=2.3).word == word

    @pytest.mark.parametrize(
        ("train", "loss", "diverged"),
        [
            (1e30, 1e30, True),
            (23.1, 23.0, True),
            (math.inf, 1.0, True),
            (0.1, math.nan, True),
            (22.9, 23.0, False),
            (0.0, 30.0, False),
        ],
    )
    def test_a_loss_far_above_that_of_guessing_has_diverged(self, train, loss, diverged):
        word = classify_fit(train, loss, 0.0, [LESS, MORE], baseline=2.3).word
        assert (word == "diverged") == diverged

    @pytest.mark.parametrize(
        ("train", "more", "word"),
        [(1.05, -0.1, "not known"), (1.05, 0.2, "underfit"), (0.95, -0.1, "right fit")],
    )
    def test_a_network_that_learned_nothing_is_no_right_fit(self, train, more, word):
        """The best constant prediction has a loss of 1, with the noise subtracted."""
        changes = [with_gain(LESS, 0.0), with_gain(MORE, more)]
        verdict = classify_fit(train, 1.0, 0.01, changes, baseline=2.3, constant=1.0)
        assert verdict.word == word
        less_helps = classify_fit(1.05, 1.0, 0.01, [LESS, changes[1]], baseline=2.3, constant=1.0)
        assert less_helps.word == ("not known" if more < 0 else "mixed")

    def test_differences_are_paired_and_their_error_is_that_of_rows_or_of_runs(self):
        losses, runs = np.array([[1.0, 3.0, 1.0, 3.0] * 2]), np.array([[1] * 4 + [2] * 4])
        change = Change.compare("", "less", losses, losses - 0.5, runs)
        assert change == Change("", "less", 0.25, 0.0)
        lower = losses - (runs == 1)  # the rows of a run have the same difference
        change = Change.compare("", "less", losses, lower, runs)
        assert (change.gain, change.error) == (0.25, pytest.approx(0.25))
        broken = np.where(runs == 1, losses, math.inf)
        assert Change.compare("", "less", losses, broken, runs).gain == -math.inf

    def test_rows_that_are_measured_again_have_a_smaller_error(self):
        """The runs differ by chance: their errors are independent."""
        losses, runs = np.ones((4, 400)), np.arange(4 * 400).reshape(4, 400) // 10
        changed = 0.9 - np.random.default_rng(0).normal(size=160)[runs]
        once, all_four = (
            Change.compare("", "less", losses[:d], changed[:d], runs[:d]) for d in (1, 4)
        )
        assert all_four.error < 0.7 * once.error


class TestValidationRows:
    @pytest.mark.parametrize(("n", "folds"), [(4, 4), (60, 10), (120, 5), (200, 3), (1000, 3)])
    def test_each_row_is_validated_once_by_networks_trained_on_the_others(self, n, folds):
        rows = prepare(load("digits"), train_size=n, label_noise=0.0, seed=0)
        rows = dataclasses.replace(rows, x=np.arange(float(n))[:, np.newaxis])
        validation = Validation(Settings(epochs=1), rows)
        assert [len(np.unique(numbers)) for numbers in validation.find_folds(3)] == [
            folds,
            *[max(folds, min(5, n))] * 2,
        ]
        divided = split_folds(rows.y, folds, 0)
        assert sorted(np.concatenate([part for _, part in divided])) == list(range(n))
        for training, part in divided:
            assert sorted([*training, *part]) == list(range(n))

    def test_a_run_is_trained_once_and_again_only_for_more_epochs(self):
        rows, settings = Settings(epochs=8, hidden=(4,), **SET, train_size=30).prepare(
            load("digits")
        )
        trained = []

        def compute(tasks):
            trained.extend(candidate.epochs for _, candidate in tasks)
            return compute_here(tasks)

        validation = Validation(settings, rows, compute)
        base, shorter, longer = (Candidate((4,), Strengths(), epochs) for epochs in (8, 2, 16))
        validation.train([(0, shorter), (0, base)])
        assert trained == [8]
        assert validation.find_run(0, shorter) is validation.find_run(0, base)
        validation.train([(0, base), (0, longer)])
        assert trained == [8, 16]
        first, second = (validation.find_run(0, candidate) for candidate in (base, longer))
        assert (second.losses[8] == first.losses[8]).all()
        assert (second.curve[:8] == first.curve).all()

    def test_rows_are_divided_again_only_for_changes_that_can_decide(self, monkeypatch):
        rows, settings = Settings(epochs=8, hidden=(4,), **SET, train_size=200).prepare(
            load("digits")
        )
        validation = Validation(settings, rows)
        gains = {"2 epochs": 0.1, "L2 0.03": 0.12, "4 epochs": 0.02, "twice the units": 0.3}
        divisions = {}

        def compare(name, side, losses, changed, runs):
            divisions[name] = len(runs)
            return Change(name, side, gains.get(name, -0.5), 0.03 / len(runs))

        monkeypatch.setattr(Change, "compare", compare)
        selection = select_strengths(settings, 200, each(lambda strengths: 0.0))
        result = validation.judge(["none"], selection)["none"]
        again = {name for name, count in divisions.items() if count > 1}
        assert again == {"2 epochs", "L2 0.03"}
        assert divisions["2 epochs"] == 2  # then the other one helps without doubt
        assert str(result.verdict).startswith("mixed: 12.0 % ± 1.5 lower with L2 0.03; 30.0 %")
        assert len(result.curves) == 3

    @pytest.mark.slow
    def test_a_network_far_below_is_not_trained_for_longer(self):
        """It fits the training rows perfectly."""
        result = quick(hidden=(64,), epochs=60, repeats=1)
        assert {change.side for change in result.validated["none"].changes} == {"less"}
        assert result.verdict("none") != "underfit"

    def test_regularizers_are_compared_with_their_neighbours_in_the_grid(self):
        selection = select_strengths(Settings(l1=0.1), 100, each(lambda s: abs(s.l2 - 0.1)))
        base = Candidate((8,), selection.strengths["L2"], 8)
        changes = list_changes(base, "L2", selection)
        assert list(changes["less"]) == ["4 epochs", "2 epochs", "1 epochs", "L2 0.3"]
        assert list(changes["more"])[:2] == ["L2 0.03", "no regularization"]
        none = list_changes(Candidate((8,), Strengths(), 1), "none", selection)
        assert list(none["less"]) == ["L2 0.1", "L1 0.1", "keep_prob 0.8", "L2 0.1, keep_prob 0.8"]


class TestKnownCases:
    """Each was once called something else."""

    @pytest.mark.slow
    def test_noisy_classes_are_overfit_where_l2_lowers_the_loss(self):
        verdict = judge(make_noisy_classes(), hidden=(256, 256), epochs=20, l2=0.3, l1=0.03)
        assert verdict.word == "overfit"

    @pytest.mark.slow
    def test_longer_training_alone_never_goes_back_to_underfit(self):
        words = [
            judge(make_noisy_line(), hidden=(64, 64), epochs=epochs).word for epochs in (5, 20, 80)
        ]
        order = ["underfit", "right fit", "not known", "overfit"]
        assert words == sorted(words, key=order.index)
        assert words[-1] == "overfit"

    @pytest.mark.slow
    @pytest.mark.mnist
    def test_a_network_that_learns_1000_digits_by_heart_is_no_right_fit(self):
        """The decrease with L2 is about the 10 % that count, so it may be not known."""
        verdict = judge(load("mnist"), train_size=1000, hidden=(256, 256))
        assert verdict.word in ("overfit", "not known")

    def test_a_loss_of_thirty_digits_has_diverged(self):
        result = quick(learning_rate=1e9, repeats=1)
        assert result.values("none", "train_loss") > 1e9
        assert {result.verdict(variant) for variant in VARIANTS} == {"diverged"}


class TestStudy:
    """What `python tests/verdict_study.py` measures."""

    @pytest.mark.parametrize("number", [1, 3, 7])
    def test_networks_trained_side_by_side_have_the_losses_of_fit(self, number):
        case = Case(number)
        settings = dataclasses.replace(case.settings, seed=5)
        validation = Validation(settings, case.draw(0)[0])
        first = int(validation.find_folds(1)[0].min())
        fold, results = validation.folds[first], {}

        def measure(candidate, number, predict):
            results[candidate] = compute_losses(predict(fold.x_test), fold.y_test)

        candidates = [case.base, *case.changes["less"].values()]
        train(candidates, [fold], [5 + first], case.process.classes, settings, measure)
        validation.train([(first, candidate) for candidate in candidates])
        for candidate in candidates:
            expected = validation.find_run(first, candidate).losses[candidate.epochs]
            np.testing.assert_allclose(results[candidate], expected, atol=1e-4)

    @pytest.mark.slow
    def test_most_verdicts_are_right_and_none_is_underfit_below_the_noise(self):
        results = [study(Case(number)) for number in (0, 1)]
        print("\n".join(summarize(results)))
        words = [word == r["truth"] for r in results for word in r["verdicts"]]
        assert np.mean(words) > 0.8
        assert not any(r["below floor"] for r in results)


def test_a_rare_class_does_not_make_an_untrained_network_diverged():
    rare = compute_baseline(np.arange(60) == 5)
    assert not has_diverged(1.2, 1.2, rare)
