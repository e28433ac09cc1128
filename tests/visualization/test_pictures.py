"""Pictures of images, features, atoms and explanations, place by place."""

import numpy as np
import pytest

from keras_csc.models import Encoder
from keras_csc.pixels import to_pixels
from keras_csc.visualization import atom_grid
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import growing_picture
from keras_csc.visualization import image_grid
from keras_csc.visualization import pixel_atoms
from keras_csc.visualization import strongest_atoms
from keras_csc.visualization.atoms import drawn_rows
from keras_csc.visualization.atoms import encoder_atoms
from tests.helpers import references
from tests.helpers.reference_loop import spread_autoencoder

GAP = 4
CAPTION = 36  # Two lines.
SIDE = 96  # 12 times that of an image.


def random_images(n=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, 6, 4, 3)).astype("float32")


def test_images_stand_in_row_major_order_on_white():
    images = random_images(5)
    grid = image_grid(images, columns=3)
    assert grid.dtype == "uint8"
    assert grid.shape == (2 * 8 + 2, 3 * 6 + 2, 3)
    seen = np.zeros(grid.shape[:2], bool)
    for index, image in enumerate(images):
        top = 2 + 8 * (index // 3)
        left = 2 + 6 * (index % 3)
        area = slice(top, top + 6), slice(left, left + 4)
        np.testing.assert_array_equal(grid[area], to_pixels(image))
        seen[area] = True
    assert np.all(grid[~seen] == 255)
    for n, (rows, columns) in {2: (1, 2), 9: (3, 3), 10: (3, 4)}.items():
        grid = image_grid(images[:1].repeat(n, 0))
        assert grid.shape == (8 * rows + 2, 6 * columns + 2, 3)


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((6, 4, 3)), r"shape.*\(6, 4, 3\)"),
        (np.zeros((1, 4, 4, 2)), r"1 or 3.*\(1, 4, 4, 2\)"),
        (np.zeros((1, 4, 4, 3), "uint8"), "floats.*uint8"),
        (np.full((1, 4, 4, 3), np.nan), "finite.*48"),
    ],
)
def test_what_is_no_image(images, message):
    with pytest.raises(ValueError, match=message):
        image_grid(images)


def test_reconstructions_stand_beneath_their_images():
    images, reconstructions = random_images(5), random_images(5, seed=1)
    grid = comparison_grid([images, reconstructions], columns=3)
    pair, gap, border = 6 + 1 + 6, 10, 2
    assert grid.shape == (2 * pair + gap + 2 * border, 3 * 6 + 2, 3)
    for index in range(5):
        top = border + (pair + gap) * (index // 3)
        left = border + 6 * (index % 3)
        column = grid[top : top + pair, left : left + 4]
        np.testing.assert_array_equal(column[:6], to_pixels(images[index]))
        np.testing.assert_array_equal(
            column[-6:], to_pixels(reconstructions[index])
        )
        assert np.all(column[6] == 255)


# === Atoms ===


def random_kernel(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_pixel_atoms_are_synthesized_stage_by_stage():
    strides = 3, 1, 5
    kernels = [
        random_kernel(4, 4, 3, 5, seed=1),
        random_kernel(2, 2, 5, 4, seed=2),
        random_kernel(3, 3, 4, 6, seed=3),
    ]
    codes, size = np.eye(6)[:, None, None], 1
    for kernel, stride in zip(kernels[::-1], strides[::-1]):
        size = (size - 1) * stride + len(kernel)
        codes = references.synthesize(
            codes, kernel, (size, size), stride, "valid"
        )
    found = np.moveaxis(pixel_atoms(kernels, strides), -1, 0)
    np.testing.assert_allclose(found, codes, rtol=1e-4, atol=1e-5)


def test_atoms_of_a_stage_are_what_the_stages_draw():
    """Of kernels and strides that differ by stage."""
    encoder = Encoder(
        (16, 16, 3), (5, 7), 8, kernel_size=(4, 2), strides=(4, 2)
    )
    encoder(np.zeros((1, 16, 16, 3)))
    first, second = encoder.coding_layers
    codes = np.eye(7, dtype="float32")[:, None, None]
    positive, negative = np.split(second.synthesize(codes), 2, axis=-1)
    expected = first.synthesize(positive - negative)
    expected *= first.operator_norm * second.operator_norm
    own, upper = encoder_atoms(encoder)
    np.testing.assert_array_equal(own, first.kernel)
    np.testing.assert_allclose(np.moveaxis(upper, -1, 0), expected, atol=1e-6)


def test_lapped_atoms_are_what_a_decoder_draws():
    shape = (20, 20, 3)
    encoder = Encoder(
        shape, (5,), 3, kernel_size=4, strides=4, lapped=True, features="map"
    )
    encoder(np.zeros((1, *shape)))
    codes = np.zeros((5, 5, 5, 5), "float32")
    codes[:, 2, 2] = np.eye(5)
    (layer,) = encoder.coding_layers
    drawn = layer.operator_norm * layer.synthesize(codes)
    drawn = encoder.from_blocks(drawn)
    (atoms,) = encoder_atoms(encoder)
    expected = np.zeros((5, *shape))
    expected[:, 6:14, 6:14] = np.moveaxis(atoms, -1, 0)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    # They overlap, and are orthonormal at all shifts.
    shifted = np.roll(expected, 4, 1).reshape(5, -1)
    own = expected.reshape(5, -1)
    np.testing.assert_allclose(own @ shifted.T, 0, atol=1e-5)
    np.testing.assert_allclose(own @ own.T, np.eye(5), atol=1e-5)


def test_atoms_are_scaled_about_mid_grey():
    kernel = random_kernel(3, 3, 3, 4)
    kernel[0, 0] = 0
    kernel[..., 2] *= 1e4
    kernel[..., 3] = 0
    grid = atom_grid(kernel, scale=1)
    assert grid.shape == (2 * 5 + 2, 2 * 5 + 2, 3)
    for j in range(4):
        top, left = 2 + 5 * (j // 2), 2 + 5 * (j % 2)
        tile = grid[top : top + 3, left : left + 3]
        atom = kernel[..., j] / (np.max(np.abs(kernel[..., j])) or 1)
        expected = np.rint((atom + 1) * 127.5)
        assert np.max(np.abs(tile - expected)) <= 1
        assert np.all(tile[0, 0] == 128)
        assert j == 3 or tile.min() == 0 or tile.max() == 255


# === Explanations ===


@pytest.fixture(scope="module")
def model():
    return spread_autoencoder(image_shape=(8, 8, 3), filters=(7, 5))


@pytest.fixture(scope="module")
def explanation(model):
    return model.explain(image())


def image():
    return np.random.default_rng(0).uniform(-1, 1, (8, 8, 3))


def rgb(image):
    """An image in [-1, 1] as the pixels of a tile."""
    pixels = np.broadcast_to(to_pixels(image), (*image.shape[:2], 3))
    return pixels.repeat(12, 0).repeat(12, 1)


def columns(picture, count):
    """The columns of a picture that ends with the last one."""
    starts = [-(SIDE + GAP) * number for number in range(count, 0, -1)]
    return [picture[:, start:][:, :SIDE] for start in starts]


@pytest.mark.parametrize("stage", [1, 2])
def test_picture_grows_from_its_atoms_to_their_sum(explanation, stage):
    picture = growing_picture(explanation, stage, side=100)
    assert picture.dtype == "uint8"
    assert picture.shape[0] == 2 * GAP + CAPTION + SIDE
    found = explanation.stages[stage - 1]
    sums = [found.offset + found.to_pixels(s) for _, s in found.partial_sums()]
    expected = [*sums, explanation.image]
    assert picture.shape[1] == GAP + len(expected) * (SIDE + GAP)
    for column, image in zip(columns(picture, len(expected)), expected):
        np.testing.assert_array_equal(column[-SIDE - GAP : -GAP], rgb(image))
        assert column[GAP : GAP + CAPTION].min() < 100  # There are words.


@pytest.mark.parametrize("stage", [1, 2])
def test_strongest_atoms_stand_side_by_side(explanation, stage):
    picture = strongest_atoms(explanation, stage, maximum=3, side=SIDE)
    found = explanation.stages[stage - 1]
    parts = [found.to_pixels(found.contribution(a)) for a in found.order[:3]]
    largest = np.abs(parts).max()
    for column, part, atom in zip(columns(picture, 3), parts, found.order[:3]):
        below = column[-SIDE - GAP : -GAP]
        np.testing.assert_array_equal(below, rgb(part / largest))
        # Codes of 4 or 2 places a side: white where they are 0.
        tile = column[-2 * (SIDE + GAP) : -SIDE - 2 * GAP]
        size = SIDE // found.codes.shape[0]
        tile = tile[::size, ::size].astype(int)
        np.testing.assert_array_equal(
            np.all(tile == 255, -1), found.codes[..., atom] == 0
        )
        red = tile[..., 0] > tile[..., 2]
        np.testing.assert_array_equal(red, found.codes[..., atom] > 0)


@pytest.mark.parametrize("stage", [1, 2])
def test_found_stands_beside_drawn(explanation, stage):
    found = explanation.stages[stage - 1]
    rows = list(drawn_rows(found, 2))
    names, errors, tiles = zip(*rows)
    assert names == ("all atoms", *map(found.label, found.order[:2]))
    assert errors == tuple(
        map(found.drawn_error, (slice(None), *found.order[:2]))
    )
    sums = [
        each.offset + each.to_pixels(each.synthesis)
        for each in (found, found.drawn)
    ]
    for tile, made in zip(tiles[0], [*sums, sums[1] - sums[0]]):
        np.testing.assert_allclose(tile.astype(int), to_pixels(made), atol=1)
    for atom, row in zip(found.order, tiles[1:]):
        values = [each.codes[..., atom] for each in (found, found.drawn)]
        for tile, codes in zip(row, [*values, values[1] - values[0]]):
            plain = np.abs(codes) > 1e-3
            red = tile[..., 0] > tile[..., 2]
            np.testing.assert_array_equal(red[plain], codes[plain] > 0)


def test_what_is_refused(model, explanation):
    with pytest.raises(ValueError, match="`stage`.*at most 2.*3"):
        growing_picture(explanation, stage=3)
    with pytest.raises(ValueError, match="`stage`.*at least 1.*0"):
        strongest_atoms(explanation, stage=0)
    with pytest.raises(ValueError, match="active atom.*7 atoms"):
        strongest_atoms(model.explain(image(), sparsity=100.0))
