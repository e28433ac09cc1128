"""Files of JSON, the record of a run's sessions, and a model's card."""

import datetime
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import tempfile
import time

from keras_csc_cli import devices
from keras_csc_cli.command_line import UsageError

import keras
import tensorflow as tf

import keras_csc
from keras_csc.callbacks.checkpoints import steps_taken
from keras_csc.files import replacing

MOST = 64 * 2**20  # bytes of a file of JSON
MOST_NAMES = 1000  # classes whose names are recorded
# What of a repository is run.
CODE = (":(glob)**/*.py", ":(glob)**/*.flags")

# What cards do not say: commands, and options that are folders and files.
PRIVATE = "command", "workdir", "data_dir", "classifier", "file"
# Sections of a card: their file, and what it must have.
SECTIONS = {
    "training": ("run.json", {"sessions": list}),
    "recipe": ("flags.json", {}),
    "evaluation": ("evaluation.json", {"psnr": float}),
}


def write_json(path, value):
    """Writes JSON under a temporary name, and renames it."""
    with replacing(path) as temporary:
        with open(temporary, "x") as file:
            json.dump(value, file, indent=2)
            file.write("\n")


def write_evaluation(folder, figures):
    """Writes `evaluation.json`, figures of any model, and returns them."""
    figures = {**figures, "evaluated": identification()}
    write_json(folder / "evaluation.json", figures)
    return figures


def read_json(path, kind=dict, hint="Remove it.", **has):
    """What a regular file of JSON holds.

    Args:
        path: the file.
        kind: type of what it holds.
        hint: str, what to do if it is damaged.
        **has: types of entries that a dict must have.

    Raises:
        UsageError: if the file does not hold that.
    """
    path = pathlib.Path(path)
    try:
        if not path.is_file() or path.stat().st_size > MOST:
            raise ValueError(f"it is no file of at most {MOST} bytes")
        value = json.loads(path.read_text())
        if not isinstance(value, kind):
            raise ValueError(f"it holds {value!s:.40}, no {kind.__name__}")
        for name, its in has.items():
            if not isinstance(value.get(name), its):
                raise ValueError(f"it has no {its.__name__} {name!r}")
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{path} is damaged: {reason}. {hint}") from error
    return value


def check_folder(folder):
    """Raises an `OSError` for a folder that nothing can be written to.

    The folder need not be there yet.
    """
    there = next(f for f in (folder, *folder.absolute().parents) if f.exists())
    with tempfile.TemporaryFile(dir=there):
        pass


def check_output(output, mark, kind):
    """The path of a file to write, which may replace a file of its kind alone.

    A file of its kind has a mark, some bytes, among its first 1,000.
    """
    path = pathlib.Path(output)
    if path.exists() and not (path.is_file() and _has(path, mark)):
        raise UsageError(
            f"{path} exists, and is not {kind} that would be replaced. "
            "Choose another --output."
        )
    check_folder(path.parent)
    return path


def _has(path, mark):
    with open(path, "rb") as file:
        return mark in file.read(1000)


def identification():
    """What identifies a run: when, what code, on what machine, with what."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "date": now.isoformat(timespec="seconds"),
        "command": f"{sys.argv[0]} {shlex.join(sys.argv[1:])}".rstrip(),
        "keras_csc": keras_csc.__version__,
        "commit": COMMIT,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "processor": devices.processor(),
        "cores": len(os.sched_getaffinity(0)),  # that it may use
        "gpus": devices.gpus(),
    }


def commit(root=pathlib.Path(__file__).resolve().parents[1]):
    """Commit of the repository `root`, `None` if the package is not in one.

    `-dirty` says that code or flag files differ from the commit. Runs write
    tables of results meanwhile, so other files may differ.
    """

    def git(*arguments):
        command = ["git", "--no-optional-locks", *arguments]
        how = {"cwd": root, "text": True, "stderr": subprocess.DEVNULL}
        return subprocess.check_output(command, **how).strip()

    try:
        if not (root / ".git").exists():
            return None
        name = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{name}-dirty" if changed else name


# When this process began: it does not run a later commit.
COMMIT = commit()


def sessions(path):
    """The sessions that a `run.json` holds; none without it."""
    if not path.exists():
        return []
    recorded = read_json(path, sessions=list)["sessions"]
    for session in recorded:
        if not (
            isinstance(session, dict)
            and isinstance(session.get("seconds"), float)
            and isinstance(session.get("training_images", {}), dict)
        ):
            raise UsageError(
                f"{path} is damaged: {session!s:.40} is no session. Remove it."
            )
    return recorded


def check_images(path, images):
    """Checks that a run goes on with the images that it began with.

    The run's last session tells the images. An earlier session may have left no
    checkpoint to go on from, so that the run began anew.

    Args:
        path: of `run.json`. Without it, or if an earlier version wrote it,
            nothing is known.
        images: dict, `identity()` of the training images.
    """
    for session in sessions(path)[-1:]:
        before = session.get("training_images", images)
        if {**images, **before} != images:  # it may lack `bytes`
            raise UsageError(
                "the training images are not those that this run began with: "
                f"{before} then, {images} now. Give the same --data_dir, or "
                "choose another --workdir."
            )


class SessionLog(keras.callbacks.Callback):
    """Records a session of training, as far as it has come.

    It adds to the `sessions` of `run.json` one with `identification()`, the
    steps, seconds and images per second. It does so when the session begins and
    at the end of every logging interval. So a session that is killed is
    recorded up to its last interval. `class_names` has the names of the
    classes, if they are at most 1,000. `labels` says whether the model's game,
    if it has one, used the classes.

    Args:
        path: of `run.json`.
        source: the training images.
        batch_size: int, images in a step.
        replicas: int, number of devices that share a step.
        timed: dict, what `--dtype_policy=auto` was chosen by, if anything.
    """

    def __init__(self, path, source, batch_size, replicas=1, timed=None):
        super().__init__()
        self.path = path
        self.images = source.identity()
        self.class_names = source.class_names
        self.batch_size = batch_size
        self.replicas = replicas
        self.timed = timed

    def on_train_begin(self, logs=None):
        self._before = sessions(self.path)
        self._about = identification()
        self._first_step = steps_taken(self.model)
        self._began = time.monotonic()
        self._record()

    def on_epoch_end(self, epoch, logs=None):
        self._record()

    def _record(self):
        seconds = max(round(time.monotonic() - self._began, 1), 0.1)
        steps = steps_taken(self.model) - self._first_step
        session = {
            **self._about,
            "training_images": self.images,
            "replicas": self.replicas,
            "dtype_policy_seconds": self.timed,
            "deterministic": os.environ.get("TF_DETERMINISTIC_OPS") == "1",
            "steps": steps,
            "seconds": seconds,
            "images_per_second": round(steps * self.batch_size / seconds, 1),
        }
        recorded = [*self._before, session]
        total = round(sum(entry["seconds"] for entry in recorded), 1)
        record = {"sessions": recorded, "seconds": total}
        if self.class_names and len(self.class_names) <= MOST_NAMES:
            record["class_names"] = self.class_names
        if game := getattr(self.model, "game", None):
            record["labels"] = "used" if game.needs_labels else "not used"
        write_json(self.path, record)


def card_of_run(workdir):
    """What the card of the model in a run's folder says."""
    card = {
        title: read_json(workdir / name, **has)
        for title, (name, has) in SECTIONS.items()
        if (workdir / name).exists()
    }
    card.get("evaluation", {}).pop("run", None)
    return card


def without_paths(facts):
    """What a card says, without folders of the machine that it was made on.

    Commands and options whose values are folders are left out. Other absolute
    paths keep only their last part.
    """
    if isinstance(facts, dict):
        return {
            name: without_paths(value)
            for name, value in facts.items()
            if name not in PRIVATE
        }
    if isinstance(facts, (list, tuple)):
        return [without_paths(value) for value in facts]
    is_path = isinstance(facts, str) and facts.startswith("/")
    return pathlib.PurePath(facts).name if is_path else facts
