"""What `fit`, `compile` and their like are given, looked at first."""

import collections
import itertools
import types
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_csc.models import inputs
from keras_csc.models.decoder import CALIBRATION
from keras_csc.models.first_atoms import initialize_from
from keras_csc.validation import check_integer
from keras_csc.validation import shown

FIRST_IMAGES = 1024  # for first atoms, from all over an array
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


class _Inspected(keras.utils.PyDataset):
    """A `PyDataset` whose batches are given to `check` when they come."""

    def __init__(self, x, check):
        super().__init__(x.workers, max_queue_size=x.max_queue_size)
        self.dataset, self.check = x, check
        self.on_epoch_begin = x.on_epoch_begin
        self.on_epoch_end = x.on_epoch_end

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        return self.check(self.dataset[index])


def inspected(model, x, y, given, classes=None, limit=UNIT):
    """The images or data set `x`; wrong pixels or labels are an error.

    Arrays are looked at now; data sets, generators and other iterators batch by
    batch, when a batch comes; a `PyDataset` with processes in its first batch.
    `given` are arguments of the call, as `batch_size`. `classes` is the number
    of classes, if labels are needed.
    """
    shape = model.encoder.accepted_shape
    weights = given.get("class_weight") or given.get("sample_weight")
    if given.get("batch_size") is not None:
        check_integer(1, batch_size=given["batch_size"])

    def looked_at(images, labels):
        images = inputs.in_range(images, limit)
        if classes and labels is not None:
            labels = inputs.as_labels(labels, classes)
        return (images,) if labels is None else (images, labels)

    @tf.autograph.experimental.do_not_convert
    def check(*data):
        data = data[0] if len(data) == 1 else data
        return looked_at(*batch(data, shape))

    if x is None or isinstance(x, (list, tuple)):
        raise ValueError(
            "`x` must be an array, or a data set or generator of batches; of a "
            f"list np.stack(images). Received: {type(x).__name__}"
        )
    if isinstance(x, tf.data.Dataset):
        if x.cardinality() == 0:
            raise ValueError(EMPTY)
        return x.map(check).prefetch(tf.data.AUTOTUNE)
    if isinstance(x, collections.abc.Iterator):
        return (check(data) for data in x)
    if isinstance(x, keras.utils.PyDataset):
        if not x.use_multiprocessing:
            return _Inspected(x, check)
        check(x[0])  # In a process that was forked TensorFlow hangs.
    elif hasattr(x, "__array__"):
        array = np.asarray(x)
        some = array[:8] if array.ndim == 4 else array
        _, labels = batch((some, y, weights), shape)
        looked_at(inputs.extremes(array), labels)
    return x


def start(model, x):
    """`start_from` images of an inspected `x`; returns an `x` that has all."""
    taken, images, array = [], [], hasattr(x, "__array__")
    for data in [x[:: len(x) // FIRST_IMAGES or 1]] if array else x:
        taken.append(data)
        images.append(keras.utils.unpack_x_y_sample_weight(data)[0])
        if sum(map(len, images)) >= FIRST_IMAGES:
            break
    if not taken:
        raise ValueError(EMPTY)
    images = [part for part in images if part.shape[1:] == images[0].shape[1:]]
    start_from(model, tf.concat(images, 0)[:FIRST_IMAGES])
    if isinstance(x, types.GeneratorType):
        x = (each for each in itertools.chain(taken, x))
    return x


def start_from(model, images, tell=warnings.warn):
    """Makes first atoms of images for new weights, and calibrates the decoder.

    Weights are new if no atom is frozen and no statistics have moved. Where
    images are too few, atoms stay random, and `tell` is told why.
    """
    moved = (layer.moving_mean for layer in model.encoder.normalizations)
    trained = len(model.decoder.shared_atoms) > len(model.encoder.filters)
    if trained and not any(map(keras.ops.any, moved)):
        try:
            initialize_from(model, images)
        except ValueError as error:
            tell(f"The first atoms are random: {error}")
    if not model.decoder.calibrated:
        model.decoder.calibrate(images[:CALIBRATION])


def check_compiled(optimizers, replicas, others):
    """Raises `ValueError` for arguments that do not suit a game."""
    if others:
        raise ValueError(
            f"Losses and metrics are those of `game`. Received: {shown(others)}"
        )
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
