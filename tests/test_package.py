"""Imports lead down and are declared; every saved class has its own name."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
import tomllib
from importlib import metadata

import keras

import keras_csc
from keras_csc.layers.dictionary_layer import DictionaryLayer
from keras_csc.models.player import Player

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / "keras_csc"

# === Floors ===

# From the ground up: what is imported from a floor must be below it. Modules of
# one floor do not know each other.
FLOORS = (
    (
        *("files", "pixels", "quiet", "replicas", "terminal", "validation"),
        "version",
    ),
    ("html", "ops", "presets"),
    ("constraints",),
    ("layers",),
    ("losses", "optimizers", "restoration"),
    ("metrics",),
    ("generation", "explanation", "features"),
    ("models",),
    ("data", "visualization"),
    ("callbacks", "export"),
    ("evaluation",),
    ("explorer", "report"),
)
# What runs on every backend: without TensorFlow it can be imported.
PORTABLE = (
    *("constraints", "layers", "losses", "ops", "optimizers", "restoration"),
)
TENSORFLOW_ROOM = "keras_csc.ops.tensorflow"


def read_modules():
    """The syntax tree of every module of the package, by name."""
    modules = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        modules[name] = ast.parse(path.read_text(), path)
    return modules


MODULES = read_modules()


def statements(tree, in_functions=True):
    """The import statements, at any depth or of what an import runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif in_functions or not isinstance(node, ast.FunctionDef):
            yield from statements(node, in_functions)


def imported(tree, in_functions=True):
    """The names of what is imported; of our package, names of modules."""
    names = set()
    for node in statements(tree, in_functions):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            continue
        assert node.level == 0, "relative import"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            names.add(name if name in MODULES else node.module)
    return names


def roots(names):
    """What the names are of: `a` of `a.b.c`."""
    return {name.split(".")[0] for name in names}


def floor(module):
    """Number of a module's floor, and the part of the package it is of."""
    part = module.split(".")[1]
    numbers = [n for n, parts in enumerate(FLOORS) if part in parts]
    assert numbers, f"{part} has no floor: add it to FLOORS"
    return numbers[0], part


def test_imports_lead_down():
    """None to what uses the package, either."""
    users = {"benchmarks", "keras_csc_cli", "serving", "studies", "tests"}
    assert not roots(set().union(*map(imported, MODULES.values()))) & users
    for name in set(MODULES) - {"keras_csc"}:
        number, part = floor(name)
        for other in imported(MODULES[name]) & set(MODULES) - {"keras_csc"}:
            below, other_part = floor(other)
            assert below < number or other_part == part, (name, other)


def test_the_map_shows_the_floors():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^ {6}(\w+/?(?:, \w+/?)*)(?:$|  )", text, re.MULTILINE)
    floors = [tuple(row.replace("/", "").split(", ")) for row in rows]
    assert floors == list(FLOORS)


def test_portable_modules_can_be_imported_without_tensorflow():
    pending = [
        name
        for name in MODULES
        if name.split(".")[1:2] and name.split(".")[1] in PORTABLE
        if not name.startswith(TENSORFLOW_ROOM)
    ]
    seen = set()
    while pending:
        name = pending.pop()
        seen.add(name)
        found = imported(MODULES[name], in_functions=False)
        assert "tensorflow" not in roots(found), name
        pending += (found & set(MODULES)) - seen


def test_probability_is_imported_when_it_is_needed():
    """It takes a second, and only a density needs it."""
    importing = {
        name
        for name, tree in MODULES.items()
        if "tensorflow_probability" in roots(imported(tree))
    }
    assert importing == {"keras_csc.generation.gaussians"}
    for name in importing:
        at_once = roots(imported(MODULES[name], in_functions=False))
        assert "tensorflow_probability" not in at_once


# === What is declared ===

TOML = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOML["project"]
# Imported by `tf.summary`, TensorFlow Probability and, to prepare a data set,
# by TFDS: none asks for them.
NOT_IMPORTED = {"importlib-resources", "tensorboard", "tf-keras"}
# Imported where they are installed, by extra.
EXTRAS = {
    "explore": {"gradio": "gradio", "starlette": "starlette"},
    "hub": {"huggingface_hub": "huggingface-hub", "kagglehub": "kagglehub"},
    "serving": {"tensorflow_serving": "tensorflow-serving-api"},
}
OPTIONAL = {module for extra in EXTRAS.values() for module in extra}


def foreign():
    """Top-level names of the modules of others that our packages import."""
    names = set()
    for path in sorted(ROOT.glob("keras_csc*/**/*.py")):
        names |= roots(imported(ast.parse(path.read_text())))
    return names - {"keras_csc", "keras_csc_cli"} - sys.stdlib_module_names


def declared(requirements):
    return {normalized(re.match(r"[\w-]+", text)[0]) for text in requirements}


def normalized(name):
    return name.lower().replace("_", "-")


def distributions(modules):
    """Names of the installed distributions that provide the modules."""
    providers = metadata.packages_distributions()
    return {normalized(providers[name][0]) for name in modules}


def test_dependencies_are_what_is_imported():
    found = distributions(foreign() - OPTIONAL)
    assert declared(PROJECT["dependencies"]) == found | NOT_IMPORTED


def test_optional_imports_are_extras():
    assert OPTIONAL <= foreign()
    for extra, modules in EXTRAS.items():
        extra = PROJECT["optional-dependencies"][extra]
        assert declared(extra) == set(modules.values())


def test_requirements_pin_every_dependency():
    text = (ROOT / "requirements.txt").read_text()
    pinned = declared(re.findall(r"^[\w-]+==.*", text, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["lint"], *extras["test"]]
    assert declared(needed) <= pinned
    browser = [r for r in TOML["dependency-groups"]["browser"] if "==" in r]
    assert declared(extras["explore"]) <= declared(browser)


def test_version_is_the_same_everywhere():
    version = keras_csc.__version__
    assert f'\nversion: "{version}"\n' in (ROOT / "CITATION.cff").read_text()
    assert "version" in PROJECT["dynamic"]


# === Names of what is saved ===

SAVED = (
    keras.layers.Layer,
    keras.metrics.Metric,
    keras.losses.Loss,
    keras.constraints.Constraint,
    keras.optimizers.Optimizer,
    keras_csc.generation.FeatureDensity,
    keras_csc.losses.TranscriptionGame,
)


def saved_classes():
    found = set()
    for module in pkgutil.walk_packages(keras_csc.__path__, "keras_csc."):
        if module.name.endswith(("explorer.page", "own_pages")):
            continue  # It needs Gradio.
        module = importlib.import_module(module.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            if value.__module__.startswith("keras_csc") and issubclass(
                value, SAVED
            ):
                found.add(value)
    # Which nobody makes.
    return found - {
        keras_csc.losses.TranscriptionGame,
        DictionaryLayer,
        keras_csc.presets.PresetModel,
        Player,
    }


def test_names_are_unique_and_lead_to_their_class():
    classes = saved_classes()
    assert keras_csc.layers.ConvSparseCoding2D in classes
    names = [keras.saving.get_registered_name(cls) for cls in classes]
    assert len(set(names)) == len(classes)
    for name, cls in zip(names, classes):
        assert name == f"keras_csc>{cls.__name__}"
        assert keras.saving.get_registered_object(name) is cls
