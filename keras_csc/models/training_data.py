"""Checks the data of `fit` and its like, and the arguments of `compile`."""

import collections
import itertools
import types
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_csc.losses import Game
from keras_csc.losses import TranscriptionGame
from keras_csc.models import inputs
from keras_csc.models.decoder import CALIBRATION
from keras_csc.models.first_atoms import initialize_from
from keras_csc.optimizers import DictionaryMuon
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
            "and repeat images that are to count more."
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


def inspected(model, x, y, given, limit=UNIT, labelled=False):
    """The images or data set `x`; wrong pixels or labels are an error.

    Arrays are looked at now; data sets, generators and other iterators batch by
    batch, when a batch comes; a `PyDataset` with processes in its first batch.
    `given` are arguments of the call, as `batch_size`; `labelled` says that
    labels are a part of `y` or of the data set, if the game needs them.
    """
    shape = model.encoder.accepted_shape
    labelled = labelled and model.compiled and model.game.needs_labels
    weights = given.get("class_weight") or given.get("sample_weight")
    if given.get("batch_size") is not None:
        check_integer(1, batch_size=given["batch_size"])

    def looked_at(images, labels):
        images = inputs.in_range(images, limit)
        if labelled and labels is not None:
            labels = inputs.as_labels(labels, model.game.num_classes)
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
        x = (data for data in itertools.chain(taken, x))
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


def inspect_for_fit(model, given):
    """`inspected` arguments, and validation data; new weights start from `x`.

    `given` is a dict of the call's arguments, whose data it replaces.
    """
    x = given.get("x")
    x = inspected(model, x, given.get("y"), given, labelled=True)
    if (validation := given.get("validation_data")) is not None:
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(
            validation
        )
        images = inspected(model, images, labels, {"sample_weight": weights})
        given["validation_data"] = images, labels
    if model.step == 0 and not model.decoder.calibrated:
        x = start(model, x)
    given["x"] = x


def checked_game(game, alternating):
    """The game of `compile`."""
    if game is None:
        game = TranscriptionGame()
    if not isinstance(game, Game):
        raise ValueError(
            "`game` must be a `TranscriptionGame` or another `Game`. "
            f"Received: {shown(game)}"
        )
    if game.inner_step and not alternating:
        raise ValueError(
            "A game with an `inner_step` needs a `decoder_optimizer`: the "
            "step is one of alternating steps."
        )
    return game


def checked_optimizers(optimizer, decoder_optimizer, replicas):
    """The two optimizers of `compile`; the second may be `None`."""
    wrong = NO_OPTIMIZER_HAS + (ON_ONE_REPLICA if replicas > 1 else ())
    optimizers = {
        "optimizer": keras.optimizers.get(optimizer or DictionaryMuon()),
        "decoder_optimizer": keras.optimizers.get(decoder_optimizer),
    }
    for name, optimizer in optimizers.items():
        for argument in wrong:
            if getattr(optimizer, argument, None):
                raise ValueError(
                    f"`{name}` must have no `{argument}`: averages of atoms "
                    "are no tight frames, losses of a game are not scaled "
                    "(dtype='mixed_bfloat16' needs no scale), and of several "
                    "replicas each has a part of the gradient. Leave it out, "
                    "or load the file with compile=False."
                )
    return tuple(optimizers.values())
