"""An npz file is read without pickle, its shapes checked, its labels numbered."""

import io
import os
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from nnreg.datasets import read_npz

X = np.arange(8.0).reshape(4, 2)
Y = np.array([3, 8, 3, 8])


@pytest.fixture
def read(tmp_path):
    def read(arrays, **arguments):
        path = tmp_path / "file.npz"
        np.savez_compressed(path, **arrays)
        return read_npz(path, **arguments)

    return read


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("x", "y"),
        ("X", "Y"),
        ("X", "y"),
        ("x_train", "y_train"),
        ("X_train", "Y_TRAIN"),
        ("data", "target"),
        ("features", "Targets"),
        ("images", "labels"),
    ],
)
def test_training_arrays_have_several_spellings(read, x, y):
    data = read({x: X, y: Y})
    assert np.array_equal(data.x, X)
    assert data.y.tolist() == [0, 1, 0, 1]
    assert data.class_names == ("3", "8")
    assert data.feature_names == ("feature 0", "feature 1")
    assert data.name == "file"
    assert data.x_test is None


@pytest.mark.parametrize("x_test", ["x_test", "X_test"])
def test_test_labels_are_numbered_like_training_labels(read, x_test):
    data = read({"x": X, "y": Y, x_test: X[:1], "y_test": Y[1:2]})
    assert data.x_test.shape == (1, 2)
    assert data.y_test.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"target": "kind"}, ("feature 0", "feature 1")),
        ({"target": False}, ("feature 0", "feature 1")),
        ({"columns": [1]}, ("feature 1",)),
        ({"columns": ["feature 1", "0"]}, ("feature 1", "feature 0")),
        ({"drop": [0]}, ("feature 1",)),
    ],
)
def test_target_and_features_are_chosen(read, arguments, expected):
    data = read({"x": X, "y": Y, "kind": Y[::-1]}, **arguments)
    assert data.feature_names == expected
    assert np.array_equal(data.x, X[:, [int(name[-1]) for name in expected]])
    if arguments.get("target") is False:
        assert data.y.shape == (4, 0)
    else:
        assert data.y.tolist() == ([1, 0, 1, 0] if "target" in arguments else [0, 1, 0, 1])


def test_a_file_for_prediction_has_features_alone(read):
    assert np.array_equal(read({"x": X}, target=False).x, X)
    assert read({"x": X, "x_test": X[:1]}, target=False).y_test.shape == (1, 0)


@pytest.mark.parametrize("y", [Y / 2, (Y / 2)[:, None], np.stack([Y, Y], 1)])
def test_targets_of_a_regression_are_columns(read, y):
    data = read({"x": X, "y": y}, regression=True)
    assert data.y.dtype == np.float64
    assert np.array_equal(data.y, y.reshape(4, -1))
    assert data.class_names == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "kind"}, "target: .* has no array 'kind'; it has x, y"),
        ({"target": 1}, "target: .* has no array 1; it has x, y"),
        ({"columns": [2]}, "columns: .* has 2 columns, so none has the number 2"),
        ({"regression": True, "target": False}, "regression=True needs a target"),
    ],
)
def test_wrong_arguments_are_named(read, arguments, message):
    with pytest.raises(ValueError, match=message):
        read({"x": X, "y": Y}, **arguments)


def test_rows_of_any_shape_are_laid_flat(read):
    data = read({"x": np.arange(16, dtype=np.uint8).reshape(4, 2, 2), "y": Y})
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
    assert read({"x": X.astype(stored), "y": Y}).x.dtype == np.dtype(loaded)


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
    data = read({"x": X, "y": labels})
    assert data.class_names == classes
    assert data.y.tolist() == [1, 0, 1, 0]


@pytest.mark.reliability(
    input="An NPZ file without the arrays that are needed, or with arrays of another shape "
    "or dtype, with pickles or NaN",
    sees="`ValueError` that names the array, what it has and what is needed, and the "
    "arrays that are there",
)
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": Y}, "no array x or x_train or .* images; the file has y"),
        ({"x": X}, "no array y or y_train or .* labels; the file has x"),
        ({"x": X, "X": X, "y": Y}, "each of x, X may be x, .*; the file has x, X, y"),
        ({"x": X, "data": X, "y": Y}, "each of x, data may be x, .*; the file has x, data, y"),
        ({"x": X, "label": Y, "\x9b": Y}, r"no array y or .*; the file has x, label, \\x9b"),
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
        ({"x": X, "y": np.array(["a" * 1001, "b"] * 2)}, "y: labels of 1,001 characters"),
        ({"x": np.zeros((2, 2**20 + 1), bool), "y": Y[:2]}, "1,048,577 features, more than"),
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
        read(arrays)
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


def header(descr, shape):
    """Return the header of an array as NumPy writes it."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


NUMBERS = header("<f8", (4, 2)) + X.tobytes()
LONG, FIVE = header("<f8", (5, 2)) + X.tobytes(), header("<i8", (5,)) + bytes(40)
LABELS = header("<i8", (4,)) + Y.astype("<i8").tobytes()


def archive(*members, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(content, "w") as file:
        for name, raw in members:
            file.writestr(name, raw, compression, compresslevel=1)
    return content.getvalue()


def altered(raw, position, form, value):
    """Return the archive with a number of the directory's first entry replaced."""
    content = bytearray(raw)
    struct.pack_into(form, content, content.index(b"PK\1\2") + position, value)
    return bytes(content)


GOOD = archive(("x.npy", NUMBERS), ("y.npy", LABELS))
ZEROS = header("|u1", (2**24, 2)) + bytes(2**25)
HOSTILE = {
    "a bomb": (
        lambda: archive(("x.npy", ZEROS), ("y.npy", LABELS), compression=zipfile.ZIP_DEFLATED),
        r"x: the members of the file unpack to 33,55\d,\d+ bytes; at most 16,777,216 are read",
    ),
    "a shape without values": (
        archive(("x.npy", header("<f8", (10**12, 2))), ("y.npy", LABELS)),
        "x: 0 bytes of values, which are not those of float64 and shape",
    ),
    "a negative shape": (archive(("x.npy", header("<f8", (-4, -2)) + X.tobytes())), "no array y"),
    "values of no size": (
        archive(("x.npy", NUMBERS), ("y.npy", header("<U0", (4,)))),
        "y: 0 bytes of values",
    ),
    "more values": (
        archive(("x.npy", NUMBERS + b"\0"), ("y.npy", LABELS)),
        "x: 65 bytes of values",
    ),
    "objects": (
        archive(("x.npy", header("|O", (4, 2)) + bytes(64)), ("y.npy", LABELS)),
        "x: an array of Python objects, which needs pickle",
    ),
    "a pickle": (archive(("x.npy", b"\x80\x04."), ("y.npy", LABELS)), "x: .*magic string"),
    "a header without an end": (
        archive(("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), ("y.npy", LABELS)),
        "x: EOF",
    ),
    "a nested header": (
        archive(("x.npy", header("(" * 5000, (4, 2)) + X.tobytes()), ("y.npy", LABELS)),
        "x: ",
    ),
    "another version": (
        archive(("x.npy", NUMBERS.replace(b"\1\0", b"\3\0", 1)), ("y.npy", LABELS)),
        r"x: version \(3, 0\)",
    ),
    "a name twice": (
        archive(("x.npy", NUMBERS), ("x", NUMBERS), ("y.npy", LABELS)),
        "two members have the name x",
    ),
    "another compression": (
        archive(("x.npy", NUMBERS), ("y.npy", LABELS), compression=zipfile.ZIP_LZMA),
        "x: neither stored nor compressed by deflate",
    ),
    "a name in a folder": (archive(("../x.npy", NUMBERS), ("y.npy", LABELS)), r"has \.\./x, y"),
    "encryption": (altered(GOOD, 8, "<H", 1), "x: .*encrypted"),
    "a size that is not that of the member": (altered(GOOD, 24, "<I", 10), "x: "),
    "a size that is that of the shape": (
        altered(archive(("x.npy", LONG), ("y.npy", FIVE)), 24, "<I", len(LONG) + 16),
        "x: 64 bytes of values, 80 expected",
    ),
    "a place outside of the file": (altered(GOOD, 42, "<I", 10**6), "x: "),
    "64-bit sizes without numbers": (altered(GOOD, 24, "<I", 2**32 - 1), "file.npz"),
    "a million names": (
        lambda: archive(*((f"{number}", b"") for number in range(8_000))),
        "damaged, or an archive of too many files",
    ),
    "bools that are neither": (
        archive(("x.npy", header("|b1", (4, 2)) + bytes(range(8))), ("y.npy", LABELS)),
        "x: bools whose bytes are neither 0 nor 1",
    ),
    "text that is none": (
        archive(("x.npy", NUMBERS), ("y.npy", header("<U1", (4,)) + b"\0\0\x11\0" * 4)),
        "y: text that is not Unicode",
    ),
    "half a character": (
        archive(("x.npy", NUMBERS), ("y.npy", header("<U1", (4,)) + b"\0\xd8\0\0" * 4)),
        "y: text that is not Unicode",
    ),
}


@pytest.mark.reliability(
    input="An NPZ file made to exhaust memory: a zip bomb, an absurd header, encryption, "
    "names of other folders, text that is none",
    sees="`ValueError` that names the file and the array; less than 8 MB are allocated, "
    "and nothing is written",
)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_before_memory_is_allocated(tmp_path, kind):
    raw, message = HOSTILE[kind]
    path = tmp_path / "file.npz"
    path.write_bytes(raw() if callable(raw) else raw)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read_npz(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 800
    assert peak < 8e6


def test_a_compressed_file_may_unpack_to_16_mebibytes(read):
    assert read({"x": np.zeros((2**12, 2**11), np.uint8), "y": np.arange(2**12) % 2}).x.any() == 0


def test_the_line_in_the_error_saves_the_file_without_compression(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = "big.npz"
    np.savez_compressed(path, x=np.zeros((2**13, 2**11), np.uint8), y=np.arange(2**13) % 2)
    with pytest.raises(ValueError, match="without compression: ") as caught:
        read_npz(path)
    exec(str(caught.value).partition("without compression: ")[2], {"numpy": np, "path": path})
    assert read_npz(path).x.shape == (2**13, 2**11)


def test_what_is_not_a_regular_file_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_npz(tmp_path)
    if os.name == "posix":
        with pytest.raises(ValueError, match="/dev/zero is a pipe or a device"):
            read_npz("/dev/zero")
