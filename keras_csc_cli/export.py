"""Exports the trained model of a run."""

import pathlib
import re
import shlex

from keras_csc_cli import command_line
from keras_csc_cli import sessions
from keras_csc_cli.building import trained_model
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.workdir import checked_path
from keras_csc_cli.workdir import read_json

from absl import flags

from keras_csc.export import export_preset
from keras_csc.export import export_runtime
from keras_csc.export import export_saved_model
from keras_csc.export.preset import card_of
from keras_csc.export.runtimes import PACKAGES
from keras_csc.export.warmup import BATCH_SIZES
from keras_csc.models import ClosedLoopAutoencoder

USER_ERRORS = (OSError,)
FOLDERS = {
    "saved_model": "saved_models",
    "preset": "presets",
    **dict.fromkeys(PACKAGES, "runtimes"),
}
# Options whose values are folders and files.
PATHS = ("workdir", "data_dir", "classifier", "inception_weights", "file")
PATH_FLAG = re.compile(rf"--?(?:{'|'.join(PATHS)})(=.*)?")
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
    strip_gradients=False,
    runtimes="runtimes",
    licence=None,
):
    """Exports the trained model of a run, or of a preset.

    Args:
        workdir: folder of the run; or `None` for a preset.
        name: name of the model, by default that of `workdir` or `preset`.
        saved_models: folder to write `name/VERSION/` to.
        preset: name, folder or URI of a trained model; or `None` for a run.
        formats: some of `FOLDERS`.
        presets: folder to write `name/` to.
        batch_sizes: as of `export_saved_model`, integers or their texts.
        strip_gradients: as of `export_saved_model`.
        runtimes: folder to write `name/FORMAT/` to, for other runtimes.
        licence: text of the card's section of that name; `None` for that of
            the preset.

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
    folders = {
        "saved_models": saved_models,
        "presets": presets,
        "runtimes": runtimes,
    }
    _check_formats(formats, folders)
    if preset is None:
        workdir = _checked_run(workdir)
        default = workdir.resolve().name
    else:
        default = str(preset).rstrip("/").rpartition("/")[2]
    name = _checked_name(default if name is None else name)
    served = {
        "batch_sizes": _integers(batch_sizes),
        "strip_gradients": strip_gradients,
    }
    if preset is None:
        card, model = card_of_run(workdir), trained_model(workdir)
    else:
        model, card = of_preset(preset)
    card = without_paths(card)
    if licence is not None:
        card = {**card, "licence": licence}

    def write(form):
        path = pathlib.Path(folders[FOLDERS[form]]) / name
        if form == "saved_model":
            return export_saved_model(model, path, card=card, **served)
        if form == "preset":
            return export_preset(model, path, card=card)
        return export_runtime(model, path / form, form)

    return [_written(form, write, folders) for form in formats]


def _check_formats(formats, folders):
    if not formats or set(formats) - set(FOLDERS):
        raise UsageError(
            f"--formats must be some of {', '.join(FOLDERS)}. Received: "
            f"{','.join(formats)!r}"
        )
    for flag, folder in folders.items():
        if not str(folder).strip():
            raise UsageError(f"--{flag} is empty. Give a folder.")


def _integers(texts):
    try:
        return tuple(int(text) for text in texts)
    except ValueError as error:
        raise UsageError(
            "--batch_sizes must be whole numbers, separated by commas. "
            f"Received: {','.join(map(str, texts))!r}"
        ) from error


def _written(form, write, folders):
    try:
        with command_line.usage_errors():
            return write(form)
    except OSError as error:
        flag = FOLDERS[form]
        raise UsageError(
            f"{folders[flag]} can't be written: {error.strerror}. "
            "Make room or give write access, or choose another folder with "
            f"--{flag}."
        ) from error


def _checked_run(workdir):
    workdir = checked_path(workdir).absolute()
    if not workdir.is_dir():
        raise UsageError(
            f"the working directory {workdir} does not exist. Give the "
            "folder of a run with --workdir."
        )
    return workdir


def of_preset(preset):
    """The model of a preset, and what its card says."""
    with command_line.usage_errors():
        return ClosedLoopAutoencoder.from_preset(preset), card_of(preset)


def without_paths(facts):
    """What a card says, without folders of the machine that it was made on.

    Options whose values are folders are left out; of other absolute paths the
    last part is kept.
    """
    if isinstance(facts, dict):
        return {
            name: _command(value)
            if name == "command" and isinstance(value, str)
            else without_paths(value)
            for name, value in facts.items()
            if name not in PATHS
        }
    if isinstance(facts, (list, tuple)):
        return [without_paths(value) for value in facts]
    return _last_part(facts) if isinstance(facts, str) else facts


def _last_part(text):
    return pathlib.PurePath(text).name if text.startswith("/") else text


def _command(text):
    """A command without the folders of the machine."""
    try:
        words = iter(shlex.split(text))
    except ValueError:  # of an unbalanced quote
        words = iter(text.split())
    kept = []
    for word in words:
        found = PATH_FLAG.fullmatch(word)
        if found:
            if found[1] is None:
                next(words, None)
            continue
        name, equals, value = word.partition("=")
        kept.append(_last_part(name) + equals + _last_part(value))
    return shlex.join(kept)


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


def card_of_run(workdir):
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
        options.strip_gradients,
        options.runtimes,
        options.licence,
    )
    for name, path in zip(options.formats, written):
        kind = "model" if name == "saved_model" else name
        print(f"Exported {kind}: {path}")
