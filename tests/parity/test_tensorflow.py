"""The same numbers as TensorFlow and its Keras, in float64.

What has to be converted: Keras' L2 has no half. Its decoupled ``weight_decay`` applies to biases
too unless they are excluded. Its epsilons mean something else: see ``test_ten_steps_equal_keras``.
Keras and TensorFlow warn of nothing here, so no warning is let pass.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import architectures, one_step, script, shared
from parity.shared import Array

import nnreg as nn
from nnreg.conventions import Convention, convert_penalty

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def float64_on_the_processor() -> Iterator[None]:
    if keras.backend.backend() != "tensorflow":
        pytest.skip(f"Keras runs on {keras.backend.backend()} here, not on TensorFlow")
    before = keras.backend.floatx()
    keras.backend.set_floatx("float64")
    with tf.device("CPU"):
        yield
    keras.backend.set_floatx(before)


class Masked(keras.layers.Layer):
    """Dropout whose mask is given."""

    mask: Any = 1.0

    def call(self, x: Any) -> Any:
        return x * self.mask


def gelu(x: Any) -> Any:
    """GELU from TensorFlow's error function; its own GELU rounds √½ to float32."""
    return x * (1 + tf.math.erf(x * math.sqrt(0.5))) / 2


LAYERS = {
    nn.Dropout: lambda layer: Masked(),
    nn.ReLU: lambda layer: keras.layers.ReLU(),
    nn.LeakyReLU: lambda layer: keras.layers.LeakyReLU(layer.slope),
    nn.ELU: lambda layer: keras.layers.ELU(layer.alpha),
    nn.GELU: lambda layer: keras.layers.Activation(gelu),
    nn.Tanh: lambda layer: keras.layers.Activation("tanh"),
    nn.Sigmoid: lambda layer: keras.layers.Activation("sigmoid"),
    nn.Softplus: lambda layer: keras.layers.Activation("softplus"),
}


def one_hot(labels: Array, classes: int) -> Any:
    return tf.one_hot(labels, classes, dtype="float64")


# One value a row. The sigmoid's is averaged over the outputs by Keras and added up by ours. Keras
# smooths no class numbers, so they become one-hot rows, and adds 1e-7 inside the logarithm of its
# Poisson loss, so that is TensorFlow's.
ROW_LOSSES = {
    "softmax, labels": lambda z, y: keras.losses.sparse_categorical_crossentropy(
        y, z, from_logits=True
    ),
    "softmax, labels, smoothed": lambda z, y: keras.losses.categorical_crossentropy(
        one_hot(y, z.shape[1]), z, from_logits=True, label_smoothing=shared.SMOOTHING
    ),
    "softmax, probabilities": lambda z, y: keras.losses.categorical_crossentropy(
        y, z, from_logits=True
    ),
    "softmax, probabilities, smoothed": lambda z, y: keras.losses.categorical_crossentropy(
        y, z, from_logits=True, label_smoothing=shared.SMOOTHING
    ),
    "sigmoid": lambda z, y: z.shape[1] * keras.losses.binary_crossentropy(y, z, from_logits=True),
    "squared error": lambda z, y: keras.losses.mean_squared_error(y, z),
    "Huber": lambda z, y: keras.losses.huber(y, z, delta=shared.DELTA),
    "quantile": lambda z, y: tf.reduce_mean(
        tf.maximum((1 - shared.Q) * (z - y), shared.Q * (y - z)), axis=1
    ),
    "Poisson": lambda z, y: tf.reduce_sum(tf.nn.log_poisson_loss(y, z), axis=1),
}


class KerasTraining:
    """The network and the optimizer, built by Keras."""

    def __init__(self, net: nn.Network, optimizer: nn.Optimizer | None = None) -> None:
        self.net = net
        self.layers = {layer.name: self.build_layer(layer) for layer in net.layers}
        self.model = keras.Sequential([keras.Input((net.inputs,)), *self.layers.values()])
        self.dense = {k: v for k, v in self.layers.items() if isinstance(v, keras.layers.Dense)}
        for name, layer in self.dense.items():
            layer.set_weights([net.parameters[f"{name}.weight"], net.parameters[f"{name}.bias"]])
        self.ours = optimizer
        if optimizer is not None:
            self.optimizer = self.build_optimizer(optimizer)

    def build_layer(self, layer: nn.Layer) -> Any:
        if not isinstance(layer, nn.Dense):
            return LAYERS[type(layer)](layer)
        l1, l2 = shared.strengths(self.net.penalty)
        penalty = keras.regularizers.L1L2(
            convert_penalty(l1, source="nnreg", target="keras", kind="l1"),
            convert_penalty(l2, source="nnreg", target="keras", kind="l2"),
        )
        return keras.layers.Dense(layer.units, kernel_regularizer=penalty)

    def build_optimizer(self, ours: nn.Optimizer) -> Any:
        rate = ours.learning_rate
        match ours:
            case nn.SGD():
                return keras.optimizers.SGD(rate, momentum=ours.momentum, nesterov=ours.nesterov)
            case nn.RMSprop():
                return keras.optimizers.RMSprop(rate, rho=ours.rho, epsilon=ours.epsilon)
            case nn.AdamW():
                adamw = keras.optimizers.AdamW(
                    rate, ours.weight_decay, ours.beta_1, ours.beta_2, epsilon=ours.epsilon
                )
                adamw.exclude_from_weight_decay(var_names=["bias"])
                return adamw
            case nn.Adam():
                return keras.optimizers.Adam(rate, ours.beta_1, ours.beta_2, epsilon=ours.epsilon)
        raise NotImplementedError(ours)

    def differentiate(self, x: Array, labels: Array, masks: dict[str, Array]) -> list[Any]:
        for name, mask in masks.items():
            self.layers[name].mask = mask
        with tf.GradientTape() as tape:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            total = loss(labels, self.model(x)) + sum(self.model.losses)
        return tape.gradient(total, self.model.trainable_variables)

    def step(self, x: Array, labels: Array, masks: dict[str, Array]) -> None:
        if isinstance(self.ours, nn.Adam):
            count = self.optimizer.iterations.numpy() + 1
            self.optimizer.epsilon = self.ours.epsilon * math.sqrt(1 - self.ours.beta_2**count)
        gradients = self.differentiate(x, labels, masks)
        self.optimizer.apply(gradients, self.model.trainable_variables)

    def named(self, values: list[Any]) -> dict[str, Array]:
        names = [f"{name}.{own}" for name in self.dense for own in ("weight", "bias")]
        return {name: value.numpy() for name, value in zip(names, values, strict=True)}

    def parameters(self) -> dict[str, Array]:
        return self.named(self.model.trainable_variables)


@pytest.mark.parametrize("name", shared.ACTIVATIONS)
def test_activation_and_its_derivative_equal_tensorflows(
    name: str, rng: np.random.Generator
) -> None:
    layer, cache = shared.ACTIVATIONS[name](), nn.Cache("float64")
    x = shared.activation_points(rng)
    dy = rng.normal(size=x.shape)
    their_x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(their_x)
        their_y = LAYERS[type(layer)](layer)(their_x)
    shared.assert_close(their_y, layer.forward(x, cache))
    their_dx = tape.gradient(their_y, their_x, output_gradients=tf.constant(dy))
    shared.assert_close(their_dx, layer.backward(dy, cache))


def test_gelu_equals_keras_as_far_as_its_constants_are_exact(rng: np.random.Generator) -> None:
    x = shared.activation_points(rng)
    theirs = keras.activations.gelu(x, approximate=False)
    np.testing.assert_allclose(theirs, nn.GELU().forward(x, nn.Cache("float64")), atol=1e-7)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", shared.LOSSES)
def test_loss_and_its_gradient_equal_tensorflows(
    name: str, weighted: bool, rng: np.random.Generator
) -> None:
    z = tf.constant(rng.normal(0, 3, (shared.ROWS, shared.CLASSES)))
    targets = shared.targets_of(name, rng)
    weights = rng.random(shared.ROWS) if weighted else None
    with tf.GradientTape() as tape:
        tape.watch(z)
        w = tf.ones(shared.ROWS, "float64") if weights is None else tf.constant(weights)
        their_value = tf.reduce_sum(w * ROW_LOSSES[name](z, targets)) / tf.reduce_sum(w)
    value, gradient = shared.LOSSES[name](z.numpy(), targets, weights)
    shared.assert_close(their_value, value)
    shared.assert_close(tape.gradient(their_value, z), gradient)


def test_weighted_loss_is_keras_mean_with_sample_weight(rng: np.random.Generator) -> None:
    """Keras' own reduction, "sum_over_batch_size", divides by the number of rows instead."""
    z = rng.normal(size=(shared.ROWS, shared.CLASSES))
    labels, weights = rng.integers(0, shared.CLASSES, shared.ROWS), rng.random(shared.ROWS)
    theirs = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    ours, _ = nn.SoftmaxCrossEntropy()(z, labels, weights)
    shared.assert_close(theirs(labels, z, sample_weight=weights), ours)


@pytest.mark.parametrize("penalty", shared.PENALTIES)
def test_gradient_of_the_objective_equals_tensorflows(
    penalty: str, rng: np.random.Generator
) -> None:
    net = shared.network(shared.PENALTIES[penalty], keep_prob=0.75)
    theirs = KerasTraining(net)
    x, labels = shared.batch(rng)
    gradients, masks = shared.differentiate(net, x, labels)
    their_gradients = theirs.differentiate(x, labels, masks)
    for name, gradient in theirs.named(their_gradients).items():
        shared.assert_close(gradient, gradients[name])


ARITHMETIC = architectures.Arithmetic(
    array=tf.constant,
    add_up=tf.reduce_sum,
    absolute=tf.abs,
    activate=lambda layer, x: LAYERS[type(layer)](layer)(x),
    row_losses=ROW_LOSSES,
)


def differentiate(
    function: Callable[[Any], Any], values: dict[str, Array]
) -> tuple[Any, dict[str, Any]]:
    leaves = {name: tf.Variable(value) for name, value in values.items()}
    with tf.GradientTape() as tape:
        result = function(leaves)
    return result, tape.gradient(result, leaves)


@pytest.mark.parametrize("seed", architectures.SEEDS)
@pytest.mark.parametrize("loss", shared.LOSSES)
def test_gradient_of_a_random_network_equals_tensorflows(loss: str, seed: int) -> None:
    architectures.assert_agree(ARITHMETIC, differentiate, loss, seed)


@pytest.mark.parametrize("penalty", shared.PENALTIES)
def test_penalty_value_equals_keras(penalty: str) -> None:
    net = shared.network(shared.PENALTIES[penalty])
    shared.assert_close(sum(KerasTraining(net).model.losses), net.penalty_value())


@pytest.mark.parametrize("penalty", shared.PENALTIES)
@pytest.mark.parametrize("optimizer", shared.OPTIMIZERS)
def test_ten_steps_equal_keras(optimizer: str, penalty: str) -> None:
    r"""Where the two put epsilon in different places, it is set so that the definitions coincide.

    Adam and AdamW. Ours divides by ``√(v/(1 - β₂ᵗ)) + ε``, Keras by ``√v + ε'`` and multiplies the
    step by ``√(1 - β₂ᵗ)``. Multiplying ours above and below by that root shows that they are one
    with ``ε' = ε·√(1 - β₂ᵗ)``. So the optimizer of Keras gets a new epsilon before each step.

    RMSprop. Ours divides by ``√v + ε``, Keras by ``√(v + ε')``. These are equal for all ``v`` only
    where ``ε = ε' = 0``. Zero itself would divide 0 by 0 under a unit that is never active, so both
    get 1e-300: where ``v > 0``, that is lost in rounding; where ``v = 0``, the gradient is 0, and
    so is the step. That our epsilon stands outside the root is shown against PyTorch, which has it
    there too.
    """
    follow_keras(optimizer, shared.network(shared.PENALTIES[penalty]))


@pytest.mark.parametrize("optimizer", shared.OPTIMIZERS)
def test_ten_steps_with_the_same_dropout_masks_equal_keras(optimizer: str) -> None:
    follow_keras(optimizer, shared.network(shared.PENALTIES["L2"], keep_prob=0.75))


def follow_keras(name: str, net: nn.Network) -> None:
    ours = shared.OPTIMIZERS[name]()
    if isinstance(ours, nn.RMSprop):
        ours.epsilon = 1e-300
    shared.assert_ten_steps_agree(net, ours, KerasTraining(net, ours))


def test_keras_adds_the_epsilon_of_adam_to_the_uncorrected_root() -> None:
    w = keras.Variable([1.0], dtype="float64")
    keras.optimizers.Adam(0.5, 0.75, 0.9375, epsilon=0.25).apply(
        [tf.constant([2.0], "float64")], [w]
    )
    mean, square = 0.25 * 2, 0.0625 * 4
    corrected = 0.5 * mean / 0.25 * math.sqrt(0.0625)
    shared.assert_close(w.numpy(), [1 - corrected / (math.sqrt(square) + 0.25)])


def test_keras_adds_the_epsilon_of_rmsprop_inside_the_root() -> None:
    w = keras.Variable([1.0], dtype="float64")
    keras.optimizers.RMSprop(0.5, 0.75, epsilon=0.25).apply([tf.constant([2.0], "float64")], [w])
    square = 0.25 * 4
    shared.assert_close(w.numpy(), [1 - 0.5 * 2 / math.sqrt(square + 0.25)])


def one_step_of(
    strength: float, penalty: Callable[[float, Any], Any], *, decay: bool = False
) -> tuple[Array, Array]:
    weight, bias = keras.Variable(one_step.WEIGHT), keras.Variable(one_step.BIAS)
    optimizer = keras.optimizers.SGD(one_step.RATE, weight_decay=strength if decay else None)
    with tf.GradientTape() as tape:
        z = tf.constant(one_step.X) @ weight.value + bias.value
        rows = keras.losses.sparse_categorical_crossentropy(one_step.LABELS, z, from_logits=True)
        total = tf.reduce_mean(rows) + penalty(strength, weight.value)
    optimizer.apply(tape.gradient(total, [weight.value, bias.value]), [weight, bias])
    return weight.numpy(), bias.numpy()


@one_step.conventions("TensorFlow")
def test_one_step_with_converted_strength_is_the_step_of_tensorflow(convention: Convention) -> None:
    assert convention.source == "tf.nn.l2_loss"
    one_step.assert_same_step(
        convention, lambda s: one_step_of(s, lambda s, w: s * tf.nn.l2_loss(w))
    )


@one_step.conventions("Keras")
def test_one_step_with_converted_strength_is_the_step_of_keras(convention: Convention) -> None:
    def step(strength: float) -> tuple[Array, Array]:
        if convention.decoupled:
            return one_step_of(strength, lambda s, w: 0.0, decay=True)
        kind = {"l1": keras.regularizers.L1, "l2": keras.regularizers.L2}[convention.kind]
        return one_step_of(strength, lambda s, w: kind(s)(w))

    one_step.assert_same_step(convention, step)


def test_the_script_of_the_learn_page_takes_the_steps_of_nnreg(tmp_path: Path) -> None:
    script.assert_takes_our_steps("in_tensorflow.py", tmp_path)
