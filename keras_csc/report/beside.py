"""Two models side by side: what they draw, and their atoms, matched."""

import numpy as np

from keras_csc import metrics
from keras_csc.evaluation.passes import by_batches
from keras_csc.pixels import to_pixels
from keras_csc.visualization.atoms import atom_images
from keras_csc.visualization.atoms import encoder_atoms
from keras_csc.visualization.grids import fitted

PAIRS, ATOM = 8, 24  # shown; pixels of an atom at most


def compare(model, other, found, numbers):
    """A part of the page; see `write_report`.

    Args:
        model: `ClosedLoopAutoencoder`.
        other: another one, of images of the same shape.
        found: `Survey` of the first one, or `None`.
        numbers: ints, images to show.

    Returns:
        Dict with `stages` of `matched_atoms` and, with `found`, two more.
        `images` are rows of a number, what the other model draws, and its PSNR.
        `psnr` are both models' means of all images.
    """
    part = {"stages": matched_atoms(model.encoder, other.encoder)}
    if found:
        made, psnr = by_batches(lambda batch: _pass(other, batch), found.images)
        part["images"] = [(n, made[n], psnr[n]) for n in numbers]
        part["psnr"] = found.psnr.mean(), psnr.mean()
    return part


def _pass(model, images):
    made = model.reconstruct(images)
    return made, metrics.peak_signal_to_noise_ratio(images, made)


def matched_atoms(encoder, other):
    """Every stage's atoms in pixels, matched with the atoms of another encoder.

    Returns:
        List of dicts by stage, `None` where dictionaries have not the same
        shape. `mean` is the stability of `metrics.match_atoms`. `groups` has,
        by title, `(atom, other's atom, similarity, their pictures)`.
    """
    stages = []
    pairs = zip(encoder_atoms(encoder), encoder_atoms(other))
    for stage, (atoms, others) in enumerate(pairs):
        if atoms.shape != others.shape:
            stages.append(None)
            continue
        matched, similarities = metrics.match_atoms(
            atoms,
            others,
            int(np.prod(encoder.stage_strides[: stage + 1])),
            encoder.coding_layers[stage].nonnegative,
        )
        looks, of_other = (
            fitted(to_pixels(atom_images(each)), ATOM)
            for each in (atoms, others)
        )
        order = np.argsort(-similarities, kind="stable")
        count = min(PAIRS, len(order) // 2)
        stages.append(
            {
                "mean": similarities.mean(),
                "groups": {
                    title: [
                        (n, matched[n], similarities[n])
                        + ((looks[n], of_other[matched[n]]),)
                        for n in chosen
                    ]
                    for title, chosen in (
                        ("The most alike", order[:count]),
                        ("The least alike", order[::-1][:count]),
                    )
                },
            }
        )
    return stages
