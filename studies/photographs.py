"""Whole photographs: quality against numbers a pixel, ours and others.

    python studies/photographs.py --photographs=FOLDER

FOLDER holds `train` and `validation` with photographs of any size. Linear codes
are fitted to those in `train`. What is measured of them, and of the models that
ship, are the whole ones in `validation`, and those that scikit-image and
scikit-learn ship, which nobody trained on; `--contenders=linear` or
`=shipped` measures one of the two. Writes studies/photographs.json and
docs/photographs.md, and a picture of a photograph that scikit-image ships.
"""

import pathlib

from keras_csc_cli import command_line
from keras_csc_cli import console
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json

import numpy as np
import tensorflow as tf
from absl import flags
from PIL import Image
from scipy.fft import dctn
from scipy.fft import idctn
from sklearn.decomposition import PCA

from keras_csc import metrics
from keras_csc.data.embedded import PHOTOGRAPHS
from keras_csc.files import replacing
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import Tiles
from keras_csc.models import presets
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels
from studies import plan
from studies import tables

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "photographs.json"
PAGE = HERE.parent / "docs" / "photographs.md"
PICTURE = HERE.parent / "docs" / "pictures" / "photograph.jpg"
FIGURES = ("psnr", "ssim", "ms_ssim")
SHIPPED = ("csc_ctrl_photographs", "csc_ctrl_photographs_fine")
BLOCKS_OF_A_PHOTOGRAPH = 400


# === Photographs ===


def read(path):
    """Pixels of a photograph in colour."""
    return np.asarray(Image.open(path).convert("RGB"))


def shipped():
    """Photographs of our dependencies, `{name: pixels}`."""
    return {
        name: read(pathlib.Path(package.__file__).parent / file)
        for name, (package, file) in PHOTOGRAPHS.items()
    }


def photographs(folder):
    """Photographs of a folder, `{name: pixels}`.

    Raises:
        UsageError: if there are none.
    """
    folder = pathlib.Path(folder)
    paths = sorted(folder.rglob("*"))
    kinds = (".jpg", ".jpeg", ".png")
    found = {
        str(path.relative_to(folder)): read(path)
        for path in paths
        if path.suffix.lower() in kinds
    }
    if not found:
        raise command_line.UsageError(
            f"{folder} has no photographs ({', '.join(kinds)}). Give a folder "
            "with train and validation as --photographs."
        )
    return found


def measured(function, sets):
    """Means over photographs of what a function makes of them.

    Args:
        function: of pixels `(height, width, 3)`, returns floats in [-1, 1].
        sets: dict of dicts of photographs.

    Returns:
        Dict from sets to dicts of `FIGURES`.
    """
    return {name: _means(function, each) for name, each in sets.items()}


def _means(function, images):
    metric = {
        "psnr": metrics.peak_signal_to_noise_ratio,
        "ssim": metrics.structural_similarity,
        "ms_ssim": metrics.multiscale_structural_similarity,
    }
    rows = []
    for pixels in images.values():
        made = tf.constant(function(pixels)[None], tf.float32)
        image = tf.constant(from_pixels(pixels)[None])
        rows.append([float(metric[name](image, made)[0]) for name in FIGURES])
    return dict(zip(FIGURES, np.mean(rows, axis=0).tolist()))


# === Linear codes of blocks ===


def blocks_of(image, size):
    """Blocks as rows, of an image continued by reflection, and its padding."""
    padding = [(0, -n % size) for n in image.shape[:2]]
    image = np.pad(image, [*padding, (0, 0)], "symmetric")
    height, width = (n // size for n in image.shape[:2])
    blocks = image.reshape(height, size, width, size, -1)
    blocks = blocks.transpose(0, 2, 1, 3, 4).reshape(height * width, -1)
    return blocks, (height, width)


def image_of(blocks, grid, size, shape):
    """What `blocks_of` came from."""
    image = blocks.reshape(*grid, size, size, -1).transpose(0, 2, 1, 3, 4)
    image = image.reshape(grid[0] * size, grid[1] * size, -1)
    return image[: shape[0], : shape[1]]


def by_blocks(size, code):
    """A function of pixels that codes every block, of rows in [-1, 1]."""

    def reconstruct(pixels):
        blocks, grid = blocks_of(from_pixels(pixels), size)
        return image_of(code(blocks), grid, size, pixels.shape)

    return reconstruct


def principal_components(train, size, numbers):
    """Blocks by their principal components."""
    pca = PCA(numbers).fit(some_blocks(train, size))
    return by_blocks(size, lambda x: pca.inverse_transform(pca.transform(x)))


def cosine_transform(train, size, numbers):
    """Blocks by their DCT coefficients of largest variance, in Y, Cb, Cr."""
    luma = np.array([0.299, 0.587, 0.114])
    colours = np.stack([luma, ([0, 0, 1] - luma), ([1, 0, 0] - luma)])
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)

    def transform(blocks):
        pixels = blocks.reshape(-1, size, size, 3) @ colours.T
        return dctn(pixels, axes=(1, 2), norm="ortho").reshape(len(blocks), -1)

    variances = transform(some_blocks(train, size)).var(axis=0)
    kept = np.zeros_like(variances)
    kept[np.argsort(variances)[-numbers:]] = 1

    def code(blocks):
        coefficients = (transform(blocks) * kept).reshape(-1, size, size, 3)
        pixels = idctn(coefficients, axes=(1, 2), norm="ortho")
        return pixels @ np.linalg.inv(colours.T)

    return by_blocks(size, code)


def some_blocks(images, size, seed=0):
    """Some blocks of every photograph, as rows."""
    random = np.random.default_rng(seed)
    parts = []
    for pixels in images.values():
        blocks, _ = blocks_of(from_pixels(pixels), size)
        chosen = random.permutation(len(blocks))[:BLOCKS_OF_A_PHOTOGRAPH]
        parts.append(blocks[chosen])
    return np.concatenate(parts)


LINEAR = {
    "principal components of blocks": principal_components,
    "DCT of blocks": cosine_transform,
}
GEOMETRIES = ((8, 16), (8, 32), (4, 16))


# === Rows ===


def row_of_shipped(name, sets):
    """The row of a model that ships."""
    model = ClosedLoopAutoencoder.from_preset(name)
    tiles = Tiles(model, 512)

    def reconstruct(pixels):
        return np.asarray(tiles.reconstruct(pixels[None]))[0]

    recipe = presets.find(name).metadata["card"]["recipe"]
    return {
        "name": f"`{name}`, as it ships",
        "steps": recipe["steps"],
        "batch_size": recipe["batch_size"],
        "block": model.encoder.stride,
        "numbers": model.encoder.feature_dim,
        **measured(reconstruct, sets),
        "about": identification(),
    }


def linear_rows(train, sets):
    """The rows of linear codes, which take no training."""
    for name, make in LINEAR.items():
        for block, numbers in GEOMETRIES:
            yield {
                "name": name,
                "block": block,
                "numbers": numbers,
                **measured(make(train, block, numbers), sets),
                "about": identification(),
            }


def put(row):
    """Adds a row to the table, in place of an older one of its kind."""
    tables.put(TABLE, [row], ["name", "block", "numbers"])


# === Page ===

INTRODUCTION = """\
# Whole photographs

Models with features that keep their place (`features="map"`) were trained on
crops of 64×64 pixels of {train}. Here they regenerate whole ones that they
never saw: {held_out} of the same kind, held out, and {shipped} that
scikit-image and scikit-learn ship. *Block*: 8×8, 16 is 16 numbers for 8×8
pixels; *numbers a pixel* is their ratio. *Shipped*: PSNR of the 7. Commands,
versions and commits are in
[studies/photographs.json](../studies/photographs.json), which `python
studies/photographs.py` makes.

![A photograph and its regeneration](pictures/photograph.jpg)

*{picture}: left the photograph, right what `csc_ctrl_photographs` makes of it.*
"""
MAPS = """\
## How maps work

With `features="map"` the head is a dictionary of 1×1. There is a feature vector
of norm 1 at every place of the last codes, and the network is convolutional
throughout. The head sees the signed codes of the last stage. With both of their
parts it would spend features on `|z|`, and nothing draws `|z|`. Rates and
consistency are over places and images alike; a place has the label of its
image. Reflection continues images of any size to whole places, below and to the
right. The result is cropped again. A place depends on the pixels of its
receptive field only. In a lapped stage this is its own block and at most one
block around. `Tiles` computes large images in parts with such a border.

The presets of maps are one lapped stage. Principal components make it begin
near the linear autoencoder of blocks. Two things cost it decibels. One atom is
the constant. And features have norm 1: a place of high contrast and the same
place in half the contrast differ little in direction. A large offset of the
features (`--first_atoms=principal:4096:16`) keeps most of this difference. It
needs a learning rate of .001. The features are then so near to each other that
the rate reduction is about 0. The images come from the first atoms, and the
game adds nothing.
"""
COLUMNS = (
    ("", lambda row: row["name"]),
    ("block", lambda row: "{0}×{0}, {1}".format(row["block"], row["numbers"])),
    (
        "numbers a pixel",
        lambda row: f"{row['numbers'] / row['block'] ** 2:.3g}",
    ),
    ("PSNR, held out", lambda row: f"{row['held_out']['psnr']:.2f} dB"),
    ("shipped", lambda row: f"{row['shipped']['psnr']:.2f} dB"),
    ("SSIM", lambda row: f"{row['held_out']['ssim']:.3f}"),
    ("MS-SSIM", lambda row: f"{row['held_out']['ms_ssim']:.4f}"),
)


def page(rows, facts):
    """Text of docs/photographs.md.

    Args:
        rows: list of the rows of the table.
        facts: dict of what the introduction names.
    """
    rows = sorted(rows, key=lambda row: (row["block"], row["numbers"]))
    table = tables.markdown(
        [name for name, _ in COLUMNS],
        [[text(row) for _, text in COLUMNS] for row in rows],
    )
    return f"{INTRODUCTION.format(**facts)}\n{table}\n\n{MAPS}"


def draw(name="coffee"):
    """Writes the picture of a photograph beside its regeneration."""
    model = ClosedLoopAutoencoder.from_preset(SHIPPED[0])
    pixels = shipped()[name]
    made = to_pixels(np.asarray(Tiles(model).reconstruct(pixels[None]))[0])
    with replacing(PICTURE) as temporary:
        picture = Image.fromarray(np.concatenate([pixels, made], axis=1))
        picture.save(temporary, quality=90)


def main():
    values = flags.FLAGS
    known = ["linear", "shipped"]
    plan.check_some("contenders", values.contenders, known)
    if values.photographs is None:
        raise command_line.UsageError(
            "--photographs is missing: a folder with train and validation."
        )
    folder = pathlib.Path(values.photographs)
    sets = {
        "held_out": photographs(folder / "validation"),
        "shipped": shipped(),
    }
    if "linear" in values.contenders:
        for row in linear_rows(photographs(folder / "train"), sets):
            put(row)
    if "shipped" in values.contenders:
        for name in SHIPPED:
            put(row_of_shipped(name, sets))
    write_page(folder, sets)


def write_page(folder, sets):
    """Writes `PAGE` and its picture, of the rows that there are."""
    draw()
    facts = {
        "train": f"{len(photographs(folder / 'train'))} photographs",
        "held_out": len(sets["held_out"]),
        "shipped": len(sets["shipped"]),
        "picture": "Coffee, of scikit-image",
    }
    with replacing(PAGE) as temporary:
        text = page(read_json(TABLE, list), facts)
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    flags.DEFINE_string("photographs", None, "Folder of photographs.")
    flags.DEFINE_list(
        "contenders", ["linear", "shipped"], "Whose rows to make."
    )
    command_line.run(main, user_errors=console.user_errors())
