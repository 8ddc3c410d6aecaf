"""ONNX: a network as a file for inference with ONNX Runtime and others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.files import check_target, write_whole
from nnreg._support.version import __version__
from nnreg.interop.shared import select_layers
from nnreg.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.network import Network

OPSET, IR_VERSION = 20, 9  # the first with Gelu, and its version of the format

OPERATORS: dict[type[Layer], str] = {
    Dense: "Gemm",
    ReLU: "Relu",
    LeakyReLU: "LeakyRelu",
    ELU: "Elu",
    GELU: "Gelu",
    Tanh: "Tanh",
    Sigmoid: "Sigmoid",
    Softplus: "Softplus",
}
PROBABILITIES = {"softmax": "Softmax", "sigmoid": "Sigmoid"}


def save_onnx(
    net: Network, path: str | Path, *, probabilities: str | None = None, overwrite: bool = False
) -> None:
    """Write a network in inference mode as an ONNX model.

    The input ``x`` has shape (N, D) and the output ``outputs`` (N, M), both in the network's dtype.
    ONNX Runtime has not every activation in float64: write ``net.copy("float32")`` for it.
    Penalties, constraints and dropout are for training, and are not in the file. The class labels
    are in the metadata, as ``classes``, in JSON.

    Parameters
    ----------
    net : Network
    path : path
    probabilities : {"softmax", "sigmoid"}, optional
        The function after the last layer; by default the outputs are raw.
    overwrite : bool, default False

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    ImportError
        If onnx is not installed.
    ValueError
        If a layer cannot be converted.

    Examples
    --------
    >>> import tempfile, onnx, nnreg as nn
    >>> path = Path(tempfile.mkdtemp(), "net.onnx")
    >>> save_onnx(nn.Network([nn.Dense(2), nn.ReLU()], inputs=3), path)
    >>> [node.op_type for node in onnx.load(path).graph.node]
    ['Gemm', 'Relu', 'Identity']
    """
    layers = select_layers(net, "ONNX", OPERATORS, training=False)
    final = "Identity"
    if probabilities is not None:
        final = PROBABILITIES[validation.one_of("probabilities", probabilities, PROBABILITIES)]
    path = check_target(path, overwrite=validation.flag("overwrite", overwrite))
    try:
        import onnx
    except ImportError:
        raise ImportError("save_onnx needs onnx: pip install 'nnreg[onnx]'") from None
    helper = onnx.helper
    nodes: list[Any] = []
    tensors: list[Any] = []
    last = "x"

    def add(operator: str, name: str, values: Mapping[str, Any], **attributes: Any) -> None:
        nonlocal last
        inputs = {f"{name}.{parameter}": np.asarray(v) for parameter, v in values.items()}
        tensors.extend(map(onnx.numpy_helper.from_array, inputs.values(), inputs))
        nodes.append(helper.make_node(operator, [last, *inputs], [name], name, **attributes))
        last = name

    for layer in layers:
        name, operator = layer.name, OPERATORS[type(layer)]
        slope = {"LeakyRelu": "slope", "Elu": "alpha"}.get(operator)
        if slope is None:
            add(operator, name, net.parameters.of(name))
        elif net.dtype == "float32":
            add(operator, name, {}, alpha=getattr(layer, slope))
        else:  # an attribute is a float32, but the slope of PRelu is a tensor
            if operator == "Elu":
                add(operator, f"{name}.elu", {})
            add("PRelu", name, {slope: [getattr(layer, slope)]})
    add(final, "outputs", {})
    kind = helper.np_dtype_to_tensor_dtype(net.dtype)
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, ["N", net.inputs])],
        [helper.make_tensor_value_info("outputs", kind, ["N", net.widths[-1]])],
        tensors,
    )
    model = helper.make_model(
        graph,
        producer_name="nnreg",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    if net.classes is not None:
        helper.set_model_props(model, {"classes": json.dumps(net.classes)})
    write_whole(path, model.SerializeToString(), overwrite=overwrite)
