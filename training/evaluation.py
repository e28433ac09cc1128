"""Evaluation of a trained autoencoder on the test split."""

from training import building
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


def evaluate(model, options, workdir):
    """Evaluates a model, and writes the result and pictures of it.

    Everything is in inference mode and on the test split; the probes are
    fitted on features of training images. Writes `evaluation.json` and
    `pictures/evaluation.png`, `atoms_*.png` and, with labels,
    `feature_similarity.png`.

    Args:
        model: `ClosedLoopAutoencoder` with the weights to evaluate.
        options: of the run.
        workdir: `Workdir` of the run.

    Returns:
        Dict of the figures, as in `evaluation.json`.
    """
    test = building.source(options, "test")
    train = building.source(options, "train")
    images, labels = data.load_arrays(test, options.evaluation_limit)
    train_images, train_labels = data.load_arrays(
        train, options.evaluation_limit
    )
    features, figures = reconstruction_figures(model, images)
    train_features = encode(model, train_images)
    figures.update(
        probe_figures(train_features, train_labels, features, labels)
    )
    result = {
        **figures,
        "split": "test",
        "images": len(images),
        "probe_training_images": len(train_images),
        "dataset": options.dataset,
        "step": getattr(options, "step", options.steps),
        "seed": options.seed,
        "run": read_json(workdir.run) if workdir.run.exists() else None,
        "evaluated": identification(),
    }
    write_json(workdir.evaluation, result)
    _draw(model, images, features, labels, workdir.path / "pictures")
    return result


def reconstruction_figures(model, images, batch_size=250):
    """Quality and consistency of reconstructions.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        batch_size: int.

    Returns:
        `(features, figures)`: `(n, d)` and a dict with `psnr` (dB), `ssim`
        (`None` for images smaller than its window), `cosine`, `retrieval`,
        `zero_fraction` (a list, by stage) and `effective_rank`.
    """

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
        psnr = metrics.peak_signal_to_noise_ratio(images, reconstructions)
        if min(images.shape[1:3]) >= 11:
            ssim = metrics.structural_similarity(images, reconstructions)
        else:
            ssim = tf.zeros_like(psnr)
        return output.features, again, psnr, ssim, zeros

    parts = [
        [np.asarray(part) for part in measure(batch)]
        for batch in _float_batches(images, batch_size)
    ]
    features, again, psnr, ssim, zeros = map(np.concatenate, zip(*parts))
    return features, {
        "psnr": float(psnr.mean()),
        "ssim": float(ssim.mean()) if min(images.shape[1:3]) >= 11 else None,
        "cosine": metrics.cosine_similarity(features, again),
        "retrieval": metrics.retrieval_rate(features, again),
        "zero_fraction": zeros.mean(axis=0).tolist(),
        "effective_rank": metrics.effective_rank(features),
    }


def probe_figures(train_features, train_labels, features, labels):
    """Accuracy of simple classifiers on features; `None` without labels."""
    labelled = (train_labels >= 0).any() and (labels >= 0).any()
    if not labelled:
        return {"nearest_subspace_accuracy": None, "knn_accuracy": None}
    parts = (train_features, train_labels, features, labels)
    components = min(10, features.shape[1] - 1)
    return {
        "nearest_subspace_accuracy": metrics.nearest_subspace_accuracy(
            *parts, components=components
        ),
        "knn_accuracy": metrics.knn_accuracy(*parts),
    }


def encode(model, images, batch_size=250):
    """Features `(n, d)` of uint8 images."""
    run = tf.function(model.encode, reduce_retracing=True)
    return np.concatenate(
        [np.asarray(run(b)) for b in _float_batches(images, batch_size)]
    )


def _float_batches(images, batch_size):
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        yield tf.constant(batch.astype("float32") / 127.5 - 1.0)


def _draw(model, images, features, labels, folder):
    shown = next(_float_batches(images, 40)).numpy()
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
        "cosine": text("cosine", "{:.3f}"),
        "retrieval": text("retrieval", "{:.3f}"),
        "nearest subspace": text("nearest_subspace_accuracy", "{:.3f}"),
        "kNN": text("knn_accuracy", "{:.3f}"),
    }
    return ", ".join(
        f"{name} {value}" for name, value in parts.items() if value
    )
