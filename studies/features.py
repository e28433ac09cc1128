"""Features without labels, and the classifier of them, beside others.

    python studies/features.py --data_dir=FOLDER --data cifar10 --methods ours

Fits to training images and judges the test images: by the linear classifier in
closed form, and by the ten most alike training images. Or, with --few, to 30
images of each class, drawn five times. Puts its rows in studies/features.json;
seconds are of the processor.
"""

import argparse
import pathlib
import time

from keras_csc_cli.records import identification

import keras
import numpy as np
from sklearn.decomposition import PCA

import keras_csc
from keras_csc.features import SparseFeatures
from keras_csc.features import ridge_classifier
from keras_csc.metrics.features import knn_accuracy
from keras_csc.pixels import from_pixels
from studies import tables

RESULTS = pathlib.Path(__file__).with_name("features.json")
KEYS = ("data", "images", "method")
SHAPES = {
    "cifar10": (32, 32, 3),
    "fashion_mnist": (28, 28, 1),
    "digits": (16, 16, 1),
}
FEW, DRAWS, NEIGHBOURS = 30, 5, 10
PRESET = "csc_ctrl_cifar10_unlabelled"


def ours(images, others, filters=1600):
    """Features of images, of other images, and vectors of both."""
    features = SparseFeatures(images.shape[1:], filters)
    features.fit_atoms(images)
    found = features.predict(images, batch_size=8, verbose=0)
    features.fit_components(found[:5000])
    other = features.predict(others, batch_size=8, verbose=0)
    vectors = [np.asarray(features.vectors(each)) for each in (found, other)]
    return found, other, *vectors


def flat(*arrays):
    """Images as rows of pixels."""
    return [images.reshape(len(images), -1) for images in arrays]


def principal_components(images, others):
    """Of pixels, each divided by the square root of its deviation."""
    images, others = flat(images, others)
    model = PCA(min(256, len(images) - 1), random_state=0).fit(images)
    vectors = [
        model.transform(rows) / model.explained_variance_**0.25
        for rows in (images, others)
    ]
    return *vectors, *vectors


def pixels(images, others):
    images, others = flat(images, others)
    mean = images.mean(0)
    return images, others, images - mean, others - mean


def closed_loop(images, others):
    """An autoencoder that was trained on all training images."""
    model = keras_csc.models.ClosedLoopAutoencoder.from_preset(PRESET)
    found = [
        np.concatenate(
            [np.asarray(model.embed(part)) for part in np.array_split(each, n)]
        )
        for each in (images, others)
        if (n := max(len(each) // 500, 1))
    ]
    return *found, *found


def convolutions(images, labels, others, classes, epochs=60):
    """A small network trained with labels: its accuracy needs no vectors."""
    layers = keras.layers
    model = keras.Sequential([keras.Input(images.shape[1:])])
    model.add(layers.RandomFlip("horizontal"))
    for width in (32, 64, 128):
        model.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images, labels, 32, epochs, verbose=0)
    return model.predict(others, verbose=0).argmax(1)


METHODS = {
    "ours": ours,
    "pixels": pixels,
    "principal components": principal_components,
    PRESET: closed_loop,
}


def judged(method, train, test):
    """Accuracies and seconds of a method."""
    (images, labels), (others, truth) = train, test
    images, others = from_pixels(images), from_pixels(others)
    began = time.process_time()
    if method == "convolutions":
        classes = int(labels.max()) + 1
        found = convolutions(images, labels, others, classes)
        linear, neighbours = np.mean(found == truth), None
    else:
        found, other, vectors, other_vectors = METHODS[method](images, others)
        classifier = ridge_classifier(found, labels)
        linear = np.mean(np.asarray(classifier.layer(other)).argmax(1) == truth)
        neighbours = knn_accuracy(
            vectors, labels, other_vectors, truth, NEIGHBOURS
        )
    row = {"linear": float(linear), "neighbours": neighbours}
    return row | {"seconds": time.process_time() - began}


def drawn(train, seed):
    """`FEW` training images of each class."""
    images, labels = train
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(labels == label), FEW, replace=False)
            for label in range(labels.max() + 1)
        ]
    )
    rows = rng.permutation(rows)
    return images[rows], labels[rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir")
    parser.add_argument("--data", choices=SHAPES, required=True)
    methods = [*METHODS, "convolutions"]
    parser.add_argument("--methods", nargs="+", default=methods)
    parser.add_argument("--few", action="store_true")
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    train, test = (
        keras_csc.data.load_arrays(
            keras_csc.data.open_dataset(
                given.data,
                split,
                SHAPES[given.data],
                given.data_dir,
                validation_fraction=0.0,
            )
        )
        for split in ("train", "test")
    )
    draws = [drawn(train, seed) for seed in range(DRAWS)]
    draws = draws if given.few else [train]
    for method in given.methods:
        rows = [judged(method, draw, test) for draw in draws]
        row = {"data": given.data, "images": len(draws[0][0])}
        row |= {"method": method, "draws": len(rows)}
        for key in rows[0]:
            values = [each[key] for each in rows if each[key] is not None]
            row[key] = float(np.mean(values)) if values else None
        row["deviation"] = float(np.std([each["linear"] for each in rows]))
        row["about"] = identification()
        tables.put(RESULTS, [row], KEYS)
        print(row, flush=True)


if __name__ == "__main__":
    main()
