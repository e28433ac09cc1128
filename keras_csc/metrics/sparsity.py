"""How sparse the codes are."""

import tensorflow as tf


def zero_fraction(codes):
    """Share of the entries of sparse codes that are exactly zero.

    `|{i : z_i = 0}| / |{i}|`. Soft thresholding gives exact zeros, so no
    threshold is needed.

    Args:
        codes: A tensor of any shape.

    Returns:
        A float32 scalar tensor in `[0, 1]`.

    Raises:
        ValueError: if `codes` is known to hold no entries.
    """
    codes = tf.convert_to_tensor(codes)
    if 0 in codes.shape:
        raise ValueError(
            "`codes` must hold at least one entry. "
            f"Received: codes.shape={codes.shape}"
        )
    return tf.math.zero_fraction(codes)
