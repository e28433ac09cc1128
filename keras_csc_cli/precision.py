"""How fast this machine convolves in float32 and in bfloat16."""

import contextlib
import math
import os
import pathlib
import time

from keras_csc_cli import devices
from keras_csc_cli import records
from keras_csc_cli.command_line import UsageError

import tensorflow as tf

from keras_csc.models import presets
from keras_csc.models.architecture import check_architecture
from keras_csc.ops import analysis

TYPES = "float32", "bfloat16"
# So that it takes a second or two.
ROUNDS, MULTIPLY_ADDS = 10, 1e8


def convolutions(options):
    """Of a run's stages: shapes of images and kernel, and strides."""
    config = presets.config(options.preset, **options.architecture)
    names = "image_shape", "filters", "feature_dim", "kernel_size", "strides"
    given = [config[name] for name in (*names, "features")]
    *shape, channels = config["image_shape"]
    parts = 2 - (config["nonnegative"] or config["network"] == "conv")
    for filters, size, stride in zip(given[1], *check_architecture(*given)):
        images = (options.batch_size, *shape, channels)
        yield images, (size, size, channels, filters), stride
        shape, channels = [n // stride for n in shape], parts * filters


def multiply_adds(convolution):
    images, kernel, strides = convolution
    return math.prod(images[:3]) // strides**2 * math.prod(kernel)


def seconds(convolutions):
    """Seconds of the two largest convolutions, by type; kept once measured."""
    largest = sorted(convolutions, key=multiply_adds)[-2:]
    machine = f"{devices.processor()}, {len(os.sched_getaffinity(0))} cores"
    name = f"{machine}, TensorFlow {tf.__version__}: {largest}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path, kept = pathlib.Path(home, "keras_csc", "precision.json"), {}
    with contextlib.suppress(OSError, UsageError):
        kept = records.read_json(path)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return {kind: float(kept[name][kind]) for kind in TYPES}
    kept[name] = timed(largest)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write_json(path, kept)
    return kept[name]


def timed(convolutions):
    """Least seconds of forward passes with their gradients, in turns."""
    share = min(MULTIPLY_ADDS / sum(map(multiply_adds, convolutions)), 1.0)
    passes = [(kind, _passes(convolutions, share, kind)) for kind in TYPES]
    least = dict.fromkeys(TYPES, math.inf)
    for kind, run in passes * ROUNDS:
        began = time.monotonic()
        run().numpy()
        least[kind] = min(least[kind], time.monotonic() - began)
    return least


def _passes(convolutions, share, kind):
    @tf.function(autograph=False)
    def run(half):
        found = []
        for (count, *shape), size, strides in convolutions:
            images = tf.fill((math.ceil(share * count), *shape), half)
            kernel = tf.fill(size, half)
            with tf.GradientTape() as tape:
                tape.watch((images, kernel))
                codes = analysis(images, kernel, strides)
            found += tape.gradient(codes, (images, kernel), codes)
        return tf.add_n([tf.reduce_max(each) for each in found])

    return lambda: run(tf.constant(0.5, kind))
