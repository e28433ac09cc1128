"""Evaluates a run, on its own data or on others."""

import contextlib
import hashlib
import re

from keras_csc_cli import building
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.checked_flags import values
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.options import EVALUATE

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
        options = train_options.replaced(recorded, **replaced)
        building.check_data_dir(options.dataset, replaced.get("data_dir"))
        names = options.metrics if metrics is None else metrics
        _check_weights(names, inception_weights)
        if checkpoint:
            model = last_checkpoint(workdir, options)
        else:
            model = building.trained_model(workdir.path)
            options.step = trained_step(workdir, recorded)
        splits = building.Splits(options, model)
        building.check_metrics(names, splits, model)
        tools = results.instruments(
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


def _check_weights(names, inception_weights):
    """For metrics of InceptionV3 without its weights."""
    if {"inception", "ctrl"} & set(names) and inception_weights is None:
        raise UsageError(
            "--inception_weights is missing: a file of weights of Keras's "
            "InceptionV3, or imagenet to let Keras download its own. Without "
            "it, --metrics=classifier compares features of a classifier "
            "that is trained on this data set."
        )


def has_own_classes(workdir, options, recorded, splits):
    """Whether images have the classes of those that a run was trained on.

    Those of its data set have. Those of another have if the classes have the
    names that the run recorded.
    """
    if not building.is_other(options, recorded):
        return True
    names = workdir.run_record().get("class_names")
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
    model = str(workdir.model)
    return train_options.replaced(options, preset=model, architecture={})


def main():
    options = vars(values(EVALUATE.sections, flags.FLAGS))
    replaced = {
        name: options.pop(name)
        for name in ("dataset", "data_dir", "evaluation_limit")
    }
    result = evaluate(options.pop("workdir"), replaced, **options)
    print(*results.lines(result), sep="\n")
