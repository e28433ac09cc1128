"""What a hostile or unlucky user does, and how it ends: `make hostile`.

To see one: `pytest --thorough tests/cli/test_hostile.py -k 'deep'`.
"""

import fcntl
import functools
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import pytest
from PIL import Image

from tests.helpers import runs

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 300
MOST_MIB = 2048  # TensorFlow's import takes half a gibibyte
RAW = re.compile(
    r"{{function_node|{{node|\[Op:|Graph execution error"
    "|oneDNN supports|WARNING:absl"
)
PLANTED = {
    ".git/HEAD": "ref: refs/heads/main\n",
    ".env": "TOKEN=1\n",
    "notes.txt": "what I know\n",
    "pictures/holiday.txt": "no run's\n",
}
# In a folder that is a run's. What a set-up calls mine is none of these.
RUNS = (
    *(".lock", "checkpoints", "evaluation.json"),
    *("flags.json", "log.jsonl", "model", "pictures", "run.json"),
    "tensorboard",
)
MADE = (".lock", "run", "saved_models", "keras")  # what commands may make
TINY = (
    "train.py --dataset=digits --preset=digits --batch_size=16 --steps=4 "
    "--save_every=2 --architecture=filters=4,feature_dim=8,iterations=2"
)
TRAIN = f"{TINY} --workdir=run"
SHORT = f"{TRAIN} --metrics="
TO = f"{TINY} --metrics= --workdir"
EXPORT = "export.py --workdir=run"
LAST = "run/checkpoints/step-00000004"
MODEL = "run/model/model.weights.h5"
OWN_GAME = "from keras_csc import losses\nclass Mine(losses.Game): pass"
DEEP = "[" * 100_000
PHOTOS = (
    "train.py --dataset=image_folder --preset=photographs --batch_size=8 "
    "--architecture=filters=4,4,feature_dim=8,iterations=2 --steps=2 "
    "--validation_fraction=0 --data_dir=photos --workdir=run --metrics="
)
DENOISER = "train_denoiser.py --data_dir=photos --workdir=run --steps=2"
# Sends a signal when so many seconds have gone by, to a run without an end.
STOP = f"{TRAIN} --steps=1000000 & sleep %s; kill -%s $!; wait $!"
held = []  # what a set-up has to keep open


def write(path, content=""):
    """Writes text or bytes."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@functools.cache
def trained():
    """A run that was trained to its end."""
    folder = pathlib.Path(tempfile.mkdtemp())
    done = shell(TRAIN, folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def finished():
    """The same, with files of the user's."""
    shutil.copytree(trained(), "run")
    for name in (".mine", "mine.txt", "checkpoints/.mine/key"):
        write(f"run/{name}", "mine")


def unfinished():
    """The last checkpoint is gone."""
    finished()
    shutil.rmtree(LAST)


def changed(name, content):
    """Returns a function that has a file of a finished run hold something."""
    return lambda: (unfinished(), write(f"run/{name}", content))


def pipe(path, after=lambda: None):
    """Returns a function that puts a FIFO in the place of a file."""

    def make():
        after()
        write(path)
        os.remove(path)
        os.mkfifo(path)

    return make


def in_use():
    """Another process has the run."""
    os.mkdir("run")
    held.append(open("run/.lock", "w"))
    fcntl.flock(held[-1], fcntl.LOCK_EX)


def versions():
    finished()
    write("saved_models/run/7/mine", "mine")
    write("saved_models/run/.1-original/mine", "mine")


def photos(size=(16, 16)):
    """A folder of images; one has this size and no colours."""
    names = [f"{split}/{i}.png" for split in ("train", "test") for i in "abcd"]
    names += [f"train/{number}.png" for number in range(9)]
    runs.write_pictures(pathlib.Path("photos"), names, (16, 16, 3))
    Image.new("1", size).save("photos/train/x.png")


def device():
    photos()
    os.remove("photos/train/x.png")
    os.symlink("/dev/zero", "photos/train/x.png")


def alike():
    """A folder of pictures that do not differ."""
    os.mkdir("photos")
    for number in range(5):
        Image.new("L", (16, 16), 90).save(f"photos/{number}.png")


def nothing():
    pass


# What is typed in a folder with files of the user's, which may not change; the
# exit codes that are right (2 comes with one line); what standard error has to
# match; and what is made before.
OK, NO, EITHER = (0,), (2,), (0, 2)
CASES = [
    # Flags and flag files.
    (f"{TRAIN} --architecture=filters={10**9}", NO, "filters", nothing),
    (f"{TRAIN} --architecture=iterations={10**9}", NO, "iterations", nothing),
    (f"{TRAIN} --architecture=filter=4", NO, "filters", nothing),
    (f"{TRAIN} --game=memory=2", NO, "memory", nothing),
    (f"{TRAIN} --game=memry=0", NO, "memry", nothing),
    (f"{TRAIN} --game_class=mine:Mine --game=wait=1",
     NO, "takes no arguments", lambda: write("mine.py", OWN_GAME)),
    (f"{TRAIN} --dataset=../../x", NO, "data ?set", nothing),
    (f"{TRAIN} --preset=notes.txt", NO, "notes", nothing),
    ("train.py --flagfile=/dev/zero --workdir=run", NO, "zero", nothing),
    # Folders of runs.
    (f"{TO}=. --batch_size=9999", NO, "batch_size|working", nothing),
    (f"{TO}=/dev/null/x", NO, "/dev/null", nothing),
    (f"{TO}={'a' * 300}", NO, "a{100}", nothing),
    (SHORT, OK, "", unfinished),
    (SHORT, EITHER, "lock|run", pipe("run/.lock")),
    (TRAIN, NO, "in use", in_use),
    (f"{EXPORT} --output=notes.txt", NO, "notes.txt", finished),
    (EXPORT, OK, "", versions),
    # Records and models.
    (TRAIN, NO, "flags.json", changed("flags.json", DEEP)),
    (TRAIN, NO, "run.json", changed("run.json", DEEP)),
    (EXPORT, NO, "run.json", changed("run.json", DEEP)),
    (TRAIN, NO, "run.json", changed("run.json", '{"sessions": [{}]}')),
    (SHORT, OK, "", changed("log.jsonl", bytes(range(256)))),
    ("evaluate.py --workdir=run", NO, "config.json|preset",
     pipe("run/model/config.json", finished)),
    # Folders of images.
    (PHOTOS, OK, "left out", device),
    (f"{PHOTOS} --augment=crop", OK, "", lambda: photos((300_000, 1))),
    (f"{PHOTOS} --noresize", OK, "", lambda: photos((300_000, 1))),
    (PHOTOS, EITHER, "", lambda: photos((30_000, 30_000))),
    (DENOISER, OK, "", photos),
    (DENOISER, NO, "run.json", lambda: (photos(), write("run/run.json"))),
    (f"{DENOISER} 2>/dev/full; rm -r run/checkpoints; {DENOISER}", NO,
     "no checkpoint", photos),
    (f"{DENOISER} 2>/dev/full; rm run/checkpoints/*/*.index; {DENOISER}", NO,
     "None of the 1", photos),
    (f"{TRAIN} --dataset=mnist --data_dir=.", NO, "not prepared", nothing),
    # Pictures, and files to write.
    ("sort.py --data_dir=photos --output=keras", NO, "two folders", alike),
    ("embed.py --data_dir=photos --output=mine.npz", NO, "mine.npz exists",
     lambda: (alike(), write("mine.npz", "mine"))),
    ("search.py --data_dir=photos --image=photos/0.png --preset=mine.keras",
     NO, "no model", lambda: (alike(), write("mine.keras", "mine"))),
    # The process.
    (f"{SHORT} --strategy=mirrored --logical_devices=2", OK, "", nothing),
    (f"{SHORT} --logical_devices=2", NO, "strategy=mirrored", nothing),
    ("train.py --help | true; test ${PIPESTATUS[0]} = 141", OK, "", nothing),
    (f"KERAS_HOME=keras {SHORT}", OK, "",
     lambda: write("keras/keras.json", '{"floatx": "float16"}')),
    (f"LC_ALL=C PYTHONUTF8=0 {SHORT}", OK, "", nothing),
    *((f"{SHORT} {streams}", OK, "", nothing)
      for streams in ("2>&-", "2> >(exec sleep 0.1)", "2>/dev/full")),
    (f"ulimit -f 8; {TRAIN}", NO, "room|too large|be written", nothing),
    (f"ulimit -n 40; {SHORT}", EITHER, "", nothing),
    *((STOP % (seconds, name), (code,), f"SIG{name}", nothing)
      for name, code, seconds in (("TERM", 143, 2), ("TERM", 143, 4),
                                  ("TERM", 143, 8), ("TERM", 143, 16),
                                  ("HUP", 129, 8))),
]  # fmt: skip


def is_the_runs(name):
    """Whether a command may make or change what has this name."""
    first, *rest = name.split("/")
    if first not in MADE or "mine" in name:
        return False
    return first != "run" or not rest or rest[0] in RUNS


def shell(command, folder=None):
    """Runs a line for bash as a user would, in a folder."""
    scripts = f"{sys.executable} {ROOT / 'training'}/"
    return subprocess.run(
        ["bash", "-c", re.sub(r"(\w+\.py) ", rf"{scripts}\1 ", command)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    "command, codes, says, setup", CASES, ids=[case[0] for case in CASES]
)
def test_it_ends_well(tmp_path, monkeypatch, command, codes, says, setup):
    monkeypatch.chdir(tmp_path)
    for name, text in PLANTED.items():
        write(name, text)
    setup()
    before = runs.contents()
    ended, after = shell(command), runs.contents()
    while held:
        held.pop().close()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    assert peak < MOST_MIB
    found = {n for n in {*before, *after} if before.get(n) != after.get(n)}
    assert [name for name in found if not is_the_runs(name)] == []
    said = ended.stderr
    assert ended.returncode in codes, said[-3000:]
    assert "Traceback" not in said and not RAW.search(said), said[-3000:]
    assert re.search(says, said), said[-3000:]
    if ended.returncode == 2 and codes == NO and "ulimit" not in command:
        assert said.splitlines()[-1].startswith(f"{command.split('.py')[0]}.py")
        assert len(said.splitlines()) <= 3
    if codes == OK and "help" not in command:
        made = (
            "saved_models/run/8/saved_model.pb"
            if "export" in command
            else MODEL
        )
        assert pathlib.Path(made).is_file()
