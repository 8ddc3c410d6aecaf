"""The comparison: equal conditions, its figures, the selection of strengths and the settings."""

import dataclasses

import numpy as np
import pytest
from experiments import QUICK, each, quick

import nnreg.lab.comparison.experiment
import nnreg.training.loop
from nnreg import NonFiniteLossError
from nnreg.datasets import Dataset, load
from nnreg.lab import DEMONSTRATION, VARIANTS, Settings, Strengths, build_network, compare
from nnreg.lab.comparison.figures import is_inside_noise
from nnreg.lab.comparison.report import make_report
from nnreg.lab.comparison.selection import make_grids, select_strengths
from nnreg.lab.comparison.validation import split_folds
from nnreg.lab.preprocessing import Rows, prepare, standardize
from nnreg.lab.reporting.results import list_results


@pytest.fixture(scope="module")
def demonstration():
    """The default comparison, with strengths given, a smaller network and fewer epochs."""
    given = {"hidden": (64,), "l2": 0.03, "l1": 0.003, "keep_prob": 0.3, "repeats": 1}
    training = {"epochs": 50, "learning_rate": 0.003}
    return compare(load("digits"), Settings(**DEMONSTRATION["digits"], **given, **training))


@pytest.fixture(scope="module")
def small():
    return quick()


def report(comparison):
    """Return all numbers of a comparison, as text, without the times."""
    numbers = make_report(comparison).numbers
    for variant in numbers["variants"].values():
        for part in (variant, *variant["repeats"]):
            del part["figures"]["seconds"]
    return str(numbers)


SEARCHED = Settings(**(QUICK | {"hidden": (4,), "l1": None}))


@pytest.fixture(scope="module")
def whole():
    """The report of a comparison that is not interrupted, in one process."""
    return report(compare(load("digits"), SEARCHED))


@pytest.fixture(scope="module")
def seen():
    """A record of training: initial vectors, and row numbers batch by batch."""
    starts, orders = [], []
    real_fit, real_batches = nnreg.lab.comparison.experiment.fit, nnreg.training.data.draw_batches

    def fit(net, x, y, **options):
        starts.append((net.seed, net.parameters.vector.copy(), x, y))
        orders.append([])
        return real_fit(net, x, y, **options)

    def batches(*arguments, **options):
        for rows in real_batches(*arguments, **options):
            orders[-1].append(rows.tolist())
            yield rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nnreg.lab.comparison.experiment, "fit", fit)
        patch.setattr(nnreg.lab.comparison.validation, "fit", fit)
        patch.setattr(nnreg.training.data, "draw_batches", batches)
        quick()
    return starts, orders


@pytest.mark.slow
class TestWhatRegularizationDoes:
    def test_without_it_the_network_learns_even_the_wrong_labels_and_there_is_a_gap(
        self, demonstration
    ):
        assert demonstration.rows.flipped == 45
        assert demonstration.values("none", "train_accuracy").min() == 1.0
        assert demonstration.values("none", "gap").min() > 0.4

    @pytest.mark.parametrize("variant", VARIANTS[1:])
    def test_each_kind_makes_the_gap_smaller_and_helps_on_test_rows(self, demonstration, variant):
        gaps, without = (demonstration.values(v, "gap") for v in (variant, "none"))
        assert (gaps < 0.6 * without).all()
        accuracy, without = (demonstration.values(v, "test_accuracy") for v in (variant, "none"))
        assert accuracy.mean() > without.mean()

    def test_the_verdicts_say_so(self, demonstration):
        assert demonstration.verdict("none") == "overfit"
        for variant in ("L2", "L1", "dropout + L2"):
            assert demonstration.verdict(variant) == "right fit"

    def test_proximal_l1_alone_makes_weights_exactly_zero(self, demonstration):
        zeros = {v: demonstration.values(v, "zeros").mean() for v in VARIANTS}
        assert zeros.pop("L1") > 0.5
        assert set(zeros.values()) == {0.0}

    def test_a_huge_penalty_is_underfit(self):
        result = quick(l2=100.0, l1=0.001, hidden=(64,), train_size=200, epochs=20, repeats=1)
        assert result.verdict("L2") == "underfit"
        assert result.verdict("L1") != "underfit"

    def test_subgradients_make_no_weight_zero(self):
        result = quick(l1_method="subgradient", repeats=1)
        assert result.values("L1", "zeros").item() == 0.0


class TestEverythingElseIsEqual:
    def test_the_five_start_from_the_same_weights_and_see_the_same_batches_of_the_same_rows(
        self, seen
    ):
        starts, orders = seen
        assert len(starts) > 10  # those of the verdict come last
        for five in (slice(5), slice(5, 10)):
            seeds, vectors, inputs, labels = zip(*starts[five], strict=True)
            assert len(set(seeds)) == 1
            assert all((vector == vectors[0]).all() for vector in vectors)
            assert all(
                x is starts[0][2] and y is starts[0][3] for x, y in zip(inputs, labels, strict=True)
            )
            assert all(order == orders[five][0] for order in orders[five])
            epoch = np.concatenate(orders[five][0][:7])  # of seven batches
            assert sorted(epoch) == list(range(200))

    def test_repeats_differ_in_weights_and_order(self, seen):
        starts, orders = seen
        assert starts[0][0] + 1 == starts[5][0]
        assert (starts[0][1] != starts[5][1]).any()
        assert orders[0] != orders[5]

    def test_the_variants_differ_in_the_regularizer_alone(self):
        plain, both = (
            build_network((8, 8), strengths, inputs=4, outputs=3, seed=0)
            for strengths in (Strengths(), Strengths(l2=0.1, keep_prob=0.5))
        )
        assert [type(layer) for layer in plain.layers] == [type(layer) for layer in both.layers]
        assert plain.penalty is None
        assert both.penalty.strength == 0.1
        assert {la.keep_prob for la in both.layers if hasattr(la, "keep_prob")} == {0.5}

    def test_the_same_settings_give_the_same_figures_whatever_another_variant_has(self, small):
        again, other = quick(), quick(l1=0.5)
        for variant in VARIANTS:
            for name in small.runs[variant][0].figures.keys() - {"seconds"}:
                assert (small.values(variant, name) == again.values(variant, name)).all()
        assert (small.values("L2", "test_loss") == other.values("L2", "test_loss")).all()


class TestFigures:
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_gap_and_total_are_what_they_are_called(self, small, variant):
        value = {name: small.values(variant, name) for name in small.runs[variant][0].figures}
        assert np.allclose(value["gap"], value["test_loss"] - value["train_loss"])
        assert np.allclose(value["total"], value["train_loss"] + value["penalty"])

    def test_penalty_norm_and_zeros_are_those_of_the_final_weights(self, small):
        w = small.runs["L2"][0].weights.astype(float)
        assert small.values("L2", "penalty")[0] == pytest.approx(0.005 * (w**2).sum(), rel=1e-5)
        w = small.runs["L1"][0].weights.astype(float)
        assert small.values("L1", "penalty")[0] == pytest.approx(0.01 * abs(w).sum(), rel=1e-5)
        assert small.values("L1", "weight_norm")[0] == pytest.approx(np.linalg.norm(w), rel=1e-5)
        assert small.values("L1", "zeros")[0] == (w == 0).mean()
        assert small.values("none", "penalty")[0] == 0.0

    def test_losses_are_measured_without_dropout(self, small):
        """The run, done again by hand, and measured by predict, which never drops."""
        settings = small.settings
        rows = standardize(small.rows)
        dropout = small.selection.strengths["dropout"]
        net = build_network(settings.hidden, dropout, inputs=64, outputs=10, seed=1)
        loss = nnreg.SoftmaxCrossEntropy()
        nnreg.fit(
            *(net, rows.x, rows.y),
            loss=loss,
            optimizer=settings.new_optimizer(),
            epochs=settings.epochs,
            batch_size=32,
            threads=1,
        )
        result = nnreg.evaluate(net, rows.x_test, rows.y_test, loss=loss)
        assert small.values("dropout", "test_loss")[1] == pytest.approx(result["data_loss"])
        assert small.values("dropout", "test_accuracy")[1] == result["accuracy"]

    def test_curves_have_an_entry_an_epoch_and_end_at_the_figures(self, small):
        for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "penalty"):
            curve = small.curves("dropout + L2", name)
            assert curve.shape == (2, 2)
            assert (curve[:, -1] == small.values("dropout + L2", name)).all()


class TestRows:
    def test_the_stated_share_of_training_labels_is_made_wrong_and_no_test_label(self):
        digits = load("digits")
        clean, noisy = (
            prepare(digits, train_size=100, label_noise=share, seed=0) for share in (0.0, 0.4)
        )
        assert (clean.x == noisy.x).all()
        assert (clean.y != noisy.y).sum() == 40 == noisy.flipped
        assert noisy.x_test is digits.x_test
        assert noisy.y_test is digits.y_test
        assert noisy.given_test

    def test_data_without_test_rows_lose_a_quarter_first(self):
        digits = load("digits")
        alone = dataclasses.replace(digits, x_test=None, y_test=None)
        rows = prepare(alone, train_size=None, label_noise=0.0, seed=0)
        assert (len(rows.x), len(rows.x_test)) == (973, 324)
        assert not rows.given_test
        fewer = prepare(alone, train_size=50, label_noise=0.0, seed=0)
        assert (fewer.x_test == rows.x_test).all()

    def test_standardizing_uses_training_rows_alone(self, rng):
        x, x_test = rng.uniform(3.0, 5.0, (50, 4)), rng.uniform(4.0, 5.0, (20, 4))
        result = standardize(Rows(x, None, x_test, None))
        assert np.allclose(result.x.mean(axis=0), 0.0)
        assert np.allclose(result.x.std(axis=0), 1.0)
        assert np.allclose(result.x_test, (x_test - x.mean(axis=0)) / x.std(axis=0))

    def test_no_value_is_farther_than_three_deviations_and_rows_keep_their_type(self):
        """A pixel with ink in one row of a hundred is ten deviations away there."""
        x = np.eye(100, dtype=np.float32)
        result = standardize(Rows(x, None, -50 * x, None))
        assert result.x.dtype == np.float32
        assert result.x.max() == 3.0
        assert result.x_test.min() == -3.0

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
    def test_a_constant_feature_is_divided_by_one(self, value):
        x = np.full((30, 1), value, np.float32)
        result = standardize(Rows(x, None, x + 2, None))
        assert np.allclose(result.x, 0.0, atol=0.1)
        assert np.allclose(result.x_test, 2.0, atol=0.1)

    @pytest.mark.parametrize(
        ("size", "message"),
        [
            (1298, "train_size must be at most 1297, the training rows of digits, got 1298"),
            (3, "train_size must leave at least 4 training rows, got 3"),
        ],
    )
    def test_too_many_or_too_few_rows_are_an_error(self, size, message):
        with pytest.raises(ValueError, match=message):
            prepare(load("digits"), train_size=size, label_noise=0.0, seed=0)


class TestChoosing:
    def test_it_never_sees_a_test_row(self):
        """With other test rows, the selection is the same to the last bit."""
        digits = load("digits")
        other = dataclasses.replace(
            digits, x_test=digits.x_test[:7] * 100, y_test=digits.y_test[:7]
        )
        settings = Settings(
            hidden=(8,), l1=0.01, keep_prob=0.5, train_size=200, epochs=2, repeats=1
        )
        assert compare(digits, settings).selection == compare(other, settings).selection

    def test_it_judges_by_rows_that_the_trial_does_not_train_on(self):
        training, validation = split_folds(np.zeros(30, int), 3, seed=0)[0]
        assert sorted([*training, *validation]) == list(range(30))
        assert len(validation) == 10

    def test_the_lowest_loss_wins(self):
        selection = select_strengths(
            Settings(),
            100,
            each(lambda s: abs(s.l2 - 0.03) + abs(s.l1 - 0.001) + abs(s.keep_prob - 0.5)),
        )
        assert selection.strengths == {
            "none": Strengths(),
            "L2": Strengths(l2=0.03),
            "L1": Strengths(l1=0.001),
            "dropout": Strengths(keep_prob=0.5),
            "dropout + L2": Strengths(l2=0.03, keep_prob=0.5),
        }

    def test_what_is_given_is_not_searched(self):
        selection = select_strengths(Settings(l2=0.5, keep_prob=0.9), 100, each(lambda s: s.l1))
        assert {candidate.variant for candidate in selection.candidates} == {"L1"}
        assert selection.strengths["dropout + L2"] == Strengths(l2=0.5, keep_prob=0.9)

    def test_grids_of_penalties_fall_with_the_rows(self):
        few, many = make_grids(Settings(), 100), make_grids(Settings(), 10_000)
        assert [a / b for a, b in zip(few["l2"], many["l2"], strict=True)] == pytest.approx(
            [100] * 5
        )
        assert few["keep_prob"] == many["keep_prob"]

    def test_a_choice_at_the_end_of_its_grid_is_known(self):
        selection = select_strengths(
            Settings(l2=0.1), 100, each(lambda s: -s.l1 + abs(s.keep_prob - 0.5))
        )
        at_edge = [selection.is_at_grid_edge(variant) for variant in ("L1", "dropout", "L2")]
        assert at_edge == [True, False, False]

    def test_a_trial_that_breaks_down_only_loses(self, monkeypatch):
        real = nnreg.lab.comparison.validation.fit

        def fit(net, *arguments, **options):
            if net.penalty is not None and net.penalty.strength > 0.01:
                raise NonFiniteLossError("the loss is nan", 3, "loss")
            return real(net, *arguments, **options)

        monkeypatch.setattr(nnreg.lab.comparison.validation, "fit", fit)
        result = quick(l2=None, repeats=1)
        assert [np.isinf(c.loss) for c in result.selection.tried("L2")] == [
            False,
            False,
            False,
            True,
            True,
        ]


class TestJudgement:
    def test_a_difference_within_the_confidence_interval_is_noise(self):
        """Student's t for two degrees of freedom and 95 % is 4.303."""
        spread = np.array([-1.0, 0.0, 1.0])  # standard error 1/sqrt(3)
        assert is_inside_noise(spread + 4.30 / 3**0.5)
        assert not is_inside_noise(spread + 4.31 / 3**0.5)
        assert not is_inside_noise(-spread - 4.31 / 3**0.5)
        assert not is_inside_noise(np.array([0.1, 0.1]))

    def test_where_there_is_no_difference_to_test_there_is_no_word_of_noise(self, small):
        """None is not compared with itself, nor are figures that are equal in every repeat."""
        one = quick(repeats=1)
        assert one.summarize("L2", "test_loss")["sd"] is None
        for result, variant, figure in (
            (small, "none", "test_loss"),
            (small, "L2", "zeros"),
            (one, "L2", "test_loss"),
        ):
            assert result.summarize(variant, figure)["inside_noise"] is None

    def test_mean_and_deviation_are_those_of_the_repeats(self, small):
        a, b = small.values("L1", "gap")
        summary = small.summarize("L1", "gap")
        assert summary["mean"] == pytest.approx((a + b) / 2)
        assert summary["sd"] == pytest.approx(abs(a - b) / 2**0.5)


class TestSettings:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"hidden": (0,)}, "hidden must be a whole number of at least 1, got 0"),
            ({"l2": -1.0}, "l2 must be a number in"),
            ({"l1": -1.0}, "l1 must be a number in"),
            ({"keep_prob": 0.0}, "keep_prob must be a number in"),
            ({"l1_method": "prox"}, "did you mean 'proximal'"),
            ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
            ({"batch_size": 0}, "batch_size must be"),
            ({"learning_rate": 0.0}, "learning_rate must be"),
            ({"optimizer": "adm"}, "did you mean 'adam'"),
            ({"train_size": 0}, "train_size must be"),
            ({"label_noise": 0.5}, "label_noise must be a number in"),
            ({"repeats": 0}, "repeats must be"),
            ({"seed": -1}, "seed must be"),
        ],
    )
    def test_one_out_of_range_is_an_error_that_names_it(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            Settings(**wrong)

    @pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adam"])
    @pytest.mark.slow
    def test_every_optimizer_learns_with_its_own_rate(self, optimizer):
        result = quick(hidden=(64,), optimizer=optimizer, train_size=200, epochs=10, repeats=1)
        assert result.values("none", "train_accuracy").item() > 0.6

    def test_a_given_rate_goes_before_the_optimizers_own(self):
        assert Settings(learning_rate=0.5).new_optimizer().learning_rate == 0.5

    def test_two_classes_and_data_without_test_rows_work(self, rng):
        x = rng.normal(size=(280, 3))
        data = Dataset("signs", x, (x[:, 0] > 0).astype(int), ("a", "b", "c"), ("-", "+"), "here")
        result = compare(data, Settings(**(QUICK | {"train_size": None, "epochs": 1})))
        assert result.rows.classes == 2


class TestProcessesAndInterruption:
    def test_an_interrupted_comparison_trains_no_run_again(self, whole, tmp_path, monkeypatch):
        def interrupt(text, done, total):
            if done == stop:
                raise KeyboardInterrupt

        trained = []
        for module in (nnreg.lab.comparison.experiment, nnreg.lab.comparison.validation):
            monkeypatch.setattr(
                module, "fit", lambda *a, **k: trained.append(1) or nnreg.fit(*a, **k)
            )
        for stop in (1, 7, 20):  # in the selection, in the repeats, and in the verdicts
            with pytest.raises(KeyboardInterrupt):
                compare(load("digits"), SEARCHED, folder=tmp_path, progress=interrupt)
            assert len(trained) == len(list_results(tmp_path, "compare")) == stop
        seen = []
        again = compare(
            load("digits"), SEARCHED, folder=tmp_path, progress=lambda *part: seen.append(part)
        )
        assert report(again) == whole
        assert len(trained) == len(list_results(tmp_path, "compare")) == seen[-1][1]
        assert all(done <= total for _, done, total in seen)

    @pytest.mark.slow
    def test_two_processes_compute_what_one_computes_and_end(self, whole):
        psutil, _ = pytest.importorskip("psutil"), pytest.importorskip("joblib")
        before = psutil.Process().children()
        assert report(compare(load("digits"), SEARCHED, jobs=2)) == whole
        names = [child.cmdline() for child in psutil.Process().children() if child not in before]
        assert not [name for name in names if "resource_tracker" not in " ".join(name)]

    def test_a_final_run_that_breaks_down_names_itself(self):
        with pytest.raises(NonFiniteLossError, match=r"none \(none\), repeat 1: the loss"):
            quick(optimizer="sgd", learning_rate=1e30)
