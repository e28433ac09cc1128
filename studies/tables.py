"""Rows that a study keeps in a JSON file, and tables of them in Markdown."""

from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json


def rows_of(path):
    """The rows of a file, a list of dicts; none where there is no file."""
    return read_json(path, list) if path.exists() else []


def put(path, rows, keys, order=None):
    """Writes rows into a file, in place of the same rows there.

    Args:
        path: of the file.
        rows: list of dicts.
        keys: by which rows are the same.
        order: function of a row by which all are sorted; by default the new
            ones are the last.

    Returns:
        All rows of the file.
    """

    def key(row):
        return [row.get(name) for name in keys]

    fresh = [key(row) for row in rows]
    rows = [*(row for row in rows_of(path) if key(row) not in fresh), *rows]
    if order:
        rows.sort(key=order)
    write_json(path, rows)
    return rows


def markdown(head, rows):
    """A table as text.

    Args:
        head: list of texts.
        rows: list of such lists.
    """
    first, *others = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([first, "|-" * len(head) + "|", *others])
