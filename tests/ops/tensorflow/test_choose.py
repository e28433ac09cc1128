"""Which path is taken: the operations of the graphs."""

import pytest
import tensorflow as tf

from keras_csc.ops.tensorflow import choose
from keras_csc.ops.tensorflow import fusion

TRANSPOSED, GRADIENT = "Conv2DBackpropInput", "Conv2DBackpropFilter"
SUBPIXEL, CONVOLUTION, PRODUCT = "DepthToSpace", "Conv2D", "MatMul"
FORMS = {TRANSPOSED, GRADIENT, SUBPIXEL, CONVOLUTION, PRODUCT}


def operations(function, *shapes, dtype="float32"):
    """Kinds of convolutions and products in the graph of a function."""
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    graph = tf.function(function).get_concrete_function(*specs).graph
    return {operation.type for operation in graph.get_operations()} & FORMS


def synthesis(channels, strides=2, codes=(1, 8, 8, 6), size=(16, 16)):
    return operations(
        lambda z, w: choose.synthesis(z, w, size, strides, "same"),
        codes,
        (4, 4, channels, 6),
    )


def test_images_of_few_channels_are_subpixel_within_fusion_only():
    for channels in (1, 3, 4):
        assert synthesis(channels) == {TRANSPOSED}
        with fusion():
            assert synthesis(channels) == {SUBPIXEL, CONVOLUTION}
        assert synthesis(channels) == {TRANSPOSED}


def test_other_synthesis_is_a_transposed_convolution_in_fusion_too():
    with fusion():
        assert synthesis(5) == {TRANSPOSED}
        assert synthesis(3, codes=(1, None, 8, 6)) == {TRANSPOSED}


def test_images_of_one_atoms_size_are_products():
    atoms, images, codes = (4, 4, 3, 6), (2, 4, 4, 3), (2, 1, 1, 6)
    at = (1, "valid")
    for function, shapes in (
        (lambda x, w: choose.analysis(x, w, *at), (images, atoms)),
        (lambda z, w: choose.synthesis(z, w, (4, 4), *at), (codes, atoms)),
        (
            lambda x, z: choose.filter_gradient(x, z, atoms, *at),
            (images, codes),
        ),
    ):
        assert operations(function, *shapes) == {PRODUCT}


def test_images_of_few_channels_are_overlap_added_where_the_stride_is_1():
    for channels, expected in ((4, PRODUCT), (5, TRANSPOSED)):
        assert synthesis(channels, strides=1, size=(8, 8)) == {expected}


@pytest.mark.parametrize(
    "size, dtype, expected",
    [
        (4, "float32", GRADIENT),
        (4, "bfloat16", CONVOLUTION),
        (6, "bfloat16", GRADIENT),
        (None, "bfloat16", GRADIENT),
    ],
)
def test_gradients_by_few_half_precision_codes_are_convolutions(
    size, dtype, expected
):
    image_size = None if size is None else 2 * size
    found = operations(
        lambda x, z: choose.filter_gradient(x, z, (4, 4, 3, 6), 2, "same"),
        (2, image_size, image_size, 3),
        (2, size, size, 6),
        dtype=dtype,
    )
    assert found == {expected}
