"""Whole photographs: quality against numbers a pixel, ours and others.

    python studies/photographs.py --photographs=FOLDER [--steps=1000]

FOLDER holds `train` and `validation` with photographs of any size. The networks
train on crops of those in `train`; what is measured are the whole ones in
`validation`, and those that scikit-image and scikit-learn ship, which nobody
trained on. Run the same command again to go on; `--contenders=NAME,...` does
some only. Writes studies/photographs.json and docs/photographs.md, and a
picture of a photograph that scikit-image ships.
"""

import pathlib
import time
import typing

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import console
from keras_csc_cli import train
from keras_csc_cli import train_options
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
from studies import baselines
from studies import measure
from studies import plan
from studies import tables

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "photographs.json"
PAGE = HERE.parent / "docs" / "photographs.md"
PICTURE = HERE.parent / "docs" / "pictures" / "photograph.jpg"
FIGURES = ("psnr", "ssim", "ms_ssim")
SHIPPED = "csc_ctrl_photographs"
BLOCKS_OF_A_PHOTOGRAPH = 400
BATCH, MEMORY = 64, 0.9  # of the flag file
PUBLISHED = (
    "--game=objective=binary",
    "--architecture=nonnegative=true,iterations=2,filters=96,64,128",
    "--architecture=tight_frame=false,sparsity=0.1",
    "--architecture=normalization_offset=true",
    "--optimizer=adam",
    "--learning_rate=5e-4,4e-3",
    "--schedule=linear",
    "--first_atoms=random",
)


class Contender(typing.NamedTuple):
    """A network that trains.

    Args:
        name: what it is called in the table.
        kind: key of `baselines.MAKERS`.
        preset: of the architecture.
        flags: tuple of flags of `training/train.py`.
        batch_size: int, of as many images in all, and as long a memory.
    """

    name: str
    kind: str
    preset: str
    flags: tuple = ()
    batch_size: int = BATCH

    @property
    def all_flags(self):
        """Flags of what it is, without the number of steps."""
        flags = (f"--preset={self.preset}", *self.flags)
        if self.batch_size == BATCH:
            return flags
        memory = 1 - (1 - MEMORY) * self.batch_size / BATCH
        return (
            *flags,
            f"--batch_size={self.batch_size}",
            f"--game=memory={memory:.5g}",
        )


CONV = "--architecture=network=conv,filters=96,64,128", "--game=dictionary=0"
SMALL_BATCHES = 4, 16
CONTENDERS = (
    *(
        Contender(name, kind, preset)
        for name, kind in (
            ("CSC-CTRL, the recipe", "closed_loop"),
            ("CSC network, pixel loss", "pixel"),
        )
        for preset in ("photographs", "photographs_32", "photographs_fine")
    ),
    Contender(
        "without the rate reduction",
        "closed_loop",
        "photographs",
        ("--game=rate=0",),
    ),
    Contender("convolutional CTRL", "closed_loop", "photographs", CONV),
    Contender("convolutional, pixel loss", "pixel", "photographs", CONV),
    Contender(
        "CSC-CTRL, as published", "closed_loop", "photographs", PUBLISHED
    ),
    *(
        Contender(
            f"CSC-CTRL, batches of {size}",
            "closed_loop",
            "photographs",
            batch_size=size,
        )
        for size in SMALL_BATCHES
    ),
)


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
    """Blocks by DCT coefficients: those of largest variance, in Y, Cb, Cr."""
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


def options_of(contender, folder, values):
    """The options of `training/train.py` for a contender."""
    arguments = [
        "--flagfile=photographs.flags",
        "--dataset=image_folder",
        f"--data_dir={values.photographs}",
        f"--steps={values.steps * BATCH // contender.batch_size}",
        f"--workdir={folder}",
        "--metrics=",
        "--validation_fraction=0",
        *contender.all_flags,
    ]
    return train_options.parse(arguments)


def row_of(contender, values, sets):
    """Trains a contender, if it is not trained, and measures it."""
    number = CONTENDERS.index(contender)
    folder = pathlib.Path(values.runs) / f"{number:02}"
    options = options_of(contender, folder, values)

    def make(options, num_classes):
        return building.model(
            options, num_classes, baselines.MAKERS[contender.kind]
        )

    train.train(options, make)
    model, seconds = measure.trained(options, make, None)
    return {
        "name": contender.name,
        "flags": list(contender.all_flags),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "seconds": seconds,
        **measured_model(model, sets),
    }


def row_of_shipped(sets):
    """The row of the model that ships, which trained for longer."""
    about = presets.find(SHIPPED).metadata
    training = about["card"]["training"]
    recipe = about["card"]["recipe"]
    return {
        "name": f"`{SHIPPED}`, as it ships",
        "steps": recipe["steps"],
        "batch_size": recipe["batch_size"],
        "seconds": training["seconds"],
        **measured_model(ClosedLoopAutoencoder.from_preset(SHIPPED), sets),
    }


def measured_model(model, sets):
    """What a row says of a trained model."""
    tiles = Tiles(model, 512)

    def reconstruct(pixels):
        return np.asarray(tiles.reconstruct(pixels[None]))[0]

    encoder = model.encoder
    return {
        "block": 2 ** len(encoder.filters),
        "numbers": encoder.feature_dim,
        **measured(reconstruct, sets),
        "zero_fraction": zeros(model, sets),
        "megapixels_per_second": speed(reconstruct),
        "about": identification(),
    }


def zeros(model, sets):
    """Share of zeros in the codes of every stage, over all photographs."""
    found = []
    for images in sets.values():
        for pixels in images.values():
            part = pixels[None, :512, :512]
            codes = model.encoder.activations(part).codes
            found.append([float(np.mean(np.asarray(c) == 0)) for c in codes])
    return np.mean(found, axis=0).tolist()


def speed(reconstruct, size=1024, times=3):
    """Megapixels a second of a photograph, the median of some."""
    pixels = np.random.default_rng(0).integers(
        0, 256, (size, size, 3), np.uint8
    )
    reconstruct(pixels)
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        reconstruct(pixels)
        seconds.append(time.perf_counter() - start)
    return size * size / 1e6 / float(np.median(seconds))


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
crops of 64×64 pixels of {train}, and regenerate whole ones that they never saw:
{held_out} of the same kind, held out, and {shipped} that scikit-image and
scikit-learn ship. A row is one training of one seed. *Block*:
8×8, 16 is 16 numbers for 8×8 pixels; *numbers a pixel* is their ratio.
*Shipped*: PSNR of the 7. *Zeros*: of the codes of every stage. *Steps*: how
many, of how many crops. *MP/s*: megapixels a second, of one image of
1,024×1,024 in tiles, on as many cores as the record says; the model that ships
computes in float32, the others in bfloat16. Commands, versions and commits are
in [studies/photographs.json](../studies/photographs.json), which `python
studies/photographs.py` makes.

![A photograph and its regeneration](pictures/photograph.jpg)

*{picture}: left the photograph, right what `csc_ctrl_photographs` makes of it.*

*The recipe* is `photographs.flags`. Linear codes need no training. *As
published* has the objective and the layers of the published game, but random
first atoms and batches of 64 crops, which [stop it](method.md#as-published): it
is no verdict on the game of its authors.{missing}
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
    (
        "zeros",
        lambda row: " ".join(f"{z:.2f}" for z in row.get("zero_fraction", [])),
    ),
    ("steps", lambda row: _plain(row.get("steps"), "{:,} of {:,}", row)),
    (
        "MP/s",
        lambda row: _plain(row.get("megapixels_per_second"), "{:.2f}"),
    ),
)


# What was aimed at, as differences of PSNR: two rows and the least difference.
AIMS = (
    (
        "The model that ships against principal components of blocks",
        f"`{SHIPPED}`, as it ships",
        "principal components of blocks",
        1.0,
    ),
    (
        "CSC-CTRL, the recipe, against the pixel loss",
        "CSC-CTRL, the recipe",
        "CSC network, pixel loss",
        -0.3,
    ),
    *(
        (
            f"CSC-CTRL, as many crops in batches of {size}, not 64",
            f"CSC-CTRL, batches of {size}",
            "CSC-CTRL, the recipe",
            None,
        )
        for size in SMALL_BATCHES
    ),
    (
        "CSC-CTRL, the recipe, against itself without the rate reduction",
        "CSC-CTRL, the recipe",
        "without the rate reduction",
        None,
    ),
)


def aims(rows):
    """Lines of what was aimed at, for blocks of 8×8 with 16 numbers."""
    found = {
        row["name"]: row
        for row in rows
        if (row["block"], row["numbers"]) == (8, 16)
    }
    lines = []
    for title, ours, theirs, least in AIMS:
        if ours in found and theirs in found:
            differences = [
                found[ours][name]["psnr"] - found[theirs][name]["psnr"]
                for name in ("held_out", "shipped")
            ]
            one, other = (f"{value:+.2f} dB" for value in differences)
            aim = "" if least is None else f"; {least:+.1f} dB was aimed at"
            lines.append(
                f"- {title}: {one} held out, {other} on those that are "
                f"shipped{aim}."
            )
    return "\n".join(lines)


def _plain(value, form, row=None):
    if value is None:
        return ""
    return form.format(value, *([row["batch_size"]] if row else []))


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
    parts = [INTRODUCTION.format(**facts), aims(rows), table]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def draw(name="coffee"):
    """Writes the picture of a photograph beside its regeneration."""
    model = ClosedLoopAutoencoder.from_preset(SHIPPED)
    pixels = shipped()[name]
    made = to_pixels(np.asarray(Tiles(model).reconstruct(pixels[None]))[0])
    with replacing(PICTURE) as temporary:
        picture = Image.fromarray(np.concatenate([pixels, made], axis=1))
        picture.save(temporary, quality=90)


def main():
    values = flags.FLAGS
    known = ["linear", "shipped", *map(str, range(len(CONTENDERS)))]
    chosen = known if values.contenders is None else values.contenders
    plan.check_some("contenders", chosen, known)
    if values.photographs is None:
        raise command_line.UsageError(
            "--photographs is missing: a folder with train and validation."
        )
    folder = pathlib.Path(values.photographs)
    sets = {
        "held_out": photographs(folder / "validation"),
        "shipped": shipped(),
    }
    for name in chosen:
        if name == "linear":
            for row in linear_rows(photographs(folder / "train"), sets):
                put(row)
        elif name == "shipped":
            put(row_of_shipped(sets))
        else:
            contender = CONTENDERS[int(name)]
            print(f"{name}: {contender.name}", flush=True)
            put(row_of(contender, values, sets))
    write_page(values, sets)


def missing(rows):
    """A sentence that names contenders without a row; empty without any."""
    found = {row["name"] for row in rows}
    names = dict.fromkeys(c.name for c in CONTENDERS if c.name not in found)
    return f" Not run yet: {'; '.join(names)}." if names else ""


def write_page(values, sets):
    """Writes `PAGE` and its picture, of the rows that there are."""
    folder = pathlib.Path(values.photographs)
    draw()
    rows = read_json(TABLE, list)
    facts = {
        "train": f"{len(photographs(folder / 'train'))} photographs",
        "held_out": len(sets["held_out"]),
        "shipped": len(sets["shipped"]),
        "picture": "Coffee, of scikit-image",
        "missing": missing(rows),
    }
    with replacing(PAGE) as temporary:
        temporary.write_text(page(rows, facts), encoding="utf-8")


if __name__ == "__main__":
    flags.DEFINE_string("photographs", None, "Folder of photographs.")
    flags.DEFINE_string("runs", "runs/photographs", "Folder of the runs.")
    flags.DEFINE_integer("steps", 1000, "Steps of training, of 64 crops.")
    flags.DEFINE_list(
        "contenders",
        None,
        "Whose rows to make: numbers, linear for the linear codes, shipped for "
        "the model that ships. All by default.",
    )
    command_line.run(main, user_errors=console.user_errors())
