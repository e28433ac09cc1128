"""The folder of a run: what is in it, and whose it is."""

import datetime
import fcntl
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

from training.command_line import UsageError
from training.options import MAY_CHANGE

import keras
import tensorflow as tf

LOCK = ".lock"


class Workdir:
    """Paths of a run's folder, held by one process within its context.

    Hidden names in it are those of files that are being written.

    Args:
        path: the folder.
        create: bool, whether to create a missing folder.
        hold: bool, `False` on workers that only read what the chief, which
            holds it, writes.

    Raises:
        UsageError: if the folder is missing or can't be written, or another
            process holds it.
    """

    def __init__(self, path, create=True, hold=True):
        self.path = pathlib.Path(path)
        self.flags = self.path / "flags.json"
        self.run = self.path / "run.json"
        self.evaluation = self.path / "evaluation.json"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        if not create and not self.path.is_dir():
            raise UsageError(f"there is no working directory {self.path}.")
        self._lock = self._take() if hold else None

    def _take(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / LOCK, "w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_json(self.path / ".writable", {})
            self._sweep()
        except BlockingIOError:
            raise UsageError(
                f"the working directory {self.path} is in use by another "
                "process. Wait for it, or choose another with --workdir."
            ) from None
        except OSError as error:
            raise UsageError(
                f"the working directory {self.path} can't be written: "
                f"{error.strerror}. Make room or give write access, or choose "
                "another with --workdir."
            ) from error
        return lock

    def _sweep(self):
        """Removes what a killed process left under temporary names."""
        for folder in (self.path, self.checkpoints, self.path / "pictures"):
            for path in folder.glob(".*"):
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._lock:
            self._lock.close()

    def claim(self, options):
        """Records a run's options, or checks that they are the same.

        Raises:
            UsageError: if the folder was made with other options.
        """
        options = vars(options)
        if not self.flags.exists():
            if not self._lock:
                raise UsageError(
                    f"the working directory {self.path} does not have what "
                    "the chief wrote. All workers must see the same folder, "
                    "on a file system that they share."
                )
            write_json(self.flags, options)
            return
        before = read_json(self.flags)
        differences = [
            f"{name} was {before.get(name)}, is {value}"
            for name, value in options.items()
            if name not in MAY_CHANGE and before.get(name) != value
        ]
        if differences:
            raise UsageError(
                f"the working directory {self.path} was made with other "
                f"options ({'; '.join(differences)}). Use those, or choose "
                "another with --workdir."
            )


def identification():
    """What identifies a run: when, what code, on what machine, with what."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
        "command": " ".join(["python", *sys.argv]),
        "commit": COMMIT,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "processor": _processor(),
        "cores": _cores(),
        "gpus": [
            tf.config.experimental.get_device_details(device).get(
                "device_name", device.name
            )
            for device in tf.config.list_physical_devices("GPU")
        ],
    }


def _commit():
    root = pathlib.Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip()


# When this process began: what is committed meanwhile is not what it runs.
COMMIT = _commit()


def _cores():
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only on Linux
        return os.cpu_count()


def _processor():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def write_json(path, value):
    """Writes JSON under a temporary name, and renames it."""
    path = pathlib.Path(path)
    handle, temporary = tempfile.mkstemp(
        prefix=f".{path.name}-", dir=path.parent
    )
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(value, file, indent=2)
            file.write("\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_json(path):
    """Reads JSON.

    Raises:
        UsageError: if the file is not JSON.
    """
    try:
        return json.loads(pathlib.Path(path).read_text())
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}. Remove it.") from error
