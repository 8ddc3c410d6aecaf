"""Keras' part of the exchange of files, run as a script: a process that does not import nnreg.

`test_keras.py`, which does not import Keras, runs it in a folder of files that nnreg wrote. It
opens each, and writes models that nnreg then reads. Every hyper-parameter is exact in float32, as
in `shared.py`, except the slope of `leaky_relu`, which is Keras' default.
"""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid", "softplus")
ROUNDED = ("gelu", "leaky_relu")  # float64 with a constant that is rounded to float32
DTYPES = ("float32", "float64")


def chain(*make: Callable[[Any], Any], shape: tuple[int, ...] = (4,)) -> Callable[[Any], Any]:
    """Return a function of Keras that builds a sequential model of these layers."""
    return lambda k: k.Sequential([k.Input(shape), *(layer(k) for layer in make)])


def dense(units: int = 5, **options: Any) -> Callable[[Any], Any]:
    """Return a function of Keras that builds a dense layer; an option may be one too."""
    return lambda k: k.layers.Dense(
        units, **{n: v(k) if callable(v) else v for n, v in options.items()}
    )


def layer(kind: str, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
    return lambda k: getattr(k.layers, kind)(*arguments, **options)


def functional(k: Any) -> Any:
    x = first = k.Input((4,), name="z_first")
    for index in range(12):
        x = k.layers.Dense(5, "tanh", name=f"{'zyx'[index % 3]}_{index}")(x)
    return k.Model(first, k.layers.Dense(3, name="a_last")(k.layers.Dropout(0.5)(x)))


MODELS: dict[str, Callable[[Any], Any]] = {
    **{name: chain(dense(activation=name), dense(3)) for name in ACTIVATIONS},
    "layers Activation": chain(
        dense(), *(layer("Activation", n) for n in ACTIVATIONS if n not in ROUNDED), dense(3)
    ),
    "layer ReLU": chain(dense(), layer("ReLU"), dense(3)),
    "layer ReLU with a slope": chain(dense(), layer("ReLU", negative_slope=0.125), dense(3)),
    "layer LeakyReLU": chain(dense(), layer("LeakyReLU", negative_slope=0.25), dense(3)),
    "layer ELU": chain(dense(), layer("ELU", alpha=0.75), dense(3)),
    "a layer as activation": chain(dense(activation=layer("ELU", alpha=0.75)), dense(3)),
    "softmax": chain(dense(), dense(3, activation="softmax")),
    "layer Softmax": chain(dense(3), layer("Softmax")),
    "dropout": chain(layer("Dropout", 0.25), dense(), layer("GaussianDropout", 0.5), dense(3)),
    "no bias": chain(dense(use_bias=False), dense(3)),
    "pictures": chain(layer("Flatten"), dense(activation="relu"), dense(3), shape=(2, 2)),
    "flatten": chain(dense(), layer("Flatten"), dense(3)),
    "no dense layer": chain(layer("ReLU")),
    "twelve layers": chain(*[dense(activation="tanh")] * 12, dense(3)),
    "functional": functional,
    "L1": chain(dense(kernel_regularizer=lambda k: k.regularizers.L1(0.25)), dense(3)),
    "L2": chain(dense(kernel_regularizer=lambda k: k.regularizers.L2(0.25)), dense(3)),
    "l2": chain(dense(kernel_regularizer="l2"), dense(3)),
    "L1L2": chain(dense(kernel_regularizer=lambda k: k.regularizers.L1L2(0.25, 0.5)), dense(3)),
    "MaxNorm": chain(dense(kernel_constraint=lambda k: k.constraints.MaxNorm(2.5)), dense(3)),
}


def run(model: Any, x: np.ndarray) -> dict[str, Any]:
    """Return the predictions, and the sum of the regularizers."""
    outputs = np.asarray(model(x.reshape(-1, *model.input_shape[1:]), training=False))
    return {"outputs": outputs, "penalty": float(sum(model.losses) if model.losses else 0.0)}


def main(folder: Path) -> None:
    """Open every file of nnreg in the folder, and write the models; results as `NAME.npz`."""
    import keras

    os.chdir(folder)
    x, rng = np.load("x.npy"), np.random.default_rng(5)
    for path in sorted(folder.glob("ours *.keras")):
        np.savez(path.with_suffix(".npz"), **run(keras.saving.load_model(path), x))
    for dtype in DTYPES:
        keras.config.set_dtype_policy(dtype)
        keras.config.set_floatx(dtype)
        for name, build in MODELS.items():
            model = build(keras)
            model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
            model.save(f"{name} {dtype}.keras")
            np.savez(f"{name} {dtype}.npz", **run(model, x))
    runpy.run_path(sys.argv[2])
    assert not [name for name in sys.modules if name.partition(".")[0] == "nnreg"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
