"""The evaluation of a trained model: figures, their file, their lines."""

import pathlib

from keras_csc_cli import building
from keras_csc_cli import interruption
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json
from keras_csc_cli.running import CACHE_BYTES

from keras_csc import data
from keras_csc import evaluation
from keras_csc.files import replacing
from keras_csc.terminal import say

# Of the training of a classifier.
STEPS = 2000
EPOCHS = 10  # at most: few images are learned in less
BATCH_SIZE = 128
# What two evaluations of the same images and model share.
SAME = ("dataset", "split", "step", "images_of_split")
# How many images an evaluation is of.
COUNTS = ("images", "probe_training_images")
# Figures that a command says of an evaluation.
SAID = (
    *("psnr", "ssim", "retrieval", "pixel_retrieval"),
    *("same_class", "same_class_of_images", "nearest_subspace_accuracy"),
    *("reconstructed_nearest_subspace_accuracy", "centered_knn_accuracy"),
    "linear_probe_accuracy",
)


# === Networks that judge ===


def _networks(names, splits, path):
    """The networks that metrics need, as arguments of `evaluation.evaluate`.

    Samples of data without classes have no judge.
    """
    judge = None
    judged = {"classes"}
    if (splits.num_classes or 0) > 1:
        judged.add("samples")
    if (judged | {"classifier"}) & set(names):
        judge = classifier(splits, path)
    return {
        "networks": [judge] if "classifier" in names else [],
        "judge": judge if judged & set(names) else None,
    }


def classifier(splits, path):
    """Features of the data set's classifier, trained now if it has no file.

    It is trained with seed 0 on the training split, without augmentation. It
    takes `STEPS` batches or, for few images, `EPOCHS` passes over them. It
    keeps its accuracy on the test split.

    Raises:
        ValueError: if the file is damaged or of another data set.
    """
    path = pathlib.Path(path)
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
    extractor = evaluation.classifier_extractor(path)
    about = {name: extractor.about.get(name) for name in expected}
    if about != expected:
        raise UsageError(
            f"the classifier {path} was trained on {about}, and this run has "
            f"{expected}. Choose another file with --classifier."
        )
    return extractor


def _train(splits, path, record):
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
        **record,
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
    workdir,
    splits,
    metrics=None,
    *,
    classifier=None,
    split="test",
    name="",
    keep=False,
    own_classes=True,
):
    """Evaluates a model, and writes the figures and pictures of it.

    Writes `evaluation.json` and pictures in `pictures/`; or, with a name,
    `evaluation-NAME.json` and the pictures in `pictures/evaluation-NAME/`.

    Args:
        model: `ClosedLoopAutoencoder` with the weights to evaluate.
        options, workdir, splits: of the run, or of a preset without one.
        metrics: as the flag; `None` for the metrics of the options.
        classifier, split: as the flags.
        name: str, what tells this evaluation from the run's own.
        keep: bool, whether a file of more images or metrics of the same model
            stays. The name then says what this evaluation lacks.
        own_classes: bool, whether the images have the classes that the model
            was trained on.

    Returns:
        Dict of the figures, as in the file. `file` is its path. `kept` is the
        path of a more complete one, if there is one.
    """
    names = options.metrics if metrics is None else metrics
    building.check_metrics(names, splits, model)
    path = classifier or workdir.classifier(splits)
    limit = getattr(options, "evaluation_limit", building.MOST_IMAGES)
    networks = _networks(names, splits, path)
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
    result = {
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
        "run": workdir.run_record() or None,
        **workdir.evaluated,
        "evaluated": identification(),
    }
    complete = path = workdir.path / f"{_joined('evaluation', name)}.json"
    if keep:
        name = _joined(name, *_lacking(result, complete, limit))
        path = complete.with_name(f"{_joined('evaluation', name)}.json")
    write_json(path, result)
    pictures = workdir.path / "pictures" / (path.stem if name else "")
    evaluation.draw(model, evaluated, images, labels, pictures)
    kept = {"kept": str(complete)} if path != complete else {}
    return {**result, "file": str(path), **kept}


def _joined(*words):
    return "-".join(filter(None, words))


def _lacking(result, path, limit):
    """What an evaluation lacks that the one in its file has.

    Returns:
        List of words for the name of a file; empty if nothing is lacking, or
        the file is of other images, missing or damaged.
    """
    try:
        before = read_json(path)
        if any(before[name] != result[name] for name in SAME):
            return []
        fewer = any(before[name] > result[name] for name in COUNTS)
        less = set(before["metrics"]) - {*result["metrics"], "images"}
    except (KeyError, TypeError, UsageError):
        return []
    return [f"limit-{limit}"] * fewer + [f"without-{n}" for n in sorted(less)]


def lines(result):
    """What a command says of an evaluation, a list of lines."""
    said = [_numbers({name: result[name] for name in SAID})]
    for distances in result["distributions"]:
        said.append(f"{distances['network']['name']}: {_numbers(distances)}")
    if "samples" in result:
        said.append(f"samples: {_numbers(result['samples'])}")
    said.append(
        f"{result['images']} of the {result['images_of_split']} images of the "
        f"split {result['split']} of {result['dataset']}. Written to "
        f"{result['file']}."
    )
    if "kept" in result:
        said.append(
            f"{result['kept']} is of more images or metrics of the same model, "
            "and stays as it is. Remove it if it is not to."
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
