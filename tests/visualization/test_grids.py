"""Grids of images and the similarity of features, place by place."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics.pairwise import cosine_similarity

from keras_csc.visualization import class_similarity
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import image_grid
from keras_csc.visualization import save_figure
from keras_csc.visualization import save_png
from keras_csc.visualization import similarity_figure


def pixels(images):
    return np.rint((np.asarray(images) + 1) * 127.5).astype("uint8")


def random_images(n=5, height=6, width=4, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, height, width, channels)).astype("float32")


def test_images_stand_in_row_major_order_on_white():
    images = random_images(5)
    grid = image_grid(images, columns=3, padding=2)
    assert grid.dtype == "uint8"
    assert grid.shape == (2 * 8 + 2, 3 * 6 + 2, 3)
    seen = np.zeros(grid.shape[:2], bool)
    for index, image in enumerate(images):
        top = 2 + 8 * (index // 3)
        left = 2 + 6 * (index % 3)
        area = slice(top, top + 6), slice(left, left + 4)
        np.testing.assert_array_equal(grid[area], pixels(image))
        seen[area] = True
    assert np.all(grid[~seen] == 255)


def test_pixels_become_squares_of_the_range_of_bytes():
    images = np.array([-1.0, 0.0, 1.0, -7.0, 7.0]).reshape(5, 1, 1, 1)
    grid = image_grid(images, columns=5, padding=0, scale=3)
    assert grid.shape == (3, 15, 3)
    expected = np.repeat([0, 128, 255, 0, 255], 3)
    np.testing.assert_array_equal(grid[..., 0], [expected] * 3)


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


def test_default_layout_is_near_square():
    for n, (rows, columns) in {2: (1, 2), 9: (3, 3), 10: (3, 4)}.items():
        grid = image_grid(random_images(n, 4, 4), padding=0)
        assert grid.shape == (4 * rows, 4 * columns, 3)


def test_reconstructions_stand_beneath_their_images():
    images, reconstructions = random_images(5), random_images(5, seed=1)
    grid = comparison_grid([images, reconstructions], columns=3)
    pair, gap, border = 6 + 1 + 6, 10, 2
    assert grid.shape == (2 * pair + gap + 2 * border, 3 * 6 + 2, 3)
    for index in range(5):
        top = border + (pair + gap) * (index // 3)
        left = border + 6 * (index % 3)
        column = grid[top : top + pair, left : left + 4]
        np.testing.assert_array_equal(column[:6], pixels(images[index]))
        np.testing.assert_array_equal(
            column[-6:], pixels(reconstructions[index])
        )
        assert np.all(column[6] == 255)


def test_labels_add_a_gutter_only():
    sets = [random_images(4, seed=seed) for seed in range(3)]
    plain = comparison_grid(sets, columns=2, scale=4)
    labelled = comparison_grid(
        sets, ["image", "CSC-CTRL", "VAE"], columns=2, scale=4
    )
    gutter = labelled.shape[1] - plain.shape[1]
    np.testing.assert_array_equal(labelled[:, gutter:], plain)
    group = 3 * 25 + 9
    for top in (2, 2 + group):
        for row in range(3):
            text = labelled[top + 25 * row : top + 25 * row + 24, :gutter]
            ink = np.flatnonzero(np.any(text < 128, axis=(1, 2)))
            assert 4 < np.mean(ink) < 20
    np.testing.assert_array_equal(
        labelled[2 : 2 + 74, :gutter],
        labelled[2 + group : 2 + group + 74, :gutter],
    )


def test_pictures_are_written_in_a_new_folder(tmp_path):
    folder = tmp_path / "runs" / "first"
    picture = pixels(random_images(1))[0]
    save_png(str(folder / "grid.png"), picture)
    with Image.open(folder / "grid.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)
    save_figure(folder / "figure.svg", Figure(figsize=(1, 1)))
    assert (folder / "figure.svg").read_bytes().startswith(b"<?xml")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["figure.svg", "grid.png"]


def features_and_labels(n=30, d=6, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)), rng.integers(0, classes, n)


def test_similarity_figure_sorts_and_marks_classes():
    labels = np.array([7, 3, 9, 9, 3, 9, 7, 3, 9, 9, 3, 9])
    features = np.random.default_rng(0).normal(size=(12, 5))
    figure = similarity_figure(features, labels)
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.get_xticklabels()]
    assert texts == ["3", "7", "9"]
    np.testing.assert_allclose(axes.get_xticks(), [1.5, 4.5, 8.5])
    edges = sorted({line.get_ydata()[0] for line in axes.get_lines()})
    assert 3.5 in edges and 5.5 in edges
    order = np.argsort(labels, kind="stable")
    matrix = np.abs(cosine_similarity(features[order]))
    drawn = axes.images[0].get_array()
    np.testing.assert_allclose(drawn, matrix, atol=1e-6)


def test_class_similarity_is_the_mean_over_pairs():
    features, labels = features_and_labels()
    means, classes = class_similarity(features, labels)
    cosines = np.abs(cosine_similarity(features))
    np.testing.assert_array_equal(classes, np.unique(labels))
    for i, one in enumerate(classes):
        for j, other in enumerate(classes):
            block = cosines[labels == one][:, labels == other]
            if i == j:
                block = block[~np.eye(len(block), dtype=bool)]
            assert means[i, j] == pytest.approx(block.mean(), abs=1e-6)
    means, _ = class_similarity(features[:3], [0, 1, 1])
    assert np.isnan(means[0, 0]) and not np.isnan(means[1, 1])


def test_many_classes_have_ticks_apart():
    classes = 1000
    labels = np.arange(2 * classes) % classes
    figure = similarity_figure(np.eye(classes, 64)[labels] + 0.1, labels)
    figure.canvas.draw()
    ticks = figure.axes[0].get_yticklabels()
    boxes = sorted(each.get_window_extent().y0 for each in ticks)
    height = ticks[0].get_window_extent().height
    assert len(boxes) >= 8 and np.all(np.diff(boxes) > height)


def test_similarity_figure_says_the_means():
    figure = similarity_figure(np.eye(4)[[0, 0, 1, 1]], [0, 0, 1, 1])
    title = figure.axes[0].get_title()
    assert title == "within classes 1.00, between classes 0.00"
