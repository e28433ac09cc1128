"""Exports the trained model of a run."""

import pathlib
import re

from keras_csc_cli import command_line
from keras_csc_cli import sessions
from keras_csc_cli.building import trained_model
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.workdir import checked_path
from keras_csc_cli.workdir import read_json

from absl import flags

from keras_csc.export import export_preset
from keras_csc.export import export_saved_model
from keras_csc.export.preset import card_of
from keras_csc.export.warmup import BATCH_SIZES
from keras_csc.models import ClosedLoopAutoencoder

USER_ERRORS = (OSError,)
FORMATS = {"saved_model": export_saved_model, "preset": export_preset}
# Options whose values are folders and files.
PATHS = ("workdir", "data_dir", "classifier", "inception_weights", "file")
PATH_FLAGS = re.compile(rf" --?(?:{'|'.join(PATHS)})[= ]\S+")
SECTIONS = {
    "training": "run.json",
    "recipe": "flags.json",
    "evaluation": "evaluation.json",
}


def run(
    workdir=None,
    name=None,
    saved_models="saved_models",
    preset=None,
    formats=("saved_model",),
    presets="presets",
    batch_sizes=BATCH_SIZES,
):
    """Exports the trained model of a run, or of a preset.

    Args:
        workdir: folder of the run; or `None` for a preset.
        name: name of the model, by default that of `workdir` or `preset`.
        saved_models: folder to write `name/VERSION/` to.
        preset: name, folder or URI of a trained model; or `None` for a run.
        formats: some of `FORMATS`.
        presets: folder to write `name/` to.
        batch_sizes: as of `export_saved_model`, integers or their texts.

    Returns:
        List of the `pathlib.Path` of what was written, by `formats`.

    Raises:
        UsageError: for other formats, or if there is no model, or it can't be
            read or written.
    """
    if (workdir is None) == (preset is None):
        raise UsageError(
            "--workdir is missing. Give the folder of a run, or a trained "
            "--preset; one of the two."
        )
    if not formats or set(formats) - set(FORMATS):
        raise UsageError(
            f"--formats must be some of {', '.join(FORMATS)}. Received: "
            f"{','.join(formats)!r}"
        )
    for flag, folder in (("saved_models", saved_models), ("presets", presets)):
        if not str(folder).strip():
            raise UsageError(f"--{flag} is empty. Give a folder.")
    if preset is None:
        workdir = _checked_run(workdir)
        default = workdir.resolve().name
    else:
        default = str(preset).rstrip("/").rpartition("/")[2]
    name = _checked_name(default if name is None else name)
    options = {"saved_model": {"batch_sizes": _integers(batch_sizes)}}
    if preset is None:
        card, model = _card(workdir), trained_model(workdir)
    else:
        model, card = _of_preset(preset)
    card = without_paths(card)
    folders = {"saved_model": saved_models, "preset": presets}
    return [
        _written(
            each,
            model,
            pathlib.Path(folders[each]) / name,
            card=card,
            **options.get(each, {}),
        )
        for each in formats
    ]


def _integers(texts):
    try:
        return tuple(int(text) for text in texts)
    except ValueError as error:
        raise UsageError(
            "--batch_sizes must be whole numbers, separated by commas. "
            f"Received: {','.join(map(str, texts))!r}"
        ) from error


def _written(name, model, folder, **options):
    try:
        with command_line.usage_errors():
            return FORMATS[name](model, folder, **options)
    except OSError as error:
        raise UsageError(
            f"{folder} can't be written: {error.strerror}. "
            "Make room or give write access, or choose another folder with "
            f"--{name}s."
        ) from error


def _checked_run(workdir):
    workdir = checked_path(workdir).absolute()
    if not workdir.is_dir():
        raise UsageError(
            f"the working directory {workdir} does not exist. Give the "
            "folder of a run with --workdir."
        )
    return workdir


def _of_preset(preset):
    """The model of a preset, and what its card says."""
    with command_line.usage_errors():
        return ClosedLoopAutoencoder.from_preset(preset), card_of(preset)


def without_paths(facts):
    """What a card says, without folders of the machine that it was made on."""
    if isinstance(facts, dict):
        return {
            name: without_paths(value)
            for name, value in facts.items()
            if name not in PATHS
        }
    if isinstance(facts, (list, tuple)):
        return [without_paths(value) for value in facts]
    return PATH_FLAGS.sub("", facts) if isinstance(facts, str) else facts


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
    written = run(
        options.workdir,
        options.name,
        options.saved_models,
        options.preset,
        options.formats,
        options.presets,
        options.batch_sizes,
    )
    for name, path in zip(options.formats, written):
        kind = "model" if name == "saved_model" else name
        print(f"Exported {kind}: {path}")
