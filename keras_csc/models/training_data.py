"""What `fit`, `compile` and their like are given, looked at first."""

import itertools
import types

import keras
import numpy as np
import tensorflow as tf

from keras_csc.models import inputs
from keras_csc.models.decoder import CALIBRATION

UNIT = 1.001  # largest absolute value of a pixel, with room for rounding
EMPTY = (
    "The data set is empty: it has no batch. With `drop_remainder` it needs as "
    "many images as a batch."
)
# What goes wrong with the gradients of a game; and what goes wrong on several
# replicas, as each has a part of the gradient.
NO_OPTIMIZER_HAS = ("use_ema", "loss_scale_factor", "inner_optimizer")
ON_ONE_REPLICA = (
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "gradient_accumulation_steps",
)


def batch(data, image_shape):
    """Images of the right shape and type, and labels, of a batch."""
    images, labels, weight = keras.utils.unpack_x_y_sample_weight(data)
    if weight is not None:
        raise ValueError(
            "The game compares sets of features, in which no image has a "
            "weight of its own: leave `sample_weight` and `class_weight` out, "
            "and give what is to count more more often."
        )
    return inputs.as_images(images, image_shape), labels


def inspected(model, x, y=None, classes=None, limit=UNIT):
    """The images or data set `x`; wrong pixels or labels are an error.

    Arrays are looked at now, data sets and generators batch by batch, when a
    batch comes. Only the first batch of a `PyDataset` is looked at. `classes`
    is the number of classes, if labels are needed.
    """
    shape = model.encoder.accepted_shape

    def looked_at(images, labels):
        images = inputs.in_range(images, limit)
        if classes and labels is not None:
            labels = inputs.as_labels(labels, classes)
        return (images,) if labels is None else (images, labels)

    @tf.autograph.experimental.do_not_convert
    def check(*data):
        data = data[0] if len(data) == 1 else data
        return looked_at(*batch(data, shape))

    if isinstance(x, (list, tuple)):
        raise ValueError(
            "`x` must be one array of images: a list would be several inputs "
            "of the model. Stack it: np.stack(images)"
        )
    if isinstance(x, tf.data.Dataset):
        if x.cardinality() == 0:
            raise ValueError(EMPTY)
        return x.map(check).prefetch(tf.data.AUTOTUNE)
    if isinstance(x, types.GeneratorType):
        return (check(data) for data in x)
    if isinstance(x, keras.utils.PyDataset):
        check(x[0])
    elif hasattr(x, "__array__"):
        array = np.asarray(x)
        one = array[:1] if array.ndim == 4 else array
        _, labels = batch((one, y), shape)
        looked_at(inputs.extremes(array), labels)
    return x


def first(x):
    """The first images of an inspected `x`, and an `x` that has them still."""
    if not isinstance(x, (types.GeneratorType, tf.data.Dataset)):
        data = x[0] if isinstance(x, keras.utils.PyDataset) else x[:CALIBRATION]
    else:
        data = next(iter(x), None)
        if data is None:
            raise ValueError(EMPTY)
        if isinstance(x, types.GeneratorType):
            x = (each for each in itertools.chain([data], x))
    return data[0] if isinstance(data, (list, tuple)) else data, x


def check_optimizers(optimizers, replicas):
    """Raises `ValueError` for optimizers that do not suit a game."""
    wrong = NO_OPTIMIZER_HAS + (ON_ONE_REPLICA if replicas > 1 else ())
    for name, each in zip(("optimizer", "decoder_optimizer"), optimizers):
        for argument in wrong:
            if getattr(each, argument, None):
                raise ValueError(
                    f"`{name}` must have no `{argument}`: averages of atoms "
                    "are no tight frames, losses of a game are not scaled "
                    "(dtype='mixed_bfloat16' needs no scale), and of several "
                    "replicas each has a part of the gradient. Leave it out, "
                    "or load the file with compile=False."
                )
    if optimizers[0] is optimizers[1]:
        raise ValueError(
            "`optimizer` and `decoder_optimizer` must be two objects: an "
            "optimizer keeps the state of one player's weights. Make another."
        )
