"""Networks written as ONNX models, and what ONNX Runtime and ONNX's reference compute with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity import shared
from parity.shared import Array

import nnreg as nn
from nnreg import interop

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
reference = pytest.importorskip("onnx.reference")
pytestmark = pytest.mark.onnx


def evaluate(path: Path, x: Array) -> Any:
    """Return the outputs in float32 of ONNX Runtime, in float64 of ONNX's reference."""
    if x.dtype == "float32":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    else:
        session = reference.ReferenceEvaluator(str(path))
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", shared.models("float32"))
def test_model_is_valid_and_predicts_the_same(
    name: str, dtype: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    net, path = shared.models(dtype)[name], tmp_path / "net.onnx"
    interop.save_onnx(net, path)
    onnx.checker.check_model(path, full_check=True)
    x = rng.normal(0, 3, (shared.ROWS, shared.INPUTS)).astype(dtype)
    theirs, ours = evaluate(path, x), net.predict(x)
    if any(isinstance(layer, nn.GELU) for layer in net.layers):  # of which theirs has 7 digits
        theirs, ours = theirs.astype("float32"), ours.astype("float32")
    shared.assert_predictions_agree(theirs, ours)


@pytest.mark.parametrize(("final", "function"), [("softmax", nn.softmax), ("sigmoid", nn.sigmoid)])
def test_probabilities_and_classes_are_in_the_file(
    final: str, function: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    net, path = shared.models("float32")["Tanh"], tmp_path / "net.onnx"
    net.classes = ["cat", "dog", "owl"]
    net.penalty = nn.L1(0.1)  # for training only
    interop.save_onnx(net, path, probabilities=final)
    x = rng.normal(size=(shared.ROWS, shared.INPUTS)).astype("float32")
    shared.assert_predictions_agree(evaluate(path, x), function(net.predict(x)))
    (metadata,) = onnx.load(path).metadata_props
    assert (metadata.key, json.loads(metadata.value)) == ("classes", list(net.classes))


@pytest.mark.slow
def test_file_runs_in_a_process_without_nnreg(tmp_path: Path) -> None:
    net, x = shared.models("float32")["every layer"], np.ones((1, shared.INPUTS), "float32")
    interop.save_onnx(net, tmp_path / "net.onnx")
    code = "import numpy, onnxruntime; session = onnxruntime.InferenceSession('net.onnx')\n"
    code += "x = numpy.ones((1, 4), 'float32'); numpy.save('y', session.run(None, {'x': x})[0])"
    shared.run_without_nnreg(code, tmp_path)
    shared.assert_predictions_agree(np.load(tmp_path / "y.npy"), net.predict(x))
