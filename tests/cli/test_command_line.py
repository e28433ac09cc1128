"""What a user sees of a mistake at the command line."""

import os
import pathlib
import re
import subprocess
import sys
import types

from keras_csc_cli import checks
from keras_csc_cli import command_line
from keras_csc_cli import evaluate_options
from keras_csc_cli import explore_options
from keras_csc_cli import export
from keras_csc_cli import export_options
from keras_csc_cli import help_text
from keras_csc_cli import missing
from keras_csc_cli import report
from keras_csc_cli import report_options
from keras_csc_cli import restore
from keras_csc_cli import restore_options
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import pytest
import tensorflow as tf
from absl import flags

from keras_csc.export.runtimes import PACKAGES
from keras_csc.losses import TranscriptionGame
from keras_csc.models import presets

ROOT = pathlib.Path(__file__).parents[2]

FLAG_FILES = sorted(
    path
    for path in command_line.FLAG_FILES.glob("*.flags")
    if path.stem not in missing.SHARED
)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--flagfile=nope.flags"], "there is no flag file 'nope.flags'"),
        (["--flagfile=digits.flags", "--step=3"], "step"),
        (["--flagfile=digits.flags", "--preset=digit"], "Did you mean"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(
    run_script, arguments, message, tmp_path
):
    result = run_script("train.py", f"--workdir={tmp_path}/run", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith("train.py: ")


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--optimizer=never", "never"),
        ("more", "unexpected argument 'more'"),
    ],
)
def test_other_mistakes_on_the_command_line(
    capsys, monkeypatch, argument, message
):
    defined = flags.FlagValues()
    command_line.define(train_options.SECTIONS, defined)
    monkeypatch.setattr(flags, "FLAGS", defined)
    monkeypatch.setattr(sys, "argv", ["train.py", argument])
    with pytest.raises(SystemExit) as exit_code:
        command_line.run(lambda: pytest.fail("it went on"))
    assert exit_code.value.code == 2
    assert message in capsys.readouterr().err


GRAPH_ERROR = """Graph execution error:

Detected at node add defined at (most recent call last):
  File "losses/moment_memory.py", line 3, in out_of

OOM when allocating tensor with shape[9,9] on GPU:0 by allocator GPU_0_bfc
\t [[{{node add}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, ...
"""


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    "main, reason",
    [
        (raising(MemoryError("No room for 3 TiB.")), "No room for 3 TiB."),
        (
            raising(tf.errors.ResourceExhaustedError(None, None, GRAPH_ERROR)),
            "OOM when allocating tensor with shape[9,9] on GPU:0 by allocator "
            "GPU_0_bfc.",
        ),
        # More than there are addresses.
        (lambda: tf.zeros([10**9, 10**6]), "OOM when allocating"),
    ],
)
def test_too_little_memory_is_one_line(monkeypatch, capsys, main, reason):
    run_with_flags(monkeypatch, main)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"train.py: there is not enough memory: {reason}")
    assert line.endswith(
        ". Lower --batch_size or lower --evaluation_limit or take a machine "
        "with more. What was saved before stands."
    )


def run_with_flags(monkeypatch, main):
    """Runs a `main` that fails, in a process with the flags of training."""
    defined = flags.FlagValues()
    command_line.define(train_options.SECTIONS, defined)
    flags.DEFINE_integer("verbosity", -1, "Of absl.", flag_values=defined)
    monkeypatch.setattr(flags, "FLAGS", defined)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as exit_code:
        command_line.run(main)
    assert exit_code.value.code == 2


def test_a_full_disk_is_not_too_little_memory(monkeypatch):
    """TensorFlow has one class for both."""
    error = tf.errors.ResourceExhaustedError(None, None, "No space left")
    with pytest.raises(tf.errors.ResourceExhaustedError):
        run_with_flags(monkeypatch, raising(error))


NUMBERS = ["nan", "inf", "-inf", "1e400", "-1", "word", "99999999999999"]
DEFINED = flags.FlagValues()
command_line.define(train_options.SECTIONS, DEFINED)
NUMERIC = [n for n in DEFINED if DEFINED[n].flag_type() in ("int", "float")]


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_that_no_flag_can_have(name):
    for value in NUMBERS:
        for text in (value, f"1,{value}"):
            with pytest.raises(UsageError, match=f"--{name}={text}: it must"):
                train_options.parse([f"--{name}={text}"])


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--seed=-1", "at least 0"),
        ("--optimizer=lamb", "adam or muon"),
        ("--optimizer=adam:1,0.9", "below 1"),
        ("--optimizer=adam:0.9", "two betas"),
        ("--optimizer=adam:", "two betas"),
        ("--optimizer=adam:0,nan", "below 1"),
        ("--validation_fraction=0.6", "at most 0.5"),
        ("--architecture=filters=", "filters must be a whole number"),
        ("--architecture=filters=64,,128", "received ''"),
        ("--architecture=filters=4,8.5", "received '8.5'"),
        ("--architecture=filter=4", "no 'filter'.*Did you mean filters?"),
        ("--architecture=4", "it must be name=value,name=value"),
        ("--architecture=isotropic=maybe", "isotropic must be true or false"),
        ("--game=memory=nan", "memory must be a finite number"),
        ("--game=objective=", "objective must be a text"),
        (
            "--game=affine_classes=true,false",
            "affine_classes must be one value",
        ),
        ("--workdir=", "empty"),
        ("--data_dir= ", "empty"),
        ("--metrics=codes,fid", "no 'fid'; it has classes, classifier, sam"),
        ("--metrics=inception", "no 'inception'; it has classes"),
    ],
)
def test_values_are_refused_with_the_name_of_their_flag(argument, message):
    with pytest.raises(UsageError, match=message) as error:
        train_options.parse([argument])
    assert argument.partition("=")[0] in str(error.value)


@pytest.mark.parametrize(
    "options, argument, message",
    [
        (evaluate_options, "--metrics=fid", "no 'fid'; it has codes, classes"),
        (export_options, "--formats=onnx,caffe", "no 'caffe'; it has saved_mo"),
    ],
)
def test_choices_that_are_none_are_refused(options, argument, message):
    known = flags.FlagValues()
    command_line.define(options.SECTIONS, known)
    with pytest.raises(flags.Error, match=f"{argument}: there is {message}"):
        known(["", argument])


@pytest.mark.parametrize(
    "options, names",
    [
        (train_options, ["workdir", "data_dir", "preset"]),
        (evaluate_options, ["workdir", "data_dir"]),
        (evaluate_options, ["inception_weights", "classifier"]),
        (export_options, ["workdir", "preset"]),
        (export_options, ["saved_models", "presets", "runtimes"]),
        (report_options, ["workdir", "preset", "output", "data_dir"]),
        (restore_options, ["image", "output", "dictionary"]),
        (restore_options, ["mask", "kernel"]),
        (explore_options, ["preset", "data_dir"]),
    ],
)
def test_a_tilde_is_the_home_folder(monkeypatch, options, names):
    """Of `--name=~/x` bash leaves it as it is."""
    monkeypatch.setenv("HOME", "/home/me")
    for given, path in (("~/x", "/home/me/x"), ("hf://a/~/x", "hf://a/~/x")):
        found = flags.FlagValues()
        command_line.define(options.SECTIONS, found)
        found(["", *(f"--{name}={given}" for name in names)])
        assert [found[name].value for name in names] == [path] * len(names)


def test_networks_that_no_memory_is_for_are_refused(monkeypatch):
    run = ["--dataset=digits", "--preset=digits", "--steps=1"]
    huge = "--architecture=filters=16384,16384,kernel_size=16"
    with pytest.raises(UsageError, match="would have .* weights. Expected"):
        checks.check(train_options.parse([*run, huge]))
    monkeypatch.setattr(checks, "memory", lambda: 2**20)
    with pytest.raises(UsageError, match="weights, each of which takes 16"):
        checks.check(train_options.parse(run))


def test_a_folder_that_is_not_looked_at_is_refused():
    run = ["--dataset=digits", "--preset=digits", "--steps=1"]
    with pytest.raises(UsageError, match="--data_dir=photos is not for --data"):
        checks.check(train_options.parse([*run, "--data_dir=photos"]))


@pytest.mark.parametrize("run", ["", "/runs/mine", "/../photos/a"])
def test_a_run_among_its_images_is_refused(tmp_path, run):
    (tmp_path / "photos").mkdir()
    flags = ["--dataset=image_folder", "--preset=digits", "--steps=1"]
    flags.append(f"--data_dir={tmp_path}/photos")
    checks.check(train_options.parse([*flags, f"--workdir={tmp_path}/run"]))
    with pytest.raises(UsageError, match="--workdir=.* lies in --data_dir"):
        checks.check(
            train_options.parse([*flags, f"--workdir={tmp_path}/photos{run}"])
        )


def test_normalizations_that_know_nothing_are_not_frozen():
    run = ["--dataset=digits", "--steps=1", "--freeze_normalizations"]
    checks.check(train_options.parse([*run, "--preset=csc_ctrl_digits"]))
    with pytest.raises(UsageError, match="--preset=digits has none"):
        checks.check(train_options.parse([*run, "--preset=digits"]))


def python(*arguments, **environment):
    """Runs a script in a process of its own, as a shell does."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


WITHOUT_TENSORFLOW = """
import sys
from keras_csc_cli import console
sys.modules |= dict.fromkeys(("gradio", "huggingface_hub", "keras", "tf2onnx"))
console.main()
"""


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("explore nope", "explorer needs gradio: pip install 'keras-csc[expl"),
        ("report --preset=csc_ctrl_digit", "Did you mean csc_ctrl_digits?"),
        ("report --preset=hf://a/b", "pip install 'keras-csc[hub]'"),
        ("report --workdir=nope", "there is no working directory nope"),
        ("report --workdir=docs", "docs is not the folder of a run"),
        ("report", "--workdir is missing"),
        ("report --preset=a --workdir=b", "are two models"),
        ("evaluate", "--workdir is missing"),
        ("evaluate --workdir=README.md", "README.md is not a folder"),
        ("export --workdir=nope", "there is no working directory nope"),
        ("export --workdir=docs", "docs has no trained model"),
        (
            "export --preset=csc_ctrl_digits --formats=preset,onnx",
            "--formats=onnx needs tf2onnx: pip install 'keras-csc[runtimes]'",
        ),
        ("restore --task=enlarge --image=no --output=o", "--image=no does not"),
        ("train --preset=digits", "--workdir is missing"),
        ("train --flagfile=digits.flags --preset=digit", "Did you mean digits"),
        ("train --workdir=r --preset=digits --steps=1", "--dataset is missing"),
        (
            "train --flagfile=fine_tune.flags --preset=csc_ctrl_photographs "
            "--dataset=image_folder --data_dir=no --steps=1",
            "--data_dir=no is no folder",
        ),
    ],
)
def test_what_is_missing_is_found_without_tensorflow(arguments, message):
    finished = python("-c", WITHOUT_TENSORFLOW, *arguments.split())
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert line.startswith(f"keras-csc {arguments.split()[0]}: ")
    assert message in line


IMPORTED = """
import runpy, sys
sys.argv = ["training/{}", "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("tensorflow" in sys.modules or "keras" in sys.modules)
"""


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "export.py"])
def test_help_needs_no_tensorflow(script):
    finished = python("-c", IMPORTED.format(script))
    assert finished.returncode == 0
    assert finished.stdout.endswith("False\n")
    lines = finished.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    flags_shown = [x.strip() for x in lines if x.startswith("  --")]
    first = "--flagfile=FILE" if script == "train.py" else "--workdir=VALUE"
    assert flags_shown[0] == first
    assert len(set(flags_shown)) == len(flags_shown)


def test_help_lists_every_flag_in_groups():
    defined = flags.FlagValues()
    command_line.define(train_options.SECTIONS, defined)
    text = help_text.help_text(train_options, defined)
    for name in defined:
        assert re.search(rf"^  --(\[no\])?{name}\b", text, re.M)
    places = [
        text.index(f"\n{title}\n")
        for title in ("Flags to begin with", *train_options.SECTIONS)
    ]
    assert places == sorted(places)
    assert text.index("--steps") < text.index("--game")
    assert "  --[no]evaluate" in text
    assert "--optimizer=adam|muon[:X,X]\n" in text
    assert "        epsilon=0.5  float, distortion of the coding rates." in text
    assert "        filters=64,128,256  ints, the number of atoms of" in text


HELP = [
    ["training/train.py", "--help"],
    ["-m", "keras_csc_cli", "--help"],
    ["-m", "keras_csc_cli", "--version"],
]


def written_to(stdout, arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("arguments", HELP)
def test_help_that_nobody_reads_to_its_end(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    process = written_to(writer, arguments)
    os.close(writer)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("arguments", HELP)
def test_help_that_there_is_no_room_for(arguments):
    with open("/dev/full", "w") as full:
        process = written_to(full, arguments)
    assert process.returncode == 2
    assert process.stderr.endswith(
        "py: the output can't be written: No space left on device.\n"
    )
    assert len(process.stderr.splitlines()) == 1


def test_what_an_encoding_lacks_is_shown_as_its_number():
    finished = python("training/train.py", "--help", PYTHONIOENCODING="ascii")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "\\u03bb" in finished.stdout


@pytest.mark.parametrize("command", [export, report, restore])
def test_written_paths_that_are_not_utf8_can_be_printed(
    command, monkeypatch, capsys
):
    path = pathlib.Path(os.fsdecode(b"\xff.png"))
    written = path if command is report else [path]
    options = types.SimpleNamespace(formats=["preset"])
    monkeypatch.setattr(command_line, "values", lambda *_: options)
    monkeypatch.setattr(command, "run", lambda *_, **__: written)
    command.main()
    assert capsys.readouterr().out.endswith(": \\xff.png\n")


def test_other_backend_is_refused_before_anything_is_imported():
    arguments = ("training/train.py", "--flagfile=digits.flags")
    finished = python(*arguments, KERAS_BACKEND="jax")
    assert finished.returncode == 2
    assert "KERAS_BACKEND is 'jax'. Unset it." in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_closed_streams_are_no_error():
    command = f"{sys.executable} training/train.py --steps=0 <&- >&- 2>&-"
    finished = subprocess.run(
        command, shell=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert finished.returncode == 2


def test_no_folder_for_temporary_files_is_one_line():
    script = "training/report.py --preset=csc_ctrl_digits"
    command = f"ulimit -f 0; {sys.executable} {script}"
    finished = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert finished.returncode == 2
    assert "needs a folder for temporary files" in finished.stderr
    assert "TMPDIR" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00binary", b"--steps=3\0", b"#" * (2**20 + 1)]
)
def test_flag_file_that_is_none(tmp_path, content):
    path = tmp_path / "x.flags"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="x.flags is not a flag file"):
        command_line.resolve_flag_files(["", f"--flagfile={path}"])


def test_choices_are_those_of_the_package():
    assert missing.ARCHITECTURES == sorted(presets.PRESETS)
    assert missing.PRESETS == presets.names()
    architecture = train_options.architecture_arguments()
    assert {"image_shape", *architecture} == set(presets.DEFAULTS)
    for name, (default, text) in architecture.items():
        assert default == presets.DEFAULTS[name] and text
    game = train_options.game_arguments()
    defaults = TranscriptionGame().get_config()
    assert {name: default for name, (default, _) in game.items()} == {
        name: defaults[name] for name in defaults if name != "num_classes"
    }
    assert all(text for _, text in game.values())
    assert set(train_options.METRICS) < set(evaluate_options.METRICS)
    formats = {"saved_model", "preset", *PACKAGES}
    assert set(export_options.FOLDERS) == formats
    packages = {runtime: tuple(names) for runtime, names in PACKAGES.items()}
    assert export_options.PACKAGES == packages


def test_arguments_are_added_to_those_before():
    options = train_options.parse(
        [
            "--game=memory=0.9,epsilon=1",
            "--architecture=filters=4,8,isotropic=true",
            "--game=memory=0.5,objective=multi",
            "--architecture=sparsity=0.1,0.2,isotropic=false",
        ]
    )
    assert options.game == {"memory": 0.5, "epsilon": 1, "objective": "multi"}
    assert options.architecture == {
        "filters": [4, 8],
        "isotropic": False,
        "sparsity": [0.1, 0.2],
    }


def test_errors_of_tensorflow_are_readable():
    error = tf.errors.InvalidArgumentError(
        None,
        None,
        "{{function_node __wrapped__DecodeImage_device_/job:localhost}} Bad "
        "image\n\t [[{{node DecodeImage}}]] [Op:DecodeImage] name: ",
    )
    assert command_line.readable(error) == "Bad image name:"


@pytest.mark.parametrize("path", FLAG_FILES, ids=lambda path: path.stem)
def test_every_flag_file_is_complete(path):
    options = train_options.parse([f"--flagfile={path}"])
    assert options.dataset and options.preset and options.steps
    assert options.preset in presets.PRESETS
    config = presets.config(options.preset)
    assert config["image_shape"][2] in (1, 3)


def test_flag_files_cover_the_presets():
    named = {path.stem.removesuffix("_published") for path in FLAG_FILES}
    assert named == set(presets.PRESETS)


def test_bare_flag_file_is_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    resolved = command_line.resolve_flag_files(
        ["train.py", "--flagfile=digits.flags", "--flagfile", "mnist.flags"]
    )
    assert resolved.index("--dataset=digits") < resolved.index(
        "--dataset=mnist"
    )
    assert "flagfile" not in " ".join(resolved)


def test_flag_file_of_the_user_comes_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.flags").write_text("--steps=3\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("digits.flags", "~/digits.flags"):
        resolved = command_line.resolve_flag_files(["", f"--flagfile={name}"])
        assert resolved == ["", "--steps=3"]


def test_flag_files_name_others(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.flags").write_text(
        "# mine\n--flagfile=digits.flags\n--seed=3"
    )
    resolved = command_line.resolve_flag_files(["--flagfile=a.flags"])
    assert "--preset=digits" in resolved and "--schedule=cosine" in resolved
    assert resolved[-1] == "--seed=3"


def test_flag_files_in_a_circle_are_an_error(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.flags").write_text("--flagfile=b.flags")
    (tmp_path / "b.flags").write_text("--flagfile=a.flags")
    with pytest.raises(UsageError, match="a.flags names itself"):
        command_line.resolve_flag_files(["--flagfile=a.flags"])


def test_unknown_flag_file_is_an_error():
    with pytest.raises(UsageError, match="digits.flags"):
        command_line.resolve_flag_files(["", "--flagfile=nope.flags"])


def test_flag_file_that_cannot_be_looked_at_is_an_error():
    """Newer Pythons say of it only that there is none."""
    with pytest.raises(UsageError, match="flag file .*x{300}"):
        command_line.resolve_flag_files(["", f"--flagfile={300 * 'x'}"])


def test_name_of_the_flag_file_names_the_run():
    assert command_line.flag_file_name(["", "--flagfile=a/b.flags"]) == "b"
    assert command_line.flag_file_name(["", "--flagfile", "c.flags"]) == "c"
    assert command_line.flag_file_name(["", "--steps=3"]) is None
