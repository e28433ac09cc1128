"""Folders of images, divided into splits and classes."""

import functools
import hashlib
import itertools
import os
import unicodedata

import tensorflow as tf

from keras_csc.data import images
from keras_csc.data.crops import CropSource
from keras_csc.data.image_files import EXTENSIONS
from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import check_files
from keras_csc.data.image_files import find_images
from keras_csc.data.image_files import is_utf8
from keras_csc.data.image_files import printable
from keras_csc.data.image_files import read_pixels
from keras_csc.data.sources import DataError
from keras_csc.data.sources import Source
from keras_csc.data.sources import split_examples
from keras_csc.terminal import say

SPLITS = ("train", "validation", "test")
PARTS = (*SPLITS, "val")
TEST_FRACTION = 0.1


class FolderSource(Source):
    """Image files, read and decoded when they are needed.

    Args:
        root: folder of the files.
        listing: pairs of a path below `root` and a class, -1 for unlabelled.
        by_pillow: list of bools, whether Pillow is to read a file.
        image_shape: with `None` for height and width, images keep their size.
    """

    def __init__(
        self,
        split,
        root,
        listing,
        image_shape,
        class_names,
        random_crop,
        by_pillow,
    ):
        super().__init__(
            "image_folder",
            split,
            len(listing),
            image_shape,
            class_names,
            random_crop,
        )
        files, labels = zip(*listing)
        paths = [os.path.join(root, file) for file in files]
        self.files = [_composed(file) for file in files]
        self.file_bytes = sum(map(os.path.getsize, paths))
        self.needs_pillow = any(by_pillow)
        with tf.device("CPU:0"):
            self.paths = tf.constant(paths)
            self.labels = tf.constant(labels, tf.int32)
            self.by_pillow = tf.constant(by_pillow)

    def read(self, key, crop_seed=None):
        path = tf.gather(self.paths, key)

        def decode():
            encoded = tf.io.read_file(path)
            return images.read(encoded, self.image_shape, crop_seed)

        def ask_pillow():
            pixels = tf.numpy_function(read_pixels, [path], tf.uint8)
            pixels.set_shape((None, None, 3))
            return images.shaped(pixels, self.image_shape, crop_seed)

        image = (
            tf.cond(tf.gather(self.by_pillow, key), ask_pillow, decode)
            if self.needs_pillow
            else decode()
        )
        return image, tf.gather(self.labels, key)

    def locate(self, index):
        return self.paths[index].numpy().decode()


def open_folder(
    split,
    image_shape,
    data_dir,
    validation_fraction,
    random_crop,
    resize=True,
):
    """Opens a folder of images; see `open_dataset`. The split `None` is all.

    The natural order is by a hash of each file's relative path, so that any
    part of it is a fair sample. Names are brought to Unicode's NFC, whichever
    system wrote them.

    When the split is opened, the first and last bytes of its files are looked
    at. Files that are too large are left out, and so are files that neither
    look whole nor decode. A `DataError` is raised if they are more than one
    file and more than 1%, or the only file. Damage in the middle shows when a
    file is read.
    """
    root, names, listing = _list_split(data_dir, split, validation_fraction)
    paths = [os.path.join(root, file) for file, _ in listing]
    checks = check_files(paths, f"checking {split or 'all'} images")
    problems = [f"{p}: {why}" for p, (why, *_) in zip(paths, checks) if why]
    if problems:
        first = "; ".join(map(printable, problems[:5]))
        text = f"{len(problems)} of {len(paths)} image files cannot be decoded"
        if len(problems) > max(1, len(paths) // 100) or len(paths) == 1:
            raise DataError(f"{text}: {first}; remove or replace them.")
        _say_once(f"{text} and are left out: {first}")
    kept = [row for row, (problem, *_) in enumerate(checks) if not problem]
    source = FolderSource(
        split,
        root,
        [listing[row] for row in kept],
        image_shape if resize else (None, None, image_shape[-1]),
        names,
        random_crop and resize,
        [checks[row][1] for row in kept],
    )
    if resize:
        return source
    sizes = [checks[row][2] for row in kept]
    return CropSource(source, sizes, image_shape, random_crop)


def _list_split(data_dir, split, validation_fraction):
    """The folder of a split, names of classes, and pairs of file and label."""
    root = _root(data_dir)
    left_out = LeftOut(root)
    parts = _parts(root)
    if parts and split is None:
        raise DataError(
            f"{root} is divided into {', '.join(parts)}: give one of these "
            "folders."
        )
    if parts:
        folder, names, listing = _list_part(root, parts, split, left_out)
    else:
        folder = root
        names, listing = _list_images(root, find_images(root, left_out))
        found = [name for name in names or () if name.lower() in PARTS]
        if found and split:
            raise DataError(
                f"{root} has a folder {found[0]!r} and none called 'train': it "
                "would be a class. Call the parts of a divided set 'train' and "
                "'test', and make both, or rename the class."
            )
        limit = int(TEST_FRACTION * 2**64)
        listing = [
            e
            for e in listing
            if split is None or (_hash(e)[0] < limit) == (split == "test")
        ]
    _say_once(str(left_out))
    if split not in (None, "test") and "validation" not in parts:
        part = split_examples(
            data_dir, split, len(listing), validation_fraction
        )
        listing = listing[part]
    if not listing:
        raise DataError(
            f"No images are left for split {split!r} of {data_dir}: add "
            "images, or divide them into folders 'train' and 'test'."
        )
    return folder, names, listing


def _root(data_dir):
    if data_dir is None:
        raise DataError("image_folder needs data_dir, the folder of images.")
    root = os.path.expanduser(data_dir)
    if not os.path.isdir(root):
        raise DataError(
            f"No such folder: {printable(root)}; data_dir must be a folder of "
            "images."
        )
    if not is_utf8(os.fspath(root)):
        raise DataError(
            "data_dir must be a name in UTF-8; received "
            f"{printable(root)}: give the folder another name."
        )
    return root


def _parts(root):
    """The folders of a divided set, by split; none without `root/train`.

    Without `root/test`, the validation images are for tests.
    """
    found = {name: os.path.join(root, name) for name in PARTS}
    found = {name: f for name, f in found.items() if os.path.isdir(f)}
    if "train" not in found:
        return {}
    held = found.pop("val", None)
    held = found.pop("validation", held)
    if held is not None:
        found["validation" if "test" in found else "test"] = held
    return {name: found[name] for name in SPLITS if name in found}


def _list_part(root, parts, split, left_out):
    """Lists the images of one part of a divided set.

    No image is in two parts.
    """
    real = [os.path.join(os.path.realpath(f), "") for f in parts.values()]
    for one, other in itertools.permutations(real, 2):
        if one.startswith(other):
            raise DataError(
                f"Folders of {root} share images: {one} is within {other}. "
                "Make them two folders, or put all images into one without "
                "them."
            )
    used = [os.path.basename(folder) for folder in parts.values()]
    for name in sorted(os.listdir(root)):
        beside = name not in used and name[0] != "."
        if beside and os.path.isdir(os.path.join(root, name)):
            left_out.add("beside " + ", ".join(used), name)
    if split == "test" and split not in parts:
        raise DataError(
            f"{root} has a 'train' folder but no test images: expected one of "
            f"the folders {', '.join(PARTS[1:])}."
        )
    part = split if split in parts else "train"
    names, seen = None, set()
    for name, folder in parts.items():
        paths = find_images(folder, left_out, seen)
        if name in ("train", part):
            names, listing = _list_images(folder, paths, names)
            if name == part:
                return folder, names, listing
            names = names or []


def _list_images(root, paths, names=None):
    """Names of classes, and pairs of a path and a label in natural order.

    By default `names` are the folders' names; `[]` is for unlabelled images.
    """
    if not paths:
        raise DataError(
            f"No images in {root}: expected files ending in "
            f"{', '.join(EXTENSIONS)}, in one folder for each class or none. "
            "Links are not followed."
        )
    folders = [
        _composed(path.split(os.sep)[0]) if os.sep in path else None
        for path in paths
    ]
    if names == [] or not (any(folders) or names):
        return None, sorted([(p, -1) for p in paths], key=_hash)
    if None in folders:
        path = printable(paths[folders.index(None)])
        raise DataError(
            f"{root} holds images next to class folders, such as {path}: move "
            "each into the folder of its class."
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


def _composed(name):
    """A name in NFC, as macOS may have written it in another form."""
    return unicodedata.normalize("NFC", name)


def _hash(entry):
    path = _composed(entry[0]).replace(os.sep, "/").encode()
    digest = hashlib.blake2b(path, digest_size=8).digest()
    return int.from_bytes(digest, "big"), entry[0]


@functools.cache
def _say_once(text):
    if text:
        say(text)
