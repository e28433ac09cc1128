"""The imports of the package lead down only."""

import ast
import graphlib
import pathlib

import keras_csc

FOLDER = pathlib.Path(keras_csc.__file__).parent
# From the ground up: what is imported from a floor must be below it. Those of
# one floor do not know each other.
FLOORS = (
    (
        *("files", "pixels", "quiet", "replicas", "terminal", "validation"),
        "version",
    ),
    ("html", "ops"),
    ("constraints",),
    ("layers",),
    ("losses", "optimizers", "restoration"),
    ("metrics",),
    ("generation", "explanation"),
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
    """The names of what is imported; of ours, those of modules."""
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


def test_there_is_no_circle():
    graph = {
        name: (imported(tree) & set(MODULES)) - {name}
        for name, tree in MODULES.items()
    }
    assert len(graph) > 50
    graphlib.TopologicalSorter(graph).prepare()


def test_imports_lead_down():
    for name in set(MODULES) - {"keras_csc"}:
        number, part = floor(name)
        for other in imported(MODULES[name]) & set(MODULES) - {"keras_csc"}:
            below, other_part = floor(other)
            assert below < number or other_part == part, (name, other)


def test_the_package_knows_nothing_that_uses_it():
    users = {"benchmarks", "keras_csc_cli", "serving", "studies", "tests"}
    for name, tree in MODULES.items():
        roots = {
            imported_name.split(".")[0] for imported_name in imported(tree)
        }
        assert not roots & users, name


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


def test_the_backend_is_asked_in_few_places():
    """Operations and layers leave the choice of a path to `forms`."""
    asking = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and (node.value.attr, node.attr) == ("backend", "backend")
    }
    assert asking == {
        "keras_csc",
        "keras_csc.replicas",
        "keras_csc.ops.convolution",
    }
