"""Times TensorFlow's training steps of one row of the train-zoo comparison when it is its turn: for each line of standard
input, which says how many steps, one JSON object on a line.

The steps are those of crates/nn/examples/train_zoo.rs: the same network, batch and optimiser (Adam, cross entropy), as a
compiled graph (tf.function), with --xla by XLA. TensorFlow's pictures have their channels last.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from keras import layers as kl
from turns import take_turns

VOCABULARY = 10_000

parser = argparse.ArgumentParser()
parser.add_argument("row")
parser.add_argument("threads", type=int)
parser.add_argument("--xla", action="store_true")
arguments = parser.parse_args()

tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
keras.utils.set_random_seed(1)


def chain(x, *parts):
    for part in parts:
        x = part(x)
    return x


def worked_example(x):
    return chain(x, kl.Conv2D(32, 3, activation="relu"), kl.MaxPooling2D(2), kl.Flatten(), kl.Dense(128, activation="relu"))


def lenet5(x):
    x = chain(x, kl.Conv2D(6, 5, padding="same", activation="relu"), kl.MaxPooling2D(2))
    x = chain(x, kl.Conv2D(16, 5, activation="relu"), kl.MaxPooling2D(2), kl.Flatten())
    return chain(x, kl.Dense(120, activation="relu"), kl.Dense(84, activation="relu"))


def mlp(x):
    return chain(x, kl.Dense(256, activation="relu"), kl.Dense(256, activation="relu"))


def conv_stack(x):
    for channels in (64, 128):
        for _ in range(2):
            x = kl.Conv2D(channels, 3, padding="same", activation="relu")(x)
        x = kl.MaxPooling2D(2)(x)
    return kl.Flatten()(x)


def resnet18(x):
    def conv(x, channels, kernel=3, stride=1):
        return kl.BatchNormalization()(kl.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x))

    def block(x, channels, stride):
        y = conv(kl.ReLU()(conv(x, channels, stride=stride)), channels)
        if stride > 1 or x.shape[-1] != channels:
            x = conv(x, channels, 1, stride)
        return kl.ReLU()(kl.Add()([x, y]))

    x = kl.ReLU()(conv(x, 64))
    for stage, channels in enumerate((64, 128, 256, 512)):
        x = block(block(x, channels, 2 if stage else 1), channels, 1)
    return kl.GlobalAveragePooling2D()(x)


def mobilenet_v2(x):
    def conv(x, layer):
        return kl.BatchNormalization()(layer(x))

    def block(x, channels, expansion, stride):
        y, wide = x, x.shape[-1] * expansion
        if expansion > 1:
            y = kl.ReLU(6)(conv(y, kl.Conv2D(wide, 1, use_bias=False)))
        y = kl.ReLU(6)(conv(y, kl.DepthwiseConv2D(3, stride, padding="same", use_bias=False)))
        y = conv(y, kl.Conv2D(channels, 1, use_bias=False))
        return kl.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y

    x = kl.ReLU(6)(conv(x, kl.Conv2D(32, 3, padding="same", use_bias=False)))
    stages = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 1), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, channels, blocks, stride in stages:
        for number in range(blocks):
            x = block(x, channels, expansion, stride if number == 0 else 1)
    x = kl.ReLU(6)(conv(x, kl.Conv2D(1280, 1, use_bias=False)))
    return kl.Dropout(0.2)(kl.GlobalAveragePooling2D()(x))


def transformer(x):
    x = kl.Dense(256)(x)
    for _ in range(4):
        y = kl.LayerNormalization(epsilon=1e-5)(x)
        x = kl.Add()([x, kl.MultiHeadAttention(4, 64)(y, y)])
        y = chain(x, kl.LayerNormalization(epsilon=1e-5), kl.Dense(1024, activation="gelu"), kl.Dense(256))
        x = kl.Add()([x, y])
    return kl.GlobalAveragePooling1D()(x)


def text_cnn(x):
    # No mask: its convolutions would not take one, and without one TensorFlow has less to do.
    x = kl.Dropout(0.2)(kl.Embedding(VOCABULARY, 128)(x))
    windows = [kl.GlobalMaxPooling1D()(kl.Conv1D(64, width, padding="same", activation="relu")(x)) for width in (3, 4, 5)]
    return kl.Dropout(0.5)(kl.Concatenate()(windows))


ROWS = {
    "worked-example-32": ((28, 28, 1), 32, worked_example),
    "worked-example-128": ((28, 28, 1), 128, worked_example),
    "lenet5-64": ((28, 28, 1), 64, lenet5),
    "mlp-256": ((64,), 256, mlp),
    "conv-stack-32": ((32, 32, 3), 32, conv_stack),
    "resnet18-32": ((32, 32, 3), 32, resnet18),
    "mobilenet-v2-32": ((32, 32, 3), 32, mobilenet_v2),
    "lstm-32": ((100, 64), 32, kl.LSTM(256)),
    "gru-32": ((100, 64), 32, kl.GRU(256)),
    "transformer-16": ((128, 64), 16, transformer),
    "text-cnn-64": ((100,), 64, text_cnn),
}

shape, batch, network = ROWS[arguments.row]
is_text = arguments.row.startswith("text")
inputs = keras.Input(shape, dtype="int32" if is_text else "float32")
model = keras.Model(inputs, kl.Dense(10)(network(inputs)))
x = tf.random.uniform((batch, *shape), 1, VOCABULARY, tf.int32) if is_text else tf.random.uniform((batch, *shape))
target = tf.range(batch) % 10
optimizer = keras.optimizers.Adam(1e-3)
optimizer.build(model.trainable_variables)
loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function(jit_compile=arguments.xla)
def step():
    with tf.GradientTape() as tape:
        loss = loss_function(target, model(x, training=True))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss


take_turns(lambda: float(step()), {"TensorFlow": tf.__version__, "Keras": keras.__version__})
