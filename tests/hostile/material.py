"""What set-ups and snippets are made of: files, folders, runs, models."""

import contextlib
import functools
import io
import json
import os
import pathlib
import shutil
import struct
import sys
import zlib

import numpy as np
from PIL import Image

# A finished run and its SavedModel, once `prepare` has made them.
PREPARED = {}
held = []  # what a set-up has to keep open
TINY = (
    "--dataset=digits --preset=digits "
    "--architecture=filters=4,feature_dim=8,iterations=2 "
    "--batch_size=16 --steps=4 --log_every=2 --save_every=2 "
    "--evaluation_limit=40"
)
PHOTOS = (
    "--dataset=image_folder --preset=photographs "
    "--architecture=filters=4,4,feature_dim=8,iterations=2 "
    "--batch_size=8 --steps=2 --validation_fraction=0"
)


class WrongAnswer(Exception):
    """What `expect` found to be wrong."""


def expect(condition, text):
    """Says that an answer is wrong unless the condition holds."""
    if not np.all(condition):
        raise WrongAnswer(text)


def names():
    """Names for a snippet: all of this module, and what has been imported."""
    modules = {
        short: sys.modules[name]
        for short, name in (
            ("tf", "tensorflow"),
            ("keras", "keras"),
            ("keras_csc", "keras_csc"),
        )
        if name in sys.modules
    }
    return {**globals(), **modules}


@contextlib.contextmanager
def inside(folder):
    """Within the context, the folder is the current one."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# === Files ===


def write(path, content=""):
    """Writes text or bytes, and returns the path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def edit(path, **entries):
    """Replaces entries of a JSON file."""
    write(path, json.dumps({**read(path), **entries}))


def cut(path, part=0.5):
    """Leaves a part of a file."""
    content = pathlib.Path(path).read_bytes()
    write(path, content[: int(len(content) * part)])


def flip(path, place=0.5):
    """Flips a byte of a file."""
    content = bytearray(pathlib.Path(path).read_bytes())
    content[int(len(content) * place)] ^= 0xFF
    write(path, bytes(content))


def fifo(path):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def link(path, target):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(target, path)


# === Images ===


def encoded(mode="RGB", size=(16, 16), seed=0, kind="PNG", **options):
    """Bytes of an image file of noise."""
    rng = np.random.default_rng(seed)
    channels = {"L": 1, "1": 1, "P": 1, "LA": 2, "RGB": 3, "YCbCr": 3}
    channels = channels.get(mode, 4)
    shape = (size[1], size[0], channels)
    pixels = rng.integers(0, 256, shape, np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype("uint16") * 257)
    elif mode in ("1", "P"):
        picture = Image.fromarray(pixels[..., 0]).convert(mode)
    else:
        picture = Image.frombytes(mode, size, pixels.tobytes())
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def image(path, *arguments, **options):
    """Writes an image file; see `encoded`."""
    return write(path, encoded(*arguments, **options))


def images(folder, count=12, mode="RGB", size=(16, 16), seed=0):
    """Writes PNG files `0.png`, `1.png`, ..., all different."""
    for number in range(count):
        image(f"{folder}/{number}.png", mode, size, seed=seed + number)


def photos(folder="photos", count=12):
    """Writes two classes of training and of test images."""
    for number, name in enumerate(
        ("train/cat", "train/dog", "test/cat", "test/dog")
    ):
        images(f"{folder}/{name}", count, seed=100 * number)


def png(width, height, rows=None):
    """Bytes of a grey PNG of zeros, as long as it says, or of fewer rows."""
    packer = zlib.compressobj()
    row = bytes(width + 1)
    rows = height if rows is None else rows
    data = b"".join(packer.compress(row) for _ in range(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", data + packer.flush()), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def gif(width, height):
    """Bytes of a GIF whose header says so, with a pixel of data."""
    small = encoded("P", (1, 1), kind="GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


def bmp(width, height, size=(16, 16)):
    """Bytes of a BMP whose header says another size than it has."""
    small = encoded("RGB", size, kind="BMP")
    return small[:18] + struct.pack("<ii", width, height) + small[26:]


# === Runs ===


def prepare(folder):
    """Trains and exports the run that `run` copies; in a process of its own."""
    from keras_csc_cli import export
    from keras_csc_cli import train
    from keras_csc_cli import train_options

    arguments = [*TINY.split(), f"--workdir={folder / 'run'}"]
    train.train(train_options.parse(arguments))
    export.run(folder / "run", saved_models=folder / "saved_models")


def run(path="run"):
    """Copies a finished run, with a file and hidden files of the user's."""
    shutil.copytree(PREPARED["run"], path)
    write(f"{path}/.mine", "mine")
    write(f"{path}/mine.txt", "mine")
    write(f"{path}/checkpoints/.mine/key", "mine")


def preset(path="preset", **entries):
    """Copies the run's trained model, with entries of its JSON replaced."""
    shutil.copytree(PREPARED["run"] / "model", path)
    rebuild(path, **entries)


def rebuild(path, trusted=False, **entries):
    """Replaces entries of a preset's architecture, and its digests by none."""
    config = read(f"{path}/config.json")
    config["config"].update(entries)
    if entries or trusted:
        edit(f"{path}/config.json", **config)
        edit(f"{path}/metadata.json", sha256={})


def load(path="preset", **overrides):
    """A model of a folder, or of an architecture without trained weights."""
    model = names()["keras_csc"].models.ClosedLoopAutoencoder
    weights = path not in names()["keras_csc"].models.presets.PRESETS
    return model.from_preset(path, load_weights=weights, **overrides)


# === Models ===


def tiny(compiled=True, **overrides):
    """A model of 16x16 grey images."""
    arguments = {"filters": (4,), "feature_dim": 8, "iterations": 2}
    arguments |= overrides
    model = load("digits", **arguments)
    if compiled:
        model.compile()
    return model


def pixels(count=4, size=(16, 16, 1), seed=0):
    """Images in [-1, 1]."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (count, *size)).astype("float32")


@functools.cache
def saved_model():
    return names()["tf"].saved_model.load(str(PREPARED["saved_model"]))


def signature(name, **inputs):
    """The output of a signature, the only one or the first.

    An answer of another number of rows than the first input is wrong. The
    problem of a file is raised.
    """
    tf = names()["tf"]
    function = saved_model().signatures[name]
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    outputs = dict(function(**tensors))
    outputs.pop("valid", None)
    for problem in outputs.pop("problem", tf.constant([""])).numpy():
        if problem:
            message = f"image file: {problem.decode()}"
            raise tf.errors.InvalidArgumentError(None, None, message)
    output = outputs[sorted(outputs)[0]].numpy()
    return same_rows(output, next(iter(inputs.values())))


def same_rows(output, given):
    given = np.asarray(given)
    if given.ndim and len(output) != len(given):
        raise WrongAnswer(f"{len(output)} rows for {len(given)}")
    return output


# What the signatures take.
INPUTS = {
    "serving_default": ("image", (16, 16, 1)),
    "encode": ("image", (16, 16, 1)),
    "codes": ("image", (16, 16, 1)),
    "denoise": ("image", (16, 16, 1)),
    "decode": ("features", (8,)),
}


def serve(name, value, through=signature):
    """Calls a float signature; `denoise` with a `λ` for every image."""
    value = np.asarray(value, "float32")
    inputs = {INPUTS[name][0]: value}
    if name == "denoise":
        count = len(value) if value.ndim else 1
        inputs["sparsity"] = np.full((count,), 0.1, "float32")
    return through(name, **inputs)


def c_api(name, **inputs):
    """As `signature`, through TensorFlow's C API, as TensorFlow Serving."""
    from tests.helpers import c_library

    path = PREPARED["saved_model"]
    folder = names()["tf"].sysconfig.get_lib()
    session = c_library.session(folder, str(path))
    output = session.run(inputs, c_library.tensor_names(path, name))
    return same_rows(output, next(iter(inputs.values())))
