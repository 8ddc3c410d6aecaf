"""The bias-variance experiment: its terms add up to the measured risk."""

import copy
import dataclasses
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from nnreg.datasets import noisy_sine
from nnreg.lab import (
    Bands,
    Classification,
    NetworkLearner,
    Polynomial,
    Regression,
    SamplingDesign,
    Sine,
    bias_and_variance,
    bias_variance_sweep,
    sweep,
)
from nnreg.lab.bias_variance.learners import AXES

ERRORS = 3.5  # standard errors that chance is allowed: one case in 2,000


@dataclass(frozen=True)
class Curves(Regression):
    """Two outputs of three inputs."""

    noise: float = 0.5
    outputs = 2

    def draw_inputs(self, n, rng):
        return rng.standard_normal((n, 3))

    def function(self, x):
        return np.column_stack((x[:, 0] * x[:, 1], np.sin(x[:, 2])))


@dataclass(frozen=True)
class Thirds(Classification):
    """Three classes on a square, whose probabilities change smoothly."""

    outputs = 3

    def draw_inputs(self, n, rng):
        return rng.uniform(-2, 2, (n, 2))

    def probabilities(self, x):
        scores = np.exp(2 * np.column_stack((x[:, 0], x[:, 1], -x.sum(axis=1))))
        return scores / scores.sum(axis=1, keepdims=True)


CASES = {
    "polynomial, squared error": (Polynomial(2), Sine(), SamplingDesign(datasets=200, points=4000)),
    "polynomial, 0-1 loss": (
        Polynomial(3),
        Bands(),
        SamplingDesign(rows=40, datasets=200, seeds=1, points=4000),
    ),
    "network, squared error": (
        NetworkLearner(hidden=(4,), epochs=40, learning_rate=0.05),
        Sine(),
        SamplingDesign(datasets=40, points=4000),
    ),
    "network, two outputs, dropout": (
        NetworkLearner(hidden=(16,), epochs=10, learning_rate=0.02, keep_prob=0.5),
        Curves(),
        SamplingDesign(rows=50, datasets=40, points=4000),
    ),
    "network, 0-1 loss, three classes": (
        NetworkLearner(hidden=(8,), epochs=10, learning_rate=0.02),
        Thirds(),
        SamplingDesign(rows=30, datasets=40, points=4000),
    ),
}


SLOW = {name for name in CASES if name.startswith("network")}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in CASES],
)
def result(request):
    learner, process, design = CASES[request.param]
    return bias_variance_sweep({"": learner}, process, design)[""]


class TestTheTermsAddUpToTheRisk:
    def test_bias_variance_and_noise_are_the_measured_risk_within_its_error(self, result):
        terms = result.terms
        total = terms.bias.value + terms.variance.value + terms.noise.value
        assert terms.total.value == pytest.approx(total)
        assert abs(result.risk.value - total) < ERRORS * result.difference.error

    @pytest.mark.parametrize("term", ["bias", "variance", "noise"])
    def test_without_any_one_of_them_they_are_not(self, result, term):
        """Each term is many errors large, so the equality is no matter of wide errors."""
        left = {"bias", "variance", "noise"} - {term}
        total = sum(getattr(result.terms, name).value for name in left)
        assert abs(result.risk.value - total) > 1.5 * ERRORS * result.difference.error

    def test_the_variance_has_two_parts_and_the_difference_is_what_is_stated(self, result):
        terms = result.terms
        if result.design.seeds == 1:
            assert terms.data_variance is terms.seed_variance is None
        else:
            parts = terms.data_variance.value + terms.seed_variance.value
            assert parts == pytest.approx(terms.variance.value)
        stated = result.risk.value - terms.total.value
        assert result.difference.value == pytest.approx(stated, abs=1e-15)


@pytest.mark.slow
def test_over_many_seeds_the_difference_is_as_large_as_its_error_says():
    """Not only within the error: of its size. An error that is too large would hide a mistake."""
    differences = [
        bias_and_variance(Polynomial(2), Sine(), rows=30, seeds=1, points=200, seed=seed).difference
        for seed in range(100)
    ]
    z = np.array([difference.value / difference.error for difference in differences])
    assert abs(z.mean()) < 0.4
    assert 0.75 < z.std() < 1.25


def test_ordinary_least_squares_has_the_bias_and_variance_of_the_textbook():
    """A constant: its variance is the targets' over n, its bias² the mean square of f."""
    result = bias_and_variance(Polynomial(0), Sine(0.4), seeds=1, datasets=400)
    for term, expected in ((result.terms.bias, 0.5), (result.terms.variance, (0.5 + 0.16) / 20)):
        assert abs(term.value - expected) < ERRORS * term.error
        assert term.error < 0.15 * expected


class TestProcesses:
    @pytest.mark.parametrize("process", [Sine(), Bands(), Curves(), Thirds()])
    def test_targets_have_the_expected_vectors_and_the_noise(self, process, rng):
        """Drawn often at the same inputs, they agree with what the process states."""
        x = process.draw_inputs(4, rng)
        drawn = np.array([process.vectors(process.draw_targets(x, rng)) for _ in range(4000)])
        np.testing.assert_allclose(drawn.mean(axis=0), process.expected(x), atol=0.05)
        scatter = process.scale * ((drawn - process.expected(x)) ** 2).sum(axis=-1).mean(axis=0)
        np.testing.assert_allclose(scatter, process.noise_at(x), atol=0.03)

    def test_the_sine_is_that_of_the_data_sets_and_the_loss_of_classes_counts_the_wrong_ones(self):
        x, _, truth = noisy_sine(50)
        np.testing.assert_array_equal(Sine().function(x), truth)
        losses = Thirds().losses(np.array([0, 1, 2]), np.array([0, 2, 2]))
        assert losses.tolist() == [0.0, 1.0, 0.0]


class TestSampling:
    SMALL = SamplingDesign(rows=10, datasets=4, seeds=2, points=20)

    def test_every_learner_has_the_same_data_sets(self):
        calls = {1: [], 2: []}

        def watching(number):
            def learner(x, y, outputs, seed):
                calls[number].append((x.tobytes(), y.tobytes(), seed))
                return np.sin

            return learner

        bias_variance_sweep({str(number): watching(number) for number in calls}, Sine(), self.SMALL)
        assert calls[1] == calls[2]
        assert len(set(calls[1])) == 8
        assert len({x for x, _, _ in calls[1]}) == 4

    def test_more_data_sets_are_the_first_ones_and_others(self):
        few, many = (
            bias_variance_sweep({"": Polynomial(2)}, Sine(), design)[""]
            for design in (self.SMALL, dataclasses.replace(self.SMALL, datasets=6))
        )
        np.testing.assert_array_equal(few.predictions, many.predictions[:4])

    def test_the_same_seed_gives_the_same_bits_and_another_others(self):
        learner = NetworkLearner(hidden=(4,), epochs=3, keep_prob=0.5)
        first, again, other = (
            bias_and_variance(learner, Sine(), datasets=3, points=20, seed=seed).predictions
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert (first[:, 0] != first[:, 1]).any()  # with two seeds, unlike a polynomial
        polynomials = bias_and_variance(Polynomial(1), Sine(), datasets=3).predictions
        np.testing.assert_array_equal(polynomials[:, 0], polynomials[:, 1])

    def test_the_training_rows_are_those_that_were_learned(self):
        calls = []

        def learner(x, y, outputs, seed):
            calls.append((x, y))
            return np.sin

        result = bias_and_variance(learner, Sine(), datasets=3, seeds=1)
        for dataset, (x, y) in enumerate(calls):
            for ours, theirs in zip(result.training_rows(dataset), (x, y), strict=True):
                np.testing.assert_array_equal(ours, theirs)

    def test_two_processes_compute_what_one_computes(self):
        pytest.importorskip("joblib")
        one, two = (
            bias_variance_sweep({"": Polynomial(2)}, Bands(), self.SMALL, jobs=jobs)[""]
            for jobs in (1, 2)
        )
        assert str(one) == str(two)
        np.testing.assert_array_equal(one.predictions, two.predictions)


class TestResuming:
    def test_an_interrupted_sweep_goes_on_where_it_was(self, tmp_path, monkeypatch):
        calls = []
        real = Polynomial.__call__

        def interrupted(self, *arguments):
            calls.append(self.degree)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return real(self, *arguments)

        monkeypatch.setattr(Polynomial, "__call__", interrupted)
        design = SamplingDesign(datasets=4, seeds=1)
        with pytest.raises(KeyboardInterrupt):
            bias_variance_sweep(sweep("degree", [1, 2]), Sine(), design, folder=tmp_path)
        result = bias_variance_sweep(sweep("degree", [1, 2]), Sine(), design, folder=tmp_path)
        assert calls == [1, 1, 1, 1, 2, 2, 2, 2, 2]
        monkeypatch.undo()
        afresh = bias_variance_sweep(sweep("degree", [1, 2]), Sine(), design)
        assert {name: str(r) for name, r in result.items()} == {
            name: str(r) for name, r in afresh.items()
        }

    @pytest.mark.parametrize(
        "other",
        [
            {"learner": Polynomial(2)},
            {"process": Sine(0.3)},
            {"rows": 19},
            {"seeds": 1},
            {"points": 3999},
            {"seed": 1},
        ],
        ids=lambda other: next(iter(other)),
    )
    def test_results_for_something_else_are_not_taken(self, tmp_path, other):
        given = {"learner": Polynomial(1), "process": Sine(), "datasets": 3}
        bias_and_variance(**given, folder=tmp_path)
        again = bias_and_variance(**(given | other), folder=tmp_path)
        assert str(again) == str(bias_and_variance(**(given | other)))
        assert len(list(tmp_path.iterdir())) == 6

    def test_an_interrupted_fit_is_an_interrupted_sweep(self, monkeypatch):
        def interrupted(*arguments, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr("nnreg.lab.bias_variance.learners.fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bias_and_variance(NetworkLearner(), Sine())


class TestLearners:
    @pytest.mark.parametrize("axis", AXES)
    def test_every_axis_has_learners_from_stiff_to_flexible(self, axis):
        assert len(sweep(axis)) >= 5
        assert list(sweep(axis)) == [f"{value:g}" for value in AXES[axis][1]]

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: sweep("widht", [1]), "axis must be one of .* 'width'"),
            (lambda: sweep("width", [0]), "width must be a whole number"),
            (lambda: sweep("width", [1.5]), "width must be a whole number"),
            (lambda: sweep("l2", [-1.0]), "l2 must be a number in"),
            (lambda: sweep("keep-prob", [0.0]), "keep_prob must be a number in"),
            (lambda: sweep("degree", [-1]), "degree must be a whole number"),
            (lambda: sweep("l2", []), "values must not be empty"),
            (lambda: sweep("l2", [0.1, 0.10000001]), "values must differ in their first six"),
            (lambda: NetworkLearner(l1=0.1, l2=0.1), "l1 must be 0 unless l2 is 0"),
            (lambda: NetworkLearner(l2=None), "l2 must be a number .* got None"),
            (lambda: NetworkLearner(epochs=None), "epochs must be a whole number .* got None"),
            (lambda: NetworkLearner(keep_prob=0.0), "keep_prob must be a number in"),
            (lambda: Sine(-1.0), "noise must be a number"),
            (lambda: Bands(0.5), "noise must be a number"),
            (lambda: Bands(-0.1), "noise must be a number"),
            (lambda: bias_variance_sweep({"": Polynomial(1)}, Thirds()), "one input"),
            (lambda: bias_variance_sweep(sweep("degree"), np.sin), "process must be a Data"),
            (lambda: bias_variance_sweep({}, Sine()), "learners must not be empty"),
            (lambda: bias_variance_sweep([Polynomial(1)], Sine()), "learners must be a mapping"),
            (lambda: bias_variance_sweep(sweep("degree"), Sine(), 30), "design must be a Sampling"),
            (lambda: bias_and_variance(lambda *_: np.sin, Sine(), folder="x"), "whose repr"),
        ],
    )
    def test_what_cannot_be_is_an_error(self, call, message):
        with pytest.raises((ValueError, TypeError), match=message):
            call()

    @pytest.mark.parametrize(
        ("predict", "process", "message"),
        [
            (np.ravel, Sine(), r"predict shape \(4000, 1\), got \(4000,\)"),
            (lambda x: np.full(x.shape, np.inf), Sine(), "predictions must be finite"),
            (lambda x: np.array(["a"] * len(x)), Sine(), "predictions must contain real numbers"),
            (lambda x: x, Bands(), r"predict shape \(4000,\), got \(4000, 1\)"),
            (
                lambda x: np.full(len(x), -1),
                Bands(),
                "from 0 to 1, integers, got .-1",
            ),
            (lambda x: np.full(len(x), 2), Bands(), "from 0 to 1, integers, got .2"),
            (lambda x: x[:, 0] > 0, Bands(), "from 0 to 1, integers, got .False"),
        ],
    )
    def test_predictions_must_be_of_the_kind_of_the_targets(self, predict, process, message):
        with pytest.raises((ValueError, TypeError), match=message):
            bias_and_variance(lambda *_: predict, process)

    def test_a_learner_that_modifies_arrays_changes_nothing(self):
        def careless(x, y, outputs, seed):
            buffer = np.empty((4000, 1))

            def predict(x):
                x *= 0.5
                buffer[: len(x)] = x
                return buffer[: len(x)]

            x *= 0.0
            y *= 0.0
            return predict

        expected = bias_and_variance(lambda *_: lambda x: 0.5 * x, Sine(), datasets=3)
        result = bias_and_variance(careless, Sine(), datasets=3)
        assert str(result) == str(expected)
        np.testing.assert_array_equal(result.predictions, expected.predictions)

    @pytest.mark.parametrize("learner", [NetworkLearner(hidden=(3,), epochs=2), Polynomial(2)])
    @pytest.mark.parametrize("process", [Sine(), Bands()])
    def test_what_was_learned_can_be_sent_to_another_process(self, learner, process, rng):
        x = process.draw_inputs(10, rng)
        predict = learner(x, process.draw_targets(x, rng), process.outputs, 0)
        for copied in (copy.deepcopy(predict), pickle.loads(pickle.dumps(predict))):
            np.testing.assert_array_equal(copied(x), predict(x))
