"""All that is measured of a trained autoencoder, and of samples of it."""

import collections

import numpy as np

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.evaluation import probing
from keras_csc.evaluation.quality import class_figures
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.evaluation.quality import reference_figures
from keras_csc.evaluation.stages import code_figures
from keras_csc.pixels import from_pixels

Evaluation = collections.namedtuple(
    "Evaluation", ["figures", "features", "reconstructions", "samples"]
)
Evaluation.__doc__ = """What `evaluate` found.

figures: dict of numbers, lists and dicts, as JSON can hold them.
features: array `(n, d)` of the images, or maps `(n, height, width, d)`.
reconstructions: float32 array `(n, height, width, channels)` in [-1, 1].
samples: `Samples`, or `None`.
"""


Samples = collections.namedtuple("Samples", ["figures", "images", "nearest"])
Samples.__doc__ = """What `sample_figures` found.

figures: dict of numbers and dicts.
images: float32 array `(n, height, width, channels)`, made at random.
nearest: uint8 array of the same shape, the training image nearest to each.
"""


def evaluate(
    model,
    images,
    labels,
    train_images,
    train_labels,
    codes=False,
    networks=(),
    judge=None,
    samples=False,
    own_classes=True,
    between=lambda: None,
):
    """Measures an autoencoder on images that it was not trained on.

    Everything is in inference mode. The probes are fitted on features of
    training images.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        labels: ints `(n,)`, -1 for unlabelled.
        train_images: uint8 array `(m, height, width, channels)`.
        train_labels: ints `(m,)`, -1 for unlabelled.
        codes: bool, whether to solve the programs of every stage.
        networks: list of `FeatureExtractor` to compare images and
            reconstructions with.
        judge: `FeatureExtractor` of a classifier that names the class of the
            reconstructions, or `None`.
        samples: bool, whether to measure samples of the model's density.
        own_classes: bool, whether the labels are of the classes that the
            model's density was fitted to. If not, samples are of any class.
        between: function that is called between the measurements, and may
            raise to end them.

    Returns:
        `Evaluation`. Its figures are `reconstruction_figures`, `class_figures`,
        `probe_figures` and, with `codes`, `code_figures`. Named are `psnr_of`
        (`reference_figures`), `distributions` (a list of `compare`), and
        `samples` (`sampling_figures`).
    """
    features, reconstructions, again, figures = reconstruction_figures(
        model, images
    )
    figures["psnr_of"] = reference_figures(model, train_images, images)
    figures.update(class_figures(judge, images, reconstructions, labels))
    between()
    train = passes.encode(model, train_images), train_labels
    figures.update(probing.probe_figures(train, (features, labels), again))
    if codes:
        figures.update(code_figures(model, images))
    between()
    figures["distributions"] = [
        compare(network, images, reconstructions) for network in networks
    ]
    between()
    found = None
    if samples:
        found = sampling_figures(
            model,
            images,
            labels,
            reconstructions,
            train_images,
            judge,
            own_classes,
        )
        figures["samples"] = found.figures
        between()
    return Evaluation(figures, features, reconstructions, found)


def sampling_figures(
    model,
    images,
    labels,
    reconstructions,
    train_images,
    judge,
    own_classes,
):
    """`sample_figures` of as many samples as there are images.

    The samples are of the images' classes. They are of any class if the density
    lacks some of these, or was fitted to other classes.
    """
    classes = model.density.labels
    if not own_classes or not np.all(np.isin(labels, [*classes, -1])):
        labels = np.full(len(images), -1)
    found = sample_figures(
        passes.sample(model, labels),
        images,
        labels,
        train_images,
        judge,
        reconstructions=reconstructions,
    )
    about = {"seed": 0, "density": model.density.get_config()}
    return found._replace(figures={**about, **found.figures})


def sample_figures(made, images, labels, train_images, judge=None, **others):
    """Measures images that any model made at random.

    Args:
        made: float32 array `(n, height, width, channels)` in [-1, 1].
        images: uint8 array of the same shape, of a test set.
        labels: ints `(n,)`, classes that `made` are to be of; -1 for any.
        train_images: uint8 array `(m, height, width, channels)`.
        judge: `FeatureExtractor` of a classifier, or `None`.
        **others: float arrays of images. `nearest` also has their distances to
            the nearest training image, by their names.

    Returns:
        `Samples`. Its figures are `class_figures`, with the classes that were
        asked for, and the following. `nearest` has the mean distances of
        samples, images and others to the nearest training image, by
        `metrics.nearest_images`. `distribution` is `compare` of the judge, or
        `None` without one. If there are enough training images,
        `of_training_images` in it is `compare` with training images in the
        place of samples.
    """
    train = from_pixels(train_images)
    distances, nearest = metrics.nearest_images(made, train)
    sets = images, made, train_images
    figures = {
        "images": len(made),
        **class_figures(judge, images, made, labels),
        "nearest": {"samples": float(np.mean(distances))},
        "distribution": judge and _distribution(judge, *sets),
    }
    for name, each in {"images": from_pixels(images), **others}.items():
        distances, _ = metrics.nearest_images(each, train)
        figures["nearest"][name] = float(np.mean(distances))
    return Samples(figures, made, train_images[nearest])


def _distribution(network, images, made, train_images):
    found = compare(network, images, made)
    if len(train_images) >= len(images):
        of_training = compare(network, images, train_images[: len(images)])
        found["of_training_images"] = of_training
    return found


def compare(extractor, images, reconstructions):
    """Every distance between images and reconstructions, from one pass.

    Args:
        extractor: `FeatureExtractor`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].

    Returns:
        Dict of the figures, with the network that they belong to.
    """
    real, made = (extractor(each)[0] for each in (images, reconstructions))
    precision, recall = metrics.precision_recall(real, made)
    return {
        "network": extractor.about,
        "images": len(images),
        "frechet_distance": metrics.frechet_distance(real, made),
        "precision": precision,
        "recall": recall,
    }
