"""Checks an architecture, and counts its weights, before one is made."""

import math

from keras_csc.models.layouts import LAYOUTS
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
from keras_csc.validation import check_integers
from keras_csc.validation import shown

MOST_FEATURES = 8192
MOST_NUMBERS = 2**28
MOST_STAGES = 16


def of_every_stage(stages, **arguments):
    """A tuple of an argument that is one value, or has one for each stage.

    Raises:
        ValueError: for a list of another length.
    """
    ((name, value),) = arguments.items()
    if not isinstance(value, (list, tuple)):
        return (value,) * stages
    if len(value) != stages:
        raise ValueError(
            f"`{name}` must be one number, or one for each of the {stages} "
            f"stages. Received: {shown(value)}"
        )
    return tuple(value)


def check_architecture(
    image_shape, filters, feature_dim, kernel_size, strides, features, lapped
):
    """Checks what the encoder and the decoder have in common.

    Returns:
        `(kernel_sizes, stage_strides)`, tuples with an int for each stage.

    Raises:
        ValueError: for an argument of another kind or size, or for more weights
            than any such model was ever trained with.
    """
    check_choice(LAYOUTS, features=features)
    check_integers(1, length=3, image_shape=image_shape)
    check_integers(1, filters=filters)
    check_integer(1, MOST_STAGES, **{"len(filters)": len(filters)})
    sizes = of_every_stage(len(filters), kernel_size=kernel_size)
    check_integers(1, kernel_size=sizes)
    strides = of_every_stage(len(filters), strides=strides)
    check_integers(1, strides=strides)
    if lapped and (sizes[0] != strides[0] or sizes[0] % 2):
        raise ValueError(
            "`lapped` is for first atoms as large as their stride, an even "
            f"number. Received: kernel_size={sizes[0]}, strides={strides[0]}. "
            "Others need lapped=False."
        )
    check_integer(
        1,
        MOST_FEATURES,
        "for the game factors matrices of feature_dim × feature_dim",
        feature_dim=feature_dim,
    )
    numbers = math.prod(image_shape) + kernel_numbers(
        image_shape, filters, feature_dim, sizes, strides, features
    )
    if numbers > MOST_NUMBERS:
        raise ValueError(
            f"An encoder of `image_shape` {tuple(image_shape)}, `filters` "
            f"{tuple(filters)}, `feature_dim` {feature_dim} and `kernel_size` "
            f"{kernel_size} would have {numbers} weights. Expected: at "
            f"most {MOST_NUMBERS}, which are 1 GB. Choose smaller ones."
        )
    return sizes, strides


def kernel_numbers(
    image_shape, filters, feature_dim, kernel_size, strides, features, **_
):
    """How many numbers the kernels of an encoder have, at least.

    Kernels above the first stage have twice as many if codes are handed on in
    two parts. Other arguments of the encoder change nothing.
    """
    stages = len(filters)
    sizes = of_every_stage(stages, kernel_size=kernel_size)
    stride = math.prod(of_every_stage(stages, strides=strides))
    side = LAYOUTS[features](image_shape, stride, feature_dim).head_size
    widths = [image_shape[2], *filters]
    return side**2 * widths[-1] * feature_dim + sum(
        size**2 * a * b for size, a, b in zip(sizes, widths, widths[1:])
    )
