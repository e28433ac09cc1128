"""Image files of a batch, each with an outcome of its own."""

import tensorflow as tf

from keras_csc.data import images as pictures
from keras_csc.data.images import MAX_PIXELS
from keras_csc.models.architecture import LEAST_SIZE
from keras_csc.models.inputs import asserted

# Pixels of a file for a model of maps, which takes some 600 bytes a pixel.
MOST_PIXELS = 2**22
FILES_AT_A_TIME = 2  # Each may take the memory of its pixels.
DAMAGED = "can't be decoded: it is damaged"


def image(file, shape):
    """The image in [-1, 1] of a file without a problem, as for training."""
    image = pictures.shaped(pictures.pixels(file), shape)
    return tf.ensure_shape(pictures.normalize(image), shape)


def outcomes(encoded, shape, function, empty):
    """What a function makes of the image of every file.

    A decoder fails within the graph, and `ignore_errors` leaves its image out.
    Rows say which images are there; place 0 holds what stands for the others.

    Args:
        encoded: string tensor `(batch,)`, of at least one file.
        shape: of the images; with `None` for height and width they keep their
            size, and are those of a model of maps.
        function: of an image in [-1, 1].
        empty: tensor, in the place of what it makes of a file that is none.

    Returns:
        Tensor `(batch, ...)`, and a dict: `valid`, bools `(batch,)`, and
        `problem`, what is wrong with a file, "" if nothing is.
    """
    count = tf.size(encoded, tf.int64)
    encoded = asserted(
        encoded,
        count > 0,
        ["image_bytes is empty, and must hold one file or more."],
    )
    of_maps = None in shape

    def made(row, file):
        problem = pictures.inspect(
            file,
            MOST_PIXELS if of_maps else MAX_PIXELS,
            LEAST_SIZE if of_maps else 1,
        )
        value = tf.cond(
            problem == "",
            lambda: function(image(file, shape)),
            lambda: empty,
        )
        return row, value, problem

    rows = tf.range(1, count + 1)
    found = tf.data.Dataset.from_tensor_slices((rows, encoded))
    found = found.map(made, num_parallel_calls=FILES_AT_A_TIME)
    first = tf.constant(0, tf.int64), empty, tf.constant(DAMAGED)
    found = tf.data.Dataset.from_tensors(first).concatenate(
        found.ignore_errors()
    )
    found = found.batch(count + 1).with_options(_plain_options())
    rows, values, problems = found.get_single_element()
    places = tf.scatter_nd(
        rows[:, None], tf.range(tf.size(rows)), count[None] + 1
    )[1:]
    problems = tf.gather(problems, places)
    return tf.gather(values, places), {
        "valid": problems == "",
        "problem": problems,
    }


def _plain_options():
    """Of a pipeline that is made anew for every batch: no tuning."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False
    return options
