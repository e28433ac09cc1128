"""The list of cases: what is typed, in which folder, and how it has to end."""

import dataclasses
import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable

from tests.hostile.material import fifo
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
CONFIG = "run/model/config.json"
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
        f"architecture=filters={HUGE}",
        f"architecture=iterations={HUGE}",
        f"first_atoms=principal:{HUGE}",
    )
]

# === Flags and flag files ===

FLAGS = [
    refused("flags: a path for data", f"{TRAIN} --dataset=../../x",
            "data ?set"),
    refused("flags: a file for a preset", f"{TRAIN} --preset=notes.txt",
            "notes"),
    refused("a name ../evil", "export.py --workdir=run --name=../evil",
            "name", run=True),
    refused("flag file a device", "train.py --flagfile=x --workdir=run", "x",
            lambda: link("x", "/dev/zero")),
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


TO = f"train.py {TINY} --metrics= --workdir"
WORKDIRS = [
    refused(
        "workdir: the user's folder, and a mistake",
        f"{TO}=. --batch_size=9999",
        "batch_size|workdir|working",
        writes=("run", ".lock"),
    ),
    refused("workdir: below a device", f"{TO}=/dev/null/x", "/dev/null"),
    either("workdir: .git", f"{TO}=.git", "work|Trained", writes=(".git",)),
    refused("workdir: a long name", f"{TO}={'a' * 300}", "a{100}"),
    works(
        "workdir: a run with files of the user's",
        SHORT,
        lambda: os.remove(f"{LAST}/checkpoint.index"),
        run=True,
    ),
    either("workdir: its lock is a link", SHORT, "lock|run",
           lambda: link("run/.lock", "../.env")),
    either("workdir: its lock is a FIFO", SHORT, "lock|run",
           lambda: fifo("run/.lock")),
    refused("workdir: two processes", TRAIN, "in use", lock),
    refused("export to a file", "export.py --workdir=run "
            "--saved_models=notes.txt", "notes.txt", run=True),
    works("export beside another's versions", "export.py --workdir=run", mine,
          pathlib.Path("saved_models/run/8/saved_model.pb").is_file, run=True),
]  # fmt: skip

# === Records and models ===

DEEP = "[" * 100_000
RECORDS = [
    *(
        refused(f"{file} is deep", command, file,
                lambda file=file: write(f"run/{file}", DEEP), run=True)
        for file, command in (
            ("flags.json", TRAIN),
            ("run.json", "export.py --workdir=run"),
        )
    ),
    refused("run.json is deep, gone on with", TRAIN, "run.json",
            lambda: (unfinished(), write("run/run.json", DEEP)), run=True,
            notices=2),
    works("log.jsonl holds bytes", SHORT,
          lambda: (unfinished(), write("run/log.jsonl", bytes(range(256)))),
          run=True),
]  # fmt: skip


MODELS = [
    refused(f"a trained model whose config is a FIFO, {script}",
            f"{script} --workdir=run", "config.json|image_shape|preset",
            lambda: (os.remove(CONFIG), fifo(CONFIG)), run=True)
    for script in ("evaluate.py", "export.py")
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


FOLDERS = [
    works("photos", PHOTOS, photos),
    Case("photos with a device, left out and said", PHOTOS, (0,), "left out",
         lambda: photos("x.png", "/dev/zero", link), check=TRAINED),
    works("photos of an extreme shape", f"{PHOTOS} --augment=crop",
          lambda: photos("x.png", png(300_000, 1))),
    works("crops of an extreme shape", f"{PHOTOS} --noresize",
          lambda: photos("x.png", png(300_000, 1))),
    either("photos of 30,000 x 30,000 pixels", PHOTOS, "",
           lambda: photos("x.png", png(30_000, 30_000, 9))),
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
    *(*NUMBERS, *FLAGS, *WORKDIRS, *RECORDS, *MODELS),
    *(*FOLDERS, *PROCESSES),
]
