"""Peak memory of a coding layer's gradient against its iterations.

    python benchmarks/memory.py

Every row is a process of its own that takes gradients of a layer with respect
to its images and its dictionary; its figure is the highest resident memory
during that, above what was resident before: codes, residuals and what the
library's convolutions need. The C library is told to give what is freed back at
once (`MALLOC_MMAP_THRESHOLD_`), so that it is what is in use. Images and
filters are as of the first stage of an earlier CIFAR-10 preset. Writes
benchmarks/results.json.
"""

import argparse
import json

import keras_csc_cli  # noqa: F401

import tensorflow as tf

from benchmarks import measuring
from keras_csc import layers

IMAGES = (256, 32, 32, 3)
FILTERS = 64
ITERATIONS = (2, 5, 10, 20, 50)
PASSES = 5


def peak_mib(iterations):
    """Peak memory of forward and backward passes in this process."""
    layer = layers.ConvSparseCoding2D(
        FILTERS,
        4,
        strides=2,
        sparsity=0.05,
        relative=False,
        nonnegative=False,
        kernel_constraint="tight_frame",
        iterations=iterations,
    )
    layer.build(IMAGES)
    images = tf.random.stateless_normal(IMAGES, (0, 1))

    @tf.function
    def gradients(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            codes = layer(images)
        return tape.gradient(codes, [images, layer.kernel.value], codes)

    gradients.get_concrete_function(images)
    before = measuring.resident_mib()
    for _ in range(PASSES):
        gradients(images)
    return measuring.resident_mib("VmHWM") - before


def measure():
    least = None
    for iterations in ITERATIONS:
        peak = measuring.case(__file__, iterations)
        least = least or peak
        yield {
            "iterations": iterations,
            "images": "x".join(map(str, IMAGES)),
            "filters": FILTERS,
            "dtype": "float32",
            "peak_mib": peak,
            f"ratio_to_{ITERATIONS[0]}_iterations": peak / least,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    case = parser.parse_args().case
    if case:
        print(json.dumps(peak_mib(case)))
        return
    rows = list(measure())
    measuring.report("memory", rows, list(rows[0]))


if __name__ == "__main__":
    main()
