"""Trains one run of the plan and writes what is measured of it.

    python studies/measure.py --run=KEY --runs=FOLDER --data_dir=DATA
        [--more=unseen,noise,samples]

Writes FOLDER/KEY/row.json; what was trained is not trained again. The flags in
the row say which policy --dtype_policy=auto was.
"""

import functools
import json
import pathlib
import statistics
import warnings

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import devices
from keras_csc_cli import results
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.building import Splits
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json
from keras_csc_cli.workdir import Workdir

import numpy as np
from absl import flags

from keras_csc import callbacks
from keras_csc import data
from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.files import locked
from keras_csc.pixels import from_pixels
from studies import baselines
from studies import plan
from studies.runs import timed

KEPT = (
    "psnr",
    "ssim",
    "ms_ssim",
    "cosine",
    "retrieval",
    "pixel_retrieval",
    "zero_fraction",
    "explained",
    "nonzeros",
    "effective_rank",
    "psnr_of",
    "same_class",
    "same_class_of_images",
    "nearest_subspace_accuracy",
    "reconstructed_nearest_subspace_accuracy",
    "centered_knn_accuracy",
    "linear_probe_accuracy",
)
LIMIT = 5000
# Of noise, in units of intensities in [0, 1].
LEVELS = (0.05, 0.1, 0.2)
SPARSITIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
NOISY = {"validation": 25, "test": 100}


def measure(run, folder, data_dir):
    """Trains a run and measures it.

    Args:
        run: `Run`, with its number of steps.
        folder: of the run.
        data_dir: folder of prepared TFDS data sets.

    Returns:
        The row: a dict.
    """
    options, make = options_of(run, folder, data_dir), maker(run)
    kept = "name", "data", "kind", "flags", "seed"
    row = {name: getattr(run, name) for name in kept} | {"failed": None}
    try:
        train.train(options, make)
    except callbacks.NonFiniteError as error:
        return {**row, "failed": str(error), "about": identification()}
    splits = Splits(options)
    model, row["seconds"] = trained(options, make, splits.num_classes)
    row |= figures_of(model, options, splits, "samples" in run.more)
    if "unseen" in run.more:
        row["unseen"] = unseen(model, options, run.data)
    if "noise" in run.more:
        row["noise"] = noisy(model, splits)
    return {**row, "about": identification()}


def figures_of(model, options, splits, samples):
    """What every row has of a trained model; with Fréchet of `samples`."""
    folder = pathlib.Path(options.workdir)
    metrics = ["classes", "classifier", *["samples"] * samples]
    with Workdir(folder, create=False) as workdir:
        figures = results.evaluate(
            model,
            train_options.replaced(options, evaluation_limit=LIMIT),
            workdir,
            splits,
            metrics,
            classifier=classifier(splits, folder.parent),
        )
    (distribution,) = figures["distributions"]
    row = {
        **{name: figures[name] for name in KEPT},
        "frechet_distance": distribution["frechet_distance"],
        "labels": model.game.needs_labels,
        "weights": model.count_params(),
        "steps": options.steps,
        "batch_size": options.batch_size,
    }
    if samples:
        found = figures["samples"]["distribution"]
        row["samples"] = found["frechet_distance"]
    return row


def trained(options, make, num_classes):
    """The trained model of a run, and how many seconds it trained.

    Args:
        options: of the run.
        make: what made the model, as of `train.train`.
        num_classes: int, or `None` without labels.
    """
    model = make(options, num_classes)
    with Workdir(options.workdir, create=False) as workdir:
        with warnings.catch_warnings():
            # Optimizers, which a trained model has not, stay as they are.
            warnings.filterwarnings("ignore", "Skipping variable loading")
            model.load_weights(workdir.model / "model.weights.h5")
        return model, read_json(workdir.run)["seconds"]


def options_of(run, folder, data_dir):
    """The options of `training/train.py` for a run."""
    # The digits are scikit-learn's.
    folders = [] if run.data == "digits" else [f"--data_dir={data_dir}"]
    arguments = [
        *run.flags,
        *folders,
        f"--seed={run.seed}",
        f"--workdir={folder}",
        "--metrics=",
        "--save_every=1000000",
    ]
    return train_options.parse(arguments)


def maker(run):
    """`building.model` of the run's kind."""
    return functools.partial(building.model, make=baselines.MAKERS[run.kind])


def images_per_second(run, folder, data_dir):
    """How fast a short run trains, past its first steps."""
    train.LOG_EVERY = 10
    train.train(options_of(run, folder, data_dir), maker(run))
    lines = (folder / "log.jsonl").read_text().splitlines()
    rates = [json.loads(line)["images_per_second"] for line in lines[1:]]
    return {
        "images_per_second": statistics.median(rates),
        "flags": list(run.flags),
        "about": identification(),
    }


def classifier(splits, folder):
    """The path of one classifier for all runs of a set, trained if need be."""
    path = folder / "classifiers" / f"{splits.dataset}.keras"
    path.parent.mkdir(exist_ok=True)
    with locked(path.with_suffix(".lock")):
        results.classifier(splits, path)
    return path


def unseen(model, options, own):
    """PSNR of test images of other sets, in the model's size and colours."""
    figures = {}
    for name in plan.UNSEEN[own]:
        source = data.open_dataset(
            name,
            "test",
            model.encoder.image_shape,
            data_dir=options.data_dir,
        )
        images, _ = data.load_arrays(source, LIMIT)
        made = passes.by_batches(model.reconstruct, images)
        figures[name] = psnr(from_pixels(images), made)
    return figures


def noisy(model, splits):
    """PSNR of noisy images, with `λ` chosen on validation images."""
    clean = {
        split: from_pixels(data.load_arrays(splits[split], count)[0])
        for split, count in NOISY.items()
    }
    return denoising(methods(model), clean)


# === Noisy images ===


def psnr(images, others):
    """Mean PSNR of two arrays of images in [-1, 1], in decibels."""
    others = np.asarray(others, "float32")
    return float(np.mean(metrics.peak_signal_to_noise_ratio(images, others)))


def add(images, level, seed=0):
    """Images with Gaussian noise, not clipped.

    Args:
        images: float array in [-1, 1].
        level: float, the deviation, in units of intensities in [0, 1].
        seed: int.
    """
    random = np.random.default_rng(seed)
    noise = 2 * level * random.normal(size=images.shape)
    return (images + noise).astype("float32")


def methods(model):
    """Of an autoencoder: reconstruction, and by `λ` where it has one.

    Returns:
        Dict from names to `(function, parameters)`; the function takes noisy
        images and a parameter.
    """
    found = {
        "reconstruction": (
            lambda images, _: model.reconstruct(images),
            (None,),
        )
    }
    if model.encoder.sparse:
        found["chosen sparsity"] = (model.denoise, SPARSITIES)
    return found


def denoising(methods, clean):
    """PSNR by level and method.

    Args:
        methods: see `methods`.
        clean: dict of `"validation"` and `"test"` images.

    Returns:
        Dict from levels to a dict of `noisy`, the PSNR of the noisy images,
        and, for every method, its PSNR on test images and the parameter that
        was chosen on validation images.
    """
    figures = {}
    for level in LEVELS:
        noisy = {
            split: add(images, level, seed)
            for seed, (split, images) in enumerate(clean.items())
        }
        figures[str(level)] = {"noisy": psnr(clean["test"], noisy["test"])}
        for name, method in methods.items():
            figures[str(level)][name] = _chosen(*method, clean, noisy)
    return figures


def _chosen(function, parameters, clean, noisy):
    """PSNR of a method on test images, and its parameter."""

    def score(split, parameter):
        return psnr(clean[split], function(noisy[split], parameter))

    parameter = parameters[0]
    if len(parameters) > 1:
        parameter = max(parameters, key=lambda p: score("validation", p))
    return {"psnr": score("test", parameter), "parameter": parameter}


def main():
    values = flags.FLAGS
    planned = plan.runs()
    runs = {run.key: run for run in planned} | plan.rate_runs(planned)
    if values.run not in runs:
        raise command_line.UsageError(f"the plan has no run {values.run!r}.")
    found = timed(runs[values.run])._replace(more=tuple(values.more))
    named = any(flag.startswith("--dtype_policy=") for flag in found.flags)
    if values.dtype_policy or not named:
        policy = devices.dtype_policy(values.dtype_policy or "auto")
        policy = f"--dtype_policy={policy}"
        found = found._replace(flags=(*found.flags, policy))
    folder = pathlib.Path(values.runs) / values.run
    function = images_per_second if values.rate else measure
    write_json(folder / "row.json", function(found, folder, values.data_dir))


if __name__ == "__main__":
    flags.DEFINE_string("run", None, "Key of a run of the plan.")
    flags.DEFINE_list("more", [], "To measure besides: unseen, noise, samples.")
    flags.DEFINE_bool("rate", False, "Measures the rate of training only.")
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_string("dtype_policy", None, "In place of the run's own.")
    command_line.run(
        main, user_errors=(data.DataError, callbacks.CheckpointError, OSError)
    )
