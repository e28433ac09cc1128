"""PSNR of references, against NumPy in float64."""

import numpy as np
import pytest

from keras_csc import data
from keras_csc.evaluation.quality import reference_figures
from keras_csc.evaluation.quality import reference_psnr
from tests.helpers.reference_loop import small_autoencoder

WHOLE = 16, 16


def digits(split, count):
    source = data.open_dataset("digits", split, (16, 16, 1))
    images, labels = data.load_arrays(source, count)
    return (images / 127.5 - 1.0).astype("float32"), labels


@pytest.fixture(scope="module")
def sets():
    return digits("train", 400), digits("test", 300)


def psnr(images, made):
    error = np.square(images - np.clip(made, -1, 1), dtype="float64")
    return np.mean(10 * np.log10(4 / np.mean(error, axis=(1, 2, 3))))


def test_means_are_numpys(sets):
    (train, train_labels), (images, labels) = sets
    found = reference_psnr(train, images, 3, train_labels, labels, WHOLE)
    assert found["mean_image"] == pytest.approx(
        psnr(images, train.mean(axis=0)[None]), abs=1e-4
    )
    means = np.stack([train[train_labels == k].mean(axis=0) for k in range(10)])
    assert found["class_mean_image"] == pytest.approx(
        psnr(images, means[labels]), abs=1e-4
    )
    assert found["mean_image"] < found["class_mean_image"]


@pytest.mark.parametrize("side, components", [(16, 16), (8, 5)])
def test_pca_is_the_truncated_decomposition_of_blocks(sets, side, components):
    (train, train_labels), (images, labels) = sets
    corners = [(t, u) for t in range(0, 16, side) for u in range(0, 16, side)]
    cuts = [(slice(t, t + side), slice(u, u + side)) for t, u in corners]

    def blocks(images):
        parts = [images[:, t, u].reshape(len(images), -1) for t, u in cuts]
        return np.stack(parts)

    rows = blocks(train).reshape(-1, side**2)
    mean = rows.mean(axis=0)
    basis = np.linalg.svd(rows - mean, full_matrices=False)[2][:components]
    coded = (blocks(images) - mean) @ basis.T @ basis + mean
    made = np.empty_like(images)
    for (t, u), block in zip(cuts, coded):
        made[:, t, u] = block.reshape(-1, side, side, 1)
    none = np.full(len(labels), -1)
    found = reference_psnr(
        train, images, components, train_labels, none, (side, side)
    )
    assert found["pca"] == pytest.approx(psnr(images, made), abs=0.05)
    assert found["pca_components"] == components
    assert found["class_mean_image"] is None


@pytest.mark.filterwarnings("error")
def test_components_are_no_more_than_there_can_be(sets):
    (train, train_labels), (images, labels) = sets
    few = train[:7], train[:7], 500, train_labels[:7], train_labels[:7]
    found = reference_psnr(*few, WHOLE)
    assert found["pca_components"] == 7 and found["pca"] == 100
    one = train[:1], images, 3, train_labels[:1], labels
    found = reference_psnr(*one, WHOLE)
    assert found["pca_components"] == 0
    assert found["pca"] == found["mean_image"]


def test_images_without_a_class_mean_are_left_out(sets):
    (train, train_labels), (images, labels) = sets
    kept = train_labels != 3
    hidden = np.where(labels == 5, -1, labels)
    known = ~np.isin(labels, (3, 5))
    arguments = train[kept], images, 1, train_labels[kept]
    partly = reference_psnr(*arguments, hidden, WHOLE)
    arguments = train[kept], images[known], 1, train_labels[kept]
    expected = reference_psnr(*arguments, labels[known], WHOLE)
    assert partly["class_mean_image"] == pytest.approx(
        expected["class_mean_image"]
    )


def test_images_that_are_no_whole_blocks_are_compared_without_their_rest():
    model = small_autoencoder(features="map")
    images = np.random.default_rng(0).integers(0, 256, (9, 10, 13, 1), np.uint8)
    labels = np.zeros(9, np.int32)
    found, expected = (
        reference_figures(model, each, labels, each, labels)
        for each in (images, images[:, :8, :12])
    )
    assert found == expected
