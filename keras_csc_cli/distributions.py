"""Distances of sets of images, each under the name of the network behind it."""

from keras_csc_cli import classifier
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors

from keras_csc import metrics
from keras_csc.data.progress import Progress

NETWORKS = ("classifier", "inception", "ctrl")
METRICS = ("stages", "classes", *NETWORKS)


def instruments(
    names, options, workdir, inception_weights=None, classifier_path=None
):
    """What an evaluation needs for the metrics that are asked for.

    Args:
        names: some of `METRICS`.
        options: of the run; this and the others as in `extractors`.

    Returns:
        Dict of the arguments `stages`, `networks` and `judge` of
        `evaluation.evaluate`.
    """
    networks = extractors(
        names, options, workdir, inception_weights, classifier_path
    )
    judge = None
    if "classes" in names:
        judge = networks.get("classifier")
        judge = judge or _classifier(options, workdir, classifier_path)
    return {"stages": "stages" in names, "networks": networks, "judge": judge}


def extractors(names, options, workdir, inception_weights, classifier_path):
    """Opens the networks that an evaluation asks for.

    Args:
        names: some of `NETWORKS`.
        options: of the run.
        workdir: `Workdir` of the run.
        inception_weights: path, "imagenet", or `None`.
        classifier_path: path of the classifier, or `None`.

    Returns:
        Dict from name to `FeatureExtractor`, or for `ctrl` to two: of the
        distance and of the score.

    Raises:
        UsageError: if the weights are missing or do not fit.
    """
    opened = {}
    if {"inception", "ctrl"} & set(names):
        path = _inception_file(inception_weights)
        with usage_errors():
            inception = metrics.inception_extractor(path)
            if "inception" in names:
                opened["inception"] = inception
            if "ctrl" in names:
                shifted = metrics.inception_extractor(path, ctrl_input=True)
                opened["ctrl"] = shifted, inception
    if "classifier" in names:
        opened["classifier"] = _classifier(options, workdir, classifier_path)
    return opened


def _classifier(options, workdir, path):
    path = path or classifier.default_path(options, workdir)
    return classifier.extractor(options, path)


def _inception_file(weights):
    if weights is None:
        raise UsageError(
            "--inception_weights is missing: a file of weights of Keras's "
            "InceptionV3, or imagenet to let Keras download its own. Without "
            "it, --metrics=classifier compares features of a classifier "
            "that is trained on this data set."
        )
    if weights != "imagenet":
        return weights
    try:
        return metrics.inception_weights()
    except Exception as error:  # what get_file raises for a failed download
        raise UsageError(
            f"Keras could not download its InceptionV3: {error}. Give the "
            "file with --inception_weights=PATH."
        ) from error


def compare(extractor, images, reconstructions, split="test"):
    """Every distance between images and reconstructions, from one pass.

    Args:
        extractor: `FeatureExtractor`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].
        split: str, where the images are from.

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
        "split": split,
        "images": len(images),
        "frechet_distance": _frechet_distance(real, made),
        "kernel_distance": metrics.kernel_distance(real, made),
        "precision": precision,
        "recall": recall,
        extractor.score: _score(probabilities),
        f"{extractor.score}_of_images": _score(real_probabilities),
    }


def ctrl_protocol(extractors, images, reconstructions):
    """The distance and score that CTRL's released code computes, as far as go.

    Reconstructions of training images; the distance with `2x - 1` as the
    network's input, the score with the right input and 10 splits. Not as
    there: the networks (torchvision's and TF-FID's there), the autoencoder in
    inference mode (with batch statistics there), and the number of images.

    Args:
        extractors: of the distance and of the score.
        images: uint8 array of training images.
        reconstructions: floats of the same shape, in [-1, 1].

    Returns:
        Dict of the figures, with the networks that they belong to.
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
        "frechet_distance": _frechet_distance(real, made),
        inception.score: _score(probabilities),
    }


def _frechet_distance(real, made):
    return metrics.frechet_distance(
        metrics.FeatureStatistics().update(real),
        metrics.FeatureStatistics().update(made),
    )


def _score(probabilities):
    splits = min(10, len(probabilities))
    mean, deviation = metrics.inception_score(probabilities, splits)
    return {"mean": mean, "deviation": deviation, "splits": splits}


def _describe(extractor, images, what):
    progress = Progress(f"{extractor.name}: {what}", len(images))
    return extractor(images, progress=progress.update)


def summary(figures):
    """One line of `compare` or `ctrl_protocol`, with the network's name."""
    parts = [
        f"Fréchet distance ({figures['network']['name']}) "
        f"{figures['frechet_distance']:.4g}"
    ]
    for name in ("kernel_distance", "precision", "recall"):
        if name in figures:
            parts.append(f"{name.replace('_', ' ')} {figures[name]:.4g}")
    for name in ("classifier_score", "inception_score"):
        if name in figures:
            score = figures[name]
            text = f"{name.replace('_', ' ')} {score['mean']:.3g} ± "
            text += f"{score['deviation']:.2g}"
            of_images = figures.get(f"{name}_of_images")
            if of_images:
                text += f" (of the images themselves {of_images['mean']:.3g})"
            parts.append(text)
    where = f"{figures['images']} {figures['split']} images"
    return f"{', '.join(parts)}; {where} and their reconstructions"
