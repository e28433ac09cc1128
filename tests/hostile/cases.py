"""The list of cases: what is typed, in which folder, and how it has to end."""

import dataclasses
import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable

from tests.hostile.material import cut
from tests.hostile.material import encoded
from tests.hostile.material import fifo
from tests.hostile.material import flip
from tests.hostile.material import images
from tests.hostile.material import link
from tests.hostile.material import png
from tests.hostile.material import write

TINY = (
    "--dataset=digits --preset=digits "
    "--architecture=filters=4,feature_dim=8,iterations=2 --batch_size=16 "
    "--steps=4 --log_every=2 --save_every=2 --evaluation_limit=40"
)
TRAIN = f"train.py {TINY} --workdir=run"
SHORT = f"{TRAIN} --metrics="
HUGE = 10**9
LAST = "run/checkpoints/step-00000004"
EARLIER = "run/checkpoints/step-00000002"
DATA = "checkpoint.data-00000-of-00001"
CONFIG = "run/model/config.json"
INFO = "tfds/cifar10/3.0.2/dataset_info.json"
TRAINED = pathlib.Path("run/model/model.weights.h5").is_file
held = []  # what a set-up has to keep open


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that a user does, in a folder with files of the user's.

    None of these may change, whatever comes of it.

    Args:
        name: str, unique.
        command: a script of `training/` and its arguments; or, with
            `$TRAINING` for the folder of the scripts, a line for bash.
        codes: the exit codes that are right. With 2 there is one line.
        says: regular expression that standard error has to match.
        setup: function that makes what the command meets.
        run: bool, whether `run/` is a finished run, with files of the user's.
        check: function that is true of what the command left.
        notices: lines that may stand before the one that refuses.
        writes: the names that the command may make, with all below them.
        environment: dict of variables.
    """

    name: str
    command: str
    codes: tuple
    says: str = ""
    setup: Callable = lambda: None
    run: bool = False
    check: Callable = lambda: True
    notices: int = 0
    writes: tuple = ("run", "saved_models", "out")
    environment: dict = dataclasses.field(default_factory=dict)


def refused(name, command, says, setup=lambda: None, **kwargs):
    return Case(name, command, (2,), says, setup, **kwargs)


def works(name, command, setup=lambda: None, check=TRAINED, **kwargs):
    return Case(name, command, (0,), setup=setup, check=check, **kwargs)


def either(name, command, says, setup=lambda: None, **kwargs):
    """It works or is refused, and says so; only harm is wrong."""
    return Case(name, command, (0, 2), says, setup, notices=3, **kwargs)


# === Numbers ===

NUMBERS = [
    refused(f"--{flag}", f"{TRAIN} --{flag}", flag.split("=")[-2])
    for flag in (
        *(f"architecture=filters={HUGE}", f"architecture=kernel_size={HUGE}"),
        *(f"architecture=feature_dim={HUGE}", f"batch_size={HUGE}"),
        *(f"architecture=iterations={HUGE}", f"first_atoms=principal:{HUGE}"),
    )
]

# === Flags and flag files ===

FLAGS = [
    refused("flags: a path for data", f"{TRAIN} --dataset=../../x",
            "data ?set"),
    refused("flags: a file for a preset", f"{TRAIN} --preset=notes.txt",
            "notes"),
    refused("no classifier", "evaluate.py --workdir=run --metrics=classifier "
            "--classifier=notes.txt", "notes.txt", run=True),
    *(
        refused(f"a name {n}", f"export.py --workdir=run --name={n}", "name",
                run=True)
        for n in ("../evil", ".git")
    ),
    *(
        refused(f"flag file {name}", "train.py --flagfile=x --workdir=run",
                "x", setup)
        for name, setup in (
            ("a FIFO", lambda: fifo("x")),
            ("a device", lambda: link("x", "/dev/zero")),
        )
    ),
]  # fmt: skip

# === Working directories ===


def lock():
    """Another process has the run."""
    os.mkdir("run")
    held.append(open("run/.lock", "w"))
    fcntl.flock(held[-1], fcntl.LOCK_EX)


def unfinished():
    """The last checkpoint is gone."""
    shutil.rmtree(LAST)


def mine():
    write("saved_models/run/7/mine", "mine")
    write("saved_models/run/.mine", "mine")


def other_photos():
    shutil.copy("run/evaluation.json", "before.json")
    images("photos/train", mode="L")
    images("photos/test", mode="L")


def as_before():
    found = pathlib.Path("run/evaluation.json").read_bytes()
    return found == pathlib.Path("before.json").read_bytes()


TO = f"train.py {TINY} --metrics= --workdir"
WORKDIRS = [
    refused(
        "workdir: the user's folder, and a mistake",
        f"{TO}=. --batch_size=9999",
        "batch_size|workdir|working",
        writes=("run", ".lock"),
    ),
    refused("workdir: below a file", f"{TO}=notes.txt/run", "notes.txt"),
    refused("workdir: below a device", f"{TO}=/dev/null/x", "/dev/null"),
    either("workdir: .git", f"{TO}=.git", "work|Trained", writes=(".git",)),
    refused("workdir: a long name", f"{TO}={'a' * 300}", "a{100}"),
    refused("workdir: a loop", f"{TO}=x", "x", lambda: link("x", "x")),
    works(
        "workdir: a run with files of the user's",
        SHORT,
        lambda: os.remove(f"{LAST}/checkpoint.index"),
        run=True,
    ),
    either("workdir: its lock is a link", SHORT, "lock|run",
           lambda: link("run/.lock", "../.env")),
    either("workdir: its log is a link", SHORT, "log|run",
           lambda: link("run/log.jsonl", "../notes.txt")),
    either("workdir: its lock is a FIFO", SHORT, "lock|run",
           lambda: fifo("run/.lock")),
    refused("workdir: its pictures are a file", SHORT, "pictures|run",
            lambda: write("run/pictures"), notices=2),
    refused("workdir: two processes", TRAIN, "in use", lock),
    *(
        refused(f"{script} of no run", f"{script} --workdir=.", "run",
                writes=())
        for script in ("evaluate.py", "export.py")
    ),
    works("evaluation of other data", "evaluate.py --workdir=run "
          "--dataset=image_folder --data_dir=photos", other_photos,
          as_before, run=True),
    works("evaluation of another split", "evaluate.py --workdir=run "
          "--split=train", other_photos, as_before, run=True),
    refused("export to a file", "export.py --workdir=run "
            "--saved_models=notes.txt", "notes.txt", run=True),
    works("export beside another's versions", "export.py --workdir=run", mine,
          pathlib.Path("saved_models/run/8/saved_model.pb").is_file, run=True),
]  # fmt: skip

# === Records and checkpoints ===

DEEP = "[" * 100_000
RECORDS = [
    *(
        refused(f"{file} is deep, {command.partition(' ')[0]}", command, file,
                lambda file=file: write(f"run/{file}", DEEP), run=True)
        for file, command in (
            ("flags.json", TRAIN),
            ("flags.json", "evaluate.py --workdir=run"),
            ("run.json", "export.py --workdir=run"),
            ("evaluation.json", "export.py --workdir=run"),
        )
    ),
    refused("run.json is deep, gone on with", TRAIN, "run.json",
            lambda: (unfinished(), write("run/run.json", DEEP)), run=True,
            notices=2),
    works("log.jsonl holds bytes", SHORT,
          lambda: (unfinished(), write("run/log.jsonl", bytes(range(256)))),
          run=True),
]  # fmt: skip


def in_its_place(make):
    shutil.rmtree(LAST)
    make()


CHECKPOINTS = [
    *(
        Case(f"checkpoint: {name}", SHORT, (0,), "checkpoint|on from step 2",
             setup, run=True, check=TRAINED)
        for name, setup in (
            ("data changed", lambda: flip(f"{LAST}/{DATA}")),
            ("a link", lambda: in_its_place(lambda: link(LAST, "nope"))),
        )
    ),
    either("checkpoint: an earlier one under a later name", SHORT,
           "step-00000004",
           lambda: in_its_place(lambda: os.rename(EARLIER, LAST)),
           run=True),
    refused("checkpoint: all cut", SHORT, "None of the 2",
            lambda: (cut(f"{LAST}/checkpoint.index"),
                     cut(f"{EARLIER}/checkpoint.index")),
            run=True, notices=2),
    *(
        refused(f"a trained model {name}, {script}", f"{script} --workdir=run",
                "model.weights.h5|config.json|image_shape|preset", setup,
                run=True)
        for name, setup in (
            ("of cut weights", lambda: cut("run/model/model.weights.h5")),
            ("whose config is a FIFO",
             lambda: (os.remove(CONFIG), fifo(CONFIG))),
        )
        for script in ("evaluate.py", "export.py")
    ),
]  # fmt: skip

# === Folders of images ===

PHOTOS = (
    "train.py --dataset=image_folder --preset=photographs "
    "--architecture=filters=4,4,feature_dim=8,iterations=2 --batch_size=8 "
    "--steps=2 --validation_fraction=0 --data_dir=photos --workdir=run "
    "--metrics="
)
CAT = "photos/train/cat"


def photos(name=None, content=None, make=None):
    """A folder of images, with a file of a name, or what `make` makes."""
    images(CAT)
    images("photos/test/cat", seed=100)
    if name:
        (make or write)(f"{CAT}/{name}", *[content][: content is not None])


def damaged():
    content = encoded(size=(300, 300))
    return content[:5000] + bytes(500) + content[5500:]


FOLDERS = [
    works("photos", PHOTOS, photos),
    *(
        Case(f"photos with {name}, left out and said", PHOTOS, (0,), "left out",
             setup, check=TRAINED)
        for name, setup in (
            ("a FIFO", lambda: photos("x.png", make=fifo)),
            ("a device", lambda: photos("x.png", "/dev/zero", link)),
            ("a name that is not UTF-8",
             lambda: photos(os.fsdecode(b"\xff.png"), encoded())),
        )
    ),
    works("photos of an extreme shape", f"{PHOTOS} --augment=crop",
          lambda: photos("x.png", png(300_000, 1))),
    works("crops of an extreme shape", f"{PHOTOS} --noresize",
          lambda: photos("x.png", png(300_000, 1))),
    either("crops of a damaged image", f"{PHOTOS} --noresize", "",
           lambda: photos("x.png", damaged())),
    either("photos of 30,000 x 30,000 pixels", PHOTOS, "",
           lambda: photos("x.png", png(30_000, 30_000, 9))),
    refused("no photos", PHOTOS, "photos"),
    *(
        refused(f"TFDS: {name}", "train.py --dataset=cifar10 --preset=cifar10 "
                "--steps=2 --workdir=run --data_dir=tfds",
                "cifar10|tfds", setup)
        for name, setup in (
            ("an empty version", lambda: os.makedirs("tfds/cifar10/3.0.2")),
            ("a cut description", lambda: write(INFO, '{"name": "ci')),
        )
    ),
]  # fmt: skip

# === The process ===

SHELL = f"python $TRAINING/{TRAIN}"
# Sends a signal when so many seconds have gone by, to a run without an end.
STOP = f"{SHELL} --steps=1000000 & sleep %s; kill -%s $!; wait $!"
PROCESSES = [
    # 141 is how a program ends whose reader has left.
    works("help to a reader that leaves", "python $TRAINING/train.py --help | "
          "head -1; code=${PIPESTATUS[0]}; [ $code = 141 ] || exit $code",
          check=lambda: True),
    refused("another backend", SHELL, "KERAS_BACKEND|backend",
            environment={"KERAS_BACKEND": "jax"}),
    works("keras.json of another precision", f"{SHELL} --metrics=",
          lambda: write("keras/keras.json", '{"floatx": "float16"}'),
          environment={"KERAS_HOME": "keras"}, writes=("run", "keras")),
    *(
        works(f"streams {streams}", f"{SHELL} --metrics= {streams}")
        for streams in ("2>&-", "2> >(exec sleep 0.1)", "2>/dev/full")
    ),
    works("a mistake, and closed standard error",
          f"{SHELL} --steps=0 2>&-; test $? = 2", check=lambda: True),
    refused("no file may grow", f"ulimit -f 8; {SHELL}",
            "room|too large|can't be written", notices=6),
    either("few open files", f"ulimit -n 40; {SHELL} --metrics=", ""),
    works("a locale of ASCII", f"{SHELL} --metrics=",
          environment={"LC_ALL": "C", "PYTHONUTF8": "0"}),
    *(
        Case(f"SIG{name} after {seconds} s", STOP % (seconds, name), (code,),
             f"SIG{name}")
        for name, code, seconds in (
            *(("TERM", 143, seconds) for seconds in (2, 4, 8, 16)),
            ("HUP", 129, 8),
        )
    ),
]  # fmt: skip

CASES = [
    *(*NUMBERS, *FLAGS, *WORKDIRS, *RECORDS, *CHECKPOINTS),
    *(*FOLDERS, *PROCESSES),
]
