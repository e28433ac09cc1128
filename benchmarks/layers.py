"""A coding layer of 1, 2 and 5 solver steps, beside a convolution.

    taskset -c 0 python benchmarks/layers.py

The convolution has BatchNormalization and ReLU behind it, as many filters and
the same kernel. Both compute their outputs, and the gradients at images and
weights. A row's figures are times as multiples of the convolution's, of batches
of 64 images. Writes benchmarks/results.json.
"""

import keras_csc_cli  # noqa: F401

import keras
import tensorflow as tf
from absl import app

from benchmarks import measuring
from keras_csc import layers

# Sides and channels of images; filters, side and stride of the kernel.
SIZES = ((32, 3, 64, 3, 1), (16, 64, 64, 3, 1), (16, 128, 128, 3, 1))
SIZES += ((32, 64, 128, 4, 2),)
STEPS = (1, 2, 5)


def gradients(images, *of_layers):
    """A function that computes a model's gradients."""
    model = keras.Sequential(of_layers)
    model.build(images.shape)

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images, training=True)
        return tape.gradient(outputs, [images, *model.trainable_variables])

    return lambda: compute()[0].numpy()


def row(kind, side, channels, filters, kernel, strides):
    keras.config.set_dtype_policy(kind)
    images = tf.random.stateless_normal((64, side, side, channels), (0, 1))
    at = {"strides": strides, "padding": "same"}
    functions = {
        f"steps_{steps}": gradients(
            images,
            layers.ConvSparseCoding2D(filters, kernel, iterations=steps, **at),
        )
        for steps in STEPS
    }
    functions["convolution"] = gradients(
        images,
        keras.layers.Conv2D(filters, kernel, **at),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
    )
    times = measuring.seconds(functions, repetitions=7)
    least = times.pop("convolution")
    ratios = {name: time / least for name, time in times.items()}
    size = f"{side}x{side}x{channels}, {filters} of {kernel}x{kernel}"
    return {"size": size, "type": kind, "conv_ms": 1000 * least, **ratios}


def main(_):
    kinds = "float32", "mixed_bfloat16"
    rows = [row(kind, *size) for kind in kinds for size in SIZES]
    measuring.report("layers", rows, list(rows[0]))


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    app.run(main)
