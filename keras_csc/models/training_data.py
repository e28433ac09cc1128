"""What `fit`, `compile` and their like are given, looked at first."""

import inspect
import itertools
import types

import keras
import numpy as np
import tensorflow as tf

from keras_csc.models import inputs

# Largest absolute value of a pixel, with room for rounding.
UNIT = 1.001
FIRST = 512  # images of an array
WEIGHTS = (
    "The game compares sets of features, in which no image has a weight of "
    "its own: leave `sample_weight` and `class_weight` out, and give what is "
    "to count more more often."
)
EMPTY = (
    "The data set is empty: it has no batch. With `drop_remainder` it needs as "
    "many images as a batch."
)
# Of optimizers, what goes wrong with the gradients of a game; and on several
# replicas, of which Keras clips and accumulates each one's part.
NO_OPTIMIZER_HAS = {
    "use_ema": "averages of atoms are no tight frames",
    "loss_scale_factor": "the losses of a game are not scaled",
    "inner_optimizer": "the losses of a game are not scaled. Compute in "
    "dtype='mixed_bfloat16', which needs no scale",
}
ON_ONE_REPLICA = {
    name: "on several replicas each has a part of the gradient"
    for name in (
        *("clipnorm", "clipvalue", "global_clipnorm"),
        "gradient_accumulation_steps",
    )
}


def step(data, image_shape):
    """Images of the right shape and type, and labels, of a batch.

    Args:
        data: images, or `(images, labels)`.
        image_shape: `(height, width, channels)`, as of `as_images`.
    """
    images, labels, weight = keras.utils.unpack_x_y_sample_weight(data)
    if weight is not None:
        raise ValueError(WEIGHTS)
    return inputs.as_images(images, image_shape), labels


def given(model, name, args, kwargs):
    """The arguments of a method of Keras by their names, inspected.

    Args:
        model: `ClosedLoopAutoencoder`.
        name: `"fit"`, `"evaluate"`, `"train_on_batch"` or `"test_on_batch"`.
        args, kwargs: what it is called with.
    """
    signature = inspect.signature(getattr(keras.Model, name))
    arguments = dict(signature.bind(model, *args, **kwargs).arguments)
    del arguments["self"]
    arguments.update(arguments.pop("kwargs", {}))
    weights = map(arguments.get, ("sample_weight", "class_weight"))
    if any(weight is not None for weight in weights):
        raise ValueError(WEIGHTS)
    if arguments.get("_use_cached_eval_dataset"):
        return arguments  # `fit` has looked at its validation data.
    x, y = arguments.get("x"), arguments.get("y")
    classes = model.classes if name in ("fit", "train_on_batch") else None
    arguments["x"] = inspected(model, x, y, UNIT, classes)
    if arguments.get("validation_data") is not None:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(
            arguments["validation_data"]
        )
        seen = given(model, "evaluate", (x,), {"sample_weight": weight})
        arguments["validation_data"] = (seen["x"], y)
    return arguments


def inspected(model, x, y, limit, classes=None):
    """The images or data set `x`; wrong pixels or labels are an error.

    Arrays are looked at here and now; data sets and generators batch by batch,
    when a batch comes. But of a `PyDataset` whose batches come from other
    processes, in which TensorFlow may hang, the first batch alone.

    Args:
        model: `ClosedLoopAutoencoder`.
        x, y: as of `fit`.
        limit: largest absolute value of a pixel.
        classes: int, how many there are, if labels are needed.
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
        return looked_at(*step(data, shape))

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
        if not x.use_multiprocessing:
            return _Inspected(x, check)
        check(x[0])
    elif hasattr(x, "__array__"):
        array = np.asarray(x)
        one = array[:1] if array.ndim == 4 else array
        images, labels = step((one, y), shape)
        if array.dtype != "uint8":  # the largest pixels, without a copy of all
            axes = (1, 2, 3)
            images = np.maximum(array.max(axes), -array.min(axes))
        looked_at(images, labels)
    return x


def first(x):
    """The first images of `x`, and an `x` that still has them.

    Args:
        x: array, data set, generator or `PyDataset`, as `inspected` returns it.
    """
    if not isinstance(x, (types.GeneratorType, tf.data.Dataset)):
        data = x[0] if isinstance(x, keras.utils.PyDataset) else x[:FIRST]
    else:
        data = next(iter(x), None)
        if data is None:
            raise ValueError(EMPTY)
        if isinstance(x, types.GeneratorType):
            x = (each for each in itertools.chain([data], x))
    return data[0] if isinstance(data, (list, tuple)) else data, x


class _Inspected(keras.utils.PyDataset):
    """A `PyDataset` of which every batch is looked at when it comes."""

    def __init__(self, dataset, check):
        super().__init__(
            workers=dataset.workers, max_queue_size=dataset.max_queue_size
        )
        self.dataset = dataset
        self.check = check

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def __getitem__(self, index):
        return self.check(self.dataset[index])

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


def checked_optimizers(optimizer, decoder_optimizer, replicas):
    """Two optimizers, of whatever `keras.optimizers.get` takes, or `None`.

    Args:
        optimizer: of one pass, or of the encoder.
        decoder_optimizer: of the decoder, or `None`.
        replicas: int, how many there are.

    Raises:
        ValueError: for one object twice, moving averages or a scale of the
            loss, or one that clips or accumulates on more than one replica.
    """
    made = {"optimizer": keras.optimizers.get(optimizer)}
    if decoder_optimizer is not None:
        made["decoder_optimizer"] = keras.optimizers.get(decoder_optimizer)
    refused = NO_OPTIMIZER_HAS | (ON_ONE_REPLICA if replicas > 1 else {})
    for name, each in made.items():
        for argument, reason in refused.items():
            if getattr(each, argument, None):
                raise ValueError(
                    f"`{name}` must have no `{argument}`: {reason}. Leave it "
                    "out, or load the file with compile=False."
                )
    first, second = made["optimizer"], made.get("decoder_optimizer")
    if first is second:
        raise ValueError(
            "`optimizer` and `decoder_optimizer` must be two objects: an "
            "optimizer keeps the state of one player's weights. Received: "
            f"the same {type(first).__name__} for both. Make another one."
        )
    return first, second
