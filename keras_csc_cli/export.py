"""Exports the trained model of a run, or of a preset."""

import pathlib
import re

from keras_csc_cli import building
from keras_csc_cli import records
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.options import FOLDERS
from keras_csc_cli.options import name_of

from keras_csc.export import export_preset
from keras_csc.export import export_saved_model
from keras_csc.files import remove
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models.presets import PRESETS
from keras_csc.presets import load_preset

# What serving/client.py takes, and a URL and a shell leave as they are.
SERVED = re.compile(r"[\w.-]+", re.ASCII)


def run(
    workdir=None,
    *,
    preset=None,
    name=None,
    output=".",
    formats=("saved_model",),
    batch_sizes="1,8,32",
    licence=None,
):
    """Exports the trained model of a run, or of a preset.

    Args: as the flags.

    Returns:
        List of the `pathlib.Path` of what was written, by `formats`. If one
        fails, none stays: else the same command would find what the first try
        left.
    """
    name = name or name_of(workdir, preset)
    check(name, formats)
    # An architecture has no weights, and the autoencoder's class says so.
    alone = preset in PRESETS
    load = ClosedLoopAutoencoder.from_preset if alone else load_preset
    model, card = building.opened(workdir, preset, load)
    card = records.without_paths(card)
    if licence is not None:
        card = {**card, "licence": licence}
    sizes = tuple(int(size) for size in batch_sizes.split(",") if size)
    written = {}
    try:
        # A server takes a version at once: it is written last.
        for form in sorted(dict.fromkeys(formats), key="saved_model".__eq__):
            path = pathlib.Path(output, FOLDERS[form], name).absolute()
            if form == "saved_model":
                how = {"card": card, "batch_sizes": sizes}
                path = export_saved_model(model, path, **how)
            else:
                path = export_preset(model, path, card=card)
            written[form] = path
    except BaseException:
        for path in written.values():
            remove(path)
        raise
    return [written[form] for form in formats]


def check(name, formats):
    """Raises `UsageError` for a name that no folder has or no server takes."""
    wrong = not name.isprintable() or re.fullmatch(r"|\..*|.*/.*|\d+", name)
    if wrong or ("saved_model" in formats and not SERVED.fullmatch(name)):
        raise UsageError(
            "--name must be that of a folder, printable, not hidden and not a "
            "number; and of a SavedModel, as it is part of a URL, of letters, "
            f"digits and _.-. Give another with --name. Received: {name!r}"
        )


def main(options):
    written = run(**vars(options))
    for name, path in zip(options.formats, written):
        kind = "model" if name == "saved_model" else name
        print(f"Exported {kind}: {path}")
