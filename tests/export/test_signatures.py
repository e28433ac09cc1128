"""What signatures there are, and what they compute: what the model does."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_csc.export import card
from keras_csc.export.saved_model import signatures
from tests.helpers import c_library
from tests.helpers.exporting import tiny_model

OUTCOME = ["problem", "valid"]
TYPES = {
    "valid": tf.bool,
    "problem": tf.string,
    "image_bytes": tf.string,
    "reconstruction_bytes": tf.string,
    "label": tf.int32,
    "seed": tf.int32,
}
SIGNATURES = {
    "serving_default": (["image"], ["reconstruction"]),
    "encode": (["image"], ["features"]),
    "decode": (["features"], ["reconstruction"]),
    "denoise": (["image", "sparsity"], ["denoised"]),
    "codes": (["image"], ["codes_1", "codes_2"]),
    "encode_bytes": (["image_bytes"], ["features", *OUTCOME]),
    "reconstruct_bytes": (
        ["image_bytes"],
        ["problem", "reconstruction_bytes", "valid"],
    ),
    "sample": (["label", "seed"], ["sample"]),
    "embed": (["image"], ["embedding"]),
}
# Operations of TensorFlow 2.18 and their attributes, of those that exports
# use: from `TF_GetAllOpList` of its C library.
OPERATIONS = pathlib.Path(__file__).with_name("tensorflow_2_18.json")
LABELS = [0, 3, 1, -1, -1, 3]


def images(batch=2, size=(16, 16, 1)):
    rng = np.random.default_rng(batch)
    return rng.uniform(-1, 1, (batch, *size)).astype("float32")


def specs(function):
    """Dicts of the specs of inputs and of outputs."""
    return function.structured_input_signature[1], function.structured_outputs


def test_signatures_and_their_names(exported):
    found = {n: specs(each) for n, each in exported.signatures.items()}
    assert {
        name: (sorted(inputs), sorted(outputs))
        for name, (inputs, outputs) in found.items()
    } == SIGNATURES
    for inputs, outputs in found.values():
        assert not set(inputs) & set(outputs)
        for name, spec in {**inputs, **outputs}.items():
            assert spec.shape[0] is None
            assert spec.dtype == TYPES.get(name, tf.float32)


@pytest.mark.parametrize(
    "overrides, missing",
    [
        ({}, set()),
        ({"image_shape": (16, 16, 2)}, {"encode_bytes", "reconstruct_bytes"}),
    ],
)
def test_models_without_them_have_fewer(overrides, missing):
    missing = {"sample", "embed", *missing}
    found = set(signatures(tiny_model(**overrides)))
    assert found == set(SIGNATURES) - missing


def test_mixed_precision_has_float32_signatures():
    model = tiny_model(dtype="mixed_bfloat16", filters=(4,))
    function, _ = signatures(model)["codes"]
    received = function(tf.constant(images()))["codes_1"]
    assert received.dtype == tf.float32
    expected = tf.cast(model.encoder.activations(images()).codes[0], "float32")
    np.testing.assert_allclose(received, expected, atol=0.02)


def calls(model, image):
    """Inputs and outputs of the float signatures, of the model itself."""
    sparsity = np.linspace(0, 0.3, len(image), dtype="float32")
    features = model.encode(image).numpy()
    codes = model.encoder.activations(image).codes
    given = {"image": image}
    found = {
        "serving_default": (given, {"reconstruction": model(image)}),
        "encode": (given, {"features": features}),
        "decode": (
            {"features": features},
            {"reconstruction": model.decode(features)},
        ),
        "denoise": (
            {**given, "sparsity": sparsity},
            {"denoised": model.denoise(image, sparsity)},
        ),
        "codes": (given, {f"codes_{i}": c for i, c in enumerate(codes, 1)}),
    }
    if model.density is not None:
        found["embed"] = (given, {"embedding": model.embed(image)})
    return found


def test_maps_are_of_images_of_any_size(exported_maps):
    found = calls(exported_maps.model, images(2, (21, 14, 3)))
    for name, (inputs, outputs) in found.items():
        received = exported_maps.ask(name, **inputs)
        for output, expected in outputs.items():
            assert np.std(expected) > 0.01
            np.testing.assert_allclose(received[output], expected, atol=1e-5)


def test_samples_are_those_of_their_label_and_seed(exported):
    each = exported.ask("sample", label=LABELS, seed=[6, 5, 5, 9, 5, 7])
    for row, seed in enumerate([6, 5, 5, 9, 5, 7]):
        alone = exported.model.sample(1, LABELS[row], seed=seed)[0]
        np.testing.assert_allclose(each["sample"][row], alone, atol=1e-5)
    one = exported.ask("sample", label=LABELS, seed=[5])["sample"]
    apart = np.abs(one[:, None] - one).max((2, 3, 4))
    assert np.min(apart[~np.eye(6, dtype=bool)]) > 1e-3
    other = exported.ask("sample", label=LABELS, seed=[6])["sample"]
    assert np.min(np.abs(other - one).max((1, 2, 3))) > 1e-3
    first = exported.ask("sample", label=LABELS[:2], seed=[5])["sample"]
    np.testing.assert_allclose(first, one[:2], atol=1e-5)


@pytest.mark.parametrize(
    "label, seed, message",
    [
        *(([0, n], [1], r"class of the density: \[0, 1, 3\]") for n in (2, 4)),
        ([0, 1, 3], [1, 2], "one for every label"),
        ([0, 1], [1, -1], "`seed` must be at least 0"),
        ([], [1], "is empty"),
    ],
)
def test_what_is_no_sample_is_refused(exported, label, seed, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        exported.ask("sample", label=label, seed=seed)


@pytest.mark.parametrize("kind", ["exported", "exported_maps"])
def test_operations_are_those_of_an_older_tensorflow(kind, request):
    known = json.loads(OPERATIONS.read_text())
    assert known["version"].startswith(f"{card.OLDEST}.")
    path = request.getfixturevalue(kind).path / "saved_model.pb"
    loaded = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (graph,) = loaded.meta_graphs
    found = list(graph.graph_def.node)
    for function in graph.graph_def.library.function:
        found += function.node_def
    assert len(found) > 1000
    for node in found:
        assert node.op in known["operations"], node.name
        attributes = {key for key in node.attr if not key.startswith("_")}
        assert attributes <= set(known["operations"][node.op]), node.name


# === What they do not answer: wrong shapes and values, by name ===

IMAGES = (16, 16, 1)
OF_IMAGES = ("serving_default", "encode", "codes", "embed", "denoise")
WRONG_IMAGES = [
    *((), (2,), (3, 16), (2, 16, 16), (16, 16, 1), (4, 8, 8, 1)),
    *((1, 64, 64, 1), (2, 16, 16, 3), (2, 16, 32, 1), (2, 16, 16, 1, 1)),
    (0, 16, 16, 1),
]
WRONG_FEATURES = [
    *((), (8,), (2, 128), (4, 4), (2, 4, 8), (2, 2, 2, 8), (1, 1, 1, 1, 8)),
    (0, 8),
]
WRONG_SPARSITIES = [(3,), (0,), (2, 1), (1, 1), (1, 1, 1)]


def zeros(shape):
    return np.zeros(shape, "float32")


def of_images(image):
    """Calls of an image, and of one sparsity where there must be one."""
    for signature in OF_IMAGES:
        denoised = signature == "denoise"
        more = {"sparsity": zeros((1,))} if denoised else {}
        yield signature, {"image": image, **more}


def wrong_shapes():
    """Calls, and the shape that their error is to name."""
    for shape in WRONG_IMAGES:
        for call in of_images(zeros(shape)):
            yield *call, "[?,16,16,1]"
    for shape in WRONG_SPARSITIES:
        call = {"image": zeros((2, *IMAGES)), "sparsity": zeros(shape)}
        yield "denoise", call, "sparsity"
    for shape in WRONG_FEATURES:
        yield "decode", {"features": zeros(shape)}, "[?,8]"


def spoilt(shape, row, value):
    """Halves, and in a row a wrong value."""
    values = np.full(shape, 0.5, "float32")
    values[row].flat[-1] = value
    return values


def wrong_values():
    """Calls, and what their error is to name."""
    for value in (np.nan, np.inf, 1e30, 200.0):
        for call in of_images(spoilt((3, *IMAGES), 2, value)):
            yield *call, "`images`", 2
    for value in (np.nan, np.inf, -np.inf):
        yield "decode", {"features": spoilt((3, 8), 1, value)}, "`features`", 1
    for value in (np.nan, np.inf, -0.1):
        sparsity = np.array([0.1, value, 0.1], "float32")
        call = {"image": zeros((3, *IMAGES)), "sparsity": sparsity}
        yield "denoise", call, "`sparsity`", 1


def test_they_are_refused_by_name_and_the_process_lives(exported):
    """Through the C library, which looks at no shape itself."""
    shapes, values = list(wrong_shapes()), list(wrong_values())
    good = spoilt((2, *IMAGES), 1, 0.3)
    ranks = {np.ndim(call["image"]) for _, call, _ in shapes if "image" in call}
    assert ranks == set(range(6))
    calls = [(signature, inputs) for signature, inputs, *_ in shapes + values]
    *refusals, features, made = c_library.run(
        exported.path,
        [*calls, ("encode", {"image": good}), (OF_IMAGES[0], {"image": good})],
    )
    assert {type(each) for each in refusals} == {c_library.InvalidArgumentError}
    messages = [str(each) for each in refusals]
    for message, (_, inputs, expected) in zip(messages, shapes):
        empty = any(0 in value.shape[:1] for value in inputs.values())
        assert ("must" if empty else expected) in message
        assert "oneDNN" not in message
    for message, (*_, name, row) in zip(messages[len(shapes) :], values):
        assert f"{name} must be" in message and f"Row] [{row}]" in message
    model = exported.model
    np.testing.assert_allclose(features, model.encode(good), atol=1e-5)
    np.testing.assert_allclose(made, model.reconstruct(good), atol=1e-5)
