"""Counts the house: lines, files, settings, and lines of code that check.

    python benchmarks/lines.py

Lines are all lines of tracked files. A line of code is no blank, comment or
docstring. It checks if it stands in a `raise` (but of NotImplementedError), in
an `if` or `except` that ends in one, or in a call, `def` or import of `check*`
or `value_errors`. Classes and functions count without their docstrings.
"""

import ast
import graphlib
import pathlib
import subprocess

from keras_csc_cli import train_options

from keras_csc.losses import TranscriptionGame
from keras_csc.models import presets

CORE = [f"keras_csc/{name}" for name in ("ops", "layers", "losses", "models")]
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


def tracked(*folders):
    listed = subprocess.check_output(["git", "ls-files", *folders], text=True)
    return [pathlib.Path(p) for p in listed.split() if pathlib.Path(p).exists()]


def code_and_checks(tree, text):
    """Numbers of the lines of code, and of those that check."""
    lines = text.splitlines()
    code = {
        i + 1 for i, t in enumerate(lines) if t.strip()[:1] not in ("", "#")
    }
    checks = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            code -= _span(node)  # a docstring
        elif _checks(node):
            checks |= _span(node)
    return code, checks & code


def _span(node):
    return set(range(node.lineno, node.end_lineno + 1))


def _checks(node):
    if isinstance(node, ast.Raise):
        return "NotImplementedError" not in ast.unparse(node)
    if isinstance(node, (ast.If, ast.ExceptHandler)):
        return isinstance(node.body[-1], ast.Raise)
    if isinstance(node, (ast.Call, ast.FunctionDef, ast.ImportFrom)):
        text = ast.unparse(node.func if isinstance(node, ast.Call) else node)
        name = text.removeprefix("def ").split("(")[0].split(" ")[-1]
        name = name.split(".")[-1].lstrip("_")
        return name.startswith(("check", "value_errors"))
    return False


def longest(trees, *kinds):
    """The longest class or function, without docstrings, as text."""
    sizes = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                span = _span(node)
                for inner in ast.walk(node):
                    if isinstance(inner, (ast.ClassDef, *FUNCTIONS)):
                        if ast.get_docstring(inner) is not None:
                            span -= _span(inner.body[0])
                sizes[f"{path}:{node.name}"] = len(span)
    name = max(sizes, key=sizes.get, default="none")
    return f"{name} {sizes.get(name, 0)}"


def report(title, *folders):
    texts = {p: p.read_text() for p in tracked(*folders) if p.suffix == ".py"}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    counts = [code_and_checks(trees[p], text) for p, text in texts.items()]
    code, checks = (sum(len(pair[i]) for pair in counts) for i in (0, 1))
    sizes = {p: len(text.splitlines()) for p, text in texts.items()}
    file = max(sizes, key=sizes.get)
    print(
        f"{title}: {sum(sizes.values())} lines, {len(sizes)} files; "
        f"{100 * checks / code:.1f} % checks\n"
        f"  longest: {file} {sizes[file]}; {longest(trees, ast.ClassDef)}; "
        f"{longest(trees, *FUNCTIONS)}"
    )


def circle(folder):
    """A circle of imports of modules of a package; `None` if there is none."""
    modules = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path
        for path in tracked(folder)
        if path.suffix == ".py"
    }
    graph = graphlib.TopologicalSorter()
    for module, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            for alias in getattr(node, "names", ()):
                if isinstance(node, ast.ImportFrom):
                    name = f"{node.module}.{alias.name}"
                    name = name if name in modules else node.module
                    if name in modules:
                        graph.add(module, name)
    try:
        graph.prepare()
    except graphlib.CycleError as error:
        return " → ".join(error.args[1])


def main():
    report("keras_csc", "keras_csc")
    report("its core", *CORE)
    report("keras_csc_cli", "keras_csc_cli")
    report("tests", "tests")
    report("studies and benchmarks", "studies", "benchmarks")
    json = [p for p in tracked("studies", "benchmarks") if p.suffix == ".json"]
    total = sum(len(path.read_text().splitlines()) for path in json)
    print(f"their JSON: {total} lines, {len(json)} files")
    print(f"circle of imports in keras_csc: {circle('keras_csc')}")
    names = set(vars(train_options.parse([]))) - {"architecture", "game"}
    game = TranscriptionGame().get_config()
    settings = [*names, *presets.DEFAULTS, *game]
    print(f"{len(settings)} settings of a training, {len(tracked())} files")


if __name__ == "__main__":
    main()
