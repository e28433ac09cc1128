"""Faster forms of operations for training, on TensorFlow.

Element-wise operations in one pass over memory, by XLA.
"""

import contextlib
import contextvars
import functools
import math

import tensorflow as tf

# Below as many elements, what is saved is not worth a compilation.
LEAST_SIZE = 2**18

_enabled = contextvars.ContextVar("fusion", default=False)


@contextlib.contextmanager
def fusion():
    """Within the context, functions that are `fusable` are compiled by XLA.

    Those that are called on large tensors of known shape. Synthesis of images
    of few channels is that of `subpixel`. It is meant for training, where the
    context is entered by the train step: a SavedModel of compiled functions
    would need XLA wherever it is served.
    """
    token = _enabled.set(True)
    try:
        yield
    finally:
        _enabled.reset(token)


def is_enabled():
    """Whether this is within the context of `fusion`."""
    return _enabled.get()


def fusable(function):
    """Decorates an element-wise function of tensors, to be compiled.

    Args:
        function: function of tensors, the first of which is the largest, and
            of Python values.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments, **options):
        shape = arguments[0].shape
        if (
            is_enabled()
            and shape.is_fully_defined()
            and math.prod(shape) >= LEAST_SIZE
        ):
            return compiled(*arguments, **options)
        return function(*arguments, **options)

    return call
