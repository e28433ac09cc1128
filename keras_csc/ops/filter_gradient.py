"""The gradient of synthesis with respect to the dictionary."""

import keras
from keras import ops

from keras_csc.ops.convolution import analysis_size


def filter_gradient(images, codes, kernel_shape, strides, padding):
    """Adjoint of `W → A(W) z` at the codes `z`, applied to images.

    `G[u, v, c, f] = Σ_{b, i, j} x[b, s·i + u, s·j + v, c] · z[b, i, j, f]`,
    with `x` padded as `padding` says.

    Args:
        images: tensor `x` `(batch, height, width, channels)`.
        codes: tensor `z` `(batch, code_height, code_width, filters)`.
        kernel_shape: `(k, k, channels, filters)`.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor of `kernel_shape`.
    """
    if keras.backend.backend() == "tensorflow":
        from keras_csc.ops import tensorflow_solver

        return tensorflow_solver.filter_gradient(
            images, codes, kernel_shape, strides, padding
        )
    height, width, _, filters = kernel_shape
    pads = [
        _padding(n, k, strides, padding)
        for n, k in zip(images.shape[1:3], kernel_shape[:2])
    ]
    images = ops.pad(images, [(0, 0), *pads, (0, 0)])
    rows, columns = (strides * n for n in codes.shape[1:3])
    matrix = ops.transpose(ops.reshape(codes, (-1, filters)))
    products = []
    for u in range(height):
        for v in range(width):
            window = images[
                :, u : u + rows : strides, v : v + columns : strides, :
            ]
            window = ops.reshape(window, (-1, kernel_shape[2]))
            products.append(ops.transpose(ops.matmul(matrix, window)))
    return ops.reshape(ops.stack(products), kernel_shape)


def _padding(size, kernel_size, strides, padding):
    """Zeros before and after an axis, so that all windows are inside."""
    steps = analysis_size(size, kernel_size, strides, padding)
    total = max((steps - 1) * strides + kernel_size - size, 0)
    before = total // 2 if padding == "same" else 0
    # A slice with a stride may end up to `strides - 1` beyond its last entry.
    return before, total - before + strides - 1
