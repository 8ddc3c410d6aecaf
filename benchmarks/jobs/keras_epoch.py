"""Keras on TensorFlow."""

import keras

from benchmarks.jobs.shared import BATCH, HIDDEN, KEEP, L2, Report, load

(x, y), (x_test, y_test) = load()
penalty = keras.regularizers.L2(L2 / 2)
net = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(HIDDEN, activation="relu", kernel_regularizer=penalty),
        keras.layers.Dropout(1 - KEEP),
        keras.layers.Dense(10, kernel_regularizer=penalty),
    ]
)
net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
net.fit(x, y, BATCH, epochs=1, verbose=0)
report = Report()
report.print_accuracy(net.predict(x_test, batch_size=1024, verbose=0).argmax(axis=1), y_test)
