"""What the card of a model says, of a run or of a preset."""

import pathlib
import re
import shlex

from keras_csc_cli import command_line
from keras_csc_cli import sessions
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.json_files import read_json

from keras_csc.export.card import card_of
from keras_csc.models import ClosedLoopAutoencoder

# Options whose values are folders and files.
PATHS = ("workdir", "data_dir", "classifier", "inception_weights", "file")
PATH_FLAG = re.compile(rf"--?(?:{'|'.join(PATHS)})(=.*)?")
SECTIONS = {
    "training": "run.json",
    "recipe": "flags.json",
    "evaluation": "evaluation.json",
}


def of_run(workdir):
    """What the card of a run's model says.

    Args:
        workdir: `pathlib.Path` of the run's folder.
    """
    paths = {title: workdir / name for title, name in SECTIONS.items()}
    read = {"training": _training, "evaluation": _evaluation}
    card = {
        title: read.get(title, read_json)(path)
        for title, path in paths.items()
        if path.exists()
    }
    if "training" in card and "evaluation" in card:
        card["evaluation"].pop("run", None)
    return card


def _training(path):
    sessions.recorded(path)
    return read_json(path)


def _evaluation(path):
    figures = read_json(path)
    if not isinstance(figures.get("psnr"), (int, float)):
        raise UsageError(
            f"{path} is not that of an evaluation: it has no psnr. Remove it, "
            "or evaluate the run again."
        )
    return figures


def of_preset(preset):
    """The model of a preset, and what its card says."""
    with command_line.usage_errors():
        return ClosedLoopAutoencoder.from_preset(preset), card_of(preset)


def without_paths(facts):
    """What a card says, without folders of the machine that it was made on.

    Options whose values are folders are left out; of other absolute paths the
    last part is kept.
    """
    if isinstance(facts, dict):
        return {
            name: _command(value)
            if name == "command" and isinstance(value, str)
            else without_paths(value)
            for name, value in facts.items()
            if name not in PATHS
        }
    if isinstance(facts, (list, tuple)):
        return [without_paths(value) for value in facts]
    return _last_part(facts) if isinstance(facts, str) else facts


def _last_part(text):
    return pathlib.PurePath(text).name if text.startswith("/") else text


def _command(text):
    """A command without the folders of the machine."""
    try:
        words = iter(shlex.split(text))
    except ValueError:  # of an unbalanced quote
        words = iter(text.split())
    kept = []
    for word in words:
        found = PATH_FLAG.fullmatch(word)
        if found:
            if found[1] is None:
                next(words, None)
            continue
        name, equals, value = word.partition("=")
        kept.append(_last_part(name) + equals + _last_part(value))
    return shlex.join(kept)
