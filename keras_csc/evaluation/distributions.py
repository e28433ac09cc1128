"""Distances of sets of images, each under the name of the network behind it."""

from keras_csc import metrics
from keras_csc.evaluation import passes
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
