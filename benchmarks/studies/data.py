"""The data sets of the studies, and their images as arrays."""

import collections
import pathlib
import shutil
import sys

import numpy as np
import tensorflow as tf

from keras_csc import data

Set = collections.namedtuple("Set", ["title", "dataset", "flags"])

# As in the flag files: as many first atoms as a patch has numbers.
SPARSITY = "0.05,0.5,0.5"
CODES = {"sparsity": SPARSITY, "iterations": 1}
GREY = {"preset": "fashion_mnist", "filters": "16,64,128", **CODES}
COLOUR = {"preset": "cifar10", "filters": "48,64,128", **CODES}

SETS = {
    "digits": Set("digits", "digits", GREY),
    "fashion_mnist": Set("Fashion-MNIST", "fashion_mnist", GREY),
    "cifar10_grey": Set("CIFAR-10 grey", "image_folder", GREY),
    "cifar10": Set("CIFAR-10", "cifar10", COLOUR),
    "imagenet": Set("ImageNet at 32", "imagenet2012", COLOUR),
    "photographs": Set("photographs", "photographs", COLOUR),
}
IN_COLOUR = ("cifar10", "imagenet", "photographs")
# Sets to test on: in the colours of the model.
TESTED = ("digits", "fashion_mnist", *IN_COLOUR)


def is_grey(name):
    return name not in IN_COLOUR


def channels(name):
    return 1 if is_grey(name) else 3


class Library:
    """Where the images are.

    Args:
        data_dir: folder of prepared TFDS data sets.
        derived: folder for the sets that are made here.
    """

    def __init__(self, data_dir, derived):
        self.data_dir = data_dir
        self.derived = pathlib.Path(derived)

    def folder(self, name):
        """The `--data_dir` of a set; makes grey CIFAR-10 if it is missing."""
        if name != "cifar10_grey":
            return self.data_dir
        folder = self.derived / name
        if not folder.exists():
            self._make_grey(folder)
        return str(folder)

    def images(self, name, split, count=None, channels=None, side=32):
        """Images and labels of a set, in the wanted number of channels.

        Colours are turned into grey by their luma; grey is repeated.

        Returns:
            uint8 array `(n, side, side, channels)`, int32 array `(n,)`.
        """
        own = 1 if is_grey(name) else 3
        wanted = channels or own
        source = data.open_dataset(
            SETS[name].dataset,
            split,
            (side, side, max(own, wanted)),
            data_dir=self.folder(name),
        )
        images, labels = data.load_arrays(source, count)
        if images.shape[-1] > wanted:
            images = tf.image.rgb_to_grayscale(images).numpy()
        return images, labels

    def _make_grey(self, folder):
        """Writes CIFAR-10 in grey as `{train,test}/CLASS/NUMBER.png`."""
        print("Writing CIFAR-10 in grey.", file=sys.stderr, flush=True)
        new = folder.with_name(f".{folder.name}-new")
        shutil.rmtree(new, ignore_errors=True)
        for split in ("train", "test"):
            source = data.open_dataset(
                "cifar10",
                split,
                (32, 32, 3),
                data_dir=self.data_dir,
                validation_fraction=0.0,
            )
            images, labels = data.load_arrays(source)
            images = tf.image.rgb_to_grayscale(images).numpy()
            for label in np.unique(labels):
                part = new / split / source.class_names[label]
                part.mkdir(parents=True)
                for number in np.flatnonzero(labels == label):
                    encoded = tf.io.encode_png(images[number]).numpy()
                    (part / f"{number:05d}.png").write_bytes(encoded)
        new.rename(folder)


def to_float(images):
    """uint8 images as float32 in [-1, 1]."""
    return images.astype("float32") / 127.5 - 1.0
