"""Files in Keras' format, without Keras: what is read, what is refused, and damaged files."""

import io
import json
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutations import alter_bytes, alter_json

import nnreg as nn
from nnreg.interop import load_keras, save_keras

h5py = pytest.importorskip("h5py")

X = np.random.default_rng(0).normal(size=(5, 4))
SLOPE = {"class_name": "LeakyReLU", "module": "keras.layers", "config": {"negative_slope": 0.5}}


def network(**options: Any) -> nn.Network:
    """Return a network of twelve dense layers: in the file, dense_10 precedes dense_2."""
    layers = [part for _ in range(11) for part in (nn.Dense(5), nn.Tanh())]
    net = nn.Network([*layers, nn.Dense(3)], inputs=4, **{"dtype": "float64"} | options)
    net.parameters.biases[:] = np.linspace(-1, 1, net.parameters.biases.size)
    return net


class KerasFile:
    """A file of `network`, or of other layers, whose parts can be altered and written again."""

    def __init__(self, path: Path, net: nn.Network | None = None) -> None:
        self.path = path
        save_keras(net or network(), path)
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.config = json.loads(self.members["config.json"])
        self.layers = self.config["config"]["layers"]
        self.weights = io.BytesIO(self.members["model.weights.h5"])

    def alter_weights(self, alter: Callable[[Any], None]) -> None:
        with h5py.File(self.weights, "r+") as file:
            alter(file)

    def read(self) -> nn.Network:
        members = self.members | {"model.weights.h5": self.weights.getvalue()}
        if self.config is not None:
            members["config.json"] = json.dumps(self.config).encode()
        with zipfile.ZipFile(self.path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return load_keras(self.path)


@pytest.fixture
def file(tmp_path: Path) -> KerasFile:
    return KerasFile(tmp_path / "model.keras")


@pytest.fixture
def small(tmp_path: Path) -> KerasFile:
    net = nn.Network([nn.Dense(3), nn.ReLU(), nn.Dense(2)], inputs=4)
    return KerasFile(tmp_path / "model.keras", net)


# --- There and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_come_back_in_the_order_of_the_layers(tmp_path, dtype):
    net = network(dtype=dtype)
    save_keras(net, tmp_path / "a.keras")
    again = load_keras(tmp_path / "a.keras")
    assert again.dtype == net.dtype
    np.testing.assert_array_equal(again.parameters.vector, net.parameters.vector)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


@pytest.mark.parametrize(
    "layer",
    [
        *(nn.ReLU(), nn.LeakyReLU(0.125), nn.ELU(0.75), nn.GELU(), nn.Tanh(), nn.Sigmoid()),
        *(nn.Softplus(), nn.Dropout(keep_prob=0.9), nn.GaussianDropout(keep_prob=0.3)),
        *(nn.Dense(3), nn.Dense(3, bias=False), nn.Dense(3, penalty=nn.L2(0.1))),
        *(nn.Dense(3, penalty=nn.L1(0.1)), nn.Dense(3, penalty=nn.ElasticNet(0.1, 0.2))),
        nn.Dense(3, constraint=nn.MaxNorm(2.5)),
    ],
    ids=repr,
)
def test_a_layer_comes_back_with_its_settings(tmp_path, layer):
    net = nn.Network([nn.Dense(6), layer.clone()], inputs=4)
    save_keras(net, tmp_path / "a.keras")
    (_, again) = load_keras(tmp_path / "a.keras").layers
    rules = {} if not isinstance(layer, nn.Dense) else {"penalty": None, "constraint": None}
    inherited = {name: value for name, value in rules.items() if getattr(layer, name) == "inherit"}
    assert type(again) is type(layer)
    assert repr(again.get_config()) == repr(layer.get_config() | inherited)


def test_the_penalty_of_the_network_is_that_of_each_layer(tmp_path):
    net = network(penalty=nn.ElasticNet(0.25, 0.5), constraint=nn.MaxNorm(3.0))
    save_keras(net, tmp_path / "a.keras")
    again = load_keras(tmp_path / "a.keras")
    assert again.penalty_value() == pytest.approx(net.penalty_value(), rel=1e-14)
    assert repr(again.layers[4].constraint) == "MaxNorm(limit=3.0)"


def test_the_same_network_gives_the_same_bytes(tmp_path):
    save_keras(network(), tmp_path / "a.keras")
    save_keras(network(), tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


# --- Reading what Keras writes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"activation": "leaky_relu"}, nn.LeakyReLU(0.2)),
        ({"activation": "elu"}, nn.ELU()),
        ({"activation": SLOPE}, nn.LeakyReLU(0.5)),
        ({"activation": "linear"}, None),
    ],
    ids=str,
)
def test_a_fused_activation_is_a_layer(small, settings, expected):
    small.layers[1]["config"] |= settings
    layers = small.read().layers
    assert repr(layers[1:-2]) == repr((expected,) if expected else ())


def test_relu_with_a_slope_is_leaky(small):
    small.layers[2]["config"] |= {"negative_slope": 0.25, "max_value": None, "threshold": 0.0}
    assert repr(small.read().layers[1]) == "LeakyReLU(slope=0.25)"


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Softmax", "config": {"axis": -1}},
        {"class_name": "Activation", "config": {"activation": "softmax"}},
    ],
    ids=str,
)
def test_the_last_softmax_is_left_out_with_a_warning(small, layer):
    small.layers.append({"module": "keras.layers"} | layer)
    with pytest.warns(UserWarning, match="softmax at its end is left out"):
        net = small.read()
    assert [type(layer) for layer in net.layers] == [nn.Dense, nn.ReLU, nn.Dense]


def test_flatten_of_pictures_makes_rows(small):
    flatten = {"module": "keras.layers", "class_name": "Flatten", "config": {}}
    small.layers.insert(1, flatten)
    small.layers[0]["config"]["batch_shape"] = [None, 2, 2]
    assert small.read().inputs == 4


def chain(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the configuration of a functional model of these layers."""
    names = [layer["config"]["name"] for layer in layers]
    for before, layer in zip([None, *names], layers, strict=False):
        history = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
        nodes = [{"args": [history], "kwargs": {"training": False}}] if before else []
        layer |= {"name": layer["config"]["name"], "inbound_nodes": nodes}
    ends = {"input_layers": [[names[0], 0, 0]], "output_layers": [names[-1], 0, 0]}
    config = {"layers": layers, **ends}
    return {"module": "keras", "class_name": "Functional", "config": config}


def test_a_functional_model_is_read_in_the_order_of_its_chain(file):
    expected = network().predict(X)
    file.config = chain(file.layers)
    file.layers.reverse()
    np.testing.assert_array_equal(file.read().predict(X), expected)


# --- What is refused ------------------------------------------------------------------------------

REGULARIZER = {"module": "keras.regularizers", "config": {}}
REFUSED_SETTINGS = {
    "bias_regularizer": (REGULARIZER, "bias_regularizer"),
    "activity_regularizer": (REGULARIZER, "activity_regularizer"),
    "bias_constraint": ({"class_name": "NonNeg"}, "bias_constraint"),
    "quantization_config": ({"class_name": "Int8"}, "quantization_config"),
    "kernel_regularizer": (
        REGULARIZER | {"class_name": "OrthogonalRegularizer"},
        "kernel_regularizer 'OrthogonalRegularizer'",
    ),
    "kernel_constraint": (
        {"module": "keras.constraints", "class_name": "NonNeg", "config": {}},
        "kernel_constraint 'NonNeg'",
    ),
    "activation": ("selu", "activation='selu'"),
    "trainable": (False, "trainable=False has no equal"),
    "units": (0, "units"),
    "rate": (0.5, "rate"),
}


@pytest.mark.parametrize("name", REFUSED_SETTINGS)
def test_a_setting_without_equal_is_refused_with_its_layer(small, name):
    value, message = REFUSED_SETTINGS[name]
    small.layers[3]["config"][name] = value
    with pytest.raises(ValueError, match=rf"model\.keras cannot be read .*'dense_2'.*{message}"):
        small.read()


REFUSED_LAYERS = {
    "Lambda": ({"function": "os.system('true')"}, "'Lambda' has no equal"),
    "BatchNormalization": ({}, "'BatchNormalization' has no equal"),
    "Dropout": ({"rate": 0.5, "noise_shape": [1, 2]}, "noise_shape"),
    "GaussianDropout": ({"rate": 1.0}, "keep_prob"),
    "ReLU": ({"max_value": 6.0}, "max_value"),
    "LeakyReLU": ({"negative_slope": 1.5}, "slope"),
    "Softmax": ({"axis": 0}, "axis"),
}


@pytest.mark.parametrize("kind", REFUSED_LAYERS)
def test_a_layer_without_equal_is_refused_by_its_name(small, kind):
    config, message = REFUSED_LAYERS[kind]
    entry = {"module": "keras.layers", "class_name": kind, "config": {"name": "odd"} | config}
    small.layers.insert(2, entry)
    with pytest.raises(ValueError, match=rf"layer 'odd': .*{message}"):
        small.read()


def edit(where: str, value: Any) -> Callable[[KerasFile], None]:
    """Return a function that sets one place of the configuration."""

    def alter(file: KerasFile) -> None:
        *path, last = where.split(".")
        target = file.config
        for name in path:
            target = target[int(name) if name.isdigit() else name]
        target[last] = value

    return alter


def make_functional(file: KerasFile) -> None:
    file.config = chain(file.layers)


def branch(file: KerasFile) -> None:
    make_functional(file)
    file.layers[3]["inbound_nodes"] = file.layers[2]["inbound_nodes"]


def call_in_training(file: KerasFile) -> None:
    make_functional(file)
    file.layers[2]["inbound_nodes"][0]["kwargs"] = {"training": True}


def put_softmax_first(file: KerasFile) -> None:
    file.layers[1]["config"]["activation"] = "softmax"


REFUSED_MODELS = {
    "another class": (edit("class_name", "MyModel"), "'MyModel'"),
    "a class of the user's": (edit("config.layers.1.registered_name", "mine>Dense"), "'dense_1'"),
    "another module": (edit("config.layers.1.module", "builtins"), "'dense_1': 'Dense'"),
    "no input layer": (lambda file: file.layers.pop(0), "input shape is unknown"),
    "a sequence": (edit("config.layers.0.config.batch_shape", [None, None]), "must be fixed"),
    "pictures": (edit("config.layers.0.config.batch_shape", [None, 2, 2]), "Flatten"),
    "mixed precision": (edit("config.layers.2.config.dtype", "mixed_float16"), "mixed_float16"),
    "softmax in the middle": (put_softmax_first, "softmax"),
    "a branch": (branch, "two layers"),
    "a call with training=True": (call_in_training, "'relu_1' must be called once"),
}


@pytest.mark.parametrize("case", REFUSED_MODELS)
def test_a_model_of_another_form_is_refused(small, case):
    alter, message = REFUSED_MODELS[case]
    alter(small)
    with pytest.raises(ValueError, match=message):
        small.read()


class Own(nn.Dense):
    pass


class OwnConstraint(nn.MaxNorm):
    pass


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Own(2), "own_1: Own has no equal in Keras"),
        (nn.Dense(2, penalty=nn.GroupLasso(0.1, groups="units")), r"dense_1\.weight.*GroupLasso"),
        (nn.Dense(2, constraint=OwnConstraint(1.0)), r"dense_1\.weight.*OwnConstraint"),
    ],
    ids=["layer", "penalty", "constraint"],
)
def test_what_keras_lacks_is_refused_by_name_and_nothing_is_written(tmp_path, layer, message):
    with pytest.raises(ValueError, match=message):
        save_keras(nn.Network([layer.clone()], inputs=4), tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


def test_what_the_file_cannot_keep_is_a_warning(tmp_path):
    layer = nn.Dense(2, penalty=nn.L1(0.1, method="proximal"))
    net = nn.Network([layer], inputs=4, classes=["cat", "dog"])
    with pytest.warns(UserWarning, match="eras") as caught:
        save_keras(net, tmp_path / "a.keras")
    assert [str(w.message)[:30] for w in caught] == [
        "Keras trains with subgradients",
        "a .keras file has no labels; t",
    ]
    assert repr(load_keras(tmp_path / "a.keras").layers[0].penalty).startswith("L1(strength=0.1,")


def test_a_file_is_replaced_only_on_request_and_ends_in_keras(tmp_path):
    save_keras(network(), tmp_path / "a.keras")
    with pytest.raises(FileExistsError):
        save_keras(network(), tmp_path / "a.keras")
    save_keras(network(), tmp_path / "a.keras", overwrite=True)
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        save_keras(network(), tmp_path / "a.h5")


def test_without_h5py_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for call in (lambda path: save_keras(network(), path), load_keras):
        with pytest.raises(ImportError, match=r"nnreg\[keras\]"):
            call(tmp_path / "a.keras")


# --- Damaged and hostile files --------------------------------------------------------------------

PLACE = "layers/dense/vars/0"


def replace(value: Any = None, **options: Any) -> Callable[[Any], None]:
    def alter(file: Any) -> None:
        del file[PLACE]
        if value is not None and not options:
            file[PLACE] = value
        elif options:
            file.create_dataset(PLACE, **options)

    return alter


def make_virtual(file: Any) -> None:
    del file[PLACE]
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4, 3))
    file.create_virtual_dataset(PLACE, layout)


HUGE = {"shape": (10**6, 10**6), "dtype": "f4"}
HOSTILE_WEIGHTS = {
    "missing": (replace(), "has no layers/dense/vars/0"),
    "another shape": (replace(np.zeros((3, 4), "f4")), r"\(4, 3\), got \(3, 4\)"),
    "integers": (replace(np.zeros((4, 3), "i4")), "float32 or float64"),
    "half precision": (replace(np.zeros((4, 3), "f2")), "float32 or float64"),
    "objects": (replace("text"), "float32 or float64"),
    "no values": (replace(h5py.Empty("f4")), "float32 or float64"),
    "not finite": (replace(np.full((4, 3), np.nan, "f4")), "dense_1.weight.*nan"),
    "another dtype": (replace(np.zeros((4, 3), "f8")), "one dtype"),
    "a huge shape that is not stored": (replace(**HUGE), "stored whole"),
    "huge and compressed": (replace(**HUGE, chunks=(100, 100), compression="gzip"), "compression"),
    "values in another file": (
        replace(shape=(4, 3), dtype="f4", external=[("/etc/passwd", 0, 48)]),
        "stored whole",
    ),
    "values of another file": (make_virtual, "stored whole"),
    "a link to another file": (replace(h5py.ExternalLink("/etc/x.h5", "/x")), "has no"),
    "a soft link": (replace(h5py.SoftLink("/layers/dense/vars/1")), "has no"),
    "a group": (lambda file: [file.pop(PLACE), file.create_group(PLACE)], "float32 or float64"),
}


@pytest.mark.parametrize("case", HOSTILE_WEIGHTS)
def test_weights_are_read_only_where_they_are_what_keras_stores(small, case):
    alter, message = HOSTILE_WEIGHTS[case]
    small.alter_weights(alter)
    with pytest.raises(ValueError, match=rf"model\.keras cannot be read .*{message}"):
        small.read()


def forget(name: str) -> Callable[[KerasFile], Any]:
    return lambda file: file.members.pop(name)


def declare_huge(file: KerasFile) -> None:
    for layer in file.layers[1::2]:
        layer["config"]["units"] = 10**12


def test_a_huge_declared_shape_allocates_nothing(small):
    declare_huge(small)
    with pytest.raises(ValueError, match=r"dense_1\.weight must have shape \(4, 1000000000000\)"):
        small.read()


@pytest.mark.parametrize(
    "config",
    ["", "[]", "{}", "nul", '{"class_name": 1, "config": 2}', "[" * 100_000, "\0"],
    ids=lambda text: repr(text[:9]),
)
def test_a_wrong_description_is_an_error_that_names_the_file(small, config):
    small.config, small.members["config.json"] = None, config.encode()
    with pytest.raises(ValueError, match=r"model\.keras cannot be read as a model of Keras"):
        small.read()


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_missing_part_is_named(small, name):
    small.read()
    with zipfile.ZipFile(small.path, "w") as archive:
        for member, content in small.members.items():
            if member != name:
                archive.writestr(member, content)
    with pytest.raises(ValueError, match=f"no {name}"):
        load_keras(small.path)


def test_names_that_lead_out_of_the_archive_are_not_opened(small, tmp_path):
    small.members |= {"../out.txt": b"out", "/tmp/out.txt": b"out"}
    small.read()
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_a_file_that_unpacks_to_gigabytes_is_refused(small):
    with zipfile.ZipFile(small.path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (2**24 + 1))
    with pytest.raises(ValueError, match="save it without compression"):
        load_keras(small.path)


def damaged(content: bytes, config: dict[str, Any]) -> Iterator[bytes]:
    rng = random.Random(0)
    for size in (0, 1, 4, 100, len(content) // 2, len(content) - 1):
        yield content[:size]
    for _ in range(100):
        yield alter_bytes(content, rng)


def test_a_damaged_file_is_an_error_that_names_it_or_a_network(small):
    """HDF5 has no checksum of its values here, but the archive has."""
    content = small.path.read_bytes()
    for altered in damaged(content, small.config):
        small.path.write_bytes(altered)
        try:
            load_keras(small.path).predict(X)
        except ValueError as error:
            assert str(error).startswith(str(small.path))  # noqa: PT017  # not all of them fail


def test_an_altered_description_is_an_error_that_names_the_file_or_a_network(small):
    rng, config = random.Random(0), small.config
    for _ in range(60):
        text = alter_json(config, rng)
        small.config, small.members["config.json"] = None, text.encode("utf-8", "surrogatepass")
        try:
            small.read().predict(X[:, :1].repeat(4, axis=1))
        except ValueError as error:
            assert "model.keras" in str(error) or "x must" in str(error)  # noqa: PT017  # as above
