"""One way to write signatures: whole, loaded again, compared.

Signatures are a dict from names to `(function, input_specs)`. A function takes
a batch of every input and returns a dict of outputs.
"""

import contextlib

import numpy as np
import tensorflow as tf

from keras_csc.export.graph import write_graph
from keras_csc.files import new_folder

# Sides of inputs that may have any, when they are tried.
SIDES = {"image": 32, "features": 4}


@contextlib.contextmanager
def writing(endpoints, folder, weights, tolerance=1e-4):
    """Writes signatures as a SavedModel, and compares what they answer.

    Within the context the folder has a temporary name.

    Args:
        endpoints: the signatures.
        folder: path of a folder that does not exist.
        weights: list of the variables of the model.
        tolerance: float, the largest difference that counts as rounding.

    Yields:
        The temporary folder, and a dict of the functions that it holds.
    """
    with new_folder(folder) as temporary:
        write_graph(endpoints, temporary, weights)
        loaded = tf.saved_model.load(str(temporary))
        check_answers(endpoints, loaded.signatures, str(folder), tolerance)
        yield temporary, loaded.signatures


def check_answers(endpoints, loaded, what, tolerance):
    """Compares answers to random inputs with what the functions answer.

    Signatures of files are left out, and `embed`, which divides by norms that
    may be near 0.

    Raises:
        ValueError: if answers differ, or an output is not finite.
    """
    for name, (function, specs) in endpoints.items():
        of_files = any(spec.dtype == tf.string for spec in specs)
        if not of_files and name != "embed":
            inputs = _random_inputs(specs)
            answer = f"the signature {name!r} of {what!r}"
            expected = function(*inputs.values())
            check_same(loaded[name](**inputs), expected, answer, tolerance)


def check_same(received, expected, what, tolerance):
    """Raises `ValueError` unless a dict of outputs is as expected."""
    for output, value in expected.items():
        answer, value = np.asarray(received[output]), np.asarray(value)
        if value.dtype.kind == "O":  # texts
            continue
        difference = np.inf
        if answer.shape == value.shape:
            difference = np.max(np.abs(answer - value))
        if not difference <= tolerance:
            raise ValueError(
                f"`{output}` of {what} must be finite and what the model "
                f"computes, up to {tolerance}. The largest difference is "
                f"{difference}. Check the model's weights, or pass another "
                "`tolerance`."
            )


def _random_inputs(specs):
    """Dict of random tensors for every input, three rows in its range."""
    rng = np.random.default_rng(0)
    inputs = {}
    for spec in specs:
        shape = (3, *item_shape(spec))
        values = rng.uniform(-1.0, 1.0, shape)
        if spec.name == "features":
            values /= np.linalg.norm(values, axis=-1, keepdims=True)
        elif spec.name in ("noise", "sparsity"):
            values = 0.1 * np.abs(values)
        elif spec.dtype == tf.int32:
            values = np.full(shape, -1 if spec.name == "label" else 7)
        inputs[spec.name] = tf.constant(values, spec.dtype)
    return inputs


def item_shape(spec):
    """Shape of an item of an input."""
    return tuple(SIDES[spec.name] if n is None else n for n in spec.shape[1:])
