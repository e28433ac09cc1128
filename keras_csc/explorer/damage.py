"""A detail of a photograph, damaged and restored."""

import collections

import numpy as np

from keras_csc import restoration
from keras_csc.explorer.changing import psnr
from keras_csc.restoration.tasks import DENOISE
from keras_csc.restoration.tasks import INPAINT
from keras_csc.validation import check_choice

LEVELS = 255.0
# Pixels a side of what is restored: a page is not to be waited for.
SIDE = 192
# Of fewer shifts and rounds than `restoration` takes: some ten times as fast.
QUICK_DENOISE = DENOISE._replace(step=4, rounds=2)
QUICK_INPAINT = INPAINT._replace(
    step=4,
    levels=INPAINT.levels[::2],
    prior=INPAINT.prior._replace(step=4),
)
TASKS = ("add noise", "has noise", "holes")
HOLES = ("squares", "pixels")

Restored = collections.namedtuple(
    "Restored", ["detail", "damaged", "restored", "damaged_psnr", "psnr"]
)
Restored.__doc__ = """A detail of a photograph before and after.

Arrays `(height, width, channels)`, where black is -1 and white is 1. Added
noise is not cut off: a damaged detail may lie beyond.

Fields:
    detail: the middle of the photograph, at most `SIDE` pixels a side.
    damaged: what is restored.
    restored: what is made of it.
    damaged_psnr, psnr: floats in dB, of the damaged and the restored detail;
        `None` where noise was in the photograph, and what is below it is not
        known.
"""


def restore_detail(
    image,
    task,
    noise=25.0,
    holes="pixels",
    share=0.5,
    seed=0,
    progress=None,
):
    """Damages the middle of a photograph, and restores it; see `Restored`.

    Args:
        image: float array `(height, width, 1 or 3)` in [-1, 1].
        task: `"add noise"`, which is then removed; `"has noise"`, the
            photograph's own, which is; or `"holes"`, which are filled in.
        noise: float, standard deviation of the noise in levels of 255.
        holes: `"pixels"` or `"squares"`.
        share: float in (0, 0.9], of the pixels that are missing, about.
        seed: int, of the noise and the holes.
        progress: function of the programs that are solved and of all.
    """
    check_choice(TASKS, task=task)
    check_choice(HOLES, holes=holes)
    detail = middle(image)
    pixels = (detail + 1) / 2
    if task == "holes":
        known = mask(pixels.shape[:2], holes, share, seed)
        damaged = np.where(known[..., None], pixels, 0.5).astype("float32")
        made = restoration.inpaint(
            damaged, known, settings=QUICK_INPAINT, progress=progress
        )
    else:
        damaged, level = pixels, noise / LEVELS
        if task == "add noise":
            drawn = np.random.default_rng(seed).normal(size=pixels.shape)
            damaged = (pixels + level * drawn).astype("float32")
        made = restoration.denoise(
            damaged, level, settings=QUICK_DENOISE, progress=progress
        )
    damaged, made = 2 * damaged - 1, 2 * made - 1
    figures = None, None
    if task != "has noise":
        figures = psnr(detail, damaged), psnr(detail, made)
    return Restored(detail, damaged, made, *figures)


def middle(image, side=None):
    """The middle of an image, at most `SIDE` or so many pixels a side."""
    height, width = (min(n, side or SIDE) for n in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def mask(size, holes, share, seed=0):
    """Where pixels are known: about `1 - share` of them, and one at least.

    `holes` are `"pixels"`, at random, or `"squares"` of 8 pixels a side.
    """
    rng = np.random.default_rng(seed)
    if holes == "pixels":
        known = rng.uniform(size=size) >= share
    else:
        known = np.ones(size, bool)
        while np.mean(~known) < min(share, 0.9):
            top, left = rng.integers(size[0]), rng.integers(size[1])
            hole = slice(max(top - 4, 0), top + 4)
            known[hole, max(left - 4, 0) : left + 4] = False
    known[rng.integers(size[0]), rng.integers(size[1])] = True
    return known
