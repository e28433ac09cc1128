import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import tensorflow as tf

from keras_csc.data import images
from keras_csc.data.errors import DataError
from keras_csc.data.progress import Progress
from keras_csc.data.sources import IndexedSource
from keras_csc.data.sources import split_examples

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
TEST_FOLDERS = ("test", "validation", "val")
TEST_FRACTION = 0.1
SIGNATURES = (
    (b"\xff\xd8\xff", b"\xff\xd9"),
    (b"\x89PNG\r\n", b"IEND\xaeB`\x82"),
)


class FolderSource(IndexedSource):
    """Image files, read and decoded when they are needed.

    Args:
        split: "train", "validation" or "test".
        files: list of paths.
        labels: list of class indices, -1 for unlabelled.
        image_shape: (height, width, channels) of the images.
        class_names: list of the names of the classes, `None` if unlabelled.
        random_crop: whether images are cropped at random.
    """

    def __init__(
        self, split, files, labels, image_shape, class_names, random_crop
    ):
        super().__init__(
            "image_folder",
            split,
            len(files),
            image_shape,
            class_names,
            random_crop,
        )
        with tf.device("CPU:0"):
            self.files = tf.constant(files)
            self.labels = tf.constant(labels, tf.int32)

    def read(self, key, crop_seed=None):
        encoded = tf.io.read_file(tf.gather(self.files, key))
        image = images.decode(encoded, self.image_shape[-1])
        image = images.fit(image, self.image_shape, crop_seed)
        return image, tf.gather(self.labels, key)

    def locate(self, index):
        return self.files[index].numpy().decode()


def open_folder(split, image_shape, data_dir, validation_fraction, random_crop):
    """Opens a folder of images; see `open_dataset`.

    The natural order is by a hash of each file's relative path, so that any
    part of it is a fair sample.

    When the split is opened, the first and last bytes of its files are
    looked at. Files that do not look whole are decoded, and left out if that
    fails: the number is reported on stderr, and above 1% of the files (but at
    least 1) it is a `DataError`. Damage in the middle of a file shows when it
    is read; `check_readable` and `load_arrays` name the file. Whether a folder
    is in colour is told by its first image.
    """
    root, names, listing = _list_split(data_dir, split, validation_fraction)
    files = [os.path.join(root, path) for path, _ in listing]
    labels = [label for _, label in listing]
    kept = _check_files(files, split, image_shape[-1])
    files = [files[i] for i in kept]
    labels = [labels[i] for i in kept]
    images.check_channels(data_dir, _stored_channels(files), image_shape[-1])
    return FolderSource(split, files, labels, image_shape, names, random_crop)


def _list_split(data_dir, split, validation_fraction):
    if data_dir is None:
        raise DataError("image_folder needs data_dir, the folder of images.")
    root = os.path.expanduser(data_dir)
    if not os.path.isdir(root):
        raise DataError(
            f"No such folder: {root}; data_dir must be a folder of images."
        )
    train = os.path.join(root, "train")
    divided = os.path.isdir(train)
    names, listing = _list_images(train if divided else root)
    if divided and split == "test":
        root = _find_test_folder(root)
        names, listing = _list_images(root, names)
    elif divided:
        root = train
    else:
        listing = _hash_split(listing, split)
    if split != "test":
        part = split_examples(
            data_dir, split, len(listing), validation_fraction
        )
        listing = listing[part]
    if not listing:
        raise DataError(
            f"No images are left for split {split!r} of {data_dir}: add images "
            "or a 'test' folder."
        )
    return root, names, listing


def _find_test_folder(root):
    for name in TEST_FOLDERS:
        if os.path.isdir(os.path.join(root, name)):
            return os.path.join(root, name)
    raise DataError(
        f"{root} has a 'train' folder but no test images: expected one of "
        f"the folders {', '.join(TEST_FOLDERS)}."
    )


def _list_images(root, names=None):
    paths = []
    for folder, _, files in os.walk(root, followlinks=True):
        relative = os.path.relpath(folder, root)
        paths += [
            os.path.normpath(os.path.join(relative, file))
            for file in files
            if file.lower().endswith(EXTENSIONS) and not file.startswith(".")
        ]
    if not paths:
        raise DataError(
            f"No images in {root}: expected files ending in "
            f"{', '.join(EXTENSIONS)}, in one folder for each class or none."
        )
    folders = [
        path.split(os.sep)[0] if os.sep in path else None for path in paths
    ]
    if not any(folders) and not names:
        return None, sorted([(p, -1) for p in paths], key=_hash)
    if None in folders:
        raise DataError(
            f"{root} holds images next to class folders, such as "
            f"{paths[folders.index(None)]}: move each into the folder of its "
            "class."
        )
    names = names or sorted(set(folders))
    unknown = sorted(set(folders) - set(names))
    if unknown:
        raise DataError(
            f"{root} has classes without training images: "
            f"{', '.join(unknown[:5])}; expected {', '.join(names[:5])}..."
        )
    indices = {name: index for index, name in enumerate(names)}
    labels = [indices[folder] for folder in folders]
    return names, sorted(zip(paths, labels, strict=True), key=_hash)


def _hash(entry):
    path = entry[0].replace(os.sep, "/").encode()
    digest = hashlib.blake2b(path, digest_size=8).digest()
    return int.from_bytes(digest, "big"), path


def _hash_split(listing, split):
    limit = int(TEST_FRACTION * 2**64)
    return [e for e in listing if (_hash(e)[0] < limit) == (split == "test")]


def _check_files(files, split, channels):
    progress = Progress(f"checking {split} images", len(files))
    bad = []
    with ThreadPoolExecutor() as pool:
        checks = pool.map(partial(_is_readable, channels=channels), files)
        for index, readable in enumerate(checks):
            if not readable:
                bad.append(index)
            progress.update(index + 1)
    if not bad:
        return range(len(files))
    first = ", ".join(files[i] for i in bad[:5])
    count = f"{len(bad)} of {len(files)} image files cannot be decoded"
    if len(bad) > max(1, len(files) // 100) or len(bad) == len(files):
        raise DataError(f"{count}: {first}; remove or replace them.")
    print(f"{count} and are left out: {first}", file=sys.stderr)
    return np.delete(np.arange(len(files)), bad)


def _is_readable(path, channels):
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(max(-8, -os.path.getsize(path)), os.SEEK_END)
        tail = file.read()
    if any(head.startswith(h) and tail.endswith(t) for h, t in SIGNATURES):
        return True
    try:
        images.decode(tf.io.read_file(path), channels)
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _stored_channels(files):
    for path in files:
        try:
            image = tf.io.decode_image(
                tf.io.read_file(path), expand_animations=False
            )
        except tf.errors.InvalidArgumentError:
            continue
        return 1 if image.shape[-1] < 3 else 3
    raise DataError(f"None of {len(files)} image files decodes: {files[0]}...")
