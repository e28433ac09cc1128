"""Evaluates a trained run on the test split again.

    python training/evaluate.py --workdir=runs/cifar10

Writes WORKDIR/evaluation.json and pictures beside it.
"""

import types

from training import command_line
from training import evaluation
from training import workdir as workdirs
from training.command_line import UsageError
from training.command_line import usage_errors

from absl import flags

from keras_csc.data import DataError
from keras_csc.models import ClosedLoopAutoencoder


def evaluate(path, replaced):
    """Evaluates the model of a run's folder.

    Args:
        path: the folder.
        replaced: dict of options to replace: `data_dir`, `dataset`, ...

    Returns:
        Dict of the figures.
    """
    with workdirs.Workdir(path, create=False) as workdir:
        if not workdir.model.is_dir() or not workdir.flags.exists():
            raise UsageError(
                f"{path} holds no trained model. Train one with "
                "training/train.py --workdir."
            )
        options = types.SimpleNamespace(
            **{**workdirs.read_json(workdir.flags), **replaced}
        )
        with usage_errors():
            model = ClosedLoopAutoencoder.from_preset(workdir.model)
        return evaluation.evaluate(model, options, workdir)


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


def main():
    values = flags.FLAGS
    if values.workdir is None:
        raise UsageError("--workdir is missing: the folder of a run.")
    replaced = {
        name: values[name].value
        for name in ("data_dir", "evaluation_limit")
        if values[name].value is not None
    }
    print(evaluation.summary(evaluate(values.workdir, replaced)))


if __name__ == "__main__":
    define(flags.FLAGS)
    command_line.run(main, user_errors=(DataError,))
