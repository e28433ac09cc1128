"""Evaluates a run, on its own data or on others, or a preset."""

import hashlib
import re

from keras_csc_cli import building
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import check_needed

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.export.card import card_of
from keras_csc.models import ClosedLoopAutoencoder


def evaluate(path, replaced, *, checkpoint=False, split="test", **how):
    """Evaluates the model of a run's folder.

    If a file has figures of more images or metrics of the same model, it stays.
    The new figures are then written to another file.

    Args:
        path: the folder.
        replaced: dict of options of the run to replace, such as `data_dir`.
        checkpoint, split: as the flags.
        **how: `metrics`, `classifier`, `dinov2`, as the flags.

    Returns:
        Dict of the figures, and under `"file"` where they were written.
    """
    with workdirs.Workdir(path, create=False) as workdir:
        recorded = workdir.options()
        options = train_options.replaced(recorded, **replaced)
        if checkpoint:
            model = last_checkpoint(workdir, options)
        else:
            model = building.trained_model(workdir.path)
        splits = building.Splits(options, model)
        return results.evaluate(
            model,
            options,
            workdir,
            splits,
            split=split,
            name=own_name(options, recorded, split, checkpoint),
            keep=True,
            own_classes=has_own_classes(
                workdir.run_record(), options, recorded, splits
            ),
            **how,
        )


def evaluate_preset(preset, path, given, *, split="test", **how):
    """Evaluates a trained preset, which needs no run.

    Images are prepared as in the training that the preset's card tells of.

    Args:
        preset: name, folder or URI.
        path: folder to write to, made if it is not there. It must be no run's,
            and hold no evaluation but one of this preset on these data.
        given: dict of options to use instead of the card's, such as `data_dir`.
        split, **how: as in `evaluate`.
    """
    card = card_of(preset)
    trained = train_options.of_card(preset, card)
    options = train_options.replaced(trained, **given)
    check_needed(options, ["dataset"])
    evaluated = {
        "preset": preset,
        "dataset": options.dataset,
        "data_dir": options.data_dir,
        "split": split,
    }
    with workdirs.Workdir(path, evaluated=evaluated) as workdir:
        model = ClosedLoopAutoencoder.from_preset(preset)
        splits = building.Splits(options, model)
        return results.evaluate(
            model,
            options,
            workdir,
            splits,
            split=split,
            keep=True,
            own_classes=has_own_classes(
                card.get("training"), options, trained, splits
            ),
            **how,
        )


def has_own_classes(record, options, trained, splits):
    """Whether images have the classes that a model was trained on.

    Images of the model's data set have them. Images of another data set have
    them if its classes have the names in the record of the training.
    """
    if not building.is_other(options, trained):
        return True
    names = record.get("class_names") if isinstance(record, dict) else None
    return bool(names) and names == splits["train"].class_names


def own_name(options, recorded, split, checkpoint):
    """What tells an evaluation from the run's own, for the name of its file.

    Returns:
        Text, empty for the trained model on the test split of the run's data.
    """
    parts = []
    folder = building.data_folder(options)
    if building.is_other(options, recorded):
        parts.append(re.sub(r"[^\w.+-]", "_", options.dataset))
    if parts and folder:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        parts[0] = re.sub(r"[^\w.+-]", "_", folder.name) + f"-{digest}"
    if parts or split != "test":
        parts.append(split)
    if checkpoint:
        parts.append(f"step-{options.step}")
    return "-".join(parts)


def last_checkpoint(workdir, options):
    """The model with the weights of a run's last checkpoint."""
    network = options
    if workdir.model.is_dir():  # it is there also if the preset has moved
        preset = str(workdir.model)
        network = train_options.replaced(
            options, preset=preset, architecture={}
        )
    model = building.network(network)
    step = TrainingCheckpoint(workdir.checkpoints).restore(model)
    if not step:
        raise UsageError(f"{workdir.path} has no checkpoint.")
    options.step = step
    return model


def main(options):
    options = dict(vars(options))
    replaced = {
        name: options.pop(name)
        for name in ("dataset", "data_dir", "evaluation_limit")
    }
    path, preset = options.pop("workdir"), options.pop("preset")
    if preset is None:
        result = evaluate(path, replaced, **options)
    else:
        if options.pop("checkpoint"):
            raise UsageError("--checkpoint is of a run: leave --preset out.")
        result = evaluate_preset(preset, path, replaced, **options)
    print(*results.lines(result), sep="\n")
