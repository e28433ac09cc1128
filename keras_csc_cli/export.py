"""Exports the trained model of a run."""

import pathlib

from keras_csc_cli import command_line
from keras_csc_cli import sessions
from keras_csc_cli.building import trained_model
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.workdir import checked_path
from keras_csc_cli.workdir import read_json

from absl import flags

from keras_csc.export import export_saved_model

USER_ERRORS = (OSError,)
SECTIONS = {
    "training": "run.json",
    "recipe": "flags.json",
    "evaluation": "evaluation.json",
}


def run(workdir, name=None, saved_models="saved_models"):
    """Exports the trained model of a run.

    Args:
        workdir: folder of the run.
        name: name of the model, by default that of `workdir`.
        saved_models: folder to write `name/VERSION/` to.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        UsageError: if the run has no model, or it can't be read or written.
    """
    if workdir is None:
        raise UsageError("--workdir is missing. Give the folder of a run.")
    workdir = checked_path(workdir).absolute()
    if not str(saved_models).strip():
        raise UsageError("--saved_models is empty. Give a folder.")
    name = _checked_name(workdir.resolve().name if name is None else name)
    if not workdir.is_dir():
        raise UsageError(
            f"the working directory {workdir} does not exist. Give the "
            "folder of a run with --workdir."
        )
    card = _card(workdir)
    model = trained_model(workdir)
    folder = pathlib.Path(saved_models) / name
    try:
        with command_line.usage_errors():
            return export_saved_model(model, folder, card=card)
    except OSError as error:
        raise UsageError(
            f"{folder} can't be written: {error.strerror}. "
            "Make room or give write access, or choose another folder with "
            "--saved_models."
        ) from error


def _checked_name(name):
    if not name or name.startswith(".") or "/" in name or name.isdecimal():
        raise UsageError(
            "--name must be the name of a folder, not hidden and not a "
            f"number. Received: {name!r}"
        )
    return name


def _training(path):
    sessions.recorded(path)
    return read_json(path)


def _evaluation(path):
    figures = read_json(path)
    if not isinstance(figures.get("psnr"), (int, float)):
        raise UsageError(
            f"{path} is not that of an evaluation: it has no psnr. Remove it, "
            "or evaluate the run again."
        )
    return figures


def _card(workdir):
    paths = {title: workdir / name for title, name in SECTIONS.items()}
    read = {"training": _training, "evaluation": _evaluation}
    card = {
        title: read.get(title, read_json)(path)
        for title, path in paths.items()
        if path.exists()
    }
    if "training" in card and "evaluation" in card:
        card["evaluation"].pop("run", None)
    return card


def main():
    options = flags.FLAGS
    path = run(options.workdir, options.name, options.saved_models)
    print(f"Exported model: {path}")
