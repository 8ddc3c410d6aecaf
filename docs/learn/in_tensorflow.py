"""The digits network in Keras: reads tasks from files and writes the parameters of each step."""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import numpy as np
import tensorflow as tf

from nnreg import convert_penalty


def train(task):
    """Yield all parameters after every step, in the order of nnreg's vector."""
    keras.backend.set_floatx("float64")
    penalty = keras.regularizers.L1L2(
        l1=convert_penalty(float(task["l1"]), source="nnreg", target="keras", kind="l1"),
        l2=convert_penalty(float(task["l2"]), source="nnreg", target="keras", kind="l2"),
    )
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, activation="relu", kernel_regularizer=penalty),
            keras.layers.Dense(10, kernel_regularizer=penalty),
        ]
    )
    model.set_weights([task["w1"], task["b1"], task["w2"], task["b2"]])
    rate, momentum = float(task["rate"]), float(task["momentum"])
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    for rows in task["batches"]:
        model.train_on_batch(task["x"][rows], task["y"][rows])
        w1, b1, w2, b2 = model.get_weights()
        yield np.concatenate([w1.ravel(), w2.ravel(), b1, b2])


if __name__ == "__main__":
    by = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    for file in sys.argv[1:]:
        with tf.device("CPU"):
            steps = np.array([*train(dict(np.load(file)))])
        np.savez(file + ".steps.npz", steps=steps, by=by)
