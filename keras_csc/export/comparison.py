"""Comparing what was exported with the model that it was made of."""

import numpy as np
import tensorflow as tf

from keras_csc.advice import AdvisedError

# A float signature whose random numbers other runtimes lack.
RANDOM = "sample"


def float_signatures(signatures):
    """The signatures of a dict that take and give numbers alone."""
    return {
        name: (function, specs)
        for name, (function, specs) in signatures.items()
        if all(spec.dtype != tf.string for spec in specs)
    }


def check_answers(signatures, call, model, what, tolerance=None):
    """Compares answers to random inputs with what a model's functions answer.

    Args:
        signatures: dict of the float signatures to compare.
        call: function of the name of a signature and a dict of its inputs,
            that returns a dict of arrays.
        model: `ClosedLoopAutoencoder`.
        what: str, what is compared, for the message.
        tolerance: as of `export_saved_model`. An `embedding` is compared as
            the difference of features that it is made of.

    Raises:
        AdvisedError: if they differ, or an output is not finite.
    """
    if tolerance is None:
        exact = model.encoder.compute_dtype in ("float32", "float64")
        tolerance = 1e-4 if exact else 0.02
    for name, (function, specs) in signatures.items():
        inputs = random_inputs(model, specs, batch=3)
        received = call(name, inputs)
        scale = _scale(model, inputs) if name == "embed" else 1.0
        for output, value in function(**inputs).items():
            found, value = np.asarray(received[output]), np.asarray(value)
            difference = np.inf
            if found.shape == value.shape:
                difference = np.max(np.abs(found - value) * scale)
            if not difference <= tolerance:
                raise AdvisedError(
                    f"`{output}` of the signature {name!r} of {what!r} "
                    "must be finite and what the model computes, up to "
                    f"{tolerance}. The largest difference is {difference}. "
                    "Check the model's weights.",
                    "tolerance",
                    "Or pass another `tolerance`.",
                )


def _scale(model, inputs):
    """What differences of embeddings are multiplied by.

    An embedding is `(z - m) / ‖z - m‖`. A difference of rounding in `z` is
    divided by that norm, too, which is nearly 0 where all features are alike,
    as in a model that is barely trained.
    """
    features = np.asarray(model.encode(inputs["image"]), "float32")
    centred = features - np.asarray(model.density.center)
    norms = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.minimum(norms, 1.0)


def random_inputs(model, specs, batch):
    """Dict of tensors in the value range of every input.

    Images for a model of maps are no multiple of a place.
    """
    rng = np.random.default_rng(0)
    inputs = {}
    for spec in specs:
        shape = (batch, *spec.shape[1:])
        if spec.dtype == tf.int32:
            value = -1 if spec.name == "label" else 7
            inputs[spec.name] = tf.fill(shape, value)
            continue
        if None in shape and spec.name == "image":
            height, width, channels = model.encoder.image_shape
            shape = (batch, height + 1, width - 1, channels)
        elif None in shape:
            shape = (batch, *model.decoder.map_shape)
        values = rng.uniform(-1.0, 1.0, shape).astype("float32")
        if spec.name == "features":
            values /= np.linalg.norm(values, axis=-1, keepdims=True)
        elif spec.name == "sparsity":
            values = 0.1 * np.abs(values)
        inputs[spec.name] = tf.constant(values)
    return inputs
