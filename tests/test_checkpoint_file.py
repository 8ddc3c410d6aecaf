"""The file of a saved network: no pickle, whole or not there, refused when it is not ours."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from small import network

import nnreg as nn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.npz"


def description(path):
    with np.load(path, allow_pickle=False) as file:
        return json.loads(str(file["description"]))


def test_nothing_in_the_file_is_a_pickle(path, monkeypatch):
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


def test_a_file_with_a_pickle_in_it_is_refused(path):
    class Trap:
        def __reduce__(self):
            return print, ("unpickled",)

    np.savez(path, parameters=np.array([Trap()]), description=np.array("{}"))
    with pytest.raises(ValueError, match="cannot be read as a network saved by nnreg"):
        nn.load(path)


def test_the_file_states_its_conventions(path):
    nn.save(network(penalty=nn.L2(0.1)), path)
    fields = description(path)
    assert (fields["format"], fields["nnreg"]) == (1, nn.__version__)
    assert fields["conventions"]["L2"] == "strength/2 * sum(w**2)"
    assert "y = x @ w + b" in fields["conventions"]["weights"]


def test_the_name_is_kept_as_given(tmp_path):
    nn.save(network(), str(tmp_path / "model"))
    assert os.listdir(tmp_path) == ["model"]
    assert nn.load(str(tmp_path / "model")).steps == 0


def test_an_existing_file_is_not_overwritten(path):
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"net\.npz exists; overwrite=True replaces it"):
        nn.save(network(), path)
    assert path.read_text() == "precious"
    nn.save(network(), path, overwrite=True)
    assert nn.load(path).inputs == 2


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_while_writing_leaves_what_was_there(failing, error, existing, path, monkeypatch):
    if existing:
        nn.save(network(seed=1), path)
    kept = path.read_bytes() if existing else None

    def fail(*_, **__):
        raise error("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(error, match="the disk is full"):
            nn.save(network(seed=2), path, overwrite=True)
    assert (path.read_bytes() if path.exists() else None) == kept
    assert os.listdir(path.parent) == (["net.npz"] if existing else [])


def arrays(**content):
    return lambda path: np.savez(path, **content)


def damaged(change):
    def write(path):
        nn.save(network(), path)
        path.write_bytes(change(path.read_bytes()))

    return write


def flip(file):
    """Change one bit of the parameters."""
    i = file.index(network().parameters.vector.tobytes())
    return file[:i] + bytes([file[i] ^ 1]) + file[i + 1 :]


GOOD = {"format": 1, "inputs": 1, "layers": []}


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("epoch,data_loss\n1,0.5\n"),
        lambda path: path.write_bytes(pickle.dumps({"weights": [1.0]})),
        lambda path: path.write_bytes(os.urandom(1000)),
        arrays(x=np.zeros(3), y=np.zeros(3)),
        arrays(parameters=np.zeros(3), description=np.array("no json")),
        arrays(parameters=np.zeros(3), description=np.array("[]")),
        arrays(parameters=np.zeros(3), description=np.array("{}")),
        arrays(parameters=np.zeros(3), description=np.zeros(2)),
        arrays(parameters=np.zeros(3), description=np.array(json.dumps(GOOD))),
        lambda path: path.write_bytes(b"PK\x03\x04" + b"0" * 100),
        damaged(flip),
        *(damaged(lambda b, s=s: b[: int(s * len(b))]) for s in (0.0, 0.01, 0.5, 0.9, 0.999)),
    ],
    ids=[
        *("csv", "pickle", "noise", "arrays", "text", "list", "empty", "numbers"),
        *("part", "zip", "flipped bit", "cut to 0", "to 1 %", "to 50 %", "to 90 %", "to 99.9 %"),
    ],
)
def test_a_foreign_or_damaged_file_is_a_clear_error(write, path):
    write(path)
    with pytest.raises(ValueError, match=r"net\.npz cannot be read as a network saved by nnreg"):
        nn.load(path)


def test_a_later_format_is_named(path):
    net = network()
    nn.save(net, path)
    later = description(path) | {"format": 2}
    np.savez(path, parameters=net.parameters.vector, description=np.array(json.dumps(later)))
    with pytest.raises(ValueError, match=r"nnreg: it has format 2, this version reads 1"):
        nn.load(path)


@pytest.mark.parametrize(
    "vector", [np.zeros(3), np.zeros(51, "float32"), np.zeros((51, 1))], ids=str
)
def test_a_vector_that_does_not_fit_the_layers_is_named(vector, path):
    net = network()
    nn.save(net, path)
    np.savez(path, parameters=vector, description=np.array(json.dumps(description(path))))
    with pytest.raises(ValueError, match=r"vector must have shape \(51,\) and dtype float64"):
        nn.load(path)


def test_a_missing_file_and_a_folder_are_named(path):
    with pytest.raises(FileNotFoundError, match=r"net\.npz"):
        nn.load(path)
    path.mkdir()
    with pytest.raises(OSError, match=r"net\.npz"):
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
    fields, vector = description(path), np.load(path)["parameters"]
    inner = fields
    for key in field[:-1]:
        inner = inner[key]
    inner[field[-1]] = WRONG[field]
    np.savez(path, parameters=vector, description=np.array(json.dumps(fields)))
    monkeypatch.setattr("nnreg.random.generator", None)
    with pytest.raises(ValueError, match=r"net\.npz") as caught:
        nn.load(path)
    assert any(str(key) in str(caught.value) for key in (*field, "values", "vector must have"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_neither_written_nor_read(value, path):
    net = network()
    nn.save(net, path)
    fields = np.array(json.dumps(description(path)))
    net.parameters.vector[3] = value
    np.savez(path, parameters=net.parameters.vector, description=fields)
    with pytest.raises(ValueError, match=r"net\.npz .*vector must be finite"):
        nn.load(path)
    with pytest.raises(ValueError, match=r"net\.parameters must be finite"):
        nn.save(net, path, overwrite=True)
    np.savez_compressed(path, parameters=network().parameters.vector, description=fields)
    with pytest.raises(ValueError, match=r"net\.npz .*compressed"):
        nn.load(path)


def test_overwrite_is_true_or_false(path):
    nn.save(network(), path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="overwrite must be True or False"):
        nn.save(network(seed=1), path, overwrite="no")
    assert path.read_bytes() == before
