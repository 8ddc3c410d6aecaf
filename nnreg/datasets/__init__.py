"""Data to learn on: shipped, found, read from files, or made with a known truth.

`load_digits` and `load_breast_cancer` are inside the package. `load_mnist` and
`load_fashion_mnist` are looked for, then downloaded. `read_csv`, `read_npz` and `read_idx_folder`
read files of your own. `load` is one door to all of these. The functions of `synthetic` make data
and return the truth with them.
"""

from nnreg.datasets.bundled import load_breast_cancer, load_digits
from nnreg.datasets.csv import read_csv
from nnreg.datasets.dataset import Dataset
from nnreg.datasets.idx import read_idx, read_idx_folder
from nnreg.datasets.inventory import describe
from nnreg.datasets.loading import NAMES, load
from nnreg.datasets.mnist import Location, load_fashion_mnist, load_mnist, locations
from nnreg.datasets.npz import read_npz
from nnreg.datasets.splits import split_rows
from nnreg.datasets.synthetic import flip_labels, noisy_sine, sparse_linear, two_moons

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
    "sparse_linear",
    "split_rows",
    "two_moons",
]
