"""Exports the trained model of a run, or of a preset."""

import pathlib
import re

from keras_csc_cli import building
from keras_csc_cli import records
from keras_csc_cli.checked_flags import values
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.options import EXPORT
from keras_csc_cli.options import FOLDERS
from keras_csc_cli.options import name_of

from absl import flags

from keras_csc.data.image_files import printable
from keras_csc.export import export_preset
from keras_csc.export import export_runtime
from keras_csc.export import export_saved_model
from keras_csc.files import remove

USER_ERRORS = (OSError,)
# What serving/client.py takes, and a URL and a shell leave as they are.
SERVED_NAME = re.compile(r"[\w.-]+", re.ASCII)


def run(
    workdir=None,
    *,
    name=None,
    saved_models="saved_models",
    preset=None,
    formats=("saved_model",),
    presets="presets",
    batch_sizes="1,8,32",
    runtimes="runtimes",
    licence=None,
):
    """Exports the trained model of a run, or of a preset.

    Args: as the flags.

    Returns:
        List of the `pathlib.Path` of what was written, by `formats`. None
        stays if one fails: the same command would find what the first try
        left.
    """
    name = name or name_of(workdir, preset)
    check(name, formats)
    model, card = building.opened(workdir, preset)
    card = records.without_paths(card)
    if licence is not None:
        card = {**card, "licence": licence}
    sizes = tuple(int(size) for size in batch_sizes.split(",") if size)
    folders = {
        "saved_models": saved_models,
        "presets": presets,
        "runtimes": runtimes,
    }
    written = {}
    try:
        # A server takes a version at once: it is written last.
        for form in sorted(formats, key="saved_model".__eq__):
            path = (pathlib.Path(folders[FOLDERS[form]]) / name).absolute()
            with usage_errors():
                if form == "saved_model":
                    path = export_saved_model(
                        model, path, card=card, batch_sizes=sizes
                    )
                elif form == "preset":
                    path = export_preset(model, path, card=card)
                else:
                    path = export_runtime(model, path / form, form)
            written[form] = path
    except BaseException:
        for path in written.values():
            remove(path)
        raise
    return [written[form] for form in formats]


def check(name, formats):
    """For a name that no folder has, or no server takes."""
    if not name.isprintable() or re.fullmatch(r"|\..*|.*/.*|\d+", name):
        raise UsageError(
            "--name must be the name of a folder, printable, not hidden and "
            f"not a number. Received: {name!r}"
        )
    if "saved_model" in formats and not SERVED_NAME.fullmatch(name):
        raise UsageError(
            "the name of a SavedModel must be of letters, digits and _.-, as "
            "it is part of a URL. Give another with --name. Received: "
            f"{name!r}"
        )


def main():
    options = values(EXPORT.sections, flags.FLAGS)
    written = run(**vars(options))
    for name, path in zip(options.formats, written):
        kind = "model" if name == "saved_model" else name
        print(f"Exported {kind}: {printable(path)}")
