"""Shared parts of the comparisons: one small network in float64, its data, its ten steps.

A framework takes part with an object that builds ``net`` from the framework's own layers, optimizer
and penalties, starts from the same numbers, and has ``step(x, labels, masks)`` and
``parameters()``. It gets our dropout masks by the name of the layer, so that the only things that
can differ are the formulas.

Every hyper-parameter is exact in float32 too, since TensorFlow lets some pass through it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import nnreg as nn
from nnreg.playground.programs import write_program
from nnreg.playground.settings import check
from nnreg.playground.training import Training as PlaygroundTraining

Array = NDArray[Any]

ROWS, INPUTS, CLASSES = 9, 4, 3

ACTIVATIONS: dict[str, Callable[[], nn.Layer]] = {
    "ReLU": nn.ReLU,
    "LeakyReLU": partial(nn.LeakyReLU, 0.125),
    "ELU": partial(nn.ELU, 0.75),
    "GELU": nn.GELU,
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
    "Softplus": nn.Softplus,
}

# The epsilons are so large that a wrong place for them shows long before the tenth digit.
OPTIMIZERS: dict[str, Callable[[], nn.Optimizer]] = {
    "SGD": partial(nn.SGD, 2**-3),
    "SGD with momentum": partial(nn.SGD, 2**-4, momentum=0.875),
    "SGD with Nesterov momentum": partial(nn.SGD, 2**-4, momentum=0.875, nesterov=True),
    "RMSprop": partial(nn.RMSprop, 2**-6, rho=0.75, epsilon=2**-10),
    "Adam": partial(nn.Adam, 2**-6, beta_1=0.75, beta_2=0.9375, epsilon=2**-10),
    "AdamW": partial(
        nn.AdamW, 2**-6, beta_1=0.75, beta_2=0.9375, epsilon=2**-10, weight_decay=0.25
    ),
}

PENALTIES = {
    "no penalty": None,
    "L2": nn.L2(2**-5),
    "L1": nn.L1(2**-6),
    "ElasticNet": nn.ElasticNet(2**-6, 2**-5),
}

SMOOTHING = 0.125
DELTA = 0.75
Q = 0.25
LOSSES = {
    "softmax, labels": nn.SoftmaxCrossEntropy(),
    "softmax, labels, smoothed": nn.SoftmaxCrossEntropy(label_smoothing=SMOOTHING),
    "softmax, probabilities": nn.SoftmaxCrossEntropy(),
    "softmax, probabilities, smoothed": nn.SoftmaxCrossEntropy(label_smoothing=SMOOTHING),
    "sigmoid": nn.SigmoidCrossEntropy(),
    "squared error": nn.MeanSquaredError(),
    "Huber": nn.Huber(DELTA),
    "quantile": nn.Quantile(Q),
    "Poisson": nn.Poisson(),
}


class Training(Protocol):
    """A framework's twin of a network and its optimizer."""

    def step(self, x: Array, labels: Array, masks: dict[str, Array]) -> None: ...

    def parameters(self) -> dict[str, Array]: ...


def network(penalty: nn.Penalty | None = None, *, keep_prob: float = 1.0) -> nn.Network:
    """Return a network with every activation, and dropout on the inputs and a hidden layer."""
    layers: list[nn.Layer] = [nn.Dropout(keep_prob=keep_prob)]
    for activation in ACTIVATIONS.values():
        layers += [nn.Dense(6), activation()]
    layers += [nn.Dropout(keep_prob=keep_prob), nn.Dense(CLASSES)]
    net = nn.Network(layers, inputs=INPUTS, penalty=penalty, seed=3, dtype="float64")
    net.parameters.biases[:] = np.random.default_rng(1).normal(0, 0.1, net.parameters.biases.size)
    net.parameters["dense_1.weight"][0, 0] = 0.0  # where the subgradient of L1 is a choice
    return net


def models(dtype: str) -> dict[str, nn.Network]:
    """Return a network for each activation, and for each other kind of layer."""
    dense, head = partial(nn.Dense, 6), partial(nn.Dense, CLASSES)
    stacks: dict[str, list[nn.Layer]] = {
        name: [dense(), kind(), head()] for name, kind in ACTIVATIONS.items()
    }
    stacks |= {
        "slopes not exact in float32": [dense(), nn.LeakyReLU(0.01), dense(), nn.ELU(0.3), head()],
        "no hidden layer": [head()],
        "no activation": [dense(), head()],
        "no bias": [dense(bias=False), nn.ReLU(), head(bias=False)],
        "one output": [dense(), nn.Tanh(), nn.Dense(1)],
        "activation of the outputs": [head(), nn.Softplus()],
    }
    nets = {
        name: nn.Network(layers, inputs=INPUTS, seed=3, dtype=dtype)
        for name, layers in stacks.items()
    }
    for net in nets.values():
        net.parameters.biases[:] = np.random.default_rng(1).normal(size=net.parameters.biases.size)
    return nets | {"every layer": network(keep_prob=0.75).copy(dtype)}


def assert_predictions_agree(theirs: Any, ours: Array) -> None:
    """Hold predictions equal to 1e-6 in float32 and to 1e-12 in float64."""
    theirs, tolerance = np.asarray(theirs), {"float32": 1e-6, "float64": 1e-12}[str(ours.dtype)]
    assert (theirs.dtype, theirs.shape) == (ours.dtype, ours.shape)
    np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance)


def run_without_nnreg(code: str, folder: Path) -> None:
    """Run code in a new process, in this folder; it fails if nnreg is imported."""
    code += "\nimport sys\nassert 'nnreg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=300)


def strengths(penalty: nn.Penalty | None) -> tuple[float, float]:
    """Return ``(l1, l2)`` of ``l1·Σ|w| + l2/2·Σw²``."""
    match penalty:
        case nn.L1():
            return penalty.strength, 0.0
        case nn.L2():
            return 0.0, penalty.strength
        case nn.ElasticNet():
            return penalty.l1, penalty.l2
    return 0.0, 0.0


def targets_of(
    name: str, rng: np.random.Generator, rows: int = ROWS, outputs: int = CLASSES
) -> Array:
    """Return targets for the loss of this name in ``LOSSES``."""
    if "labels" in name:
        return rng.integers(0, outputs, rows)
    if "probabilities" in name:
        return rng.dirichlet(np.ones(outputs), rows)
    if name == "sigmoid":
        return rng.random((rows, outputs))
    if name == "Poisson":
        return rng.poisson(2.0, (rows, outputs)).astype(np.float64)
    return rng.normal(size=(rows, outputs))


def activation_points(rng: np.random.Generator) -> Array:
    """Return inputs for an activation: the kink itself, ordinary ones, and such as saturate."""
    return np.concatenate([[[0.0, -1e-9, 1e-9, -30.0, 30.0]], rng.normal(0, 3, (20, 5))])


def assert_close(theirs: Any, ours: Any) -> None:
    """Hold two results equal to 1e-12, relatively, and absolutely below a hundredth."""
    np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), rtol=1e-12, atol=1e-14)


def batch(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return inputs and labels."""
    return rng.normal(size=(ROWS, INPUTS)), rng.integers(0, CLASSES, ROWS)


def differentiate(
    net: nn.Network, x: Array, labels: Array
) -> tuple[nn.Parameters, dict[str, Array]]:
    """Return the gradient of the whole objective, and the dropout masks by layer.

    A layer that has dropped nothing has no mask.
    """
    outputs, cache = net.forward(x, training=True)
    _, doutputs = nn.SoftmaxCrossEntropy()(outputs, labels)
    gradients = net.backward(doutputs, cache)
    net.add_penalty_gradient(gradients)
    dropouts = [layer.name for layer in net.layers if isinstance(layer, nn.Dropout)]
    return gradients, {name: cache[name].mask for name in dropouts if cache[name].mask is not None}


def assert_ten_steps_agree(net: nn.Network, optimizer: nn.Optimizer, training: Training) -> None:
    """Train both, and hold every parameter equal to 1e-10 after every step."""
    rng = np.random.default_rng(2)
    start = net.parameters.copy()
    for count in range(1, 11):
        x, labels = batch(rng)
        gradients, masks = differentiate(net, x, labels)
        optimizer.update(net.parameters, gradients)
        training.step(x, labels, masks)
        theirs = training.parameters()
        assert set(theirs) == set(net.parameters)
        for name in theirs:
            np.testing.assert_allclose(
                theirs[name],
                net.parameters[name],
                rtol=0,
                atol=1e-10,
                err_msg=f"{name} after step {count}",
            )
    for name in start:
        assert abs(net.parameters[name] - start[name]).max() > 1e-4, f"{name} has not moved"


PLAYGROUND = {
    "layers": [
        {"units": 8, "penalty": {"l1": 0.01, "l2": 0.1}},
        {"units": 4, "activation": "tanh"},
    ],
    **{"l2": 0.01, "max_norm": 2.0, "optimizer": "momentum", "learning_rate": 0.02},
}


def compare_playground_program(library: str, *, penalty: bool = False) -> None:
    """Run a program that the playground exports; assert that it prints the run's loss.

    With ``penalty``, the loss of the library has the penalty.
    """
    training = PlaygroundTraining(check(PLAYGROUND))
    training.train(100)
    _, val, value, _ = training.figures[0]
    program = [sys.executable, "-c", write_program(training, library)["text"]]
    with tempfile.TemporaryDirectory() as folder:
        options = {"cwd": folder, "capture_output": True, "text": True}
        out = subprocess.run(program, check=True, **options).stdout
    assert abs(float(out.split()[-1]) - (val + value * penalty)) < 1e-5 * val
