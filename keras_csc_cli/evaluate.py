"""Evaluates a run, on its own data or on others."""

import contextlib
import hashlib
import pathlib
import re

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import instruments
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.options import EVALUATE
from keras_csc_cli.records import read_json

from absl import flags

from keras_csc.callbacks import CheckpointError
from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.callbacks.best import best_facts
from keras_csc.data import DataError
from keras_csc.models import presets

USER_ERRORS = (CheckpointError, DataError, OSError)


def evaluate(
    path,
    replaced,
    *,
    checkpoint=False,
    metrics=None,
    inception_weights=None,
    classifier=None,
    split="test",
    projector=False,
):
    """Evaluates the model of a run's folder.

    A file of the figures of more images or metrics of the same model stays,
    and these are written to another.

    Args:
        path: the folder.
        replaced: dict of options of the run to replace, as `data_dir`.
        **others: as the flags.

    Returns:
        Dict of the figures, and under `"file"` where they were written.
    """
    with workdirs.Workdir(path, create=False) as workdir:
        recorded = workdir.options()
        options = train_options.replaced(recorded, replaced)
        building.check_data_dir(options.dataset, replaced.get("data_dir"))
        names = options.metrics if metrics is None else metrics
        instruments.check(names, inception_weights, classifier)
        if checkpoint:
            model = last_checkpoint(workdir, options)
        else:
            model = building.trained_model(workdir.path)
            options.step = trained_step(workdir, recorded)
        splits = building.Splits(options, model)
        building.check_samples(names, model)
        tools = instruments.instruments(
            names,
            splits,
            classifier or workdir.classifier(splits),
            inception_weights,
        )
        return results.evaluate(
            model,
            options,
            workdir,
            splits,
            tools,
            split=split,
            name=own_name(options, recorded, split, checkpoint),
            projector=projector,
            keep=True,
            own_classes=has_own_classes(workdir, options, recorded, splits),
        )


def has_own_classes(workdir, options, recorded, splits):
    """Whether images have the classes of those that a run was trained on.

    Those of its data set have. Those of another have if the classes have the
    names that the run recorded.
    """
    if not is_other(options, recorded):
        return True
    record = read_json(workdir.run) if workdir.run.exists() else {}
    names = record.get("class_names")
    return bool(names) and names == splits["train"].class_names


def own_name(options, recorded, split, checkpoint):
    """What tells an evaluation from the run's own, for the name of its file.

    Returns:
        Text, empty for the trained model on the test split of the run's data.
    """
    parts = []
    folder = data_folder(options)
    if is_other(options, recorded):
        parts.append(re.sub(r"[^\w.+-]", "_", options.dataset))
    if parts and folder:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        parts[0] = re.sub(r"[^\w.+-]", "_", folder.name) + f"-{digest}"
    if parts or split != "test":
        parts.append(split)
    if checkpoint:
        parts.append(f"step-{options.step}")
    return "-".join(parts)


def is_other(options, recorded):
    """Whether images are of another data set than those of a run."""
    return options.dataset != recorded.dataset or (
        data_folder(options) != data_folder(recorded)
    )


def data_folder(options):
    """The folder that says which images they are, or `None`.

    A TFDS set is named by its name, wherever it lies.
    """
    if options.dataset != "image_folder" or not options.data_dir:
        return None
    return pathlib.Path(options.data_dir).resolve()


def trained_step(workdir, options):
    """The step of a run's trained model: its best, if that was kept."""
    facts = None
    if options.keep_best:
        with contextlib.suppress(CheckpointError):
            facts = best_facts(workdir.checkpoints)
    return facts["step"] if facts else options.steps


def last_checkpoint(workdir, options):
    """The model with the weights of a run's last checkpoint."""
    model = building.network(with_architecture(workdir, options))
    step = TrainingCheckpoint(workdir.checkpoints).restore_weights(model)
    if not step:
        raise UsageError(f"{workdir.path} has no checkpoint.")
    options.step = step
    return model


def with_architecture(workdir, options):
    """Options of a run's network, also where its preset has moved.

    Raises:
        UsageError: if only the preset could say them.
    """
    if presets.is_there(options.preset):
        return options
    if not workdir.model.is_dir():
        raise UsageError(
            f"the checkpoints of {workdir.path} need its --preset="
            f"{options.preset}, which is not there. Move it back, or train "
            "the run to its last step: its model needs no preset."
        )
    entries = {"preset": str(workdir.model), "architecture": {}}
    return train_options.replaced(options, entries)


def main():
    options = vars(command_line.values(EVALUATE.sections, flags.FLAGS))
    replaced = {
        name: options.pop(name)
        for name in ("dataset", "data_dir", "evaluation_limit")
    }
    replaced = {name: v for name, v in replaced.items() if v is not None}
    result = evaluate(options.pop("workdir"), replaced, **options)
    print(*results.lines(result), sep="\n")
