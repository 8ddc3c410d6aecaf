"""The scripts that the page "From here to TensorFlow and PyTorch" shows and runs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from parity.shared import Array

import nnreg as nn

LEARN = Path(__file__).parents[2] / "docs" / "learn"
RATE, MOMENTUM = 2.0**-4, 0.875
PENALTIES = {"l2": nn.L2(2**-5), "l1": nn.L1(2**-6)}


def network(penalty: nn.Penalty) -> nn.Network:
    layers = [nn.Dense(32), nn.ReLU(), nn.Dense(10)]
    net = nn.Network(layers, inputs=64, penalty=penalty, dtype="float64")
    net.parameters.biases[:] = np.linspace(-0.1, 0.1, 42)
    return net


def task_of(kind: str) -> dict[str, Any]:
    rng, net = np.random.default_rng(3), network(PENALTIES[kind])
    start = {
        place + number: net.parameters[f"dense_{number}.{name}"]
        for number in "12"
        for place, name in (("w", "weight"), ("b", "bias"))
    }
    return start | {
        "x": rng.normal(size=(40, 64)),
        "y": rng.integers(0, 10, 40),
        "batches": rng.integers(0, 40, (12, 9)),
        "rate": RATE,
        "momentum": MOMENTUM,
        "l1": PENALTIES["l1"].strength if kind == "l1" else 0.0,
        "l2": PENALTIES["l2"].strength if kind == "l2" else 0.0,
    }


def our_steps(kind: str, task: dict[str, Any]) -> Iterator[Array]:
    net, loss = network(PENALTIES[kind]), nn.SoftmaxCrossEntropy()
    optimizer = nn.SGD(RATE, momentum=MOMENTUM)
    for rows in task["batches"]:
        outputs, cache = net.forward(task["x"][rows], training=True)
        gradients = net.backward(loss(outputs, task["y"][rows])[1], cache)
        net.add_penalty_gradient(gradients)
        optimizer.update(net.parameters, gradients)
        yield net.parameters.vector.copy()


def assert_takes_our_steps(name: str, folder: Path) -> None:
    """Run the script as the page does, and hold every parameter equal after every step."""
    tasks = {str(folder / f"{kind}.npz"): (kind, task_of(kind)) for kind in PENALTIES}
    for file, (_, task) in tasks.items():
        np.savez(file, **task)
    subprocess.run([sys.executable, LEARN / name, *tasks], check=True, timeout=300)
    for file, (kind, task) in tasks.items():
        with np.load(f"{file}.steps.npz") as answer:
            theirs, by = answer["steps"], str(answer["by"])
        ours = np.array([*our_steps(kind, task)])
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-10, err_msg=f"{kind} by {by}")
        assert abs(ours[-1] - ours[0]).min() > 1e-10, "a parameter has not moved"
