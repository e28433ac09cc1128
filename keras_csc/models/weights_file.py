"""A file of weights, looked at before anything is read into memory."""

import collections
import math

import h5py
import numpy as np

from keras_csc.advice import AdvisedError

# Beside the weights a file may hold the state of two optimizers.
MOST_COPIES = 4
OVERHEAD = 16 * 1024  # bytes of HDF5 for a weight, at most
# Groups of a file that hold a model, and not what trained it.
PARTS = ("encoder/", "decoder/", "vars/")


def largest(shapes):
    """The most bytes that a file of weights of some shapes may have."""
    return MOST_COPIES * (
        8 * sum(map(math.prod, shapes)) + OVERHEAD * len(shapes)
    )


def check_size(path, shapes):
    """Looks whether a file is about as large as weights of some shapes.

    Args:
        path: `pathlib.Path` of the file.
        shapes: list of the shapes of all weights.

    Raises:
        ValueError: if it is no regular file, or of another size.
    """
    if not path.is_file():
        raise AdvisedError(
            f"The preset folder {str(path.parent)!r} has no file {path.name}.",
            "load_weights",
            "Write it with `save_to_preset`, or pass load_weights=False.",
        )
    size, numbers = path.stat().st_size, sum(map(math.prod, shapes))
    if size > largest(shapes):
        _refuse(path, f"{size} bytes are more than {numbers} numbers take.")
    if size < 2 * numbers:
        _refuse(path, f"{size} bytes can't hold {numbers} numbers.")


def check_shapes(path, shapes):
    """Looks whether an HDF5 file holds weights of some shapes, and no others.

    Only headers are read. Every number must have a place of its own in the
    file: no file is small, and large once it is read.

    Args:
        path: `pathlib.Path` of the file.
        shapes: list of the shapes of all weights.

    Raises:
        ValueError: if it can't be read, or does not hold them, or more.
    """
    try:
        with h5py.File(path) as file:
            found = _shapes_in(file, path)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged, or is no HDF5 file: {error}"
        ) from error
    expected = collections.Counter(shapes)
    lacking, more = expected - found, found - expected
    if lacking:
        _refuse(
            path,
            f"expected {sum(lacking.values())} more of the shapes "
            f"{_some(lacking)}; received {_some(more) or 'nothing'} instead.",
        )
    if more:
        _refuse(
            path,
            f"received {sum(more.values())} that it has no place for, of the "
            f"shapes {_some(more)}.",
        )


def _refuse(path, reason):
    raise ValueError(
        f"{str(path)!r} does not hold the weights of the preset's "
        f"architecture, or is damaged: {reason}"
    )


def _shapes_in(file, path):
    """How many weights of the model there are of every shape."""
    found = collections.Counter()

    def look(name, item):
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        size = math.prod(item.shape) * item.dtype.itemsize
        if item.is_virtual or item.external or size > _stored(item):
            _refuse(path, f"{name} of {item.shape} has no data of its own.")
        if name.startswith(PARTS):
            found[item.shape] += 1

    file.visititems(look)
    return found


def _stored(dataset):
    """Bytes that a dataset has in its file, without compression."""
    compressed = dataset.compression is not None
    return 0 if compressed else dataset.id.get_storage_size()


def _some(shapes, most=8):
    shown = [str(shape) for shape in list(shapes)[:most]]
    return ", ".join(shown + ["..."] * (len(shapes) > most))


def halve(path):
    """Rewrites arrays of three axes and more of a file of weights as float16.

    Those are dictionaries, and the means and factors of a density; some 11
    bits of each number are left. Biases, statistics, step sizes and the
    variances of a density, which may be 1e-8, stay as they are.

    Raises:
        ValueError: for a number beyond those of float16, ±65,504.
    """
    halved = path.with_name(path.name + ".half")
    with h5py.File(path) as source, h5py.File(halved, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name, item):
            if isinstance(item, h5py.Group):
                target.require_group(name).attrs.update(item.attrs)
                return
            values = item[()]
            if values.ndim > 2 and values.dtype.kind == "f":
                with np.errstate(over="ignore"):
                    values = values.astype("float16")
                if not np.all(np.isfinite(values)):
                    raise ValueError(
                        f"{name} of {str(path)!r} must be within ±65504 to be "
                        "saved in half precision."
                    )
            target[name] = values
            target[name].attrs.update(item.attrs)

        source.visititems(copy)
    halved.rename(path)
