"""Construction of a network: names, initial values, copies, and errors."""

import inspect

import numpy as np
import pytest
from strategies import LAYERS, mixed

import nnreg as nn

# --- Names and places -----------------------------------------------------------------------------


def test_layers_are_named_by_kind_and_number():
    net = mixed()
    assert [layer.name for layer in net.layers] == [
        *("dropout_1", "dense_1", "tanh_1", "dropout_2", "dense_2", "gelu_1", "dense_3"),
    ]
    assert list(net.parameters)[:3] == ["dense_1.weight", "dense_1.bias", "dense_2.weight"]


def test_a_layer_sees_the_networks_vector():
    net = mixed()
    net.parameters.vector[:] = 7.0
    assert (net.layers[1].weight == 7.0).all()
    assert (net.layers[1].bias == 7.0).all()


@pytest.mark.parametrize("make", [lambda: nn.Dense(2), nn.ReLU, nn.Dropout])
def test_one_layer_in_two_places_is_an_error(make):
    layer = make()
    with pytest.raises(ValueError, match=r"layers\[1\] is in a network already"):
        nn.Network([layer, layer], inputs=2)
    nn.Network([layer], inputs=2)  # the failure has not bound it
    with pytest.raises(ValueError, match=r"_1 is in a network already; a layer can be used once"):
        nn.Network([layer], inputs=2)


# --- Initial values -------------------------------------------------------------------------------

RELU_FAMILY = ["ReLU", "LeakyReLU", "ELU", "GELU"]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("between", [[], [nn.Dropout], [nn.Dropout, nn.Dropout]], ids=len)
def test_he_before_the_relu_family_even_past_dropout_glorot_otherwise(name, between):
    if name.startswith("Dropout"):
        return
    layers = [nn.Dense(3), *(make() for make in between), LAYERS[name]()]
    net = nn.Network(layers, inputs=2)
    he = name.partition(",")[0] in RELU_FAMILY
    assert net.initializers["dense_1.weight"] == ("he_normal" if he else "glorot_uniform")
    assert net.initializers["dense_1.bias"] == "zeros"


def test_the_last_layer_begins_with_glorot_and_biases_at_zero():
    net = mixed()
    assert net.initializers["dense_3.weight"] == "glorot_uniform"
    assert not net.parameters.biases.any()
    assert net.parameters.weights.all()


def test_initial_values_depend_on_the_seed_alone():
    assert (mixed().parameters.vector == mixed().parameters.vector).all()
    assert (mixed(seed=1).parameters.weights != mixed(seed=2).parameters.weights).all()
    np.testing.assert_array_equal(
        mixed("float32").parameters.vector, mixed().parameters.vector.astype("float32")
    )


def test_inserting_dropout_leaves_the_initial_values_as_they_were():
    plain = nn.Network([nn.Dense(6), nn.ReLU(), nn.Dense(3)], inputs=4)
    with_dropout = nn.Network(
        [nn.Dropout(keep_prob=0.8), nn.Dense(6), nn.ReLU(), nn.Dropout(keep_prob=0.5), nn.Dense(3)],
        inputs=4,
    )
    np.testing.assert_array_equal(plain.parameters.vector, with_dropout.parameters.vector)


def test_layers_of_one_shape_begin_with_different_values():
    net = nn.Network([nn.Dense(4), nn.Dense(4)], inputs=4)
    assert (net.parameters["dense_1.weight"] != net.parameters["dense_2.weight"]).all()


def test_a_layers_own_initializer_is_used_and_its_shape_checked():
    def sevens(shape, rng):
        return np.full(shape, 7.0)

    net = nn.Network([nn.Dense(3, initializer=sevens)], inputs=2)
    assert (net.parameters.weights == 7.0).all()
    assert net.initializers["dense_1.weight"] == "sevens"
    with pytest.raises(ValueError, match=r"dense_1.weight must return shape \(2, 3\), got \(3,\)"):
        nn.Network([nn.Dense(3, initializer=lambda shape, rng: np.zeros(3))], inputs=2)


# --- Copies ---------------------------------------------------------------------------------------


def test_a_copy_may_be_complex_for_the_gradient_check():
    copy = mixed().copy("complex128")
    assert copy.parameters.vector.dtype == copy.dtype == "complex128"
    with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float64', got"):
        nn.Network([nn.Dense(1)], inputs=1, dtype="complex128")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_copy_may_be_cast(dtype, rng):
    net = mixed("float32")
    copy = net.copy(dtype=dtype)
    x = rng.normal(size=(5, 4))
    assert copy.parameters.vector.dtype == copy.predict(x).dtype == dtype
    np.testing.assert_allclose(copy.predict(x), net.predict(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(copy.parameters.vector, net.parameters.vector)


# --- Errors -------------------------------------------------------------------------------------


def test_layers_of_a_refused_network_are_free_for_another():
    layers = [nn.Dense(2)]
    with pytest.raises(TypeError, match="penalty must be None or a Penalty"):
        nn.Network(layers, inputs=3, penalty=0.1)
    assert nn.Network(layers, inputs=3, penalty=nn.L2(0.1)).penalty_value() > 0


def test_a_parameter_is_called_by_a_python_name():
    class Dotted(nn.Layer):
        def parameters(self, inputs):
            return {"mix.in": nn.Parameter((inputs,), nn.ones)}

    with pytest.raises(ValueError, match=r"parameter name 'mix\.in' of"):
        nn.Network([Dotted()], inputs=2)


def test_initializers_are_called_once_and_their_values_checked_in_the_networks_dtype(tmp_path):
    calls = []

    def counting(shape, rng):
        calls.append(shape)
        return np.full(shape, len(calls))

    net = nn.Network([nn.Dense(2, initializer=counting)], inputs=3)
    net.copy("float64")
    nn.save(net, tmp_path / "net.npz")
    again = nn.load(tmp_path / "net.npz", custom={"counting": counting})
    nn.Network.from_vector([net.layers[0].clone()], inputs=3)
    nn.check_gradients(net, np.ones((2, 3)), np.zeros((2, 2)), nn.MeanSquaredError())
    assert calls == [(3, 2)]
    assert again.parameters["dense_1.weight"].tolist() == np.ones((3, 2)).tolist()
    with pytest.raises(ValueError, match=r"initial dense_1.weight \(as float32\) must be finite"):
        nn.Network([nn.Dense(1, initializer=lambda shape, rng: np.full(shape, 1e300))], inputs=1)


def test_a_network_of_many_layers_is_built_copied_and_described_in_linear_time():
    net = nn.Network([nn.Dense(1) for _ in range(2_000)], inputs=1, penalty=nn.L2(1.0))
    assert net.copy().penalty_value() == net.penalty_value() > 0


@pytest.mark.parametrize("name", ["penalty", "constraint"])
@pytest.mark.parametrize("value", ["l2", 0.1, nn.L2, nn.SGD(0.1)])
def test_a_rule_of_any_layer_is_checked_when_it_is_set(name, value):
    class Custom(nn.Tanh):
        pass

    with pytest.raises(TypeError, match=f'{name} must be "inherit", None or a'):
        setattr(Custom(), name, value)
    setattr(Custom, name, value)
    with pytest.raises(TypeError, match=f'custom_1.{name} must be "inherit"'):
        nn.Network([Custom()], inputs=1)


@pytest.mark.parametrize("kind", [nn.Dropout, nn.GaussianDropout])
def test_the_signature_of_dropout_is_plain(kind):
    assert str(inspect.signature(kind)) == "(*, keep_prob: 'float' = 1.0) -> 'None'"
