"""How fast training batches come, beside batches of TFDS alone.

    python benchmarks/pipeline.py --data_dir=DATA

DATA holds cifar10 and imagenet2012 as TFDS prepares them. A row is the input of
a flag file. Ours can begin at any step, and gives every replica and worker its
part of the global batch; *TFDS* is what its guide does: `as_dataset`, `cache`
where the images fit into memory, `shuffle`, `batch`, and the same changes of
images. Writes benchmarks/results.json.
"""

import functools
import statistics
import time

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import flags

from benchmarks import measuring
from keras_csc import data

ROWS = {
    "CIFAR-10, held in memory": "cifar10.flags",
    "ImageNet, JPEG files decoded": "imagenet.flags",
}
BUFFER = 10_000  # of TFDS's shuffling
EPOCH = 60_000  # images after which those in memory are there
BATCHES, CALLS = 10, 9


def in_memory(options):
    """Whether images do not change before they are shifted and flipped."""
    return "crop" not in options.augment


def ours(options):
    """Our batches of a run's options."""
    source = building.Splits(options)["train"]
    return data.batches(
        data.cached(source, building.CACHE_BYTES),
        options.batch_size,
        **building.augmentation(options),
    )


def theirs(options, shape):
    """Batches of TFDS and tf.data, of the same changes of images."""
    dataset = tfds.load(
        options.dataset,
        split="train",
        data_dir=options.data_dir,
        as_supervised=True,
        shuffle_files=True,
        download=False,
    )
    change = functools.partial(changed, options=options, shape=shape)
    if in_memory(options):
        dataset = dataset.cache()
    return (
        dataset.repeat()
        .shuffle(BUFFER)
        .map(change, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(options.batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def changed(image, label, options, shape):
    """An image as training takes it: cropped, shifted, flipped, in [-1, 1]."""
    height, width, _ = shape
    image = tf.cast(image, tf.float32)
    if not in_memory(options):
        sides = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = height / tf.reduce_min(sides)
        size = tf.cast(tf.round(sides * scale), tf.int32)
        image = tf.image.resize(image, size, antialias=True)
    changes = building.augmentation(options)
    shift = changes["random_shift"]
    if shift:
        image = tf.pad(
            image, [[shift, shift], [shift, shift], [0, 0]], "REFLECT"
        )
    image = tf.image.random_crop(image, shape)
    if changes["horizontal_flip"]:
        image = tf.image.random_flip_left_right(image)
    return image / 127.5 - 1, label


def images_per_second(dataset, batch_size, skipped):
    """The rate of the median of some batches, after those that fill buffers.

    One data set after the other, each alone: in turns, one would fill its
    buffers while the other is timed.
    """
    iterator = iter(dataset)
    for _ in range(skipped):
        next(iterator)
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        for _ in range(BATCHES):
            next(iterator)
        times.append(time.perf_counter() - began)
    return BATCHES * batch_size / statistics.median(times)


def measure(data_dir):
    for name, file in ROWS.items():
        options = train_options.parse(
            [f"--flagfile={file}", f"--data_dir={data_dir}", "--workdir=unused"]
        )
        batches = ours(options)
        shape = batches.element_spec[0].shape[1:]
        images = EPOCH if in_memory(options) else BUFFER
        skipped = images // options.batch_size
        own, tfds_rate = (
            images_per_second(dataset, options.batch_size, skipped)
            for dataset in (batches, theirs(options, shape))
        )
        yield {
            "input": name,
            "flags": file,
            "ours_images_per_second": own,
            "tfds_images_per_second": tfds_rate,
            "ratio": own / tfds_rate,
        }


def main():
    measuring.report(
        "pipeline",
        list(measure(flags.FLAGS.data_dir)),
        [
            "input",
            "ours_images_per_second",
            "tfds_images_per_second",
            "ratio",
        ],
        tensorflow_datasets=tfds.__version__,
    )


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.mark_flag_as_required("data_dir")
    command_line.run(main, user_errors=(data.DataError, OSError))
