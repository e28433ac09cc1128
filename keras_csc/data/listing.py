"""Finding the image files of a folder, each once."""

import collections
import os
import stat

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff"),
)
UNREAD = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga")
SHOWN = 3


class LeftOut:
    """What of a folder is left out, and why.

    Args:
        root: the folder.
    """

    def __init__(self, root):
        self.root = root
        self.reasons = collections.defaultdict(list)

    def add(self, reason, path):
        self.reasons[reason].append(path)

    def __str__(self):
        """One line, or nothing."""
        count = sum(map(len, self.reasons.values()))
        if not count:
            return ""
        parts = []
        for reason, paths in sorted(self.reasons.items()):
            names = ", ".join(map(printable, paths[:SHOWN]))
            more = ", ..." if len(paths) > SHOWN else ""
            parts.append(f"{len(paths)} {reason} ({names}{more})")
        entries = "1 entry" if count == 1 else f"{count} entries"
        return (
            f"{entries} of {printable(self.root)} left out: {'; '.join(parts)}."
        )


def printable(path):
    """A path for a message of one line, whatever is in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def find_images(root, left_out, seen=None):
    """Paths of a folder's image files, relative to it.

    Only regular files count, each once, and folders that can be listed. No
    link is followed: what it leads to is in the folder anyway, or not part of
    it. What begins with a dot is not looked at.

    Args:
        root: path of the folder.
        left_out: `LeftOut` that is told what else there is.
        seen: set of the identities of files that do not count, or `None`.
            The files that are found are added to it.

    Returns:
        List of paths, sorted within every folder.
    """
    seen = set() if seen is None else seen
    found, waiting, folders = [], [""], set()
    while waiting:
        relative = waiting.pop()
        try:
            folder = os.path.join(root, relative)
            identity = _identity(os.stat(folder))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            left_out.add(f"unreadable: {error.strerror}", relative or root)
            continue
        if identity in folders:
            left_out.add("seen before", relative)
            continue
        folders.add(identity)
        for entry in entries:
            path = os.path.join(relative, entry.name)
            if entry.name.startswith("."):
                continue
            reason = _reason(entry, seen)
            if reason is None:
                found.append(path)
            elif reason == "folder":
                waiting.append(path)
            elif reason:
                left_out.add(reason, path)
    return found


def _identity(status):
    return status.st_dev, status.st_ino


def _reason(entry, seen):
    """Why an entry is no image: `None` if it is one, "" if it looks like none.

    An image with several names is told by `seen`.
    """
    named = entry.name.lower().endswith(EXTENSIONS)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return f"unreadable: {error.strerror}" if named else ""
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return "links" if named or os.path.isdir(entry.path) else ""
    if not (named or stat.S_ISDIR(mode)):
        unread = entry.name.lower().endswith(UNREAD) and stat.S_ISREG(mode)
        return "of a format that is not read" if unread else ""
    if not is_utf8(entry.name):
        return "with names that are not UTF-8"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return "neither files nor folders"
    if status.st_nlink > 1:
        if _identity(status) in seen:
            return "other names of a file that counts"
        seen.add(_identity(status))
    return None


def is_utf8(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
