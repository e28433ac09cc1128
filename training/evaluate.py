"""Evaluates a trained run on the test split again.

    python training/evaluate.py --workdir=runs/cifar10

With --checkpoint it evaluates the last checkpoint, also of a run that is not
finished, rather than the trained model. Writes WORKDIR/evaluation.json and
pictures beside it.
"""

import types

from training import building
from training import command_line
from training import evaluation
from training import options as run_options
from training import workdir as workdirs
from training.command_line import UsageError
from training.command_line import usage_errors

from absl import flags

from keras_csc.callbacks import CheckpointError
from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.data import DataError
from keras_csc.models import ClosedLoopAutoencoder


def evaluate(path, replaced, checkpoint=False):
    """Evaluates the model of a run's folder.

    Args:
        path: the folder.
        replaced: dict of options to replace: `data_dir`, `dataset`, ...
        checkpoint: bool, whether to evaluate the last checkpoint.

    Returns:
        Dict of the figures.
    """
    with workdirs.Workdir(path, create=False) as workdir:
        if not workdir.flags.exists():
            raise UsageError(
                f"{path} is not the folder of a run: it has no flags.json."
            )
        options = types.SimpleNamespace(
            **{
                **vars(run_options.parse([])),
                **workdirs.read_json(workdir.flags),
                **replaced,
            }
        )
        if checkpoint:
            model = last_checkpoint(workdir, options)
        else:
            model = trained_model(workdir)
        return evaluation.evaluate(model, options, workdir)


def trained_model(workdir):
    """The model that a finished run saved."""
    if not workdir.model.is_dir():
        raise UsageError(
            f"{workdir.path} holds no trained model. Train it to its last "
            "step with training/train.py, or pass --checkpoint."
        )
    with usage_errors():
        return ClosedLoopAutoencoder.from_preset(workdir.model)


def last_checkpoint(workdir, options):
    """The model with the weights of a run's last checkpoint."""
    source = building.source(options, "train")
    model = building.model(options, source.num_classes)
    step = TrainingCheckpoint(workdir.checkpoints).restore(model)
    if not step:
        raise UsageError(f"{workdir.path} has no checkpoint.")
    options.step = step
    return model


def define(flag_values):
    """Defines the script's flags."""
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_string(
        "workdir", None, "Folder that training/train.py wrote.", **kwargs
    )
    flags.DEFINE_string(
        "data_dir", None, "Folder of the data, if not as in training.", **kwargs
    )
    flags.DEFINE_integer(
        "evaluation_limit",
        None,
        "Most images of a split that are used, if not as in training.",
        lower_bound=1,
        **kwargs,
    )

    flags.DEFINE_bool(
        "checkpoint",
        False,
        "Evaluates the last checkpoint, not the trained model.",
        **kwargs,
    )


def main():
    values = flags.FLAGS
    if values.workdir is None:
        raise UsageError("--workdir is missing: the folder of a run.")
    replaced = {
        name: values[name].value
        for name in ("data_dir", "evaluation_limit")
        if values[name].value is not None
    }
    result = evaluate(values.workdir, replaced, values.checkpoint)
    print(evaluation.summary(result))


if __name__ == "__main__":
    define(flags.FLAGS)
    command_line.run(main, user_errors=(CheckpointError, DataError))
