"""Keras on TensorFlow."""

import keras

from benchmarks.jobs.shared import load, train

job, seed, (x, y), (x_test, y_test) = load()
keras.utils.set_random_seed(seed)
penalty = keras.regularizers.L2(job.l2 / 2)
net = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(job.hidden, activation="relu", kernel_regularizer=penalty),
        keras.layers.Dropout(1 - job.keep),
        keras.layers.Dense(10, kernel_regularizer=penalty),
    ]
)
net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
train(
    job,
    lambda: net.fit(x, y, job.batch, epochs=1, verbose=0),
    lambda: net.predict(x_test, batch_size=1024, verbose=0).argmax(axis=1),
    y_test,
)
