"""What is taken for rounding, where exports are compared with a model."""

import types

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export.comparison import compare


@pytest.mark.parametrize("norm, same", [(1e-5, True), (1.0, False)])
def test_rounding_of_embeddings_is_that_of_features(norm, same):
    """`(z - m) / ‖z - m‖` magnifies it, where all features are alike."""
    center = np.array([1.0, 0.0, 0.0], "float32")
    direction = np.array([0.0, 0.6, 0.8], "float32")
    model = types.SimpleNamespace(
        encode=lambda images: np.tile(center + norm * direction, (3, 1)),
        density=types.SimpleNamespace(center=center),
        encoder=types.SimpleNamespace(compute_dtype="float32"),
    )
    image = tf.TensorSpec((None, 4, 4, 1), tf.float32, name="image")
    made = {"embed": (lambda image: {"embedding": direction[None]}, [image])}

    def exported(name, inputs):
        return {"embedding": direction[None] + np.float32(1e-3)}

    if same:
        compare(made, exported, model, "x")
    else:
        with pytest.raises(ValueError, match="another `tolerance`.$"):
            compare(made, exported, model, "x")
