import contextlib
import difflib
import os
import re

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from keras_csc.data.errors import AdvisedDataError
from keras_csc.data.errors import DataError
from keras_csc.data.sources import split_examples
from keras_csc.data.tfds_source import TFDSSource
from keras_csc.data.tfds_source import check_features

RECORD_FRAMING = 16

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
    with _quiet():
        builder = _find_builder(name, data_dir)
        prepared = builder.is_prepared()
    if download and not prepared:
        check_features(name, _features(builder, name), image_shape)
        _prepare(builder, name)
    elif not prepared:
        raise _not_prepared(builder, name)
    try:
        return _open_split(
            builder, name, split, image_shape, validation_fraction, random_crop
        )
    except DataError:
        raise
    except Exception as error:  # What TFDS raises for damage has many types.
        raise _damaged(name, builder.data_path, error) from error


@contextlib.contextmanager
def _quiet():
    """Within the context TFDS does not warn: a `DataError` will say more."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _damaged(name, folder, error):
    reason = f"{type(error).__name__}: {error}"
    return DataError(
        f"TFDS cannot open {name!r} in {folder}: "
        f"{' '.join(reason.split())[:300]}; prepare or copy it again."
    )


def _open_split(
    builder, name, split, image_shape, validation_fraction, random_crop
):
    info = _split_info(builder, name, split)
    _check_files(name, info)
    if split != "test":
        part = split_examples(
            name, split, info.num_examples, validation_fraction
        )
        info = builder.info.splits[f"{info.name}[{part.start}:{part.stop}]"]
    return TFDSSource(builder, name, split, info, image_shape, random_crop)


def _find_builder(name, data_dir):
    if data_dir is not None:
        data_dir = os.path.expanduser(data_dir)
    if not re.fullmatch(r"\w+(/[\w.-]+)?(:\d+\.\d+\.\d+)?", name):
        raise _unknown_name(name)
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        raise _unknown_name(name) from error
    except Exception as error:  # What TFDS raises for damage has many types.
        raise _damaged(name, data_dir or "its default folder", error) from error


def _unknown_name(name):
    known = tfds.list_builders(with_community_datasets=False)
    known = [*known, "digits", "photographs", "image_folder"]
    close = difflib.get_close_matches(re.split("[/:]", name)[0], known)
    hint = "expected a TFDS name, image_folder, digits or photographs."
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    return DataError(f"Unknown data set {name!r}: {hint}")


def _prepare(builder, name):
    try:
        builder.download_and_prepare()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"TFDS could not prepare {name} in {builder.data_path}: {reason}"
        ) from error


def _not_prepared(builder, name):
    stem = builder.name
    root = str(builder.data_path).rpartition(f"/{stem}/")[0]
    message = (
        f"{name} is not prepared: nothing at {builder.data_path}. Prepare it "
        f"with `tfds build {name} --data_dir={root}`."
    )
    versions = tf.io.gfile.glob(
        os.path.join(builder.data_path.parent, "*", "dataset_info.json")
    )
    if versions:
        found = [os.path.basename(os.path.dirname(v)) for v in versions]
        stem = name.partition(":")[0]
        message += f" Or ask for a version that is there: {stem}:{found[-1]}."
    return AdvisedDataError(message, "download", "Or pass download=True.")


def _features(builder, name):
    """What a set's examples are made of, by name."""
    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise DataError(f"{name} is no data set of images with names.")
    return features


def _split_info(builder, name, split):
    _features(builder, name)
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
    sizes = []
    for path in map(str, info.filepaths):
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
    if info.num_bytes and sum(sizes) != expected:
        _find_cut_file(name, info, sizes)


def _find_cut_file(name, info, sizes):
    for path, size, count in zip(
        map(str, info.filepaths), sizes, info.shard_lengths, strict=True
    ):
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
