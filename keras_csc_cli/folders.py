"""Folders that a command is to write to."""

import tempfile

from keras_csc_cli.command_line import UsageError

from keras_csc.data.listing import printable


def check_folder(folder, flag="output"):
    """Checks that files can be written to a folder, which may not be there.

    Args:
        folder: `pathlib.Path`.
        flag: name of the flag that chooses it.

    Raises:
        UsageError: if they can't.
    """
    there = next(f for f in (folder, *folder.absolute().parents) if f.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(
            f"--{flag} can't be written to {printable(str(folder))}: "
            f"{error.strerror}. Choose another --{flag}, or give write access."
        ) from error
