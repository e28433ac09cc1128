"""Everything that is measured of a trained autoencoder, in one go."""

import collections

from keras_csc.evaluation import passes
from keras_csc.evaluation import probing
from keras_csc.evaluation.quality import class_figures
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.evaluation.quality import reference_figures
from keras_csc.evaluation.sampling import comparison_figures
from keras_csc.evaluation.sampling import sampling_figures
from keras_csc.evaluation.stages import code_figures
from keras_csc.evaluation.stages import dictionary_figures

Evaluation = collections.namedtuple(
    "Evaluation", ["figures", "features", "reconstructions", "samples"]
)
Evaluation.__doc__ = """What `evaluate` found.

figures: dict of numbers, lists and dicts, as JSON can hold them.
features: array `(n, d)` of the images, or maps `(n, height, width, d)`.
reconstructions: float32 array `(n, height, width, channels)` in [-1, 1].
samples: `Samples` of `sampling_figures`, or `None`.
"""


def evaluate(
    model,
    images,
    labels,
    train_images,
    train_labels,
    class_features=0,
    codes=False,
    networks=None,
    judge=None,
    samples=False,
    own_classes=True,
    between=lambda: None,
):
    """Measures an autoencoder on images that it was not trained on.

    Everything is in inference mode; the probes are fitted on features of
    training images.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        labels: ints `(n,)`, -1 for unlabelled.
        train_images: uint8 array `(m, height, width, channels)`.
        train_labels: ints `(m,)`, -1 for unlabelled.
        class_features: int, how many of the features carry the classes; 0 for
            none.
        codes: bool, whether to solve the programs of every stage, and to probe
            its codes.
        networks: dict of `FeatureExtractor` to compare images and
            reconstructions with, by name; `ctrl` has two, for the distance and
            for the score of `ctrl_protocol`.
        judge: `FeatureExtractor` of a classifier that names the class of the
            reconstructions, or `None`.
        samples: bool, whether to measure samples of the model's density.
        own_classes: bool, as of `sampling_figures`.
        between: function that is called between the measurements, and may
            raise to end them.

    Returns:
        `Evaluation`. Its figures are `reconstruction_figures`,
        `class_figures` and `probe_figures`; and by name `psnr_of`
        (`reference_figures`), `dictionaries` (`dictionary_figures`),
        `class_part` (`part_figures`), `distributions` (`comparison_figures`),
        `codes` and `psnr_by_solver_steps` (`code_figures`), `code_probes`
        (`code_probe_figures`) and `samples` (`sampling_figures`).
    """
    features, reconstructions, again, figures = reconstruction_figures(
        model, images
    )
    figures["psnr_of"] = reference_figures(
        model, train_images, train_labels, images, labels
    )
    figures.update(class_figures(judge, images, reconstructions, labels))
    figures["dictionaries"] = dictionary_figures(model, images)
    between()
    train_features = passes.encode(model, train_images)
    rows, train_rows = passes.rows(features), passes.rows(train_features)
    figures.update(
        probing.probe_figures(
            train_rows, train_labels, rows, labels, passes.rows(again)
        )
    )
    figures["class_part"] = probing.part_figures(
        class_features, train_features, train_labels, features, labels, again
    )
    if codes:
        figures.update(code_figures(model, images))
        figures["code_probes"] = probing.code_probe_figures(
            model, train_images, train_labels, images, labels
        )
    between()
    figures["distributions"] = comparison_figures(
        networks or {}, model, images, reconstructions, train_images
    )
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
            own_classes=own_classes,
        )
        figures["samples"] = found.figures
        between()
    return Evaluation(figures, features, reconstructions, found)
