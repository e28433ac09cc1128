"""An image from what was measured of it, by programs of sparse coding."""

import math

import numpy as np
from keras import ops

from keras_csc.ops import Measurement
from keras_csc.ops import analysis
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import synthesis
from keras_csc.ops.dispatch import forms
from keras_csc.restoration.adaptation import AdaptedAtoms
from keras_csc.restoration.quadratic import ridge_regression
from keras_csc.restoration.quadratic import smooth_part
from keras_csc.restoration.settings import check_settings
from keras_csc.restoration.shifts import ShiftedGrids

# Codes of a batch of windows: the solver holds some ten tensors of that size.
MOST_CODES = 2**23
# Deviation of what no sparse code explains, where pixels have no noise.
LEAST_NOISE = 1 / 255
# Of `σ`, the least level of the splitting.
LEAST_LEVEL = 1.5


def restore(
    image, mask, blur, noise, dictionary, settings, progress=None, records=None
):
    """Restores an image `x` from a measurement `y = M H x + noise`.

    `x = l + A z` with the smooth image `l` of `smooth_part` and, for every
    shift of the grid of the atoms, `z = argmin_z Σ_i λ_i |z_i| +
    ½‖y - M H (l + A z)‖²`; the image is the mean over the shifts, in which
    pixels weigh `1 / (1 + n)` where they have `n` codes that are not 0: such
    estimates have less noise (Dabov et al., Image denoising by sparse 3-D
    transform-domain collaborative filtering, IEEE TIP 2007, eq. 10). `A` has
    the atoms of the dictionary and constant ones.

    Where atoms see few pixels, that is not enough. With `levels` the image is
    then split: for every level `τ`, in turn, `v` is the mean image that the
    same programs, without `M` and `H`, make of `x` at the noise level `τ`, and
    `x = argmin_x ‖y - M H x‖²/σ² + ‖x - v‖²/τ²`.

    Args:
        image: array `y` `(height, width, channels)`.
        mask: array `M` of 0 and 1 that broadcasts to it.
        blur: array `(2r + 1, 2t + 1)`, or `None`.
        noise: float `σ ≥ 0`, standard deviation, in the units of the image.
            Less than `1/255` is taken for `1/255`: images are not sparse to
            the last digit.
        dictionary: layer `ConvSparseCoding2D`.
        settings: `Settings`.
        progress: function of the number of batches of programs, one a shift
            and round, that are solved and of all, or `None`.
        records: list that `IterationStatistics` of every such batch are added
            to, or `None`.

    Returns:
        float32 array of the shape of `image`.
    """
    check_settings(settings, mask, blur)
    restoration = _Restoration(
        np.asarray(image, "float32"),
        np.asarray(mask, "float32"),
        blur,
        noise,
        dictionary,
        settings,
        progress or (lambda done, total: None),
        records,
    )
    return restoration.run()


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

    def __init__(
        self,
        image,
        mask,
        blur,
        noise,
        dictionary,
        settings,
        progress,
        records,
    ):
        self.settings, self.noise = settings, noise
        self.least = max(noise, LEAST_NOISE)
        self.progress, self.records = progress, records
        self.blur = None if blur is None else ops.convert_to_tensor(blur)
        self.strides = dictionary.strides
        self.atoms = AdaptedAtoms(dictionary_kernel(dictionary), self.strides)
        if settings.adaptation is not None:
            self.atoms.check()
        self.grids = ShiftedGrids(
            image.shape[:2],
            self.atoms.size,
            self.strides,
            (0, 0) if blur is None else tuple(n // 2 for n in blur.shape),
        )
        self.mask = self.grids.pad(np.broadcast_to(mask, image.shape))
        self.inside = self.grids.pad(np.ones((*image.shape[:2], 1)))
        self.observed = self.grids.pad(image) * self.mask
        self.low = self._smooth()
        self.done, self.total = 0, self._programs(settings)
        if settings.levels:
            every = self._programs(settings.prior)
            self.total += len(settings.levels) * every

    def _programs(self, settings):
        """How many batches of programs there are in some rounds."""
        return settings.rounds * len(list(self._chunks(settings.step)))

    def run(self):
        settings = self.settings
        detail = self.observed - self._seen(self.low)
        image = self.low + self._rounds(detail, self.least, settings, True)
        for level in settings.levels:
            level = max(level, LEAST_LEVEL * self.least)
            mean = self._rounds(image, level, settings.prior)
            image = self._fitted(mean, (self.noise / level) ** 2)
        return self.grids.crop(image)

    def _rounds(self, observed, noise, settings, measured=False):
        """The mean image of some rounds of programs.

        Args:
            observed: padded image.
            noise: float, its noise level.
            settings: `Settings`, of the rounds.
            measured: bool, whether it is what was measured.
        """
        estimate = None
        for turn in range(settings.rounds):
            if turn and settings.adaptation is not None:
                self.atoms.adapt(settings.adaptation)
            estimate = self._mean(observed, noise, settings, measured, estimate)
        return estimate

    def _mean(self, observed, noise, settings, measured, estimate):
        """The mean over the shifts of what their programs make."""
        adapting = settings.adaptation is not None
        summed, count = np.zeros_like(observed), np.zeros_like(observed)
        weights = np.ones(self.atoms.kernel.shape[-1], "float32")
        weights[: observed.shape[-1]] = settings.flat_weight
        for shifts in self._chunks(settings.step):
            windows = self.grids.windows(observed, shifts)
            mask = self.grids.windows(self.mask, shifts)
            sparsity, start = settings.sparsity * noise * weights, None
            if estimate is not None:
                pilot = self.grids.windows(estimate, shifts)
                sparsity, start = self._reweighted(
                    pilot, noise, weights, settings
                )
            codes = self._codes(
                windows,
                sparsity,
                settings,
                self._measurement(mask) if measured else None,
                start,
                self.records,
            )
            if adapting:
                inside = self.grids.windows(self.inside, shifts)
                self.atoms.see(windows, ops.convert_to_numpy(codes), inside)
            images = self._synthesis(codes, self.atoms.kernel)
            trust = 1 / (1 + self._synthesis(*self._used(codes)))
            self.grids.add(summed, count, images, trust, shifts)
            self.done += 1
            self.progress(self.done, self.total)
        return summed / np.where(count > 0, count, 1)

    def _reweighted(self, pilot, noise, weights, settings):
        """`λ` of every code, by the codes of a pilot image; and these codes."""
        codes = self._codes(
            pilot, settings.pilot_sparsity * noise * weights, settings
        )
        most = settings.reweighting * noise**2 * weights
        size = ops.abs(codes) + settings.offset * noise
        return ops.divide(ops.convert_to_tensor(most), size), codes

    def _fitted(self, mean, weight):
        """`argmin_x ‖y - M H x‖² + w ‖x - v‖²`, by conjugate residuals."""
        missed = self.observed - self._seen(mean)
        change = forms().solving(ridge_regression)(
            ops.convert_to_tensor(missed[None]),
            ops.convert_to_tensor(weight, "float32"),
            self._measurement(self.mask[None]),
        )
        return mean + ops.convert_to_numpy(change)[0]

    def _chunks(self, step):
        """Lists of shifts whose programs are solved as one batch."""
        shifts = self.grids.shifts(min(step, self.strides))
        codes = math.prod(self.grids.code_size) * self.atoms.kernel.shape[-1]
        size = min(max(MOST_CODES // codes, 1), len(shifts))
        # All of one size: a backend that compiles does so once.
        while len(shifts) % size:
            size -= 1
        for start in range(0, len(shifts), size):
            yield shifts[start : start + size]

    def _measurement(self, mask):
        return Measurement(ops.convert_to_tensor(mask), self.blur)

    def _smooth(self):
        if self.settings.smoothness is None:
            return np.zeros_like(self.observed)
        low = forms().solving(smooth_part)(
            ops.convert_to_tensor(self.observed[None]),
            self.settings.smoothness,
            self._measurement(self.mask[None]),
        )
        return ops.convert_to_numpy(low)[0]

    def _seen(self, image):
        measurement = self._measurement(self.mask[None])
        seen = measurement.forward(ops.convert_to_tensor(image[None]))
        return ops.convert_to_numpy(seen)[0]

    def _used(self, codes):
        """How many codes are not 0, and an atom that spreads them."""
        used = ops.cast(ops.not_equal(codes, 0), codes.dtype)
        box = ops.ones((self.atoms.size,) * 2 + (1, 1), codes.dtype)
        return ops.sum(used, -1, keepdims=True), box

    def _synthesis(self, codes, kernel):
        images = synthesis(
            codes, kernel, self.grids.window_size, self.strides, "valid"
        )
        return ops.convert_to_numpy(images)

    def _constants(self, images):
        """Codes of the constant atoms alone, where a solver begins.

        Means of patches are large, and all that it would do for a while.
        """
        flat = images.shape[-1]
        means = analysis(
            images, self.atoms.kernel[..., :flat], self.strides, "valid"
        )
        means = means * (self.strides / self.atoms.size) ** 2
        others = self.atoms.kernel.shape[-1] - flat
        return ops.pad(means, [[0, 0]] * 3 + [[0, others]])

    def _codes(
        self,
        images,
        sparsity,
        settings,
        measurement=None,
        start=None,
        records=None,
    ):
        images = ops.convert_to_tensor(images)
        bound = self.atoms.bound
        if measurement is not None:
            bound = bound * measurement.squared_norm_bound()
        elif start is None:
            start = self._constants(images)
        found = forms().solving(solve_sparse_code)(
            images,
            self.atoms.kernel,
            ops.convert_to_tensor(sparsity),
            1 / bound,
            strides=self.strides,
            padding="valid",
            iterations=settings.iterations,
            tolerance=settings.tolerance,
            criterion="stationarity",
            measurement=measurement,
            initial_codes=start,
            statistics=records is not None,
        )
        if records is None:
            return found
        records.append(found[1])
        return found[0]
