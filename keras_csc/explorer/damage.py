"""A detail of a photograph, damaged and restored."""

import collections

import numpy as np

from keras_csc import restoration
from keras_csc.explorer.changing import psnr
from keras_csc.validation import check_choice

# Pixels a side of what is restored: a page is not to be waited for.
SIDE = 192
# Pixels between two grids of atoms: four times as fast as `restoration`.
STEP = 4
HOLE = 8  # pixels a side
TASKS = {
    "add noise": "Add noise, and remove it",
    "has noise": "Remove the noise that it has",
    "pixels": "Remove pixels, and fill them in",
    "squares": "Make holes, and fill them in",
}

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


def restore_detail(image, task, noise=25.0, share=0.5, seed=0, progress=None):
    """Damages the middle of a photograph, and restores it; see `Restored`.

    Args:
        image: float array `(height, width, 1 or 3)` in [-1, 1].
        task: `"add noise"`, which is then removed; `"has noise"`, the
            photograph's own, which is; `"pixels"` or `"squares"`, which are
            taken out and filled in.
        noise: float, standard deviation of the noise in levels of 255.
        share: float in (0, 0.9], of the pixels that are missing, about.
        seed: int, of the noise and the holes.
        progress: as of `restoration.denoise`.
    """
    check_choice(TASKS, task=task)
    detail = middle(image)
    damaged = pixels = (detail + 1) / 2
    rng, how = np.random.default_rng(seed), {"step": STEP, "progress": progress}
    if task in ("pixels", "squares"):
        known = mask(pixels.shape[:2], task, share, rng)
        damaged = np.where(known[..., None], pixels, np.float32(0.5))
        made = restoration.inpaint(damaged, known, **how)
    else:
        if task == "add noise":
            drawn = noise / 255 * rng.normal(size=pixels.shape)
            damaged = (pixels + drawn).astype("float32")
        made = restoration.denoise(damaged, noise / 255, **how)
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


def mask(size, holes, share, rng):
    """Where pixels are known: about `1 - share` of them, and one at least."""
    known = rng.uniform(size=size) >= share
    if holes == "squares":
        known[:] = True
        while np.mean(~known) < min(share, 0.9):
            top, left = (rng.integers(1 - HOLE, n) for n in size)
            rows, columns = (max(n, 0) for n in (top, left))
            known[rows : top + HOLE, columns : left + HOLE] = False
    known[rng.integers(size[0]), rng.integers(size[1])] = True
    return known
