"""Fused element-wise steps are the steps that they fuse."""

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from keras_csc.ops.tensorflow import choose
from keras_csc.ops.tensorflow import fusion

SHAPE, KERNEL = (4, 8, 8, 2), (3, 3, 2, 6)


@pytest.fixture
def fuse_all(monkeypatch):
    monkeypatch.setattr(choose, "LEAST_SIZE", 0)


def solver(**arguments):
    generator = np.random.default_rng(0)
    inputs = [
        tf.constant(generator.normal(size=shape), tf.float64)
        for shape in (SHAPE, KERNEL)
    ]
    inputs.append(tf.constant(0.3, tf.float64))

    @tf.function
    def values_and_gradients():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            codes = ops.sparse_code(*inputs, 0.02, iterations=3, **arguments)
            loss = tf.reduce_sum(tf.sin(3 * codes))
        return codes, *tape.gradient(loss, inputs)

    return values_and_gradients


def test_fused_codes_and_gradients_are_the_same(fuse_all):
    arguments = {
        "ridge": 0.5,
        "nonnegative": True,
        "strides": 2,
        "padding": "valid",
    }
    plain = solver(**arguments)()
    with fusion():
        fused = solver(**arguments)()
    for value, expected in zip(fused, plain):
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)


def compiled_functions():
    graph = solver().get_concrete_function().graph.as_graph_def()
    return [
        function
        for function in graph.library.function
        if function.attr["_XlaMustCompile"].b
    ]


def test_large_tensors_are_fused_within_the_context_only(fuse_all):
    assert not compiled_functions()
    with fusion():
        assert compiled_functions()
    assert not compiled_functions()


def test_small_tensors_are_not_fused():
    with fusion():
        assert not compiled_functions()
