"""Unrolled convolutional sparse coding, trained to remove noise."""

import functools

import keras
import numpy as np
from keras import ops
from scipy.fft import dct

from keras_csc.presets import PresetModel
from keras_csc.restoration.geometry import BLOCK
from keras_csc.restoration.geometry import BORDER
from keras_csc.restoration.geometry import from_blocks
from keras_csc.restoration.geometry import mirrored
from keras_csc.restoration.geometry import spans
from keras_csc.restoration.geometry import to_blocks
from keras_csc.restoration.geometry import turned
from keras_csc.restoration.geometry import turned_back
from keras_csc.validation import check_integer

# The trained denoisers, by the channels of their images.
SHIPPED = {1: "sparse_denoiser", 3: "sparse_denoiser_colour"}
# Grey, and two differences of colours: the colours of the first atoms.
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]])
OPPONENT = OPPONENT / np.linalg.norm(OPPONENT, axis=1, keepdims=True)
# Stride of the codes.
STRIDE = 2
# The first thresholds, in deviations of the noise in a code.
THRESHOLD = 0.4


@keras.saving.register_keras_serializable(package="keras_csc")
class SparseDenoiser(PresetModel):
    """A denoiser that solves for sparse codes, in few steps that it learned.

    For a noisy image `y`, less its mean `m`, with noise of deviation `σ`:

        z₁ = S(A₁ y; τ₁),   z_k = S(z_{k-1} + A_k (y - B_k z_{k-1}); τ_k),
        x̂ = m + D z_K,      τ_k = a_k + b_k σ,

    where `S(v; τ)` is the soft threshold of both signs. `B_k` and `D` draw with
    atoms of `kernel_size` pixels at every second pixel. The `A_k` correlate
    with such atoms. All `2 K` dictionaries and the thresholds, `a, b ≥ 0` of
    every atom and step, are learned. At first the steps are iterations of ISTA
    with one dictionary, the discrete cosines, which is a tight frame. Atoms of
    colours are first these in grey, and the slow ones in two differences of
    colours.

    It is called with images and deviations. Images go on beyond their borders
    as in a mirror. In training the result lacks `BORDER` pixels at each side.

    Args:
        filters: int, atoms of a dictionary, at most `channels kernel_size²`.
        kernel_size: int from 2 to 10, side of an atom.
        iterations: int, `K`, from 1 to 100.
        channels: int, 1 or 3, of the images.
        **kwargs: of `keras.Model`, such as `dtype`.

    Raises:
        ValueError: for an argument that is not as above.

    References:
        Gregor & LeCun, Learning fast approximations of sparse coding, ICML
        2010; Simon & Elad, Rethinking the CSC model for natural images,
        NeurIPS 2019; Janjušević, Khalilian-Gourtani & Wang, CDLNet: noise-
        adaptive convolutional dictionary learning network for blind denoising
        and demosaicing, IEEE OJSP 2022, for thresholds that grow with `σ`.

    Example:

    >>> denoiser = keras_csc.restoration.SparseDenoiser.from_preset()
    >>> images = np.full((1, 40, 50, 1), 0.5, "float32")
    >>> denoiser((images, np.array([25 / 255]))).shape
    TensorShape([1, 40, 50, 1])
    """

    def __init__(
        self, filters=64, kernel_size=8, iterations=8, channels=1, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        check_integer(2, 3 * BLOCK - STRIDE, kernel_size=kernel_size)
        if channels not in SHIPPED:
            raise ValueError(f"`channels` must be 1 or 3. Received: {channels}")
        check_integer(1, channels * kernel_size**2, filters=filters)
        check_integer(1, 100, iterations=iterations)
        self.filters, self.kernel_size = filters, kernel_size
        self.iterations, self.channels = iterations, channels
        cosines = _cosines(kernel_size)
        if channels == 3:
            cosines = _in_colours(cosines)
        kernel = np.stack(iterations * [cosines[..., :filters]])

        def weight(name, value, constraint=None):
            return self.add_weight(
                name=name,
                shape=value.shape,
                initializer=lambda shape, dtype: ops.convert_to_tensor(
                    value, dtype
                ),
                constraint=constraint,
            )

        self.analysis_kernels = weight("analysis_kernels", kernel)
        self.synthesis_kernels = weight("synthesis_kernels", kernel)
        norms = np.sqrt(np.sum(kernel**2, (1, 2, 3)))
        self.offsets = weight("offsets", 0 * norms, "non_neg")
        self.slopes = weight("slopes", THRESHOLD * norms, "non_neg")
        self.built = True

    @classmethod
    def from_preset(cls, preset=SHIPPED[1], dtype=None):
        """The trained denoiser that comes with the package, or another."""
        return super().from_preset(preset, dtype)

    def begin_as(self, grey):
        """Takes the atoms and thresholds of a denoiser of grey images."""
        filters, kernels = self.filters, grey.get_weights()[:2]
        which = np.r_[: grey.filters, np.repeat(np.arange(grey.filters), 2)]
        thresholds = [each[:, which] for each in grey.get_weights()[2:]]
        kernels = [_in_colours(kernel) for kernel in kernels]
        weights = [*kernels, *thresholds]
        self.set_weights([each[..., :filters] for each in weights])

    def call(self, inputs, training=False):
        """Denoises images.

        Args:
            inputs: images `(batch, height, width, channels)`, floats in [0, 1]
                but for the noise. The second input is the deviations of their
                noise `(batch,)`, in the same units. A third input,
                `(batch, channels)`, is taken for the means, such as the means
                of a larger image.
            training: bool. In training, sides must be divisible by 4. The
                result then lacks `BORDER` pixels at each side, where codes know
                only one side.

        Returns:
            float32 tensor `(batch, height, width, channels)`, not cut off at 0
            and 1.
        """
        images, noise, *means = inputs
        images = ops.cast(images, "float32")
        size = ops.shape(images)[1:3]
        if not training:
            images = mirrored(images)
        means = means[0] if means else ops.mean(images, (1, 2))
        means = means[:, None, None]
        codes = self._codes(images - means, noise)
        drawn = self._in_blocks(codes, self.iterations - 1)
        made = from_blocks(ops.cast(drawn, "float32"), BLOCK) + means
        if training:
            return made[:, BORDER:-BORDER, BORDER:-BORDER]
        return made[:, BORDER : BORDER + size[0], BORDER : BORDER + size[1]]

    def codes(self, images, noise):
        """The codes `z_K`: what is drawn is `x̂ = m + D z_K`.

        Args:
            images, noise: as in `call`.

        Returns:
            Tensor `(batch, rows, columns, filters)`, one place for every two
            pixels of the images and of the mirrors around them, `BORDER`
            pixels or more.
        """
        images = mirrored(ops.cast(images, "float32"))
        means = ops.mean(images, (1, 2), keepdims=True)
        return from_blocks(self._codes(images - means, noise), BLOCK // STRIDE)

    def denoise(self, image, noise, progress=None, turns=1):
        """Denoises an image of any size, with the memory of a tile.

        Args:
            image: float array `(height, width, channels)`.
            noise: float `σ`, in the units of the image.
            progress: function of the number of tiles done, and of all tiles.
            turns: int from 1 to 8. The result is the mean of so many results,
                of the image `turned` differently, and turned back.

        Returns:
            float32 array of the shape of `image`.

        Reference:
            Timofte, Rothe & Van Gool, Seven ways to improve example-based
            single image super resolution, CVPR 2016, section 3.6, for the mean
            of turned images.
        """
        check_integer(1, 8, turns=turns)
        if turns > 1:
            return self._mean_of_turns(image, noise, progress, turns)
        found = np.empty(image.shape, "float32")
        given = np.float32([noise]), np.float32(image.mean((0, 1)))[None]
        tiles = [
            (rows, columns)
            for rows in spans(image.shape[0])
            for columns in spans(image.shape[1])
        ]
        for done, ((top, bottom, *rows), (left, right, *columns)) in enumerate(
            tiles, start=1
        ):
            tile = image[None, top:bottom, left:right].astype("float32")
            made = self.predict_on_batch((tile, *given))[0]
            (first, last), (start, end) = rows, columns
            inner = made[first - top : last - top, start - left : end - left]
            found[first:last, start:end] = inner
            if progress:
                progress(done, len(tiles))
        return found

    def _mean_of_turns(self, image, noise, progress, turns):
        total = np.zeros(image.shape, "float32")
        for number in range(turns):

            def report(done, count, before=number):
                if progress:
                    progress(done + before * count, turns * count)

            made = self.denoise(turned(image, number), noise, report)
            total += turned_back(made, number)
        return total / turns

    def _codes(self, signal, noise):
        """`z_K` in blocks, of images less their means."""
        signal = to_blocks(ops.cast(signal, self.compute_dtype), BLOCK)
        noise = ops.cast(noise, self.compute_dtype)
        noise = ops.reshape(noise, (-1, 1, 1, 1))
        codes, residual = 0, signal
        for step in range(self.iterations):
            if step:
                residual = signal - self._in_blocks(codes, step - 1)
            kernel = self._of_blocks(self.analysis_kernels[step])
            codes = codes + ops.conv(residual, kernel, padding="same")
            offset, slope = self.offsets[step], self.slopes[step]
            threshold = ops.cast(offset, noise.dtype) + noise * ops.cast(
                slope, noise.dtype
            )
            threshold = ops.tile(threshold, (1, 1, 1, (BLOCK // STRIDE) ** 2))
            codes = codes - ops.clip(codes, -threshold, threshold)
        return codes

    def _in_blocks(self, codes, step):
        """What the atoms of a step draw, blocks of pixels."""
        kernel = self._of_blocks(self.synthesis_kernels[step])
        kernel = ops.transpose(kernel, (0, 1, 3, 2))
        kernel = ops.flip(ops.flip(kernel, 0), 1)  # OpenVINO flips one axis
        return ops.conv(codes, kernel, padding="same")

    def _of_blocks(self, kernel):
        """Atoms as a kernel that maps blocks of pixels to blocks of codes.

        Convolutions of one channel are slow. Kernels of three by three blocks,
        with a block's pixels as channels, are fast, though they hold an atom
        and zeros around it.

        Args:
            kernel: tensor `(k, k, channels, filters)`.

        Returns:
            Tensor `(3, 3, 16 channels, 4 filters)`.
        """
        side, room = 3 * BLOCK, 3 * BLOCK - STRIDE - self.kernel_size
        starts = range(room // 2, room // 2 + BLOCK, STRIDE)
        atoms = [
            ops.pad(
                kernel,
                [
                    (row, side - row - self.kernel_size),
                    (column, side - column - self.kernel_size),
                    (0, 0),
                    (0, 0),
                ],
            )
            for row in starts
            for column in starts
        ]
        kernel = ops.stack(atoms, 3)
        numbers = self.channels * len(atoms) * self.filters
        kernel = ops.reshape(kernel, (3, BLOCK, 3, BLOCK, numbers))
        kernel = ops.transpose(kernel, (0, 2, 1, 3, 4))
        kernel = ops.reshape(kernel, (3, 3, BLOCK**2 * self.channels, -1))
        return ops.cast(kernel, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "iterations": self.iterations,
            "channels": self.channels,
        }


@functools.cache
def shipped(channels):
    """The trained denoiser of images of 1 or 3 channels, loaded once."""
    return SparseDenoiser.from_preset(SHIPPED[channels])


def _cosines(size):
    """Discrete cosines as a tight frame at a stride of 2, slow ones first.

    Returns:
        float32 array `(size, size, 1, size²)`.
    """
    wave = dct(np.eye(size), axis=0, norm="ortho")
    atoms = np.einsum("uy,vx->yxuv", wave, wave).reshape(size, size, 1, -1)
    order = [u**2 + v**2 for u, v in np.ndindex(size, size)]
    atoms = atoms[..., np.argsort(order, kind="stable")]
    return (atoms * STRIDE / size).astype("float32")


def _in_colours(atoms):
    """Atoms `(..., 1, filters)` in grey, and then in turns in two colours.

    Returns:
        float32 array `(..., 3, 3 filters)`.
    """
    grey, *others = (atoms * colour[:, None] for colour in OPPONENT)
    others = np.stack(others, -1).reshape(grey.shape[:-1] + (-1,))
    return np.concatenate([grey, others], -1).astype("float32")
