"""Loading of data sets by name; importing the package imports no heavy module."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnreg import datasets
from nnreg.datasets import Dataset, load, load_breast_cancer, load_digits


@pytest.mark.parametrize(
    ("name", "loader", "features", "classes"),
    [("digits", load_digits, 64, 10), ("breast-cancer", load_breast_cancer, 30, 2)],
)
def test_a_name_gives_the_shipped_data(name, loader, features, classes):
    data = load(name)
    (x, y), (x_test, y_test) = loader()
    assert data.name == name
    assert np.array_equal(data.x, x)
    assert np.array_equal(data.y, y)
    assert np.array_equal(data.x_test, x_test)
    assert np.array_equal(data.y_test, y_test)
    assert len(data.feature_names) == features
    assert len(data.class_names) == classes
    assert "doi" in data.source


def test_a_csv_file_is_read_with_its_target(tmp_path):
    path = tmp_path / "pets.CSV"
    path.write_text("kind,a\ncat,1\ndog,2\n")
    data = load(path, target="kind")
    assert isinstance(data, Dataset)
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")


def test_an_npz_file_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(4), y=[0, 1, 0, 1])
    assert load(str(tmp_path / "a.npz")).x.shape == (4, 4)


def test_a_folder_of_idx_files_is_read_and_its_labels_numbered_from_0(tmp_path):
    images = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 51, 102, 255])
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 1, 2])
    folder = tmp_path / "letters"
    folder.mkdir()
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    data = load(folder)
    assert data.name == "letters"
    assert np.allclose(data.x[:, 0], [0, 0.2, 0.4, 1])
    assert data.y.tolist() == data.y_test.tolist() == [0, 1, 0, 1]
    assert data.class_names == ("1", "2")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digit", r"unknown data 'digit' \(did you mean 'digits'\?\); known are digits, breast"),
        ("breast_cancer", r"did you mean 'breast-cancer'\?"),
        ("fasion-mnist", r"did you mean 'fashion-mnist'\?"),
        ("qqq", "unknown data 'qqq'; known are digits, breast-cancer, mnist, fashion-mnist"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(source, message):
    with pytest.raises(ValueError, match=message):
        load(source)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"data\.parquet is neither a file that ends in \.csv"):
        load(path)


@pytest.mark.parametrize("file", ["none.csv", "none.npz"])
def test_a_missing_file_is_named(tmp_path, file):
    with pytest.raises(FileNotFoundError, match=file):
        load(tmp_path / file)


@pytest.mark.parametrize("option", [{"target": "y"}, {"columns": [0]}, {"regression": True}])
def test_options_are_for_files_only(option):
    with pytest.raises(ValueError, match=r"\w+: only a file has a choice of columns"):
        load("digits", **option)


def test_a_dataset_shows_its_words_not_its_arrays():
    assert repr(load("breast-cancer")) == (
        "Dataset(name='breast-cancer', class_names=('malignant', 'benign'), "
        "source='UCI 17, doi:10.24432/C5DW2B')"
    )


def test_every_public_name_is_documented():
    assert all(getattr(datasets, name).__doc__ for name in datasets.__all__)


def test_importing_opens_no_heavy_module():
    # An empty stand-in for nnreg: what the rest of the package imports is not asked here.
    code = """if True:
        import sys, types
        import numpy
        sys.modules["nnreg"] = types.ModuleType("nnreg")
        sys.modules["nnreg"].__path__ = [sys.argv[1]]
        before = set(sys.modules)
        import nnreg.datasets
        print(*sorted(set(sys.modules) - before))
    """
    package = Path(datasets.__file__).parents[1]
    loaded = subprocess.run(
        [sys.executable, "-c", code, package], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"csv", "hashlib", "gzip", "zlib", "urllib", "zipfile", "tempfile", "difflib"}
    assert "nnreg.datasets" in loaded
    assert not heavy & set(loaded)
