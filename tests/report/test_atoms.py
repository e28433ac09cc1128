"""Pages of atoms, against loops over one image."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import maximum_filter

from keras_csc import metrics
from keras_csc import ops
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


# === What a page shows of codes, against loops and linear operators ===


@pytest.fixture(scope="module", params=["vector", "signed map", "lapped"])
def survey(request):
    """A model, images, labels, what a page shows, and the codes."""
    changes = {}
    if request.param == "lapped":
        changes = {"kernel_size": 2, "lapped": True}
    if request.param == "signed map":
        changes = {
            "features": "map",
            "nonnegative": False,
            "image_shape": (8, 8, 3),
        }
    model = make(**changes)
    images = draw(20, model.encoder.image_shape[-1])
    labels = np.arange(20) % 4 - 1
    codes = model.encoder.activations(images / 127.5 - 1.0).codes
    found = report.survey(model, images, labels)
    return model, images, labels, found, [np.asarray(each) for each in codes]


def test_densities_and_energies_are_those_of_the_codes(survey):
    model, _, _, found, codes = survey
    layers = model.encoder.coding_layers
    for use, code, layer in zip(found.stages, codes, layers, strict=True):
        active = code != 0
        np.testing.assert_allclose(use.density, active.mean((0, 1, 2)))
        norms = np.sum(np.asarray(layer.kernel) ** 2, axis=(0, 1, 2))
        # What is the same everywhere has no energy.
        energies = np.var(code, axis=(0, 1, 2), dtype="float64") * norms
        np.testing.assert_allclose(
            use.shares, energies / energies.sum(), rtol=1e-4
        )
        of_images = np.mean((code - code.mean((0, 1, 2))) ** 2, (1, 2))
        with np.errstate(invalid="ignore"):  # of atoms that do not vary
            expected = np.nan_to_num(np.corrcoef(of_images.T))
        np.fill_diagonal(expected, 0)
        np.testing.assert_allclose(use.correlations, expected, atol=1e-4)


def test_classes_share_energy_as_if_all_were_as_frequent(survey):
    _, _, labels, found, codes = survey
    for use, code in zip(found.stages, codes):
        for atom in range(code.shape[-1]):
            varied = (code[..., atom] - code[..., atom].mean()) ** 2
            means = [np.mean(varied[labels == k]) for k in range(3)]
            np.testing.assert_allclose(
                use.class_shares[:, atom],
                np.array(means) / max(np.sum(means), 1e-30),
                atol=1e-5,
            )


def test_the_strongest_are_the_largest_codes_of_each_image(survey):
    found, codes = survey[3:]
    for use, code in zip(found.stages, codes):
        peaks = np.abs(code).max((1, 2))
        for atom in range(code.shape[-1]):
            found_of = peaks[use.ranked(atom), atom]
            expected = np.sort(peaks[:, atom])[::-1]
            np.testing.assert_allclose(found_of, expected[expected > 0])


def support(model, stage, place):
    """Pixels that a code of a stage reaches, `(height, width)` of bools."""
    layers = model.encoder.coding_layers[: stage + 1]
    sides = [8 // 2**number for number in range(stage + 2)]
    reached = np.zeros((1, sides[-1], sides[-1], 1), "float32")
    reached[(0, *place, 0)] = 1
    for layer, side in zip(layers[::-1], sides[-2::-1]):
        kernel = np.ones((layer.kernel.shape[0],) * 2 + (1, 1), "float32")
        reached = np.asarray(
            ops.synthesis(reached, kernel, (side, side), 2, "same")
        )
    if model.encoder.lapped:  # half a block more, within the image
        reached = maximum_filter(reached, (1, 3, 3, 1))
    return reached[0, ..., 0] > 0


def test_patches_are_the_pixels_that_a_code_reaches(survey):
    model, images, _, found, codes = survey
    for stage, (use, code) in enumerate(zip(found.stages, codes)):
        for atom in range(code.shape[-1]):
            if not len(use.ranked(atom)):
                continue
            number = use.ranked(atom)[0]
            size = np.abs(code[number, ..., atom])
            place = np.unravel_index(np.argmax(size), size.shape)
            reached = support(model, stage, place)
            patch = report.patches(found, stage, atom)[0]
            assert patch.shape[:2] == (use.size, use.size)
            inside = patch[..., -1] == 255
            assert inside.sum() == reached.sum()
            np.testing.assert_array_equal(
                patch[inside][:, :-1], images[number][reached]
            )


def test_other_images_and_labels_are_errors(survey):
    model, images, labels = survey[:3]
    for name, wrong in (
        ("images", [images / 127.5]),
        ("labels", [images, labels[1:]]),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            report.survey(model, *wrong)


def test_silent_atoms_have_no_patches():
    model = make(sparsity=1e6)
    found = report.survey(model, draw(3))
    for stage, use in enumerate(found.stages):
        assert not use.peaks.any() and not use.shares.any()
        assert len(report.patches(found, stage, 0)) == 0
