"""Data sets: bundled, downloaded, read from files, or synthetic.

`load_digits` and `load_breast_cancer` are part of the package. `load_mnist` and
`load_fashion_mnist` search this machine, then download. `read_table` reads CSV and NPZ files,
`read_idx_folder` those of the MNIST family. `load` selects one of these by name or path. The
functions of `synthetic` generate data from a known model.
"""

from nnreg.datasets.bundled import load_breast_cancer, load_digits
from nnreg.datasets.dataset import Dataset, split_rows
from nnreg.datasets.idx import read_idx, read_idx_folder
from nnreg.datasets.loading import NAMES, describe, load, read_table
from nnreg.datasets.mnist import Location, load_fashion_mnist, load_mnist, locations
from nnreg.datasets.npz import read_npz
from nnreg.datasets.synthetic import (
    flip_labels,
    noisy_sine,
    rings,
    sparse_linear,
    spirals,
    two_moons,
)
from nnreg.datasets.tables import read_csv

__all__ = [
    "NAMES",
    "Dataset",
    "Location",
    "describe",
    "flip_labels",
    "load",
    "load_breast_cancer",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist",
    "locations",
    "noisy_sine",
    "read_csv",
    "read_idx",
    "read_idx_folder",
    "read_npz",
    "read_table",
    "rings",
    "sparse_linear",
    "spirals",
    "split_rows",
    "two_moons",
]
