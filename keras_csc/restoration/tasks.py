"""Four tasks: each measures an image in its way, and restores it."""

import numpy as np

from keras_csc.restoration.geometry import turned
from keras_csc.restoration.geometry import turned_back
from keras_csc.restoration.noise import check_scale
from keras_csc.restoration.noise import described
from keras_csc.restoration.noise import estimate_noise
from keras_csc.restoration.noise import pixels_of
from keras_csc.restoration.restoring import restore
from keras_csc.restoration.sparse_denoiser import shipped
from keras_csc.validation import check_integer

# Deviation of the noise of an image of 8 bits that has hardly any.
LEAST_NOISE = 1 / 255
# The least level of the splitting, in units of `σ`.
LEAST_LEVEL = 1.5
# How smooth the image is when splitting begins; the first and the last noise
# level, of 255, and the number of levels.
SMOOTHNESS = {"inpaint": 0.5, "deblur": 0.2, "enlarge": 0.02}
LEVELS = {"inpaint": (30, 1, 20), "deblur": (49, 2, 8), "enlarge": (49, 4, 8)}


def denoise(image, noise=None, progress=None, turns=1):
    """Removes white Gaussian noise: `y = x + noise`.

    Args:
        image: array `y` `(height, width)` or `(height, width, 1 or 3)` of
            floats, in `[0, 1]` but for the noise. At most 1 % of its pixels may
            lie further outside than `4 σ + 0.1`.
        noise: float `0 < σ ≤ 1`, standard deviation of the noise, in the units
            of the image: `25 / 255` for 25 of 255 levels. By default it is
            estimated, as by `estimate_noise`. The denoiser was trained from 3
            to 55 of 255.
        progress: function of how much is done, and of all; or `None`.
        turns: int from 1 to 8, how many turned images the result is the mean
            of. 8 take eight times as long as 1 and gain .1 dB.

    Returns:
        float32 array of the shape of `image`. What lies beyond `[0, 1]` is
        cut off.

    Raises:
        ValueError: for an image or arguments that are not as above.

    Reference:
        See `SparseDenoiser`.
    """
    pixels = pixels_of(image)
    if noise is None:
        noise = max(estimate_noise(pixels), LEAST_NOISE)
    check_scale(pixels, noise, "(0, inf)")
    denoiser = shipped(pixels.shape[-1])
    return _like(denoiser.denoise(pixels, noise, progress, turns), image)


def inpaint(image, mask, noise=0.0, progress=None):
    """Fills in pixels that are missing: `y = M (x + noise)`.

    Args:
        image: array `y`, as for `denoise`. Its values where the mask is 0 must
            be finite, but do not matter.
        mask: array `M` `(height, width)` or `(height, width, 1 or channels)`,
            1 where pixels are known and 0 where they are missing.
        noise: float `0 ≤ σ ≤ 1`, standard deviation of the noise. For 0, known
            pixels stay as they are.
        progress: as for `denoise`.

    Returns:
        float32 array of the shape of `image`, cut off at `[0, 1]`.

    Raises:
        ValueError: for an image or arguments that are not as above.

    Reference:
        Mairal, Elad & Sapiro, Sparse representation for color image
        restoration, IEEE TIP 2008, section V.
    """
    pixels = pixels_of(image)
    known = _known(mask, pixels)
    seen = pixels[np.broadcast_to(known > 0, pixels.shape)]
    check_scale(seen, noise)
    found = _split("inpaint", pixels, known, None, noise, progress)
    if noise == 0:
        found = np.where(known > 0, pixels, found)
    return _like(found, image)


def deblur(image, kernel, noise=LEAST_NOISE, progress=None):
    """Undoes a known blur: `y = H x + noise`, a convolution with a kernel.

    The scene goes on beyond the borders of the image, and is estimated there
    too: the borders are not taken for black, nor for a period.

    Args:
        image: array `y`, as for `denoise`.
        kernel: array `(height, width)` of numbers of at least 0, the image of a
            point. It is scaled to a sum of 1. The point was at its middle, for
            an even size at the second of the two.
        noise: float `0 < σ ≤ 1`, standard deviation of the noise. The default,
            `1 / 255`, is for images of 8 bits with hardly any noise.
        progress: as for `denoise`.

    Returns:
        float32 array of the shape of `image`, cut off at `[0, 1]`.

    Raises:
        ValueError: for an image or arguments that are not as above.
    """
    pixels = pixels_of(image)
    blur = _point_image(kernel)
    check_scale(pixels, noise, "(0, inf)")
    return _like(_split("deblur", pixels, 1, blur, noise, progress), image)


def enlarge(image, factor, noise=LEAST_NOISE, progress=None):
    """Makes an image larger: `y = S H x + noise`, blurred and sampled.

    `H` is the Gaussian blur of `anti_aliasing(factor)`, and `S` keeps one pixel
    of every `factor × factor`. It is the middle one, for an even number the
    second of the two.

    Args:
        image: array `y`, as for `denoise`.
        factor: int from 2 to 8.
        noise: as for `deblur`.
        progress: as for `denoise`.

    Returns:
        float32 array of `factor` times the height and width of `image`, cut
        off at `[0, 1]`.

    Raises:
        ValueError: for an image or arguments that are not as above.
    """
    pixels = pixels_of(image)
    check_integer(2, 8, factor=factor)
    check_scale(pixels, noise, "(0, inf)")
    height, width, channels = pixels.shape
    known = np.zeros((height * factor, width * factor, 1), "float32")
    known[factor // 2 :: factor, factor // 2 :: factor] = 1
    spread = pixels.repeat(factor, 0).repeat(factor, 1)
    how = anti_aliasing(factor), noise, progress
    return _like(_split("enlarge", spread, known, *how), image)


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


def _split(task, pixels, mask, blur, noise, progress):
    """What `restoring.restore` makes of an image, by the levels of a task."""
    first, last, count = LEVELS[task]
    levels = np.geomspace(first, last, count) / 255
    levels = np.maximum(levels, LEAST_LEVEL * noise)
    denoiser, done = shipped(pixels.shape[-1]), 0

    def denoise(image, level):
        nonlocal done
        # Each time turned differently: errors that depend on that average out.
        found = denoiser.denoise(turned(image, done % 8), level)
        found = turned_back(found, done % 8)
        done += 1
        if progress:
            progress(done, count)
        return found

    smoothness = SMOOTHNESS[task]
    return restore(pixels, mask, blur, noise, smoothness, levels, denoise)


def _like(found, image):
    """The result, with an axis of channels only where the image has one."""
    found = np.clip(found, 0.0, 1.0)
    return found[..., 0] if np.ndim(image) == 2 else found


# === Arguments ===


def _known(mask, like):
    """A float32 mask `(height, width, 1 or channels)` of an image."""
    known = np.asarray(mask)
    known = known[..., None] if known.ndim == 2 else known
    sizes = [(*like.shape[:2], channels) for channels in (1, like.shape[2])]
    if known.shape not in sizes or not np.all((known == 0) | (known == 1)):
        raise ValueError(
            "`mask` must have the height and width of the image, "
            f"{like.shape[:2]}, and be 1 where pixels are known and 0 "
            f"elsewhere. Received: {described(np.asarray(mask))}"
        )
    if not np.any(known):
        raise ValueError("`mask` must be 1 somewhere: no pixel is known.")
    return known.astype("float32")


def _point_image(kernel):
    """A blur's kernel as a float32 array of odd sizes and of sum 1."""
    kernel = np.asarray(kernel, "float32")
    if (
        kernel.ndim != 2
        or not kernel.size
        or not (kernel.min() >= 0 and 0 < kernel.sum() < np.inf)
    ):
        raise ValueError(
            "`kernel` must be an array (height, width) of numbers of at least "
            f"0, not all 0. Received: {described(kernel)}"
        )
    # The middle, the second of two, becomes the one middle of an odd size.
    widths = [(0, 1 - size % 2) for size in kernel.shape]
    return np.pad(kernel, widths) / kernel.sum()
