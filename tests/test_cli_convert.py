"""`nnreg convert`: a network from one format to another."""

import numpy as np
import pytest
from small import network

import nnreg as nn
from nnreg.commands.main import main
from nnreg.interop import load_keras
from nnreg.lab.model import Model
from nnreg.lab.preprocessing import Standardization

pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nn.save(network(penalty=nn.L2(0.5)), "a.npz")


def test_there_and_back(capsys):
    assert main(["convert", "a.npz", "a.keras"]) == 0
    assert main(["convert", "a.keras", "b.npz"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrote a.keras: 2 inputs, 3 outputs, 51 parameters, float64",
        "wrote b.npz: 2 inputs, 3 outputs, 51 parameters, float64",
    ]
    x = np.ones((2, 2))
    np.testing.assert_array_equal(nn.load("b.npz").predict(x), network().predict(x))
    assert repr(load_keras("a.keras").layers[0].penalty) == "L2(strength=0.5)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "a.npz a.h5",
            "a.h5 cannot be written: its name must end in .npz, .safetensors, .keras, .onnx",
        ),
        ("a.pt a.npz", "a.pt cannot be read: its name must end in .npz, .safetensors, .keras"),
        ("no.npz a.keras", "No such file or directory: no.npz"),
        ("a.npz a.npz", "a.npz exists; --force replaces it"),
    ],
)
def test_an_error_is_one_line(capsys, arguments, message):
    assert main(["convert", *arguments.split()]) == 2
    assert message in capsys.readouterr().err


def test_force_replaces_the_result():
    for status in (0, 2):
        assert main(["convert", "a.npz", "a.keras"]) == status
    assert main(["convert", "a.npz", "a.keras", "--force"]) == 0


@pytest.mark.filterwarnings("default")
def test_scales_that_are_lost_are_a_warning(capsys, tmp_path):
    model = Model(network(), standardization=Standardization(np.zeros(2), np.ones(2)))
    (tmp_path / "model.npz").write_bytes(model.encode())
    assert main(["convert", "model.npz", "model.keras"]) == 0
    assert "warning: model.npz has scales of the data" in capsys.readouterr().err
