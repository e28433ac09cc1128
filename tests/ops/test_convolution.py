import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from keras_csc.ops import convolution
from keras_csc.ops import tensorflow
from tests.helpers import references

# Kernels below, of and above the stride, odd and even.
CASES = [
    (1, 1, "same"),
    (1, 2, "valid"),
    (2, 2, "same"),
    (2, 3, "valid"),
    (4, 1, "valid"),
    (4, 2, "same"),
    (4, 3, "valid"),
    (7, 2, "valid"),
    (7, 3, "same"),
]
SIZES = [(9, 10), (11, 12)]


def draw(seed, kernel_size, image_size, channels=2, filters=3):
    """A kernel and two images, by a seed or a generator."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, filters))
    return kernel, rng.normal(size=(2, *image_size, channels))


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
    [
        ((20, 20), 1, "same"),
        ((16, 15), 2, "same"),
        ((17, 17), 2, "valid"),
        (np.array([20, 20]), 1, "same"),
    ],
)
def test_images_that_have_other_codes_are_refused(
    backend, size, strides, padding
):
    codes, kernel = np.zeros((1, 7, 7, 4)), np.zeros((3, 3, 2, 4))
    with pytest.raises(ValueError, match="must have the shape"):
        ops.synthesis(codes, kernel, size, strides, padding)


@pytest.mark.parametrize(
    "size, kernel_size, strides, padding, products",
    [
        ((9, 10), 3, 2, "same", True),
        ((10, 9), 2, 2, "same", True),
        ((9, 9), 3, 1, "same", True),
        ((11, 14), 2, 4, "same", True),
        ((13, 12), 2, 2, "valid", True),
        ((12, 11), 4, 1, "same", False),  # margins above the stride
        ((8, 8), 3, 2, "same", False),  # few codes
    ],
)
def test_the_normal_operator_is_synthesis_and_analysis(
    backend, size, kernel_size, strides, padding, products
):
    kernel, images = draw(0, kernel_size, size, channels=8)
    images, at = np.tile(images, (10, 1, 1, 1)), (strides, padding)
    codes = ops.analysis(images, kernel, *at)
    args = kernel, codes.shape, size, *at
    apply = convolution.normal_operator(*args)
    assert apply.__name__ == ("by_products" if products else "composed")
    expected = ops.synthesis(codes, kernel, size, *at)
    expected = ops.analysis(expected, kernel, *at).numpy()
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(apply(codes), expected, atol=1e-13 * scale)
    unknown = kernel, (None, *codes.shape[1:]), size, *at
    assert convolution.normal_operator(*unknown).__name__ == "composed"


# === Which path TensorFlow takes ===

TRANSPOSED, SUBPIXEL = "Conv2DBackpropInput", "DepthToSpace"
CONVOLUTION, PRODUCT = "Conv2D", "MatMul"
FILTER = "Conv2DBackpropFilter"
FORMS = {TRANSPOSED, SUBPIXEL, CONVOLUTION, PRODUCT, FILTER}


def operations(function, *shapes):
    """Kinds of convolutions and products in the graph of a function."""
    specs = [tf.TensorSpec(shape) for shape in shapes]
    graph = tf.function(function).get_concrete_function(*specs).graph
    return {operation.type for operation in graph.get_operations()} & FORMS


def synthesis(channels, strides=2, codes=(1, 8, 8, 6), size=(16, 16)):
    return operations(
        lambda z, w: tensorflow.synthesis(z, w, size, strides, "same"),
        codes,
        (4, 4, channels, 6),
    )


def test_images_of_few_channels_are_subpixel(monkeypatch):
    for channels in (1, 4):
        assert synthesis(channels) == {SUBPIXEL, CONVOLUTION}
    assert TRANSPOSED not in synthesis(3, strides=1, size=(8, 8))
    assert synthesis(5) == {TRANSPOSED}
    assert synthesis(3, codes=(1, None, 8, 6)) == {TRANSPOSED}
    config = tensorflow.tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: ["GPU"])
    assert synthesis(3) == {TRANSPOSED}


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_first_and_second_gradients_are_of_the_plain_forms(
    monkeypatch, kernel_size, strides, padding
):
    rng, at = np.random.default_rng(2), (strides, padding)

    def gradients(function, inputs, weights):
        with tf.GradientTape() as second:
            second.watch(inputs)
            with tf.GradientTape() as first:
                first.watch(inputs)
                result = function(*inputs)
                loss = tf.reduce_sum(result**2 * weights)
            slopes = first.gradient(loss, inputs)
            loss = sum(tf.reduce_sum(slope**2) for slope in slopes)
        return (result, *slopes, *second.gradient(loss, inputs))

    for image_size in SIZES:
        kernel, images = map(tf.constant, draw(rng, kernel_size, image_size))
        codes = ops.analysis(images, kernel, *at)
        for function, inputs, weights in (
            (lambda x, w: ops.analysis(x, w, *at), (images, kernel), codes),
            (
                lambda z, w: ops.synthesis(z, w, image_size, *at),
                (codes, kernel),
                images,
            ),
        ):
            ours = gradients(function, inputs, weights)
            with monkeypatch.context() as patch:
                patch.setattr(tensorflow, "FEW_CHANNELS", 0)
                plain = gradients(function, inputs, weights)
            for value, expected in zip(ours, plain):
                scale = np.max(np.abs(expected))
                np.testing.assert_allclose(
                    value, expected, rtol=0, atol=1e-12 * scale
                )


@settings(max_examples=15)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from(["same", "valid"]),
    st.sampled_from([(1, 1), (3, 2), (2, 5)]),
    st.tuples(st.integers(6, 11), st.integers(6, 11)),
)
def test_the_bound_holds_for_every_image_size(
    seed, kernel_size, strides, padding, channels, size
):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, *channels))
    kernel += rng.choice([0, 1])
    largest = references.largest_eigenvalue(kernel, size, strides, padding)
    assert ops.frame_bound(kernel, strides) >= largest * (1 - 1e-12)


@pytest.mark.parametrize("filters, scale", [(1, 1.0), (24, 1e-9), (70, 1e9)])
def test_frame_bound_is_that_of_the_patches(filters, scale):
    rng = np.random.default_rng(0)
    kernel = scale * rng.normal(size=(4, 4, 2, filters))
    patches = kernel.reshape(-1, filters)
    expected = 4 * np.linalg.norm(patches, 2) ** 2
    rank = min(patches.shape)
    for dtype, rounding in (("float64", 1e-12), ("float32", 1e-4)):
        bound = float(ops.frame_bound(kernel.astype(dtype), 2))
        assert expected * (1 - rounding) <= bound
        assert bound <= expected * rank ** (1 / 4096) * (1 + rounding)


@pytest.mark.parametrize("filters", [5, 40])
def test_gradient_of_the_frame_bound(filters):
    """`dL = ⌈k/s⌉² 2 <W P, dW>` with `P = G^(N-1) (tr Gᴺ)^(1/N - 1)`."""
    rng = np.random.default_rng(1)
    kernel = tf.constant(rng.normal(size=(4, 4, 2, filters)))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        bound = ops.frame_bound(kernel, 2)
    left, values, right = np.linalg.svd(
        kernel.numpy().reshape(32, filters), full_matrices=False
    )
    shares = (values / values[0]) ** 2
    total = np.sum(shares**4096)
    factors = shares**4095 * total ** (1 / 4096 - 1)
    expected = 4 * 2 * (left * (values * factors)) @ right
    np.testing.assert_allclose(
        tape.gradient(bound, kernel).numpy().reshape(32, filters),
        expected,
        atol=1e-9,
    )
