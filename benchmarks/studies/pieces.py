"""Pieces of studies as data, and the rows that are their results."""

import collections
import hashlib
import json
import pathlib
import re

from training.workdir import read_json
from training.workdir import write_json

Run = collections.namedtuple("Run", ["kind", "data", "flags"])
Run.__doc__ = """A trained model as data.

kind: a key of `models.MAKERS`, `"pca"`, or `"none"` for no model at all.
data: a key of `data.SETS`.
flags: dict of those flags of `training/train.py` that make a difference.
"""

Piece = collections.namedtuple("Piece", ["measure", "run", "arguments"])
Piece.__doc__ = """What one row of results holds.

measure: a key of `measures.MEASURES`.
run: the `Run` that is measured.
arguments: dict of the measure's.
"""

Entry = collections.namedtuple("Entry", ["labels", "piece"])
Entry.__doc__ = """A piece, and the dict that says what it is in a study."""


def describe(part):
    """A `Run` or `Piece` as a JSON value, which identifies it."""
    if isinstance(part, (Run, Piece)):
        part = part._asdict()
    if isinstance(part, dict):
        return {name: describe(value) for name, value in sorted(part.items())}
    return part


def name(part):
    """A file name of a `Run` or `Piece`: readable, and unique by a digest."""
    text = json.dumps(describe(part))
    run = part if isinstance(part, Run) else part.run
    words = "-".join([run.kind, run.data, str(run.flags.get("seed", ""))])
    words = re.sub(r"[^\w]+", "-", words).strip("-")
    return f"{words}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


class Rows:
    """Results, a JSON file a piece: `FOLDER/MEASURE/NAME.json`.

    A row is found by what its piece says, wherever it was measured: a study
    that is interrupted or changed misses only the rows that are not there.
    Pictures of a row lie beside it, under its name.

    Args:
        folder: where they are.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def path(self, piece, suffix=".json"):
        return self.folder / piece.measure / f"{name(piece)}{suffix}"

    def get(self, piece):
        """The row of a piece, or `None`."""
        path = self.path(piece)
        return read_json(path, object) if path.exists() else None

    def figures(self, piece):
        """The figures of a piece's row, or `None`."""
        row = self.get(piece)
        return row and row["figures"]

    def put(self, piece, figures, **about):
        """Writes a row in one step."""
        path = self.path(piece)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**describe(piece), "figures": figures, **about})
