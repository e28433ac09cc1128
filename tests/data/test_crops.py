"""Crops of photographs of many sizes, at their own resolution."""

import re

import numpy as np
import pytest

from keras_csc import data

SHAPE = (8, 6, 3)
SIZES = [(8, 6), (17, 20), (30, 8), (5, 40)]


@pytest.fixture
def folder(make, tmp_path):
    """Photographs, the last one smaller than a crop."""
    for number, size in enumerate(SIZES):
        path = tmp_path / "train" / "all" / f"{number}.png"
        make.write_image(str(path), make.noise(*size, seed=number))
    return tmp_path


def open_crops(folder, **options):
    return data.open_dataset(
        "image_folder",
        "train",
        SHAPE,
        str(folder),
        0.0,
        resize=False,
        **options,
    )


def pixels_of(make, source, index):
    number = int(source.locate(index).rpartition("/")[2].partition(".")[0])
    return number, make.noise(*SIZES[number], seed=number)


def place_of(crop, pixels):
    """Where a crop is in an image."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, crop.shape)
    found = np.argwhere(np.all(windows[:, :, 0] == crop, axis=(2, 3, 4)))
    return [tuple(place) for place in found]


def test_as_many_crops_as_fit_lie_beside_each_other(make, folder):
    source = open_crops(folder)
    assert source.size == 1 + 2 * 3 + 3 * 1 + 1
    images, labels = data.load_arrays(source)
    places = {number: [] for number in range(4)}
    for index, image in enumerate(images):
        number, pixels = pixels_of(make, source, index)
        if number < 3:
            places[number] += place_of(image, pixels)
        else:
            places[number] += [image.std() > 10]
    assert places == {
        0: [(0, 0)],
        1: [(r, c) for r in (0, 8) for c in (1, 7, 13)],
        2: [(r, 1) for r in (3, 11, 19)],
        3: [True],
    }
    assert set(labels) == {0}


def test_random_crops_are_from_anywhere_and_change(make, folder):
    source = data.cached(open_crops(folder, random_crop=True), 10**6)
    places = {number: set() for number in range(3)}
    for batch, _ in data.batches(source, source.size, seed=3).take(60):
        crops = np.uint8(np.round((batch.numpy() + 1) * 127.5))
        for number, found in places.items():
            pixels = make.noise(*SIZES[number], seed=number)
            for crop in crops:
                found |= set(place_of(crop, pixels))
    assert places[0] == {(0, 0)}
    assert {r for r, _ in places[1]} == set(range(10))
    assert {c for _, c in places[1]} == set(range(15))
    assert {c for _, c in places[2]} == set(range(3))


def test_photographs_in_memory_have_the_same_crops(folder):
    source = open_crops(folder, random_crop=True)
    held = data.cached(source, 10**6)
    assert held is not source and held.size == source.size
    assert held.locate(5) == source.locate(5)
    for one, other in zip(
        data.batches(source, 4, seed=1).take(6),
        data.batches(held, 4, seed=1).take(6),
    ):
        for array, again in zip(one, other):
            np.testing.assert_array_equal(array, again)
    total = sum(3 * height * width for height, width in SIZES)
    assert data.cached(source, total - 1) is source


def test_crops_that_are_read_late_are_named(folder):
    source = open_crops(folder)
    path = source.locate(3)
    with open(path, "r+b") as file:
        file.seek(60)
        file.write(b"\0" * 20)
    with pytest.raises(data.DataError, match=re.escape(f"damaged at {path}")):
        data.cached(source, 10**6)
