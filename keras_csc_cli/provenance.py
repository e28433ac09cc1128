"""What made a result: when, which code, on what machine."""

import datetime
import pathlib
import platform
import subprocess

from keras_csc_cli import command_line
from keras_csc_cli import processor

import keras
import tensorflow as tf

import keras_csc


def identification():
    """What identifies a run: when, what code, on what machine, with what."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
        "command": command_line.typed(),
        "keras_csc": keras_csc.__version__,
        "commit": COMMIT,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "processor": processor.name(),
        "cores": processor.cores(),
        "gpus": [
            tf.config.experimental.get_device_details(device).get(
                "device_name", device.name
            )
            for device in tf.config.list_physical_devices("GPU")
        ],
    }


# What of a repository is run.
CODE = (":(glob)**/*.py", ":(glob)**/*.flags")


def commit(root=pathlib.Path(__file__).resolve().parents[1]):
    """Commit of the repository `root`, `None` if it is not that of this file.

    A package that is installed somewhere below a repository of the user's has
    no commit, but a version. What is `-dirty` has other code or flag files than
    the commit: tables of results are written while runs go on.
    """
    name = "/".join(pathlib.Path(__file__).parts[-2:])
    try:
        tracked = _git(root, "ls-files", "--full-name", "--", name)
        if tracked != name:
            return None
        name = _git(root, "describe", "--always", "--abbrev=12")
        changed = _git(root, "status", "--porcelain", "--", *CODE)
        return f"{name}-dirty" if changed else name
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder, *arguments):
    return subprocess.run(
        # Without a lock on the index, which a commit would run into.
        ["git", "--no-optional-locks", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


# When this process began: what is committed meanwhile is not what it runs.
COMMIT = commit()
