"""A history: columns by name, rows by epoch, readable and ready for JSON."""

import json

import pytest
from small import fit, network

import nnreg as nn
from nnreg import History


def of_epochs(epochs):
    history = History()
    for i in range(1, epochs + 1):
        history.append({"epoch": i, "data_loss": 1 / i})
    return history


def test_a_column_is_reached_by_name_and_a_row_as_the_last():
    history = of_epochs(3)
    assert (history["epoch"], history.last) == ([1, 2, 3], {"epoch": 3, "data_loss": 1 / 3})
    assert [name in history for name in ("data_loss", "val_data_loss")] == [True, False]
    assert [len(of_epochs(n)) for n in (0, 1, 7)] == [0, 1, 7]
    with pytest.raises(KeyError, match=r"no figure 'loss' is recorded; available: epoch, "):
        history["loss"]
    with pytest.raises(KeyError, match="no figure 'loss' is recorded; no epoch is finished"):
        of_epochs(0)["loss"]


def test_to_dict_is_a_copy_that_json_takes():
    history = fit(network(), epochs=2, metrics=["accuracy"], validation_split=0.2)
    plain = history.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    plain["epoch"].append(99)
    assert history["epoch"] == [1, 2]


def test_to_pandas_has_a_row_per_epoch_under_its_number():
    pandas = pytest.importorskip("pandas")
    history = of_epochs(3)
    expected = pandas.DataFrame({"data_loss": [1.0, 1 / 2, 1 / 3]}, index=[1, 2, 3])
    pandas.testing.assert_frame_equal(history.to_pandas(), expected, check_names=False)
    assert [of_epochs(n).to_pandas().index.name for n in (0, 3)] == ["epoch", "epoch"]


def test_its_text_is_a_table():
    assert repr(of_epochs(2)) == (
        "epoch  data_loss\n"
        "-----  ---------\n"
        "    1          1\n"
        "    2        0.5\n"
        "2 epochs, stopped: epochs"
    )
    assert repr(History()) == "<History: no epoch finished, stopped: epochs>"


def test_its_text_shows_the_first_and_last_three_of_many_epochs():
    lines = repr(of_epochs(100)).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [*"123", "...", "98", "99", "100", "100"]
    assert "..." not in repr(of_epochs(6))


def test_loss_and_val_loss_are_sums_of_columns():
    net = network(penalty=nn.L2(0.1))
    history = fit(net, epochs=3, validation_split=0.2)
    expected = [a + b for a, b in zip(history["val_data_loss"], history["penalty"], strict=True)]
    assert (history["loss"], history["val_loss"]) == (history["total"], expected)
    assert (history.last["loss"], history.last["val_loss"]) == (history["total"][-1], expected[-1])
    assert {"loss", "val_loss"} <= {name for name in ("loss", "val_loss", "mse") if name in history}
    assert "loss" not in history.to_dict()
    assert "val_loss" not in fit(network())
