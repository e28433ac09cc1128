"""The sparse coding layer against the convolutions that it must do.

    python benchmarks/layer.py

`T` iterations need `T` analyses and `T - 1` syntheses; their gradients need as
many of both again and the filter gradient of `2T - 1` pairs of an image and
codes. The bare convolutions are these operations, each fed with the result of
the one before it, and nothing else: no proximal map, no residual, no
extrapolation, no masks, no gradient accumulation. The stages have 64, 64 and
128 atoms on 32x32 colour images, about those of CIFAR-10; the rows of
"all stages" are sums. Writes benchmarks/results/layer.json.
"""

import keras_csc_cli  # noqa: F401

import keras
import tensorflow as tf

from benchmarks import measuring
from keras_csc import layers
from keras_csc.ops.tensorflow import fusion

BATCH = 256
# (height = width, channels, filters) of the stages; kernels of 4, stride 2.
STAGES = ((32, 3, 64), (16, 64, 64), (8, 64, 128))
STRIDES = 2
PASSES = ("forward", "forward_backward")


def bare(images, kernel, iterations, backward):
    """The layer's convolutions and nothing else, by TensorFlow's own."""
    options = {"strides": STRIDES, "padding": "SAME"}

    def synthesis(codes):
        return tf.nn.conv2d_transpose(codes, kernel, images.shape, **options)

    def analysis(images):
        return tf.nn.conv2d(images, kernel, **options)

    def filter_gradient(images, codes):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=images,
            filter_sizes=kernel.shape,
            out_backprop=codes,
            strides=[1, STRIDES, STRIDES, 1],
            padding="SAME",
        )

    image, codes = images, [analysis(images)]
    states = [image]
    for _ in range(iterations - 1):
        image = synthesis(codes[-1])
        codes.append(analysis(image))
        states.append(image)
    if not backward:
        return codes[-1]
    pairs = []
    code = codes[-1]
    for index in range(iterations - 1, -1, -1):
        image = synthesis(code)
        pairs.append((states[index], code))
        if index:
            pairs.append((image, codes[index - 1]))
            code = analysis(image)
    return image, *[filter_gradient(*pair) for pair in pairs]


def contenders(stage, iterations, dtype, backward):
    """Functions of no argument: the layer, and its bare convolutions."""
    height, channels, filters = stage
    layer = layers.ConvSparseCoding2D(
        filters,
        4,
        strides=STRIDES,
        sparsity=0.05,
        iterations=iterations,
        dtype=keras.DTypePolicy(
            "mixed_bfloat16" if dtype == "bfloat16" else dtype
        ),
    )
    layer.build((BATCH, height, height, channels))
    images = tf.random.stateless_normal(
        (BATCH, height, height, channels), (0, 1)
    )
    images = tf.cast(images, dtype)
    upstream = tf.cast(
        tf.random.stateless_normal(
            layer.compute_output_shape(images.shape), (0, 2)
        ),
        dtype,
    )
    kernel = tf.cast(layer.kernel, dtype)

    @tf.function
    def forward(images):
        with fusion():
            return layer(images)

    @tf.function
    def forward_and_backward(images, upstream):
        with fusion(), tf.GradientTape() as tape:
            tape.watch(images)
            codes = layer(images)
            variables = layer.trainable_variables
            return tape.gradient(codes, [images, *variables], upstream)

    @tf.function
    def convolutions(images, kernel):
        return bare(images, kernel, iterations, backward)

    if backward:
        return {
            "layer": lambda: forward_and_backward(images, upstream),
            "convolutions": lambda: convolutions(images, kernel),
        }
    return {
        "layer": lambda: forward(images),
        "convolutions": lambda: convolutions(images, kernel),
    }


def measure():
    for dtype in ("float32", "bfloat16"):
        for iterations in (1, 2, 5, 10):
            rows = []
            for stage in STAGES:
                height, channels, filters = stage
                row = {
                    "dtype": dtype,
                    "batch": BATCH,
                    "image": f"{height}x{height}x{channels}",
                    "filters": filters,
                    "iterations": iterations,
                }
                for name in PASSES:
                    backward = name == "forward_backward"
                    times = measuring.seconds(
                        contenders(stage, iterations, dtype, backward)
                    )
                    row[f"{name}_ms"] = 1000 * times["layer"]
                    row[f"{name}_convolutions_ms"] = (
                        1000 * times["convolutions"]
                    )
                rows.append(row)
            rows.append(total(rows))
            for row in rows:
                for name in PASSES:
                    row[f"{name}_ratio"] = (
                        row[f"{name}_ms"] / row[f"{name}_convolutions_ms"]
                    )
            yield from rows


def total(rows):
    """The sum of the stages' times."""
    row = {**rows[0], "image": "all stages", "filters": None}
    for name in row:
        if name.endswith("_ms"):
            row[name] = sum(each[name] for each in rows)
    return row


def main():
    rows = list(measure())
    measuring.report("layer", rows, list(rows[0]))


if __name__ == "__main__":
    main()
