"""The network without training: each framework's way to compute outputs for rows in NumPy arrays.

A call takes a NumPy array and gives one back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.frameworks.stepwise import Stepwise
from benchmarks.problem import Array, Problem


class Predictor(Stepwise):
    """Give ``predict``. ``problem.batch`` is the number of rows."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.x = problem.data()[0][: problem.batch]
        self.prepare()

    def prepare(self) -> None:
        """Build the network."""

    def predict(self) -> Array:
        """Return outputs (N, M) for ``self.x``."""
        raise NotImplementedError

    def step(self) -> Array:
        """Predict."""
        return self.predict()

    def wait(self, loss: Array) -> None:
        """Nothing is left to do: the outputs are there."""

    def follow(self, steps: int) -> list[float]:
        """Predict once; there is no loss."""
        self.outputs = np.asarray(self.predict())
        return []

    def parameters(self) -> list[Array]:
        """Return the outputs, which are what is compared."""
        return [self.outputs]


class Nnreg(Predictor):
    """``net.predict``."""

    def prepare(self) -> None:
        """Build the network."""
        from benchmarks.frameworks.nnreg_fit import network

        self.net = network(self.problem)

    def predict(self) -> Array:
        """Return the outputs."""
        return self.net.predict(self.x)


class Keras(Predictor):
    """``model.predict``, in blocks of 1,024 rows."""

    def prepare(self) -> None:
        """Build the network."""
        from benchmarks.frameworks.keras_fit import model

        self.model = model(self.problem)

    def predict(self) -> Array:
        """Return the outputs."""
        return self.model.predict(self.x, batch_size=1024, verbose=0)


class TensorFlow(Predictor):
    """A ``tf.function``."""

    def prepare(self) -> None:
        """Build the network."""
        import tensorflow as tf

        layers = [(tf.constant(w), tf.constant(b)) for w, b in self.problem.weights()]

        @tf.function(autograph=False)
        def outputs(x: Any) -> Any:
            for index, (w, b) in enumerate(layers):
                x = tf.nn.bias_add(tf.matmul(x, w), b)
                x = tf.nn.relu(x) if index < len(layers) - 1 else x
            return x

        self.outputs_of, self.tensor = outputs, tf.convert_to_tensor

    def predict(self) -> Array:
        """Return the outputs."""
        return self.outputs_of(self.tensor(self.x)).numpy()


class Torch(Predictor):
    """``nn.Sequential`` in ``inference_mode``."""

    def prepare(self) -> None:
        """Build the network."""
        import torch

        from benchmarks.frameworks.torch_eager import TorchEager

        self.torch, self.model = torch, TorchEager(self.problem).model.eval()

    def predict(self) -> Array:
        """Return the outputs."""
        with self.torch.inference_mode():
            return self.model(self.torch.from_numpy(self.x)).numpy()


class Jax(Predictor):
    """A ``jit`` function of weights and rows."""

    def prepare(self) -> None:
        """Build the network."""
        import jax
        import jax.numpy as jnp

        self.layers = [(jnp.array(w), jnp.array(b)) for w, b in self.problem.weights()]

        @jax.jit
        def outputs(layers: Any, x: Any) -> Any:
            for index, (w, b) in enumerate(layers):
                x = x @ w + b
                x = jax.nn.relu(x) if index < len(layers) - 1 else x
            return x

        self.outputs_of = outputs

    def predict(self) -> Array:
        """Return the outputs."""
        return np.asarray(self.outputs_of(self.layers, self.x))


class Onnx(Predictor):
    """onnxruntime, its model made of ``Gemm`` and ``Relu``."""

    def prepare(self) -> None:
        """Build the network."""
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        nodes, values, last = [], [], "x"
        pairs = self.problem.weights()
        for index, (w, b) in enumerate(pairs):
            values += [numpy_helper.from_array(w, f"w{index}")]
            values += [numpy_helper.from_array(b, f"b{index}")]
            nodes.append(helper.make_node("Gemm", [last, f"w{index}", f"b{index}"], [f"z{index}"]))
            last = f"z{index}"
            if index < len(pairs) - 1:
                nodes.append(helper.make_node("Relu", [last], [f"y{index}"]))
                last = f"y{index}"
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
            for name, width in (("x", self.problem.widths[0]), (last, self.problem.widths[-1]))
        ]
        graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9  # onnxruntime may be older than onnx
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    def predict(self) -> Array:
        """Return the outputs."""
        return self.session.run(None, {"x": self.x})[0]
