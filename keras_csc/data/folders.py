import copy
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
from keras_csc.data.sources import IndexedSource
from keras_csc.data.sources import split_examples
from keras_csc.terminal import say

VALIDATION_FOLDERS = ("validation", "val")
PARTS = ("train", "test", *VALIDATION_FOLDERS)
TEST_FRACTION = 0.1
COLOUR_TOLERANCE = 8

_said = set()


class FolderSource(IndexedSource):
    """Image files, read and decoded when they are needed.

    Args:
        split: "train", "validation" or "test".
        files: list of paths.
        labels: list of class indices, -1 for unlabelled.
        image_shape: (height, width, channels) of the images; with `None` for
            height and width they keep their size.
        class_names: list of the names of the classes, `None` if unlabelled.
        random_crop: whether images are cropped at random.
        by_pillow: list of bools, whether Pillow is to read a file.
    """

    def __init__(
        self,
        split,
        files,
        labels,
        image_shape,
        class_names,
        random_crop,
        by_pillow,
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
            self.by_pillow = tf.constant(by_pillow)
        self.needs_pillow = any(by_pillow)
        self.file_bytes = sum(map(os.path.getsize, files))

    def read(self, key, crop_seed=None):
        path = tf.gather(self.files, key)

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
        return self.files[index].numpy().decode()

    def file_names(self):
        files = [path.decode() for path in self.files.numpy()]
        folder = os.path.dirname(os.path.commonprefix(files))
        return [_composed(os.path.relpath(path, folder)) for path in files]


def open_folder(
    split,
    image_shape,
    data_dir,
    validation_fraction,
    random_crop,
    resize=True,
):
    """Opens a folder of images; see `open_dataset`.

    The natural order is by a hash of each file's relative path, so that any
    part of it is a fair sample. Names count in Unicode's NFC: a class is the
    same whichever system wrote the name of its folder.

    Regular files count, each once; see `find_images`. What is left out is
    said in a line on stderr, once in a process.

    When the split is opened, the first and last bytes of its files are
    looked at. Files that are too large to be decoded are left out, and so are
    those that do not look whole and do not decode: the number is reported on
    stderr, and above 1% of the files (but at least 1) it is a `DataError`.
    Damage in the middle of a file shows when it is read; `check_readable` and
    `load_arrays` name the file. Whether a folder is in colour is told by its
    first image.
    """
    root, names, listing = _list_split(data_dir, split, validation_fraction)
    files = [os.path.join(root, path) for path, _ in listing]
    checks = check_files(files, f"checking {split} images")
    problems = [f"{f}: {c.problem}" for f, c in zip(files, checks) if c.problem]
    _report(problems, len(files))
    kept = [i for i, check in enumerate(checks) if not check.problem]
    source = FolderSource(
        split,
        [files[i] for i in kept],
        [listing[i][1] for i in kept],
        image_shape if resize else (None, None, image_shape[-1]),
        names,
        random_crop and resize,
        [checks[i].is_tiff for i in kept],
    )
    if image_shape[-1] == 1:
        images.check_channels(data_dir, _stored_channels(source), 1)
    if resize:
        return source
    sizes = [  # Not every header tells it.
        checks[i].size or tuple(source.read(number)[0].shape[:2])
        for number, i in enumerate(kept)
    ]
    return CropSource(source, sizes, image_shape, random_crop)


def _list_split(data_dir, split, validation_fraction):
    root = _root(data_dir)
    left_out = LeftOut(root)
    parts = _parts(root)
    if parts:
        root, names, listing = _list_part(root, parts, split, left_out)
    else:
        names, listing = _list_images(root, find_images(root, left_out))
        _check_no_part(root, names or ())
        listing = _hash_split(listing, split)
    _say_once(str(left_out))
    if split != "test" and "validation" not in parts:
        part = split_examples(
            data_dir, split, len(listing), validation_fraction
        )
        listing = listing[part]
    if not listing:
        raise DataError(
            f"No images are left for split {split!r} of {data_dir}: add "
            "images, or divide them into folders 'train' and 'test'."
        )
    return root, names, listing


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
    found = {
        name: os.path.join(root, name)
        for name in PARTS
        if os.path.isdir(os.path.join(root, name))
    }
    if "train" not in found:
        return {}
    held = [found.pop(name) for name in VALIDATION_FOLDERS if name in found]
    if len(held) > 1:
        raise DataError(
            f"{' and '.join(held)} would both be for validation: leave one."
        )
    split = "validation" if "test" in found else "test"
    return {**found, **{split: folder for folder in held}}


def _list_part(root, parts, split, left_out):
    """Lists the images of one part of a divided set.

    No image of `train` is among those of another part, and none for
    validation among those for tests.
    """
    _check_apart(parts)
    for name in _folders_beside(root, parts):
        left_out.add(f"not called {', '.join(PARTS)}", name)
    if split == "test" and split not in parts:
        raise DataError(
            f"{root} has a 'train' folder but no test images: expected one of "
            f"the folders {', '.join(PARTS[1:])}."
        )
    seen, found = set(), {}
    for name in ("train", "validation", "test"):
        if name in parts:
            found[name] = find_images(parts[name], left_out, seen)
        if name == split:
            break
    train = parts["train"]
    names, listing = _list_images(train, found["train"])
    if split not in found or split == "train":
        return train, names, listing
    labelled = names is not None
    names, listing = _list_images(parts[split], found[split], names)
    if not labelled:
        names, listing = None, [(path, -1) for path, _ in listing]
    return parts[split], names, listing


def _folders_beside(root, parts):
    """Names of folders in `root` that are none of its parts."""
    with os.scandir(root) as scan:
        names = [each.name for each in scan if each.is_dir()]
    used = [os.path.basename(folder) for folder in parts.values()]
    return sorted(n for n in names if n not in used and n[0] != ".")


def _check_no_part(root, classes):
    """Raises `DataError` for classes that are called as the parts of a set."""
    parts = [c for c in classes if c.lower() in PARTS]
    if parts:
        raise DataError(
            f"{root} has a folder {parts[0]!r} and none called 'train': it "
            "would be a class. Call the parts of a divided set 'train' and "
            "'test', of which there must be both, or rename the class."
        )


def _check_apart(parts):
    folders = sorted(parts.values())
    for pair in itertools.combinations(folders, 2):
        real = [os.path.join(os.path.realpath(f), "") for f in pair]
        if os.path.commonprefix(real) in real:
            raise DataError(
                f"{pair[0]} and {pair[1]} share images: one folder is within "
                "the other. Make them two folders, or put all images into one "
                "without them."
            )


def _list_images(root, paths, names=None):
    """Names of classes, and pairs of a path and a label in natural order."""
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
    if not any(folders) and not names:
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
    """A name in NFC: one that macOS wrote may be in another form."""
    return unicodedata.normalize("NFC", name)


def _hash(entry):
    path = _composed(entry[0]).replace(os.sep, "/").encode()
    digest = hashlib.blake2b(path, digest_size=8).digest()
    return int.from_bytes(digest, "big"), entry[0]


def _hash_split(listing, split):
    limit = int(TEST_FRACTION * 2**64)
    return [e for e in listing if (_hash(e)[0] < limit) == (split == "test")]


def _report(problems, count):
    if not problems:
        return
    first = "; ".join(map(printable, problems[:5]))
    text = f"{len(problems)} of {count} image files cannot be decoded"
    if len(problems) > max(1, count // 100) or len(problems) == count:
        raise DataError(f"{text}: {first}; remove or replace them.")
    _say_once(f"{text} and are left out: {first}")


def _say_once(text):
    if text and text not in _said:
        _said.add(text)
        say(text)


def _stored_channels(source):
    """1 if the first image that can be read is grey, else 3."""
    colour = copy.copy(source)
    colour.image_shape = (64, 64, 3)
    for index in range(source.size):
        try:
            image = tf.cast(colour.read(index)[0], tf.int32)
        except tf.errors.InvalidArgumentError:
            continue
        spread = tf.reduce_max(image, -1) - tf.reduce_min(image, -1)
        return 1 if tf.reduce_max(spread) <= COLOUR_TOLERANCE else 3
    return 1  # The first one that is read is named.
