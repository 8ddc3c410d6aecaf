"""What losses refuse, and how they say so."""

import numpy as np
import pytest

import nnreg as nn

SOFTMAX, SIGMOID = nn.SoftmaxCrossEntropy(), nn.SigmoidCrossEntropy()
SQUARED, POISSON = nn.MeanSquaredError(), nn.Poisson()
Z, NAN = np.zeros((2, 3)), np.full((2, 3), np.nan)

OF_WRONG_VALUE = [
    (lambda: SQUARED(np.zeros(3), Z), r"outputs must have shape .* got shape \(3,\)"),
    (lambda: SQUARED(Z[:0], Z[:0]), r"outputs must not be empty, got shape \(0, 3\)"),
    (lambda: SQUARED(NAN, Z), r"outputs must be finite, got nan at index \[0, 0\]"),
    (lambda: SQUARED(Z, NAN), r"targets must be finite, got nan at index \[0, 0\]"),
    (lambda: SQUARED(Z.astype("f4"), Z + 1e300), r"targets \(as float32\) must be finite, got inf"),
    (lambda: SQUARED(Z, Z[:1]), "targets and outputs must agree in rows, got 1 and 2"),
    (lambda: SQUARED(Z, Z[:, :1]), r"the outputs' shape, \(N, 3\), got shape \(2, 1\)"),
    (lambda: SQUARED(Z[:, :1], [0, 0]), r"targets.reshape\(-1, 1\) makes a column"),
    (lambda: SQUARED(Z, [[1, 2, 3], [1, 2]]), "targets .* rows of different lengths"),
    (lambda: SOFTMAX(Z, [0, 3]), r"from 0 to 2, got 3 at index \[1\]"),
    (lambda: SOFTMAX(Z, [-1, 0]), r"from 0 to 2, got -1 at index \[0\]"),
    (lambda: SOFTMAX(Z, [0, 1, 2]), "targets and outputs must agree in rows, got 3 and 2"),
    (lambda: SOFTMAX(Z, [[0], [1]]), r"got shape \(2, 1\)"),
    (lambda: SOFTMAX(Z, Z + 1), r"add up to 1 in each row, got \[1. 1. 1.\] in row 0"),
    (lambda: SOFTMAX(Z, [[1, 0, 0], [2, -1, 0]]), "in row 1"),
    (lambda: SIGMOID(Z, Z + 1.5), r"must lie in \[0, 1\], got 1.5 at index \[0, 0\]"),
    (lambda: POISSON(Z, Z - 1), r"must lie in \[0, inf\], got -1.0 at index \[0, 0\]"),
    (lambda: SQUARED(Z, Z, [1.0]), r"weights must have shape \(2,\), one weight a row, got \(1,\)"),
    (lambda: SQUARED(Z, Z, [1, -2]), r"weights must not be negative, got -2 at index \[1\]"),
    (lambda: SQUARED(Z.astype("f4"), Z, [1, 1e300]), r"weights \(as float32\) must be finite"),
    (lambda: SQUARED(Z, Z, [0, 0]), "weights must not all be zero"),
    (lambda: SQUARED(Z, Z, [1, np.nan]), r"weights must be finite, got nan at index \[1\]"),
    (lambda: SQUARED(Z, Z, normalizer=0), r"normalizer must be a number in \(0, inf\), got 0"),
    (lambda: SQUARED(Z, Z, out=Z[:1]), r"out must have shape \(2, 3\)"),
    (lambda: SQUARED(Z, Z, out=Z.astype("f4")), "and dtype float64, got .* float32"),
    (
        lambda: nn.SoftmaxCrossEntropy(label_smoothing=1),
        r"label_smoothing must be .* in \[0, 1\), got 1",
    ),
    (lambda: nn.Huber(0), r"delta must be a number in \(0, inf\), got 0"),
]
OF_WRONG_TYPE = [
    (lambda: SQUARED(Z * 1j, Z), "outputs must hold real numbers, got dtype complex"),
    (lambda: SQUARED([["a"]], [[1]]), "outputs must hold real numbers, got dtype"),
    (lambda: SQUARED(Z, Z * 1j), "targets must hold real numbers, got dtype complex128"),
    (lambda: SOFTMAX(Z, [0.0, 1.0]), r"got dtype float64 \(targets.astype\(int\) makes them so\)"),
    (lambda: SOFTMAX(Z, [0.5, 1.0]), "integer class numbers, got dtype float64$"),
    (lambda: SOFTMAX((Z, None), [0, 1]), r"got a tuple: net.forward returns \(outputs, cache\)"),
]


@pytest.mark.parametrize(("call", "message"), OF_WRONG_VALUE)
def test_an_argument_of_wrong_value_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), OF_WRONG_TYPE)
def test_an_argument_of_wrong_type_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()
