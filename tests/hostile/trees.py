"""The files of a folder, before and after something happened to it."""

import hashlib
import os
import stat

PLANTED = {
    ".git/HEAD": "ref: refs/heads/main\n",
    ".git/objects/4b/825dc6": "tree",
    ".env": "TOKEN=1\n",
    ".notes.tmp": "mine\n",
    "notes.txt": "what I know\n",
    "pictures/holiday.txt": "no run's\n",
}
# Names in a run's folder that are the run's: they may change. But nothing may
# that a set-up calls `MINE`.
MINE = "mine"
RUNS = (
    ".lock",
    "checkpoints",
    "evaluation.json",
    "flags.json",
    "log.jsonl",
    "model",
    "pictures",
    "run.json",
    "tensorboard",
)


def plant(folder):
    """Writes files of a user's."""
    for name, text in PLANTED.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def digests(folder):
    """Dict from the names of all that is below a folder to its digest."""
    found = {}
    for where, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            path = os.path.join(where, name)
            relative = os.fsdecode(os.path.relpath(path, os.fsencode(folder)))
            found[relative] = _digest(path)
    return found


def _digest(path):
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return "link to " + os.fsdecode(os.readlink(path))
    if not stat.S_ISREG(mode):
        return str(stat.S_IFMT(mode))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def harm(before, after, writes):
    """What changed that should not have.

    Args:
        before: `digests`.
        after: `digests`, later.
        writes: names of what may come into being, with all below it.

    Returns:
        List of phrases: files that are lost, have changed, or are new where
        nothing may be written.
    """
    changes = [
        f"{name} is {'changed' if name in after else 'lost'}"
        for name, digest in before.items()
        if after.get(name) != digest and not _is_runs(name, writes)
    ]
    return changes + [
        f"{name} is new"
        for name in after
        if name not in before and name.split(os.sep)[0] not in writes
    ]


def _is_runs(name, writes):
    first, *rest = name.split(os.sep)
    if MINE in name or first not in writes or not rest:
        return False
    return first not in ("run", ".git") or rest[0] in RUNS
