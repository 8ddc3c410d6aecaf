"""An npz file is read without pickle, its shapes checked, its labels numbered."""

import numpy as np
import pytest

from nnreg.datasets import read_npz

X = np.arange(8.0).reshape(4, 2)
Y = np.array([3, 8, 3, 8])


@pytest.fixture
def read(tmp_path):
    def read(**arrays):
        path = tmp_path / "file.npz"
        np.savez_compressed(path, **arrays)
        return read_npz(path)

    return read


@pytest.mark.parametrize(
    ("x", "y"), [("x", "y"), ("X", "Y"), ("X", "y"), ("x_train", "y_train"), ("X_train", "Y_TRAIN")]
)
def test_training_arrays_have_several_spellings(read, x, y):
    data = read(**{x: X, y: Y})
    assert np.array_equal(data.x, X)
    assert data.y.tolist() == [0, 1, 0, 1]
    assert data.class_names == ("3", "8")
    assert data.feature_names == ("feature 0", "feature 1")
    assert data.name == "file"
    assert data.x_test is None


@pytest.mark.parametrize("x_test", ["x_test", "X_test"])
def test_test_labels_are_numbered_like_training_labels(read, x_test):
    data = read(**{"x": X, "y": Y, x_test: X[:1], "y_test": Y[1:2]})
    assert data.x_test.shape == (1, 2)
    assert data.y_test.tolist() == [1]


def test_rows_of_any_shape_are_laid_flat(read):
    data = read(x=np.arange(16, dtype=np.uint8).reshape(4, 2, 2), y=Y)
    assert data.x.shape == (4, 4)
    assert data.x[1].tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("stored", "loaded"),
    [
        ("uint8", "float32"),
        ("int16", "float32"),
        ("bool", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("int32", "float64"),
        ("float64", "float64"),
        (">f8", "float64"),
    ],
)
def test_features_take_the_smallest_type_that_is_exact(read, stored, loaded):
    assert read(x=X.astype(stored), y=Y).x.dtype == np.dtype(loaded)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([1.0, 0.0, 1.0, 0.0]), ("0", "1")),
        (np.array([True, False, True, False]), ("False", "True")),
        (np.array(["b", "a", "b", "a"]), ("a", "b")),
        (np.array([-1, -2, -1, -2], dtype=np.int8), ("-2", "-1")),
    ],
)
def test_labels_are_text_or_whole_numbers(read, labels, classes):
    data = read(x=X, y=labels)
    assert data.class_names == classes
    assert data.y.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": Y}, "no array x or x_train or .* images; the file has y"),
        ({"x": X}, "no array y or y_train or .* labels; the file has x"),
        ({"x": X, "X": X, "y": Y}, "each of x, X may be x, .*; the file has x, X, y"),
        ({"data": X, "\x1b[2J": Y}, r"the file has data, \\x1b"),
        ({"x": X, "y": Y, "x_test": X}, "x_test and y_test belong together"),
        ({"x": X, "y": Y, "y_test": Y}, "x_test and y_test belong together"),
        ({"x": X[:, 0], "y": Y}, r"x: features must have the shape \(N, D\).*got \(4,\)"),
        ({"x": X[:, :0], "y": Y}, r"x: features must .* not empty, got \(4, 0\)"),
        ({"x": X * 1j, "y": Y}, "x: features must be real numbers, got dtype complex128"),
        ({"x": X.astype(str), "y": Y}, "x: features must be real numbers, got dtype <U32"),
        ({"x": X.astype(object), "y": Y}, "x: an array of Python objects, which needs pickle"),
        (
            {"x": np.where(X == 5, np.nan, X), "y": Y},
            r"x must be finite, got nan at .*2, 1",
        ),
        (
            {"x": np.where(X == 2, -np.inf, X), "y": Y},
            r"x must be finite, got -inf at .*1, 0",
        ),
        ({"x": X, "y": Y[:3]}, r"y: labels must have the shape \(4,\).*got \(3,\)"),
        ({"x": X, "y": Y[:, None]}, r"y: labels must have the shape \(4,\).*got \(4, 1\)"),
        ({"x": X, "y": Y + 0.5}, r"y must hold classes: .*, got 3\.5 at index \[0\]"),
        ({"x": X, "y": Y * 1j}, "y: labels must be whole numbers or text, got dtype complex128"),
        ({"x": X, "y": Y * 0}, "y: 1 different labels in 4 rows"),
        ({"x": X, "y": np.arange(4)}, "y: 4 different labels in 4 rows"),
        ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, "x_test has 1 features, but x has 2"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y[:1]}, r"y_test: labels must have the shape"),
        (
            {"x": X, "y": Y, "x_test": X, "y_test": np.array([3, 8, 9, 8])},
            r"y_test must hold labels that are among 3, 8, got 9 at index \[2\]",
        ),
        (
            {"x": X, "y": Y, "x_test": X, "y_test": np.array(["3", "8", "3", "8"])},
            "y_test must hold labels that are among 3, 8, got '3' at",
        ),
    ],
)
def test_wrong_arrays_are_named(read, arrays, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(**arrays)
    assert "file.npz" in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"PK", b"\x93NUMPY", b"PK\x03\x04 and no more", b"PK\x03\x04" + bytes(200), b"\x80\x04."],
)
def test_a_file_that_is_no_archive_is_refused(tmp_path, raw):
    path = tmp_path / "wrong.npz"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"wrong\.npz: "):
        read_npz(path)


def test_a_damaged_archive_is_refused(tmp_path):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random((50, 4)), y=np.arange(50) % 2)
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"damaged\.npz, x: Bad CRC"):
        read_npz(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_npz(tmp_path / "none.npz")
