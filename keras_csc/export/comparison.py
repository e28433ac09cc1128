"""Comparing what was exported with the model that it was made of."""

import numpy as np
import tensorflow as tf

# What a float signature needs that other runtimes lack.
RANDOM = "sample"


def float_signatures(signatures):
    """Those of a dict of signatures that take and give numbers alone."""
    return {
        name: (function, specs)
        for name, (function, specs) in signatures.items()
        if all(spec.dtype != tf.string for spec in specs)
    }


def compare(signatures, call, model, what, tolerance=None):
    """Compares answers to random inputs with those of a model's functions.

    Args:
        signatures: dict of the float signatures to compare.
        call: function of the name of a signature and a dict of its inputs,
            that returns a dict of arrays.
        model: `ClosedLoopAutoencoder`.
        what: str, what is compared, for the message.
        tolerance: float, the largest difference of an output that is taken
            for rounding. By default `1e-4`, or `0.02` for a model that
            does not compute in float32 or float64.

    Raises:
        ValueError: if they differ, or an output is not finite.
    """
    if tolerance is None:
        exact = model.encoder.compute_dtype in ("float32", "float64")
        tolerance = 1e-4 if exact else 0.02
    for name, (function, specs) in signatures.items():
        inputs = random_inputs(model, specs, batch=3)
        received = call(name, inputs)
        for output, value in function(**inputs).items():
            found, value = np.asarray(received[output]), np.asarray(value)
            same = found.shape == value.shape
            difference = np.max(np.abs(found - value)) if same else np.inf
            if not difference <= tolerance:
                raise ValueError(
                    f"`{output}` of the signature {name!r} of {what!r} "
                    "must be finite and what the model computes, up to "
                    f"{tolerance}. The largest difference is {difference}. "
                    "Check the model's weights, or pass another `tolerance`."
                )


def random_inputs(model, specs, batch):
    """Dict of tensors in the value range of every input.

    Images for a model of maps are no multiple of a place.
    """
    rng = np.random.default_rng(0)
    inputs = {}
    for spec in specs:
        shape = (batch, *spec.shape[1:])
        if spec.dtype == tf.int32:
            inputs[spec.name] = tf.fill(
                shape, -1 if spec.name == "label" else 7
            )
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
