"""scikit-learn: networks from and to its fitted ``MLPClassifier`` and ``MLPRegressor``.

Its ``alpha`` is the strength of L2 times the number of rows of a batch, for ``solver="lbfgs"`` of
the training set. nnreg's estimators of the same names contain a network: ``model.network_``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._support import validation
from nnreg._support.typing import Array
from nnreg.conventions import convert_penalty
from nnreg.interop.shared import build_network, refuse_rules, select_layers
from nnreg.layers.activations import ReLU, Sigmoid, Tanh
from nnreg.layers.base import Layer
from nnreg.layers.dense import Dense
from nnreg.network import Network
from nnreg.penalties import L2

ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
}
AUTO_BATCH = 200  # scikit-learn's, if there are as many rows


def from_sklearn(model: Any, *, rows: int | None = None) -> Network:
    """Return a network with the layers, weights, penalty and classes of a fitted MLP.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        Of scikit-learn.
    rows : int, optional
        The number of rows that it was trained on, by which ``alpha`` is divided with
        ``solver="lbfgs"``, and with other solvers if a batch has as many. By default the mean
        number of rows of an epoch, which ``lbfgs`` does not record.

    Returns
    -------
    Network
        Its outputs are raw: ``nn.softmax(net.predict(x))``, or ``nn.sigmoid`` of them, are the
        probabilities. With several labels for a row it has no ``classes``.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError, TypeError
        If the model is not fitted, or ``rows`` is missing.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> x, y = [[0.0], [1.0], [5.0]], ["no", "no", "yes"]
    >>> model = MLPClassifier((4,), solver="lbfgs", alpha=0.75, random_state=0).fit(x, y)
    >>> net = from_sklearn(model, rows=3)
    >>> net.penalty, net.predict(x, classes=True).tolist()
    (L2(strength=0.25), ['no', 'no', 'yes'])
    """
    neural_network = _neural_network()
    kinds = neural_network.MLPClassifier, neural_network.MLPRegressor
    validation.instance("model", model, kinds, "a fitted MLPClassifier or MLPRegressor")
    if not hasattr(model, "coefs_"):
        raise ValueError("model must be fitted: model.fit(X, y)")
    activation = ACTIVATIONS[model.activation]
    layers: list[Layer] = []
    for weight in model.coefs_:
        if layers and activation is not None:
            layers.append(activation())
        layers.append(Dense(weight.shape[1]))
    arrays = list(zip(model.coefs_, model.intercepts_, strict=True))
    net = build_network(layers, arrays, inputs=model.coefs_[0].shape[0])
    net.penalty = L2(_strength(model, rows)) if model.alpha else None
    if hasattr(model, "classes_") and (model.n_outputs_ == 1 or model.out_activation_ == "softmax"):
        net.classes = model.classes_
    return net


def _strength(model: Any, rows: int | None) -> float:
    """Return the strength of L2 in our definition."""
    epochs = len(getattr(model, "loss_curve_", ()))
    if rows is not None:
        rows = validation.whole("rows", rows, 1)
    elif epochs:
        rows = round(model.t_ / epochs)
    else:
        raise ValueError(
            "alpha is divided by the number of training rows, which the model does not have: "
            "pass rows=len(X)"
        )
    batch = min(rows, AUTO_BATCH if model.batch_size == "auto" else model.batch_size)
    source = "sklearn-lbfgs" if model.solver == "lbfgs" else "sklearn"
    return convert_penalty(model.alpha, source=source, target="nnreg", n=rows, batch=batch)


def to_sklearn(net: Network, *, batch_size: int | str = "auto") -> Any:
    """Return a fitted ``MLPClassifier``, if the network has classes, or else an ``MLPRegressor``.

    Parameters
    ----------
    net : Network
        Dense layers with biases, and between them one kind of activation: ReLU, Tanh, Sigmoid or
        none. Its penalty is the same L2 for all weights, or none.
    batch_size : int or "auto", default "auto"
        Of the model's further training: ``alpha`` is the strength of L2 times this number, 200 for
        "auto".

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor
        The probabilities of the classes are those of softmax or, with one output, of the sigmoid.
        Two classes have one output, the difference of the network's two. ``partial_fit`` continues
        the training, with scikit-learn's default settings.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError, TypeError
        If the network has something that has no equal there; the error names it.

    Examples
    --------
    >>> import nnreg as nn
    >>> net = nn.Network([nn.Dense(4), nn.ReLU(), nn.Dense(2)], inputs=3, penalty=nn.L2(0.01))
    >>> to_sklearn(net, batch_size=50)
    MLPRegressor(alpha=0.5, batch_size=50, hidden_layer_sizes=(4,), random_state=0)
    """
    auto = isinstance(batch_size, str) and batch_size == "auto"
    batch = AUTO_BATCH if auto else validation.whole("batch_size", batch_size, 1)
    names = {kind: name for name, kind in ACTIVATIONS.items() if kind is not None}
    layers = select_layers(net, "scikit-learn", [Dense, *names])
    refuse_rules(net, "scikit-learn", L2)
    dense: list[Any] = [layer for layer in layers if type(layer) is Dense]
    kind = next((type(layer) for layer in layers if type(layer) is not Dense), None)
    between = [Dense] if kind is None else [kind, Dense]
    if [type(layer) for layer in layers] != [Dense, *between * (len(dense) - 1)]:
        raise ValueError(
            "net must have Dense layers with one kind of activation between them for scikit-learn, "
            f"got {', '.join(layer.name for layer in layers)}"
        )
    if unbiased := [layer.name for layer in dense if not layer.use_bias]:
        raise ValueError(f"{unbiased[0]} has no bias, which scikit-learn's layers have")
    rules = [net.regularization.penalty_of(f"{layer.name}.weight") for layer in dense]
    strengths = {0.0 if rule is None else rule.strength for rule in rules}
    if len(strengths) > 1:
        raise ValueError(f"L2 must be the same for all weights, got {sorted(strengths)}")
    model = _make_model(net, hidden_layer_sizes=tuple(layer.units for layer in dense[:-1]))
    alpha = convert_penalty(strengths.pop(), source="nnreg", target="sklearn", batch=batch)
    model.set_params(
        alpha=alpha, batch_size=batch_size, activation="identity" if kind is None else names[kind]
    )
    arrays = [(layer.weight, layer.bias) for layer in dense]
    if net.classes is not None:
        arrays[-1] = _sort_outputs(*arrays[-1], net.classes)
    for theirs, ours in zip(zip(model.coefs_, model.intercepts_, strict=True), arrays, strict=True):
        theirs[0][...], theirs[1][...] = ours
    return model


def _make_model(net: Network, **settings: Any) -> Any:
    """Return a model that is fitted, by a step on zeros, but has no history."""
    neural_network, settings = _neural_network(), {**settings, "random_state": 0}
    outputs = net.widths[-1]
    if net.classes is None:
        y = np.zeros((1, outputs) if outputs > 1 else 1)
        model = neural_network.MLPRegressor(**settings)
        model.partial_fit(np.zeros((1, net.inputs), net.dtype), y)
    else:
        y = np.array(net.classes)
        model = neural_network.MLPClassifier(**settings)
        model.partial_fit(np.zeros((len(y), net.inputs), net.dtype), y, classes=np.sort(y))
    model.t_, model.n_iter_, model.loss_curve_, model.best_loss_ = 0, 0, [], np.inf
    for name in ("loss_", "_optimizer"):  # the optimizer has taken a step
        vars(model).pop(name, None)
    return model


def _sort_outputs(weight: Array, bias: Array, classes: Any) -> tuple[Array, Array]:
    """Return the last layer's weight and bias for sorted classes, with one output for two.

    >>> _sort_outputs(np.array([[5.0, 2.0]]), np.array([1.0, 0.0]), ("no", "yes"))
    (array([[-3.]]), array([-1.]))
    """
    both = np.vstack([weight, bias])
    if both.shape[1] == 1:  # a sigmoid of z is a softmax of 0 and z
        both = np.hstack([0 * both, both])
    both = both[:, np.argsort(classes)]
    if both.shape[1] == 2:
        both = both[:, 1:] - both[:, :1]
    return both[:-1], both[-1]


def _neural_network() -> Any:
    try:
        from sklearn import neural_network
    except ImportError:
        raise ImportError("scikit-learn is needed: pip install 'nnreg[sklearn]'") from None
    return neural_network
