"""Prepared TensorFlow Datasets, opened and streamed."""

import difflib
import os
import re

import tensorflow as tf
import tensorflow_datasets as tfds

from keras_csc.data import images
from keras_csc.data.sources import ORDER
from keras_csc.data.sources import DataError
from keras_csc.data.sources import Source
from keras_csc.data.sources import split_examples
from keras_csc.data.sources import stateless_seed
from keras_csc.data.sources import traced

RECORD_FRAMING = 16
OURS = ("digits", "photographs", "image_folder")

# Where a set's stored splits are not what their names say: ImageNet's test
# images have no labels, STL-10 is meant to be learned from its unlabelled ones.
STORED_SPLITS = {
    "imagenet2012": {"test": "validation"},
    "stl10": {"train": "unlabelled"},
}


def open_tfds(
    name,
    split,
    image_shape,
    data_dir,
    validation_fraction,
    download,
    random_crop,
):
    """Opens a prepared TFDS set; see `open_dataset`."""
    if not re.fullmatch(r"\w+(/[\w.-]+)?(:\d+\.\d+\.\d+)?", name):
        raise _unknown_name(name)
    folder = data_dir and os.path.expanduser(data_dir)
    try:
        builder = tfds.builder(name, data_dir=folder, try_gcs=False)
        folder = builder.data_path
        check_features(name, builder.info.features, image_shape)
        if not builder.info.initialized:  # `is_prepared` warns of that
            if not download:
                root = str(folder).rpartition(f"/{builder.name}/")[0]
                raise DataError(
                    f"{name} is not prepared: nothing at {folder}. Prepare it "
                    f"with `tfds build {name} --data_dir={root}`, or with "
                    "download=True.",
                )
            builder.download_and_prepare()
        info = _split_info(builder, name, split)
        _check_files(name, info)
        if split != "test":
            part = split_examples(
                name, split, info.num_examples, validation_fraction
            )
            part = f"{info.name}[{part.start}:{part.stop}]"
            info = builder.info.splits[part]
        features = builder.info.features
        return TFDSSource(features, name, split, info, image_shape, random_crop)
    except DataError:
        raise
    except tfds.core.DatasetNotFoundError as error:
        raise _unknown_name(name) from error
    except Exception as error:  # What TFDS raises has many types.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(
            f"TFDS cannot open {name!r} in {folder or 'its default folder'}: "
            f"{reason[:300]}; prepare or copy it again."
        ) from error


def _unknown_name(name):
    known = [*tfds.list_builders(with_community_datasets=False), *OURS]
    close = difflib.get_close_matches(re.split("[/:]", name)[0], known)
    hint = f"expected a TFDS name or one of {', '.join(OURS)}."
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    return DataError(f"Unknown data set {name!r}: {hint}")


def _split_info(builder, name, split):
    stored = "train" if split == "validation" else split
    if split == "test" and "test" not in builder.info.splits:
        stored = "validation"
    stored = STORED_SPLITS.get(builder.name, {}).get(stored, stored)
    if stored not in builder.info.splits:
        raise DataError(
            f"{name} has no split {stored!r} to read its {split} examples "
            f"from, only {sorted(builder.info.splits)}."
        )
    return builder.info.splits[stored]


def _check_files(name, info):
    paths, sizes = [str(path) for path in info.filepaths], []
    for path in paths:
        if not tf.io.gfile.exists(path):
            raise DataError(
                f"{name} is incomplete: {path} is missing; prepare or copy "
                "it again."
            )
        if "tfrecord" not in os.path.basename(path):
            raise DataError(
                f"{name} is stored as {path}; expected TFRecord files: "
                "prepare it with --file_format=tfrecord."
            )
        sizes.append(tf.io.gfile.stat(path).length)
    expected = info.num_bytes + RECORD_FRAMING * info.num_examples
    if not info.num_bytes or sum(sizes) == expected:
        return
    for path, size, count in zip(paths, sizes, info.shard_lengths, strict=True):
        whole = _count_records(path, size)
        if whole != count:
            raise DataError(
                f"{name} is damaged: {path} holds {whole} whole records, "
                f"dataset_info.json says {count}; prepare or copy it again."
            )


def _count_records(path, size):
    count, offset = 0, 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            length = int.from_bytes(file.read(8), "little")
            offset += length + RECORD_FRAMING
            count += offset <= size
    return count


SHUFFLE_BUFFER = 10_000
CYCLE = 16


class TFDSSource(Source):
    """A prepared TensorFlow Datasets set, streamed from its record files.

    The order of an epoch comes from the order of the files, their interleaving
    and a shuffle buffer of 10,000 encoded records. Images are decoded after
    that, in parallel. A start within an epoch reads the records before it, but
    does not decode them.
    """

    def __init__(self, features, name, split, info, image_shape, random_crop):
        stored, (rows, columns) = features["image"].shape, image_shape[:2]
        known = None not in stored[:2]
        same_aspect = known and stored[0] * columns == stored[1] * rows
        labels = class_names(features, info.name)
        super().__init__(
            name,
            split,
            info.num_examples,
            image_shape,
            labels,
            random_crop and not same_aspect,
        )
        used = ("image",) if labels is None else ("image", "label")
        self.features = tfds.features.FeaturesDict(
            {key: features[key] for key in used}
        )
        self.instructions = info.file_instructions

    def ordered_keys(self, seed, epoch, skip):
        files = tf.constant([str(f.filename) for f in self.instructions])
        skips = tf.constant([f.skip for f in self.instructions], tf.int64)
        takes = tf.constant([f.take for f in self.instructions], tf.int64)
        if seed is None:
            slices = tf.data.Dataset.from_tensor_slices((files, skips, takes))
            return slices.flat_map(traced(_records)).skip(skip)
        seeds = stateless_seed(seed, ORDER, epoch)
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(self.instructions)), seed=seeds
        )
        slices = tf.data.Dataset.from_tensor_slices(
            tuple(tf.gather(part, order) for part in (files, skips, takes))
        )
        records = slices.interleave(
            traced(_records),
            cycle_length=min(CYCLE, len(self.instructions)),
            block_length=CYCLE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return _shuffle(records, min(SHUFFLE_BUFFER, self.size), seeds).skip(
            skip
        )

    def read(self, key, crop_seed=None):
        example = self.features.deserialize_example(
            key, decoders={"image": tfds.decode.SkipDecoding()}
        )
        image = images.read(example["image"], self.image_shape, crop_seed)
        label = tf.cast(example.get("label", -1), tf.int32)
        if "label" in example:
            label = _check_label(label, self.num_classes)
        return image, label

    def locate(self, index):
        for part in self.instructions:
            if index < part.take:
                return f"record {part.skip + index} of {part.filename}"
            index -= part.take
        return f"the end of {self.instructions[-1].filename}"


def check_features(name, features, image_shape):
    """Raises `DataError` unless a set's description has such images."""
    named = isinstance(features, tfds.features.FeaturesDict)
    image = features["image"] if named and "image" in features else None
    if not (
        isinstance(image, tfds.features.Image)
        and image.tf_dtype in (tf.uint8, tf.uint16)
    ):
        raise DataError(
            f"{name} must have images of uint8 or uint16 as its feature "
            f"'image': choose another data set. Received: {image}"
        )
    channels = image.shape[-1]
    if channels is not None:
        images.check_channels(name, channels, image_shape[-1])


def class_names(features, stored):
    """Names of the classes of a stored split, `None` if it is unlabelled."""
    labels = features["label"] if "label" in features else None
    labelled = isinstance(labels, tfds.features.ClassLabel)
    labelled = labelled and not stored.startswith("unlabelled")
    return list(labels.names) if labelled else None


def _check_label(label, num_classes):
    check = tf.debugging.Assert(
        (label >= 0) & (label < num_classes),
        [tf.strings.format(f"label {{}} of {num_classes} classes", label)],
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(label)


def _records(file, skip, take):
    return tf.data.TFRecordDataset(file).skip(skip).take(take)


def _shuffle(records, buffer_size, seeds):
    # Dataset.shuffle would mix in TensorFlow's global seed.
    seeds = tf.random.stateless_uniform(
        [2], seeds, minval=1, maxval=tf.int64.max, dtype=tf.int64
    )
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(records),
        buffer_size=tf.constant(buffer_size, tf.int64),
        seed=seeds[0],
        seed2=seeds[1],
        output_types=[tf.string],
        output_shapes=[[]],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(
        shuffled, tf.TensorSpec([], tf.string)
    )
