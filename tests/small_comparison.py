"""A comparison that takes a fraction of a second, for tests that look at its form."""

from nnreg.datasets import load
from nnreg.lab import Comparison, Settings, compare

QUICK = {
    "hidden": (16,),
    "l2": 0.01,
    "l1": 0.01,
    "keep_prob": 0.5,
    "train_size": 60,
    "label_noise": 0.1,
    "epochs": 3,
    "repeats": 2,
}


def quick(**changes: object) -> Comparison:
    return compare(load("digits"), Settings(**(QUICK | changes)))
