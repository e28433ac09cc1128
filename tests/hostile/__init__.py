"""What a hostile or unlucky user does, as cases, and what must come of it.

The modules of `CASES` hold lists of `Case` and nothing else; `material` is
what their set-ups and snippets are made of. `run.py` runs and judges them.
"""

import importlib

MODULES = ("command_lines", "folders", "files", "signatures", "presets", "api")


def all_cases():
    """The cases of all modules, in their order."""
    return [
        case
        for name in MODULES
        for case in importlib.import_module(f"{__name__}.{name}").CASES
    ]
