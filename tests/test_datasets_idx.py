"""The IDX format is read as it is defined, and a damaged file is refused by name."""

import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from nnreg import datasets
from nnreg.datasets import read_idx, read_idx_folder
from nnreg.datasets.idx import PARTS, decode_idx

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def encode(array):
    header = struct.pack(">BBBB", 0, 0, CODES[array.dtype.name], array.ndim)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda name: npst.arrays(
        name, npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
    )
)


@given(arrays)
def test_what_was_encoded_is_read_back(array):
    decoded = decode_idx(encode(array), "memory")
    assert decoded.dtype == array.dtype
    assert decoded.dtype.isnative
    assert decoded.shape == array.shape
    assert decoded.tobytes() == array.tobytes()


@given(arrays, st.data())
def test_no_shorter_or_longer_file_is_accepted(array, data):
    raw = encode(array)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ValueError, match=r"memory: (truncated|not an IDX file)"):
        decode_idx(raw[:cut], "memory")
    with pytest.raises(ValueError, match="memory: trailing bytes"):
        decode_idx(raw + b"\0", "memory")


@given(st.binary(max_size=40))
def test_any_bytes_give_an_array_or_a_value_error(raw):
    try:
        array = decode_idx(raw, "memory")
    except ValueError:
        return
    assert encode(array) == raw


def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path):
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    (tmp_path / "plain.gz").write_bytes(encode(array))
    (tmp_path / "compressed").write_bytes(gzip.compress(encode(array)))
    assert np.array_equal(read_idx(tmp_path / "plain.gz"), array)
    assert np.array_equal(read_idx(str(tmp_path / "compressed")), array)


def test_the_array_may_be_written_to(tmp_path):
    (tmp_path / "a").write_bytes(encode(np.zeros(3, np.uint8)))
    array = read_idx(tmp_path / "a")
    array[0] = 1
    assert array.tolist() == [1, 0, 0]


@pytest.mark.reliability(
    input="An IDX file that is cut off or damaged, or another file",
    sees="`ValueError` with the path, what was found and what was expected",
)
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "starts with nothing"),
        (b"<html>", "starts with 3c 68 74 6d"),
        (bytes([0, 0, 10, 1, 0, 0, 0, 0]), "not an IDX file"),
        (bytes([0, 0, 8, 0]), "not an IDX file"),
        (bytes([0, 0, 8, 255]), "not an IDX file"),
        (bytes([0, 0, 8, 2, 0, 0]), "truncated header: 6 bytes, expected 12"),
        (bytes([0, 0, 8, 1, 255, 255, 255, 255]), "truncated: 8 bytes, expected 4294967303"),
        (gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9, *range(9)]))[:20], "damaged gzip data: they"),
        (
            gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9, *range(9)]))[:-6] + bytes(6),
            "damaged gzip data: Error",
        ),
        (b"\x1f\x8b\x08" + bytes(20), "damaged gzip data"),
    ],
    ids=[f"file {i}" for i in range(10)],  # gzip writes the time into its bytes
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, raw, message):
    path = tmp_path / "wrong-file"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "read", [read_idx, read_idx_folder, datasets.read_csv, datasets.read_npz, datasets.load]
)
@pytest.mark.parametrize("path", [True, 1, np.int64(1), None, b"name"], ids=repr)
def test_a_path_is_no_number(read, path):
    """`open` would read and close a file descriptor, such as stdout."""
    with pytest.raises(TypeError, match=r"must be a str or a pathlib\.Path, got"):
        read(path)
    os.fstat(1)


def stated(*shape):
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.reliability(
    input="An IDX file, packed or not, whose size is not that of its header",
    sees="`ValueError`; it is not unpacked further than its header says, and not beyond 16 "
    "MiB or ten times its size",
)
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (gzip.compress(stated(2) + bytes(2**25), 1), "trailing bytes after 10 bytes"),
        (
            gzip.compress(stated(2**25) + bytes(2**25), 1),
            "unpacks to 33,554,440 bytes; at most 16,7",
        ),
        (gzip.compress(stated(2**31, 2**31)), "unpacks to 4,611,686,018,427,387,916 bytes"),
        (gzip.compress(stated(1) + b"1") + b"1", "trailing bytes after 9 bytes"),
        (gzip.compress(b"") * 1000, "not an IDX file: starts with nothing"),
        (gzip.compress(gzip.compress(stated(1) + b"1")), "not an IDX file: starts with 1f 8b"),
        (stated(2**31, 2**31), "truncated: 12 bytes, expected 4611686018427387916"),
        (stated(2) + bytes(2**24), "trailing bytes: 16777224 bytes, expected 10"),
    ],
    ids=[f"file {i}" for i in range(8)],
)
def test_a_file_is_read_only_as_far_as_its_header_says(tmp_path, raw, message):
    path = tmp_path / "\x1b" if os.name == "posix" else tmp_path / "file"
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1e6
    assert str(caught.value).isprintable()


def test_a_gzip_file_may_unpack_to_16_mebibytes_or_ten_times_its_size(tmp_path):
    noise = np.random.default_rng(0).bytes(2**21)
    for content in (bytes(2**24 - 8), noise + bytes(2**24)):
        (tmp_path / "a").write_bytes(gzip.compress(stated(len(content)) + content, 1))
        assert len(read_idx(tmp_path / "a")) == len(content)


def test_a_device_is_refused(tmp_path):
    if os.name == "posix":
        with pytest.raises(ValueError, match="/dev/zero is a pipe or a device"):
            read_idx("/dev/zero")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no-file"):
        read_idx(tmp_path / "no-file")


@pytest.fixture
def parts():
    images = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2) * 20
    labels = np.array([2, 0, 1], dtype=np.uint8)
    return dict(zip(PARTS, (images, labels, images[:2], labels[:2]), strict=True))


def write_parts(folder, parts, spell=str, pack=bytes):
    folder.mkdir(exist_ok=True)
    for name, array in parts.items():
        (folder / spell(name)).write_bytes(pack(encode(array)))
    return folder


SPELLINGS = {
    "dash": str,
    "dash and gz": lambda name: name + ".gz",
    "dot": lambda name: name.replace("-idx", ".idx"),
    "dot and gz": lambda name: name.replace("-idx", ".idx") + ".gz",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_folder_gives_flat_images_in_0_to_1_and_labels(tmp_path, parts, spelling, pack):
    folder = write_parts(tmp_path, parts, SPELLINGS[spelling], pack)
    (x, y), (x_test, y_test) = read_idx_folder(folder)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert np.array_equal(x, parts[PARTS[0]].reshape(3, 4) / np.float32(255))
    assert y.tolist() == [2, 0, 1]
    assert np.array_equal(x_test, x[:2])
    assert y_test.tolist() == [2, 0]


@pytest.mark.reliability(
    input="A folder of IDX files without some of them",
    sees="`FileNotFoundError` that names all that are missing",
)
def test_all_missing_files_are_named(tmp_path, parts):
    del parts[PARTS[1]], parts[PARTS[2]]
    with pytest.raises(FileNotFoundError, match=f"no {PARTS[1]}, {PARTS[2]} "):
        read_idx_folder(write_parts(tmp_path, parts))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (0, lambda a: a.astype(np.int16), "train-images.*must be uint8 .* got int16"),
        (0, lambda a: a[0, 0], r"train-images.*got uint8 of shape \(2,\)"),
        (0, lambda a: a[:0], r"train-images.*got uint8 of shape \(0, 2, 2\)"),
        (1, lambda a: a[:2], r"train-labels.*shape \(3,\), one for each image, got .* \(2,\)"),
        (1, lambda a: a.astype(np.float32), "train-labels.*got float32"),
        (2, lambda a: a[:, :1], r"t10k-images.*images of \(1, 2\), but those of .* are \(2, 2\)"),
    ],
)
def test_parts_that_do_not_fit_are_named(tmp_path, parts, part, change, message):
    parts[PARTS[part]] = change(parts[PARTS[part]])
    with pytest.raises(ValueError, match=message):
        read_idx_folder(write_parts(tmp_path, parts))
