"""What an architecture will need, known before anything of it is made."""

import math

from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
from keras_csc.validation import check_integers

MOST_FEATURES = 8192
MOST_NUMBERS = 2**28
MOST_STAGES = 16
# Height and width of the smallest image of an encoder of maps.
LEAST_SIZE = 8


def head_size(image_shape, filters, features):
    """Height of the kernel of the head: that of the last codes, or 1.

    Args:
        image_shape: `(height, width, channels)`.
        filters: ints, of the stages, each of stride 2.
        features: `"vector"` or `"map"`.

    Raises:
        ValueError: for sides that are not divisible by `2 ** len(filters)`,
            or, for one vector of an image, not equal.
    """
    height, width, _ = image_shape
    stride = 2 ** len(filters)
    square = "square, " if features == "vector" else ""
    if height % stride or width % stride or (square and height != width):
        raise ValueError(
            f"`image_shape` must be {square}with sides divisible by {stride} "
            f"for {len(filters)} stages of stride 2. "
            f"Received: {tuple(image_shape)}"
        )
    return height // stride if features == "vector" else 1


def map_size(size, stages):
    """Height or width of the features of an image of that size."""
    return None if size is None else -(-size // 2**stages)


def accepted_shape(image_shape, features):
    """Shape of the images that a model takes; `None` for any size."""
    if features == "vector":
        return image_shape
    return (None, None, image_shape[-1])


def check_architecture(
    image_shape, filters, feature_dim, kernel_size, features
):
    """Checks what the encoder and the decoder have in common.

    Raises:
        ValueError: for an argument that is not what it must be, or weights of
            more numbers than any such model was ever trained with.
    """
    check_choice(("vector", "map"), features=features)
    check_integers(1, length=3, image_shape=image_shape)
    check_integers(1, filters=filters)
    check_integer(1, kernel_size=kernel_size)
    check_integer(1, MOST_STAGES, **{"len(filters)": len(filters)})
    check_integer(
        1,
        MOST_FEATURES,
        "for the game factors matrices of feature_dim × feature_dim",
        feature_dim=feature_dim,
    )
    numbers = math.prod(image_shape) + kernel_numbers(
        image_shape, filters, feature_dim, kernel_size, features
    )
    if numbers > MOST_NUMBERS:
        raise ValueError(
            f"An encoder of `image_shape` {tuple(image_shape)}, `filters` "
            f"{tuple(filters)}, `feature_dim` {feature_dim} and `kernel_size` "
            f"{kernel_size} would have {numbers} weights. Expected: at "
            f"most {MOST_NUMBERS}, which are 1 GB. Choose smaller ones."
        )


def kernel_numbers(
    image_shape, filters, feature_dim, kernel_size, features, **_
):
    """How many numbers the kernels of an encoder have, at least.

    Those above the first stage have twice as many for codes that are handed
    on in two parts. Other arguments of the encoder change nothing.
    """
    side = head_size(image_shape, filters, features)
    widths = [image_shape[2], *filters]
    stages = sum(a * b for a, b in zip(widths, widths[1:]))
    return kernel_size**2 * stages + side**2 * widths[-1] * feature_dim
