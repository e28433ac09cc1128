"""What the packages import is what they declare, and nothing else."""

import ast
import pathlib
import re
import sys
import tomllib
from importlib import metadata

import keras_csc

ROOT = pathlib.Path(__file__).parents[1]
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TOML["project"]
OURS = ("keras_csc", "keras_csc_cli")
# Imported by `tf.summary`, TensorFlow Probability and, to prepare a data set,
# by TFDS: none asks for them.
NOT_IMPORTED = {"importlib-resources", "tensorboard", "tf-keras"}
# Imported where they are installed, by extra.
EXTRAS = {
    "explore": {"gradio": "gradio", "starlette": "starlette"},
    "hub": {"huggingface_hub": "huggingface-hub", "kagglehub": "kagglehub"},
    "runtimes": {
        "ai_edge_litert": "ai-edge-litert",
        "onnxruntime": "onnxruntime",
        "openvino": "openvino",
        "tf2onnx": "tf2onnx",
    },
    "serving": {"tensorflow_serving": "tensorflow-serving-api"},
}
OPTIONAL = {module for extra in EXTRAS.values() for module in extra}


def imported():
    """Top-level names of the modules that our packages import."""
    names = set()
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module)
    tops = {name.partition(".")[0] for name in names}
    return tops - set(OURS) - sys.stdlib_module_names


def declared(requirements):
    return {normalized(re.match(r"[\w-]+", text)[0]) for text in requirements}


def normalized(name):
    return name.lower().replace("_", "-")


def distributions(modules):
    """Names of the installed distributions that provide the modules."""
    providers = metadata.packages_distributions()
    return {normalized(providers[name][0]) for name in modules}


def test_dependencies_are_what_is_imported():
    found = distributions(imported() - OPTIONAL)
    assert declared(PROJECT["dependencies"]) == found | NOT_IMPORTED


def test_optional_imports_are_extras():
    assert OPTIONAL <= imported()
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
