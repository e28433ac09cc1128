"""The record of a run's sessions, `run.json`."""

import time

from keras_csc_cli import provenance
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.json_files import read_json
from keras_csc_cli.json_files import write_json

import keras

# What `identity()` of a source of data has; that of a folder has `bytes`, too.
IDENTITY = {"images", "classes", "digest"}
MOST_NAMES = 1000  # classes whose names are recorded


def recorded(path):
    """The sessions that a `run.json` holds.

    Raises:
        UsageError: if it is not such a file.
    """
    sessions = read_json(path).get("sessions")
    if not isinstance(sessions, list) or not all(map(_is_session, sessions)):
        raise UsageError(
            f"{path} is damaged: it must hold a list of sessions, each with "
            "its seconds. Remove it."
        )
    return sessions


def _is_session(found):
    if not isinstance(found, dict):
        return False
    images = found.get("training_images", dict.fromkeys(IDENTITY))
    return (
        isinstance(found.get("seconds"), (int, float))
        and isinstance(images, dict)
        and IDENTITY <= set(images)
    )


def check_images(path, images):
    """Checks that a run goes on with the images that it began with.

    They are those of its last session: an earlier one may have left no
    checkpoint to go on from, so that the run began anew.

    Args:
        path: of `run.json`; without it, or of earlier versions, nothing is
            known.
        images: dict, `identity()` of the training images.

    Raises:
        UsageError: if they are others.
    """
    for session in recorded(path)[-1:] if path.exists() else []:
        before = session.get("training_images", images)
        if {**images, **before} != images:  # it may lack `bytes`
            raise UsageError(
                "the training images are not those that this run began with: "
                f"{named(before)} then, {named(images)} now. Give the same "
                "--data_dir, or choose another --workdir."
            )


def named(images):
    """An `identity()` of images in words."""
    text = f"{images['images']} images"
    if images["classes"]:
        text += f" of {images['classes']} classes"
    if "bytes" in images:
        text += f" in {images['bytes']} bytes"
    return f"{text} (digest of names {images['digest']})"


class SessionLog(keras.callbacks.Callback):
    """Records a session of training, as far as it has come.

    Adds to the `sessions` of `run.json` one with `identification()`, the
    steps, seconds and images per second, when it begins and at the end of every
    logging interval: a session that is killed is recorded up to its last one.
    Beside them are the names of up to 1,000 classes, as `class_names`.

    Args:
        workdir: `Workdir` of the run.
        source: the training images.
        batch_size: int, images in a step.
        replicas: int, number of devices that share a step.
    """

    def __init__(self, workdir, source, batch_size, replicas=1):
        super().__init__()
        self.path = workdir.run
        self.images = source.identity()
        self.class_names = source.class_names
        self.batch_size = batch_size
        self.replicas = replicas

    def on_train_begin(self, logs=None):
        self._before = []
        if self.path.exists():
            self._before = recorded(self.path)
        self._about = provenance.identification()
        self._first_step, self._began = self.model.step, time.monotonic()
        self._record()

    def on_epoch_end(self, epoch, logs=None):
        self._record()

    def _record(self):
        seconds = max(round(time.monotonic() - self._began, 1), 0.1)
        steps = self.model.step - self._first_step
        session = {
            **self._about,
            "training_images": self.images,
            "replicas": self.replicas,
            "steps": steps,
            "seconds": seconds,
            "images_per_second": round(steps * self.batch_size / seconds, 1),
        }
        sessions = [*self._before, session]
        total = round(sum(each["seconds"] for each in sessions), 1)
        record = {"sessions": sessions, "seconds": total}
        if self.class_names and len(self.class_names) <= MOST_NAMES:
            record["class_names"] = self.class_names
        write_json(self.path, record)
