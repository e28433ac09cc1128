"""Data sets: opened, and read in batches that resume exactly."""

import numpy as np
import tensorflow as tf

from keras_csc.data import images as image_ops
from keras_csc.data.crops import CropSource
from keras_csc.data.embedded import open_digits
from keras_csc.data.embedded import open_photographs
from keras_csc.data.folders import SPLITS
from keras_csc.data.folders import open_folder
from keras_csc.data.sources import FLIP
from keras_csc.data.sources import SHIFT
from keras_csc.data.sources import ArraySource
from keras_csc.data.sources import DataError
from keras_csc.data.sources import examples
from keras_csc.data.sources import mapped
from keras_csc.data.sources import stateless_seed
from keras_csc.data.sources import traced
from keras_csc.data.tfds import open_tfds
from keras_csc.validation import check_choice
from keras_csc.validation import check_integers
from keras_csc.validation import check_number

LOADING_BATCH = 256


def open_dataset(
    name,
    split,
    image_shape,
    data_dir=None,
    validation_fraction=0.05,
    download=False,
    random_crop=False,
    resize=True,
):
    """Opens one split of a data set of images.

    Images come as uint8 of `image_shape`. Images of another size are resized to
    cover it and cropped, or padded with black if at most 4 pixels smaller, as
    `keras_csc.data.images.fit` does. Validation examples are the last
    `validation_fraction` of the training examples, and are not trained on.

    - A TFDS name (`cifar10`, `lsun/bedroom`, `mnist:3.0.1`): prepared below
      `data_dir`. `imagenet2012` is tested on its validation images and `stl10`
      is trained on its unlabelled ones.
    - `image_folder`: `data_dir/{train,test}/CLASS/*.jpg`,
      `data_dir/CLASS/*.jpg` or, unlabelled, `data_dir/*.jpg`. Without a folder
      `train`, 10% of the files, chosen by a hash of their path, are for tests.
      A folder `validation` (or `val`) beside `train` and `test` is the
      "validation" split, and all of `train` is trained on. Without `test` it
      is the "test" split.
      JPEG, PNG, GIF (first frame), BMP, WebP and TIFF files are read, of up to
      67,108,864 pixels. Links within the folder are not followed.
    - `digits` and `photographs`: inside scikit-learn and scikit-image.

    Args:
        name: name of the data set.
        split: "train", "validation" or "test".
        image_shape: (height, width, channels) that the model wants, with 1 or
            3 channels.
        data_dir: folder of the data; for TFDS the default is TFDS's own.
        validation_fraction: float in [0, 1).
        download: whether TFDS may download and prepare a set that is not
            there. Nothing else touches the network.
        random_crop: whether the "train" split crops images at random positions
            where their aspect leaves a choice. Other splits take the centre.
        resize: whether images are resized to cover `image_shape`. If not, an
            `image_folder` is cut into crops of that size, as many as fit, at
            random places with `random_crop`. `photographs` always are.

    Returns:
        A source, for `batches`, `evaluation_batches`, `load_arrays`, `cached`.
        It has `name`, `split`, `size`, `image_shape`, `num_classes` and
        `class_names` (both `None` if unlabelled) and `epoch()`.

    Raises:
        ValueError: if an argument is wrong.
        DataError: a `ValueError`, if the data are missing, damaged or not for
            such images.
    """
    check_choice(SPLITS, split=split)
    check_integers(1, length=3, image_shape=image_shape)
    check_number("[0, 1)", validation_fraction=validation_fraction)
    image_shape = tuple(image_shape)
    if image_shape[-1] not in (1, 3):
        raise DataError(
            f"image_shape must have 1 or 3 channels; received {image_shape}."
        )
    random_crop = random_crop and split == "train"
    if not resize and name not in ("image_folder", "photographs"):
        raise DataError(
            "resize=False is for image_folder, whose images are then cut into "
            f"crops, and for photographs; received it for {name}."
        )
    if name == "digits":
        return open_digits(split, image_shape, validation_fraction)
    if name == "photographs":
        return open_photographs(split, image_shape, validation_fraction)
    if name == "image_folder":
        return open_folder(
            split,
            image_shape,
            data_dir,
            validation_fraction,
            random_crop,
            resize,
        )
    return open_tfds(
        name,
        split,
        image_shape,
        data_dir,
        validation_fraction,
        download,
        random_crop,
    )


def batches(
    source,
    batch_size,
    seed=0,
    first_step=0,
    horizontal_flip=False,
    random_shift=0,
    input_context=None,
):
    """Infinite dataset of training batches, a pure function of (seed, step).

    An epoch is `source.size // batch_size` steps in an order drawn from
    (seed, epoch). The examples of its incomplete last batch are left out. With
    `first_step=k` the dataset yields, bit for bit, what the dataset from step 0
    yields from its k-th batch on.

    An input context is for `strategy.distribute_datasets_from_function`. The
    dataset then yields this pipeline's contiguous part of each global batch,
    one batch for each of its replicas. The union is the global batch, whatever
    the number of replicas.

    Args:
        source: what `open_dataset` returns.
        batch_size: global batch size, in [1, source.size].
        seed: integer.
        first_step: integer >= 0, the step to start from.
        horizontal_flip: whether to mirror images with probability 1/2.
        random_shift: integer >= 0, below the sides of the images: most pixels
            by which images are moved, down or up and right or left. Pixels that
            come in are their reflection.
        input_context: `tf.distribute.InputContext` or `None`.

    Returns:
        `tf.data.Dataset` of (float32 images in [-1, 1], int32 labels).

    Raises:
        DataError: if `batch_size` or `random_shift` is out of range, or
            `batch_size` not divisible by the number of replicas.
    """
    context = input_context or tf.distribute.InputContext()
    replicas = context.num_replicas_in_sync
    if not 1 <= batch_size <= source.size:
        raise DataError(
            f"batch_size must be in [1, {source.size}], the number of "
            f"{source.split} examples of {source.name}; received {batch_size}."
        )
    if batch_size % replicas:
        raise DataError(
            f"batch_size must be divisible by the number of replicas "
            f"({replicas}); received {batch_size}."
        )
    side = min(source.image_shape[:2])
    if not 0 <= random_shift < side:
        raise DataError(
            f"random_shift must be in [0, {side}), below the sides of the "
            f"images of {source.name}; received {random_shift}."
        )
    share = batch_size // replicas
    pieces = replicas // context.num_input_pipelines
    first_piece = context.input_pipeline_id * pieces
    keys = _training_keys(source, batch_size, seed, first_step)
    if pieces < replicas:
        part = slice(first_piece * share, (first_piece + pieces) * share)
        keys = _slice_batches(keys, batch_size, part)
    dataset = source.read_batches(keys, share, drop_remainder=True)

    def finish(count, example):
        images, labels = example
        step = first_step + count // pieces
        start = (first_piece + count % pieces) * share
        if horizontal_flip:
            draws = tf.random.stateless_uniform(
                [batch_size], stateless_seed(seed, FLIP, step)
            )
            images = _flip(images, draws[start : start + share] < 0.5)
        if random_shift:
            offsets = tf.random.stateless_uniform(
                [batch_size, 2],
                stateless_seed(seed, SHIFT, step),
                maxval=2 * random_shift + 1,
                dtype=tf.int32,
            )
            offsets = offsets[start : start + share]
            images = _shift(images, offsets, random_shift)
        return image_ops.normalize(images), labels

    return _finish(dataset.enumerate(), finish)


def evaluation_batches(source, batch_size):
    """Every example once in the natural order; the last batch may be short.

    Args:
        source: what `open_dataset` returns.
        batch_size: integer >= 1.

    Returns:
        Finite `tf.data.Dataset` of (float32 images in [-1, 1], int32 labels).
    """
    dataset = source.read_batches(source.keys(None, 0, 0), batch_size)
    return _finish(dataset, lambda x, y: (image_ops.normalize(x), y))


def load_arrays(source, limit=None):
    """Reads a source into memory, in its natural order.

    Args:
        source: what `open_dataset` returns.
        limit: number of examples to stop after, or `None` for all.

    Returns:
        Tuple of a uint8 array (n, height, width, channels) and an int32 array
        (n,) of labels, -1 for unlabelled.

    Raises:
        DataError: naming the file, if an example cannot be read.
    """
    size = source.size if limit is None else min(limit, source.size)
    images = np.empty((size, *source.image_shape), np.uint8)
    labels = np.empty((size,), np.int32)
    done = 0
    for batch_images, batch_labels in examples(source, LOADING_BATCH, size):
        part = slice(done, done + len(batch_images))
        images[part], labels[part] = batch_images, batch_labels
        done = part.stop
    return images, labels


def check_readable(source):
    """Reads and decodes every example once.

    Raises:
        DataError: naming the first file that cannot be read.
    """
    for _ in examples(source, LOADING_BATCH):
        pass


def cached(source, limit_bytes):
    """Holds a source in memory if it fits and its images do not change.

    Args:
        source: what `open_dataset` returns.
        limit_bytes: bytes that the decoded images may take.

    Returns:
        A source in memory with the same examples and natural order. It is
        `source` itself if that crops at random, is already in memory, or takes
        more than `limit_bytes`. If photographs are cut into crops, the
        photographs are held, also for random crops.

    Raises:
        DataError: naming the file, if an example cannot be read.
    """
    if isinstance(source, CropSource):
        return source.cached(limit_bytes)
    size = source.size * int(np.prod(source.image_shape))
    in_memory = isinstance(source, ArraySource)
    if in_memory or source.random_crop or size > limit_bytes:
        return source
    images, labels = load_arrays(source)
    return ArraySource(
        source.name, source.split, images, labels, source.class_names
    )


def _training_keys(source, batch_size, seed, first_step):
    first_epoch, offset = divmod(first_step, source.size // batch_size)
    used = source.size - source.size % batch_size

    def keys_of(epoch):
        skip = tf.cast(epoch == first_epoch, tf.int64) * offset * batch_size
        return source.keys(seed, epoch, skip).take(used - skip)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return epochs.flat_map(traced(keys_of))


def _slice_batches(keys, batch_size, part):
    def slice_part(*batch):
        return tuple(values[part] for values in batch)

    batches = keys.batch(batch_size, drop_remainder=True)
    return batches.map(traced(slice_part)).unbatch()


def _flip(images, mask):
    # One gather is several times faster than tf.where on small images.
    size = images.shape[0]
    both = tf.concat([images, tf.reverse(images, axis=[2])], axis=0)
    return tf.gather(both, tf.range(size) + size * tf.cast(mask, tf.int32))


def _shift(images, offsets, most):
    """Parts of the images, extended by reflection, from offsets on."""
    height, width = images.shape[1:3]
    border = (most, most)
    images = tf.pad(images, ((0, 0), border, border, (0, 0)), "REFLECT")
    rows, columns = offsets[:, :1], offsets[:, 1:]
    images = tf.gather(images, rows + tf.range(height), axis=1, batch_dims=1)
    return tf.gather(images, columns + tf.range(width), axis=2, batch_dims=1)


def _finish(dataset, function):
    dataset = mapped(dataset, function)
    # The default policy would give each worker other files and other orders.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
