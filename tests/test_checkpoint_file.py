"""The file of a saved network: no pickle, whole or not there, refused when it is not ours."""

import json
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from small import FORMATS, network

import nnreg as nn
from nnreg._support import containers


@pytest.fixture(params=FORMATS)
def path(tmp_path, request):
    return tmp_path / f"net.{request.param}"


def read(path):
    arrays, texts = containers.unpack(path)
    return arrays, json.loads(texts["description"])


def write(path, arrays, fields):
    """Write a file without a checksum."""
    path.write_bytes(containers.pack(path, arrays, {"description": json.dumps(fields)}))


def test_nothing_in_the_file_is_a_pickle(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"

    def refuse(*_, **__):
        raise AssertionError("a pickle")

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, refuse)
    nn.save(network(penalty=nn.L2(0.1)), path)
    nn.load(path)
    with zipfile.ZipFile(path) as file:
        assert sorted(file.namelist()) == ["checksum.npy", "description.npy", "parameters.npy"]
        for name in file.namelist():
            assert b"'descr': '|O'" not in file.read(name)


def test_a_file_with_a_pickle_in_it_is_refused(tmp_path):
    path = tmp_path / "net.npz"

    class Trap:
        def __reduce__(self):
            return print, ("unpickled",)

    np.savez(path, parameters=np.array([Trap()]), description=np.array("{}"))
    with pytest.raises(ValueError, match="cannot be read as a network saved by nnreg"):
        nn.load(path)


def test_other_tools_see_the_parameters_by_name(tmp_path):
    library = pytest.importorskip("safetensors")
    path, net, optimizer = tmp_path / "net.safetensors", network(), nn.SGD(0.1, momentum=0.9)
    nn.save(net, path, optimizer=optimizer)
    with library.safe_open(path, "np") as file:
        assert sorted(file.keys()) == [*sorted(net.parameters), "optimizer.velocity"]
        for name, values in net.parameters.items():
            assert np.array_equal(file.get_tensor(name), values)
        assert file.metadata().keys() == {"format", "description", "checksum"}


def test_without_safetensors_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    path = tmp_path / "net.safetensors"
    with pytest.raises(ImportError, match=r"pip install 'nnreg\[safetensors\]'"):
        nn.save(network(), path)
    path.touch()
    with pytest.raises(ImportError, match=r"pip install 'nnreg\[safetensors\]'"):
        nn.load(path)


def test_the_file_states_its_conventions(path):
    nn.save(network(penalty=nn.L2(0.1)), path)
    _, fields = read(path)
    assert (fields["format"], fields["nnreg"]) == (1, nn.__version__)
    assert fields["conventions"]["L2"] == "strength/2 * sum(w**2)"
    assert "y = x @ w + b" in fields["conventions"]["weights"]


def test_the_name_is_kept_as_given(tmp_path):
    nn.save(network(), str(tmp_path / "model"))
    assert os.listdir(tmp_path) == ["model"]
    assert nn.load(str(tmp_path / "model")).steps == 0


def test_an_existing_file_is_not_overwritten(path):
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"net\.\w+ exists; overwrite=True replaces it"):
        nn.save(network(), path)
    assert path.read_text() == "precious"
    nn.save(network(), path, overwrite=True)
    assert nn.load(path).inputs == 2


def content(description, /, **arrays):
    return lambda path: path.write_bytes(
        containers.pack(path, arrays, {"description": description} if description else {})
    )


def damaged(change):
    def write(path):
        nn.save(network(), path)
        path.write_bytes(change(path.read_bytes()))

    return write


def flip(file):
    """Change one bit of the parameters."""
    i = file.index(network().parameters["dense_1.weight"].tobytes())
    return file[:i] + bytes([file[i] ^ 1]) + file[i + 1 :]


def header(text, size=8):
    """Return the writer of a safetensors file of this header, and so many bytes of values."""
    packed = struct.pack("<Q", len(text)) + text.encode() + bytes(size)
    return lambda path: path.write_bytes(packed)


def array(shape, start=0, stop=8, dtype="F64"):
    return json.dumps({"dtype": dtype, "shape": shape, "data_offsets": [start, stop]})


GOOD = {"format": 1, "inputs": 1, "layers": []}


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("epoch,data_loss\n1,0.5\n"),
        lambda path: path.write_bytes(pickle.dumps({"weights": [1.0]})),
        lambda path: path.write_bytes(os.urandom(1000)),
        content("", x=np.zeros(3), y=np.zeros(3)),
        content("no json", parameters=np.zeros(3)),
        content("[]", parameters=np.zeros(3)),
        content("{}", parameters=np.zeros(3)),
        content("", parameters=np.zeros(3), description=np.zeros(2)),
        content(json.dumps(GOOD), parameters=np.zeros(3)),
        lambda path: path.write_bytes(b"PK\x03\x04" + b"0" * 100),
        header(f'{{"a": {array([1])}}}'),
        header(f'{{"a": {array([10**12], 0, 8 * 10**12)}}}'),
        header(f'{{"a": {array([10**6])}}}'),
        header(f'{{"a": {array([1])}, "b": {array([1])}}}'),
        header(f'{{"a": {array([1])}, "a": {array([1], 8, 16)}}}', 16),
        header(f'{{"a": {array([4], dtype="BF16")}}}'),
        header("[" * 100_000),
        lambda path: path.write_bytes(struct.pack("<Q", 2**62) + b"{}"),
        damaged(flip),
        *(damaged(lambda b, s=s: b[: int(s * len(b))]) for s in (0.0, 0.01, 0.5, 0.9, 0.999)),
    ],
    ids=[
        *("csv", "pickle", "noise", "arrays", "text", "list", "empty", "numbers"),
        *("part", "zip", "no text", "beyond the file", "size", "overlap", "name twice", "dtype"),
        *(
            "deep",
            "long header",
            "flipped bit",
            "cut to 0",
            "to 1 %",
            "to 50 %",
            "to 90 %",
            "to 99.9 %",
        ),
    ],
)
def test_a_foreign_or_damaged_file_is_a_clear_error(write, path):
    write(path)
    with pytest.raises(ValueError, match=r"net\.\w+ cannot be read as a network saved by nnreg"):
        nn.load(path)


def test_a_later_format_is_named(path):
    nn.save(network(), path)
    arrays, fields = read(path)
    write(path, arrays, fields | {"format": 2})
    with pytest.raises(ValueError, match=r"nnreg: it has format 2, this version reads 1"):
        nn.load(path)


@pytest.mark.parametrize(
    "vector", [np.zeros(3), np.zeros(51, "float32"), np.zeros((51, 1))], ids=str
)
def test_a_vector_that_does_not_fit_the_layers_is_named(vector, path):
    nn.save(network(), path)
    write(path, {"parameters": vector}, read(path)[1])
    with pytest.raises(ValueError, match=r"vector must have shape \(51,\) and dtype float64"):
        nn.load(path)


def test_a_missing_file_and_a_folder_are_named(path):
    with pytest.raises(FileNotFoundError, match=r"net\."):
        nn.load(path)
    path.mkdir()
    with pytest.raises(OSError, match=r"net\."):
        nn.load(path)


@pytest.mark.parametrize("net", [None, "net.npz", nn.Dense(1)], ids=repr)
def test_what_is_no_network_is_not_saved(net, path):
    with pytest.raises(TypeError, match="net must be a Network, got"):
        nn.save(net, path)
    assert not path.exists()


@pytest.mark.parametrize("custom", ["Scale", [nn.Dense], nn.Dense], ids=repr)
def test_custom_must_map_names(custom, path):
    nn.save(network(), path)
    with pytest.raises(TypeError, match="custom must map names to classes or functions, got"):
        nn.load(path, custom=custom)


WRONG = {
    ("steps",): -5,
    ("epochs",): "3",
    ("inputs",): True,
    ("dtype",): "float16",
    ("seed",): None,
    ("extra",): 1,
    ("parameters",): [],
    ("parameters", 0): ["dense_1.weight", [8, 2]],
    ("initializers",): {"dense_1.weight": "zeros"},
    ("layers", 0, "settings", "units"): 10**9,
    ("layers", 0, "settings", "extra"): 1,
    ("layers", 0, "settings", "penalty"): {"penalty": -1},
    ("layers", 0, "settings", "initializer"): {"function": 3},
    ("layers", 0, "kind"): "zeros",
    ("layers", 2): None,
    ("layers",): {},
    ("penalty",): {"penalty": 7},
    ("penalties", 0, "settings", "strength"): float("nan"),
}


@pytest.mark.parametrize("field", WRONG, ids=lambda field: ".".join(map(str, field)))
def test_a_field_of_another_kind_is_named_and_nothing_is_drawn(field, path, monkeypatch):
    nn.save(network(penalty=nn.L2(0.1)), path)
    arrays, fields = read(path)
    inner = fields
    for key in field[:-1]:
        inner = inner[key]
    inner[field[-1]] = WRONG[field]
    write(path, arrays, fields)
    monkeypatch.setattr("nnreg.random.generator", None)
    with pytest.raises(ValueError, match=r"net\.") as caught:
        nn.load(path)
    assert any(str(key) in str(caught.value) for key in (*field, "values", "must have shape"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_neither_written_nor_read(value, path):
    net = network()
    nn.save(net, path)
    arrays, fields = read(path)
    arrays |= {name: np.full_like(values, value) for name, values in arrays.items()}
    write(path, arrays, fields)
    with pytest.raises(ValueError, match=r"net\..*vector must be finite"):
        nn.load(path)
    net.parameters.vector[3] = value
    with pytest.raises(ValueError, match=r"net\.parameters must be finite"):
        nn.save(net, path, overwrite=True)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "net.npz", parameters=np.zeros(3_000_000))
    with pytest.raises(ValueError, match=r"net\.npz .*unpack to 24,000,128 bytes"):
        nn.load(tmp_path / "net.npz")


def test_overwrite_is_true_or_false(path):
    nn.save(network(), path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="overwrite must be True or False"):
        nn.save(network(seed=1), path, overwrite="no")
    assert path.read_bytes() == before
