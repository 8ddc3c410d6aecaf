"""Files between nnreg and Keras 3: each side reads what the other wrote, without the other.

This process imports nnreg and never Keras; the script `keras_models.py` is the other process. Three
things of Keras on TensorFlow are not exact in float64: its GELU rounds √½ to float32, its leaky
ReLU the slope, and "l2" the strength 0.01.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import keras_models, shared

import nnreg as nn
from nnreg.interop import load_keras, save_keras

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not find_spec("keras"), reason="Keras is not installed"),
]

SCRIPT = Path(__file__).parents[2] / "docs" / "do" / "from_nnreg_to_keras.py"
X = np.random.default_rng(4).normal(size=(7, 4))
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
ROUNDED = dict.fromkeys([*keras_models.ROUNDED, "GELU", "every layer", "l2"], 1e-6)
ONES = {"L1": nn.L1(0.25), "L2": nn.L2(0.5), "ElasticNet": nn.ElasticNet(0.25, 0.5)}
DTYPE = pytest.mark.parametrize("dtype", keras_models.DTYPES)


def networks(dtype: str) -> dict[str, nn.Network]:
    """Return the networks that Keras opens: each activation, layer, penalty and constraint."""
    layers: dict[str, list[nn.Layer]] = {
        name: [nn.Dense(5), make(), nn.Dense(3)] for name, make in shared.ACTIVATIONS.items()
    }
    layers["every layer"] = [
        part for m in shared.ACTIVATIONS.values() for part in (nn.Dense(5), m())
    ]
    layers["dropout"] = [
        *(nn.Dropout(keep_prob=0.75), nn.Dense(5), nn.GaussianDropout(keep_prob=0.5), nn.Dense(3))
    ]
    layers["twelve layers"] = [part for _ in range(12) for part in (nn.Dense(5), nn.Tanh())]
    layers["no bias"] = [nn.Dense(5, bias=False), nn.Dense(3)]
    layers["no dense layer"] = [nn.ReLU()]
    for name, penalty in ONES.items():
        layers[name] = [nn.Dense(5, penalty=penalty), nn.Dense(3)]
    layers["MaxNorm"] = [nn.Dense(5, constraint=nn.MaxNorm(2.5)), nn.Dense(3)]
    nets = {n: nn.Network(parts, inputs=4, dtype=dtype, seed=2) for n, parts in layers.items()}
    for net in nets.values():
        net.parameters.biases[:] = np.linspace(-1, 1, net.parameters.biases.size)
    return nets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "x.npy", X)
    for dtype in keras_models.DTYPES:
        for name, net in networks(dtype).items():
            save_keras(net, folder / f"ours {name} {dtype}.keras")
    save_keras(nn.Network([nn.Dense(2)], inputs=2), folder / "digits.keras")
    subprocess.run(
        [sys.executable, keras_models.__file__, folder, SCRIPT],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": ""},
        check=True,
        timeout=300,
    )
    assert "keras" not in sys.modules
    return folder


def assert_same(results: Any, outputs: np.ndarray, net: nn.Network, tolerance: float) -> None:
    assert results["outputs"].dtype == net.dtype
    np.testing.assert_allclose(results["outputs"], outputs, rtol=0, atol=tolerance)
    np.testing.assert_allclose(results["penalty"], net.penalty_value(), rtol=10 * tolerance)


@DTYPE
@pytest.mark.parametrize("name", networks("float32"))
def test_keras_opens_a_network_and_predicts_the_same(folder: Path, name: str, dtype: str) -> None:
    net = networks(dtype)[name]
    with np.load(folder / f"ours {name} {dtype}.npz") as results:
        tolerance = max(TOLERANCE[dtype], ROUNDED.get(name, 0))
        assert_same(results, net.predict(X), net, tolerance)


@pytest.mark.filterwarnings("ignore:.*softmax at its end")
@DTYPE
@pytest.mark.parametrize("name", keras_models.MODELS)
def test_a_model_of_keras_is_read_and_predicts_the_same(
    folder: Path, name: str, dtype: str
) -> None:
    net = load_keras(folder / f"{name} {dtype}.keras")
    outputs = net.predict(X)
    if "oftmax" in name:
        outputs = nn.SoftmaxCrossEntropy().probabilities(outputs)
    with np.load(folder / f"{name} {dtype}.npz") as results:
        tolerance = max(TOLERANCE[dtype], ROUNDED.get(name, 0))
        assert_same(results, outputs, net, tolerance)


@DTYPE
@pytest.mark.parametrize("name", ["dropout", "MaxNorm", "L1L2"])
def test_settings_come_from_keras_converted(folder: Path, name: str, dtype: str) -> None:
    layers = load_keras(folder / f"{name} {dtype}.keras").layers
    expected = {
        "dropout": {0: "Dropout(keep_prob=0.75)", 2: "GaussianDropout(keep_prob=0.5)"},
        "MaxNorm": {0: "MaxNorm(limit=2.5)"},
        "L1L2": {0: "ElasticNet(l1=0.25, l2=1.0, method='subgradient')"},
    }[name]
    for index, text in expected.items():
        assert text in repr(layers[index])


def test_a_program_of_the_playground_computes_the_loss_of_the_run() -> None:
    shared.compare_playground_program("keras", penalty=True)
