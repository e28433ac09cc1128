"""The networks that the metrics of an evaluation need.

Those that are there, and the classifier of the run's data set, which is trained
where it has no file yet.
"""

import contextlib
import pathlib

from keras_csc_cli import building
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.records import check_folder
from keras_csc_cli.records import identification

import keras

from keras_csc import data
from keras_csc import evaluation
from keras_csc.files import replacing
from keras_csc.terminal import Progress

# Of the training of a classifier.
STEPS = 2000
EPOCHS = 10  # at most: few images are learned in less
BATCH_SIZE = 128


def check(names, inception_weights=None, classifier_path=None):
    """For missing weights, and for another name than a classifier's."""
    if {"inception", "ctrl"} & set(names) and inception_weights is None:
        raise UsageError(
            "--inception_weights is missing: a file of weights of Keras's "
            "InceptionV3, or imagenet to let Keras download its own. Without "
            "it, --metrics=classifier compares features of a classifier "
            "that is trained on this data set."
        )
    if classifier_path and pathlib.Path(classifier_path).suffix != ".keras":
        raise UsageError(
            f"--classifier must end in .keras. Received: {classifier_path}"
        )


def instruments(names, splits, classifier_path, inception_weights=None):
    """What an evaluation needs for the metrics that are asked for.

    Args:
        names: of `--metrics`.
        splits: `Splits` of the data.
        classifier_path: path of the classifier.
        inception_weights: path, "imagenet", or `None`.

    Returns:
        Dict of the arguments `codes`, `networks`, `judge` and `samples` of
        `evaluation.evaluate`. Samples of data without classes have no judge.
    """
    networks = inception_networks(names, inception_weights)
    judge = None
    judged = {"classifier", "classes"}
    if splits.num_classes and splits.num_classes > 1:
        judged.add("samples")
    if judged & set(names):
        judge = classifier(splits, classifier_path)
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
    if weights != "imagenet":
        return weights
    try:
        return evaluation.inception_weights()
    except Exception as error:  # what get_file raises for a failed download
        raise UsageError(
            f"Keras could not download its InceptionV3: {error}. Give the "
            "file with --inception_weights=PATH."
        ) from error


def classifier(splits, path):
    """Features of the data set's classifier, trained now if it has no file.

    It is trained with seed 0 on the training split, without augmentation, for
    `STEPS` batches or, of few images, `EPOCHS` passes over them, and keeps its
    accuracy on the test split.

    Args:
        splits: `Splits` of the data.
        path: `.keras` file to read, or to write if it is not there.

    Returns:
        `FeatureExtractor`.

    Raises:
        UsageError: if the data have no labels, or the file is damaged, that
            of another data set, or can't be written.
    """
    path = pathlib.Path(path)
    splits.check_classes()
    expected = {
        "dataset": splits.dataset,
        "training_images": splits["train"].size,
        "num_classes": splits.num_classes,
        "image_shape": "x".join(map(str, splits.image_shape)),
    }
    if splits.dataset == "image_folder":
        expected["names"] = splits["train"].identity()["digest"]
    if not path.exists():
        _train(splits, path, expected)
    try:
        found = evaluation.classifier_extractor(path)
    except ValueError as error:
        raise UsageError(
            f"{error}. Remove it, or choose another with --classifier."
        ) from error
    for name, value in expected.items():
        if found.about.get(name) != value:
            raise UsageError(
                f"the classifier {path} was trained with {name}="
                f"{found.about.get(name)}, and this run has {value}. Choose "
                "another file with --classifier."
            )
    return found


def _train(splits, path, record):
    check_folder(path.parent, "classifier")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    train = splits["train"]
    model = evaluation.ImageClassifier(train.image_shape, train.num_classes)
    batch_size = min(BATCH_SIZE, train.size)
    steps = min(STEPS, EPOCHS * train.size // batch_size)
    progress = Progress("Training the classifier, batches", steps)

    def report(batch, logs):
        progress.update(batch + 1)

    evaluation.fit_classifier(
        model,
        data.batches(data.cached(train, building.CACHE_BYTES), batch_size),
        steps,
        [keras.callbacks.LambdaCallback(on_train_batch_end=report)],
    )
    test = data.evaluation_batches(splits["test"], 250)
    accuracy = evaluation.classifier_accuracy(model, test)
    model.record = {
        **record,
        "test_accuracy": round(accuracy, 4),
        "seed": model.seed,
        "steps": steps,
        "batch_size": batch_size,
        **identification(),
    }
    with _writing(path):
        with replacing(path) as temporary:
            model.save(temporary)


@contextlib.contextmanager
def _writing(path):
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the classifier {path} can't be written: {error.strerror}. Choose "
            "another file with --classifier."
        ) from error
