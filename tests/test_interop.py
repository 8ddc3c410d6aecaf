"""Conversions without the other libraries: PyTorch's weights by name, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import Scale, unchanged

import nnreg as nn
from nnreg import interop


def network(**options: Any) -> nn.Network:
    """Return 4 inputs, and dense layers of 3, 3 and 2 units."""
    layers = [nn.Dense(3), nn.ReLU(), nn.Dropout(keep_prob=0.5), nn.Dense(3), nn.Dense(2)]
    return nn.Network(layers, inputs=4, **options)


def state_of(net: nn.Network, *names: str) -> dict[str, Any]:
    """Return the weights as PyTorch has them, under these names of the layers."""
    return {
        f"{theirs}.{kind}": net.parameters[f"dense_{number}.{kind}"].T.copy()
        for number, theirs in enumerate(names, 1)
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["0", "3", "10"], None),
        (["fc8", "fc9", "fc10"], None),
        (["net.0.lin1", "net.0.lin2", "net.1.lin1"], None),
        (["stem", "body", "head"], ["stem", "body", "head"]),
    ],
)
def test_weights_are_read_in_the_order_of_the_numbers(names: Any, layers: Any) -> None:
    net, new = network(seed=1), network(seed=2)
    state = dict(reversed(state_of(net, *names).items()))  # a file keeps no order
    assert interop.load_state_dict(new, state, layers=layers) is new
    np.testing.assert_array_equal(new.parameters.vector, net.parameters.vector)


STATE = state_of(network(seed=1), "fc1", "fc2", "fc3")
FAULTS = {
    "no order": (state_of(network(), "stem", "body", "head"), r"pass layers=\['body', 'head'"),
    "too few": (state_of(network(), "fc1", "fc2"), "of 3 layers.* got 2: fc1, fc2"),
    "no bias": ({k: v for k, v in STATE.items() if k != "fc2.bias"}, r"differs in \['fc2.bias'\]"),
    "running mean": (STATE | {"fc1.mean": np.ones(3)}, r"differs in \['fc1.mean'\]"),
    "not transposed": (
        STATE | {"fc1.weight": np.ones((4, 3))},
        r"fc1.weight must have shape \(3, 4\), for dense_1.weight, got \(4, 3\)",
    ),
    "not finite": (
        STATE | {"fc3.bias": np.array([0.0, np.nan])},
        r"dense_3.bias .* must be finite",
    ),
}


@pytest.mark.parametrize(("state", "message"), FAULTS.values(), ids=FAULTS)
def test_other_weights_are_refused_and_none_is_changed(state: Any, message: str) -> None:
    net = network()
    with unchanged(net), pytest.raises(ValueError, match=message):
        interop.load_state_dict(net, state)


def test_weights_are_written_and_read_as_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    net, new = network(seed=1, penalty=nn.L1(0.1)), network(seed=2)
    interop.save_state_dict(net, path := tmp_path / "net.safetensors")
    np.testing.assert_array_equal(
        interop.load_state_dict(new, path).parameters.vector, net.parameters.vector
    )
    with pytest.raises(FileExistsError, match="overwrite=True"):
        interop.save_state_dict(net, path)
    path.write_bytes(path.read_bytes()[:-1])
    with unchanged(new), pytest.raises(ValueError, match="cannot be read as safetensors"):
        interop.load_state_dict(new, path)


def test_file_of_nnreg_and_file_without_layers_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    nn.save(net := network(), path := tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"nn.load\('.*net.safetensors'\) reads it"):
        interop.load_state_dict(net, path)
    with pytest.raises(ValueError, match="weights and no layers"):
        interop.from_torch(path)


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.bin"])
def test_pickle_is_refused_with_the_line_that_writes_safetensors(name: str) -> None:
    advice = r"a pickle.*save_file\(module.state_dict\(\), 'net.safetensors'\)"
    with pytest.raises(ValueError, match=advice):
        interop.load_state_dict(network(), name)
    with pytest.raises(ValueError, match=advice):
        interop.from_torch(name)
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        interop.save_state_dict(network(), name)


REFUSED = {
    "custom layer": ([Scale(), nn.Dense(2)], {}, "scale_1 has no equal in PyTorch"),
    "noise": ([nn.GaussianDropout(keep_prob=0.5)], {}, r"net.layers\[0\].keep_prob = 1"),
    "penalty": ([nn.Dense(2)], {"penalty": nn.L1(0.1)}, "net.penalty = None"),
    "constraint": ([nn.Dense(2)], {"constraint": nn.MaxNorm(1.0)}, "net.constraint = None"),
    "of a layer": ([nn.Dense(2, penalty=nn.L2(0.1))], {}, r"net.layers\[0\].penalty = None"),
}


@pytest.mark.parametrize(("layers", "rules", "message"), REFUSED.values(), ids=REFUSED)
def test_what_pytorch_does_not_have_is_refused_with_the_line_that_removes_it(
    layers: list[nn.Layer], rules: Any, message: str
) -> None:
    net = nn.Network([layer.clone() for layer in layers], inputs=4, **rules)
    with pytest.raises(ValueError, match=message):
        interop.to_torch(net)


@pytest.mark.parametrize("function", [interop.save_state_dict, interop.load_state_dict])
def test_weights_of_a_custom_layer_have_no_name_in_pytorch(function: Any) -> None:
    net = nn.Network([Scale()], inputs=4)
    with pytest.raises(ValueError, match="scale_1 must be a Dense layer"):
        function(net, "net.safetensors")


@pytest.mark.parametrize(
    ("package", "extra", "convert"),
    [
        ("torch", "torch", lambda net, folder: interop.to_torch(net)),
        ("torch", "torch", lambda net, folder: interop.from_torch(net)),
        ("onnx", "onnx", lambda net, folder: interop.save_onnx(net, folder / "net.onnx")),
        ("sklearn", "sklearn", lambda net, folder: interop.to_sklearn(net)),
        ("sklearn", "sklearn", lambda net, folder: interop.from_sklearn(net)),
    ],
)
def test_missing_library_is_an_error_that_names_the_extra(
    package: str, extra: str, convert: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    net = nn.Network([nn.Dense(2)], inputs=4)
    with pytest.raises(ImportError, match=rf"pip install 'nnreg\[{extra}\]'"):
        convert(net, tmp_path)
