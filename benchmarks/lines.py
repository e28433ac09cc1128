"""Counts the house: lines, files, settings, and lines of code that check.

    python benchmarks/lines.py

Lines are all lines of tracked `*.py`. A line of code is no blank, comment or
docstring. It checks if it stands in a `raise` (but of NotImplementedError), in
an `if` or `except` that ends in one, or in a call, `def` or import of `check*`
or `value_errors`.
"""

import ast
import pathlib
import subprocess

from keras_csc_cli import train_options

from keras_csc.losses import TranscriptionGame
from keras_csc.models import presets

CORE = ("ops", "layers", "losses", "models")


def tracked(*folders):
    listed = subprocess.check_output(["git", "ls-files", *folders], text=True)
    return [pathlib.Path(p) for p in listed.split() if pathlib.Path(p).exists()]


def code_and_checks(text):
    """Numbers of the lines of code, and of those that check."""
    tree = ast.parse(text)
    lines = text.splitlines()
    code = {
        i + 1 for i, t in enumerate(lines) if t.strip()[:1] not in ("", "#")
    }
    checks = set()
    for node in ast.walk(tree):
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 0)
        span = set(range(first, last + 1))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            code -= span  # a docstring
        elif _checks(node):
            checks |= span
    return code, checks & code


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


def report(title, *folders):
    texts = {p: p.read_text() for p in tracked(*folders) if p.suffix == ".py"}
    found = [code_and_checks(text) for text in texts.values()]
    code, checks = (sum(len(each[i]) for each in found) for i in (0, 1))
    sizes = {p: len(text.splitlines()) for p, text in texts.items()}
    longest = max(sizes, key=sizes.get)
    print(
        f"{title}: {sum(sizes.values())} lines, {len(sizes)} files; longest "
        f"{longest} {sizes[longest]}; {100 * checks / code:.1f} % checks"
    )


def main():
    report("keras_csc", "keras_csc")
    report("its core", *(f"keras_csc/{name}" for name in CORE))
    report("keras_csc_cli", "keras_csc_cli")
    report("tests", "tests")
    names = set(vars(train_options.parse([]))) - {"architecture", "game"}
    settings = [
        *names,
        *presets.DEFAULTS,
        *TranscriptionGame().get_config(),
    ]
    print(f"{len(settings)} settings of a training, {len(tracked())} files")


if __name__ == "__main__":
    main()
