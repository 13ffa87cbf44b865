#!/usr/bin/env python3
"""The models of ae's recipes in Keras 3, as its tutorials write them, trained with fit(): the data as
one array, shuffled by Keras, compiled by its backend (KERAS_BACKEND: jax, tensorflow or torch).

Usage: keras_autoencoder.py TRAIN_IMAGES [--recipe NAME] --epochs N [--threads N] [--limit ROWS]
                            [--batch-size N] [--learning-rate X] [--steps-per-execution N]
Prints one JSON object an epoch: {"epoch": …, "seconds": …, "train_loss": …}.
"""

import argparse
import json
import os
import time

RECIPES = ("simple", "deep", "sparse", "conv", "denoise", "vae")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("--recipe", choices=RECIPES, default="simple")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--steps-per-execution", type=int, default=1)
    return parser.parse_args()


ARGUMENTS = parse()
if ARGUMENTS.threads and os.environ.get("KERAS_BACKEND") == "jax":
    # XLA has no option for it: the process is confined to as many cores.
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:ARGUMENTS.threads]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402  (the backend reads the settings above)
import numpy  # noqa: E402
from keras import layers, ops  # noqa: E402


def dense(hidden, **code_options):
    sizes = [*hidden, *hidden[-2::-1]]
    stack = [keras.Input((784,))]
    for index, size in enumerate(sizes):
        options = code_options if index == len(hidden) - 1 else {}
        stack.append(layers.Dense(size, activation="relu", **options))
    return keras.Sequential([*stack, layers.Dense(784, activation="sigmoid")])


def convolutional(noise):
    """keras.io/examples/vision/autoencoder."""
    conv, back = layers.Conv2D, layers.Conv2DTranspose
    same = {"activation": "relu", "padding": "same"}
    return keras.Sequential([
        keras.Input((28, 28, 1)), *([layers.GaussianNoise(noise)] if noise else []),
        conv(32, 3, **same), layers.MaxPooling2D(2, padding="same"),
        conv(32, 3, **same), layers.MaxPooling2D(2, padding="same"),
        back(32, 3, strides=2, **same), back(32, 3, strides=2, **same),
        conv(1, 3, activation="sigmoid", padding="same")])


class Sampling(layers.Layer):
    """Draws a code, and adds the KL divergence, in nats an image, to the loss."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, both):
        mean, log_variance = ops.split(both, 2, axis=1)
        kl = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - 1 - log_variance, axis=1)
        self.add_loss(ops.mean(kl))
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seed)


def variational():
    return keras.Sequential([
        keras.Input((784,)), layers.Dense(400, activation="relu"), layers.Dense(40), Sampling(),
        layers.Dense(400, activation="relu"), layers.Dense(784, activation="sigmoid")])


def nats_an_image(target, output):
    return 784 * keras.losses.binary_crossentropy(target, output)


class Report(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        print(json.dumps({"epoch": epoch + 1, "seconds": time.perf_counter() - self.start,
                          "train_loss": float(logs["loss"])}), flush=True)


def main():
    keras.utils.set_random_seed(ARGUMENTS.seed)
    if ARGUMENTS.threads and keras.backend.backend() == "tensorflow":
        import tensorflow
        tensorflow.config.threading.set_intra_op_parallelism_threads(ARGUMENTS.threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(ARGUMENTS.threads)
    raw = numpy.fromfile(ARGUMENTS.images, dtype=numpy.uint8)[16:].reshape(-1, 784)[:ARGUMENTS.limit]
    x = raw.astype(numpy.float32) / 255
    model = {"simple": lambda: dense([32]), "deep": lambda: dense([128, 64, 32]),
             "sparse": lambda: dense([32], activity_regularizer=keras.regularizers.L1(1e-4)),
             "conv": lambda: convolutional(0), "denoise": lambda: convolutional(0.4),
             "vae": variational}[ARGUMENTS.recipe]()
    if ARGUMENTS.recipe in ("conv", "denoise"):
        x = x.reshape(-1, 28, 28, 1)
    model.compile(optimizer=keras.optimizers.Adam(ARGUMENTS.learning_rate),
                  loss=nats_an_image if ARGUMENTS.recipe == "vae" else "binary_crossentropy",
                  jit_compile=True, steps_per_execution=ARGUMENTS.steps_per_execution)
    model.fit(x, x, batch_size=ARGUMENTS.batch_size, epochs=ARGUMENTS.epochs, shuffle=True, verbose=0,
              callbacks=[Report()])


if __name__ == "__main__":
    main()
