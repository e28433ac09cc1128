"""A photograph by few atoms a patch, and by what was measured of it."""

import functools
import pathlib

import numpy as np
from keras import ops

from keras_csc.constraints import UnitAtoms
from keras_csc.ops import Measurement
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import spectral_bound
from keras_csc.ops.implicit_gradient import conjugate_residuals
from keras_csc.ops.tensors import solving

# Dictionaries that `studies/dictionaries.py` learned.
SHIPPED = pathlib.Path(__file__).with_name("dictionaries.npz")
# Rounds over the atoms that adapt to an image.
SWEEPS = 3
# `λ / τ` of the codes `ẑ`, and `δ`.
PILOT, OFFSET = 0.3, 0.1
# The most steps of conjugate residuals.
STEPS = 500


@functools.cache
def default_dictionary(channels):
    """The dictionary that ships for 1 (grey) or 3 channels.

    Returns:
        float32 array `(k, k, channels, atoms)` of atoms of norm 1.
    """
    with np.load(SHIPPED) as file:
        kernel = file[f"channels_{channels}"].astype("float32")
    kernel = ops.convert_to_tensor(kernel)
    return ops.convert_to_numpy(UnitAtoms()(kernel))


class PatchDenoiser:
    """Makes images of few atoms a patch.

    A patch `p` is its mean in every channel and few atoms, `m + D z` with
    `z = argmin Σ_i λ_i |z_i| + ½‖p - m - D z‖²`. Patches lie side by side on
    a grid, which is shifted; the image is the mean over the shifts, in which
    pixels weigh `1 / (1 + n)` where they have `n` codes that are not 0: such
    estimates have less noise. From the second round on `λ_i = r τ² / (|ẑ_i| +
    δ τ)`, with the noise level `τ` and the codes `ẑ` of the image of the round
    before. Images go on beyond their borders as in a mirror.

    Args:
        dictionary: array `(k, k, channels, atoms)`, of norm 1.
        step: int, pixels between two shifts of the grid.
        sparsity: float, `λ / τ` of the first round.
        reweighting: float, `r`.
        rounds: int.
        iterations: int, of FISTA for a program.
        adaptation: float, or `None` for atoms that stay as they are. Between
            two rounds they learn from the image; the dictionary that was
            given counts as so many codes of 1 for each.
        progress: function of how many rounds over a grid are done, or `None`.

    References:
        Simon & Elad, Rethinking the CSC model for natural images, NeurIPS
        2019, section 4, for the shifts; Dabov et al., Image denoising by
        sparse 3-D transform-domain collaborative filtering, IEEE TIP 2007,
        eq. 10, for the weights; Candès, Wakin & Boyd, Enhancing sparsity by
        reweighted l1 minimization, 2008, section 2.2; Elad & Aharon, Image
        denoising via sparse and redundant representations over learned
        dictionaries, IEEE TIP 2006, section IV, for atoms that adapt.
    """

    def __init__(
        self,
        dictionary,
        step,
        sparsity,
        reweighting,
        rounds,
        iterations,
        adaptation=None,
        progress=None,
    ):
        self.size, self._shape = dictionary.shape[0], dictionary.shape
        self._given = dictionary.reshape(-1, dictionary.shape[-1])
        places = range(0, self.size, step)
        self._shifts = [(row, column) for row in places for column in places]
        self._sparsity, self._reweighting = sparsity, reweighting
        self._rounds, self._iterations = rounds, iterations
        self._adaptation = adaptation
        self._progress, self._done = progress or (lambda done: None), 0

    def __call__(self, image, level):
        """The image that the last round makes.

        Args:
            image: float32 array `(height, width, channels)`.
            level: float, `τ`.
        """
        # A number of NumPy's would make arrays of a backend's tensors.
        estimate, level = None, float(level)
        self._use(self._given)
        for turn in range(self._rounds):
            if turn and self._adaptation is not None:
                seen = self._moments, self._products, self._adaptation
                self._use(adapted(self._atoms, self._given, *seen))
            estimate = self._mean(image, level, estimate)
        return estimate

    def _use(self, atoms):
        self._atoms = atoms.astype("float32")
        self._kernel = ops.convert_to_tensor(self._atoms.reshape(self._shape))
        self._step_size = 1 / spectral_bound(self._kernel, self.size)

    def _mean(self, image, level, estimate):
        """The mean over the shifts of what their programs make."""
        before, sides = self.size - 1, image.shape[:2]
        sizes = [-(-(n + before) // self.size) * self.size for n in sides]
        widths = [(before, size - n) for size, n in zip(sizes, sides)]
        image = np.pad(image, [*widths, (0, 0)], "symmetric")
        if estimate is not None:
            estimate = np.pad(estimate, [*widths, (0, 0)], "symmetric")
        summed, count = np.zeros_like(image), np.zeros_like(image)
        self._moments = self._products = 0.0
        for row, column in self._shifts:
            here = np.s_[row : row + sizes[0], column : column + sizes[1]]
            patches, means = self._patches(image[here])
            weights, start = self._sparsity * level, None
            if estimate is not None:
                pilot, _ = self._patches(estimate[here])
                start = self._codes(pilot, PILOT * level)
                size = ops.abs(start) + OFFSET * level
                weights = self._reweighting * level**2 / size
            codes = self._codes(patches, weights, start)
            codes = ops.convert_to_numpy(codes)[:, 0, 0]
            vectors = patches.reshape(len(patches), -1)
            self._moments = self._moments + codes.T @ codes
            self._products = self._products + vectors.T @ codes
            made = (codes @ self._atoms.T).reshape(patches.shape) + means
            trust = 1 / (1 + np.count_nonzero(codes, -1)[:, None, None, None])
            trust = np.broadcast_to(trust, made.shape)
            summed[here] += self._image(trust * made, sizes)
            count[here] += self._image(trust, sizes)
            self._done += 1
            self._progress(self._done)
        inner = np.ix_(*(range(before, before + n) for n in sides))
        return summed[inner] / count[inner]

    def _patches(self, image):
        """Patches `(n, k, k, channels)` side by side, less means; and these."""
        height, width, channels = image.shape
        rows, columns = height // self.size, width // self.size
        patches = image.reshape(rows, self.size, columns, self.size, channels)
        patches = patches.swapaxes(1, 2)
        patches = patches.reshape(-1, self.size, self.size, channels)
        means = patches.mean((1, 2), keepdims=True)
        return patches - means, means

    def _image(self, patches, sizes):
        """The image of patches side by side."""
        rows, columns = (n // self.size for n in sizes)
        patches = patches.reshape(rows, columns, *patches.shape[1:])
        return patches.swapaxes(1, 2).reshape(*sizes, -1)

    def _codes(self, patches, weights, start=None):
        return solving(solve_sparse_code)(
            ops.convert_to_tensor(patches),
            self._kernel,
            ops.convert_to_tensor(weights, "float32"),
            self._step_size,
            strides=self.size,
            padding="valid",
            iterations=self._iterations,
            tolerance=None,
            initial_codes=start,
        )


def adapted(atoms, given, moments, products, weight):
    """Atoms that have learned from codes, towards others.

    `min_D ‖X - D Z‖² + w ‖D - D₀‖²`, by `SWEEPS` rounds over the atoms, each
    of which is scaled to norm 1.

    Args:
        atoms: array `D` to begin with, an atom a column.
        given: array `D₀`.
        moments, products: as of `best_atom`.
        weight: float `w > 0`.
    """
    atoms = atoms.astype("float64")
    moments = moments + weight * np.eye(atoms.shape[1])
    products = products + weight * given
    for _ in range(SWEEPS):
        for index in range(atoms.shape[1]):
            atom = best_atom(atoms, moments, products, index)
            if np.any(atom):
                atoms[:, index] = atom / np.linalg.norm(atom)
    return atoms


def best_atom(atoms, moments, products, index):
    """The column that lowers `‖X - D Z‖²` most, the others as they are.

    Args:
        atoms: array `D`, an atom a column.
        moments: array `Z Zᵀ` of codes, an atom a row of `Z`.
        products: array `X Zᵀ` of patches, a patch a column of `X`.
        index: int, which column; its atom is used.

    Reference:
        Mairal, Bach, Ponce & Sapiro, Online learning for matrix factorization
        and sparse coding, JMLR 2010, equation (10), before it is scaled.
    """
    slope = products[:, index] - atoms @ moments[:, index]
    return atoms[:, index] + slope / moments[index, index]


def restore(image, mask, blur, noise, smoothness, levels, denoise):
    """Restores an image `x` from `y = M H x + noise`, by splitting.

    It begins with `smooth_part`. Then, for every level `τ` in turn, `v` is what
    a denoiser makes of `x` at the noise level `τ`, and `x = argmin_x ‖y - M H
    x‖²/σ² + ‖x - v‖²/τ²`. The scene goes on beyond the borders as far as the
    blur carries it into the image, and is estimated there too.

    Args:
        image: float32 array `y` `(height, width, channels)`.
        mask: array `M` of 0 and 1 that broadcasts to it.
        blur: array `(2r + 1, 2t + 1)`, or `None`.
        noise: float `σ ≥ 0`, standard deviation.
        smoothness: float, as of `smooth_part`.
        levels: floats, the `τ`.
        denoise: function of an image and a level.

    Returns:
        float32 array of the shape of `image`.

    Reference:
        Zoran & Weiss, From learning models of natural image patches to whole
        image restoration, ICCV 2011, section 3.
    """
    height, width, _ = image.shape
    rows, columns = (0, 0) if blur is None else (n // 2 for n in blur.shape)
    beyond = [(rows, rows), (columns, columns), (0, 0)]
    known = np.broadcast_to(np.float32(mask), image.shape)
    known = np.pad(known, beyond)[None]
    blur = None if blur is None else ops.convert_to_tensor(blur)
    measurement = Measurement(ops.convert_to_tensor(known), blur)
    seen = ops.convert_to_tensor(known * np.pad(image, beyond)[None])
    found = solving(smooth_part)(seen, smoothness, measurement)
    for level in levels:
        mean = denoise(ops.convert_to_numpy(found)[0], level)
        mean = ops.convert_to_tensor(mean[None])
        missed = seen - measurement.forward(mean)
        weight = ops.convert_to_tensor((noise / level) ** 2, "float32")
        found = mean + solving(ridge_regression)(missed, weight, measurement)
    found = ops.convert_to_numpy(found)[0]
    return found[rows : rows + height, columns : columns + width]


def smooth_part(images, smoothness, measurement):
    """The smooth image that explains a measurement, by Tikhonov.

    `argmin_l ½‖y - M H l‖² + (α/2)‖∇l‖²`, with the differences of neighbours
    as `∇`, by conjugate residuals. Where nothing is measured, it is what a
    membrane would be there.

    Args:
        images: tensor `y` `(batch, height, width, channels)`, 0 where nothing
            is measured.
        smoothness: float `α > 0`. Without mask and blur, waves of
            `2π √α` pixels are halved.
        measurement: `ops.Measurement`.

    Returns:
        Tensor `l` of the shape of `images`.

    Reference:
        Wohlberg, SPORCO: a Python package for standard and convolutional
        sparse representations, SciPy 2017, for low frequencies treated so.
    """
    return _solved(
        images, measurement, lambda values: smoothness * _roughness(values)
    )


def ridge_regression(images, weight, measurement):
    """`argmin_x ½‖y - M H x‖² + (w/2)‖x‖²`, by conjugate residuals.

    Args:
        images, measurement: as of `smooth_part`.
        weight: float `w ≥ 0`.
    """
    return _solved(images, measurement, lambda values: weight * values)


def _solved(images, measurement, slope):
    """Where `Hᵀ Mᵀ (M H x - y)` and the slope of a penalty add up to 0."""

    def curvature(values):
        seen = measurement.adjoint(measurement.forward(values))
        return seen + slope(values)

    return conjugate_residuals(curvature, measurement.adjoint(images), STEPS)


def _roughness(images):
    """`∇ᵀ∇` of images: differences at the borders are 0."""
    total = 0
    for axis in (1, 2):
        step = ops.diff(images, axis=axis)
        before, after = [[0, 0]] * 4, [[0, 0]] * 4
        before[axis], after[axis] = [1, 0], [0, 1]
        total = total + ops.pad(step, before) - ops.pad(step, after)
    return total
