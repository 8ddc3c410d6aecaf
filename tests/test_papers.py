"""The papers' tables: recipes, data splits, resumption, verdicts, and formatting."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import nnreg as nn
from benchmarks.papers import nielsen, report, runner, significance, table9, training
from benchmarks.papers.__main__ import main
from benchmarks.papers.recipes import Recipe, Row, with_epochs

ROWS = (*nielsen.ROWS, *table9.ROWS)
TINY = Recipe(hidden=(6, 5), epochs=2, learning_rate=0.1, batch_size=50)
PUBLISHED = Path(__file__).parents[1] / "docs" / "understand" / "papers.json"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_recipe_makes_a_network_with_what_it_says(row):
    recipe = replace(row.recipe, hidden=tuple(8 for _ in row.recipe.hidden))
    net = training.network(recipe, 20, seed=0)
    kinds = [type(layer).__name__ for layer in net.layers]
    activation = {"relu": "ReLU", "sigmoid": "Sigmoid"}[recipe.activation]
    assert kinds.count(activation) == len(recipe.hidden)
    assert [kind for kind in kinds if kind in ("ReLU", "Sigmoid")] == [activation] * len(
        recipe.hidden
    )
    keeps = [layer.keep_prob for layer in net.layers if isinstance(layer, nn.Dropout)]
    assert keeps == [recipe.keep[0], *[recipe.keep[1]] * len(recipe.hidden)]
    limits = [limit.limit for limit, _, _ in net.regularization.constraints]
    expected = [] if recipe.max_norm is None else [recipe.max_norm] * (len(recipe.hidden) + 1)
    assert limits == expected
    if recipe.l1:
        assert (net.penalty.l2, net.penalty.method) == (recipe.l2, "proximal")
    else:
        assert (net.penalty.strength if net.penalty else 0.0) == recipe.l2


def test_the_tables_have_the_published_rows():
    assert [row.paper for row in nielsen.ROWS] == [82.27, 87.1, 95.49, 96.49, 97.92, 98.04, 96, 96]
    assert [row.paper for row in table9.ROWS] == [None, 1.62, 1.60, 1.35, 1.25, 1.05]
    assert {row.recipe.hidden for row in table9.ROWS} == {(1024, 1024, 2048)}
    assert {row.name for row in ROWS} >= {report.BEST, report.WORST}
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_nielsens_strength_is_his_lambda_by_the_number_of_rows():
    few, full = nielsen.ROWS[1].recipe, nielsen.ROWS[3].recipe
    assert few.l2 * few.rows == pytest.approx(0.1)
    assert full.l2 * full.rows == pytest.approx(5.0)


@pytest.mark.parametrize(("old", "new"), nielsen.PAIRS)
def test_a_pair_differs_in_one_thing(old, new):
    old, new = (asdict(nielsen.ROWS[index].recipe) for index in (old, new))
    different = {name for name in old if old[name] != new[name]}
    assert different in ({"l2"}, {"initial"}, {"learning_rate", "epochs"})


@pytest.mark.parametrize("row", table9.ROWS, ids=lambda row: row.name)
def test_recipes_are_tried_on_the_validation_rows_only(row):
    for changed, recipe in table9.candidates(row):
        assert recipe.measured == "validation"
        back = {name: getattr(row.recipe, name) for name in (*changed, "hidden", "measured")}
        assert replace(recipe, **back) == row.recipe


def test_the_last_sixth_is_for_validation_and_joins_the_training_rows_at_the_end():
    (x, _), (x_test, _) = training.load_data("digits")
    held = len(x) // 6

    def sizes(**changes):
        x_fit, y_fit, x_measured, y_measured = training.parts(replace(TINY, **changes), "digits")
        assert len(x_fit) == len(y_fit)
        assert len(x_measured) == len(y_measured)
        assert np.array_equal(x_fit, x[: len(x_fit)])
        return len(x_fit), x_measured

    count, measured = sizes()
    assert count == len(x)
    assert measured is x_test
    count, measured = sizes(measured="validation")
    assert count == len(x) - held
    np.testing.assert_array_equal(measured, x[-held:])
    assert sizes(rows=100)[0] == 100
    assert sizes(rows=100, measured="validation")[0] == 100
    assert sizes(rows=50_000)[0] == len(x) - held
    assert 60_000 // 6 == 10_000


def test_rows_of_a_table_begin_with_the_same_weights():
    plain = training.network(TINY, 64, seed=3).parameters.vector
    other = replace(TINY, keep=(0.8, 0.5), max_norm=1.0, l2=1e-4)
    assert np.array_equal(plain, training.network(other, 64, seed=3).parameters.vector)
    assert not np.array_equal(plain, training.network(TINY, 64, seed=4).parameters.vector)


def test_nielsens_initial_values_are_normal_biases_too():
    for initial, deviation in (("normal", 1.0), ("scaled", 1 / 20)):
        net = training.network(replace(TINY, hidden=(500,), initial=initial), 400, seed=0)
        assert net.parameters["dense_1.weight"].std() == pytest.approx(deviation, rel=0.02)
        assert net.parameters["dense_1.bias"].std() == pytest.approx(1.0, rel=0.1)
    assert not training.network(TINY, 64, seed=0).parameters.biases.any()


def test_schedules_rise_fall_and_let_l1_in_late():
    recipe = replace(TINY, decays=True, l1=1e-3)
    net = training.network(recipe, 64, seed=0)
    rate, late = training.schedules(recipe, net, nn.SGD(0.1), 60)
    assert [rate.schedule(step) for step in (0, 3, 60)] == [0.0, 0.1, 0.0]
    assert [late.schedule(step) for step in (0, 39, 40, 59)] == [0.0, 0.0, 1e-3, 1e-3]


def test_the_error_is_in_percent_of_the_rows():
    net = nn.Network([nn.Dense(2, initializer=nn.ones)], inputs=1)
    net.parameters["dense_1.weight"][:] = 1, -1
    x = np.array([[1.0]] * 1500 + [[-1.0]] * 500, np.float32)
    assert training.error(net, x, np.zeros(2000, np.int64)) == 25.0
    assert training.error(net, x[:8], np.ones(8, np.int64)) == 100.0


def test_what_a_run_reports():
    result = training.train_recipe(replace(TINY, each_epoch=True, epochs=3), 0, "digits")
    assert result["errors"].shape == (3,)
    assert result["updates"] == 3 * math.ceil(1297 / 50)
    assert result["zeros"] == 0
    sparse = training.train_recipe(replace(TINY, l1=0.02, epochs=3), 0, "digits")
    assert sparse["errors"].shape == (1,)
    assert sparse["zeros"] > 5
    again = training.train_recipe(replace(TINY, l1=0.02, epochs=3), 0, "digits")
    assert again["errors"] == sparse["errors"]


def test_an_interrupted_table_is_taken_up_again(tmp_path, monkeypatch, capsys):
    calls = []

    def train(recipe, seed, data):
        calls.append((recipe.l2, seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"errors": np.array([recipe.l2 + seed]), "seconds": np.array(1.0)}

    monkeypatch.setattr(runner, "train_recipe", train)
    rows = (Row("a", TINY, 1.0), Row("b", replace(TINY, l2=0.5), None))
    with pytest.raises(KeyboardInterrupt):
        runner.table(rows, 2, folder=tmp_path)
    result = runner.table(rows, 2, folder=tmp_path)
    assert calls == [(0.0, 0), (0.5, 0), (0.0, 1), (0.0, 1), (0.5, 1)]
    assert [run["errors"] for run in result[1]["runs"]] == [[0.5], [1.5]]
    assert "4 of 4" in capsys.readouterr().out


def test_another_seed_recipe_or_data_set_is_another_run(tmp_path, monkeypatch):
    calls = []

    def train(*task):
        calls.append(task)
        return {"errors": np.zeros(1)}

    monkeypatch.setattr(runner, "train_recipe", train)
    tasks = [(TINY, 0), (TINY, 1), (replace(TINY, epochs=3), 0), (TINY, 0)]
    for data in ("mnist", "digits", "mnist"):
        runner.runs(tasks, folder=tmp_path, data=data)
    assert calls == [(*task, data) for data in ("mnist", "digits") for task in tasks[:3]]


def test_epochs_may_be_scaled_for_every_row():
    assert with_epochs(nielsen.ROWS, None) == nielsen.ROWS
    assert {row.recipe.epochs for row in with_epochs(nielsen.ROWS, 2)} == {2}


def test_three_standard_deviations_are_inside():
    values = [95.0, 96.0, 97.0]  # mean 96, sd 1
    assert significance.within_deviations(98.9, values)
    assert not significance.within_deviations(99.1, values)
    assert not significance.within_deviations(92.9, values)


@pytest.mark.slow
def test_the_noise_is_where_one_more_run_would_lie():
    rng = np.random.default_rng(0)
    tables = rng.standard_normal((4000, 2, 4)) + np.array([[0.0], [5.0]])
    inside = [
        significance.within_noise(
            rows[0, 3], rows[0, :3], *significance.pooled(rows[:, :3].tolist())
        )
        for rows in tables
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.011)  # three binomial deviations


def test_the_paired_test_is_students():
    a, b = [1.62, 1.70, 1.58, 1.66], [1.30, 1.33, 1.35, 1.29]
    result = significance.paired(a, b)
    differences = np.subtract(a, b)
    t = differences.mean() / (differences.std(ddof=1) / 2)
    assert result.difference == pytest.approx(differences.mean())
    assert result.p == pytest.approx(2 * scipy.stats.t.sf(t, 3))
    assert significance.paired(b, a).p == pytest.approx(result.p)
    assert significance.paired([1.0, 2.0], [0.5, 1.5]) == significance.Paired(0.5, 0.0)


def made_up(errors, **changes):
    run = {"train_error": 0.5, "zeros": 0.0, "updates": 1000, "seconds": 60.0}
    row = asdict(Row("row", TINY, 1.2)) | changes
    return row | {"runs": [run | {"errors": each} for each in errors]}


def test_nielsens_verdicts_use_the_figure_that_he_gives():
    errors = [[30.0, 10.0, 12.0], [30.0, 9.0, 13.0], [30.0, 11.0, 11.0]]
    best, last = (made_up(errors, paper=90.0, figure=figure) for figure in ("best", "last"))
    assert report.accuracies(best, "best") == [90.0, 91.0, 89.0]
    assert report.accuracies(last, "last") == [88.0, 87.0, 89.0]
    assert report.nielsen_verdict(best) == "inside"
    assert report.nielsen_verdict(made_up(errors, paper=93.1, figure="best")) == "outside"
    assert report.nielsen_verdict(made_up(errors, paper=91.1, figure="last")) == "outside"
    for paper, verdict in ((50.0, "inside"), (92.9, "inside"), (93.1, "outside")):
        row = made_up(errors, paper=paper, figure="best", at_least=True)
        assert report.nielsen_verdict(row) == verdict


def test_the_order_of_table_9_is_that_of_the_means():
    errors = {"none": 1.9, "L2": 1.7, "max-norm": 1.75, "dropout, max-norm": 1.1}
    paper = {"none": None, "L2": 1.62, "max-norm": 1.35, "dropout, max-norm": 1.05}
    rows = [made_up([[e - 0.1], [e + 0.1]], name=n, paper=paper[n]) for n, e in errors.items()]
    best, worst, pairs = report.table9_order({"rows": rows})
    assert best.startswith("The best row is *dropout, max-norm* with 1.10 %")
    assert worst.startswith("The worst regularized row is *max-norm* with 1.75 %")
    assert pairs.startswith("Of 3 pairs of the paper's rows, 2 ")


@pytest.mark.slow
def test_the_command_runs_prints_and_stores_every_table(tmp_path, monkeypatch, capsys):
    small = tuple(replace(row, recipe=replace(row.recipe, hidden=(9, 8))) for row in table9.ROWS)
    monkeypatch.setattr(table9, "ROWS", small)
    monkeypatch.setattr(table9, "HALF", (5, 4))
    monkeypatch.setitem(main.__globals__["TABLES"], "table9", small)
    common = ["--data", "digits", "--epochs", "1", "--out", str(tmp_path)]
    assert main(["--seeds", "2", *common]) == 0
    assert main(["choose", *common]) == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert list(results) == ["nielsen", "table9", "choose"]
    assert results["table9"]["command"].startswith("python -m benchmarks.papers --seeds 2 --data")
    printed = capsys.readouterr().out
    for name, result in results.items():
        text = report.REPORTS[name](result)
        assert text in printed
        assert result["command"] in text
        for row in {"nielsen": nielsen, "table9": table9, "choose": table9}[name].ROWS:
            assert f"| {row.name} |" in text


def test_the_published_results_are_of_these_recipes():
    results = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    for name, rows in (("nielsen", nielsen.ROWS), ("table9", table9.ROWS)):
        assert results[name]["data"] == "mnist"
        for row, row_result in zip(rows, results[name]["rows"], strict=True):
            runs = row_result.pop("runs")
            assert row_result == json.loads(json.dumps(asdict(row)))
            assert len(runs) == results[name]["seeds"] >= 3


@pytest.mark.parametrize("row", table9.ROWS, ids=lambda row: row.name)
def test_the_recipes_did_best_on_the_validation_rows_within_their_standard_error(row):
    choice = json.loads(PUBLISHED.read_text(encoding="utf-8"))["choose"]
    tried = [one for one in choice["rows"] if one["row"] == row.name]
    assert [one["recipe"] for one in tried] == [
        json.loads(json.dumps(asdict(recipe))) for _, recipe in table9.candidates(row)
    ]
    searched = {
        name for name in tried[0]["tried"] if len({str(one["tried"][name]) for one in tried}) > 1
    }
    chosen = json.loads(json.dumps({name: getattr(row.recipe, name) for name in searched}))
    error = next(one["error"] for one in tried if one["tried"].items() >= chosen.items())
    lowest = min(one["error"] for one in tried)
    assert error - lowest <= (lowest * (100 - lowest) / 10_000) ** 0.5
