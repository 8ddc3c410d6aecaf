"""MNIST, from the files to the test error. Lesson 13 explains the parts.

``python docs/learn/on_mnist.py`` runs all of it and writes the results to ``mnist.json``.
"""

import base64
import json
import math
import time
from pathlib import Path

import numpy as np

import nnreg as nn

BATCH, EPOCHS, RATE = 128, 6, 5e-3
LOSS = nn.SoftmaxCrossEntropy()
VARIANTS = {  # penalty, keep_prob
    "none": (None, 1.0),
    "L2, 1e-4": (nn.L2(1e-4), 1.0),
    "L1, 3e-5": (nn.L1(3e-5, method="proximal"), 1.0),
    "dropout, keep_prob 0.8": (None, 0.8),
}


def load():
    """Return training, validation and test rows: 50,000, 10,000 and 10,000."""
    (x, y), test = nn.datasets.load_mnist(fetch=False)
    return (x[:50_000], y[:50_000]), (x[50_000:], y[50_000:]), test


def make(penalty=None, keep_prob=1.0):
    """Return a new network."""
    dropout = nn.Dropout(keep_prob=keep_prob)
    layers = [nn.Dense(128), nn.ReLU(), dropout, nn.Dense(10)]
    return nn.Network(layers, inputs=784, penalty=penalty, seed=0)


def check(net, x, y):
    """Return the loss before training, and the report of a gradient check on eight rows."""
    first = nn.evaluate(net, x, y, loss=LOSS)["data_loss"]
    return first, nn.check_gradients(net, x[:8], y[:8], LOSS)


def train(net, training, validation, *, rate=RATE, epochs=EPOCHS):
    """Train with a learning rate that falls to zero, and return the history."""
    steps = epochs * math.ceil(len(training[0]) / BATCH)
    optimizer = nn.Adam(rate)
    decay = nn.HyperparameterScheduler(optimizer, "learning_rate", nn.CosineDecay(rate, steps))
    return nn.fit(
        net, *training, loss=LOSS, optimizer=optimizer, epochs=epochs, batch_size=BATCH,
        validation_data=validation, metrics=["accuracy"], callbacks=[decay],
    )  # fmt: skip


def find_mistakes(net, x, y, count=12):
    """Return the number of wrongly classified rows, and those with the most certain mistakes."""
    p = LOSS.probabilities(net.predict(x))
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    most = wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")][:count]
    shown = [
        {
            "image": base64.b64encode(np.rint(255 * x[row]).astype(np.uint8)).decode(),
            "label": int(y[row]),
            "predicted": int(p[row].argmax()),
            "probability": float(p[row].max()),
        }
        for row in most
    ]
    return len(wrong), shown


def summarize(net, history, training):
    """Return the curves of one training, its validation error and its share of zero weights."""
    return {
        "train_inference": float(nn.evaluate(net, *training, loss=LOSS)["data_loss"]),
        "train": history["data_loss"],
        "validation": history["val_data_loss"],
        "error": 1 - history["val_accuracy"][-1],
        "zeros": float(np.mean(net.parameters.weights == 0)),
    }


def run():
    """Return the results of all parts as plain numbers and texts."""
    started = time.perf_counter()
    training, validation, test = load()
    first, report = check(make(), *training)
    rates = {}
    for rate in (5e-4, 2e-3, 5e-3, 2e-2, 1e-1):
        history = train(make(), training, validation, rate=rate, epochs=1)
        rates[f"{rate:g}"] = history["val_data_loss"][-1]
    few = training[0][:1000], training[1][:1000]
    net = make()
    variants = {"none, 1,000 rows": summarize(net, train(net, few, validation, epochs=60), few)}
    nets = {}
    for name, options in VARIANTS.items():
        nets[name] = make(*options)
        history = train(nets[name], training, validation)
        variants[name] = summarize(nets[name], history, training)
    chosen = min(nets, key=lambda name: variants[name]["validation"][-1])
    wrong, mistakes = find_mistakes(nets[chosen], *test)
    return {
        "by": f"nnreg {nn.__version__}, NumPy {np.__version__}",
        "seconds": time.perf_counter() - started,
        "first_loss": float(first),
        "gradient_check": str(report),
        "rates": rates,
        "variants": variants,
        "chosen": chosen,
        "wrong": wrong,
        "mistakes": mistakes,
    }


if __name__ == "__main__":
    file = Path(__file__).with_name("mnist.json")
    file.write_text(json.dumps(run(), indent=1) + "\n", encoding="utf-8")
