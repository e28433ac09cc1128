"""What a user sees: flags, flag files, help, and one line for a mistake."""

import re
import subprocess
import sys

from keras_csc_cli import building
from keras_csc_cli import checked_flags
from keras_csc_cli import command_line
from keras_csc_cli import console
from keras_csc_cli import options as others
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import pytest
import tensorflow as tf
from absl import flags

from keras_csc.losses import TranscriptionGame
from keras_csc.models import presets
from tests.helpers import runs
from tests.helpers.exporting import ROOT
from tests.helpers.exporting import run_python

COMMANDS = others.COMMANDS
# Flag files that are not named as their architectures.
SHARED = (
    *("shared", "published", "fine_tune"),
    *("cifar10_256", "cifar10_384", "cifar10_unlabelled", "imagenet64"),
)
FLAG_FILES = sorted(
    path
    for path in command_line.FLAG_FILES.glob("*.flags")
    if path.stem not in SHARED
)


# === Mistakes ===


def test_numbers_that_no_flag_can_have():
    defined = runs.known("train")
    names = [n for n in defined if defined[n].flag_type() in ("int", "float")]
    assert len(names) == 8
    for name in names:
        for value in ("nan", "1e400", "-1", "word", "99999999999999", "1,nan"):
            with pytest.raises(UsageError, match=f"--{name}={value}: "):
                train_options.parse([f"--{name}={value}"])


@pytest.mark.parametrize(
    "command, argument, message",
    [
        ("train", "--step=3", "Unknown command line flag 'step'"),
        ("train", "--optimizer=lamb", "adam"),
        ("train", "--learning_rate=1,2,3", "commas"),
        ("train", "--augment=flip,turn", "shift:N"),
        ("train", "--workdir=", "empty"),
        ("evaluate", "--metrics=fid", "fid"),
        ("export", "--formats=preset,caffe", "caffe"),
    ],
)
def test_values_are_refused_with_the_name_of_their_flag(
    command, argument, message
):
    with pytest.raises(flags.Error, match=message) as error:
        runs.known(command, argument)
    assert argument.partition("=")[0].strip("-") in str(error.value)


WITHOUT_TENSORFLOW = """
import shlex, sys
from keras_csc_cli import console
names = "gradio huggingface_hub keras tensorflow"
sys.modules |= dict.fromkeys(names.split())
for line in sys.stdin:
    sys.argv[:] = ["keras-csc", *shlex.split(line)]
    from absl import flags
    for name in list(flags.FLAGS):
        delattr(flags.FLAGS, name)
    try:
        console.main()
    except SystemExit as end:
        print(end.code, file=sys.stderr)
"""
MISSING = {
    "train more": "unexpected argument 'more'",
    "train --preset=digits": "--dataset is missing",
    "train --flagfile=nope.flags": "there is no flag file 'nope.flags'",
    "train --preset=digits --dataset=digits --steps=1": "--workdir is missing",
    "train --flagfile=digits.flags --data_dir=photos": "photos is not for --da",
    "report": "--workdir or --preset is missing",
    "report --preset=a --workdir=b": "not both",
    "evaluate": "--workdir or --preset is missing",
    "evaluate --workdir=a --split=train": "--split needs --output",
    "evaluate --preset=a --checkpoint": "leave --preset out",
    "restore --task=inpaint --image=a --output=o --kernel=2": "--task=deblur",
    "restore --task=deblur --image=a --output=o": "--kernel is missing",
    "paint": "there is no command 'paint'",
}


@pytest.fixture(scope="module")
def said():
    """What one process says of the mistakes, which has no TensorFlow."""
    finished = run_python(
        ["-c", WITHOUT_TENSORFLOW], cwd=ROOT, input="\n".join(MISSING)
    )
    lines = finished.stderr.splitlines()
    assert len(lines) == 2 * len(MISSING), finished.stderr
    return dict(zip(MISSING, zip(lines[::2], lines[1::2])))


@pytest.mark.parametrize("arguments", MISSING)
def test_what_is_missing_is_found_without_tensorflow(said, arguments):
    line, code = said[arguments]
    assert code == "2"
    command = f" {arguments.split()[0]}" * (arguments != "paint")
    assert line.startswith(f"keras-csc{command}: ")
    assert MISSING[arguments] in line


def test_a_run_does_not_lie_among_its_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--dataset=image_folder", "--preset=digits", "--data_dir=photos"]
    for workdir in ("photos", "photos/../photos/a"):
        with pytest.raises(UsageError, match="lies in"):
            building.check(
                train_options.parse([*flags, f"--workdir={workdir}"])
            )
    building.check(train_options.parse([*flags, "--workdir=photos_run"]))


def test_trained_weights_keep_their_atoms_and_statistics():
    flags = ["--preset=csc_ctrl_digits", "--steps=1"]
    options = train_options.parse(["--flagfile=digits.flags", *flags])
    building.check(options)
    assert options.first_atoms == "random"
    model = building.model(options, 10)
    assert not model.encoder.normalizations[0].trainable


# === Ends of a process ===


GRAPH_ERROR = """Graph execution error:

Detected at node add defined at (most recent call last):
  File "losses/moment_memory.py", line 3, in out_of

OOM when allocating tensor with shape[9,9] on GPU:0 by allocator GPU_0_bfc
\t [[{{node add}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, ...
"""


def run_with_flags(monkeypatch, error):
    """Runs a command that fails, in a process with the flags of training."""

    def main():
        raise error

    defined = runs.known("train")
    flags.DEFINE_integer("verbosity", -1, "Of absl.", flag_values=defined)
    monkeypatch.setattr(flags, "FLAGS", defined)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as exit_code:
        command_line.run(main, console.user_errors())
    assert exit_code.value.code == 2


@pytest.mark.parametrize(
    "error, reason",
    [
        (MemoryError("No room for 3 TiB."), "not enough memory: No room for 3"),
        (
            tf.errors.ResourceExhaustedError(None, None, GRAPH_ERROR),
            "there is not enough memory: OOM when allocating tensor with "
            "shape[9,9] on GPU:0 by allocator GPU_0_bfc. Take fewer",
        ),
        (ValueError("`a` must\nbe 3."), "train.py: `a` must be 3."),
        (ValueError("\x1b[2J.png"), r": \x1b[2J.png"),
        (ValueError("{{node __De/job:a}} Bad\n\t[[{{node D}}]]"), ": Bad"),
    ],
)
def test_errors_are_one_line(monkeypatch, capsys, error, reason):
    run_with_flags(monkeypatch, error)
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_a_full_disk_is_not_too_little_memory(monkeypatch):
    """TensorFlow has one class for both."""
    error = tf.errors.ResourceExhaustedError(None, None, "No space left")
    with pytest.raises(tf.errors.ResourceExhaustedError):
        run_with_flags(monkeypatch, error)


def test_help_that_can_not_be_written():
    """`make hostile` has help to a reader that leaves."""
    streams = {"capture_output": False, "stderr": subprocess.PIPE}
    with open("/dev/full", "w") as full:
        process = run_python(
            [ROOT / "training" / "train.py", "--help"], stdout=full, **streams
        )
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.endswith("No space left on device")


@pytest.mark.parametrize(
    "command, message",
    [
        (
            "KERAS_BACKEND=jax python training/train.py --flagfile=mnist.flags",
            "KERAS_BACKEND is 'jax'. Unset it.",
        ),
        ("python training/train.py --steps=0 <&- >&- 2>&-", ""),
    ],
)
def test_surroundings_that_are_refused(command, message):
    command = command.replace("python", sys.executable)
    finished = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert finished.returncode == 2 and message in finished.stderr
    assert len(finished.stderr.splitlines()) == bool(message)


# === Help ===


IMPORTED = """
import runpy, sys
sys.argv = ["training/evaluate.py", "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("tensorflow" in sys.modules or "keras" in sys.modules)
"""


def test_help_needs_no_tensorflow():
    """And shows what an encoding has not as its number."""
    ascii_alone = {"PYTHONIOENCODING": "ascii"}
    finished = run_python(["-c", IMPORTED], ascii_alone, cwd=ROOT)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.endswith("False\n")
    assert "Fr\\xe9chet" in finished.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_every_flag_once_in_groups(name):
    command, defined = COMMANDS[name], runs.known(name)
    text = checked_flags.help_text(command, defined)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    for each in defined:
        assert len(re.findall(rf"^  --(?:\[no\])?{each}:", text, re.M)) == 1
    places = [text.index(f"\n{title}:\n") for title in command.sections]
    assert places == sorted(places)
    if name == "train":
        for argument in TranscriptionGame().get_config():
            assert argument in text or argument == "num_classes"


# === Options ===


def test_a_tilde_is_the_home_folder(monkeypatch):
    """Of `--name=~/x` bash leaves it as it is."""
    monkeypatch.setenv("HOME", "/home/me")
    assert train_options.parse(["--workdir=~/x"]).workdir == "/home/me/x"


def test_choices_are_those_of_the_package():
    names = ", ".join(sorted(presets.PRESETS))
    (about,) = [
        flag.help
        for flag in train_options.SECTIONS["Model"]
        if flag.name == "preset"
    ]
    assert about.startswith(f"Architecture: {names}. ")
    given = train_options.parse(["--architecture=filters=4"])
    assert given.architecture == {"filters": [4]}
    assert set(others.FOLDERS) == {"saved_model", "preset"}


def test_arguments_are_added_to_those_before():
    options = train_options.parse(
        [
            "--game=memory=0.9,residual=1",
            "--architecture=filters=4,8,tight_frame=true",
            "--game=memory=0.5,objective=multi",
            "--architecture=sparsity=0.1,0.2,tight_frame=false",
        ]
    )
    assert options.game == {"memory": 0.5, "residual": 1, "objective": "multi"}
    expected = {"filters": [4, 8], "tight_frame": False}
    assert options.architecture == {**expected, "sparsity": [0.1, 0.2]}


def test_flag_files_are_complete_and_cover_the_presets():
    for path in FLAG_FILES:
        options = train_options.parse([f"--flagfile={path}"])
        assert options.dataset and options.preset and options.steps
        assert options.preset in presets.PRESETS
    named = {path.stem.removesuffix("_published") for path in FLAG_FILES}
    assert named == set(presets.PRESETS)


def test_flag_files_are_found_and_name_others(monkeypatch, tmp_path):
    """The user's own come first; a run is named after the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.flags").write_text(
        "# mine\n--flagfile=digits.flags\n--seed=3"
    )
    resolve = command_line.resolve_flag_files
    resolved = resolve(["train.py", "--flagfile", "mine.flags", "--steps=9"])
    assert resolved[-2:] == ["--seed=3", "--steps=9"]
    assert "--preset=digits" in resolved and "--schedule=cosine" in resolved
    assert "flagfile" not in " ".join(resolved)
    (tmp_path / "digits.flags").write_text("--steps=3\n")
    for name in ("digits.flags", "~/digits.flags"):
        assert resolve(["", f"--flagfile={name}"]) == ["", "--steps=3"]
    name = command_line.flag_file_name
    assert name(["", "--flagfile=a/b.flags"]) == "b"
    assert name(["", "--flagfile", "c.flags"]) == "c"
    assert name(["", "--steps=3"]) is None


def test_flag_files_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "y.flags").write_text("--flagfile=x.flags")
    for content, message in (
        (b"\xff\xfe\x00binary", "x.flags can't be read.*UTF-8"),
        (b"--flagfile=y.flags", "x.flags can.t be read: it names itself"),
    ):
        (tmp_path / "x.flags").write_bytes(content)
        with pytest.raises(UsageError, match=message):
            command_line.resolve_flag_files(["", "--flagfile=x.flags"])
