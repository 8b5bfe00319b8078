"""Trains the worked example with Keras on TensorFlow and prints one JSON object.

Time is that of `model.fit` without validation; the tracing of the first step is part of it, as for every user. With
`--until SHARE` it tests after each epoch, and stops when so many of the test rows are right.
"""

import argparse
import json
import time

import mnist

parser = argparse.ArgumentParser()
parser.add_argument("data")
for name in ("--epochs", "--rows", "--seed", "--threads"):
    parser.add_argument(name, type=int, required=True)
parser.add_argument("--until", type=float)
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
accuracies, tests, ends = [], [], []


def test():
    started = time.perf_counter()
    accuracies.append(float(model.evaluate(test_pictures, test_labels, batch_size=256, verbose=0)[1]))
    tests.append(time.perf_counter() - started)


class Until(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        ends.append(time.perf_counter() - started - sum(tests))
        test()
        self.model.stop_training = accuracies[-1] >= arguments.until


started = time.perf_counter()
callbacks = [Until()] if arguments.until else []
model.fit(pictures, labels, batch_size=32, epochs=arguments.epochs, shuffle=True, verbose=0, callbacks=callbacks)
seconds = time.perf_counter() - started
if not arguments.until:
    test()
print(
    json.dumps(
        {
            "samples_per_second": len(pictures) * arguments.epochs / seconds,
            "test_accuracy": accuracies[-1],
            "accuracies": accuracies,
            "ends": ends,
            "seconds_of_earlier_tests": sum(tests[:-1]),
            "parameters": model.count_params(),
            "versions": {"Keras": keras.__version__, "TensorFlow": tensorflow.__version__},
        }
    )
)
