"""How far sets of images are apart, and how good samples of a density are."""

import collections

import numpy as np

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.evaluation.quality import class_figures
from keras_csc.pixels import from_pixels
from keras_csc.terminal import Progress


def comparison_figures(networks, model, images, reconstructions, train_images):
    """List of the figures of `compare`, and of `ctrl_protocol`, by network."""
    figures = []
    for name, network in networks.items():
        if name == "ctrl":
            made = passes.reconstruct(model, train_images)
            figures.append(ctrl_protocol(network, train_images, made))
        else:
            figures.append(compare(network, images, reconstructions))
    return figures


def compare(extractor, images, reconstructions):
    """Every distance between images and reconstructions, from one pass.

    Args:
        extractor: `FeatureExtractor`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].

    Returns:
        Dict of the figures, with the network that they belong to.
    """
    real, real_probabilities = _describe(extractor, images, "images")
    made, probabilities = _describe(
        extractor, reconstructions, "reconstructions"
    )
    precision, recall = metrics.precision_recall(real, made)
    return {
        "network": extractor.about,
        "images": len(images),
        "frechet_distance": metrics.frechet_distance(real, made),
        "kernel_distance": metrics.kernel_distance(real, made),
        "precision": precision,
        "recall": recall,
        extractor.score: _score(probabilities),
        f"{extractor.score}_of_images": _score(real_probabilities),
    }


def ctrl_protocol(extractors, images, reconstructions):
    """The distance and score by the steps of CTRL's released code.

    They are of reconstructions of training images; the distance with `2x - 1`
    as the network's input, the score with the right input and 10 splits. CTRL's
    code has other networks (torchvision's and TF-FID's), an autoencoder with
    batch statistics, and another number of images.

    Args:
        extractors: of the distance and of the score.
        images, reconstructions: as of `compare`, of training images.
    """
    shifted, inception = extractors
    real, _ = _describe(shifted, images, "images")
    made, _ = _describe(shifted, reconstructions, "reconstructions")
    _, probabilities = _describe(inception, reconstructions, "reconstructions")
    return {
        "network": shifted.about,
        "score_network": inception.about,
        "split": "train",
        "protocol": "CTRL's, with other networks, in inference mode",
        "images": len(images),
        "frechet_distance": metrics.frechet_distance(real, made),
        inception.score: _score(probabilities),
    }


def _score(probabilities):
    splits = min(10, len(probabilities))
    mean, deviation = metrics.inception_score(probabilities, splits)
    return {"mean": mean, "deviation": deviation, "splits": splits}


def _describe(extractor, images, what):
    progress = Progress(f"{extractor.name}: {what}", len(images))
    return extractor(images, progress=progress.update)


Samples = collections.namedtuple("Samples", ["figures", "images", "nearest"])
Samples.__doc__ = """What `sampling_figures` found.

figures: dict of numbers and dicts.
images: float32 array `(n, height, width, channels)`, made at random.
nearest: uint8 array of the same shape, the training image nearest to each.
"""


def sampling_figures(
    model,
    images,
    labels,
    reconstructions,
    train_images,
    judge=None,
    seed=0,
    own_classes=True,
):
    """Measures as many samples as there are images, of the same classes.

    Args:
        model: `ClosedLoopAutoencoder` with a density.
        images, labels, train_images, judge: as of `evaluate`. Where the
            density has not all classes of the labels, samples are of any.
        reconstructions: floats of the same shape as `images`, in [-1, 1].
        seed: int, of the samples.
        own_classes: bool, whether the labels are of the classes that the
            density was fitted to. If not, samples are of any.

    Returns:
        `Samples`. Its figures are `class_figures`, with the classes that were
        asked for; `nearest`, the mean distances of samples, images and
        reconstructions to the nearest training image, of
        `metrics.nearest_images`; and `distribution`, of `compare`, with the
        distribution `of_training_images` in the place of samples. Without a
        judge, its figures are `None`.
    """
    classes = np.flatnonzero(model.density.priors)
    if not own_classes or not np.all(np.isin(labels, [*classes, -1])):
        labels = np.full(len(images), -1)
    made = passes.sample(model, labels, seed)
    found = sample_figures(
        made,
        images,
        labels,
        train_images,
        judge,
        reconstructions=reconstructions,
    )
    about = {"seed": seed, "density": model.density.get_config()}
    return found._replace(figures={**about, **found.figures})


def sample_figures(made, images, labels, train_images, judge=None, **others):
    """Measures images that any model made at random.

    Args:
        made: float32 array `(n, height, width, channels)` in [-1, 1].
        images: uint8 array of the same shape, of a test set.
        labels: ints `(n,)`, classes that `made` are to be of; -1 for any.
        train_images: uint8 array `(m, height, width, channels)`.
        judge: `FeatureExtractor` of a classifier, or `None`.
        **others: float arrays of images, whose distances to the nearest
            training image are also in `nearest`, by their names.

    Returns:
        `Samples`, with the figures that `sampling_figures` names.
    """
    floats, train = from_pixels(images), from_pixels(train_images)
    distances, nearest = metrics.nearest_images(made, train)
    figures = {
        "images": len(made),
        **class_figures(judge, images, made, labels),
        "nearest": {
            "samples": float(np.mean(distances)),
            **{
                name: float(np.mean(metrics.nearest_images(each, train)[0]))
                for name, each in {"images": floats, **others}.items()
            },
        },
        "distribution": None,
    }
    if judge is not None:
        figures["distribution"] = compare(judge, images, made)
    if judge is not None and len(train_images) >= len(images):
        figures["distribution"]["of_training_images"] = compare(
            judge, images, train_images[: len(images)]
        )
    return Samples(figures, made, train_images[nearest])
