"""Conventions: a strength converted to another source's definition means the same there."""

import pytest
from parity import one_step
from parity.as_written import FORMULAS
from strategies import slopes

from nnreg.conventions import CONVENTIONS, convert_penalty, find, markdown_table

ROWS = {"n": 1_000, "batch": 50}


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: f"{c.source}-{c.kind}")
def test_every_row_goes_to_nnreg_and_back(convention):
    options = {"kind": convention.kind, "plain_sgd": True, **ROWS}
    there = convert_penalty(0.3, source=convention.source, target="nnreg", **options)
    assert there == pytest.approx(0.3 * convention.coefficient(**ROWS))
    back = convert_penalty(there, source="nnreg", target=convention.source, **options)
    assert back == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("source", "kind", "strength", "expected"),
    [
        ("keras", "l2", 0.1, 0.2),
        ("torch", "l2", 0.1, 0.1),
        ("sklearn", "l2", 0.1, 0.1 / 50),
        ("nielsen", "l2", 5.0, 5.0 / 1_000),
        ("deeplearning.ai", "l2", 0.7, 0.7 / 1_000),
        ("cs231n", "l2", 0.1, 0.1),
        ("cs231n-notes", "l2", 0.1, 0.2),
        ("nnfs", "l2", 0.1, 0.2),
        ("tf.nn.l2_loss", "l2", 0.1, 0.1),
        ("keras", "l1", 0.1, 0.1),
        ("nielsen", "l1", 5.0, 5.0 / 1_000),
        ("cos495", "l1", 0.1, 0.05),
    ],
)
def test_the_strength_in_nnreg_is_the_factor_of_the_weight(source, kind, strength, expected):
    result = convert_penalty(strength, source=source, target="nnreg", kind=kind, **ROWS)
    assert result == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("source", "kind"), FORMULAS)
def test_one_step_with_converted_strength_is_the_step_with_the_formula_as_written(source, kind):
    formula = FORMULAS[source, kind]

    def step(strength):
        weight, bias = one_step.here(None)
        slope = slopes(lambda w: formula(w, strength, one_step.N), one_step.WEIGHT)
        return weight - one_step.RATE * slope, bias

    one_step.assert_same_step(find(source, kind), step, tolerance=1e-9)


def test_every_row_is_verified_with_a_library_or_its_formula():
    assert FORMULAS.keys() == {(c.source, c.kind) for c in CONVENTIONS if not c.verified_with}
    libraries = {"TensorFlow", "Keras", "PyTorch", "scikit-learn", "thinc"}
    assert {c.verified_with for c in CONVENTIONS if c.verified_with} == libraries


def test_decoupled_decay_is_a_penalty_for_plain_sgd_only():
    assert convert_penalty(0.1, source="torch-adamw", target="nnreg", plain_sgd=True) == 0.1
    assert convert_penalty(0.1, source="torch-adamw", target="thinc") == 0.1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"source": "kers"}, ValueError, "source must be one of .*did you mean 'keras'"),
        ({"target": "kers"}, ValueError, "target must be one of .*did you mean 'keras'"),
        ({"kind": "l3"}, ValueError, "kind must be one of 'l2', 'l1', got 'l3'"),
        ({"plain_sgd": "no"}, TypeError, "plain_sgd must be True or False, got 'no'"),
        ({"n": "x"}, TypeError, "n must be a whole number of at least 1, got 'x'"),
        ({"batch": 0}, ValueError, "batch must be a whole number of at least 1, got 0"),
        ({"source": "nielsen"}, ValueError, "nielsen divides by a number of rows: pass n="),
        ({"target": "sklearn"}, ValueError, "sklearn divides by a number of rows: pass batch="),
        ({"source": "torch-adamw"}, ValueError, "torch-adamw subtracts its decay from the weights"),
        ({"target": "torch-adamw"}, ValueError, "torch-adamw subtracts its decay"),
        ({"strength": -1.0}, ValueError, "strength must be .*got -1.0"),
    ],
)
def test_a_wrong_argument_is_named(options, error, message):
    with pytest.raises(error, match=message):
        convert_penalty(**({"strength": 0.1, "source": "nnreg", "target": "keras"} | options))


def test_without_a_kind_it_is_l2():
    assert (find("keras"), markdown_table()) == (find("keras", "l2"), markdown_table("l2"))
    with pytest.raises(ValueError, match=r"^source must be"):
        find("kers")
    with pytest.raises(ValueError, match=r"^kind must be"):
        markdown_table("l3")


@pytest.mark.parametrize(
    ("kind", "number", "line"),
    [
        (
            *("l2", 0),
            "| source | penalty as written | derivative with respect to w | biases "
            "| compared with | note |",
        ),
        ("l2", 1, "|---|---|---|---|---|---|"),
        ("l2", 2, "| `nnreg` | `s/2 sum w^2` | `s w` | no | its formula |  |"),
        ("l1", 8, "| `cos495` | `s/2 sum abs(w)` | `0.5 s sign(w)` | no | its formula "),
        ("l1", 5, "| `nielsen` | `s/n sum abs(w)` | `s sign(w) / n` | no | its formula |  |"),
        (
            "l2",
            None,
            "| `torch-adamw` | `w -= lr s w` | `s w`, decoupled | yes | a step of PyTorch ",
        ),
    ],
)
def test_a_line_of_the_table_has_formula_derivative_and_evidence(kind, number, line):
    lines = markdown_table(kind).splitlines()
    chosen = lines if number is None else [lines[number]]
    assert any(text.startswith(line) for text in chosen)


def test_the_table_has_a_line_a_source_and_no_broken_cell():
    for kind in ("l2", "l1"):
        lines = markdown_table(kind).splitlines()
        assert len(lines) == 2 + sum(c.kind == kind for c in CONVENTIONS)
        assert {line.count("|") for line in lines} == {7}
