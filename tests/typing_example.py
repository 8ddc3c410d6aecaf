"""A user's program that mypy and pyright check in strict mode; it is not run.

The uses marked ``type: ignore`` are wrong. Both checkers must find each, because they also report
a ``type: ignore`` that is not needed.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import nnreg as nn
from nnreg.estimators import MLPClassifier

Array = npt.NDArray[Any]


class PReLU(nn.Layer):
    """A layer with a parameter, declared as an attribute."""

    slope: Array

    def parameters(self, inputs: int) -> dict[str, nn.Parameter]:
        return {"slope": nn.Parameter((inputs,), nn.zeros, weight=False)}

    def forward(self, x: Array, cache: nn.Cache) -> Array:
        cache.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dy: Array, cache: nn.Cache) -> Array:
        return np.where(cache.x > 0, dy, self.slope * dy)

    def gradient(self, dy: Array, cache: nn.Cache, gradients: dict[str, Array]) -> None:
        gradients["slope"][...] = (dy * np.minimum(cache.x, 0)).sum(axis=0)


class Negative(nn.Penalty):
    """A penalty on weights below zero."""

    elementwise = True

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def value(self, w: Array) -> float:
        return -self.strength * float(w[w < 0].sum())

    def gradient(self, w: Array, out: Array) -> None:
        np.multiply(w < 0, -self.strength, out=out)


class Printer(nn.Callback):
    def on_epoch_end(self, state: nn.TrainingState) -> None:
        print(state.net.epochs, state.history.last["loss"])


def stop_at_a_low_loss(state: nn.TrainingState) -> None:
    if state.batch_loss < 0.1:
        state.stop("low loss")


(x, y), (x_test, y_test) = nn.datasets.load_digits()
layers = [nn.Dense(16, penalty=nn.L1(1e-4, method="proximal")), PReLU(), nn.Dense(10)]
net = nn.Network(layers, inputs=64, penalty=Negative(1e-4), seed=0)
loss = nn.SoftmaxCrossEntropy()
optimizer = nn.Adam(1e-3, clip_norm=1.0)

for batch in nn.batches(len(x), 32, net):
    outputs, cache = net.forward(x[batch], training=True)
    data_loss, doutputs = loss(outputs, y[batch])
    gradients = net.backward(doutputs, cache)
    net.add_penalty_gradient(gradients)
    optimizer.update(net.parameters, gradients)
    net.apply_proximal(optimizer.step_size)
    total: float = data_loss + net.penalty_value()

history = nn.fit(
    *(net, x, y),
    loss=loss,
    optimizer=optimizer,
    epochs=2,
    validation_split=0.2,
    metrics=["accuracy"],
    callbacks=[
        Printer(),
        stop_at_a_low_loss,
        nn.EarlyStopping(patience=2),
        nn.HyperparameterScheduler(optimizer, "learning_rate", nn.CosineDecay(3e-3, steps=90)),
    ],
)
assert_type(history, nn.History)
figures: dict[str, float] = nn.evaluate(net, x_test, y_test, loss=loss)
assert_type(net.predict(x_test), Array)
assert_type(net.parameters["dense_1.weight"], Array)
assert_type(nn.check_gradients(net, x[:4], y[:4], loss=loss).passed, bool)
assert_type(nn.load("digits.npz").copy(dtype="float64"), nn.Network)
nn.save(net, "digits.npz", optimizer=optimizer)
print(history.to_pandas().shape)
estimator = MLPClassifier(hidden_layer_sizes=(16,), keep_prob=0.8).fit(x, y)
assert_type(estimator, MLPClassifier)
assert_type(estimator.predict_proba(x_test), Array)

nn.Dropout(0.2)  # type: ignore[call-arg]
nn.Dropout(rate=0.2)  # type: ignore[call-arg]
nn.Network([nn.Dense(10)], 64)  # type: ignore[call-arg]
nn.Network(["dense"], inputs=64)  # type: ignore[list-item]
nn.Network([nn.Dense(10)], inputs=64, penalty=0.1)  # type: ignore[arg-type]
nn.fit(net, x, y, loss="mse", optimizer=optimizer, epochs=1)  # type: ignore[arg-type]
nn.fit(net, x, y, loss=loss, epochs=1)  # type: ignore[call-arg]
net.predict(x, training=True)  # type: ignore[call-arg]
net.forwards(x)  # type: ignore[attr-defined]
MLPClassifier(dropout=0.2)  # type: ignore[call-arg]
