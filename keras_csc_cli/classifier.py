"""The classifier of a run's data set, from its file or trained now."""

import contextlib
import pathlib

from keras_csc_cli.command_line import UsageError
from keras_csc_cli.workdir import identification

import keras

from keras_csc import data
from keras_csc import evaluation
from keras_csc.data.progress import Progress
from keras_csc.files import replacing

STEPS = 2000
EPOCHS = 10  # at most: few images are learned in less
BATCH_SIZE = 128
CACHE_BYTES = 4 * 2**30


def extractor(splits, path):
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
        UsageError: if the data have no labels, or the file is damaged or that
            of another data set.
    """
    path = pathlib.Path(path)
    splits.check_classes()
    expected = {
        "dataset": splits.dataset,
        "training_images": splits["train"].size,
        "num_classes": splits.num_classes,
        "image_shape": "x".join(map(str, splits.image_shape)),
    }
    if path.suffix != ".keras":
        raise UsageError(f"--classifier must end in .keras. Received: {path}")
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
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    train = splits["train"]
    classifier = evaluation.ImageClassifier(
        train.image_shape, train.num_classes
    )
    batch_size = min(BATCH_SIZE, train.size)
    steps = min(STEPS, EPOCHS * train.size // batch_size)
    progress = Progress("Training the classifier, batches", steps)

    def report(batch, logs):
        progress.update(batch + 1)

    evaluation.fit_classifier(
        classifier,
        data.batches(data.cached(train, CACHE_BYTES), batch_size),
        steps,
        [keras.callbacks.LambdaCallback(on_train_batch_end=report)],
    )
    test = data.evaluation_batches(splits["test"], 250)
    accuracy = evaluation.classifier_accuracy(classifier, test)
    classifier.record = {
        **record,
        "test_accuracy": round(accuracy, 4),
        "seed": classifier.seed,
        "steps": steps,
        "batch_size": batch_size,
        **identification(),
    }
    with _writing(path):
        with replacing(path) as temporary:
            classifier.save(temporary)


@contextlib.contextmanager
def _writing(path):
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the classifier {path} can't be written: {error.strerror}. Choose "
            "another file with --classifier."
        ) from error
