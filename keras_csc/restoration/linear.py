"""A mask and a blur as a linear operator, and equations with it."""

import typing

import keras
from keras import ops

AXES = (1, 2, 3)


class Measurement(typing.NamedTuple):
    """The linear operator `B = M H` of a mask `M` and a blur `H`.

    `(H x)[b, i, j, c] = Σ_{u, v} k[u, v] · x[b, i + r - u, j + t - v, c]`

    `H` is a convolution with a kernel `k` of `(2r + 1, 2t + 1)`, alike in all
    channels, with zeros around the image. `M` multiplies with the mask.
    `forward` and `adjoint` are exact adjoints, `<B x, y> = <x, Bᵀy>`.
    `‖B‖ ≤ ‖k‖₁` for a mask in `[0, 1]`.

    Fields:
        mask: tensor that broadcasts to the images, in `[0, 1]`: 1 where a
            pixel is known. `None` where all are.
        blur: tensor `k` of two odd sizes, or `None` for none.
    """

    mask: typing.Any = None
    blur: typing.Any = None

    def forward(self, images):
        """`M H x` of images `(batch, height, width, channels)`."""
        if self.blur is not None:
            # `ops.conv` correlates.
            images = _correlation(images, ops.flip(self.blur, (0, 1)))
        return images if self.mask is None else self.mask * images

    def adjoint(self, images):
        """`Hᵀ M y`, of the size of `y`."""
        if self.mask is not None:
            images = self.mask * images
        if self.blur is None:
            return images
        return _correlation(images, self.blur)


def _correlation(images, kernel):
    """Every channel's correlation with a kernel, zeros around the image."""
    height, width, channels = ops.shape(images)[1:4]
    # Channels are examples: backends are slow at a group for each.
    planes = ops.reshape(
        ops.transpose(images, (0, 3, 1, 2)), (-1, height, width, 1)
    )
    planes = ops.conv(
        planes,
        kernel[:, :, None, None],
        padding="same",
        data_format="channels_last",
    )
    planes = ops.reshape(planes, (-1, channels, height, width))
    return ops.transpose(planes, (0, 2, 3, 1))


def conjugate_residuals(operator, right, iterations):
    """Solves `H v = b` for every example, or `min_v ‖b - H v‖`.

    `H` is a function, positive semi-definite for every example. An example is
    done when `H` times its residual is as small as the precision allows. It
    does not depend on the other examples. Where `b` is not in the range of
    `H`, conjugate gradients would grow without end.
    """
    image = operator(right)
    goal = _precision(right) ** 2 * _squared_norm(image)
    product = _products(right, image)

    def advance(solution, residual, direction, image, product, active):
        square = _squared_norm(image)
        active = ops.logical_and(active, square > 0)
        step = ops.where(active, product, 0) / ops.where(active, square, 1)
        solution = solution + step * direction
        residual = residual - step * image
        following = operator(residual)
        square = _squared_norm(following)
        last, product = product, _products(residual, following)
        ratio = ops.where(active, product, 0) / ops.where(active, last, 1)
        active = ops.logical_and(active, square > goal)
        active = ops.logical_and(active, product > 0)
        direction = residual + ratio * direction
        image = following + ratio * image
        return solution, residual, direction, image, product, active

    return ops.while_loop(
        lambda *state: ops.any(state[-1]),
        advance,
        (ops.zeros_like(right), right, right, image, product, product > 0),
        maximum_iterations=iterations,
    )[0]


def _precision(values):
    dtype = keras.backend.standardize_dtype(values.dtype)
    return 2e-15 if dtype == "float64" else 1e-6


def _products(values, others):
    return ops.sum(values * others, AXES, keepdims=True)


def _squared_norm(values):
    return ops.sum(ops.square(values), AXES, keepdims=True)
