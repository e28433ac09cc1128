"""The functions that a SavedModel of a denoiser offers."""

import tensorflow as tf

from keras_csc.export import signatures
from keras_csc.models.inputs import asserted


def denoiser_signatures(denoiser):
    """Functions of a `SparseDenoiser` to export.

    They take images of any size, one size in a batch, and the deviation
    `noise` of every image.

    - `denoise`, also `serving_default`, takes `image` float32 `(batch, height,
      width, 3)`, in [0, 1] but for the noise. It returns `denoised`, cut off at
      0 and 1.
    - `denoise_tile` also takes `means` float32 `(batch, 3)`, the means of the
      larger image that a tile is a part of.
    - `denoise_bytes` takes `image_bytes`, JPEG or PNG files of any sizes. It
      returns `denoised_bytes`, PNG files, with `valid` and the `problem` of an
      invalid file.

    Returns:
        Dict from the name of a signature to `(function, input_specs)`.
    """
    shape = (None, None, 3)

    def denoise(image, noise, *means):
        message = ["`noise` must be at least 0. Received:", noise]
        noise = asserted(noise, tf.reduce_all(noise >= 0), message)
        image = tf.ensure_shape(image, (None, *shape))
        clean = denoiser((image, noise, *means))
        return {"denoised": tf.clip_by_value(clean, 0, 1)}

    def denoise_bytes(image_bytes, noise):
        _, outcome = signatures.sizes_of(image_bytes, shape)

        def denoised(file, noise):
            image = signatures.image_of(file, shape) / 2 + 0.5
            clean = denoise(image[None], noise[None])["denoised"]
            return signatures.to_png(2 * clean[0] - 1)

        files = signatures.png_files(
            denoised, outcome["valid"], image_bytes, noise
        )
        return {"denoised_bytes": files, **outcome}

    noise = tf.TensorSpec((None,), tf.float32, "noise")
    image = tf.TensorSpec((None, *shape), tf.float32, "image")
    means = tf.TensorSpec((None, 3), tf.float32, "means")
    files = tf.TensorSpec((None,), tf.string, "image_bytes")
    return {
        signatures.DEFAULT: (denoise, [image, noise]),
        "denoise": (denoise, [image, noise]),
        "denoise_tile": (denoise, [image, noise, means]),
        "denoise_bytes": (denoise_bytes, [files, noise]),
    }
