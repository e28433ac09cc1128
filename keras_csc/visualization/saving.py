"""Writing pictures so that a reader never meets half a file."""

import pathlib

import numpy as np
from PIL import Image

from keras_csc.files import replacing


def save_png(path, array):
    """Write a picture as PNG, in one step for whoever reads it.

    The file is written under a temporary name in the same folder and renamed.
    If writing fails, an older file stays. Missing folders are made.

    Args:
        path: str or path of the file.
        array: `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if `array` has another dtype or shape.
    """
    array = np.asarray(array)
    if array.dtype != "uint8" or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(
            "`array` must be uint8 of shape (height, width, 3). Received: "
            f"dtype={array.dtype}, shape={array.shape}"
        )
    with _in_place(path) as temporary:
        Image.fromarray(array).save(temporary, format="PNG", optimize=True)


def save_figure(path, figure):
    """Write a matplotlib figure, in one step for whoever reads it.

    As `save_png`; at 150 dots an inch if the format has pixels.

    Args:
        path: str or path of the file; its suffix names the format, such as
            `.png`, `.svg` or `.pdf`.
        figure: A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if matplotlib does not write the format.
    """
    suffix = pathlib.Path(path).suffix[1:]
    with _in_place(path) as temporary:
        figure.savefig(temporary, format=suffix or "png", dpi=150)


def _in_place(path):
    """`replacing`, once the folder is there."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return replacing(path)
