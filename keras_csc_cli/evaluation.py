"""Evaluation of a trained autoencoder on the test split."""

from keras_csc_cli import building
from keras_csc_cli import distributions
from keras_csc_cli import drawing
from keras_csc_cli import encoding
from keras_csc_cli import interruption
from keras_csc_cli import probing
from keras_csc_cli.workdir import identification
from keras_csc_cli.workdir import read_json
from keras_csc_cli.workdir import write_json

import numpy as np
import tensorflow as tf

from keras_csc import data
from keras_csc import metrics
from keras_csc.pixels import from_pixels

SUMMARY = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "cosine": "cosine",
    "retrieval": "retrieval",
    "pixel_retrieval": "in pixels",
    "same_class": "same class",
    "nearest_subspace_accuracy": "nearest subspace",
    "centered_knn_accuracy": "centred 5-NN",
    "linear_probe_accuracy": "linear probe",
}


def evaluate(
    model,
    options,
    workdir,
    stages=False,
    networks=None,
    judge=None,
    split="test",
    name="",
):
    """Evaluates a model, and writes the result and pictures of it.

    Everything is in inference mode; the probes are fitted on features of
    training images. Writes `evaluation.json` and `pictures/evaluation.png`,
    `atoms_*.png` and, with labels, `feature_similarity.png` and
    `class_part_similarity.png`; or, with a name,
    `evaluation-NAME.json` and the pictures in `pictures/evaluation-NAME/`.

    Args:
        model: `ClosedLoopAutoencoder` with the weights to evaluate.
        options: of the run.
        workdir: `Workdir` of the run.
        stages: bool, whether to probe the codes of every stage, too.
        networks: dict of `distributions.extractors`, to compare images and
            reconstructions with.
        judge: `FeatureExtractor` of a classifier that says of which class the
            reconstructions are, or `None`.
        split: the images to evaluate on: "test", "validation" or "train".
        name: str, what tells this evaluation from the run's own.

    Returns:
        Dict of the figures, as in the file, and of its path.
    """
    test = building.source(options, split)
    train = building.source(options, "train")
    images, labels = data.load_arrays(test, options.evaluation_limit)
    train_images, train_labels = data.load_arrays(
        train, options.evaluation_limit
    )
    interruption.check()
    features, reconstructions, again, figures = reconstruction_figures(
        model, images
    )
    figures["psnr_of"] = reference_figures(
        train_images, train_labels, images, labels, features.shape[1]
    )
    figures.update(class_figures(judge, images, reconstructions, labels))
    interruption.check()
    train_features = encoding.encode(model, train_images)
    probed = train_features, train_labels, features, labels, again
    figures.update(probing.probe_figures(*probed))
    figures["class_part"] = probing.part_figures(
        options.class_features, *probed
    )
    if stages:
        figures["stages"] = probing.stage_figures(
            model, train_images, train_labels, images, labels
        )
    figures["distributions"] = distribution_figures(
        networks or {}, model, images, reconstructions, train_images
    )
    interruption.check()
    result = {
        **figures,
        "split": split,
        "images": len(images),
        "images_of_split": test.size,
        "probe_training_images": len(train_images),
        "dataset": options.dataset,
        "data_dir": options.data_dir,
        "step": getattr(options, "step", options.steps),
        "seed": options.seed,
        "run": read_json(workdir.run) if workdir.run.exists() else None,
        "evaluated": identification(),
    }
    path, pictures = workdir.evaluation, workdir.path / "pictures"
    if name:
        path = path.with_name(f"evaluation-{name}.json")
        pictures = pictures / f"evaluation-{name}"
    write_json(path, result)
    drawing.draw(
        model,
        images,
        reconstructions,
        features,
        labels,
        options.class_features,
        pictures,
    )
    return {**result, "file": str(path)}


def origin(result):
    """One line of the images of an evaluation, and of where it is written."""
    where = result["dataset"]
    if result["data_dir"] and where == "image_folder":
        where = result["data_dir"]
    return (
        f"{result['images']} of the {result['images_of_split']} images of the "
        f"split {result['split']} of {where}. Written to {result['file']}."
    )


def reconstruction_figures(model, images, batch_size=250):
    """Quality and consistency of reconstructions.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        batch_size: int.

    Returns:
        `(features, reconstructions, again, figures)`: `(n, d)`, float32
        images, their features `(n, d)`, and a dict with `psnr` (dB), `ssim`
        and `ms_ssim` (`None` for images without room for its window or for two
        scales), `ms_ssim_scales`, `cosine`, `retrieval`, `pixel_retrieval`,
        `zero_fraction` (a list, by
        stage) and `effective_rank`.
    """
    qualities = _qualities(images.shape[1:3])

    @tf.function(reduce_retracing=True)
    def measure(images):
        output = model.encoder.stages(images)
        reconstructions = model.decode(output.features)
        again = model.encode(reconstructions)
        zeros = tf.stack(
            [
                tf.reduce_mean(tf.cast(code == 0, tf.float32), axis=(1, 2, 3))
                for code in output.codes
            ],
            axis=1,
        )
        quality = tf.stack(
            [metric(images, reconstructions) for metric in qualities.values()],
            axis=1,
        )
        return output.features, reconstructions, again, quality, zeros

    parts = [
        [np.asarray(part) for part in measure(batch)]
        for batch in encoding.float_batches(images, batch_size)
    ]
    features, reconstructions, again, quality, zeros = map(
        np.concatenate, zip(*parts)
    )
    means = dict(zip(qualities, quality.mean(axis=0).tolist()))
    return (
        features,
        reconstructions,
        again,
        {
            **{name: means.get(name) for name in ("psnr", "ssim", "ms_ssim")},
            "ms_ssim_scales": metrics.scales_that_fit(*images.shape[1:3]),
            "cosine": metrics.cosine_similarity(features, again),
            "retrieval": metrics.retrieval_rate(features, again),
            "pixel_retrieval": metrics.pixel_retrieval_rate(
                from_pixels(images), reconstructions
            ),
            "zero_fraction": zeros.mean(axis=0).tolist(),
            "effective_rank": metrics.effective_rank(features),
        },
    )


def _qualities(sides):
    scales = metrics.scales_that_fit(*sides)
    functions = {"psnr": metrics.peak_signal_to_noise_ratio}
    if scales >= 1:
        functions["ssim"] = metrics.structural_similarity
    if scales >= 2:
        functions["ms_ssim"] = metrics.multiscale_structural_similarity
    return functions


def reference_figures(
    train_images, train_labels, images, labels, components, most=2**26
):
    """`metrics.reference_psnr` of uint8 images.

    Args:
        train_images: uint8 array `(n, height, width, channels)`.
        train_labels: ints `(n,)`, -1 for unlabelled.
        images: uint8 array `(m, height, width, channels)`.
        labels: ints `(m,)`.
        components: int, the number of features.
        most: int, numbers of training images that there is memory for.

    Returns:
        Dict of the figures, and of the number of `training_images`.
    """
    count = max(1, most // train_images[0].size)
    train, test = (from_pixels(each) for each in (train_images[:count], images))
    return {
        **metrics.reference_psnr(
            train, test, components, train_labels[:count], labels
        ),
        "training_images": len(train),
    }


def class_figures(judge, images, reconstructions, labels):
    """What share of images and reconstructions a classifier recognises.

    Args:
        judge: `FeatureExtractor` of the data set's classifier, or `None`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].
        labels: ints `(n,)`, -1 for unlabelled.

    Returns:
        Dict with `same_class`, of the reconstructions, `same_class_of_images`
        and `classifier`, its name with its own test accuracy; `None` each
        without a judge.
    """
    if judge is None:
        names = "same_class", "same_class_of_images", "classifier"
        return dict.fromkeys(names)
    made, real = (
        metrics.same_class_rate(judge(each)[1], labels)
        for each in (reconstructions, images)
    )
    return {
        "same_class": made,
        "same_class_of_images": real,
        "classifier": judge.name,
    }


def distribution_figures(
    networks, model, images, reconstructions, train_images
):
    """The comparisons with every network, as a list of dicts."""
    figures = []
    for name, network in networks.items():
        if name == "ctrl":
            trained = encoding.reconstruct(model, train_images)
            figures.append(
                distributions.ctrl_protocol(network, train_images, trained)
            )
        else:
            figures.append(
                distributions.compare(network, images, reconstructions)
            )
    return figures


def summary(result):
    """One line of the main figures of an evaluation."""
    part = result["class_part"] or {}
    beside = {
        "psnr": {"PCA": result["psnr_of"]["pca"]},
        "same_class": {"of the images": result["same_class_of_images"]},
        "nearest_subspace_accuracy": {
            "class part": part.get("nearest_subspace_accuracy"),
            "regenerated": result["reconstructed_nearest_subspace_accuracy"],
        },
        "centered_knn_accuracy": {
            "class part": part.get("centered_knn_accuracy")
        },
        "linear_probe_accuracy": {
            "class part": part.get("linear_probe_accuracy")
        },
    }
    parts = []
    for name, title in SUMMARY.items():
        if result[name] is not None:
            form = "{:.2f} dB" if name == "psnr" else "{:.3f}"
            more = ", ".join(
                f"{what} {form.format(value)}"
                for what, value in beside.get(name, {}).items()
                if value is not None
            )
            text = f"{title} {form.format(result[name])}"
            parts.append(f"{text} ({more})" if more else text)
    return ", ".join(parts)
