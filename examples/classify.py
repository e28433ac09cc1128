"""Sparse coding layers where convolutions stood, in a classifier.

    python examples/classify.py
    python examples/classify.py --dataset=cifar10 --data_dir=DATA --epochs=4

The first command takes the digits of scikit-learn, 8×8, and two layers. The
second one takes CIFAR-10 as TFDS prepares it, and four layers. Both networks
have as many weights, and see the images as often. `docs/classify.md` has more.
"""

import keras
import numpy as np
import tensorflow_datasets as tfds
from absl import app
from absl import flags
from sklearn import datasets

import keras_csc

# Filters and strides of the layers.
DIGITS = ((32, 1), (32, 2))
CIFAR10 = ((32, 1), (64, 2), (128, 2), (128, 1))


def digits(seed=0):
    """1,400 digits to train on and 397 others, in [0, 1], with labels."""
    images, labels = datasets.load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
    order = np.random.default_rng(seed).permutation(len(images))
    train, test = order[:1400], order[1400:]
    return (images[train], labels[train]), (images[test], labels[test])


def cifar10(data_dir=None):
    """Training and test images, in [-1, 1], with labels."""
    for split in ("train", "test"):
        images, labels = tfds.load(
            "cifar10",
            split=split,
            data_dir=data_dir,
            batch_size=-1,
            as_supervised=True,
        )
        yield images.numpy() / np.float32(127.5) - 1, labels.numpy()


def classifier(shape, layers, coding=True, momentum=None, **arguments):
    """A stack of layers with 3×3 atoms or filters, a pooling, a linear layer.

    Args:
        shape: `(height, width, channels)` of the images.
        layers: pairs of ints, filters and strides of the layers.
        coding: bool, whether layers are `ConvSparseCoding2D`, or convolutions
            with a rectifier.
        momentum: float, of the batch normalisation that follows a layer, in a
            convolution before its rectifier. `None` for no normalisation.
        arguments: of the layers.
    """
    model = keras.Sequential([keras.Input(shape)])
    for filters, strides in layers:
        if coding:
            layer = keras_csc.layers.ConvSparseCoding2D(
                filters, 3, strides, **arguments
            )
        else:
            layer = keras.layers.Conv2D(
                filters, 3, strides, "same", use_bias=False, **arguments
            )
        model.add(layer)
        if momentum is not None:
            model.add(keras.layers.BatchNormalization(momentum=momentum))
        if not coding:
            model.add(keras.layers.ReLU())
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(10))
    return model


def compiled(model, learning_rate=1e-3):
    """The same, ready for `fit`."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def main(argv):
    options = flags.FLAGS
    if options.dataset == "digits":
        (images, labels), test = digits()
        layers, momentum = DIGITS, None
    else:
        (images, labels), test = cifar10(options.data_dir)
        layers, momentum = CIFAR10, 0.99
    for name, coding in (("sparse coding", True), ("convolutions", False)):
        keras.utils.set_random_seed(options.seed)
        model = classifier(images.shape[1:], layers, coding, momentum)
        zeros = keras_csc.callbacks.CodeZeros(images[:100])
        compiled(model).fit(
            images,
            labels,
            epochs=options.epochs,
            verbose=2,
            callbacks=[zeros],
        )
        accuracy = model.evaluate(*test, verbose=0)[1]
        print(f"{name}: {accuracy:.3f} of the test images are right")


if __name__ == "__main__":
    flags.DEFINE_enum("dataset", "digits", ["digits", "cifar10"], "Images.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_integer("epochs", 8, "Passes over the images.", 1)
    flags.DEFINE_integer("seed", 0, "Of the weights and of the order.")
    app.run(main)
