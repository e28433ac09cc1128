"""Evaluation of a trained autoencoder on the test split."""

from training import building
from training import distributions
from training import encoding
from training import interruption
from training.workdir import identification
from training.workdir import read_json
from training.workdir import write_json

import numpy as np
import tensorflow as tf

from keras_csc import data
from keras_csc import metrics
from keras_csc.callbacks.pictures import draw_atoms
from keras_csc.callbacks.pictures import draw_reconstructions
from keras_csc.visualization import save_figure
from keras_csc.visualization import save_png
from keras_csc.visualization import similarity_figure


def evaluate(
    model,
    options,
    workdir,
    stages=False,
    networks=None,
    split="test",
    name="",
):
    """Evaluates a model, and writes the result and pictures of it.

    Everything is in inference mode; the probes are fitted on features of
    training images. Writes `evaluation.json` and `pictures/evaluation.png`,
    `atoms_*.png` and, with labels, `feature_similarity.png`; or, with a name,
    `evaluation-NAME.json` and the pictures in `pictures/evaluation-NAME/`.

    Args:
        model: `ClosedLoopAutoencoder` with the weights to evaluate.
        options: of the run.
        workdir: `Workdir` of the run.
        stages: bool, whether to probe the codes of every stage, too.
        networks: dict of `distributions.extractors`, to compare images and
            reconstructions with.
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
    features, reconstructions, figures = reconstruction_figures(model, images)
    train_features = encoding.encode(model, train_images)
    interruption.check()
    figures.update(
        probe_figures(train_features, train_labels, features, labels)
    )
    if stages:
        figures["stages"] = stage_figures(
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
    _draw(model, images, features, labels, pictures)
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
        `(features, reconstructions, figures)`: `(n, d)`, float32 images, and
        a dict with `psnr` (dB), `ssim` and `ms_ssim` (`None` for images
        without room for its window or for two scales), `ms_ssim_scales`,
        `cosine`, `retrieval`, `pixel_retrieval`, `zero_fraction` (a list, by
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
        {
            **{name: means.get(name) for name in ("psnr", "ssim", "ms_ssim")},
            "ms_ssim_scales": metrics.scales_that_fit(*images.shape[1:3]),
            "cosine": metrics.cosine_similarity(features, again),
            "retrieval": metrics.retrieval_rate(features, again),
            "pixel_retrieval": metrics.pixel_retrieval_rate(
                images / np.float32(127.5) - np.float32(1), reconstructions
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


def probe_figures(train_features, train_labels, features, labels):
    """What features know of the classes; `None` without two of them.

    Returns:
        Dict with the accuracies of simple classifiers, fitted on training
        features, and of the test features the mean over classes of the
        effective rank and the angles between their subspaces in degrees: the
        mean, and the mean over pairs of classes of the smallest.
    """
    figures = dict.fromkeys(
        (
            "nearest_subspace_accuracy",
            "knn_accuracy",
            "linear_probe_accuracy",
            "class_effective_rank",
            "subspace_angle",
            "smallest_subspace_angle",
            "subspace_components",
        )
    )
    if not _has_classes(train_labels, labels):
        return figures
    return {
        **figures,
        **accuracies(train_features, train_labels, features, labels),
        "class_effective_rank": float(
            np.mean(metrics.class_effective_ranks(features, labels))
        ),
        **angle_figures(features, labels),
    }


def accuracies(train_features, train_labels, features, labels):
    """Accuracies of simple classifiers of features."""
    parts = (train_features, train_labels, features, labels)
    components = min(10, features.shape[1] - 1)
    return {
        "nearest_subspace_accuracy": metrics.nearest_subspace_accuracy(
            *parts, components=components
        ),
        "knn_accuracy": metrics.knn_accuracy(*parts),
        "linear_probe_accuracy": metrics.linear_probe_accuracy(*parts),
    }


def angle_figures(features, labels):
    """Angles between the subspaces of classes, in degrees.

    Of as many components as the classes have room for, at most 10; `None` if
    a class has collapsed to fewer.
    """
    examples = np.unique(labels[labels >= 0], return_counts=True)[1]
    components = int(min(10, features.shape[1] // 2, examples.min()))
    try:
        angles = metrics.subspace_angles(features, labels, components)
    except ValueError:
        return {}
    angles = np.degrees(angles[np.triu_indices(len(angles), 1)])
    return {
        "subspace_angle": float(np.mean(angles)),
        "smallest_subspace_angle": float(np.mean(angles[:, -1])),
        "subspace_components": components,
    }


def _has_classes(*sets):
    return all(len(np.unique(labels[labels >= 0])) > 1 for labels in sets)


def stage_figures(model, train_images, train_labels, images, labels):
    """Accuracies of simple classifiers of the codes of every stage.

    Of positive and negative parts of the codes, each averaged over quadrants;
    `None` without two classes. Every accuracy is a list, by stage.
    """
    if not _has_classes(train_labels, labels):
        return None
    train_codes, codes = (
        encoding.pooled_stages(model, each) for each in (train_images, images)
    )
    found = [
        accuracies(train, train_labels, test, labels)
        for train, test in zip(train_codes, codes)
    ]
    return {
        "codes": "positive and negative parts, means over quadrants",
        "numbers": [code.shape[1] for code in codes],
        **{name: [each[name] for each in found] for name in found[0]},
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


def _draw(model, images, features, labels, folder):
    shown = next(encoding.float_batches(images, 40)).numpy()
    save_png(folder / "evaluation.png", draw_reconstructions(model, shown))
    for name, picture in draw_atoms(model).items():
        save_png(folder / f"{name}.png", picture)
    if (labels >= 0).any():
        count = min(len(labels), 2000)
        save_figure(
            folder / "feature_similarity.png",
            similarity_figure(features[:count], labels[:count]),
        )


def summary(result):
    """One line of the main figures of an evaluation."""

    def text(name, form, unit=""):
        value = result[name]
        return None if value is None else f"{form.format(value)}{unit}"

    parts = {
        "PSNR": text("psnr", "{:.2f}", " dB"),
        "SSIM": text("ssim", "{:.3f}"),
        "MS-SSIM": text("ms_ssim", "{:.3f}"),
        "cosine": text("cosine", "{:.3f}"),
        "retrieval": text("retrieval", "{:.3f}"),
        "in pixels": text("pixel_retrieval", "{:.3f}"),
        "nearest subspace": text("nearest_subspace_accuracy", "{:.3f}"),
        "kNN": text("knn_accuracy", "{:.3f}"),
        "linear probe": text("linear_probe_accuracy", "{:.3f}"),
    }
    return ", ".join(
        f"{name} {value}" for name, value in parts.items() if value
    )
