"""The flags of `evaluate.py`, with their help texts."""

from keras_csc_cli import missing
from keras_csc_cli.command_line import UsageError

DESCRIPTION = """Evaluates a trained run again.

    python training/evaluate.py --workdir=runs/cifar10
    keras-csc evaluate --workdir=runs/cifar10

On the test split of the run's data set it writes WORKDIR/evaluation.json and
pictures beside it. On other data (--dataset, --data_dir), another --split, or
the last checkpoint (--checkpoint), also of a run that is not finished, it
writes WORKDIR/evaluation-NAME.json and pictures/evaluation-NAME/ instead; so it
does of fewer images (--evaluation_limit) or metrics than a file that is there,
which stays. What takes minutes is computed when --metrics asks for it.
"""

FIRST = ("workdir", "dataset", "data_dir", "split", "checkpoint")
# What takes minutes to measure.
METRICS = {
    "codes": "nearest subspace, kNN and a linear probe of every stage's codes.",
    "classes": "the share of regenerated images that a small classifier, which "
    "is trained on the data set's labels the first time, puts in the image's "
    "class.",
    "classifier": "Fréchet and kernel distance, precision, recall and class "
    "score, from features of the same classifier.",
    "samples": "the same of images that are made at random from the density of "
    "features, the share of them in the class that was asked for, and how far "
    "the nearest training image is; with pictures.",
    "inception": "as classifier, with Keras's InceptionV3, of "
    "--inception_weights.",
    "ctrl": "distance and score with the steps of CTRL's released code, also "
    "of --inception_weights.",
}


def define_data(define):
    """Defines the flags of which images a trained model is asked."""
    define.string(
        "dataset",
        None,
        "Another data set than that of the training: a TFDS name, or "
        "image_folder, digits, photographs.",
    )
    define.path(
        "data_dir",
        None,
        "Folder of the data, if not as in training: of prepared TFDS data "
        "sets, or the image folder.",
    )
    define.enum(
        "split",
        "test",
        ["test", "validation", "train"],
        "Part of the data set. Of an image folder that is not divided into "
        "train, test and perhaps validation, a tenth of the images are for "
        "tests.",
    )


def _define_what(define):
    define.path("workdir", None, "Folder of the run.")
    define_data(define)
    define.boolean(
        "checkpoint",
        False,
        "Evaluates the last checkpoint, not the trained model.",
    )
    define.boolean(
        "projector",
        False,
        "Writes the features, with thumbnails and labels, to "
        "tensorboard/projector/ of WORKDIR, for TensorBoard's projector.",
    )
    define.integer(
        "evaluation_limit",
        None,
        "Most images of a split that are used, if not as in training.",
        lower_bound=1,
        upper_bound=1_000_000,
        why="each is compared with each",
    )


def _define_metrics(define):
    texts = [f"{name}: {text}" for name, text in METRICS.items()]
    define.some(
        "metrics",
        None,
        METRICS,
        "What else to measure, separated by commas; by default what the run "
        f"was trained with. {' '.join(texts)}",
    )
    define.path(
        "inception_weights",
        None,
        "File of weights of Keras's InceptionV3 with its last layer, or "
        "imagenet: Keras's own, which Keras downloads the first time.",
    )
    define.path(
        "classifier",
        None,
        "File of the classifier, .keras; trained and written if it is not "
        "there. By default classifiers/DATASET_SHAPE.keras in WORKDIR; give a "
        "file of your own to share it among runs.",
    )


def check(options):
    """Raises `UsageError` for what is missing."""
    if options.workdir is None:
        raise UsageError("--workdir is missing: the folder of a run.")
    missing.check_run(options.workdir)
    if not options.checkpoint:
        missing.check_trained(options.workdir)
    missing.check_images(options.dataset, options.data_dir)


SECTIONS = {"What is evaluated": _define_what, "Metrics": _define_metrics}
