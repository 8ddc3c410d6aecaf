"""Exercise 8: an experiment on regularization, with networks of nnreg, and its findings.

Replace every ``# your code here`` and the line below it. Do not change the names. First write the
experiment, then run it, and write what it shows into ``report``.
"""

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
    # your code here
    raise NotImplementedError("run")


def measure(net, x, labels, x_validation, labels_validation):
    """Return a dictionary: "train" and "validation", the data losses, and "zeros".

    "zeros" is the number of weights that are exactly zero.
    """
    # your code here
    raise NotImplementedError("measure")


def choose(strengths, losses):
    """Return the strength with the lowest mean validation loss.

    losses (S, R): one row for each strength, one column for each seed.
    """
    # your code here
    raise NotImplementedError("choose")


def report():
    """Return what your experiment shows, as a dictionary; validation losses are means of 3 seeds.

    "best_strength": the strength of L2 in (0.0, 0.001, 0.01, 0.1) with the lowest validation loss.
    "underfits": the strength of L2 with which the network underfits.
    "overfits": which overfits most, "none", "L2" (best strength), "L1" (0.001) or "dropout" (0.5).
    "best_epoch": the epoch with the lowest validation loss, without regularization.
    "zeros": {"L2": ..., "L1": ...}, the number of zero weights with the best L2, and with L1.
    """
    # your code here
    raise NotImplementedError("report")
