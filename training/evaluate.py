"""Evaluates a trained run on the test split again.

    python training/evaluate.py --workdir=runs/cifar10

With --checkpoint it evaluates the last checkpoint, also of a run that is not
finished, rather than the trained model. Writes WORKDIR/evaluation.json and
pictures beside it. What takes minutes is computed when --metrics asks for it.
"""

import types

from training import building
from training import command_line
from training import distributions
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


def evaluate(
    path,
    replaced,
    checkpoint=False,
    names=None,
    inception_weights=None,
    classifier=None,
):
    """Evaluates the model of a run's folder.

    Args:
        path: the folder.
        replaced: dict of options to replace: `data_dir`, `dataset`, ...
        checkpoint: bool, whether to evaluate the last checkpoint.
        names: some of `distributions.METRICS`; `None` for the run's.
        inception_weights: path of weights of InceptionV3, or "imagenet".
        classifier: path of the classifier, if not the default.

    Returns:
        Dict of the figures.
    """
    building.check_metrics(names or [], distributions.METRICS)
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
        instruments = distributions.instruments(
            options.metrics if names is None else names,
            options,
            workdir,
            inception_weights,
            classifier,
        )
        return evaluation.evaluate(model, options, workdir, **instruments)


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
    flags.DEFINE_list(
        "metrics",
        None,
        "What else to measure, separated by commas; by default what the run "
        "was trained with. stages: nearest subspace, kNN and a linear probe of "
        "every stage's codes. classes: the share of regenerated images that a "
        "small classifier, which is trained on the data set's labels the first "
        "time, puts in the image's class. classifier: Fréchet and kernel "
        "distance, precision, recall and class score, from features of the "
        "same classifier. inception: the same with Keras's InceptionV3, of "
        "--inception_weights. ctrl: distance and score with the steps of "
        "CTRL's released code, also of --inception_weights.",
        **kwargs,
    )
    flags.DEFINE_string(
        "inception_weights",
        None,
        "File of weights of Keras's InceptionV3 with its last layer, or "
        "imagenet: Keras's own, which Keras downloads the first time.",
        **kwargs,
    )
    flags.DEFINE_string(
        "classifier",
        None,
        "File of the classifier, .keras; trained and written if it is not "
        "there. By default classifiers/DATASET_SHAPE.keras beside WORKDIR.",
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
    result = evaluate(
        values.workdir,
        replaced,
        values.checkpoint,
        values.metrics,
        values.inception_weights,
        values.classifier,
    )
    print(evaluation.summary(result))
    for figures in result["distributions"]:
        print(distributions.summary(figures))


if __name__ == "__main__":
    define(flags.FLAGS)
    command_line.run(main, user_errors=(CheckpointError, DataError, OSError))
