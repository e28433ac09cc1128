"""Densities of features: how many directions help, and what they find strange.

    python -m studies.densities --saved_model=saved_models/csc_ctrl_cifar10/1 \\
        --dataset=cifar10 --data_dir=DATA --strange=digits

prints, as JSON, the mean `log p` of test features by the most directions of a
Gaussian; accuracies of five nearest neighbours, of the features and of as many
principal components of pixels; and for every other data set the area under the
ROC curve (AUROC) by which its test images are told from the data set's: by
`log p`, by the error of reconstruction, and by the error of the components. A
grey model sees colour images in grey (luma of Rec. ITU-R BT.601).
"""

import argparse
import json

import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from keras_csc import data
from keras_csc.data.images import GREY
from keras_csc.generation import FeatureDensity
from keras_csc.metrics import knn_accuracy
from keras_csc.pixels import from_pixels

TRAINING_IMAGES = 10_000
IMAGES = 2000
RANKS = (1, 4, 8, 16, 32, 64, None)
BATCH = 250


def by_rank(features, labels, test_features):
    """Mean `log p` of test features, by the most directions of a Gaussian.

    Returns:
        Dict from ranks to a dict of the `rank` that there is, `log_prob` of
        one Gaussian a class and `unlabelled` of one of all features.
    """
    found = {}
    for rank in RANKS:
        if rank is not None and rank >= features.shape[1]:
            continue
        of_classes, of_all = (
            FeatureDensity.fit(features, each, rank=rank)
            for each in (labels, None)
        )
        found[str(rank)] = {
            "rank": of_classes.rank,
            "log_prob": float(np.mean(of_classes.log_prob(test_features))),
            "unlabelled": float(np.mean(of_all.log_prob(test_features))),
        }
    return found


def neighbours(features, labels, images):
    """Accuracies of five nearest neighbours, on test images.

    Args:
        features: pair of float arrays `(n, d)`, of training and test images.
        labels: pair of int arrays `(n,)`.
        images: pair of float arrays `(n, height, width, channels)`.

    Returns:
        Dict of `raw` and `centered` features, and of `pca`, the `d` principal
        components of pixels, centred and of norm one like the features.
    """
    train, test = (each.reshape(len(each), -1) for each in images)
    pca = PCA(features[0].shape[1]).fit(train)
    components = pca.transform(train), pca.transform(test)

    def accuracy(pair, centered):
        (train, test), (known, asked) = pair, labels
        return float(knn_accuracy(train, known, test, asked, centered=centered))

    return {
        "raw": accuracy(features, centered=False),
        "centered": accuracy(features, centered=True),
        "pca": accuracy(components, centered=True),
    }


def strangeness(model, train_images, labels, images, others):
    """AUROC of scores that tell other images from test images.

    Args:
        model: dict of the functions `encode` and `reconstruct` of images.
        train_images: float array `(n, height, width, channels)`.
        labels: ints `(n,)`.
        images: float array, of the test set.
        others: float array, of another data set.

    Returns:
        Dict of floats; .5 is chance, 1 tells all.
    """
    features = model["encode"](train_images)
    density = FeatureDensity.fit(features, labels)
    pca = PCA(features.shape[1]).fit(train_images.reshape(len(features), -1))

    def scores(each):
        rows = each.reshape(len(each), -1)
        made = pca.inverse_transform(pca.transform(rows))
        error = np.square(model["reconstruct"](each) - each)
        return {
            "log_prob": -density.log_prob(model["encode"](each)).numpy(),
            "reconstruction": np.mean(error, axis=(1, 2, 3)),
            "pca": np.mean(np.square(made - rows), axis=1),
        }

    known, strange = scores(images), scores(others)
    is_strange = [0] * len(images) + [1] * len(others)
    return {
        name: float(
            roc_auc_score(is_strange, np.append(known[name], strange[name]))
        )
        for name in known
    }


def saved_model(path):
    """The functions of a SavedModel, and the shape of its images."""
    signatures = tf.saved_model.load(str(path)).signatures

    def function(signature, output):
        def run(images):
            parts = [
                signatures[signature](image=tf.constant(batch))[output]
                for batch in np.split(images, range(BATCH, len(images), BATCH))
            ]
            return np.concatenate(parts)

        return run

    specs = signatures["encode"].structured_input_signature[1]
    return {
        "encode": function("encode", "features"),
        "reconstruct": function("serving_default", "reconstruction"),
    }, tuple(specs["image"].shape[1:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--saved_model", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data_dir")
    parser.add_argument("--strange", nargs="*", default=[])
    options = parser.parse_args()

    def images(name, split, limit):
        source = data.open_dataset(
            name, split, (*shape[:2], 3), data_dir=options.data_dir, resize=True
        )
        pixels, labels = data.load_arrays(source, limit)
        if shape[2] == 1:
            pixels = np.rint(pixels @ np.array([GREY]).T)
        return from_pixels(pixels.astype("uint8")), labels

    try:
        model, shape = saved_model(options.saved_model)
        train, labels = images(options.dataset, "train", TRAINING_IMAGES)
        test, test_labels = images(options.dataset, "test", IMAGES)
        strange = {
            name: images(name, "test", IMAGES)[0] for name in options.strange
        }
    except (data.DataError, OSError, ValueError) as error:
        parser.error(str(error))
    features = [model["encode"](each) for each in (train, test)]
    found = {
        "training_images": len(train),
        "test_images": len(test),
        "by_rank": by_rank(features[0], labels, features[1]),
        "neighbours": neighbours(
            features, (labels, test_labels), (train, test)
        ),
        "auroc": {},
    }
    for name, others in strange.items():
        found["auroc"][name] = strangeness(model, train, labels, test, others)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
