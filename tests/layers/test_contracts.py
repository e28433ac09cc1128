"""What every layer of the suite must do."""

import keras
import numpy as np
import pytest

from keras_csc import constraints
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import ConvSparseDecoding2D
from keras_csc.layers import SharedBatchNormalization
from tests.helpers import contracts

# Of each layer: what it needs, every argument at another value than its
# default, bad values, and shapes of its inputs.
DICTIONARY = {
    "kernel_size": 3,
    "strides": 2,
    "padding": "valid",
    "kernel_initializer": keras.initializers.RandomUniform(-1, 1, seed=3),
    "kernel_constraint": constraints.TightFrame(),
}
CASES = {
    ConvSparseCoding2D: (
        {"filters": 4, "kernel_size": 3},
        {
            **DICTIONARY,
            "filters": 5,
            "sparsity": 0.25,
            "relative": False,
            "zeros": 0.5,
            "nonnegative": True,
            "iterations": 3,
        },
        [
            {"filters": 0},
            {"sparsity": -0.1},
            {"zeros": 1.0},
            {"padding": "full"},
            {"iterations": 1001},
        ],
        [(2, 8, 8, 1), (1, 7, 10, 3)],
    ),
    ConvSparseDecoding2D: (
        {"channels": 2, "kernel_size": 3},
        {**DICTIONARY, "channels": 2},
        [{"channels": 0}, {"padding": "full"}],
        [(2, 4, 4, 1), (1, 3, 6, 5)],
    ),
    SharedBatchNormalization: (
        {},
        {
            "momentum": 0.75,
            "epsilon": 0.01,
            "center": False,
            "scale": False,
            "isotropic": True,
        },
        [{"momentum": 1.0}, {"epsilon": 0.0}],
        [(2, 4, 5, 3), (4, 2), (2, 3, 1)],
    ),
}
each_layer = pytest.mark.parametrize("layer", CASES)


def inputs():
    return np.random.default_rng(0).normal(size=(3, 8, 7, 2)).astype("float32")


@each_layer
def test_configuration_holds_every_argument(layer):
    # A prox goes with other arguments: test_another_prox_solves_...
    excluded = {
        ConvSparseDecoding2D: ("coding_layer",),
        ConvSparseCoding2D: ("prox",),
    }.get(layer, ())
    contracts.check_config(layer, excluded, **CASES[layer][1])


@pytest.mark.parametrize(
    "layer, bad",
    [(layer, bad) for layer, case in CASES.items() for bad in case[2]],
    ids=str,
)
def test_bad_arguments_are_named(layer, bad):
    contracts.check_rejects(layer, bad, **CASES[layer][0])


@each_layer
@pytest.mark.parametrize("strides, padding", [(1, "valid"), (2, "same")])
def test_shapes(layer, strides, padding):
    needed, _, _, shapes = CASES[layer]
    if needed:
        needed = {**needed, "strides": strides, "padding": padding}
    contracts.check_shapes(lambda: layer(**needed), shapes)


@pytest.mark.parametrize("layer", [ConvSparseCoding2D, ConvSparseDecoding2D])
def test_dtype_policies(layer):
    own = {"kernel_initializer": keras.initializers.RandomNormal(seed=1)}
    if layer is ConvSparseCoding2D:
        own["sparsity"] = 0.0
    contracts.check_dtype_policies(
        lambda **kwargs: layer(**CASES[layer][0], **own, **kwargs), inputs()
    )


@each_layer
def test_it_is_saved_and_pure_in_inference(layer, tmp_path):
    contracts.check_save_and_load(layer(**CASES[layer][0]), inputs(), tmp_path)
    contracts.check_inference_is_pure(layer(**CASES[layer][0]), inputs())
