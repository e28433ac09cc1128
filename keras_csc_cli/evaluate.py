"""Evaluates a run, on its own data or on others, or a preset."""

import contextlib
import pathlib

from keras_csc_cli import building
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import check_needed
from keras_csc_cli.records import check_folder
from keras_csc_cli.workdir import Workdir

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.export.card import card_of
from keras_csc.files import check_new
from keras_csc.files import new_folder
from keras_csc.models import ClosedLoopAutoencoder


def evaluate(
    workdir=None,
    *,
    preset=None,
    output=None,
    checkpoint=False,
    split="test",
    metrics=None,
    **others,
):
    """Evaluates the model of a run's folder, or a trained preset.

    Images are prepared as in the training that the run or the preset's card
    tells of.

    Args: as the flags. `others` are options to use in the place of the
        training's, such as `data_dir`.

    Returns:
        Dict of the figures, as in `evaluation.json`.
    """
    others = {n: value for n, value in others.items() if value is not None}
    if output is not None:
        output = pathlib.Path(output)
        check_new(output)
        check_folder(output.parent)
    with contextlib.ExitStack() as stack:
        if preset is None:
            run = stack.enter_context(Workdir(workdir, create=False))
            model, options, record = _of_run(run, checkpoint, others)
            about, folder = {"run": record or None}, run.path
        else:
            model, options, record = _of_preset(preset, others)
            about = {"preset": preset}
        splits = building.Splits(options, model)
        own_classes = has_own_classes(record, others, splits)
        if output is not None:
            folder = stack.enter_context(new_folder(output))
        how = {"split": split, "own_classes": own_classes, "about": about}
        return results.evaluate(model, options, folder, splits, metrics, **how)


def _of_run(run, checkpoint, others):
    """The model of a `Workdir`, its options and the record of its training."""
    options = train_options.replaced(run.options(), **others)
    options.workdir = run.path
    if checkpoint:
        model = last_checkpoint(run, options)
    else:
        model = building.trained_model(run.path)
    return model, options, run.run_record()


def _of_preset(preset, others):
    """The same of a preset."""
    card = card_of(preset)
    trained = train_options.of_card(preset, card)
    options = train_options.replaced(trained, **others)
    check_needed(options, ["dataset"])
    model = ClosedLoopAutoencoder.from_preset(preset)
    return model, options, card.get("training")


def has_own_classes(record, others, splits):
    """Whether images have the classes that a model was trained on.

    Images of the model's data set have them. Images of another data set have
    them if its classes have the names in the record of the training.
    """
    if not {"dataset", "data_dir"} & others.keys():
        return True
    names = record.get("class_names") if isinstance(record, dict) else None
    return bool(names) and names == splits["train"].class_names


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
    figures = evaluate(**vars(options))
    folder = options.output or options.workdir
    print(*results.lines(figures, folder), sep="\n")
