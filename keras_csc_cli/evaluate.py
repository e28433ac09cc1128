"""Evaluates a run, on its own data or on others, or a preset."""

import hashlib
import re

from keras_csc_cli import building
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import check_needed
from keras_csc_cli.workdir import Workdir

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.export.card import card_of
from keras_csc.models import ClosedLoopAutoencoder


def evaluate(
    path, given, *, preset=None, checkpoint=False, split="test", **how
):
    """Evaluates the model of a run's folder, or a trained preset.

    If a file has figures of more images or metrics of the same model, it stays.
    The new figures are then written to another file. Images are prepared as in
    the training that the run or the preset's card tells of.

    Args:
        path: the folder. Of a preset it is made if it is not there, must be no
            run's, and hold no evaluation but one of this preset on these data.
        given: dict of options to use in the place of the training's, such as
            `data_dir`.
        preset: name, folder or URI, or `None` for the run's model.
        checkpoint, split: as the flags.
        **how: `metrics` and `classifier`, as the flags.

    Returns:
        Dict of the figures, and under `"file"` where they were written.
    """
    if preset is None:
        workdir = Workdir(path, create=False)
    else:
        if checkpoint:
            raise UsageError("--checkpoint is of a run: leave --preset out.")
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
        workdir = Workdir(path, evaluated=evaluated)
    with workdir:
        if preset is None:
            trained, record = workdir.options(), workdir.run_record()
            options = train_options.replaced(trained, **given)
            if checkpoint:
                model = last_checkpoint(workdir, options)
            else:
                model = building.trained_model(workdir.path)
            name = name_of_evaluation(options, trained, split, checkpoint)
        else:
            model = ClosedLoopAutoencoder.from_preset(preset)
            record, name = card.get("training"), ""
        splits = building.Splits(options, model)
        return results.evaluate(
            model,
            options,
            workdir,
            splits,
            split=split,
            name=name,
            keep=True,
            own_classes=has_own_classes(record, options, trained, splits),
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


def name_of_evaluation(options, trained, split, checkpoint):
    """What tells an evaluation from the run's own, for the name of its file.

    Returns:
        Text, empty for the trained model on the test split of the run's data.
    """
    words = []
    if building.is_other(options, trained):
        folder, name = building.data_folder(options), options.dataset
        if folder:
            digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
            name = f"{folder.name}-{digest}"
        words.append(re.sub(r"[^\w.+-]", "_", name))
    if words or split != "test":
        words.append(split)
    if checkpoint:
        words.append(f"step-{options.step}")
    return "-".join(words)


def last_checkpoint(workdir, options):
    """The model with the weights of a run's last checkpoint."""
    network = options
    if workdir.model.is_dir():  # it is there also if the preset has moved
        preset = str(workdir.model)
        network = train_options.replaced(
            options, preset=preset, architecture={}
        )
    model = building.network(network)
    options.step = TrainingCheckpoint(workdir.checkpoints).restore(model)
    if not options.step:
        raise UsageError(f"{workdir.path} has no checkpoint.")
    return model


def main(options):
    how = dict(vars(options))
    names = "dataset", "data_dir", "evaluation_limit"
    given = {name: how.pop(name) for name in names}
    print(*results.lines(evaluate(how.pop("workdir"), given, **how)), sep="\n")
