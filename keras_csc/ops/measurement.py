"""What is measured of an image: some of its pixels, and those blurred."""

import collections

from keras import ops


class Measurement(
    collections.namedtuple(
        "Measurement", ["mask", "blur"], defaults=(None, None)
    )
):
    """The linear operator `B = M H` of a mask `M` and a blur `H`.

    `(H x)[b, i, j, c] = Σ_{u, v} k[u, v] · x[b, i + r - u, j + t - v, c]`,
    a convolution with a kernel `k` of `(2r + 1, 2t + 1)`, alike in all
    channels, with zeros around the image; `M` multiplies with the mask.
    `forward` and `adjoint` are exact adjoints, `<B x, y> = <x, Bᵀy>`.

    Fields:
        mask: tensor that broadcasts to the images, in `[0, 1]`: 1 where a
            pixel is known. `None` where all are.
        blur: tensor `k` of two odd sizes, or `None` for none.
    """

    __slots__ = ()

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

    def squared_norm_bound(self):
        """Bounds `‖B‖²` for images of every size, a scalar.

        `‖H‖ ≤ ‖k‖₁` by Young's inequality, and `‖M‖ ≤ 1`. The bound is that
        of the norm itself for kernels that are nowhere negative.
        """
        if self.blur is None:
            return 1.0
        return ops.square(ops.sum(ops.abs(self.blur)))


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
