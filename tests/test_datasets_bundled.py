"""The two data sets inside the package are the published ones, and are divided as documented."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from nnreg.datasets import load_breast_cancer, load_digits, split_rows
from nnreg.datasets.bundled import DIGIT_NAMES, TUMOUR_FEATURES, TUMOUR_NAMES, read_bundled

FILES = {
    "digits.npz": (
        (1797, 64),
        "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
        "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
        [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    ),
    "breast_cancer.npz": (
        (569, 30),
        "6b202a2072f9a0385f405a8f8605b1b06f6f36ae6d23d9cd6cbbc0974a416bc7",
        "9d6ceae78443535169ef00f2c8012032241393c09a9adb2f9e82c55e1ba534bd",
        [212, 357],
    ),
}
LOADERS = [load_digits, load_breast_cancer]


@pytest.mark.parametrize("file", FILES)
def test_the_stored_arrays_are_those_published(file):
    shape, x_digest, y_digest, counts = FILES[file]
    x, y = read_bundled(file)
    assert x.shape == shape
    assert np.bincount(y).tolist() == counts
    assert hashlib.sha256(x.astype(x.dtype.newbyteorder("<")).tobytes()).hexdigest() == x_digest
    assert hashlib.sha256(y.tobytes()).hexdigest() == y_digest


def test_the_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    x, y = read_bundled("digits.npz")
    assert np.array_equal(x, theirs.data)
    assert np.array_equal(y, theirs.target)


def test_the_tumours_are_those_of_scikit_learn_bit_for_bit():
    theirs = pytest.importorskip("sklearn.datasets").load_breast_cancer()
    x, y = read_bundled("breast_cancer.npz")
    assert x.dtype == np.float64
    assert np.array_equal(x, theirs.data)
    assert np.array_equal(y, theirs.target)
    assert tuple(map(str, theirs.feature_names)) == TUMOUR_FEATURES
    assert tuple(map(str, theirs.target_names)) == TUMOUR_NAMES


def test_both_files_together_stay_under_130_kilobytes():
    folder = Path(read_bundled.__code__.co_filename).parent
    assert sum((folder / file).stat().st_size for file in FILES) < 130_000


@pytest.mark.parametrize("load", LOADERS)
def test_features_are_float32_and_labels_int64(load):
    for x, y in load():
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert y.shape == x.shape[:1]


def test_digits_are_counts_divided_by_16():
    (x, _), (x_test, _) = load_digits()
    sixteenths = np.concatenate([x, x_test]) * 16
    assert np.array_equal(np.unique(sixteenths), np.arange(17))
    assert len(DIGIT_NAMES) == 10


@pytest.mark.parametrize("load", LOADERS)
def test_every_row_is_on_exactly_one_side(load):
    (x, y), (x_test, y_test) = load(test_size=100, seed=3)
    assert len(x_test) == 100

    def rows(x, y):
        return np.column_stack([x, y])[np.lexsort(np.column_stack([x, y]).T)]

    (other_x, other_y), (other_test, other_y_test) = load(test_size=0.5, seed=4)
    assert np.array_equal(
        rows(np.concatenate([x, x_test]), np.concatenate([y, y_test])),
        rows(np.concatenate([other_x, other_test]), np.concatenate([other_y, other_y_test])),
    )


@pytest.mark.parametrize("load", LOADERS)
def test_the_split_depends_on_the_seed_alone(load):
    (x, _), _ = load(seed=1)
    (again, _), _ = load(seed=1)
    (other, _), _ = load(seed=2)
    assert np.array_equal(x, again)
    assert not np.array_equal(x, other)


def test_the_default_split_of_the_digits_never_changes():
    _, (x_test, y_test) = load_digits()
    assert y_test[:12].tolist() == [0, 4, 6, 9, 2, 0, 3, 5, 7, 1, 1, 5]
    assert int((x_test * 16).sum()) == 156_372


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("seed", range(5))
def test_each_class_has_its_share_of_the_test_rows_to_within_one(load, seed):
    (_, y), (_, y_test) = load(seed=seed)
    total = np.bincount(np.concatenate([y, y_test]))
    wanted = total * len(y_test) / (len(y) + len(y_test))
    assert np.abs(np.bincount(y_test) - wanted).max() <= 1


def test_rows_within_a_side_are_in_no_order_of_class():
    training, test = split_rows(np.repeat([0, 1], 500), test_size=0.5)
    for rows in (training, test):
        assert 100 < np.count_nonzero(np.diff(rows >= 500)) < 400


def test_a_float_is_a_share_and_an_int_a_number():
    y = np.zeros(10, dtype=int)
    assert [len(rows) for rows in split_rows(y, test_size=0.3)] == [7, 3]
    assert [len(rows) for rows in split_rows(y, test_size=1)] == [9, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"test_size": 0}, ValueError, "test_size must be a whole number from 1 to 1796, got 0"),
        ({"test_size": 1797}, ValueError, "test_size .* from 1 to 1796, got 1797"),
        ({"test_size": 1.0}, ValueError, "leaves one side empty"),
        ({"test_size": 0.0001}, ValueError, "leaves one side empty"),
        ({"test_size": 1.5}, ValueError, r"a number in \[0, 1\], got 1\.5"),
        ({"test_size": float("nan")}, ValueError, r"a number in \[0, 1\], got nan"),
        ({"test_size": True}, TypeError, "test_size must be a whole number .*, got True"),
        ({"test_size": "half"}, TypeError, "test_size must be a whole number .*, got 'half'"),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0, got -1"),
        ({"seed": 1.0}, TypeError, r"seed must be a whole number .*, got 1\.0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        load_digits(**arguments)


def test_a_split_wants_a_vector_of_two_rows_or_more():
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        split_rows(np.zeros(1, dtype=int), test_size=1)
    with pytest.raises(ValueError, match=r"shape \(N,\), got \(2, 2\)"):
        split_rows(np.zeros((2, 2), dtype=int), test_size=1)
