"""The layer contract: every shipped layer passes, and each violated rule has its own message."""

import pickle
import re
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from small import Scale
from strategies import LAYERS

import nnreg as nn
from nnreg.testing import ContractError, assert_layer_contract


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(("inputs", "rows"), [(4, 5), (1, 2), (7, 3), (40, 2)])
def test_every_shipped_layer_keeps_the_contract(make, inputs, rows):
    assert_layer_contract(make, inputs=inputs, rows=rows)


@pytest.mark.parametrize("keep_prob", [1e-3, 0.02, 0.3, 0.999, 1 - 1e-16])
def test_dropout_keeps_the_contract_with_any_probability(keep_prob):
    assert_layer_contract(lambda: nn.Dropout(keep_prob=keep_prob))


@pytest.mark.parametrize("seed", range(5))
def test_the_seed_of_the_trial_does_not_matter_to_a_right_layer(seed):
    for make in LAYERS.values():
        assert_layer_contract(make, seed=seed)


class Twice(nn.Layer):
    """Needs nothing of the forward pass to go back."""

    def forward(self, x, cache):
        return 2 * x

    def backward(self, dy, cache):
        return 2 * dy


class Centred(nn.Layer):
    """Mixes the rows, and says so."""

    independent_rows = False

    def forward(self, x, cache):
        return x - x.mean(axis=0)

    def backward(self, dy, cache):
        return dy - dy.mean(axis=0)


class Magnitude(nn.Layer):
    """Has a kink at zero and is no rectifier: its derivative there is not prescribed."""

    def forward(self, x, cache):
        cache.sign = np.sign(x.real)
        return x * cache.sign

    def backward(self, dy, cache):
        return dy * cache.sign


class Shifted(Twice):
    """Adds the number of passes, which training changes."""

    passes = 0

    def forward(self, x, cache):
        self.passes += cache.training
        return 2 * x + x.dtype.type(self.passes)


class Counted(Shifted):
    """Has its state in `get_state`."""

    def get_state(self):
        return {"passes": self.passes}


@pytest.mark.parametrize("layer", [Scale, Twice, Centred, Magnitude, Counted])
def test_a_users_right_layer_keeps_the_contract(layer):
    assert_layer_contract(layer)


# --- Rules that no known bug breaks -----------------------------------------------------


class OneColumnLess(nn.Tanh):
    def forward(self, x, cache):
        return super().forward(x, cache)[:, 1:].copy()


class AList(nn.Tanh):
    def forward(self, x, cache):
        return super().forward(x, cache).tolist()


class ReturnsCachedInput(nn.Layer):
    def forward(self, x, cache):
        return x[:, ::-1]

    def backward(self, dy, cache):
        return dy[:, ::-1].copy()


class DySliced(nn.Layer):
    def forward(self, x, cache):
        return x * 1.0

    def backward(self, dy, cache):
        return dy[:]


class WritesNothing(Scale):
    def gradient(self, dy, cache, gradients):
        pass


class SumOfPairs(Scale):
    """Divides its gradient and its output alike, so that the pieces do not add up."""

    def forward(self, x, cache):
        cache.x = x
        return x * (self.factor if len(x) > 4 else self.factor * 2)

    def backward(self, dy, cache):
        return dy * (self.factor if len(dy) > 4 else self.factor * 2)


class ManyRowsOnly(nn.Tanh):
    def forward(self, x, cache):
        y = super().forward(x, cache)
        return y.squeeze() if x.shape[1] == 1 else y

    def backward(self, dy, cache):
        return np.asarray(super().backward(dy.reshape(cache.y.shape), cache))


class RemembersInference(nn.Tanh):
    def forward(self, x, cache):
        y = super().forward(x, cache)
        if not cache.training:
            self.y = y.copy()
        return y

    def backward(self, dy, cache):
        y = cache.y if cache.training else self.y
        return dy * (1 - y * y)


class Raises(nn.Tanh):
    def backward(self, dy, cache):
        raise RuntimeError("not written yet")


class WiderNoise(nn.GaussianDropout):
    """Takes ``keep_prob`` for the standard deviation of its noise."""

    def forward(self, x, cache):
        p, self.keep_prob = self.keep_prob, 1 / (1 + self.keep_prob**2)
        try:
            return super().forward(x, cache)
        finally:
            self.keep_prob = p


class DamagesTheParameters(Scale):
    def backward(self, dy, cache):
        self.factor *= 2
        return dy * self.factor / 2


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (OneColumnLess, "shape", r"forward must return an array of shape \(5, 4\), got .*\(5, 3\)"),
        (AList, "shape", "must return an array"),
        (ReturnsCachedInput, "shares memory", "the output of .* shares memory with x"),
        (DySliced, "shares memory", "dx of DySliced shares memory with dy"),
        (WritesNothing, "not written", r"writes nothing into gradients\['factor'\]"),
        (SumOfPairs, "rows", "independent_rows = False"),
        (ManyRowsOnly, "one column", "for a batch of one column"),
        (RemembersInference, "remembers inference", "whose cache is empty"),
        (Raises, "raises", "Raises.backward raises RuntimeError: not written yet"),
        (DamagesTheParameters, "backward once", "called twice"),
        (Shifted, "replay", r"return attributes that training changes in get_state\(\)"),
        (
            lambda: WiderNoise(keep_prob=0.8),
            "variance",
            r"noise of variance 0.64\d*, though keep_prob is 0.8, which means .* = 0.25",
        ),
    ],
)
def test_a_broken_rule_is_named(make, code, words):
    with pytest.raises(ContractError, match=words) as caught:
        assert_layer_contract(make)
    assert caught.value.code == code


def test_a_gradient_that_does_not_add_up_is_found():
    class Mean(Scale):
        independent_rows = True

        def gradient(self, dy, cache, gradients):
            super().gradient(dy, cache, gradients)
            gradients["factor"] *= 1.0 if len(dy) == 5 else 0.5

    with pytest.raises(ContractError, match="is not the sum of that of its parts") as caught:
        assert_layer_contract(Mean)
    assert caught.value.code == "sum"


def test_the_derivative_at_zero_of_every_rectifier_is_the_left_one():
    class Wrong(nn.ELU):
        def backward(self, dy, cache):
            slope = np.where(cache.x >= 0, 1.0, self.alpha * np.exp(cache.x))
            return dy * slope.astype(dy.dtype)

    with pytest.raises(ContractError, match=r"exactly x = 0 is 1; the left derivative, 0\.5, is"):
        assert_layer_contract(lambda: Wrong(0.5))
    assert_layer_contract(lambda: Wrong(1.0))  # no kink: both sides agree


def test_the_message_of_a_wrong_gradient_names_block_place_and_values():
    class Wrong(nn.Tanh):
        def backward(self, dy, cache):
            return -super().backward(dy, cache)

    with pytest.raises(AssertionError) as caught:
        assert_layer_contract(Wrong)
    assert re.match(
        r"Wrong: the derivative of the output with respect to inputs .* \(ratio -1\)",
        str(caught.value),
    )


def test_the_error_survives_pickling_and_a_process_pool():
    error = ContractError("rows", "Mean depends on other rows.")
    error.add_note("batch 3")
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.code, str(copied), copied.__notes__) == (error.code, str(error), ["batch 3"])
    with ProcessPoolExecutor(1) as pool, pytest.raises(ContractError, match="forward raises"):
        pool.submit(assert_layer_contract, nn.Layer).result()
