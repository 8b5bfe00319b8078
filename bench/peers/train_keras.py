"""Trains the worked example with Keras on TensorFlow and prints one JSON object.

Time is that of `model.fit` without validation; the tracing of the first step is part of it, as for every user.
"""

import argparse
import json
import time

import mnist

parser = argparse.ArgumentParser()
parser.add_argument("data")
for name in ("--epochs", "--rows", "--seed", "--threads"):
    parser.add_argument(name, type=int, required=True)
arguments = parser.parse_args()

import keras
import tensorflow

tensorflow.config.threading.set_intra_op_parallelism_threads(arguments.threads)
tensorflow.config.threading.set_inter_op_parallelism_threads(arguments.threads)
keras.utils.set_random_seed(arguments.seed)

(pictures, labels), (test_pictures, test_labels) = mnist.load(arguments.data, arguments.rows, arguments.seed)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((*pictures.shape[1:], 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
pictures, test_pictures = pictures[..., None], test_pictures[..., None]
started = time.perf_counter()
model.fit(pictures, labels, batch_size=32, epochs=arguments.epochs, shuffle=True, verbose=0)
seconds = time.perf_counter() - started
_, accuracy = model.evaluate(test_pictures, test_labels, batch_size=256, verbose=0)
print(
    json.dumps(
        {
            "samples_per_second": len(pictures) * arguments.epochs / seconds,
            "test_accuracy": float(accuracy),
            "parameters": model.count_params(),
            "versions": {"Keras": keras.__version__, "TensorFlow": tensorflow.__version__},
        }
    )
)
