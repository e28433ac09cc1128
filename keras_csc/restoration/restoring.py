"""An image from what was measured of it, by programs of sparse coding."""

import collections
import math

import numpy as np
from keras import ops

from keras_csc.ops import Measurement
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import spectral_bound
from keras_csc.ops import synthesis
from keras_csc.ops.dispatch import forms
from keras_csc.restoration.shifts import ShiftedGrids
from keras_csc.restoration.smooth import smooth_part

# Codes of a batch of windows: the solver holds some ten tensors of that size.
MOST_CODES = 2**23

Settings = collections.namedtuple(
    "Settings",
    [
        "sparsity",
        "rounds",
        "reweighting",
        "offset",
        "pilot_sparsity",
        "flat_weight",
        "smoothness",
        "step",
        "iterations",
        "tolerance",
    ],
)
Settings.__doc__ = """How an image is restored. `σ` is the noise level.

Fields:
    sparsity: float, `λ / σ` in the first round.
    rounds: int, how often programs are solved. From the second on, codes have
        `λ` of their own, `r σ² / (|ẑ| + δ σ)`, where `ẑ` are the codes of the
        mean image of the round before.
    reweighting: float `r`.
    offset: float `δ > 0`.
    pilot_sparsity: float, `λ / σ` of the program whose solution `ẑ` is.
    flat_weight: float, what `λ` of the constant atoms is multiplied by.
    smoothness: float, `α` of `smooth_part`.
    step: int, pixels between two shifts of the grid of the atoms; at most the
        strides. Half of it takes four times as long.
    iterations: int, the most that a program is given.
    tolerance: float, the relative stationarity at which it is solved.

Reference:
    Candès, Wakin & Boyd, Enhancing sparsity by reweighted l1 minimization,
    J. Fourier Analysis and Applications 2008, section 2.2.
"""


def restore(
    image, mask, blur, noise, dictionary, settings, progress=None, records=None
):
    """Restores an image of which `y = M H x + noise` was measured.

    `x = l + A z` with the smooth image `l` of `smooth_part` and, for every
    shift of the grid of the atoms, `z = argmin_z Σ_i λ_i |z_i| +
    ½‖y - M H (l + A z)‖²`; the image is the mean over the shifts, in which
    pixels weigh `1 / (1 + n)` where they have `n` codes that are not 0: such
    estimates have less noise (Dabov et al., Image denoising by sparse 3-D
    transform-domain collaborative filtering, IEEE TIP 2007, eq. 10). `A` has
    the atoms of the dictionary and constant ones.

    Args:
        image: array `y` `(height, width, channels)`.
        mask: array `M` that broadcasts to it, in `[0, 1]`.
        blur: array `(2r + 1, 2t + 1)`, or `None`.
        noise: float `σ > 0`, standard deviation, in the units of the image.
        dictionary: layer `ConvSparseCoding2D`.
        settings: `Settings`.
        progress: function of the number of programs that are solved and of
            all, or `None`.
        records: list that `IterationStatistics` of every program are added
            to, or `None`.

    Returns:
        float32 array of the shape of `image`.
    """
    restoration = _Restoration(
        np.asarray(image, "float32"),
        np.asarray(mask, "float32"),
        blur,
        noise,
        dictionary,
        settings,
    )
    return restoration.run(progress or (lambda done, total: None), records)


def dictionary_kernel(dictionary):
    """Kernel of a dictionary, behind a constant atom for every channel."""
    atoms = np.asarray(ops.convert_to_numpy(dictionary.kernel), "float32")
    size, _, channels, _ = atoms.shape
    flat = np.broadcast_to(
        np.eye(channels) / size, (size, size) + (channels,) * 2
    )
    return np.concatenate([flat, atoms], -1).astype("float32")


class _Restoration:
    """What the rounds of one image share; see `restore`."""

    def __init__(self, image, mask, blur, noise, dictionary, settings):
        self.settings, self.noise = settings, noise
        self.blur = None if blur is None else ops.convert_to_tensor(blur)
        self.strides = dictionary.strides
        kernel = dictionary_kernel(dictionary)
        self.grids = ShiftedGrids(
            image.shape[:2],
            kernel.shape[0],
            self.strides,
            min(settings.step, self.strides),
            (0, 0) if blur is None else tuple(n // 2 for n in blur.shape),
        )
        self.weights = np.ones(kernel.shape[-1], "float32")
        self.weights[: kernel.shape[2]] = settings.flat_weight
        self.kernel = ops.convert_to_tensor(kernel)
        bound = float(spectral_bound(self.kernel, self.strides))
        measured = float(self._measurement(None).squared_norm_bound())
        self.step_size = ops.convert_to_tensor(1 / bound, "float32")
        self.measured_step_size = self.step_size / measured
        self.mask = self.grids.pad(np.broadcast_to(mask, image.shape))
        padded = self.grids.pad(image) * self.mask
        self.low = self._smooth(padded)
        self.detail = padded - self._seen(self.low)

    def run(self, progress, records):
        chunks = list(self._chunks())
        total, estimate = len(chunks) * self.settings.rounds, None
        for turn in range(self.settings.rounds):
            summed = np.zeros_like(self.detail)
            count = np.zeros_like(self.detail)
            for number, shifts in enumerate(chunks):
                windows = self._solved(shifts, estimate, records)
                self.grids.add(summed, count, *windows, shifts)
                progress(turn * len(chunks) + number + 1, total)
            estimate = summed / np.where(count > 0, count, 1)
        return self.grids.crop(self.low + estimate)

    def _chunks(self):
        """Lists of shifts whose programs are solved as one batch."""
        shifts = self.grids.shifts
        codes = math.prod(self.grids.code_size) * self.kernel.shape[-1]
        size = min(max(MOST_CODES // codes, 1), len(shifts))
        # All of one size: a backend that compiles does so once.
        while len(shifts) % size:
            size -= 1
        for start in range(0, len(shifts), size):
            yield shifts[start : start + size]

    def _measurement(self, mask):
        return Measurement(mask, self.blur)

    def _smooth(self, padded):
        mask = ops.convert_to_tensor(self.mask[None])
        images = ops.convert_to_tensor(padded[None])
        low = forms().solving(smooth_part)(
            images, self.settings.smoothness, self._measurement(mask)
        )
        return ops.convert_to_numpy(low)[0]

    def _seen(self, image):
        measurement = self._measurement(ops.convert_to_tensor(self.mask[None]))
        seen = measurement.forward(ops.convert_to_tensor(image[None]))
        return ops.convert_to_numpy(seen)[0]

    def _solved(self, shifts, estimate, records):
        """`A z` of the windows of some shifts, and the weights of pixels."""
        settings, noise = self.settings, self.noise
        sparsity, start = settings.sparsity * noise * self.weights, None
        if estimate is not None:
            start = self._codes(
                self.grids.windows(estimate, shifts),
                settings.pilot_sparsity * noise * self.weights,
                self.step_size,
            )
            most = settings.reweighting * noise**2 * self.weights
            sparsity = ops.divide(
                ops.convert_to_tensor(most),
                ops.abs(start) + settings.offset * noise,
            )
        mask = self.grids.windows(self.mask, shifts)
        codes = self._codes(
            self.grids.windows(self.detail, shifts),
            sparsity,
            self.measured_step_size,
            self._measurement(ops.convert_to_tensor(mask)),
            start,
            records,
        )
        images = self._synthesis(codes, self.kernel)
        return images, 1 / (1 + self._synthesis(*self._used(codes)))

    def _used(self, codes):
        """How many codes are not 0, and an atom that spreads them."""
        used = ops.cast(ops.not_equal(codes, 0), codes.dtype)
        box = ops.ones((*self.kernel.shape[:2], 1, 1), codes.dtype)
        return ops.sum(used, -1, keepdims=True), box

    def _synthesis(self, codes, kernel):
        images = synthesis(
            codes, kernel, self.grids.window_size, self.strides, "valid"
        )
        return ops.convert_to_numpy(images)

    def _codes(
        self,
        images,
        sparsity,
        step_size,
        measurement=None,
        start=None,
        records=None,
    ):
        found = forms().solving(solve_sparse_code)(
            ops.convert_to_tensor(images),
            self.kernel,
            ops.convert_to_tensor(sparsity),
            step_size,
            strides=self.strides,
            padding="valid",
            iterations=self.settings.iterations,
            tolerance=self.settings.tolerance,
            criterion="stationarity",
            measurement=measurement,
            initial_codes=start,
            statistics=records is not None,
        )
        if records is None:
            return found
        records.append(found[1])
        return found[0]
