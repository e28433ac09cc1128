"""Vectors of pictures, and which are most like a picture."""

import contextlib
import pathlib

from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import check_output

import keras
import numpy as np

from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import find_images
from keras_csc.data.image_files import printable
from keras_csc.data.image_files import read_pixels
from keras_csc.data.images import shaped
from keras_csc.features import SparseFeatures
from keras_csc.files import check_archive
from keras_csc.files import replacing
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.pixels import from_pixels
from keras_csc.terminal import Progress
from keras_csc.terminal import say

BATCH = 32
MARK = b"keras_csc embed"  # the first array of a file of vectors


def embed(options):
    """Writes `--output`, the vectors of all pictures of a folder."""
    output = check_output(options.output, MARK, "a file of embed")
    model, shape = _opened(options.preset)
    files = _files(options.data_dir)
    vectors, files = _vectors(model, files, shape)
    names = [str(file.relative_to(options.data_dir)) for file in files]
    output.parent.mkdir(parents=True, exist_ok=True)
    # An open file: to a path that does not end so, NumPy would append `.npz`.
    with replacing(output) as temporary, open(temporary, "wb") as file:
        np.savez(file, written_by=MARK, vectors=vectors, files=names)
    print(f"Vectors of {len(files)} pictures: {output}")


def search(options):
    """Prints the cosines of the pictures most like `--image`, and the files.

    The picture itself is left out, if it lies in the folder.
    """
    model, shape = _opened(options.preset)
    files, image = _files(options.data_dir), pathlib.Path(options.image)
    (query,), _ = _vectors(model, [image], shape, refuse=_stop)
    files = [file for file in files if not file.samefile(image)]
    if not files:
        raise UsageError(f"--data_dir={options.data_dir} has no other images.")
    vectors, files = _vectors(model, files, shape)
    cosines = vectors @ query
    for row in np.argsort(-cosines)[: options.count]:
        print(f"{cosines[row]:.3f}  {printable(files[row])}")


def _opened(preset):
    """The model that embeds pictures, and the shape that it wants."""
    if preset.endswith(".keras"):
        model = _of_sort(preset)
        return model, model.image_shape
    model = ClosedLoopAutoencoder.from_preset(preset)
    if model.density is None or model.encoder.features == "map":
        raise UsageError(
            f"--preset={preset} has no vector for a whole image: choose "
            "another, such as csc_ctrl_cifar10."
        )
    return model, model.encoder.image_shape


def _of_sort(preset):
    """The features of a file that `sort` wrote."""
    with contextlib.suppress(Exception):  # of what a file may hold
        check_archive(preset)
        model = keras.saving.load_model(preset)
        model = model.layers[0] if model.layers else model
        if isinstance(model, SparseFeatures):
            return model
    raise UsageError(
        f"--preset={preset} is no model that keras-csc sort wrote, or is "
        "damaged."
    )


def _files(folder):
    left_out = LeftOut(folder)
    files = [
        pathlib.Path(folder, name) for name in find_images(folder, left_out)
    ]
    if str(left_out):
        say(str(left_out))
    if not files:
        raise UsageError(f"--data_dir={folder} has no images.")
    return files


def _vectors(model, files, shape, refuse=say):
    """Vectors of the files that are images, and these files.

    `refuse` is told of the others.
    """
    vectors, whole = [], []
    progress = Progress("Reading pictures", len(files))
    for start in range(0, len(files), BATCH):
        batch, images = files[start : start + BATCH], []
        for file in batch:
            try:
                images.append(np.asarray(shaped(read_pixels(str(file)), shape)))
                whole.append(file)
            except ValueError as error:
                refuse(f"{printable(file)} is no image: {error}")
        if images:
            vectors.append(np.asarray(model.embed(from_pixels(images))))
        progress.advance(len(batch))
    if not whole:
        raise UsageError("None of the files is an image.")
    return np.concatenate(vectors), whole


def _stop(text):
    raise UsageError(text)
