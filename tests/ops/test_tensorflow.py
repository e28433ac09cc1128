"""Which path is taken, the operations of the graphs, and that it is right."""

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from keras_csc.ops import tensorflow
from keras_csc.ops.tensorflow import fusion
from tests.helpers import references
from tests.helpers.geometries import CASES
from tests.helpers.geometries import SIZES

TRANSPOSED, SUBPIXEL = "Conv2DBackpropInput", "DepthToSpace"
CONVOLUTION, PRODUCT = "Conv2D", "MatMul"
FORMS = {TRANSPOSED, SUBPIXEL, CONVOLUTION, PRODUCT, "Conv2DBackpropFilter"}


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


def test_images_of_few_channels_are_subpixel_within_fusion_only():
    for channels in (1, 4):
        assert synthesis(channels) == {TRANSPOSED}
        with fusion():
            assert synthesis(channels) == {SUBPIXEL, CONVOLUTION}
        assert synthesis(channels) == {TRANSPOSED}


def test_images_of_one_atoms_size_are_products():
    atoms, images, codes = (4, 4, 3, 6), (2, 4, 4, 3), (2, 1, 1, 6)
    at = (1, "valid")
    for function, shapes in (
        (lambda x, w: ops.analysis(x, w, *at), (images, atoms)),
        (lambda z, w: ops.synthesis(z, w, (4, 4), *at), (codes, atoms)),
    ):
        assert operations(function, *shapes) == {PRODUCT}


def test_other_synthesis_is_a_transposed_convolution_in_fusion_too():
    with fusion():
        assert synthesis(5) == {TRANSPOSED}
        assert synthesis(3, codes=(1, None, 8, 6)) == {TRANSPOSED}
        assert TRANSPOSED not in synthesis(3, strides=1, size=(8, 8))


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_the_gradient_of_training_is_that_of_the_synthesis(
    kernel_size, strides, padding
):
    rng = np.random.default_rng(2)
    for image_size in SIZES:
        kernel = rng.normal(size=(kernel_size, kernel_size, 2, 3))
        images = rng.normal(size=(2, *image_size, 2))
        codes = references.analyze(images, kernel, strides, padding)
        inputs = [tf.constant(codes), tf.constant(kernel)]

        def run():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                result = ops.synthesis(*inputs, image_size, strides, padding)
                loss = tf.reduce_sum(result * images)
            return (result, *tape.gradient(loss, inputs))

        plain = run()
        with fusion():
            trained = run()
        for value, expected in zip(trained, plain):
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-11)
