"""The folder of a run: its files, its lock, the options that made them."""

import contextlib
import os
import pathlib
import re
import tempfile

from keras_csc_cli import devices
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import check_needed
from keras_csc_cli.records import check_images
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

from keras_csc.callbacks.checkpoints import found
from keras_csc.files import locked
from keras_csc.files import remove
from keras_csc.models import presets

LOCK = ".lock"
OTHER = "Choose another folder with --workdir."

# What a run writes, and therefore replaces.
WRITTEN = (
    ".model-new",
    ".model-old",
    "checkpoints",
    "evaluation.json",
    "flags.json",
    "log.jsonl",
    "model",
    "pictures",
    "report.html",
    "run.json",
    "tensorboard",
)

PARTIAL = r"\.partial-[0-9a-f]{8}"
# Names, by folder, under which a run writes what it then renames. A killed
# process leaves them, and the next removes them.
TEMPORARY = {
    ".": rf"\.(flags|run|evaluation){PARTIAL}\.json"
    rf"|\.(report{PARTIAL}\.html|denoiser{PARTIAL}\.keras)"
    r"|\.model-new|\.\.model-new-\w{8}\.partial",
    "checkpoints": r"\.step-\d{8,}\.partial",
    "pictures": rf"\.[\w.+-]+{PARTIAL}\.png",
}


class Workdir:
    """Paths of a run's folder, held by one process within its context.

    A folder with a run's `flags.json` is a run's. Another folder becomes a
    run's if it holds nothing that a run would replace.

    Args:
        path: the folder.
        create: bool, whether the folder is made, or made a run's, if it is not
            yet. What a killed process left under temporary names is then
            removed.
        hold: bool, `False` on workers that only read. The chief holds the
            folder and writes.
        command: the `Command` that makes the run.

    Raises:
        UsageError: if the folder is missing, not a run's, part of another run
            or can't be written, or another process holds it.
    """

    timed = None  # seconds in float32 and bfloat16

    def __init__(
        self, path, create=True, hold=True, command=train_options.TRAIN
    ):
        self.path, self.command = checked_path(path), command
        self.flags = self.path / "flags.json"
        self.run = self.path / "run.json"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.old_model = self.path / ".model-old"
        self._held = contextlib.ExitStack()
        if not create:
            if not os.path.lexists(self.flags):
                raise UsageError(
                    f"--workdir={path} is not there, or not the folder of a "
                    "run: it has no flags.json. Give the folder of a training."
                )
            self.options()
        if hold:
            self._take(create)

    def _take(self, create):
        if create:
            self._check_outside()
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_others()
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(b" " * 512)  # there is room
        try:
            self._held.enter_context(locked(self.path / LOCK, wait=False))
        except BlockingIOError:
            raise self._refused("is in use by another process") from None
        if create and os.path.lexists(self.flags):
            self._sweep()

    def _refused(self, reason):
        return UsageError(
            f"the working directory {self.path} {reason}. {OTHER}"
        )

    def _check_outside(self):
        """Raises `UsageError` for a folder that is part of another run."""
        # Unlike `resolve`, which raises for a loop of links.
        path = pathlib.Path(os.path.realpath(self.path))
        for part in (path, *path.parents):
            if part.name in WRITTEN and (part.parent / "flags.json").exists():
                raise self._refused(f"is part of the run {part.parent}")

    def _check_others(self):
        """Raises `UsageError` for files to replace that no run wrote."""
        others = [n for n in WRITTEN if os.path.lexists(self.path / n)]
        if "flags.json" in others:
            self.options()
            inside = os.listdir(self.model) if self.model.is_dir() else ()
            others = [f"model/{n}" for n in inside if n not in presets.FILES]
        if others:
            raise self._refused(
                f"holds {', '.join(others)}, which no run wrote, and which a "
                "run would replace. Move it away"
            )

    def _sweep(self):
        """Removes what a killed process left under temporary names."""
        if self.old_model.is_dir():
            if self.model.exists():
                remove(self.old_model)
            else:
                self.old_model.rename(self.model)
        for folders, pattern in TEMPORARY.items():
            for path in self.path.glob(f"{folders}/.*"):
                if re.fullmatch(pattern, path.name) and not path.is_symlink():
                    remove(path)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._held.close()

    def run_record(self):
        """What `run.json` holds; empty without it."""
        return read_json(self.run) if self.run.exists() else {}

    # === Options ===

    def recorded(self):
        """The options that the run was made with, as they are recorded."""
        return read_json(self.flags, hint=OTHER)

    def options(self):
        """The options that the run was made with, checked as flags are.

        Options that did not exist when the file was written have their
        defaults.

        Raises:
            UsageError: for a value that no flag can have, or an option that
                does not exist. To pass it over would be a wrong answer in
                silence.
        """
        try:
            options = train_options.recorded(
                self.recorded(), self.command.sections
            )
            check_needed(options, self.command.needed)
        except UsageError as error:
            raise UsageError(
                f"{self.flags} is damaged or of another version of keras_csc: "
                f"{error} {OTHER}"
            ) from error
        return options

    def binding(self):
        """The options that made a checkpoint or a model, or `None`.

        A run that failed before its first checkpoint binds nothing.
        """
        if not self.flags.exists():
            return None
        options = self.options()
        begun = self.model.exists() or found(self.checkpoints)
        return options if begun else None

    def dtype_policy(self, given, convolutions):
        """The policy that a run computes in; for `"auto"` its former one.

        Without one these `building.convolutions` may be timed, into `timed`.
        """

        def timed():
            self.timed = devices.seconds(convolutions)
            return self.timed

        if given == "auto" and (before := self.binding()):
            return before.dtype_policy
        return devices.dtype_policy(given, timed)

    def begin(self, options, images):
        """Claims the folder for a training of images with this `identity()`.

        Raises:
            UsageError: for a run of other options or images, or one with a
                model, which a new run would replace, and no checkpoint.
        """
        if found(self.checkpoints):
            check_images(self.run, images)
        elif self.model.exists():
            raise UsageError(
                f"{self.checkpoints} has no checkpoint to go on from, and a "
                f"training from the start would replace {self.model} and the "
                f"log. {OTHER}"
            )
        self.claim(options)

    def claim(self, options):
        """Records a run's options as they are now, with all that may change.

        Raises:
            UsageError: if options that may not change differ from `binding`.
        """
        before = vars(self.binding() or options)
        differences = [
            f"{name} was {before[name]}, is {value}"
            for name, value in vars(options).items()
            if name not in train_options.MAY_CHANGE and before[name] != value
        ]
        if differences:
            raise self._refused(
                f"was made with other options ({'; '.join(differences)}). "
                "Use those"
            )
        if not self.flags.exists() or self.recorded() != vars(options):
            write_json(self.flags, vars(options))

    def save(self, model):
        """Writes `model/`, in place of an older one."""
        new = self.path / ".model-new"
        model.save_to_preset(new)
        if os.path.lexists(self.model):
            self.model.rename(self.old_model)
        new.rename(self.model)
        remove(self.old_model)


def checked_path(path):
    """A `pathlib.Path` of what `--workdir` names."""
    text = str(path)
    if "://" in text or text != text.encode(errors="ignore").decode():
        raise UsageError(
            "--workdir must be a folder of this machine, with a name in "
            f"UTF-8. Received: {text!r}"
        )
    return pathlib.Path(text)
