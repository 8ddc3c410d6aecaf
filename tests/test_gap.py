"""The loss gap: penalty, dropout and generalization."""

import numpy as np
import pytest
from experiments import needs_matplotlib
from small import Centred, everything

import nnreg as nn
from nnreg import plots
from nnreg.lab import LossGap, explain_gap

LOSS = nn.SoftmaxCrossEntropy()


def network(keep_prob=0.5, penalty=None, dtype="float32"):
    layers = [nn.Dense(16), nn.ReLU(), nn.Dropout(keep_prob=keep_prob), nn.Dense(10)]
    return nn.Network(layers, inputs=64, penalty=penalty, dtype=dtype, seed=3)


@pytest.fixture(scope="module")
def digits():
    (x, y), (x_test, y_test) = nn.datasets.load_digits()
    return x[:200], y[:200], x_test[:200], y_test[:200]


@pytest.fixture(scope="module")
def trained(digits):
    net = network(penalty=nn.L2(1e-3))
    nn.fit(net, *digits[:2], loss=LOSS, optimizer=nn.Adam(0.01), epochs=20, batch_size=32)
    return net


def test_the_losses_are_those_of_evaluate_and_the_parts_add_up_to_the_difference(trained, digits):
    gap = explain_gap(trained, *digits, loss=LOSS)
    train = nn.evaluate(trained, *digits[:2], loss=LOSS)
    assert gap.train_loss == pytest.approx(train["data_loss"])
    assert gap.penalty == train["penalty"]
    assert gap.test_loss == pytest.approx(nn.evaluate(trained, *digits[2:], loss=LOSS)["data_loss"])
    parts = gap.generalization - gap.dropout - gap.penalty
    assert gap.difference == pytest.approx(parts, abs=1e-15)
    assert gap.train_loss + gap.dropout + gap.penalty == pytest.approx(gap.objective, abs=1e-15)
    assert gap.train_loss + gap.generalization == pytest.approx(gap.test_loss, abs=1e-15)
    assert min(gap.penalty, gap.dropout, gap.generalization) > 0.01


def test_the_loss_under_dropout_is_the_mean_of_training_passes(trained, digits):
    x, y = digits[:2]
    passes = [
        float(LOSS(trained.forward(x, training=True, step=trained.steps + draw)[0], y)[0])
        for draw in range(4)
    ]
    gap = explain_gap(trained, *digits, loss=LOSS, masks=4)
    assert (gap.dropout_loss, gap.masks) == (np.mean(passes), 4)
    assert gap.dropout_error == pytest.approx(np.std(passes, ddof=1) / 2)


def test_with_more_rows_than_a_piece_the_masks_are_those_of_the_whole(monkeypatch, digits):
    net = network(dtype="float64")
    whole = explain_gap(net, *digits, loss=LOSS)
    monkeypatch.setattr("nnreg.network.CHUNK_ROWS", 7)
    assert explain_gap(net, *digits, loss=LOSS).dropout_loss == pytest.approx(whole.dropout_loss)


def test_rows_that_depend_on_each_other_stay_together(rng):
    net = nn.Network([Centred(), nn.Dense(2)], inputs=3, dtype="float64")
    x, y = rng.normal(size=(1500, 3)) + np.arange(1500)[:, np.newaxis], np.arange(1500) % 2
    loss = LOSS(net.forward(x)[0], y)[0]
    gap = explain_gap(net, x, y, x, y, loss=LOSS, masks=2)
    assert [gap.train_loss, gap.dropout_loss, gap.test_loss] == pytest.approx([loss] * 3)


def test_without_dropout_and_penalty_all_is_generalization(digits):
    gap = explain_gap(network(keep_prob=1.0), *digits, loss=LOSS)
    assert (gap.dropout, gap.dropout_error, gap.penalty, gap.masks) == (0.0, 0.0, 0.0, 20)
    assert gap.difference == gap.generalization


def test_the_same_rows_generalize_for_nothing_and_the_network_is_left_as_it_was(trained, digits):
    before = everything(trained)
    assert explain_gap(trained, *digits[:2], *digits[:2], loss=LOSS).generalization == 0.0
    assert everything(trained) == before


def test_the_text_has_every_part_and_names_the_error_of_dropout_alone():
    assert str(LossGap(0.3, 0.45, 0.01, 0.05, 0.4, 20)).splitlines() == [
        "objective         0.5000  minimized by training",
        "- penalty         0.0500",
        "- dropout         0.1500  ± 0.0100, 20 draws",
        "= train loss      0.3000  in inference mode",
        "+ generalization  0.1000",
        "= test loss       0.4000",
    ]
    assert "\n- dropout         0.0000\n" in str(LossGap(0.3, 0.3, 0.0, 0.05, 0.4, 20))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": 1}, "masks must be a whole number of at least 2"),  # one draw has no error
        ({"x_test": np.zeros((2, 3))}, "test x must have shape"),
        ({"net": None}, "net must be a Network"),
        ({"loss": "mse"}, "loss must be a Loss"),
    ],
)
def test_a_wrong_argument_is_refused(trained, digits, options, message):
    given = dict(zip(("x", "y", "x_test", "y_test"), digits, strict=True))
    with pytest.raises((ValueError, TypeError), match=message):
        explain_gap(**{"net": trained, "loss": LOSS, **given, **options})


@needs_matplotlib
class TestPlot:
    def test_the_bars_lead_from_the_objective_to_the_test_loss(self):
        gap = LossGap(0.3, 0.45, 0.01, 0.05, 0.4, 20)
        bars = plots.gap_bars({"dropout": gap.parts()}).axes[0].patches
        ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
        expected = [(0, 0.5), (0.5, 0.45), (0.45, 0.3), (0, 0.3), (0.3, 0.4), (0, 0.4)]
        np.testing.assert_allclose(ends, expected, atol=1e-12)

    def test_a_negative_part_goes_the_other_way_in_every_layout(self):
        parts = LossGap(0.3, 0.3, 0.0, 0.0, 0.2, 20).parts()
        for columns, theme in ((1, plots.LIGHT), (3, plots.DARK)):
            figure = plots.gap_bars({"a": parts, "b": parts}, columns=columns, theme=theme)
            assert figure.axes[0].patches[4].get_width() == pytest.approx(-0.1)
            assert plots.render(figure, "svg").startswith(b"<?xml")
