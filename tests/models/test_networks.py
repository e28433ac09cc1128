import numpy as np
import pytest

from keras_csc.layers import ConvSparseCoding2D
from keras_csc.models import ConvDecoder
from keras_csc.models import ConvEncoder
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
ENCODERS = [Encoder, ConvEncoder]
NETWORKS = [*ENCODERS, ConvDecoder]


def make(network, **kwargs):
    """A small network; a decoder of an encoder of its own."""
    if network is ConvDecoder:
        return ConvDecoder(ConvEncoder(**SMALL), **kwargs)
    return network(**SMALL, **kwargs)


def inputs(network):
    if network in ENCODERS:
        return small_batch(n=6)[0]
    rows = references.sphere_features(np.random.default_rng(0), 6, 5)
    return rows.astype("float32")


def test_encoders_configuration_holds_every_argument():
    contracts.check_config(
        Encoder, excluded=("lapped",), **SMALL, **SOLVER, features="map"
    )
    contracts.check_config(ConvEncoder, **SMALL, features="map")


def test_decoders_configuration_holds_every_argument():
    generic = ConvDecoder(ConvEncoder(**SMALL, features="map"))
    decoder = Decoder(Encoder(**SMALL), rectified=True, output="tanh")
    for made in (generic, decoder):
        copy = type(made).from_config(made.get_config())
        assert copy.get_config() == made.get_config()
        assert copy.encoder.get_config() == made.encoder.get_config()
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


@pytest.mark.parametrize("network", ENCODERS)
@pytest.mark.parametrize("shape", [(8, 6, 1), (2, 2, 1)], ids=str)
def test_image_shapes_that_can_not_be_halved_are_named(network, shape):
    contracts.check_rejects(
        network, {"image_shape": shape}, filters=(3, 4), feature_dim=5
    )


def test_parts_of_signed_codes_are_those_of_a_dictionary_with_both_signs():
    """Solved to the end, signed codes are the non-negative ones of ±atoms."""
    images = inputs(Encoder)
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


@pytest.mark.parametrize("network", NETWORKS)
def test_dtype_policies(network):
    contracts.check_dtype_policies(
        lambda **kwargs: make(network, **kwargs),
        inputs(network),
        output_dtype="float32",
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_saved_and_pure_in_inference(network, tmp_path):
    contracts.check_save_and_load(make(network), inputs(network), tmp_path)
    contracts.check_inference_is_pure(make(network), inputs(network))


@pytest.mark.parametrize("network", ENCODERS)
def test_features_have_unit_norm_and_a_black_image_has_some(network):
    encoder = network(**SMALL)
    for training in (False, True):
        features = encoder(inputs(network), training=training)
        norms = np.linalg.norm(features, axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-6)
    features = encoder(np.zeros((2, 8, 8, 1), "float32"))
    assert np.all(np.isfinite(features))


@pytest.mark.parametrize("output", ["clip", "tanh", "conv"])
def test_images_are_in_range(output):
    decoder = make(ConvDecoder)
    if output != "conv":
        decoder = Decoder(Encoder(**SMALL), output=output)
    decoder.build((None, 5))
    for variable in decoder.trainable_variables:
        variable.assign(10 * variable)
    images = decoder(inputs(ConvDecoder), training=True).numpy()
    assert images.dtype == "float32"
    assert np.all(np.abs(images) <= 1) and np.std(images) > 0


@pytest.mark.parametrize("network", ENCODERS)
def test_inference_with_the_moments_of_the_batch_is_training(network):
    encoder = network(**SMALL)
    images = inputs(network)
    encoder.build(images.shape)
    output = encoder.activations(images, training=True)
    for layer, moments in zip(encoder.normalizations, output.statistics):
        layer.moving_mean.assign(moments[0])
        layer.moving_variance.assign(moments[1])
    np.testing.assert_allclose(encoder(images), output.features, atol=1e-5)


def test_a_generic_encoder_has_no_sparsity_to_change():
    encoder = ConvEncoder(**SMALL)
    encoder.build((None, 8, 8, 1))
    with pytest.raises(ValueError, match="`sparsity`"):
        encoder.activations(inputs(ConvEncoder), sparsity=0.1)
