"""Open the network in Keras, to train it further or to predict."""

import keras

model = keras.saving.load_model("digits.keras")
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.summary()
