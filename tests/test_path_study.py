"""The path study, its report and the command `nnreg path`."""

import base64
import json

import numpy as np
import pytest
from experiments import fake_pictures, needs_matplotlib
from pages import Page

from nnreg import plots
from nnreg.commands import experiments
from nnreg.commands.main import main
from nnreg.datasets import load
from nnreg.lab import PathSettings, study_path
from nnreg.lab.path import study
from nnreg.lab.path.report import COLUMNS, RULES, draw_path, make_headline, make_report

QUICK = PathSettings((8,), points=3, epochs=2, train_size=60, repeats=2)
OPTIONS = "--hidden 8 --points 3 --epochs 2 --train-size 60 --label-noise 0 --repeats 2"


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def small(digits):
    return study_path(digits, QUICK)


def same(one, other):
    """Return True if two studies agree in all but the time that they took."""
    figures = (one.figures.keys() | other.figures.keys()) - {"seconds"}
    return (one.weights == other.weights).all() and all(
        (one.figures[name] == other.figures[name]).all() for name in figures
    )


class TestStudy:
    def test_there_is_a_figure_for_every_repeat_and_strength(self, small):
        assert {values.shape for values in small.figures.values()} == {(2, 3)}
        assert (np.diff(small.strengths) < 0).all()
        assert small.strengths[-1] / small.strengths[0] == pytest.approx(1e-3)
        assert small.weights.shape == (3, 64 * 8 + 8 * 10)
        assert small.figures["zeros"][0] == pytest.approx((small.weights == 0).mean(axis=1))

    def test_repeats_differ_in_their_seed(self, digits, small):
        assert (small.figures["data_loss"][0] != small.figures["data_loss"][1]).any()
        alone = study_path(digits, PathSettings(**vars(QUICK) | {"repeats": 1}))
        assert (alone.figures["data_loss"][0] == small.figures["data_loss"][0]).all()

    @pytest.mark.slow
    def test_a_linear_model_is_at_its_optimum_and_begins_at_zero(self, digits):
        result = study_path(digits, PathSettings((), points=3, train_size=60, repeats=2))
        assert result.figures["zeros"][:, 0].tolist() == [1.0, 1.0]
        losses = result.figures["data_loss"]
        assert abs(losses[0] - losses[1]).max() < 1e-8
        assert (np.diff(result.figures["total"]) < 0).all()

    def test_an_l2_penalty_makes_it_an_elastic_net(self):
        assert repr(PathSettings(l2=0.5).penalty(0.25)) == (
            "ElasticNet(l1=0.25, l2=0.5, method='proximal')"
        )

    @pytest.mark.parametrize(
        "wrong", [{"points": 1}, {"ratio": 1.0}, {"epochs": 0}, {"l2": -1.0}, {"hidden": (0,)}]
    )
    def test_settings_out_of_range_are_named(self, wrong):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}"):
            PathSettings(**wrong)


class TestResuming:
    def test_an_interrupted_study_goes_on_and_is_the_uninterrupted_one(
        self, digits, small, tmp_path
    ):
        def stop(what, done, total):
            if done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            study_path(digits, QUICK, folder=tmp_path, progress=stop)
        assert len(list(tmp_path.iterdir())) == 4
        calls = []
        result = study_path(digits, QUICK, folder=tmp_path, progress=lambda *p: calls.append(p))
        assert same(result, small)
        assert [done for _, done, _ in calls] == [1, 2, 3, 4, 5, 6]

    def test_finished_points_are_not_trained_again_and_those_of_another_study_not_taken(
        self, digits, small, tmp_path, monkeypatch
    ):
        other = PathSettings(**vars(QUICK) | {"learning_rate": 0.1})
        study_path(digits, other, folder=tmp_path)
        assert same(study_path(digits, QUICK, folder=tmp_path), small)
        assert len(list(tmp_path.iterdir())) == 12
        monkeypatch.setattr(study, "fit", lambda *_, **__: pytest.fail("trained again"))
        assert same(study_path(digits, QUICK, folder=tmp_path), small)

    @pytest.mark.slow
    def test_two_processes_compute_what_one_computes(self, digits, small):
        pytest.importorskip("joblib")
        calls = []
        result = study_path(digits, QUICK, jobs=2, progress=lambda *p: calls.append(p[1:]))
        assert same(result, small)
        assert calls[-1] == (6, 6)


class TestReport:
    def test_the_table_has_a_row_for_every_strength_and_80_characters(self, small):
        lines = str(make_report(small)).splitlines()
        assert max(map(len, lines)) <= 80
        for strength in small.strengths:
            assert sum(line.startswith(f"{strength:.3g} ") for line in lines) == 1

    def test_the_numbers_are_all_there(self, small):
        result = json.loads(json.dumps(make_report(small).numbers, allow_nan=False))
        assert result["strengths"] == small.strengths.tolist()
        for repeat, values in enumerate(result["repeats"]):
            assert values["seed"] == repeat
            assert values["test_accuracy"] == small.figures["test_accuracy"][repeat].tolist()

    def test_the_summary_names_the_strongest_that_is_as_good(self, small):
        def headline(accuracy):
            figures = {"test_accuracy": np.array([accuracy]), "zeros": np.array([[1, 0.75, 0.5]])}
            strengths = np.array([4.0, 2.0, 1.0])
            kind = type(small)
            return make_headline(
                kind(small.dataset, small.rows, small.settings, strengths, figures, small.weights)
            )

        assert headline([0.1, 0.895, 0.9]) == (
            "Best on test rows is L1 1 with 90.0 %, 50.0 % of the weights exactly zero. "
            "L1 2 has 89.5 %, with 75.0 % exactly zero."
        )
        assert headline([0.1, 0.8, 0.9]).endswith(
            "No stronger penalty of the path is within 1 point."
        )

    def test_the_page_has_the_rules_and_every_column(self, small):
        result = make_report(small).make_page({}).replace("\N{NO-BREAK SPACE}", " ")
        for term in (*RULES, *(column.head for column in COLUMNS)):
            assert f"<dt>{term}</dt>" in result
        assert "<img" not in result
        assert "$" not in result

    @needs_matplotlib
    @pytest.mark.slow
    def test_its_picture_is_a_file_and_part_of_the_page(self, small, tmp_path):
        assert make_report(small).write(tmp_path) == ["report.json", "report.html", "path.png"]
        assert (tmp_path / "path.png").read_bytes().startswith(b"\x89PNG")
        pictures = set(Page((tmp_path / "report.html").read_text("utf-8")).loads())
        assert len(pictures) == 4  # light and dark, wide and narrow
        for picture in pictures:
            content = base64.b64decode(picture.removeprefix("data:image/svg+xml;base64,"))
            assert content.startswith(b"<?xml")

    @needs_matplotlib
    def test_many_weights_are_not_drawn_one_by_one(self, small, monkeypatch):
        assert len(draw_path(small).axes) == 3
        monkeypatch.setattr("nnreg.lab.path.report.MAX_WEIGHTS", 10)
        titles = [axes.get_title(loc="left") for axes in draw_path(small).axes]
        assert titles == ["data loss", "zero weights"]


class TestCommand:
    @pytest.fixture(autouse=True)
    def quickly_in_a_folder_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fake_pictures(monkeypatch)

    def walk(self, options=OPTIONS):
        return main(["path", *options.split()])

    def test_every_option_reaches_its_setting(self, monkeypatch):
        seen = []

        def study(dataset, settings, **options):
            seen.append((settings, options["jobs"]))
            raise KeyboardInterrupt

        monkeypatch.setattr(experiments, "study_path", study)
        self.walk(
            "--hidden 5,6 --l2 0.1 --points 4 --ratio 0.2 --epochs 7 --batch-size 9 "
            "--learning-rate 0.4 --optimizer sgd --train-size 50 --label-noise 0.25 --repeats 4 "
            "--seed 11 --jobs 2"
        )
        self.walk("--linear")
        assert seen[0] == (PathSettings((5, 6), 7, 9, 0.4, "sgd", 50, 0.25, 4, 11, 0.1, 4, 0.2), 2)
        assert (seen[1][0].hidden, seen[1][0].repeats) == ((), 1)

    def test_an_interrupted_walk_says_how_to_go_on_and_goes_on(self, capsys, monkeypatch, tmp_path):
        real = experiments.study_path

        def stop(dataset, settings, *, progress, **options):
            def until(what, done, total):
                if done == 2:
                    raise KeyboardInterrupt

            return real(dataset, settings, progress=until, **options)

        monkeypatch.setattr(experiments, "study_path", stop)
        assert self.walk() == 130
        assert capsys.readouterr().err == (
            "nnreg: interrupted; 2 points are kept in nnreg-path; "
            "the same command with --out nnreg-path --resume continues from there\n"
        )
        monkeypatch.setattr(experiments, "study_path", real)
        assert self.walk(f"{OPTIONS} --out nnreg-path --resume") == 0
        assert [path.name for path in tmp_path.iterdir()] == ["nnreg-path"]
        assert not list((tmp_path / "nnreg-path").glob("*.npz"))


@needs_matplotlib
class TestPictures:
    def test_the_strongest_penalty_is_on_the_left(self):
        s, ones = np.array([0.1, 10.0, 1.0]), np.ones((1, 3))
        figure = plots.regularization_path(s, train=ones, zeros=ones, weights=np.eye(3))
        for axes in figure.axes[:3]:
            left, right = axes.get_xlim()
            assert 10.0 < left < 12.0  # the first marker is whole
            assert 0.08 < right < 0.1
        drawn = {tuple(line.get_ydata()) for line in figure.axes[2].lines[:-1]}
        assert drawn == {(1, 0, 0), (0, 0, 1), (0, 1, 0)}  # by rising strength

    def test_means_are_drawn_over_the_repeats(self):
        train, test = np.array([[1.0, 2.0], [3.0, 6.0]]), np.zeros((2, 2))
        s = np.array([1.0, 0.1])
        axes = plots.regularization_path(s, train=train, test=test, zeros=test).axes[0]
        thick = [line for line in axes.lines if line.get_linewidth() == 2.0]
        assert thick[0].get_ydata().tolist() == [4.0, 2.0]
        assert {note.get_text() for note in axes.texts} >= {"train", "test"}

    def test_only_the_largest_of_many_weights_are_drawn(self):
        s, ones = np.array([1.0, 0.1]), np.ones((1, 2))
        weights = np.vstack([np.zeros(300), np.arange(300)])
        axes = plots.regularization_path(s, train=ones, zeros=ones, weights=weights).axes[2]
        assert min(line.get_ydata()[0] for line in axes.lines[:-1]) == 200

    def test_an_exact_zero_runs_along_the_bottom_and_a_small_value_above_it(self):
        figure = plots.weight_trajectories(
            {"subgradient": np.array([1.0, 1e-9]), "proximal": np.array([1.0, 0.0])}
        )
        bottom = figure.axes[1].get_ylim()[0]
        small, zero = (line.get_ydata()[1] for line in figure.axes[1].lines)
        assert zero == bottom < small == 1e-9
        assert plots.weight_trajectories({"proximal": np.zeros(3)}).axes
