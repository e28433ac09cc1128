"""Exports the trained model of a run."""

import pathlib

from keras_csc_cli import command_line
from keras_csc_cli import records
from keras_csc_cli.building import trained_model
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.missing import checked_path
from keras_csc_cli.options import EXPORT
from keras_csc_cli.options import FOLDERS
from keras_csc_cli.options import model_name

from absl import flags

from keras_csc.data.listing import printable
from keras_csc.export import export_preset
from keras_csc.export import export_runtime
from keras_csc.export import export_saved_model
from keras_csc.export.runtimes import check_runtime
from keras_csc.export.saved_model import check_saved_model
from keras_csc.export.warmup import BATCH_SIZES
from keras_csc.files import check_new
from keras_csc.files import remove

USER_ERRORS = (OSError,)


def run(
    workdir=None,
    *,
    name=None,
    saved_models="saved_models",
    preset=None,
    formats=("saved_model",),
    presets="presets",
    batch_sizes=BATCH_SIZES,
    runtimes="runtimes",
    licence=None,
):
    """Exports the trained model of a run, or of a preset.

    Args: as the flags.

    Returns:
        List of the `pathlib.Path` of what was written, by `formats`.
    """
    folders = {
        "saved_models": saved_models,
        "presets": presets,
        "runtimes": runtimes,
    }
    name = model_name(name, workdir, preset)
    batch_sizes = _integers(batch_sizes)
    if preset is None:
        workdir = checked_path(workdir).absolute()
        card, model = records.card_of_run(workdir), trained_model(workdir)
    else:
        model, card = records.model_and_card(preset)
    card = records.without_paths(card)
    if licence is not None:
        card = {**card, "licence": licence}

    def path_of(form):
        path = (pathlib.Path(folders[FOLDERS[form]]) / name).absolute()
        return path / form if FOLDERS[form] == "runtimes" else path

    def check(form):
        path = path_of(form)
        if form == "saved_model":
            check_saved_model(model, path, batch_sizes)
        elif form == "preset":
            check_new(path)
        else:
            check_runtime(model, path, form)

    def write(form):
        path = path_of(form)
        if form == "saved_model":
            return export_saved_model(
                model, path, card=card, batch_sizes=batch_sizes
            )
        if form == "preset":
            return export_preset(model, path, card=card)
        return export_runtime(model, path, form)

    for form in formats:  # all, before any is written
        _done(form, check, folders)
    return _all_or_none(formats, lambda form: _done(form, write, folders))


def _all_or_none(formats, write):
    """The paths that `write` returns; none of them stays if one fails.

    Else the same command would find what the first try left.
    """
    written = []
    try:
        for form in formats:
            written.append(write(form))
    except BaseException:
        for path in written:
            remove(path)
        raise
    return written


def _integers(texts):
    try:
        return tuple(int(text) for text in texts)
    except ValueError as error:
        raise UsageError(
            "--batch_sizes must be whole numbers, separated by commas. "
            f"Received: {','.join(map(str, texts))!r}"
        ) from error


def _done(form, work, folders):
    """What `work` makes of a format; what it can't is a `UsageError`."""
    try:
        with command_line.usage_errors():
            return work(form)
    except OSError as error:
        flag = FOLDERS[form]
        raise UsageError(
            f"{folders[flag]} can't be written: {error.strerror}. "
            "Make room or give write access, or choose another folder with "
            f"--{flag}."
        ) from error


def main():
    options = command_line.values(EXPORT.sections, flags.FLAGS)
    written = run(**vars(options))
    for name, path in zip(options.formats, written):
        kind = "model" if name == "saved_model" else name
        print(f"Exported {kind}: {printable(path)}")
