"""Atoms that learn from the image that they restore."""

import numpy as np
from keras import ops

from keras_csc.ops import spectral_bound
from keras_csc.restoration.dictionary_learning import best_atom

SWEEPS = 3


class AdaptedAtoms:
    """The atoms of a strided dictionary, which may learn from codes.

    Args:
        kernel: array `(k, k, channels, atoms)`; the first atoms, one for every
            channel, are constant and stay so.
        strides: int.

    Attributes:
        kernel: tensor of the atoms as they are now.
        bound: scalar tensor, `spectral_bound` of the kernel.
        size: int `k`.
    """

    def __init__(self, kernel, strides):
        self.size, self.strides = kernel.shape[0], strides
        self._shape, self._flat = kernel.shape, kernel.shape[2]
        self._given = kernel.reshape(-1, kernel.shape[-1]).astype("float64")
        self._set(self._given)

    def _set(self, columns):
        self._columns = columns
        kernel = columns.reshape(self._shape).astype("float32")
        self.kernel = ops.convert_to_tensor(kernel)
        self.bound = spectral_bound(self.kernel, self.strides)
        self._moments = self._products = 0.0

    def check(self):
        """Raises a `ValueError` unless the atoms lie side by side."""
        if self.strides != self.size:
            raise ValueError(
                "`adaptation` is for dictionaries whose strides are the size "
                f"of their atoms. Received: strides {self.strides}, atoms of "
                f"{self.size}×{self.size}. Pass `settings` with "
                "adaptation=None."
            )

    def see(self, windows, codes, inside):
        """Adds what is to be learned from.

        Args:
            windows: array `(shifts, height, width, channels)`.
            codes: array of their codes.
            inside: array like `windows` with one channel, 1 where pixels are
                to be learned from. An atom learns where all of its pixels are.
        """
        whole = np.all(self._patches(inside) > 0, axis=1)
        codes = codes.reshape(-1, codes.shape[-1])[whole]
        patches = self._patches(windows)[whole]
        self._moments = self._moments + codes.T @ codes
        self._products = self._products + patches.T @ codes

    def _patches(self, windows):
        """The pixels of every place of the atoms, as rows."""
        count, height, width, channels = windows.shape
        rows, columns = height // self.size, width // self.size
        patches = windows.reshape(
            count, rows, self.size, columns, self.size, channels
        ).transpose(0, 1, 3, 2, 4, 5)
        return patches.reshape(count * rows * columns, -1)

    def adapt(self, weight):
        """Atoms learn from what was seen, which is then forgotten.

        `min_D ‖X - D Z‖² + w ‖D - D₀‖²` with the atoms `D₀` that were given,
        by rounds over the atoms, each of which is scaled to norm 1.

        Args:
            weight: float `w > 0`.
        """
        atoms = self._columns.copy()
        moments = self._moments + weight * np.eye(atoms.shape[1])
        products = self._products + weight * self._given
        for _ in range(SWEEPS):
            for index in range(self._flat, atoms.shape[1]):
                atom = best_atom(atoms, moments, products, index)
                norm = np.linalg.norm(atom)
                if norm > 0:
                    atoms[:, index] = atom / norm
        self._set(atoms)
