"""The files and the lines that an evaluation leaves behind."""

from keras_csc_cli import interruption
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json
from keras_csc_cli.train_options import absolute

from keras_csc import evaluation

# What two evaluations of the same images and model share.
SAME = ("dataset", "split", "step", "images_of_split")
# How many images an evaluation is of.
COUNTS = ("images", "probe_training_images")
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
STAGES = {
    "explained": "explained",
    "nonzeros": "non-zeros a number",
    "drawn_error": "drawn error",
}


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
        "run": read_json(workdir.run) if workdir.run.exists() else None,
        "evaluated": identification(),
    }
    path, pictures = file_of(workdir, name), workdir.path / "pictures"
    missing = lacking(result, path, options.evaluation_limit) if keep else ""
    places = {"file": str(path)}
    if missing:
        name = "-".join(filter(None, (name, missing)))
        path, places = file_of(workdir, name), {"kept": str(path)}
        places["file"] = str(path)
    if name:
        pictures = pictures / f"evaluation-{name}"
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


def file_of(workdir, name):
    """Path of the figures of an evaluation with a name, or of the run's own."""
    path = workdir.evaluation
    return path.with_name(f"evaluation-{name}.json") if name else path


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
    compared = [comparison_line(each) for each in result["distributions"]]
    if "samples" in result:
        compared.append(samples_line(result["samples"]))
    kept = [kept_line(result["kept"])] if "kept" in result else []
    stages = [stages_line(result)] if result["explained"] else []
    return [summary(result), *stages, *compared, origin(result), *kept]


def kept_line(path):
    """One line of a more complete evaluation, which stays."""
    return (
        f"{path} is of more images or metrics of the same model, and stays as "
        "it is. Remove it if it is not to."
    )


def samples_line(figures):
    """One line of `sampling_figures`."""
    parts = []
    if figures["distribution"]:
        distribution = figures["distribution"]
        parts.append(f"network: {distribution['network']['name']}")
        beside = distribution.get("of_training_images", {})
        for name in ("frechet_distance", "kernel_distance"):
            text = f"{name.replace('_', ' ')} {distribution[name]:.4g}"
            if beside:
                text += f" (of training images {beside[name]:.4g})"
            parts.append(text.replace("frechet", "Fréchet"))
        for name in ("precision", "recall"):
            parts.append(f"{name} {distribution[name]:.3f}")
    if figures["same_class"] is not None:
        parts.append(
            f"in the class asked for {figures['same_class']:.3f} (of the "
            f"images {figures['same_class_of_images']:.3f})"
        )
    near = figures["nearest"]
    parts.append(
        f"nearest training image at {near['samples']:.3f} (of the images "
        f"{near['images']:.3f}, of reconstructions "
        f"{near['reconstructions']:.3f})"
    )
    return f"{figures['images']} samples: {', '.join(parts)}"


def origin(result):
    """One line of the images of an evaluation, and of where it is written."""
    where = result["dataset"]
    if result["data_dir"] and where == "image_folder":
        where = result["data_dir"]
    return (
        f"{result['images']} of the {result['images_of_split']} images of the "
        f"split {result['split']} of {where}. Written to {result['file']}."
    )


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


def stages_line(result):
    """One line of the figures of every stage."""
    known = {title: result[name] for name, title in STAGES.items()}
    stages = []
    for number in range(len(result["explained"])):
        parts = [
            f"{title} {values[number]:.3f}"
            for title, values in known.items()
            if values
        ]
        stages.append(f"stage {number + 1}: {', '.join(parts)}")
    return "; ".join(stages)


def comparison_line(figures):
    """One line of `compare` or `ctrl_protocol`, with the network's name."""
    parts = [
        f"Fréchet distance ({figures['network']['name']}) "
        f"{figures['frechet_distance']:.4g}"
    ]
    for name in ("kernel_distance", "precision", "recall"):
        if name in figures:
            parts.append(f"{name.replace('_', ' ')} {figures[name]:.4g}")
    for name in ("classifier_score", "inception_score"):
        if name in figures:
            score = figures[name]
            text = f"{name.replace('_', ' ')} {score['mean']:.3g} ± "
            text += f"{score['deviation']:.2g}"
            of_images = figures.get(f"{name}_of_images")
            if of_images:
                text += f" (of the images themselves {of_images['mean']:.3g})"
            parts.append(text)
    where = f"{figures['images']} {figures['split']} images"
    return f"{', '.join(parts)}; {where} and their reconstructions"
