"""Pages of atoms, and curves over them, against loops over one image."""

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import metrics
from keras_csc import report
from keras_csc.report import atoms
from keras_csc.report import sections
from tests.report.test_page import draw
from tests.report.test_page import make

COUNT = 90


@pytest.fixture(scope="module")
def case():
    model, images = make(), draw(COUNT)
    return model, report.survey(model, images, np.arange(COUNT) % 3)


def decoded(model, found, number, kept, stage=0):
    """Features and PSNR of an image with some atoms of a stage alone."""
    image = tf.constant(found.images[number][None] / 127.5 - 1.0, "float32")
    codes = model.encoder.activations(image).codes[stage]
    features = model.encoder.features_of(stage, codes * kept)
    made = model.decode(features)
    psnr = metrics.peak_signal_to_noise_ratio(image, made)
    return np.asarray(features)[0], float(psnr[0])


def nearest(found, features):
    """The class whose mean features make the smallest angle."""
    means = [found.features[found.labels == k].mean(0) for k in range(3)]
    return np.argmax([f @ features / np.linalg.norm(f) for f in means])


def test_a_page_says_what_images_lose_without_the_atom(case):
    model, found = case
    pages, _ = atoms.atom_pages(model, found)
    assert len(pages) == sum(np.count_nonzero(u.density) for u in found.stages)
    for (stage, atom), page in pages.items():
        numbers = [place[0] for place in page["groups"][0]]
        use = found.stages[stage - 1]
        assert numbers == list(use.ranked(atom)[:4])
        kept = np.arange(len(use.density)) != atom
        losses, others = [], 0
        for number in numbers:
            before, psnr = decoded(model, found, number, 1.0, stage - 1)
            after, less = decoded(model, found, number, kept, stage - 1)
            losses.append(psnr - less)
            others += nearest(found, before) != nearest(found, after)
        assert page["without"][0] == pytest.approx(np.mean(losses), abs=1e-3)
        assert page["without"][1] == others
        assert page["images"] == np.count_nonzero(use.peaks[:, atom])


@pytest.mark.parametrize("active", [0, 1, 3, 9, 50])
def test_images_in_context_fall_in_strength_and_are_shown_once(active):
    groups = atoms._in_context(np.arange(active), 4)
    shown = np.concatenate(groups)
    assert len(shown) == len(np.unique(shown)) == min(active, 12)
    if active == 50:
        assert [g.tolist() for g in groups] == [
            [0, 1, 2, 3],
            [23, 24, 25, 26],
            [49, 48, 47, 46],
        ]


@pytest.mark.parametrize("most", [1_000_000, 90 * 4])
def test_a_sheet_has_every_image_where_it_says(case, monkeypatch, most):
    monkeypatch.setattr(atoms, "SHEET_PIXELS", most)
    _, found = case
    numbers = np.arange(0, COUNT, 2)
    sheet = atoms.Sheet(found.images, numbers)
    side = len(sheet.pixels) // -(-len(numbers) // sheet.columns)
    assert side**2 * len(numbers) <= most and side in (8, 2)
    for number in numbers:
        place = sheet.place(found, number, np.array([2, -4]))
        column, row = place[2:4]
        tile = sheet.pixels[row * side :, column * side :][:side, :side]
        image = found.images[number].astype(float)
        step = 8 // side
        image = image.reshape(side, step, side, step, 1).mean((1, 3))
        np.testing.assert_allclose(tile, image, atol=1)
        assert (place[0], *place[4:]) == (number, -50, 25)


def test_curves_add_and_remove_the_strongest_atoms(case):
    model, found = case
    numbers = np.arange(5)
    curves = atoms.insertion_and_deletion(model, found, numbers)
    for name, kept in (
        ("strongest added", lambda ranks, count: ranks < count),
        ("strongest removed", lambda ranks, count: ranks >= count),
    ):
        counts, psnr = curves["PSNR in dB"][name]
        assert counts.tolist() == [0, 1, 2, 3]
        for count, value, same in zip(
            counts, psnr, curves["same class"][name][1]
        ):
            values, classes = [], []
            for number in numbers:
                stage = model.explain(found.images[number]).stages[0]
                norms = np.sum(stage.kernel**2, (0, 1, 2))
                energies = norms * np.sum(stage.codes**2, (0, 1))
                ranks = np.argsort(np.argsort(-energies, kind="stable"))
                mask = kept(ranks, count).astype("float32")
                features, of_image = decoded(model, found, number, mask)
                values.append(of_image)
                own = nearest(found, found.features[number])
                classes.append(nearest(found, features) == own)
            assert value == pytest.approx(np.mean(values), abs=1e-3)
            assert same == np.mean(classes)


def test_cells_of_the_atlas_are_drawn_from_the_means_of_their_images(case):
    model, found = case
    side, cells = sections.atlas(model, found)
    assert side == 4 and len(cells) == 16
    counts = [int(cell[1].split()[0]) for cell in cells if cell]
    assert sum(counts) == COUNT
    alone = [cell for cell in cells if cell and cell[1].startswith("1 image,")]
    for image, _ in alone:  # the regeneration of one image
        errors = np.abs(found.reconstructions - image).max((1, 2, 3))
        assert errors.min() < 1e-4
    assert sections.atlas(model, None) is None
