import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from keras_csc.ops.convolution import filter_gradient
from tests.helpers import references
from tests.helpers.geometries import CASES
from tests.helpers.geometries import draw


@pytest.fixture(params=["tensorflow", "another"])
def backend(request, monkeypatch):
    """TensorFlow's forms, or the portable ones, run by TensorFlow."""
    monkeypatch.setattr(keras.backend, "backend", lambda: request.param)


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_operators_are_the_dense_matrix_and_its_transpose(
    backend, kernel_size, strides, padding
):
    rng = np.random.default_rng(0)
    image_size, at = (9, 10), (strides, padding)
    kernel, images = draw(rng, kernel_size, image_size)
    expected = references.analyze(images, kernel, *at)
    codes = ops.analysis(images, kernel, *at).numpy()
    np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-12)
    sizes = [ops.analysis_size(n, kernel_size, *at) for n in image_size]
    assert list(codes.shape[1:3]) == sizes
    others = rng.normal(size=codes.shape)
    np.testing.assert_allclose(
        ops.synthesis(others, kernel, image_size, *at),
        references.synthesize(others, kernel, image_size, *at),
        rtol=0,
        atol=1e-12,
    )
    gradient = filter_gradient(images, others, kernel.shape, *at)
    np.testing.assert_allclose(
        np.sum(gradient * kernel), np.sum(codes * others), rtol=1e-11
    )


def test_default_sizes_are_extreme_among_those_of_the_same_codes():
    for padding, default in (("same", max), ("valid", min)):
        sizes = [
            n for n in range(5, 40) if 4 == ops.analysis_size(n, 5, 3, padding)
        ]
        assert ops.synthesis_size(4, 5, 3, padding) == default(sizes)
        assert ops.analysis_size(None, 3, 2, padding) is None
        assert ops.synthesis_size(None, 3, 2, padding) is None


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from(["same", "valid"]),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.integers(1, 64),
    st.integers(1, 64),
)
def test_operators_are_adjoint(
    seed, kernel_size, strides, padding, margins, channels, filters
):
    rng = np.random.default_rng(seed)
    least = kernel_size if padding == "valid" else 1
    image_size = [least + margin for margin in margins]
    kernel, images = draw(rng, kernel_size, image_size, channels, filters)
    kernel /= np.linalg.norm(kernel)
    codes = ops.analysis(images, kernel, strides, padding)
    others = rng.normal(size=codes.shape)
    synthesized = ops.synthesis(others, kernel, image_size, strides, padding)
    left, right = np.sum(codes * others), np.sum(images * synthesized)
    scale = np.linalg.norm(images) * np.linalg.norm(others)
    assert abs(left - right) <= 1e-12 * scale


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_operators_take_images_of_unknown_size(strides, padding):
    rng = np.random.default_rng(3)
    kernel = tf.constant(rng.normal(size=(3, 3, 2, 4)))

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 2), "float64")]
    )
    def run(images):
        codes = ops.analysis(images, kernel, strides, padding)
        size = tf.unstack(tf.shape(images)[1:3])
        return (
            codes,
            ops.synthesis(codes, kernel, size, strides, padding),
            ops.synthesis(codes, kernel, None, strides, padding),
        )

    for size in ((7, 10), (8, 5)):
        images = rng.normal(size=(2, *size, 2))
        codes, back, usual = run(images)
        expected = references.analyze(images, kernel.numpy(), strides, padding)
        np.testing.assert_allclose(codes, expected, atol=1e-12)
        np.testing.assert_allclose(
            back,
            references.synthesize(
                expected, kernel.numpy(), size, strides, padding
            ),
            atol=1e-12,
        )
        sizes = [
            ops.synthesis_size(n, 3, strides, padding)
            for n in expected.shape[1:3]
        ]
        assert list(usual.shape[1:3]) == sizes


@pytest.mark.parametrize(
    "size, strides, padding",
    [((20, 20), 1, "same"), ((16, 15), 2, "same"), ((17, 17), 2, "valid")],
)
def test_images_that_have_other_codes_are_refused(size, strides, padding):
    codes, kernel = np.zeros((1, 7, 7, 4)), np.zeros((3, 3, 2, 4))
    with pytest.raises(ValueError, match="must have the shape"):
        ops.synthesis(codes, kernel, size, strides, padding)
