"""What the README, the other pages and the docstrings say is so."""

import contextlib
import doctest
import functools
import importlib
import importlib.util
import inspect
import pathlib
import pkgutil
import re
import shlex
import types

from keras_csc_cli import command_line
from keras_csc_cli import console
from keras_csc_cli import options as other_options
from keras_csc_cli import train_options

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_csc
from keras_csc.visualization import save_png
from tests.helpers import runs
from tests.helpers.pages import blocks

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/[!_]*/*.md")]
    + [ROOT / folder / "README.md" for folder in ("saved_models", "serving")]
)
# Instead of what takes long, or what a reader is to have.
SMALLER = {
    "load_arrays(digits)": "load_arrays(digits, 128)",
    "load_arrays(digits, 100)": "load_arrays(digits, 20)",
    "epochs=5": "epochs=1, steps_per_epoch=1",
    "epochs=10": "epochs=1",
    "steps=2000": "steps=2",
    "images[:64]": "images[:32]",
    "[100:164, 200:264]": "[100:124, 200:224]",
    '"digits", load_weights=False)': (
        '"digits", load_weights=False, filters=(4, 4))'
    ),
}
# They have no examples, and need Gradio, whose import takes seconds.
EXTRA = {f"keras_csc.explorer.{name}" for name in ("page", "own_pages")}
OPTIONS = other_options.COMMANDS


def names(page):
    return str(page.relative_to(ROOT))


def smaller(code):
    for given, instead in SMALLER.items():
        code = code.replace(given, instead)
    return code


# === Python ===


@contextlib.contextmanager
def untraced(code):
    """Tracing a step, or a report, takes longer than an example's few calls."""
    tf.config.run_functions_eagerly(".fit(" in code or "report" in code)
    yield
    tf.config.run_functions_eagerly(False)


def run_blocks(text, names):
    for block in blocks(text, "python"):
        with untraced(block):
            exec(smaller(block), names)


def test_python_examples_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    run_blocks(README, namespace)
    assert namespace["features"].shape == (10, 64)
    assert namespace["threes"].shape == (8, 16, 16, 1)
    assert namespace["strongest"].shape == (16, 16, 1)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in PAGES
        if path.stem != "README" and blocks(path.read_text(), "python")
    ],
    ids=names,
)
def test_python_examples_of_other_pages_run(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    run_blocks(path.read_text(), {})


def documented():
    """Docstrings with examples, by the names of what they describe."""
    found = {}
    for module in pkgutil.walk_packages(keras_csc.__path__, "keras_csc."):
        if module.name in EXTRA:
            continue
        module = importlib.import_module(module.name)
        for each in vars(module).values():
            described = isinstance(each, (type, types.FunctionType))
            text = (each.__doc__ or "") if described else ""
            mine = getattr(each, "__module__", None) == module.__name__
            if mine and re.search("^ *(>>>|```python)", text, re.M):
                found[f"{module.__name__}.{each.__name__}"] = each
    return found


DOCUMENTED = documented()


def images(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, shape).astype("float32")


def given(name):
    """What the example of a docstring takes for granted."""
    rng = np.random.default_rng(0)
    layer = keras_csc.layers.ConvSparseCoding2D(4, 3, strides=2)
    layer.build((None, 16, 16, 1))
    names = {
        "images": images(8, 16, 16, 1),
        "features": rng.normal(size=(8, 6)),
        "labels": np.arange(8) % 2,
        "autoencoder": lambda x: 0.5 * x,
        "network": lambda x: np.reshape(x, (len(x), -1))[:, :5],
        "batches": [images(8, 16, 16, 1, seed=seed) for seed in range(2)],
        "encoder": keras.Sequential([keras.Input((16, 16, 1)), layer]),
        "layer": layer,
        "steps": np.arange(5),
        "losses": np.arange(5.0),
    }
    names.update({f"x{tail}": names["images"] for tail in ("", "_csc", "_vae")})
    shapes = ((4, 4, 3, 4), (4, 4, 4, 5), (4, 4, 5, 6))
    for number, shape in enumerate(shapes, start=1):
        names[f"w{number}"] = rng.normal(size=shape)
    if name.endswith("ImageClassifier"):
        names["images"] = images(8, 32, 32, 3)
        pair = names["images"], np.arange(8) % 10
        names["batches"] = tf.data.Dataset.from_tensors(pair).repeat()
    if name.endswith("CodeZeros"):
        pooling = keras.layers.GlobalAveragePooling2D()
        names["model"] = keras.Sequential([names["encoder"], pooling])
        names["model"].compile(loss="mse")
        names["y"] = rng.normal(size=(8, 4))
    if name.endswith("export_saved_model"):
        names["model"] = keras_csc.models.ClosedLoopAutoencoder.from_preset(
            "digits",
            load_weights=False,
            filters=(4,),
            feature_dim=8,
        )
    if name.endswith("solve_sparse_code"):
        names["kernel"] = layer.kernel
        names["step_size"] = 0.05
    return names


class Checker(doctest.OutputChecker):
    """An example that shows no output may have one."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_of_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    described = DOCUMENTED[name]
    names = {
        **vars(inspect.getmodule(described)),
        **vars(keras_csc.visualization),
        **vars(keras_csc.evaluation),
        **{"keras_csc": keras_csc, "np": np, "tf": tf},
        **{"save_png": save_png},
        **given(name),
    }
    text = smaller(inspect.cleandoc(described.__doc__))
    run_blocks(text, names)
    runner = doctest.DocTestRunner(Checker(), optionflags=doctest.ELLIPSIS)
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    printed = []
    with untraced(text):
        failed = runner.run(test, out=printed.append).failed
    assert not failed, "".join(printed)


# === Commands ===


def commands():
    """Commands of ours in the blocks for a shell and between backticks."""
    ours = re.compile(r"(?:python training/(\w+)\.py|keras-csc (\w+)) (.*)")
    for path in PAGES:
        text = path.read_text()
        lines = "\n".join(blocks(text, "shell") + blocks(text, "bash"))
        lines = lines.replace("\\\n", " ").splitlines()
        lines += [" ".join(x.split()) for x in re.findall(r"`([^`]+)`", text)]
        for line in lines:
            if found := ours.fullmatch(line.partition("  #")[0].strip()):
                script, command, arguments = found.groups()
                yield script or command, shlex.split(arguments)


COMMANDS = sorted({(name, *arguments) for name, arguments in commands()})
assert {"train", "export"} <= {each[0] for each in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_have_flags_that_parse(command):
    name, *arguments = command
    assert name in console.COMMANDS
    if name == "train":
        train_options.parse(arguments)
        return
    arguments = [a for a in arguments if a != "--help"]
    runs.known(name, *command_line.named(OPTIONS[name], arguments))


FOLDERS = ("benchmarks", "studies", "tests", "keras_csc_cli", "serving")
# Of TensorBoard, Docker, Python's HTTP server, and npm.
THEIRS = {"depth", "logdir", "wait", "bind", "directory", "ignore", "profile"}
THEIRS |= {"saved", "signature_def"}  # of tf2onnx


@functools.cache
def flag_names():
    """Names of the flags of our scripts, benchmarks and harnesses."""
    names = {"flagfile", "help"}
    for command in OPTIONS:
        known = runs.known(command)
        names.update(known)
        names.update(f"no{name}" for name in known)
    defined = re.compile(r'(?:DEFINE_\w+|add_argument)\(\s*"-*(\w+)"')
    for folder in FOLDERS:
        for source in (ROOT / folder).rglob("*.py"):
            names.update(defined.findall(source.read_text()))
    return names


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_flags_and_flag_files_exist(path):
    text = path.read_text()
    mentioned = set(re.findall(r"(?<![\w-])--([a-z_0-9]+)", text))
    assert mentioned - THEIRS <= flag_names()
    for name in set(re.findall(r"--flagfile=`?([\w./]+\.flags)", text)):
        assert (command_line.FLAG_FILES / pathlib.Path(name).name).is_file()


def test_make_targets_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
    for path in PAGES:
        found = re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.M)
        assert set(found) <= set(targets), path


# === Places ===


def without_code(path):
    return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)


def anchors(path):
    """What the headings of a page are called in links, as GitHub does."""
    titles = re.findall("^#+ (.*)$", without_code(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_links_lead_somewhere(path):
    prose = without_code(path)
    for target in re.findall(r"\]\(([^)#\s]+)", prose):
        assert "://" in target or (path.parent / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", prose):
        assert anchor in anchors(path.parent / target if target else path)
    if path.stem != "CHANGELOG":  # Files that pages name in code.
        pattern = r"`((?:tests|benchmarks|studies|training|keras_csc)/[\w/.]+)`"
        for name in re.findall(pattern, path.read_text()):
            assert (ROOT / name).exists(), name


def test_the_reference_has_every_public_room():
    reference = (ROOT / "docs" / "api" / "index.md").read_text()
    rooms = [
        module.name
        for module in pkgutil.iter_modules(keras_csc.__path__, "keras_csc.")
        if module.ispkg
    ]
    for room in (*rooms, "keras_csc.constraints"):
        assert f"   {room}\n" in reference


def test_the_readme_is_short_and_the_map_names_every_folder():
    assert len(README.splitlines()) <= 110
    described = (ROOT / "docs" / "architecture.md").read_text()
    for folder in (ROOT / "keras_csc").iterdir():
        if (folder / "__init__.py").is_file():
            assert f"{folder.name}/" in described
