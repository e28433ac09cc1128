"""Other codes of an image: solved otherwise, thresholded, atoms changed."""

import collections
import dataclasses

import numpy as np
import tensorflow as tf

from keras_csc.explorer.looking import decoded
from keras_csc.explorer.looking import psnr
from keras_csc.validation import check_at_least
from keras_csc.validation import check_integer
from keras_csc.validation import check_integers
from keras_csc.validation import check_number
from keras_csc.validation import shown


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is changed of the codes of a stage, in this order.

    Fields:
        stage: int, from 1, next to the image.
        sparsity: float `λ ≥ 0` to solve its program with; `None` for its own.
        steps: int, of the solver; `None` for as many as the model takes.
        kept: float in [0, 1], share of the coefficients that are not 0 which
            are kept, the largest ones.
        off: ints, atoms whose codes become 0.
        boost: dict from atoms to the factors of their codes, at least 0.
        swap: pair of atoms that take each other's codes, or `None`.
    """

    stage: int = 1
    sparsity: float | None = None
    steps: int | None = None
    kept: float = 1.0
    off: tuple = ()
    boost: dict = dataclasses.field(default_factory=dict)
    swap: tuple | None = None


Changed = collections.namedtuple(
    "Changed", ["stage", "sum", "sum_psnr", "decoded", "decoded_psnr"]
)
Changed.__doc__ = """What becomes of an image with other codes.

Fields:
    stage: `explanation.StageExplanation` with the codes, and the objective,
        gap and zeros of these, for the `λ` they were solved with.
    sum: array like the image: `A z`, of a stage above the first in pixels
        through the dictionaries below (`StageExplanation.to_pixels`).
    sum_psnr: float, in dB.
    decoded: array like the image, what the decoder draws once the stages
        above have coded these codes.
    decoded_psnr: float, in dB.
"""


def change(model, look, changes):
    """Changes codes of an image, see `Changes` and `Changed`.

    Args:
        model: `ClosedLoopAutoencoder` with sparse codes.
        look: `Look` of the model at the image.
        changes: `Changes`.

    Raises:
        ValueError: for changes that are not as said, or a model without
            sparse codes.
    """
    if look.explanation is None:
        raise ValueError(
            "Only sparse codes can be changed. Received: a model whose "
            "encoder has none."
        )
    check_integer(1, len(look.explanation.stages), stage=changes.stage)
    number = changes.stage - 1
    layer = model.encoder.coding_layers[number]
    stage = look.explanation.stages[number]
    _check(changes, stage.codes.shape[-1])
    codes = solved(layer, stage, changes.sparsity, changes.steps)
    if changes.kept < 1:
        count = round(changes.kept * np.count_nonzero(codes))
        codes = keep_largest(codes, count)
    codes = _atoms_changed(codes, changes)
    if codes is stage.codes:
        return _unchanged(look, stage)
    offset = stage.offset
    batch = tf.constant(codes[None])
    stage = dataclasses.replace(
        stage,
        codes=codes,
        sparsity=(
            stage.sparsity if changes.sparsity is None else changes.sparsity
        ),
        drawn=None,
    )
    total = offset + stage.picture_of(range(codes.shape[-1]))
    features = model.encoder.features_of(
        number, tf.cast(batch, model.encoder.compute_dtype)
    )
    made = decoded(model, features.numpy()[0], look.image)
    return Changed(
        stage, total, psnr(look.image, total), made, psnr(look.image, made)
    )


def _unchanged(look, stage):
    """What is known of codes that are the model's own."""
    total = stage.offset + stage.to_pixels(stage.synthesis)
    return Changed(
        stage, total, psnr(look.image, total), look.regenerated, look.psnr
    )


def _check(changes, atoms):
    if changes.sparsity is not None:
        check_at_least(0, sparsity=changes.sparsity)
    if changes.steps is not None:
        check_integer(1, steps=changes.steps)
    check_number("[0, 1]", kept=changes.kept)
    named = [*changes.off, *changes.boost, *(changes.swap or ())]
    if named:
        check_integers(0, atoms - 1, atoms=named)
    for factor in changes.boost.values():
        check_at_least(0, boost=factor)
    if changes.swap is not None and len(set(changes.swap)) != 2:
        raise ValueError(
            f"`swap` must be two atoms. Received: {shown(changes.swap)}"
        )


def solved(layer, stage, sparsity=None, steps=None):
    """Codes of a stage's input, by other numbers than the layer's.

    Args:
        layer: `ConvSparseCoding2D` of the stage.
        stage: `explanation.StageExplanation`.
        sparsity: float `λ`, or `None` for the layer's.
        steps: int, or `None` for the layer's.

    Returns:
        float32 array of the shape of the stage's codes; these where nothing
        is other.
    """
    sparsity = layer.sparsity if sparsity is None else sparsity
    steps = layer.iterations if steps is None else steps
    if sparsity == layer.sparsity and steps == layer.iterations:
        return stage.codes
    found = layer.solve(tf.constant(stage.signal[None]), float(sparsity), steps)
    return found[0].numpy()


def keep_largest(codes, count):
    """Codes of which all but the largest are 0: a hard threshold.

    Args:
        codes: float array.
        count: int, how many are kept, by their magnitude.

    Returns:
        Array of the shape of `codes`.
    """
    places = np.flatnonzero(codes)
    if count >= len(places):
        return codes
    values = codes.reshape(-1)[places]
    largest = np.argpartition(-np.abs(values), count)[:count]
    kept = np.zeros_like(codes)
    kept.reshape(-1)[places[largest]] = values[largest]
    return kept


def _atoms_changed(codes, changes):
    factors = np.ones(codes.shape[-1], codes.dtype)
    for atom, factor in changes.boost.items():
        factors[atom] = factor
    factors[list(changes.off)] = 0
    if np.any(factors != 1):
        codes = codes * factors
    if changes.swap is not None:
        order = np.arange(codes.shape[-1])
        order[list(changes.swap)] = changes.swap[::-1]
        codes = codes[..., order]
    return codes
