"""The frameworks that are compared.

A framework is a class that trains a :class:`~benchmarks.problem.Problem`::

    framework = Class(problem, **options)
    framework.follow(10)  # ten steps; the data loss before each update
    framework.parameters()  # [w, b, w, b, ...], w of shape (inputs, outputs)
    framework.chunk(200, 10)  # seconds a step over 200 steps, after 10 that are not timed

It starts from ``problem.weights()`` and takes the rows of ``problem.order()``. ``follow`` is called
before ``chunk``, if at all. Frameworks of one process never run at the same time;
frameworks that would slow each other down have separate processes.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from dataclasses import dataclass, field
from typing import Any

from benchmarks.machine import cores
from benchmarks.problem import Problem


@dataclass(frozen=True)
class Entry:
    """A framework: its class, its process, and its capabilities."""

    title: str
    process: str
    target: str  # module:Class in this package
    needs: tuple[str, ...]  # modules, and programs as "!name"
    options: dict[str, Any] = field(default_factory=dict)
    randomness: str = ""  # where its dropout decisions come from
    dropout: bool = True
    l1: bool = True
    masks: bool = False  # accepts given masks
    trains: bool = True

    def missing(self) -> list[str]:
        """Return the requirements that are not installed."""
        return [
            need.lstrip("!")
            for need in self.needs
            if not (shutil.which(need[1:]) if need[0] == "!" else importlib.util.find_spec(need))
        ]

    def takes_part(self, problem: Problem) -> bool:
        """Return whether it can train this problem at all."""
        return (
            (self.dropout or not problem.drops)
            and (self.l1 or not problem.l1)
            and (self.masks or not (problem.drops and problem.given_masks))
        )


ENTRIES = {
    "nnreg": Entry(
        "nnreg fit",
        "nnreg",
        "nnreg_fit:NnregFit",
        ("nnreg",),
        randomness="Philox 4x64, 16 bits a unit",
        masks=True,
    ),
    "nnreg_1": Entry(
        "nnreg fit, 1 thread", "nnreg", "nnreg_fit:NnregFit", ("nnreg",), {"threads": 1}
    ),
    "nnreg_2": Entry(
        "nnreg fit, 2 threads", "nnreg", "nnreg_fit:NnregFit", ("nnreg",), {"threads": 2}
    ),
    "nnreg_all": Entry(
        "nnreg fit, a thread for each core",
        "nnreg",
        "nnreg_fit:NnregFit",
        ("nnreg",),
        {"threads": cores()},
    ),
    "other": Entry(
        "nnreg of the other checkout", "other", "nnreg_fit:NnregFit", ("nnreg",), masks=True
    ),
    "floor_1": Entry(
        "bare products, 1 thread", "nnreg", "floor:Floor", (), {"threads": 1}, trains=False
    ),
    "floor_2": Entry(
        "bare products, 2 threads", "nnreg", "floor:Floor", (), {"threads": 2}, trains=False
    ),
    "keras": Entry(
        "Keras fit",
        "tensorflow",
        "keras_fit:KerasFit",
        ("tensorflow", "keras"),
        randomness="TensorFlow's stateless Philox 4x32, 32 bits a unit",
    ),
    "keras_many": Entry(
        "Keras fit, 20 steps a call",
        "tensorflow",
        "keras_fit:KerasFit",
        ("tensorflow", "keras"),
        {"steps_per_execution": 20},
        randomness="TensorFlow's stateless Philox 4x32, 32 bits a unit",
    ),
    "tf": Entry(
        "tf.function",
        "tensorflow",
        "tf_function:TfFunction",
        ("tensorflow",),
        {"xla": False},
        randomness="Philox 4x32, 32 bits a unit",
        masks=True,
    ),
    "xla": Entry(
        "tf.function, XLA",
        "tensorflow",
        "tf_function:TfFunction",
        ("tensorflow",),
        {"xla": True},
        randomness="XLA's generator, 32 bits a unit",
        masks=True,
    ),
    "torch": Entry(
        "PyTorch eager",
        "torch",
        "torch_eager:TorchEager",
        ("torch",),
        randomness="MKL's MCG31m1, 31 bits a unit (MT19937 without MKL)",
        masks=True,
    ),
    "torch_compile": Entry(
        "torch.compile",
        "torch",
        "torch_compile:TorchCompile",
        ("torch", "!gcc"),
        randomness="Philox 4x32, 32 bits a unit",
        masks=True,
    ),
    "jax": Entry(
        "JAX jit",
        "jax",
        "jax_jit:JaxJit",
        ("jax",),
        randomness="Threefry 2x32, 32 bits a unit",
        masks=True,
    ),
    "jax_scan": Entry(
        "JAX jit, 20 steps a call",
        "jax",
        "jax_jit:JaxScan",
        ("jax",),
        randomness="Threefry 2x32, 32 bits a unit",
        masks=True,
    ),
    "sklearn": Entry(
        "scikit-learn",
        "sklearn",
        "sklearn_mlp:SklearnMLP",
        ("sklearn",),
        dropout=False,
        l1=False,
    ),
}

PREDICTORS = {
    "nnreg": Entry("nnreg predict", "nnreg", "inference:Nnreg", ("nnreg",)),
    "keras": Entry("Keras predict", "tensorflow", "inference:Keras", ("tensorflow", "keras")),
    "tf": Entry("tf.function", "tensorflow", "inference:TensorFlow", ("tensorflow",)),
    "torch": Entry("PyTorch, inference_mode", "torch", "inference:Torch", ("torch",)),
    "jax": Entry("JAX jit", "jax", "inference:Jax", ("jax",)),
    "onnx": Entry("onnxruntime", "onnx", "inference:Onnx", ("onnx", "onnxruntime")),
}

FLOORS = ("floor_1", "floor_2")
MANY = ("keras_many", "jax_scan")  # several steps in a call
THREADS = ("nnreg_1", "nnreg_2", "nnreg_all")
USUAL = tuple(name for name in ENTRIES if name not in (*MANY, *THREADS, "other"))
LIBRARIES = {
    "tensorflow": ("keras", "tf", "xla"),
    "torch": ("torch", "torch_compile"),
    "jax": ("jax",),
    "sklearn": ("sklearn",),
}


def entry_of(name: str) -> Entry:
    """Return the entry of a framework, or, as ``predict:NAME``, of a predictor."""
    kind, _, predictor = name.rpartition(":")
    return PREDICTORS[predictor] if kind else ENTRIES[name]


def build(name: str, problem: Problem) -> Any:
    """Return the framework of this name, ready for the problem."""
    entry = entry_of(name)
    module, _, kind = entry.target.partition(":")
    imported = importlib.import_module(f"benchmarks.frameworks.{module}")
    return getattr(imported, kind)(problem, **entry.options)
