"""How close reconstructions are to their images, in pixels.

No training uses these: the transcription game compares features only.
"""

import tensorflow as tf

PSNR_CAP = 100.0
SSIM_WINDOW = 11


def peak_signal_to_noise_ratio(images, reconstructions):
    """Peak signal-to-noise ratio of every image, in decibels.

    `PSNR(x, x̂) = 10 log₁₀(2² / mean((x - clip(x̂, -1, 1))²))`, for images in
    `[-1, 1]`, whose range is 2. It equals the PSNR of the same images in
    `[0, 1]` or `[0, 255]`. Values are capped at 100 dB, which identical images
    receive, so that the mean over a set stays finite. A reconstruction that
    holds NaN has PSNR NaN.

    Args:
        images: floats in `[-1, 1]`, shape `(batch, height, width, channels)`.
        reconstructions: floats of the same shape, clipped to `[-1, 1]`.

    Returns:
        A float32 tensor of shape `(batch,)`, at most 100.

    Example:

    >>> values = peak_signal_to_noise_ratio(images, autoencoder(images))
    """
    images, reconstructions = _image_pair(images, reconstructions)
    ratio = tf.image.psnr(images, reconstructions, max_val=2.0)
    return tf.minimum(ratio, PSNR_CAP)


def structural_similarity(images, reconstructions):
    """Structural similarity (SSIM) of every image.

    `SSIM(x, x̂) = (2μμ̂ + c₁)(2σ_xx̂ + c₂) / ((μ² + μ̂² + c₁)(σ² + σ̂² + c₂))`,
    with `c₁ = 0.01²` and `c₂ = 0.03²`. It is averaged over channels and all
    11x11 Gaussian windows (standard deviation 1.5) that lie within the image.
    SSIM is defined on intensities, so images are first brought from `[-1, 1]`
    to `[0, 1]`. This gives the usual figure of 8-bit images.

    Args:
        images: floats in `[-1, 1]`, shape `(batch, height, width, channels)`,
            height and width at least 11.
        reconstructions: floats of the same shape, clipped to `[-1, 1]`.

    Returns:
        A float32 tensor of shape `(batch,)` in `[-1, 1]`; 1 if identical.

    Reference:
        - [Wang et al., 2004, section III](
          https://doi.org/10.1109/TIP.2003.819861)
    """
    images, reconstructions = _image_pair(images, reconstructions, SSIM_WINDOW)
    return tf.image.ssim(
        (images + 1.0) / 2.0,
        (reconstructions + 1.0) / 2.0,
        max_val=1.0,
        filter_size=SSIM_WINDOW,
    )


def _image_pair(images, reconstructions, least=1):
    """Both as float32 tensors, the second within [-1, 1]."""
    images = tf.convert_to_tensor(images)
    reconstructions = tf.convert_to_tensor(reconstructions)
    if not (images.dtype.is_floating and reconstructions.dtype.is_floating):
        raise ValueError(
            "`images` and `reconstructions` must be floats in [-1, 1]. "
            f"Received: {images.dtype.name} and {reconstructions.dtype.name}"
        )
    images.shape.assert_is_compatible_with(reconstructions.shape)
    if any(size is not None and size < least for size in images.shape[1:3]):
        raise ValueError(
            f"`images` must be of at least {least}×{least} pixels. "
            f"Received: {tuple(images.shape)}"
        )
    reconstructions = tf.cast(reconstructions, "float32")
    return (
        tf.cast(images, "float32"),
        tf.clip_by_value(reconstructions, -1.0, 1.0),
    )
