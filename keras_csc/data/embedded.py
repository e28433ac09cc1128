import os

import numpy as np
import skimage.data
import sklearn.datasets
import tensorflow as tf
from sklearn.model_selection import train_test_split

from keras_csc.data import images
from keras_csc.data.sources import ArraySource
from keras_csc.data.sources import DataError
from keras_csc.data.sources import split_examples
from keras_csc.data.sources import traced

DIGITS_TEST_SIZE = 397
PHOTOGRAPHS = {
    "astronaut": (skimage.data, "astronaut.png"),
    "cat": (skimage.data, "chelsea.png"),
    "china": (sklearn.datasets, "images/china.jpg"),
    "coffee": (skimage.data, "coffee.png"),
    "flower": (sklearn.datasets, "images/flower.jpg"),
    "motorcycle": (skimage.data, "motorcycle_left.png"),
    "rocket": (skimage.data, "rocket.jpg"),
}


def open_digits(split, image_shape, validation_fraction):
    """scikit-learn's 1,797 handwritten digits, enlarged to 16x16x1.

    397 stratified digits are for testing. The last of the other 1,400 are for
    validation.
    """
    images.check_channels("digits", 1, image_shape[-1])
    digits = sklearn.datasets.load_digits()
    train, test = train_test_split(
        np.arange(len(digits.target)),
        test_size=DIGITS_TEST_SIZE,
        stratify=digits.target,
        random_state=0,
    )
    if split == "test":
        chosen = test
    else:
        part = split_examples("digits", split, len(train), validation_fraction)
        chosen = train[part]
    pixels = digits.images[chosen, :, :, None] * (255 / 16)
    pixels = tf.image.resize(pixels, (16, 16), method="bicubic")
    pixels = tf.saturate_cast(tf.round(pixels), tf.uint8)
    dataset = tf.data.Dataset.from_tensor_slices(pixels)
    dataset = dataset.map(traced(lambda image: images.fit(image, image_shape)))
    pixels = dataset.batch(len(pixels)).get_single_element().numpy()
    labels = digits.target[chosen].astype(np.int32)
    names = [str(name) for name in digits.target_names]
    return ArraySource("digits", split, pixels, labels, names)


def open_photographs(split, image_shape, validation_fraction):
    """Patches of the colour photographs inside our dependencies' packages.

    The photographs are taken at half size (at full size for patches of more
    than 64 pixels). The right third of each is for testing. The rightmost
    columns of the rest are for validation: `validation_fraction` of the rest,
    but at least the width of a patch. They are none if the fraction is 0. No
    pixel is in two splits. Training patches lie an eighth of their size apart,
    others a quarter. The label of a patch is its photograph. The natural order
    is a fixed random one.
    """
    images.check_channels("photographs", 3, image_shape[-1])
    side = max(image_shape[:2])
    stride = max(1, side // (8 if split == "train" else 4))
    patches, labels = [], []
    for label, name in enumerate(PHOTOGRAPHS):
        photograph = load_photograph(name, 2 if side <= 64 else 1)
        columns = _columns(
            split, photograph.shape[1], image_shape[1], validation_fraction
        )
        found = _cut(photograph[:, columns], image_shape, stride)
        patches.append(found)
        labels.append(np.full(len(found), label, np.int32))
    patches, labels = np.concatenate(patches), np.concatenate(labels)
    order = np.random.default_rng(0).permutation(len(patches))
    return ArraySource(
        "photographs", split, patches[order], labels[order], list(PHOTOGRAPHS)
    )


def load_photograph(name, reduction=1):
    """One of `PHOTOGRAPHS`, uint8; its sides are divided by `reduction`."""
    package, file = PHOTOGRAPHS[name]
    path = os.path.join(os.path.dirname(package.__file__), file)
    image = tf.io.decode_image(tf.io.read_file(path), 3)
    size = [length // reduction for length in image.shape[:2]]
    image = tf.image.resize(image, size, antialias=True)
    return tf.saturate_cast(tf.round(image), tf.uint8).numpy()


def _columns(split, width, patch_width, validation_fraction):
    test = width * 2 // 3
    validation = test
    if validation_fraction:
        validation -= max(patch_width, round(test * validation_fraction))
    if split == "test":
        return slice(test, width)
    if split == "train":
        return slice(0, max(validation, 0))
    split_examples("photographs", split, test, validation_fraction)
    return slice(max(validation, 0), test)


def _cut(area, image_shape, stride):
    if any(a < s for a, s in zip(area.shape, image_shape, strict=True)):
        raise DataError(
            f"photographs: image_shape {tuple(image_shape)} does not fit its "
            f"area of {area.shape[0]}x{area.shape[1]} pixels in the smallest "
            "photograph; use smaller images or a smaller validation_fraction."
        )
    windows = np.lib.stride_tricks.sliding_window_view(area, image_shape)
    return windows[::stride, ::stride, 0].reshape(-1, *image_shape)
