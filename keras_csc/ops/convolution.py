"""The two convolution operators of sparse coding, adjoints, and their norm."""

import math

from keras import ops

from keras_csc.ops.sizes import check_channels
from keras_csc.ops.sizes import check_code_size
from keras_csc.ops.sizes import fit
from keras_csc.ops.sizes import padding_before
from keras_csc.ops.sizes import synthesis_size
from keras_csc.ops.tensors import on_tensorflow


def analysis(images, kernel, strides=1, padding="same"):
    """Applies the analysis operator `Aᵀ`: a convolution with `kernel`.

    `(Aᵀx)[b, i, j, f] = Σ_{u, v, c} x[b, s·i + u, s·j + v, c] · W[u, v, c, f]`

    Zeros are padded to `x` as `padding` says. This is the exact adjoint of
    `synthesis` for every image size, kernel size and stride.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        strides: int, the same in both directions.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, code_height, code_width, filters)`.

    Raises:
        ValueError: for images with other channels than the atoms.
    """
    check_channels(images.shape, kernel.shape)
    if blocks := _blocks(images.shape[1:3], kernel.shape, strides, padding):
        matrix = ops.reshape(kernel, (-1, kernel.shape[3]))
        height, width, k = *blocks, kernel.shape[0]
        patches = ops.reshape(
            images, (-1, height, k, width, k * kernel.shape[2])
        )
        patches = ops.transpose(patches, (0, 1, 3, 2, 4))
        patches = ops.reshape(patches, (-1, matrix.shape[0]))
        codes = ops.matmul(patches, matrix)
        return ops.reshape(codes, (-1, height, width, matrix.shape[1]))
    form = on_tensorflow("analysis", _convolved)
    return form(images, kernel, strides, padding)


def _convolved(images, kernel, strides, padding):
    """`analysis`, of Keras."""
    return ops.conv(
        images,
        kernel,
        strides=strides,
        padding=padding,
        data_format="channels_last",
    )


def synthesis(codes, kernel, image_size=None, strides=1, padding="same"):
    """Applies the synthesis operator `A`: `x = Σ_f z_f * W_f`.

    This is the transposed convolution with the `kernel` of `analysis`, and its
    exact adjoint: `<A z, x> = <z, Aᵀx>`.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        image_size: `(height, width)` of the result, ints or scalar tensors
            (tensors on the TensorFlow backend only). By default
            `synthesis_size` of the codes.
        strides: int, the same in both directions.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, height, width, channels)`.

    Raises:
        ValueError: for an `image_size` that has codes of another size.
    """
    if image_size is None:
        shape = ops.shape(codes)
        image_size = [
            synthesis_size(n, k, strides, padding)
            for n, k in zip(shape[1:3], kernel.shape[:2])
        ]
    shape = (None, *image_size)
    check_code_size(codes.shape, kernel.shape, shape, strides, padding)
    if blocks := _blocks(image_size, kernel.shape, strides, padding):
        k, _, channels, filters = kernel.shape
        matrix = ops.transpose(ops.reshape(kernel, (-1, filters)))
        patches = ops.matmul(ops.reshape(codes, (-1, filters)), matrix)
        patches = ops.reshape(patches, (-1, *blocks, k, k * channels))
        images = ops.transpose(patches, (0, 1, 3, 2, 4))
        return ops.reshape(images, (-1, *image_size, channels))
    if kernel.shape[:2] == (1, 1) and strides == 1:
        # OpenVINO would not return from a second size.
        return ops.matmul(codes, ops.transpose(kernel[0, 0]))
    form = on_tensorflow("synthesis", _cropped)
    return form(codes, kernel, image_size, strides, padding)


def _blocks(image_size, kernel_shape, strides, padding):
    """Numbers of an atom's blocks, if codes are of these: a matrix product."""
    size, k = list(image_size), kernel_shape[0]
    if not all(isinstance(n, int) and n % k == 0 for n in size):
        return None
    one = padding == "valid" and size == [k, k]
    whole = kernel_shape[1] == k and (strides == k or one)
    return [n // k for n in size] if whole else None


def _cropped(codes, kernel, image_size, strides, padding):
    """`synthesis`, cropped from a "valid" one."""
    images = ops.conv_transpose(
        codes,
        kernel,
        strides=strides,
        padding="valid",
        data_format="channels_last",
    )
    return fit(images, image_size, kernel.shape[:2], strides, padding)


def normal_operator(kernel, shape, image_size, strides, padding):
    """The function `z → AᵀA z` of codes `z` of a shape.

    It is a synthesis and an analysis. Where sizes are known and it saves much,
    it is a convolution with the products of shifted atoms, less what the atoms
    at a border draw outside the image.
    """
    (batch, *size), (k, _, channels, filters) = shape[:3], kernel.shape
    at, reach = (strides, padding), -(-k // strides) - 1

    def composed(codes):
        return analysis(synthesis(codes, kernel, image_size, *at), kernel, *at)

    known = all(isinstance(n, int) for n in (batch, *size, *image_size))
    if not known or (reach > 0 and min(size) <= 4):  # mostly borders
        return composed
    places, patch = math.prod(shape[:3]), k * k * channels
    products = (2 * reach + 1) ** 2 * filters * (places + patch)
    before = [padding_before(n, k, *at) for n in image_size]
    after = [
        max((m - 1) * strides + k - n - margin, 0)
        for m, n, margin in zip(size, image_size, before)
    ]
    if products > 1.2 * places * patch or max(before + after) > strides:
        return composed
    borders = (
        (1, 0, kernel[: before[0]]),
        (1, size[0] - 1, kernel[k - after[0] :]),
        (2, 0, kernel[:, : before[1]]),
        (2, size[1] - 1, kernel[:, k - after[1] :]),
    )
    return _by_products(kernel, borders, reach, image_size[0], *at)


def _by_products(kernel, borders, reach, height, *at):
    pad = [at[0] * reach] * 2
    atoms = ops.transpose(kernel, (3, 0, 1, 2))
    atoms = ops.pad(atoms, [[0, 0], pad, pad, [0, 0]])
    shifted = ops.flip(analysis(atoms, kernel, at[0], "valid"), (1, 2))
    shifted = ops.transpose(shifted, (1, 2, 0, 3))

    def by_products(codes):
        result = analysis(codes, shifted)
        for axis, place, atoms in borders:
            if 0 in atoms.shape:
                continue
            # Rows have the corners, so that columns have none.
            drawn, how = None, (at[0], "valid")
            if axis == 2:
                drawn, how = (height, atoms.shape[1]), at
            part = synthesis(ops.take(codes, [place], axis), atoms, drawn, *how)
            pads = [[0, 0]] * 4
            pads[axis] = [place, codes.shape[axis] - 1 - place]
            result = result - ops.pad(analysis(part, atoms, *how), pads)
        return result

    return by_products


def frame_bound(kernel, strides=1):
    """Bounds `λmax(AᵀA)` from above in closed form, for images of every size.

    `λmax(AᵀA) ≤ σmax(W)² ⌈k/s⌉²`, with the atoms as columns of a matrix `W`. A
    pixel is in at most `⌈k/s⌉²` patches. So `‖A z‖²` is at most `⌈k/s⌉²` times
    `Σ_p ‖W z_p‖²`, the sum over the code places `p`. For a tight frame the
    bound is within a per cent of `λmax` of large images.

    `σmax(W)²` is itself bounded, by `tr(Gᴺ)^(1/N)` with the smaller Gram matrix
    `G` and `N = 4096`. This is at most `rank^(1/N)` times as large: 0.2 % for
    512 dimensions.

    Args:
        kernel: tensor `(k, k, channels, filters)`, at least float32.
        strides: int.

    Returns:
        Scalar tensor with a gradient; 0, without one, for a kernel of zeros.
    """
    kernel = ops.convert_to_tensor(kernel)
    empty = ops.all(ops.equal(kernel, 0))
    safe = ops.where(empty, ops.ones_like(kernel), kernel)
    matrix = ops.reshape(safe, (-1, kernel.shape[-1]))
    if matrix.shape[0] < matrix.shape[1]:
        matrix = ops.transpose(matrix)
    power = ops.matmul(ops.transpose(matrix), matrix)
    logarithm = 0.0
    for squarings in range(13):
        trace = ops.trace(power)
        logarithm = logarithm + ops.log(trace) / 2**squarings
        power = power / trace
        power = ops.matmul(power, power)
    height, width = kernel.shape[:2]
    patches = -(-height // strides) * -(-width // strides)
    bound = patches * ops.exp(logarithm)
    return ops.where(empty, ops.zeros_like(bound), bound)
