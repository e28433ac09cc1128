"""Files that are ours: locks, temporary names, removal by name; digests."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import secrets
import shutil
import stat
import tempfile
import zipfile

MOST_NAME = 255  # bytes, of the names of files


@contextlib.contextmanager
def locked(path, wait=True):
    """Holds a lock file, made if it is missing; whoever dies lets go of it.

    A `BlockingIOError` if another process holds it and `wait` is `False`, an
    `OSError` if it can't be opened, or is a link, folder or device.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def remove(path):
    """Removes a file or folder whose name only we give; follows no link."""
    path = pathlib.Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary name, and renames it to `path` at the end.

    Every writer has a name of its own, `.STEM.partial-XXXXXXXX.SUFFIX`, which a
    killed process leaves. A stem that is too long for it is cut.
    """
    path = pathlib.Path(path)
    own = f".partial-{secrets.token_hex(4)}{path.suffix}"
    stem = _cut(path.stem, len(os.fsencode(f".{own}")))
    temporary = path.with_name(f".{stem}{own}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _cut(name, others):
    """The beginning of a name that fits into one with other bytes."""
    while name and len(os.fsencode(name)) + others > MOST_NAME:
        name = name[:-1]
    return name


@contextlib.contextmanager
def new_folder(path):
    """Gives a temporary folder beside `path`, and renames it at the end.

    A `ValueError` if it exists, an `OSError` if it can't be written.
    """
    path = pathlib.Path(path)
    check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{_cut(path.name, len('.-XXXXXXXX.partial'))}-"
    temporary = pathlib.Path(
        tempfile.mkdtemp(".partial", prefix, dir=path.parent)
    )
    try:
        temporary.chmod(0o755)
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new(folder):
    """Raises `ValueError` for a folder that exists."""
    if folder.exists():
        raise ValueError(
            f"The folder {str(folder)!r} exists already. Remove it, or choose "
            "another name."
        )


def digest(path):
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_archive(path):
    """Raises `BadZipFile` for a zip file, as `.keras` is, that is damaged.

    From Python 3.13 on Keras reads weights without their check sums.
    """
    with zipfile.ZipFile(path) as archive:
        if name := archive.testzip():
            raise zipfile.BadZipFile(f"{name} is damaged.")
