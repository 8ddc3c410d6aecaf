"""The file of a saved network: no pickle, written completely, and checked when it is read."""

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


@pytest.mark.reliability(
    input="A model file with a pickle in it",
    sees="`ValueError`; nothing in it is run",
)
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


def test_to_read_safetensors_needs_the_extra_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    path = tmp_path / "net.safetensors"
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
    texts = {"description": description} if description else {}
    return lambda path: containers.pack(path, arrays, texts)


def header(tensors, size=8):
    """Return a safetensors file of this header, and so many bytes of values."""
    text = tensors if isinstance(tensors, str) else f"{{{', '.join(tensors)}}}"
    return lambda path: struct.pack("<Q", len(text)) + text.encode() + bytes(size)


def tensor(name, shape, start=0, stop=8, dtype="F64"):
    fields = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
    return f'"{name}": {json.dumps(fields)}'


def cut(share):
    return lambda file: file[: int(share * len(file))]


def flip(file):
    """Change one bit of the parameters."""
    i = file.index(network().parameters["dense_1.weight"].tobytes())
    return file[:i] + bytes([file[i] ^ 1]) + file[i + 1 :]


def damaged(change):
    def make(path):
        nn.save(network(), path)
        return change(path.read_bytes())

    return make


FOREIGN = {
    "csv": lambda path: b"epoch,data_loss\n1,0.5\n",
    "pickle": lambda path: pickle.dumps({"weights": [1.0]}),
    "noise": lambda path: os.urandom(1000),
    "zip": lambda path: b"PK\x03\x04" + b"0" * 100,
    "arrays": content("", x=np.zeros(3), y=np.zeros(3)),
    "text": content("no json", parameters=np.zeros(3)),
    "list": content("[]", parameters=np.zeros(3)),
    "empty": content("{}", parameters=np.zeros(3)),
    "numbers": content("", parameters=np.zeros(3), description=np.zeros(2)),
    "part": content('{"format": 1, "inputs": 1, "layers": []}', parameters=np.zeros(3)),
    "no description": header([tensor("a", [1])]),
    "beyond the file": header([tensor("a", [10**12], 0, 8 * 10**12)]),
    "shape and size": header([tensor("a", [10**6])]),
    "overlap": header([tensor("a", [1]), tensor("b", [1])]),
    "name twice": header([tensor("a", [1]), tensor("a", [1], 8, 16)], 16),
    "dtype": header([tensor("a", [4], dtype="BF16")]),
    "deep": header("[" * 100_000),
    "long header": lambda path: struct.pack("<Q", 2**62) + b"{}",
    "flipped bit": damaged(flip),
    **{f"cut to {share:.1%}": damaged(cut(share)) for share in (0.0, 0.01, 0.5, 0.9, 0.999)},
}


@pytest.mark.reliability(
    input="A model file that is cut off, altered by a bit, or of another kind (`nn.load`)",
    sees="`ValueError: ... cannot be read as a network saved by nnreg: ...`",
)
@pytest.mark.parametrize("file", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_or_damaged_file_is_a_clear_error(file, path):
    path.write_bytes(file(path))
    with pytest.raises(ValueError, match=r"net\.\w+ cannot be read as a network saved by nnreg"):
        nn.load(path)


@pytest.mark.reliability(
    input="A model file whose parameters are not finite or do not fit its layers",
    sees="`ValueError` that names the shape and dtype that are needed",
)
@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros(3), r"vector must have shape \(51,\) and dtype float64"),
        (np.zeros(51, "float32"), r"vector must have shape \(51,\) and dtype float64"),
        (np.zeros((51, 1)), r"vector must have shape \(51,\) and dtype float64"),
        (np.full(51, np.nan), "vector must be finite"),
        (np.full(51, np.inf), "vector must be finite"),
    ],
    ids=["size", "dtype", "shape", "nan", "inf"],
)
def test_a_vector_that_does_not_fit_the_layers_is_named(vector, message, path):
    nn.save(network(), path)
    write(path, {"parameters": vector}, read(path)[1])
    with pytest.raises(ValueError, match=message):
        nn.load(path)


@pytest.mark.reliability(
    input="`nn.save` of parameters that are not finite",
    sees="`ValueError`; no file is written",
)
def test_parameters_that_are_not_finite_are_not_written(path):
    net = network()
    net.parameters.vector[3] = np.nan
    with pytest.raises(ValueError, match=r"net\.parameters must be finite"):
        nn.save(net, path)
    assert not path.exists()


def test_a_file_without_an_optimizer_says_how_to_add_it(path):
    nn.save(network(), path)
    with pytest.raises(ValueError, match="optimizer=optimizer"):
        nn.load_optimizer(path)


def test_a_missing_file_and_a_folder_are_named(path):
    with pytest.raises(FileNotFoundError, match=r"net\."):
        nn.load(path)
    path.mkdir()
    with pytest.raises(OSError, match=r"net\."):
        nn.load(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: nn.save(None, path), "net must be a Network, got"),
        (lambda path: nn.save(nn.Dense(1), path), "net must be a Network, got"),
        (lambda path: nn.save(network(), 3), "path must be a str or a pathlib.Path, got 3"),
        (lambda path: nn.save(network(), path, overwrite="no"), "overwrite must be True or False"),
        (lambda path: nn.load(path, custom="Scale"), "custom must map names to classes or"),
        (lambda path: nn.load(path, custom=[nn.Dense]), "custom must map names to classes or"),
    ],
)
def test_an_argument_of_another_kind_is_named(call, message, path):
    nn.save(network(seed=1), path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=message):
        call(path)
    assert path.read_bytes() == before


def test_a_name_in_custom_that_makes_another_kind_of_object_is_an_error(path):
    nn.save(network(), path)
    with pytest.raises(ValueError, match="'Dense' is no"):
        nn.load(path, custom={"Dense": lambda **_: nn.SGD(0.1)})


WRONG = {
    ("format",): 2,
    ("steps",): -5,
    ("epochs",): "3",
    ("inputs",): True,
    ("dtype",): "float16",
    ("seed",): None,
    ("extra",): 1,
    ("parameters",): [],
    ("parameters", 0): ["dense_1.weight", [8, 2]],
    ("initializers",): {"dense_1.weight": "zeros"},
    ("initializers", "dense_1.weight"): "\x1b[2J",
    ("layers", 0, "settings", "units"): 10**9,
    ("layers", 0, "settings", "extra"): 1,
    ("layers", 0, "settings", "penalty"): {"penalty": -1},
    ("layers", 0, "settings", "initializer"): {"function": 3},
    ("layers", 0, "kind"): "zeros",
    ("layers", 1, "kind"): "\x1b[2J",
    ("layers", 2, "kind"): "Layer",
    ("layers", 2): None,
    ("layers",): {},
    ("penalty",): {"penalty": 7},
    ("penalties", 0, "settings", "strength"): float("nan"),
}


@pytest.mark.reliability(
    input="A model file with a field that cannot be: negative steps, 10**9 units, an unknown layer",
    sees="`ValueError` that names the file and the field, before anything is drawn or allocated",
)
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
    assert str(caught.value).isprintable()


@pytest.mark.reliability(
    input="A model file that is a zip bomb",
    sees="`ValueError` with the size to which it would unpack",
)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "net.npz", parameters=np.zeros(3_000_000))
    with pytest.raises(ValueError, match=r"net\.npz .*unpack to 24,000,128 bytes"):
        nn.load(tmp_path / "net.npz")
