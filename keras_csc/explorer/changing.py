"""What is seen of an image, and of other codes of it."""

import collections
import dataclasses

import numpy as np
import tensorflow as tf

from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.validation import check_integer
from keras_csc.validation import check_integers
from keras_csc.validation import check_number

Seen = collections.namedtuple(
    "Seen", ["image", "features", "regenerated", "psnr", "explanation"]
)
Seen.__doc__ = """What a model makes of an image.

Arrays of float32.

Fields:
    image: `(height, width, channels)` in [-1, 1].
    features: `(feature_dim,)`, or of maps `(map_height, map_width,
        feature_dim)`.
    regenerated: array like the image, `g(f(x))`.
    psnr: float, of it, in dB.
    explanation: `explanation.Explanation`, or `None` of an encoder without
        sparse codes.
"""

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


def look(model, image):
    """What a model makes of a float image `(height, width, channels)`: `Seen`.

    The image is in [-1, 1].
    """
    if model.encoder.sparse:
        explanation = model.explain(image)
        features = explanation.features
    else:
        explanation, features = None, model.encode(image[None]).numpy()[0]
    made = _decoded(model, features, image)
    return Seen(image, features, made, _psnr(image, made), explanation)


def _decoded(model, features, image):
    """The image of some features, of the size of another image."""
    return model.decode(features[None], image_size=image.shape[:2]).numpy()[0]


def _psnr(image, other):
    return float(peak_signal_to_noise_ratio(image[None], other[None])[0])


def change(
    model, seen, stage=1, sparsity=None, steps=None, kept=1.0, factors=()
):
    """Changes the codes of a stage of an image, in the order of the arguments.

    Args:
        model: `ClosedLoopAutoencoder` with sparse codes.
        seen: `Seen`, what the model makes of the image.
        stage: int, from 1, next to the image.
        sparsity: float `λ ≥ 0` to solve its program with; `None` for its own.
        steps: int, of the solver; `None` for as many as the model takes.
        kept: float in [0, 1], share of the coefficients that are not 0 which
            are kept, the largest ones.
        factors: dict from atoms to what their codes are multiplied by.

    Returns:
        `Changed`.

    Raises:
        ValueError: for a model without sparse codes, and other changes than
            those above.
    """
    if seen.explanation is None:
        raise ValueError(
            "Only sparse codes can be changed. Received: a model whose "
            "encoder has none."
        )
    check_integer(1, len(seen.explanation.stages), stage=stage)
    layer = model.encoder.coding_layers[stage - 1]
    found = seen.explanation.stages[stage - 1]
    sparsity = layer.sparsity if sparsity is None else sparsity
    steps = layer.iterations if steps is None else steps
    check_integer(1, steps=steps)
    check_number("[0, 1]", kept=kept)
    codes = found.codes
    if (sparsity, steps) != (layer.sparsity, layer.iterations):
        signal = tf.constant(found.signal[None])
        codes = layer.solve(signal, float(sparsity), steps)[0].numpy()
    if kept < 1:
        codes = _largest(codes, kept)
    if factors:
        check_integers(0, codes.shape[-1] - 1, atoms=list(factors))
        codes = codes.copy()
        codes[..., list(factors)] *= np.float32(list(factors.values()))
    made = seen.regenerated
    if codes is not found.codes:
        found = dataclasses.replace(
            found, codes=codes, sparsity=sparsity, drawn=None
        )
        features = model.encoder.features_of(
            stage - 1, tf.cast(codes[None], model.encoder.compute_dtype)
        )
        made = _decoded(model, features.numpy()[0], seen.image)
    total = found.picture
    return Changed(
        found, total, _psnr(seen.image, total), made, _psnr(seen.image, made)
    )


def _largest(codes, share):
    """Codes with all but a share of what is not 0 set to 0, the smallest."""
    places = np.flatnonzero(codes)
    order = np.argsort(-np.abs(codes.reshape(-1)[places]), kind="stable")
    chosen = places[order[: round(share * len(places))]]
    kept = np.zeros_like(codes)
    kept.reshape(-1)[chosen] = codes.reshape(-1)[chosen]
    return kept
