"""Four tasks: what was measured of an image, and how it is restored."""

import numpy as np

from keras_csc.restoration import checks as checked
from keras_csc.restoration.dictionaries import default_dictionary
from keras_csc.restoration.restoring import LEAST_NOISE
from keras_csc.restoration.restoring import restore
from keras_csc.restoration.settings import Settings
from keras_csc.validation import check_integer


def _levels(first, last, count):
    """Noise levels of a splitting, of 255, from large to small."""
    return tuple(np.geomspace(first, last, count) / 255)


# Chosen of few values, on photographs that neither the dictionaries nor the
# page of results have seen. `studies/restoration.py --choose` compares others.
DENOISE = Settings(
    sparsity=1.8,
    rounds=4,
    reweighting=1.0,
    offset=0.1,
    pilot_sparsity=0.3,
    flat_weight=0.05,
    smoothness=1e4,
    step=2,
    iterations=40,
    tolerance=1e-3,
    adaptation=5.0,
)
PRIOR = Settings(
    sparsity=1.0,
    rounds=2,
    reweighting=0.5,
    offset=0.1,
    pilot_sparsity=0.3,
    flat_weight=0.0,
    smoothness=None,
    step=2,
    iterations=15,
    tolerance=1e-3,
)
INPAINT = Settings(
    sparsity=2.0,
    rounds=1,
    reweighting=5.0,
    offset=1.0,
    pilot_sparsity=1.0,
    flat_weight=0.05,
    smoothness=0.5,
    step=2,
    iterations=100,
    tolerance=1e-3,
    levels=_levels(20, 1, 8),
    prior=PRIOR,
)
DEBLUR = INPAINT._replace(
    sparsity=0.15,
    reweighting=0.1,
    offset=0.5,
    pilot_sparsity=0.3,
    smoothness=0.2,
    step=4,
    levels=_levels(20, 3, 6),
)
ENLARGE = DEBLUR._replace(
    sparsity=0.5,
    reweighting=0.5,
    smoothness=0.02,
    levels=_levels(20, 3, 5),
)


def denoise(
    image, noise, dictionary=None, settings=None, progress=None, records=None
):
    """Removes white Gaussian noise: `y = x + noise`.

    See `restoring.restore` for the programs that are solved.

    Args:
        image: array `y` `(height, width)` or `(height, width, 1 or 3)` of
            floats, in `[0, 1]` but for the noise: at most 1 % of its pixels
            further outside than `4 σ + 0.1`.
        noise: float `0 < σ ≤ 1`, standard deviation of the noise, in the units
            of the image: `25 / 255` for 25 of 255 levels. Less than `1 / 255`
            is taken for `1 / 255`, which is what atoms leave over of images
            without noise: finer levels, as of 16 bits, are smoothed away.
        dictionary: layer `ConvSparseCoding2D` with the channels of the image,
            by default the one that ships.
        settings: `Settings`, by default those chosen for the task.
        progress: function of the number of batches of programs, one a shift
            and round, that are solved, and of all; or `None`.
        records: list that the `ops.IterationStatistics` of every such batch
            are added to; or `None`.

    Returns:
        float32 array of the shape of `image`. What lies beyond `[0, 1]` is
        cut off.

    Raises:
        ValueError: for an image or arguments that are not as above.

    References:
        Elad & Aharon, Image denoising via sparse and redundant
        representations over learned dictionaries, IEEE TIP 2006; Simon &
        Elad, Rethinking the CSC model for natural images, NeurIPS 2019.
    """
    pixels = checked.image(image)
    checked.check_scale(pixels, noise, "(0, inf)")
    dictionary = _dictionary(dictionary, pixels)
    how = dictionary, settings or DENOISE, progress, records
    found = restore(pixels, np.ones((1, 1, 1)), None, noise, *how)
    return _like(found, image)


def inpaint(
    image,
    mask,
    noise=0.0,
    dictionary=None,
    settings=None,
    progress=None,
    records=None,
):
    """Fills in pixels that are missing: `y = M (x + noise)`.

    Args:
        image: array `y`, as for `denoise`; its values where the mask is 0 do
            not matter, as long as they are finite.
        mask: array `M` `(height, width)` or `(height, width, 1 or channels)`,
            1 where pixels are known and 0 where they are missing.
        noise: float `0 ≤ σ ≤ 1`, standard deviation of the noise. For 0, known
            pixels stay as they are.
        dictionary, settings, progress, records: as for `denoise`.

    Returns:
        float32 array of the shape of `image`, cut off at `[0, 1]`.

    Raises:
        ValueError: for an image or arguments that are not as above.

    Reference:
        Mairal, Elad & Sapiro, Sparse representation for color image
        restoration, IEEE TIP 2008, section V.
    """
    pixels = checked.image(image)
    known = checked.mask(mask, pixels)
    seen = pixels[np.broadcast_to(known > 0, pixels.shape)]
    checked.check_scale(seen, noise)
    dictionary = _dictionary(dictionary, pixels)
    how = dictionary, settings or INPAINT, progress, records
    found = restore(pixels * known, known, None, noise, *how)
    if noise == 0:
        found = np.where(known > 0, pixels, found)
    return _like(found, image)


def deblur(
    image,
    kernel,
    noise=LEAST_NOISE,
    dictionary=None,
    settings=None,
    progress=None,
    records=None,
):
    """Undoes a known blur: `y = H x + noise`, a convolution with a kernel.

    The scene goes on beyond the borders of the image, and is estimated there
    too: the borders are not taken for black, nor for a period.

    Args:
        image: array `y`, as for `denoise`.
        kernel: array `(height, width)` of numbers of at least 0, the image of
            a point; it is scaled to a sum of 1. Its middle, for an even size
            the second of the two, is where the point was.
        noise: float `0 < σ ≤ 1`, standard deviation of the noise, by default
            `1 / 255`, for images of 8 bits with hardly any noise.
        dictionary, settings, progress, records: as for `denoise`.

    Returns:
        float32 array of the shape of `image`, cut off at `[0, 1]`.

    Raises:
        ValueError: for an image or arguments that are not as above.
    """
    pixels = checked.image(image)
    blur = checked.blur(kernel)
    checked.check_scale(pixels, noise, "(0, inf)")
    dictionary = _dictionary(dictionary, pixels)
    how = dictionary, settings or DEBLUR, progress, records
    found = restore(pixels, np.ones((1, 1, 1)), blur, noise, *how)
    return _like(found, image)


def enlarge(
    image,
    factor,
    noise=LEAST_NOISE,
    dictionary=None,
    settings=None,
    progress=None,
    records=None,
):
    """Makes an image larger: `y = S H x + noise`, blurred and sampled.

    `H` is the Gaussian blur of `anti_aliasing(factor)`, and `S` keeps one
    pixel of every `factor × factor`, the middle one (of an even number the
    second of the two).

    Args:
        image: array `y`, as for `denoise`.
        factor: int from 2 to 8.
        noise: as for `deblur`.
        dictionary, settings, progress, records: as for `denoise`.

    Returns:
        float32 array of `factor` times the height and width of `image`, cut
        off at `[0, 1]`.

    Raises:
        ValueError: for an image or arguments that are not as above.
    """
    pixels = checked.image(image)
    check_integer(2, 8, factor=factor)
    checked.check_scale(pixels, noise, "(0, inf)")
    height, width, channels = pixels.shape
    middle = factor // 2
    spread = np.zeros((height * factor, width * factor, channels), "float32")
    spread[middle::factor, middle::factor] = pixels
    known = np.zeros((*spread.shape[:2], 1), "float32")
    known[middle::factor, middle::factor] = 1
    dictionary = _dictionary(dictionary, pixels)
    how = dictionary, settings or ENLARGE, progress, records
    found = restore(spread, known, anti_aliasing(factor), noise, *how)
    return _like(found, image)


def anti_aliasing(factor):
    """The `gaussian` of a deviation of `0.4 factor` pixels."""
    return gaussian(0.4 * factor)


def gaussian(deviation):
    """Kernel of a Gaussian blur, of sum 1, cut off at three deviations.

    Args:
        deviation: float `> 0`, in pixels.

    Returns:
        float32 array of two odd sizes.
    """
    reach = int(np.ceil(3 * deviation))
    wave = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel = np.outer(wave, wave)
    return (kernel / kernel.sum()).astype("float32")


def _dictionary(dictionary, pixels):
    """The dictionary to use: with the channels of the image."""
    channels = pixels.shape[-1]
    if dictionary is None:
        return default_dictionary(channels)
    shape = getattr(getattr(dictionary, "kernel", None), "shape", ())
    strides = getattr(dictionary, "strides", 0)
    if len(shape) != 4 or not 1 <= strides <= min(shape[:2]):
        raise ValueError(
            "`dictionary` must be a layer ConvSparseCoding2D that is built, "
            "with strides of at most its atoms' size. Received: "
            f"{type(dictionary).__name__} with a kernel of shape "
            f"{tuple(shape)} and strides {strides}"
        )
    if shape[2] != channels:
        raise ValueError(
            f"`dictionary` must be for images of {channels} channels. "
            f"Received: one for {shape[2]}"
        )
    return dictionary


def _like(found, image):
    """The result, with an axis of channels only where the image has one."""
    found = np.clip(found, 0.0, 1.0)
    return found[..., 0] if np.ndim(image) == 2 else found
