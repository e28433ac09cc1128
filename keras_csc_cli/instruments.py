"""The networks that the metrics of an evaluation need."""

from keras_csc_cli import classifier
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors

from keras_csc import evaluation

NETWORKS = ("classifier", "inception", "ctrl")
METRICS = ("codes", "classes", "samples", *NETWORKS)


def instruments(names, splits, classifier_path, inception_weights=None):
    """What an evaluation needs for the metrics that are asked for.

    Args:
        names: some of `METRICS`.
        splits: `Splits` of the data.
        classifier_path: path of the classifier.
        inception_weights: path, "imagenet", or `None`.

    Returns:
        Dict of the arguments `codes`, `networks`, `judge` and `samples` of
        `evaluation.evaluate`. Samples of data without classes have no judge.

    Raises:
        UsageError: if the weights are missing or do not fit.
    """
    networks = inception_networks(names, inception_weights)
    judge = None
    judged = {"classifier", "classes"}
    if splits.num_classes and splits.num_classes > 1:
        judged.add("samples")
    if judged & set(names):
        judge = classifier.extractor(splits, classifier_path)
    if "classifier" in names:
        networks["classifier"] = judge
    return {
        "codes": "codes" in names,
        "networks": networks,
        "judge": judge if {"classes", "samples"} & set(names) else None,
        "samples": "samples" in names,
    }


def inception_networks(names, weights):
    """The extractors of InceptionV3 that metrics need, by their names."""
    opened = {}
    if {"inception", "ctrl"} & set(names):
        path = _inception_file(weights)
        with usage_errors():
            inception = evaluation.inception_extractor(path)
            if "inception" in names:
                opened["inception"] = inception
            if "ctrl" in names:
                shifted = evaluation.inception_extractor(path, ctrl_input=True)
                opened["ctrl"] = shifted, inception
    return opened


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
        return evaluation.inception_weights()
    except Exception as error:  # what get_file raises for a failed download
        raise UsageError(
            f"Keras could not download its InceptionV3: {error}. Give the "
            "file with --inception_weights=PATH."
        ) from error
