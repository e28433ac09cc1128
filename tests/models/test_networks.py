import numpy as np
import pytest

from keras_csc.layers import ConvSparseCoding2D
from keras_csc.models import Decoder
from keras_csc.models import Encoder
from tests.helpers import contracts
from tests.helpers import references
from tests.helpers.reference_loop import small_batch

SMALL = {
    "image_shape": (8, 8, 1),
    "filters": (3, 4),
    "feature_dim": 5,
    "kernel_size": [3, 2],
    "strides": [4, 1],
}
SOLVER = {
    "sparsity": 0.25,
    "zeros": 0.5,
    "nonnegative": True,
    "iterations": 3,
    "tight_frame": False,
}


def images_of_six():
    return small_batch(n=6)[0]


def features_of_six():
    rows = references.sphere_features(np.random.default_rng(0), 6, 5)
    return rows.astype("float32")


def test_encoders_configuration_holds_every_argument():
    contracts.check_config(
        Encoder, excluded=("lapped",), **SMALL, **SOLVER, features="map"
    )


def test_decoders_configuration_holds_every_argument():
    decoder = Decoder(Encoder(**SMALL), rectified=True, output="tanh")
    copy = Decoder.from_config(decoder.get_config())
    assert copy.get_config() == decoder.get_config()
    assert copy.encoder.get_config() == decoder.encoder.get_config()
    assert copy.rectified and copy.output_limit == "tanh"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"feature_dim": 10_000_000}, "at most 8192"),
        ({"feature_dim": float("nan")}, ""),
        ({"image_shape": (2**20, 2**20, 1)}, "1 GB"),
        ({"image_shape": 32}, ""),
        ({"filters": (10**9,)}, "1 GB"),
        ({"filters": (1,) * 1000}, "at most 16"),
        ({"filters": (10**30,)}, ""),
        ({"filters": [3, "4"]}, ""),
        ({"kernel_size": (4, 4)}, "one for each of the 3 stages"),
        ({"strides": [2, 2, 0]}, ""),
        ({"iterations": 10**9}, "at most 1000, as each"),
        ({"iterations": 0}, ""),
        ({"nonnegative": "no"}, ""),
        ({"lapped": True}, "as large as their stride"),
        ({"sparsity": float("nan")}, ""),
        ({"sparsity": [0.1, float("inf"), 0.1]}, ""),
        ({"sparsity": [0.1]}, ""),
    ],
    ids=str,
)
def test_what_no_architecture_may_be_is_named(changes, message):
    """Also what no machine could hold."""
    (name,) = changes
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        Encoder(**changes)


@pytest.mark.parametrize("shape", [(8, 6, 1), (2, 2, 1)], ids=str)
def test_image_shapes_that_can_not_be_halved_are_named(shape):
    contracts.check_rejects(
        Encoder, {"image_shape": shape}, filters=(3, 4), feature_dim=5
    )


def test_parts_of_signed_codes_are_those_of_a_dictionary_with_both_signs():
    """Solved to the end, signed codes are the non-negative ones of ±atoms."""
    images = images_of_six()
    solved = {"iterations": 300, "sparsity": 0.2}
    encoder = Encoder(**SMALL, **solved)
    layer = encoder.coding_layers[0]
    encoder.build(images.shape)
    encoder.update_operator_norms()
    codes = encoder.parts(0, layer(images))
    both = ConvSparseCoding2D(
        6,
        3,
        strides=4,
        relative=False,
        kernel_constraint=None,
        **solved,
    )
    both.build(images.shape)
    kernel = layer.kernel.numpy()
    both.kernel.assign(np.concatenate([kernel, -kernel], axis=-1))
    both.update_operator_norm()
    assert np.mean(codes > 0) > 0.1
    found = both(images) / both.operator_norm
    np.testing.assert_allclose(codes / layer.operator_norm, found, atol=1e-4)


def test_dtype_policies():
    contracts.check_dtype_policies(
        lambda **kwargs: Encoder(**SMALL, **kwargs),
        images_of_six(),
        output_dtype="float32",
    )


def test_it_is_saved_and_pure_in_inference(tmp_path):
    contracts.check_save_and_load(Encoder(**SMALL), images_of_six(), tmp_path)
    contracts.check_inference_is_pure(Encoder(**SMALL), images_of_six())


def test_features_have_unit_norm_and_a_black_image_has_some():
    encoder = Encoder(**SMALL)
    for training in (False, True):
        features = encoder(images_of_six(), training=training)
        norms = np.linalg.norm(features, axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-6)
    features = encoder(np.zeros((2, 8, 8, 1), "float32"))
    assert np.all(np.isfinite(features))


@pytest.mark.parametrize("output", ["clip", "tanh"])
def test_images_are_in_range(output):
    decoder = Decoder(Encoder(**SMALL), output=output)
    decoder.build((None, 5))
    for variable in decoder.trainable_variables:
        variable.assign(10 * variable)
    images = decoder(features_of_six(), training=True).numpy()
    assert images.dtype == "float32"
    assert np.all(np.abs(images) <= 1) and np.std(images) > 0


def test_inference_with_the_moments_of_the_batch_is_training():
    encoder, images = Encoder(**SMALL), images_of_six()
    encoder.build(images.shape)
    output = encoder.activations(images, training=True)
    for layer, moments in zip(encoder.normalizations, output.statistics):
        layer.moving_mean.assign(moments[0])
        layer.moving_variance.assign(moments[1])
    np.testing.assert_allclose(encoder(images), output.features, atol=1e-5)


@pytest.mark.parametrize("tight_frame, below", [(True, 0), (False, 1)])
def test_only_the_last_stage_of_tight_frames_has_an_offset(tight_frame, below):
    encoder = Encoder(**{**SMALL, "tight_frame": tight_frame})
    images = images_of_six()
    encoder.build(images.shape)
    for weight in encoder.weights:
        if weight.name == "beta":
            weight.assign(np.ones(weight.shape))
    _, *given, last = encoder.activations(images, training=True).inputs
    assert given
    for signal in given:
        np.testing.assert_allclose(np.mean(signal, (0, 1, 2)), below, atol=1e-5)
    np.testing.assert_allclose(np.mean(last, (0, 1, 2)), 1, atol=1e-5)
