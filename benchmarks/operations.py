"""Counts the floating-point operations of a training step, in its graph."""

import functools
import math

import tensorflow as tf


def floating_point_operations(model, images):
    """Operations of a training step on so many images, in its convolutions
    and matrix products.

    Counted in the graphs of steps for few images and twice as many: the rest,
    such as what the optimizer takes, does not grow with the images.
    """
    one, two = (_counted(model, count) for count in (8, 16))
    return one + (two - one) / 8 * (images - 8)


@functools.cache
def _counted(model, images):
    shape = (images, *model.encoder.image_shape)
    graph = (
        tf.function(model.train_step, autograph=False)
        .get_concrete_function((tf.zeros(shape), tf.zeros(images, "int32")))
        .graph
    )
    return sum(map(_operations, _needed(graph)))


def _needed(graph):
    """The operations that run: of a gradient, some are of no use to anyone."""
    todo = [*(output.op for output in graph.outputs), *graph.control_outputs]
    needed = set()
    while todo:
        operation = todo.pop()
        if operation not in needed:
            needed.add(operation)
            todo += [tensor.op for tensor in operation.inputs]
            todo += operation.control_inputs
    return needed


def _operations(operation):
    inputs = [tensor.shape for tensor in operation.inputs]
    if operation.type == "Conv2D":
        kernel, codes = inputs[1], operation.outputs[0].shape
    elif operation.type == "Conv2DBackpropInput":
        kernel, codes = inputs[1], inputs[2]
    elif operation.type == "Conv2DBackpropFilter":
        kernel, codes = operation.outputs[0].shape, inputs[2]
    elif operation.type in ("MatMul", "BatchMatMulV2"):
        product = operation.outputs[0].shape
        inner = inputs[0].num_elements() // math.prod(product[:-1])
        return 2 * product.num_elements() * inner
    else:
        return 0
    return 2 * codes.num_elements() * math.prod(kernel[:3])
