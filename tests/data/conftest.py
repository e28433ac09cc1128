import io
import os
import socket
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a test tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels)
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return image[..., 0] if channels == 1 else image


def numbered(index, height=8, width=8, channels=3):
    """An image whose first pixel tells its index below 65536."""
    image = np.zeros((height, width, channels), np.uint8)
    image[0, 0, 0] = index % 256
    image[0, 1, 0] = index // 256
    return image


def encode(image, form="PNG"):
    file = io.BytesIO()
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    Image.fromarray(image).save(file, form)
    return file.getvalue()


def write_tfds(name, data_dir, splits, shard=1000, make=None):
    """Prepares a TFDS set of (image array, label) lists, in this order."""
    builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    builder.data_path.mkdir(parents=True, exist_ok=True)
    writer = tfds.core.SequentialWriter(
        builder.info, max_examples_per_shard=shard, overwrite=True
    )
    writer.initialize_splits(list(splits))
    make = make or (lambda image, label, i: {"image": image, "label": label})
    for split, examples in splits.items():
        writer.add_examples(
            {
                split: [
                    make(encode(image), label, i)
                    for i, (image, label) in enumerate(examples)
                ]
            }
        )
    writer.close_all()
    return builder.data_path


def cifar_example(image, label, index):
    return {"id": f"train_{index:05d}", "image": image, "label": label}


def write_image(path, image):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    form = {".png": "PNG", ".gif": "GIF", ".bmp": "BMP"}
    extension = os.path.splitext(path)[1].lower()
    with open(path, "wb") as file:
        file.write(encode(image, form.get(extension, "JPEG")))


@pytest.fixture(scope="session")
def make():
    """The functions above, for tests that write their own data."""
    return SimpleNamespace(
        noise=noise,
        numbered=numbered,
        encode=encode,
        write_tfds=write_tfds,
        write_image=write_image,
        cifar_example=cifar_example,
    )


@pytest.fixture(scope="session")
def cifar_dir(tmp_path_factory):
    """100 training images in 4 files and 10 test images, all numbered."""
    folder = tmp_path_factory.mktemp("tfds")
    write_tfds(
        "cifar10",
        folder,
        {
            "train": [(numbered(i, 32, 32), i % 10) for i in range(100)],
            "test": [(numbered(i, 32, 32), i % 10) for i in range(10)],
        },
        shard=25,
        make=cifar_example,
    )
    return str(folder)
