"""Every ``out``, of every memory order, overlapping an argument or not: right, or refused."""

import numpy as np
import pytest
from scipy import special

import nnreg as nn
from nnreg import kernels, proximal

LAYOUTS = {
    "C": lambda a: np.array(a, order="C"),
    "Fortran": lambda a: np.array(a, order="F"),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "transposed": lambda a: np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
    "part of a larger one": lambda a: np.pad(a, 1)[tuple(slice(1, -1) for _ in a.shape)],
}
RNG = np.random.default_rng(0)


def real(shape):
    return RNG.normal(size=shape)


def unit(shape):
    return RNG.uniform(0.1, 0.9, size=shape)


def rows_of_ones(shape):
    y = unit(shape)
    return y / y.sum(axis=-1, keepdims=True)


def labels(shape):
    return RNG.integers(0, shape[1], shape[0])


# Name: the call with ``out=``, and what makes each argument that may have any layout.
KERNELS = {
    "affine": (kernels.affine, real, lambda s: real((s[1], s[1])), lambda s: real(s[1:])),
    "affine_dx": (kernels.affine_dx, real, lambda s: real((s[1], s[1]))),
    "affine_dw": (kernels.affine_dw, lambda s: real((s[0], s[0])), real),
    "rectifier": (kernels.rectifier, real),
    "leaky": (lambda x, out: kernels.rectifier(x, 0.1, out=out), real),
    "rectifier_dx": (kernels.rectifier_dx, real, unit),
    "elu": (lambda x, out: kernels.elu(x, 0.5, out=out), real),
    "elu_dx": (lambda dy, x, out: kernels.elu_dx(dy, x, out=out), real, real),
    "elu_dx, alpha": (lambda dy, x, out: kernels.elu_dx(dy, x, 0.5, out=out), real, real),
    "normal_cdf": (lambda x, out: kernels.normal_cdf(x, special.erfc, out=out), real),
    "gelu": (kernels.gelu, real, unit),
    "gelu_dx": (kernels.gelu_dx, real, real, unit),
    "tanh_dx": (kernels.tanh_dx, real, unit),
    "sigmoid": (kernels.sigmoid, real),
    "sigmoid_dx": (kernels.sigmoid_dx, real, unit, unit),
    "softplus": (lambda z, out: kernels.softplus(z, out=out), real),
    "softplus_dx": (kernels.softplus_dx, real, unit),
    "softmax": (kernels.softmax, real),
    "softmax_cross_entropy": (kernels.softmax_cross_entropy, real, labels),
    "soft_cross_entropy": (kernels.soft_cross_entropy, real, rows_of_ones),
    "sigmoid_cross_entropy": (kernels.sigmoid_cross_entropy, real, unit),
    "squared_error": (kernels.squared_error, real, real),
    "huber": (lambda z, y, out: kernels.huber(z, y, 0.5, out), real, real),
    "quantile": (lambda z, y, out: kernels.quantile(z, y, 0.3, out), real, real),
    "poisson": (kernels.poisson, real, unit),
    "soft_threshold": (lambda w, out: proximal.soft_threshold(w, 0.5, out), real),
    "soft_threshold, steps": (proximal.soft_threshold, real, unit),
    "group_threshold": (lambda w, out: proximal.group_threshold(w, 1.0, out), real),
    "group_threshold, steps": (proximal.group_threshold, real, unit),
    "clip_norms": (lambda w, out: proximal.clip_norms(w, 1.0, out=out), real),
    "clip_norms, steps": (lambda w, s, out: proximal.clip_norms(w, 1.0, s, out), real, unit),
    "group_residual": (lambda w, dw, out: proximal.group_residual(w, dw, 1.0, out), real, real),
    "clip_residual": (lambda w, dw, out: proximal.clip_residual(w, dw, 1.0, out), real, real),
}
LOSSES = {
    "SoftmaxCrossEntropy": (nn.SoftmaxCrossEntropy(), labels),
    "SoftmaxCrossEntropy, smoothed": (nn.SoftmaxCrossEntropy(label_smoothing=0.1), labels),
    "SoftmaxCrossEntropy, soft": (nn.SoftmaxCrossEntropy(), rows_of_ones),
    "SigmoidCrossEntropy": (nn.SigmoidCrossEntropy(), unit),
    "MeanSquaredError": (nn.MeanSquaredError(), real),
    "Huber": (nn.Huber(0.5), real),
    "Quantile": (nn.Quantile(0.3), real),
    "Poisson": (nn.Poisson(), unit),
}
RULES = {
    "L2": nn.L2(0.5),
    "L1": nn.L1(0.5, method="proximal"),
    "ElasticNet": nn.ElasticNet(0.5, 0.3, method="proximal"),
    "GroupLasso, units": nn.GroupLasso(1.0, groups="units", method="proximal"),
    "GroupLasso, inputs": nn.GroupLasso(1.0, groups="inputs", method="proximal"),
    "MaxNorm": nn.MaxNorm(1.0),
}
SHAPES = [(3, 4), (2, 3, 4), (2, 3, 2, 3), (5,)]


def assert_right_or_refused(call, shape, arguments, refusable=False):
    """Compare ``call(*arguments, out)`` with the same on arrays of C order, for every ``out``."""
    expected = np.full(shape, np.nan)
    call(*(np.array(a) for a in arguments), expected)
    assert np.isfinite(expected).all()
    for layout in LAYOUTS.values():
        for alias in (None, *range(len(arguments))):
            given = [layout(a) for a in arguments]
            before = [a.copy() for a in given]
            out = layout(np.full(shape, np.nan))
            if alias is not None and given[alias].shape == shape:
                out = given[alias]
            if refusable and any(out is argument for argument in given):
                with pytest.raises(ValueError, match="out must be a separate array"):
                    call(*given, out)
                np.testing.assert_array_equal(out, before[alias])
            else:
                call(*given, out)
                np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)
            for array, was in zip(given, before, strict=True):
                assert array is out or (array == was).all()


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_right_for_every_out(name):
    formula, *makers = KERNELS[name]

    def call(*a):
        result = formula(*a[:-1], out=a[-1])
        assert a[-1] is (result[1] if isinstance(result, tuple) else result)

    assert_right_or_refused(call, (4, 3), [make((4, 3)) for make in makers])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("layout", [None, *LAYOUTS])
def test_a_loss_is_right_for_every_out_or_refuses_it(name, layout):
    loss, make = LOSSES[name]
    weights = None if layout is None else LAYOUTS[layout](unit(4))
    call = lambda z, t, out: loss(z, t, weights, out=out)
    assert_right_or_refused(call, (4, 3), [real((4, 3)), make((4, 3))], refusable=True)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_penalty_and_a_constraint_are_right_for_every_out(name, shape):
    rule, w = RULES[name], real(shape)
    if name == "MaxNorm":
        assert_right_or_refused(rule.project, shape, [w])
    else:
        assert_right_or_refused(rule.gradient, shape, [w])
        for layout in LAYOUTS.values():
            assert rule.value(layout(w)) == pytest.approx(rule.value(w), rel=1e-14)
    if name != "L2":
        assert_right_or_refused(lambda w, out: rule.proximal(w, 0.4, out), shape, [w])
        assert_right_or_refused(rule.proximal, shape, [w, unit(shape)])
    assert_right_or_refused(rule.residual, shape, [w, real(shape)])


@pytest.mark.parametrize("name", RULES)
def test_an_out_that_cannot_be_written_is_refused(name):
    w = real((3, 4))
    out = w.copy()
    out.flags.writeable = False
    method = "project" if name == "MaxNorm" else "gradient"
    with pytest.raises(ValueError, match="read-only"):
        getattr(RULES[name], method)(w, out)
