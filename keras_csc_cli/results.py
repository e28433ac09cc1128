"""The evaluation of a trained model: figures, their file, their lines."""

import pathlib

from keras_csc_cli import building
from keras_csc_cli import interruption
from keras_csc_cli.records import identification
from keras_csc_cli.records import write_evaluation
from keras_csc_cli.running import CACHE_BYTES

from keras_csc import data
from keras_csc import evaluation
from keras_csc.files import replacing
from keras_csc.terminal import say

# Of the training of a classifier.
STEPS = 2000
EPOCHS = 10  # at most: few images are learned in less
BATCH_SIZE = 128
# Figures that a command says of an evaluation.
SAID = (
    *("psnr", "ssim", "retrieval", "pixel_retrieval"),
    *("same_class", "same_class_of_images", "nearest_subspace_accuracy"),
    *("reconstructed_nearest_subspace_accuracy", "centered_knn_accuracy"),
    "linear_probe_accuracy",
)


# === Networks that judge ===


def _networks(names, splits, folder):
    """The networks that metrics need, as arguments of `evaluation.evaluate`.

    Samples of data without classes have no judge. The folder, a run's, has the
    classifier.
    """
    judge = None
    judged = {"classes"}
    if (splits.num_classes or 0) > 1:
        judged.add("samples")
    if (judged | {"classifier"}) & set(names):
        judge = classifier(splits, _path_of_classifier(splits, folder))
    return {
        "networks": [judge] if "classifier" in names else [],
        "judge": judge if judged & set(names) else None,
    }


def _path_of_classifier(splits, folder):
    name = splits.dataset.replace("/", "_").replace(":", "_")
    shape = "x".join(map(str, splits.image_shape))
    if splits.dataset == "image_folder":  # which may be any
        name += f"_{splits['train'].identity()['digest']}"
    return pathlib.Path(folder, "classifiers", f"{name}_{shape}.keras")


def classifier(splits, path):
    """Features of the data set's classifier, trained now if it has no file.

    It is trained with seed 0 on the training split, without augmentation. It
    takes `STEPS` batches or, for few images, `EPOCHS` passes over them. It
    keeps its accuracy on the test split.

    Raises:
        ValueError: if the file is damaged.
    """
    if not pathlib.Path(path).exists():
        _train(splits, pathlib.Path(path))
    return evaluation.classifier_extractor(path)


def _train(splits, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    train = splits["train"]
    model = evaluation.ImageClassifier(train.image_shape, train.num_classes)
    batch_size = min(BATCH_SIZE, train.size)
    steps = min(STEPS, EPOCHS * train.size // batch_size)
    say(f"Training a classifier of {splits.dataset}, {steps} batches.")
    batches = data.batches(data.cached(train, CACHE_BYTES), batch_size)
    evaluation.fit_classifier(model, batches, steps)
    test = data.evaluation_batches(splits["test"], 250)
    accuracy = model.evaluate(test, verbose=0, return_dict=True)["accuracy"]
    model.record = {
        "dataset": splits.dataset,
        "training_images": train.size,
        "test_accuracy": round(accuracy, 4),
        "seed": model.seed,
        "steps": steps,
        "batch_size": batch_size,
        **identification(),
    }
    with replacing(path) as temporary:
        model.save(temporary)


# === Evaluation ===


def evaluate(
    model,
    options,
    folder,
    splits,
    metrics=None,
    *,
    split="test",
    own_classes=True,
    about=None,
):
    """Evaluates a model, and writes the figures and pictures of it.

    Writes `evaluation.json` and pictures in `pictures/`. They replace those of
    an evaluation before.

    Args:
        model: `ClosedLoopAutoencoder` with the weights to evaluate.
        options: of its training. The classifier is in their `workdir`.
        folder: `pathlib.Path` to write to.
        splits: of the images.
        metrics: as the flag; `None` for the metrics of the options.
        split: as the flag.
        own_classes: bool, whether the images have the classes that the model
            was trained on.
        about: dict, what the file is to say of the model.

    Returns:
        Dict of the figures, as in the file.
    """
    names = options.metrics if metrics is None else metrics
    limit = getattr(options, "evaluation_limit", building.MOST_IMAGES)
    building.check_metrics(names, splits, model, split, limit)
    networks = _networks(names, splits, options.workdir or folder)
    images, labels = splits.arrays(split, limit)
    train = splits.arrays("train", limit)
    interruption.check()
    if "samples" in names and model.density is None:
        model.fit_density(*train)
        own_classes = True
    evaluated = evaluation.evaluate(
        model,
        images,
        labels,
        *train,
        codes="codes" in names,
        samples="samples" in names,
        own_classes=own_classes,
        between=interruption.check,
        **networks,
    )
    for distances in evaluated.figures["distributions"]:
        distances["split"] = split
    figures = {
        **evaluated.figures,
        "metrics": sorted(names),
        "split": split,
        "images": len(images),
        "images_of_split": splits[split].size,
        "probe_training_images": len(train[0]),
        "dataset": options.dataset,
        "data_dir": options.data_dir,
        "step": getattr(options, "step", options.steps),
        "seed": options.seed,
        **(about or {}),
    }
    figures = write_evaluation(folder, figures)
    evaluation.draw(model, evaluated, images, labels, folder / "pictures")
    return figures


def lines(result, folder):
    """What a command says of an evaluation in a folder, a list of lines."""
    said = [_numbers({name: result[name] for name in SAID})]
    for distances in result["distributions"]:
        said.append(f"{distances['network']['name']}: {_numbers(distances)}")
    if "samples" in result:
        said.append(f"samples: {_numbers(result['samples'])}")
    said.append(
        f"{result['images']} of the {result['images_of_split']} images of the "
        f"split {result['split']} of {result['dataset']}. Written to "
        f"{folder}/evaluation.json."
    )
    return said


def _numbers(figures):
    """The figures that are numbers, or have a mean, in a line."""
    words = []
    for name, value in figures.items():
        value = value.get("mean") if isinstance(value, dict) else value
        if isinstance(value, (int, float)):
            words.append(f"{name.replace('_', ' ')} {value:.4g}")
    return ", ".join(words)
