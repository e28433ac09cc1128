import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from keras_csc.visualization import class_similarity
from keras_csc.visualization import similarity_figure


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
