"""Rows that a study keeps in a JSON file, and tables of them in Markdown."""

import json

from keras_csc_cli.records import read_json

from keras_csc.files import replacing


def rows_of(path):
    """The rows of a file, a list of dicts; none where there is no file."""
    return read_json(path, list) if path.exists() else []


def write(path, rows):
    """Writes rows as JSON, a line for each entry of a row."""
    texts = [
        ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
            for name, value in row.items()
        )
        for row in rows
    ]
    with replacing(path) as temporary:
        text = ",\n".join(f" {{\n{entries}\n }}" for entries in texts)
        temporary.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def put(path, rows, keys):
    """Writes rows into a file, in place of the rows of the same keys."""

    def key(row):
        return [row.get(name) for name in keys]

    new = [key(row) for row in rows]
    kept = [row for row in rows_of(path) if key(row) not in new]
    write(path, [*kept, *rows])


def markdown(head, rows):
    """A table as text, of lists of texts."""
    first, *others = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([first, "|-" * len(head) + "|", *others])
