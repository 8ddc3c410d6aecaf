"""Update rules: ``next_w, config = rule(w, dw, config)``.

Each makes an optimizer of nnreg, gives it the state that ``config`` holds, lets it make one step,
and puts the state back. nnreg keeps that state in another scale; the conversions stand here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg import checks
from nnreg.initializers import zeros
from nnreg.kernels import Array
from nnreg.optimizers import SGD, Adam, Optimizer, RMSprop
from nnreg.parameters import Parameter, Parameters


def sgd(w: Array, dw: Array, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """Make a step of gradient descent.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-2 unless given.

    Returns
    -------
    next_w : ndarray
    config : dict

    Examples
    --------
    >>> sgd(np.array([1.0]), np.array([2.0]), {"learning_rate": 0.25})
    (array([0.5]), {'learning_rate': 0.25})
    """
    config = _filled(config, learning_rate=1e-2)
    return _stepped(SGD(_rate(config)), w, dw), config


def sgd_momentum(
    w: Array, dw: Array, config: dict[str, Any] | None = None
) -> tuple[Array, dict[str, Any]]:
    """Make a step with momentum: ``v = momentum*v - learning_rate*dw``, ``w = w + v``.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-2 unless given; ``momentum``, 0.9; ``velocity``, zero.

    Returns
    -------
    next_w : ndarray
    config : dict
        With the new velocity.

    Notes
    -----
    nnreg's velocity is ``u = momentum*u + dw``, so that ``v = -learning_rate*u``. The two part
    where the learning rate changes between steps: then the course's velocity keeps the old one.

    Examples
    --------
    >>> w, config = sgd_momentum(np.zeros(1), np.ones(1), {"learning_rate": 0.5, "momentum": 0.5})
    >>> w, config = sgd_momentum(w, np.ones(1), config)
    >>> w, config["velocity"]
    (array([-1.25]), array([-0.75]))
    """
    config = _filled(config, learning_rate=1e-2, momentum=0.9, velocity=np.zeros_like(w))
    rate = _rate(config)
    rule = SGD(rate, momentum=config["momentum"])
    if not rule.momentum:
        return _stepped(rule, w, dw), {**config, "velocity": -rate * dw}
    rule.state["velocity"] = np.ravel(config["velocity"]) / -rate
    next_w = _stepped(rule, w, dw)
    return next_w, {**config, "velocity": -rate * rule.state["velocity"].reshape(w.shape)}


def rmsprop(
    w: Array, dw: Array, config: dict[str, Any] | None = None
) -> tuple[Array, dict[str, Any]]:
    """Make a step of RMSprop.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-2 unless given; ``decay_rate``, 0.99; ``epsilon``, 1e-8; ``cache``,
        the running mean of squares, zero.

    Returns
    -------
    next_w : ndarray
    config : dict
        With the new cache.

    Examples
    --------
    >>> rmsprop(np.zeros(1), np.full(1, 3.0), {"decay_rate": 0.75})[0].round(6)  # cache 9/4
    array([-0.02])
    """
    config = _filled(
        config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, cache=np.zeros_like(w)
    )
    rho = config["decay_rate"]
    rule = RMSprop(_rate(config), rho=rho, epsilon=config["epsilon"])
    rule.state["square"] = np.ravel(config["cache"]) / (1 - rho)
    next_w = _stepped(rule, w, dw)
    return next_w, {**config, "cache": (1 - rho) * rule.state["square"].reshape(w.shape)}


def adam(w: Array, dw: Array, config: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
    """Make a step of Adam, with the bias corrected.

    Parameters
    ----------
    w, dw : ndarray of one shape
    config : dict, optional
        ``learning_rate``, 1e-3 unless given; ``beta1``, 0.9; ``beta2``, 0.999; ``epsilon``, 1e-8;
        ``m`` and ``v``, zero; ``t``, the steps made so far, 0.

    Returns
    -------
    next_w : ndarray
    config : dict
        With the new ``m``, ``v`` and ``t``.

    Examples
    --------
    >>> w, config = adam(np.zeros(2), np.array([5.0, -0.01]), {"learning_rate": 0.1})
    >>> w.round(6), config["t"]  # the first step is the rate, against the sign
    (array([-0.1,  0.1]), 1)
    """
    config = _filled(
        config,
        **{"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        **{"m": np.zeros_like(w), "v": np.zeros_like(w), "t": 0},
    )
    one, two = config["beta1"], config["beta2"]
    rule = Adam(_rate(config), beta_1=one, beta_2=two, epsilon=config["epsilon"])
    rule.state["mean"] = np.ravel(config["m"]) / (1 - one)
    rule.state["square"] = np.ravel(config["v"]) / (1 - two)
    rule.steps = checks.whole('config["t"]', config["t"])
    next_w = _stepped(rule, w, dw)
    m = (1 - one) * rule.state["mean"].reshape(w.shape)
    v = (1 - two) * rule.state["square"].reshape(w.shape)
    return next_w, {**config, "m": m, "v": v, "t": rule.steps}


#: The rules by name, as a solver is asked for them.
RULES = {"sgd": sgd, "sgd_momentum": sgd_momentum, "rmsprop": rmsprop, "adam": adam}


def _filled(config: dict[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """Return a new configuration, with what is not given."""
    given = {} if config is None else dict(config)
    unknown = {name: value for name, value in given.items() if name not in defaults}
    checks.unknown_arguments("config", unknown, defaults)
    return {**defaults, **given}


def _rate(config: dict[str, Any]) -> float:
    return checks.number('config["learning_rate"]', config["learning_rate"], 0, open_low=True)


def _stepped(rule: Optimizer, w: Array, dw: Array) -> Array:
    """Return what the rule makes of ``w``, which stays as it is."""
    if np.shape(dw) != np.shape(w):
        raise ValueError(f"dw must have the shape of w, {np.shape(w)}, got {np.shape(dw)}")
    parameters = Parameters({"w": Parameter((w.size,), zeros)}, w.dtype)
    gradients = parameters.like()
    parameters.vector[...] = np.ravel(w)
    gradients.vector[...] = np.ravel(dw)
    for name, state in rule.state.items():
        rule.state[name] = state.astype(w.dtype)
    rule.update(parameters, gradients)
    return parameters.vector.reshape(w.shape).copy()
