"""Folders of images, and files in them that are none."""

import os
import socket

import pytest

from keras_csc import data
from keras_csc.data import DataError
from tests.hostile.material import BAD
from tests.hostile.material import EXTREME
from tests.hostile.material import cut
from tests.hostile.material import encoded
from tests.hostile.material import fifo
from tests.hostile.material import images
from tests.hostile.material import link
from tests.hostile.material import png
from tests.hostile.material import write


def opened(split):
    return data.open_dataset("image_folder", split, (16, 16, 3), "photos", 0)


def classes():
    images("photos/cat", 30)
    images("photos/dog", 30, seed=500)


def splits():
    for number, name in enumerate(("train/cat", "train/dog", "test/cat")):
        images(f"photos/{name}", 12, seed=100 * number)


def checked():
    """The number of images; each is there once, under its class."""
    found = []
    for source in (opened("train"), opened("test")):
        labels = data.load_arrays(source)[1]
        for place, label in enumerate(labels):
            path = source.locate(place)
            found.append(os.path.realpath(path))
            assert f"/{source.class_names[label]}/" in found[-1], path
            assert "private" not in found[-1]
    assert len(set(found)) == len(found)
    return len(found)


def bind(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


# What makes a folder an odd one, and how many images there are more.
ODD = [
    (lambda: link("photos/cat/up", ".."), 0),
    (lambda: link("photos/dog/up", ".."), 0),
    (lambda: link("photos/cat/self", "."), 0),
    (lambda: link("photos/cat/other", "../dog"), 0),
    (lambda: link("photos/cat/dog.png", "../dog/0.png"), 0),
    (lambda: link("photos/cat/dangling.png", "nowhere"), 0),
    (lambda: fifo("photos/cat/fifo.png"), 0),
    (lambda: link("photos/cat/device.png", "/dev/zero"), 0),
    (lambda: link("photos/cat/memory.png", "/proc/self/mem"), 0),
    (lambda: bind("photos/cat/socket.png"), 0),
    (lambda: write(os.fsdecode(b"photos/cat/\xff.png"), encoded()), 0),
    (lambda: write(os.fsdecode(b"photos/\xff/0.png"), encoded()), 0),
    (lambda: link("photos/bird", "cat"), 0),
    (lambda: os.mkdir("photos/empty"), 0),
    (lambda: images("photos/.cache/thumbnails", 3), 0),
    (lambda: write("photos/cat/.x.png", encoded()), 0),
    (lambda: (images("private", 3), link("photos/cat/p", "../../private")), 0),
    (lambda: images("photos/cat/folder.png", 3, seed=900), 3),
    (lambda: write("photos/cat/a \n'\".png", encoded(seed=910)), 1),
    (lambda: write(f"photos/cat/{'a/' * 200}x.png", encoded(seed=911)), 1),
]


@pytest.mark.parametrize(
    "odd",
    [ODD, *(pytest.param([one], marks=pytest.mark.thorough) for one in ODD)],
)
def test_every_regular_file_is_read_once(odd):
    classes()
    for change, _ in odd:
        change()
    assert checked() == 60 + sum(more for _, more in odd)


def test_one_file_is_not_in_both_parts():
    splits()
    link("photos/test/cat/x.png", "../../train/cat/0.png")
    assert checked() == 36


@pytest.mark.parametrize(
    "make, split, says",
    [
        (lambda: None, "train", "photos"),
        (lambda: os.mkdir("photos"), "train", "photos"),
        (lambda: write("photos", "x"), "train", "photos"),
        (lambda: write("photos/cat/a.txt", "x"), "train", "photos"),
        (lambda: images("photos/train/cat"), "test", "test"),
        (
            lambda: (splits(), images("photos/test/bird", 3)),
            "test",
            "bird",
        ),
        (
            lambda: (classes(), write("photos/x.png", encoded())),
            "train",
            "x.png",
        ),
        (
            lambda: (classes(), *(cut(f"photos/cat/{n}.png") for n in "1234")),
            "train",
            "cannot be decoded",
        ),
    ],
)
def test_what_is_no_folder_of_images_is_named(make, split, says):
    make()
    with pytest.raises(DataError, match=says):
        opened(split)


@pytest.mark.parametrize("change", [os.remove, lambda p: write(p, "x")])
def test_an_image_that_changes_after_it_was_listed_is_named(change):
    classes()
    source = opened("train")
    change(source.locate(0))
    with pytest.raises(DataError, match="photos"):
        data.load_arrays(source)


@pytest.mark.thorough
@pytest.mark.usefixtures("little_memory")
def test_bad_files_are_left_out_or_named():
    """One among thirty is left out, if it is found when they are listed."""
    images("photos/train/cat", 30)
    for name, make in BAD.items():
        write("photos/train/cat/x.png", make())
        try:
            found = data.load_arrays(opened("train"))[0]
        except DataError as error:
            assert "x.png" in str(error), name
        else:
            assert len(found) == 30, name


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("size", EXTREME)
def test_files_of_extreme_shapes_are_read(size):
    images("photos/train/cat", 30)
    write("photos/train/cat/x.png", png(*size))
    assert len(data.load_arrays(opened("train"))[0]) in (30, 31)
