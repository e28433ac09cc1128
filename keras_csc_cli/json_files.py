"""Files of JSON: written whole, and checked when they are read."""

import json
import pathlib
import stat

from keras_csc_cli.command_line import UsageError

from keras_csc.files import replacing

MOST = 64 * 2**20  # bytes


def write_json(path, value):
    """Writes JSON under a temporary name, and renames it."""
    with replacing(path) as temporary:
        with open(temporary, "x") as file:
            json.dump(value, file, indent=2)
            file.write("\n")


def read_json(path, kind=dict, hint="Remove it."):
    """Reads JSON.

    Args:
        path: of a regular file.
        kind: type that is expected.
        hint: str, what to do about a file that is damaged.

    Raises:
        UsageError: if the file does not hold JSON of that type.
    """
    path = pathlib.Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a regular file. {hint}")
        if path.stat().st_size > MOST:
            raise UsageError(f"{path} has above {MOST} bytes. {hint}")
        value = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{path} is damaged: {reason}. {hint}") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error
    if not isinstance(value, kind):
        expected = {dict: "an object", list: "a list"}.get(kind, "a text")
        raise UsageError(
            f"{path} must hold {expected}, and holds {value!s:.40}. {hint}"
        )
    return value
