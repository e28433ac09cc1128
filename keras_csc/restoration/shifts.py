"""The grid of a strided dictionary, laid over an image in several ways."""

import collections

import numpy as np


class ShiftedGrids(
    collections.namedtuple(
        "ShiftedGrids", ["image_size", "atom_size", "strides", "reach"]
    )
):
    """Windows of a padded image; the grid lies differently in each.

    With strides `s`, the model `A z` knows places only up to multiples of `s`.
    An estimate by every shift of the grid by less than `s` is as good as the
    other; the mean of all is better than each.

    The image is padded so that every pixel, and `reach` more on each side,
    which a blur carries into the image, is covered by as many atoms as any.

    Fields:
        image_size: `(height, width)` of the image.
        atom_size: int `k`, height and width of the atoms.
        strides: int `s`, at most `k`.
        reach: `(rows, columns)` beyond the image that are looked at.

    Reference:
        Simon & Elad, Rethinking the CSC model for natural images, NeurIPS
        2019, section 4; Coifman & Donoho, Translation-invariant de-noising,
        1995, for the same with wavelets.
    """

    __slots__ = ()

    @property
    def margins(self):
        """Pixels before the image in the padded one, per axis."""
        return [reach + self.atom_size - 1 for reach in self.reach]

    @property
    def window_size(self):
        """`(height, width)` of a window: of whole atoms."""
        return [
            (count - 1) * self.strides + self.atom_size
            for count in self.code_size
        ]

    @property
    def code_size(self):
        """`(height, width)` of the codes of a window."""
        overlap = self.atom_size - self.strides
        counts = []
        for size, reach in zip(self.image_size, self.reach):
            covered = size + 2 * reach + 2 * overlap + self.strides - 1
            counts.append(-(-(covered - self.atom_size) // self.strides) + 1)
        return counts

    @property
    def padded_size(self):
        """`(height, width)` of the padded image."""
        return [n + self.strides - 1 for n in self.window_size]

    def shifts(self, step):
        """List of `(row, column)` where windows begin, every `step` pixels."""
        places = range(0, self.strides, step)
        return [(row, column) for row in places for column in places]

    def pad(self, image):
        """The padded image of an image `(height, width, channels)`."""
        widths = [
            (margin, whole - margin - size)
            for margin, whole, size in zip(
                self.margins, self.padded_size, self.image_size
            )
        ]
        return np.pad(image, [*widths, (0, 0)])

    def crop(self, padded):
        """The image of a padded one."""
        (top, left), (height, width) = self.margins, self.image_size
        return padded[top : top + height, left : left + width]

    def windows(self, padded, shifts):
        """Windows of a padded image, `(shifts, *window_size, channels)`."""
        height, width = self.window_size
        return np.stack(
            [padded[i : i + height, j : j + width] for i, j in shifts]
        )

    def add(self, total, count, windows, weights, shifts):
        """Adds windows to where they lie in a padded image, and weights.

        Args:
            total: padded image of what `weights · windows` are added to.
            count: padded image of what the weights are added to.
            windows: array `(shifts, *window_size, channels)`.
            weights: array that broadcasts to it.
            shifts: where the windows begin.
        """
        height, width = self.window_size
        weights = np.broadcast_to(weights, windows.shape)
        for (i, j), window, weight in zip(shifts, windows, weights):
            here = np.s_[i : i + height, j : j + width]
            total[here] += weight * window
            count[here] += weight
