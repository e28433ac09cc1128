"""Sources of examples in an order that a seed decides, and their errors."""

import hashlib

import tensorflow as tf

from keras_csc.terminal import Progress
from keras_csc.validation import plain

# What TensorFlow raises for a file. The last is from a failing disk.
READ_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)


class DataError(ValueError):
    """A mistake in a data set's name, folder, files or shape.

    The message is one line: what was wrong, what was expected, what to do.
    """


ORDER, CROP, FLIP, SHIFT = range(4)
# For the functions of datasets, which branch on no tensor. AutoGraph would
# take seconds to find that out.
traced = tf.autograph.experimental.do_not_convert


def mapped(dataset, function):
    """Dataset of what a function makes of the elements, in their order."""
    return dataset.map(
        traced(function),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def stateless_seed(seed, purpose, number):
    """A seed for TensorFlow's stateless operations, an int64 tensor (2,).

    A user's seed has an independent stream for every purpose: `ORDER`, `CROP`,
    `FLIP` and `SHIFT`.
    """
    key = tf.stack([tf.cast(seed, tf.int64), purpose])
    return tf.random.experimental.stateless_fold_in(
        key, tf.cast(number, tf.int64)
    )


def split_examples(name, split, size, validation_fraction):
    """Slice of the training examples; the last fraction is for validation.

    Raises:
        DataError: if no example is left for `split`.
    """
    boundary = size - round(size * validation_fraction)
    part = slice(0, boundary) if split == "train" else slice(boundary, size)
    if part.start == part.stop:
        raise DataError(
            f"No examples are left for split {split!r} of {name}: "
            f"validation_fraction={validation_fraction} of {size} training "
            "examples. Choose another fraction in (0, 1), or another split."
        )
    return part


class Source:
    """A finite set of examples whose order depends on (seed, epoch) only.

    A subclass says how to `read` the example of a key, and what its keys are if
    they are no indices. Keys are cheap: they are shuffled, skipped and divided
    over the replicas. Only the examples that are needed are read.

    Args:
        name: name of the data set.
        split: "train", "validation" or "test".
        size: number of examples.
        image_shape: (height, width, channels) of the images.
        class_names: list of the names of the classes, `None` if unlabelled.
        random_crop: whether the crop of an image changes from epoch to epoch.
    """

    files = ()  # names of the examples' files, if they have any
    file_bytes = None  # of all files

    def __init__(
        self, name, split, size, image_shape, class_names, random_crop=False
    ):
        self.name = name
        self.split = split
        self.size = size
        self.image_shape = tuple(image_shape)
        self.class_names = class_names
        self.num_classes = None if class_names is None else len(class_names)
        self.random_crop = random_crop

    def identity(self):
        """What tells the examples from others, as a dict for JSON.

        `digest` is of the names of the classes. For image folders it is also of
        the files' names below the folder, in natural order. `bytes`, only for
        image folders, is the size of all files.
        """
        names = "\0".join([*(self.class_names or ()), "", *self.files])
        identity = {
            "images": self.size,
            "classes": self.num_classes,
            "digest": hashlib.sha256(names.encode()).hexdigest()[:16],
        }
        if self.file_bytes is not None:
            identity["bytes"] = self.file_bytes
        return identity

    def keys(self, seed, epoch, skip):
        """Dataset of the keys of an epoch, as tuples; see `epoch`."""
        keys = self.ordered_keys(seed, epoch, skip)
        if seed is None or not self.random_crop:
            return tf.data.Dataset.zip((keys,))
        first = tf.cast(epoch, tf.int64) * self.size + tf.cast(skip, tf.int64)

        def with_crop_seed(position, key):
            return key, stateless_seed(seed, CROP, position)

        return keys.enumerate(first).map(traced(with_crop_seed))

    def ordered_keys(self, seed, epoch, skip):
        """The keys without crop seeds; here the indices of the examples."""
        if seed is None:
            return tf.data.Dataset.range(skip, self.size)
        order = tf.random.experimental.stateless_shuffle(
            tf.range(self.size, dtype=tf.int64),
            seed=stateless_seed(seed, ORDER, epoch),
        )
        return tf.data.Dataset.from_tensor_slices(order[skip:])

    def read(self, key, crop_seed=None):
        """Reads one example: (uint8 image, int32 label)."""
        raise NotImplementedError

    def read_batches(self, keys, batch_size, drop_remainder=False):
        """Reads the examples of a dataset of keys, in batches."""
        examples = mapped(keys, self.read)
        return examples.batch(batch_size, drop_remainder=drop_remainder)

    def epoch(self, seed, epoch=0, skip=0):
        """Dataset of (uint8 image, int32 label) of one epoch.

        Args:
            seed: integer or scalar tensor; `None` for the natural order.
            epoch: integer or scalar int64 tensor.
            skip: integer or scalar int64 tensor, number of examples to skip.

        Returns:
            Finite `tf.data.Dataset`; unlabelled examples have the label -1.
        """
        return mapped(self.keys(seed, epoch, skip), self.read)

    def locate(self, index):
        """Says where the example at `index` of the natural order is."""
        return f"example {index}"


def examples(source, batch_size, limit=None):
    """Yields batches of arrays, images and labels, in their natural order.

    Shows a line of progress. A `DataError` names the place of an example that
    can't be read.
    """
    size = source.size if limit is None else min(limit, source.size)
    progress, done = Progress(f"{source.name} {source.split}", size), 0
    keys = source.keys(None, 0, 0).take(size)
    dataset = source.read_batches(keys, batch_size).prefetch(tf.data.AUTOTUNE)
    try:
        for images, labels in dataset.as_numpy_iterator():
            yield images, labels
            done += len(images)
            progress.update(done)
    except READ_ERRORS as error:
        raise _damage(source, done, error) from error


def _damage(source, done, error):
    """The `DataError` of a damaged example after the first `done`."""
    where = source.locate(done)
    try:
        for index, key in enumerate(source.keys(None, 0, done), start=done):
            where = source.locate(index)
            source.read(*key)
    except READ_ERRORS:
        return DataError(
            f"The {source.split} split of {source.name} is damaged at {where}: "
            f"{plain(error)}; replace it."
        )
    return DataError(f"Reading {source.name} failed once after {where}.")


class ArraySource(Source):
    """Examples in memory, gathered a batch at a time.

    Args:
        images: uint8 array (size, height, width, channels).
        labels: int32 array (size,), -1 for unlabelled.
        name, split, class_names: as in `Source`.
    """

    def __init__(self, name, split, images, labels, class_names):
        super().__init__(
            name, split, len(images), images.shape[1:], class_names
        )
        with tf.device("CPU:0"):
            self.images = tf.convert_to_tensor(images)
            self.labels = tf.convert_to_tensor(labels)

    def read(self, key, crop_seed=None):
        return tf.gather(self.images, key), tf.gather(self.labels, key)

    def read_batches(self, keys, batch_size, drop_remainder=False):
        batches = keys.batch(batch_size, drop_remainder=drop_remainder)
        return mapped(batches, self.read)
