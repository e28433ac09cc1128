"""What an evaluation needs, and the files and lines that it leaves behind."""

import pathlib

from keras_csc_cli import building
from keras_csc_cli import interruption
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json
from keras_csc_cli.train_options import absolute

import keras

from keras_csc import data
from keras_csc import evaluation
from keras_csc.files import replacing
from keras_csc.terminal import Progress

# Of the training of a classifier.
STEPS = 2000
EPOCHS = 10  # at most: few images are learned in less
BATCH_SIZE = 128
# What two evaluations of the same images and model share.
SAME = ("dataset", "split", "step", "images_of_split")
# How many images an evaluation is of.
COUNTS = ("images", "probe_training_images")
SUMMARY = {
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "cosine": "cosine",
    "retrieval": "retrieval",
    "pixel_retrieval": "retrieval of pixels",
    "same_class": "same class",
    "same_class_of_images": "same class of the images",
    "nearest_subspace_accuracy": "nearest subspace",
    "reconstructed_nearest_subspace_accuracy": "regenerated nearest subspace",
    "centered_knn_accuracy": "centred 5-NN",
    "linear_probe_accuracy": "linear probe",
}
STAGE = ("explained", "nonzeros", "drawn_error")


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
    networks = {}
    if {"inception", "ctrl"} & set(names):
        networks = _inception(names, inception_weights)
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


def _inception(names, path):
    """The extractors of InceptionV3 that metrics need, by their names."""
    if path == "imagenet":
        try:
            path = evaluation.inception_weights()
        except Exception as error:  # what get_file raises
            raise UsageError(
                f"Keras could not download its InceptionV3: {error}. Give the "
                "file with --inception_weights=PATH."
            ) from error
    with usage_errors():
        plain = evaluation.inception_extractor(path)
        found = {"inception": plain} if "inception" in names else {}
        if "ctrl" in names:
            shifted = evaluation.inception_extractor(path, ctrl_input=True)
            found["ctrl"] = shifted, plain
    return found


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
        UsageError: if the data have no labels, or the file is damaged or of
            another data set.
        OSError: if it can't be written.
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
    with replacing(path) as temporary:
        model.save(temporary)


def evaluate(
    model,
    options,
    workdir,
    splits,
    instruments,
    split="test",
    name="",
    projector=False,
    keep=False,
    own_classes=True,
):
    """Evaluates a model, and writes the figures and pictures of it.

    Writes `evaluation.json` and `pictures/evaluation.png`, `atoms_*.png`, with
    sparse codes `growing.png` and `strongest_atoms.png`, with labels
    `feature_similarity.png` and `class_part_similarity.png`, and with samples
    `samples.png`, `samples_nearest.png` and `interpolation.png`; or, with a
    name, `evaluation-NAME.json` and the pictures in
    `pictures/evaluation-NAME/`.

    Args:
        model: `ClosedLoopAutoencoder` with the weights to evaluate.
        options, workdir, splits: of the run.
        instruments: dict of arguments of `evaluation.evaluate`.
        split: the images to evaluate on: "test", "validation" or "train".
        name: str, what tells this evaluation from the run's own.
        projector: bool, whether to write the features for TensorBoard's
            projector, to `tensorboard/projector/` or `projector-NAME/`.
        keep: bool, whether a file of more images or metrics of the same model
            stays. The name then says what this evaluation lacks.
        own_classes: bool, whether the images have the classes of those that
            the model was trained on.

    Returns:
        Dict of the figures, as in the file, of its path as `file`, and of that
        of a more complete one as `kept`.
    """
    images, labels = splits.arrays(split, options.evaluation_limit)
    train = splits.arrays("train", options.evaluation_limit)
    class_features = options.game.get("class_features", 0)
    interruption.check()
    if instruments["samples"] and model.density is None:
        model.fit_density(*train)
        own_classes = True
    try:
        found = evaluation.evaluate(
            model,
            images,
            labels,
            *train,
            class_features=class_features,
            own_classes=own_classes,
            between=interruption.check,
            **instruments,
        )
    except ValueError as error:
        raise UsageError(f"the model can't be evaluated: {error}") from error
    for each in found.figures["distributions"]:
        each.setdefault("split", split)
    result = {
        **found.figures,
        "split": split,
        "images": len(images),
        "images_of_split": splits[split].size,
        "probe_training_images": len(train[0]),
        "dataset": options.dataset,
        "data_dir": absolute(options.data_dir),
        "step": getattr(options, "step", options.steps),
        "seed": options.seed,
        "run": workdir.run_record() or None,
        "evaluated": identification(),
    }
    whole = "-".join(filter(None, ("evaluation", name)))
    path, places = workdir.path / f"{whole}.json", {}
    missing = lacking(result, path, options.evaluation_limit) if keep else ""
    if missing:
        whole, places = f"{whole}-{missing}", {"kept": str(path)}
        path = workdir.path / f"{whole}.json"
    name = whole.removeprefix("evaluation").removeprefix("-")
    pictures = workdir.path / "pictures" / (whole if name else "")
    places["file"] = str(path)
    write_json(path, result)
    evaluation.draw(
        model,
        images,
        found.reconstructions,
        found.features,
        labels,
        class_features,
        pictures,
    )
    if found.samples:
        evaluation.draw_samples(model, found.samples, images, pictures)
    if projector:
        folder = "-".join(filter(None, ("projector", name)))
        evaluation.write_projector(
            workdir.path / "tensorboard" / folder,
            found.features,
            images,
            found.reconstructions,
            labels,
            splits[split].class_names,
        )
    return {**result, **places}


def lacking(result, path, limit):
    """What an evaluation lacks of the one that is in its file.

    Args:
        result: dict of the figures.
        path: the file, which may be missing or damaged.
        limit: of `--evaluation_limit`.

    Returns:
        Text for the name of a file; empty if nothing is lacking, or the file
        is of other images.
    """
    try:
        before = read_json(path) if path.exists() else {}
        if any(before.get(name) != result[name] for name in SAME):
            return ""
        fewer = any(before[name] > result[name] for name in COUNTS)
        less = measured(before) - measured(result)
    except (AttributeError, KeyError, TypeError, UsageError):  # of damage
        return ""
    parts = [f"limit-{limit}"] * fewer
    return "-".join([*parts, *(f"without-{name}" for name in sorted(less))])


def measured(figures):
    """What of `--metrics` an evaluation has, a set of names."""
    found = {name for name in ("codes", "samples") if figures.get(name)}
    if figures.get("same_class") is not None:
        found.add("classes")
    for each in figures.get("distributions", ()):
        if "score_network" in each:
            found.add("ctrl")
        elif "classifier" in str(each.get("network")):
            found.add("classifier")
        else:
            found.add("inception")
    return found


def lines(result):
    """What is said of an evaluation, a list of lines."""
    figures = {title: result[name] for name, title in SUMMARY.items()}
    found = [_numbers({**figures, "PCA in dB": result["psnr_of"]["pca"]})]
    stages = [result[name] or () for name in STAGE]
    for number, values in enumerate(zip(*stages), start=1):
        found.append(f"stage {number}: {_numbers(dict(zip(STAGE, values)))}")
    if result["class_part"]:
        found.append(f"class part: {_numbers(result['class_part'])}")
    for each in result["distributions"]:
        found.append(f"{each['network']['name']}: {_numbers(each)}")
    if "samples" in result:
        made = result["samples"]
        nearest = _numbers(made["nearest"])
        found.append(f"samples: {_numbers(made)}; nearest: {nearest}")
        if made["distribution"]:
            name = made["distribution"]["network"]["name"]
            numbers = _numbers(made["distribution"])
            found.append(f"samples, {name}: {numbers}")
    where = result["dataset"]
    if result["data_dir"] and where == "image_folder":
        where = result["data_dir"]
    found.append(
        f"{result['images']} of the {result['images_of_split']} images of the "
        f"split {result['split']} of {where}. Written to {result['file']}."
    )
    if "kept" in result:
        found.append(
            f"{result['kept']} is of more images or metrics of the same model, "
            "and stays as it is. Remove it if it is not to."
        )
    return found


def _numbers(figures):
    """Those that are numbers, or have a mean, in a line."""
    found = []
    for name, value in figures.items():
        value = value.get("mean") if isinstance(value, dict) else value
        if isinstance(value, (int, float)):
            found.append(f"{name.replace('_', ' ')} {value:.4g}")
    return ", ".join(found)
