"""How an image is restored, and what goes together."""

import collections

import numpy as np

from keras_csc.validation import check_at_least
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

# Settings that are numbers of at least 0.
NUMBERS = (
    *("sparsity", "reweighting", "pilot_sparsity", "flat_weight"),
    *("tolerance", "adaptation"),
)

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
        "adaptation",
        "levels",
        "prior",
    ],
    defaults=(None, (), None),
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
    smoothness: float `α > 0` of `smooth_part`, or `None` for no such part.
    step: int, pixels between two shifts of the grid of the atoms; at most the
        strides. Half of it takes four times as long.
    iterations: int, the most that a program is given.
    tolerance: float, the relative stationarity at which it is solved; `None`
        for all `iterations`.
    adaptation: float, or `None` for a dictionary that stays as it is. Between
        two rounds its atoms learn from the image; the dictionary that was
        given counts as so many codes of 1 for each. For strides of an atom's
        size.
    levels: tuple of floats, noise levels `τ` of the splitting, in the units
        of the image, raised to `1.5 σ` at least. Empty for none.
    prior: `Settings`, of the rounds at every level.

References:
    Candès, Wakin & Boyd, Enhancing sparsity by reweighted l1 minimization,
    J. Fourier Analysis and Applications 2008, section 2.2; Elad & Aharon,
    Image denoising via sparse and redundant representations over learned
    dictionaries, IEEE TIP 2006, section IV, for adaptation; Zoran & Weiss,
    From learning models of natural image patches to whole image restoration,
    ICCV 2011, section 3, for the splitting.
"""


def check_settings(settings, mask, blur):
    """Raises a `ValueError` for settings that are wrong, or do not fit."""
    check_integer(1, rounds=settings.rounds, step=settings.step)
    check_integer(1, iterations=settings.iterations)
    for name in NUMBERS:
        if getattr(settings, name) is not None:
            check_at_least(0, **{name: getattr(settings, name)})
    check_number("(0, inf)", offset=settings.offset)
    if settings.smoothness is not None:
        check_number("(0, inf)", smoothness=settings.smoothness)
    for level in settings.levels:
        check_number("(0, inf)", levels=level)
    if settings.prior is not None:
        check_settings(settings.prior, 1, None)
    hidden = blur is not None or np.any(np.asarray(mask) != 1)
    if settings.adaptation is not None and hidden:
        raise ValueError(
            "`adaptation` is for images without a mask and a blur: atoms would "
            "learn these. Pass `settings` with adaptation=None."
        )
    if not settings.levels:
        return
    if settings.prior is None or settings.prior.adaptation is not None:
        raise ValueError(
            "`levels` go with a `prior`, `Settings` with adaptation=None. "
            f"Received: {settings.prior}"
        )
