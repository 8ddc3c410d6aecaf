"""The gradient check on functions and objects that do not use nnreg."""

import pickle

import numpy as np
import pytest

import nnreg as nn
from nnreg.gradcheck.snapshot import Snapshot

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((3, 4)), RNG.standard_normal(4)


def affine_forward(x, w, b):
    return x @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def failed(report):
    return [row.block for row in report.rows if not row.passed]


# --- Pairs of functions


# --- Randomness and damage


def test_a_mask_drawn_inside_from_numpys_global_state_stays_the_same():
    def forward(x, p):
        mask = (np.random.rand(*x.shape) < p) / p  # as courses do
        return x * mask, mask

    state = np.random.get_state()[1].copy()
    assert nn.check_gradients(forward, lambda dout, mask: dout * mask, X, 0.5).passed
    assert (np.random.get_state()[1] == state).all()


def test_another_bit_generator_in_the_place_of_numpys_global_one_is_put_back_too():
    def forward(x):
        noise = np.random.randn(3)
        return x * noise, noise

    mersenne_twister = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(0))
    try:
        np.random.randn(3)
        state = np.random.get_state(legacy=False)
        assert nn.check_gradients(forward, lambda dout, noise: dout * noise, X).passed
        assert np.random.get_state(legacy=False) == state
    finally:
        np.random.set_bit_generator(mersenne_twister)


@pytest.mark.parametrize("before", [0, 3, 4, 624])  # an odd number leaves a second value behind
@pytest.mark.parametrize("draw", [np.random.rand, np.random.randn, lambda *shape: np.ones(shape)])
def test_numpys_global_generator_is_put_back_to_the_bit(before, draw):
    def forward(x):
        noise = draw(3, 1)[:, 0]
        return x * noise, noise

    untouched = np.random.get_state()
    np.random.seed(5)
    np.random.randn(before)
    state = pickle.dumps(np.random.get_state())
    assert nn.check_gradients(forward, lambda dout, noise: dout * noise, X).passed
    assert pickle.dumps(np.random.get_state()) == state
    np.random.set_state(untouched)


def test_code_that_draws_nothing_is_checked_without_touching_the_global_generator(monkeypatch):
    def refuse(*_):
        raise AssertionError("it was touched")

    for name in ("set_state", "standard_normal"):
        monkeypatch.setattr(np.random, name, refuse)
    assert nn.check_gradients(lambda x: (2 * x, None), lambda dout, _: 2 * dout, X).passed


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_among_the_arguments_is_put_back(make):
    def forward(x, rng):
        mask = rng.uniform(size=x.shape) < 0.5
        return x * mask, mask

    rng, untouched = make(3), make(3)
    assert nn.check_gradients(forward, lambda dout, mask: dout * mask, X, rng).passed
    assert rng.uniform() == untouched.uniform()


def test_a_forward_that_gives_something_else_each_time_is_refused():
    hidden = np.random.default_rng(0)

    def forward(x):
        return x * (hidden.random(x.shape) < 0.5)

    with pytest.raises(
        ValueError, match="forward returns different outputs for the same arguments"
    ):
        nn.check_gradients(forward, lambda dout: dout, X)


def test_a_snapshot_puts_back_lists_dictionaries_and_attributes_to_any_depth():
    class Thing:
        pass

    thing = Thing()
    thing.inner = {"values": [np.zeros(2), 1], "frozen": np.ones(2)}
    thing.inner["frozen"].setflags(write=False)
    thing.itself = thing
    snapshot = Snapshot(thing)
    thing.inner["values"][0][0] = 9.0
    thing.inner["values"].append("more")
    thing.inner["new"] = True
    thing.left_behind = 1
    snapshot.restore()
    assert set(vars(thing)) == {"inner", "itself"}
    assert set(thing.inner) == {"values", "frozen"}
    assert len(thing.inner["values"]) == 2
    assert thing.inner["values"][0].tolist() == [0, 0]


# --- Objects with state


class Linear:
    def __init__(self):
        self.W = W.copy()
        self.params = {"b": B.copy()}

    def forward(self, x):
        self.x = x
        return x @ self.W + self.params["b"]

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


def check(layer, **options):
    return nn.check_gradients(
        layer.forward,
        layer.backward,
        X,
        parameters={"W": layer.W, "b": layer.params["b"]},
        gradients=lambda: {"W": layer.dW, "b": layer.db},
        **options,
    )


def test_an_object_is_checked_by_its_arrays_wherever_it_keeps_them():
    report = check(Linear())
    assert [row.block for row in report.rows] == ["x", "W", "b"]
    assert {row.method for row in report.rows} == {"complex"}
    assert report.passed


def test_an_object_is_left_as_it_was():
    layer = Linear()
    kept = layer.W, layer.params["b"]
    check(layer)
    assert set(vars(layer)) == {"W", "params"}
    assert layer.W is kept[0]
    assert layer.params["b"] is kept[1]
    assert (layer.W == W).all()


def test_a_wrong_gradient_of_an_objects_array_is_found():
    class Wrong(Linear):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW = self.dW / len(dout)
            return dx

    assert failed(check(Wrong())) == ["W"]


def test_an_array_that_is_no_attribute_is_moved_in_place_by_differences():
    hidden = W.copy()

    class Closure:
        def forward(self, x):
            self.x = x
            return x @ hidden

        def backward(self, dout):
            self.dW = self.x.T @ dout
            return dout @ hidden.T

    layer = Closure()
    report = nn.check_gradients(
        layer.forward,
        layer.backward,
        X,
        parameters={"W": hidden},
        gradients=lambda: {"W": layer.dW},
    )
    assert report.passed
    assert {row.block: row.method for row in report.rows} == {"x": "complex", "W": "richardson"}
    assert "changed in place" in report.notes[0]
    assert (hidden == W).all()


# --- Courses' measures


def test_courses_measures_are_shown_and_where_their_verdict_differs():
    def backward(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        return dx, dw, db * (1 + 1e-8)  # too small for their lines, not for this one's

    for style, lines in (("cs231n", 3), ("deeplearning.ai", 1), ("allclose", 3)):
        report = nn.check_gradients(affine_forward, backward, X, W, B, error_metric=style)
        measures = report.measured_by(style)
        assert failed(report) == ["b"]
        assert len(measures) == lines
        assert all(passed for *_, passed in measures)
        assert "passed; this check: failed" in str(report)


def test_the_norm_ratio_over_all_parameters_hides_a_small_block():
    def backward(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        return dx, dw, np.zeros_like(db)

    big = 1e9 * X
    report = nn.check_gradients(affine_forward, backward, big, W, B, error_metric="deeplearning.ai")
    assert failed(report) == ["b"]
    assert report.measured_by("deeplearning.ai")[0][3]


def test_all_zero_gradients_have_the_norm_ratio_zero():
    report = nn.check_gradients(lambda x: 0 * x, lambda dout: 0 * dout, X)
    assert report.measured_by("deeplearning.ai")[0][2] == 0.0


def test_a_notebook_shows_the_report_as_a_table():
    good = nn.check_gradients(affine_forward, affine_backward, X, W, B)
    bad = nn.check_gradients(np.sin, lambda dout: -dout * np.cos(X), X)
    assert good._repr_html_().count("<tr") == 4
    assert "passed" in good._repr_html_()
    assert "WRONG" in bad._repr_html_()
    assert "<script" not in bad._repr_html_()


# --- Dropout on and off


def test_a_network_without_its_dropout_has_to_be_asked_for():
    class NoMask(nn.Dropout):
        def backward(self, dy, cache):
            return dy / self.keep_prob

    net = nn.Network([nn.Dense(6), NoMask(keep_prob=0.5), nn.Dense(3)], inputs=3)
    arguments = X, np.array([0, 1, 2, 0, 1]), nn.SoftmaxCrossEntropy()
    assert not nn.check_gradients(net, *arguments).passed
    assert nn.check_gradients(net, *arguments, dropout="off").passed
    assert net.layers[1].keep_prob == 0.5
