"""Takes an image apart by the programs that an encoder solves."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_csc.explanation.explained import Explanation
from keras_csc.explanation.explained import StageExplanation


def explain(model, image, sparsity=None):
    """Tells which atoms make an image, stage by stage; see `Explanation`.

    `model.explain(image, sparsity)` calls it.

    The codes of all stages are kept, with `4 · atoms / strides²` bytes a pixel
    of the stage's input. For half a megapixel and 48 atoms this is 24 MB in the
    first stage. The codes that are drawn take as much again. Contributions are
    computed when they are asked for.

    Args:
        model: `ClosedLoopAutoencoder`.
        image: float tensor `(1, height, width, channels)` in [-1, 1].
            `model.explain` takes `(height, width, channels)`, uint8 too.
        sparsity: float, `λ` of the first stage instead of its own.

    Raises:
        ValueError: for an encoder with a layer that has a `prox`.
    """
    encoder = model.encoder
    if any(layer.prox for layer in encoder.coding_layers):
        raise ValueError(
            "Layers with a `prox` can't be explained: only the program of "
            "‖z‖₁ is known here."
        )
    output = encoder.activations(image, sparsity=sparsity)
    stages, below = [], None
    drawn = model.decoder.codes(output.features)
    for number, layer in enumerate(encoder.coding_layers):
        signal = _array(output.inputs[number])[0]
        scale, shift = _affine(encoder, number, signal)
        first = number == 0 and sparsity is not None
        below = StageExplanation(
            signal=signal,
            codes=_array(output.codes[number])[0],
            kernel=_array(layer.dictionary(training=False)),
            bound=float(layer.operator_norm),
            strides=layer.strides,
            padding=layer.padding,
            sparsity=sparsity if first else layer.sparsity,
            nonnegative=layer.nonnegative,
            image_size=tuple(image.shape[1:3]),
            block=encoder.block,
            below=below,
            scale=scale,
            shift=shift,
            names={
                atom: name
                for (stage, atom), name in model.atom_names.items()
                if stage == number + 1
            },
        )
        also = dataclasses.replace(below, codes=_array(drawn[number])[0])
        stages.append(dataclasses.replace(below, drawn=also))
    features = output.features.numpy()[0]
    return Explanation(_array(image)[0], features, tuple(stages))


def _affine(encoder, number, signal):
    """Scale and shift of the normalisation below a stage; 1 and 0 if none."""
    channels = signal.shape[-1]
    if not number:
        return np.ones(channels, "float32"), np.zeros(channels, "float32")
    normalization = encoder.normalizations[number - 1]
    probe = tf.reshape(tf.constant([0.0, 1.0]), (2, 1, 1, 1))
    probe = tf.broadcast_to(probe, (2, 1, 1, channels))
    shift, top = _array(normalization(probe))[:, 0, 0]
    return top - shift, shift


def _array(tensor):
    return tf.cast(tensor, tf.float32).numpy()
