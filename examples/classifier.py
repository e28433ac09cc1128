"""A classifier with a sparse coding layer where its first convolution stood.

    python examples/classifier.py

Both see the digits of scikit-learn, for as many epochs.
"""

import keras
import numpy as np

import keras_csc
from keras_csc.pixels import from_pixels


def digits(split):
    source = keras_csc.data.open_dataset("digits", split, (16, 16, 1))
    images, labels = keras_csc.data.load_arrays(source)
    return from_pixels(images), labels


def classifier(first):
    """Two layers and a linear one; the first is given."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            first,
            keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def main(epochs=15):
    """Trains both and prints their accuracies; returns them."""
    keras.utils.set_random_seed(0)
    images, labels = digits("test")
    first = {
        "sparse coding": keras_csc.layers.ConvSparseCoding2D(
            32, 4, strides=2, sparsity=0.1, iterations=2, nonnegative=True
        ),
        "convolution": keras.layers.Conv2D(
            32, 4, strides=2, padding="same", activation="relu"
        ),
    }
    accuracies = {}
    for name, layer in first.items():
        model = classifier(layer)
        model.fit(*digits("train"), epochs=epochs, verbose=0)
        accuracies[name] = model.evaluate(images, labels, verbose=0)[1]
        print(f"{name}: {accuracies[name]:.3f} of the test digits are right")

    # What a convolution has not: its output nearly solves a program, and
    # synthesizes its input.
    coding = first["sparse coding"]
    codes = coding(images)
    left = images - np.asarray(coding.synthesize(codes))
    zeros = float(np.mean(np.asarray(codes) == 0))
    print(
        f"{zeros:.0%} of the codes are zero; "
        f"{np.mean(left**2) / np.mean(images**2):.0%} of the images' energy is "
        "left over"
    )
    return accuracies


if __name__ == "__main__":
    main()
