"""What the networks of a comparison have learned: decision regions, or misclassified images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nnreg._support.typing import Array
from nnreg.lab.preprocessing import Rows, Standardization
from nnreg.losses import SoftmaxCrossEntropy
from nnreg.network import Network
from nnreg.plots import Regions

LOSS = SoftmaxCrossEntropy()
POINTS = 150  # of the grid, for each feature
SHOWN = 12  # misclassified images


def find_image_shape(features: Sequence[str]) -> tuple[int, int] | None:
    """Return the shape of square images, whose features are called pixels; otherwise None.

    >>> find_image_shape([f"pixel {i}" for i in range(64)]), find_image_shape(["a", "b"])
    ((8, 8), None)
    """
    side = math.isqrt(len(features))
    square = side * side == len(features) and features[0].startswith("pixel")
    return (side, side) if square else None


def find_regions(networks: Mapping[str, Network], rows: Rows) -> dict[str, Regions]:
    """Return the classes that networks predict on a grid around the rows of two features."""
    low, high = rows.x.min(axis=0), rows.x.max(axis=0)
    margin = 0.05 * (high - low)
    x, y = np.linspace(low - margin, high + margin, POINTS).T
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    grid = Standardization.of(rows.x).apply(grid)
    return {
        name: Regions(x, y, LOSS.classes(net.predict(grid)).reshape(POINTS, POINTS))
        for name, net in networks.items()
    }


def find_mistakes(
    net: Network, rows: Rows, classes: Sequence[str], shape: tuple[int, int]
) -> tuple[Array, list[str], int]:
    """Return the images of the most certain mistakes on test rows, captions, and their number."""
    x = Standardization.of(rows.x).apply(rows.x_test)
    probabilities = LOSS.probabilities(net.predict(x))
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != rows.y_test)
    certainty = probabilities[wrong, predicted[wrong]]
    chosen = wrong[np.argsort(-certainty, kind="stable")[:SHOWN]]
    captions = [
        f"{classes[rows.y_test[i]]} as {classes[predicted[i]]}: "
        f"{100 * probabilities[i, predicted[i]]:.0f} %"
        for i in chosen
    ]
    return rows.x_test[chosen].reshape(-1, *shape), captions, len(wrong)
