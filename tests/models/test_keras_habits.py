"""What Keras users do out of habit works, or says why it does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.models import initialize_from
from keras_csc.restoration import SparseDenoiser
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch


def compiled(*optimizers, **arguments):
    model = small_autoencoder()
    model.compile(*optimizers or (sgd(),), run_eagerly=True, **arguments)
    return model


def test_frozen_layers_are_frozen_once_loaded(tmp_path):
    model, (images, labels) = small_autoencoder(), small_batch(n=4)
    model.freeze_normalizations()
    model.encoder.head.trainable = False
    model.compile(sgd(), run_eagerly=True)
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    shapes = [v.shape for v in model.trainable_variables]
    assert [v.shape for v in loaded.trainable_variables] == shapes
    assert len(shapes) < len(small_autoencoder().trainable_variables)
    assert loaded.step == model.step == 1


@pytest.mark.parametrize(
    "frozen, optimizers",
    [("encoder", ("adam",)), ("decoder", ("adam", "adam"))],
)
def test_steps_count_where_a_player_is_frozen(tmp_path, frozen, optimizers):
    model, (images, _) = small_autoencoder(), small_batch(n=4)
    getattr(model, frozen).trainable = False
    model.compile(*optimizers, run_eagerly=True)
    model.fit(images, batch_size=2, verbose=0)
    assert model.step == 2
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").step == 2


def test_keras_exports_a_model(tmp_path):
    model = small_autoencoder(features="map")
    model.export(tmp_path, verbose=False)
    shape = model.encoder.image_shape
    images = np.random.default_rng(0).uniform(-1, 1, (2, *shape))
    expected = model(images.astype("float32"))
    loaded = tf.saved_model.load(tmp_path)
    found = loaded.serve(images.astype("float32"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["int8", "float8", "int4"])
def test_what_keras_would_leave_as_it_is_is_refused(mode):
    model = small_autoencoder()
    model.make_weights()
    for each in (model, model.encoder, model.decoder, SparseDenoiser()):
        with pytest.raises(NotImplementedError, match="optimizations="):
            each.quantize(mode)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_symbolic_calls_know_shapes_and_types(policy):
    model = small_autoencoder(dtype=policy)
    images = keras.Input(model.encoder.image_shape)
    kind = "float64" if policy == "float64" else "float32"
    features = model.encoder(images)
    for tensor in (features, model.decoder(features), model(images)):
        assert tensor.dtype == kind
    assert model(images).shape == images.shape
    assert model.compute_output_shape(images.shape) == images.shape
    wrong = keras.Input((9, 9, 1))
    for function in (model.encoder, model.decoder, model):
        with pytest.raises(ValueError, match=r"must have the shape \(batch"):
            function(wrong)


IMAGES, LABELS = small_batch(n=4)
WEIGHTS, LIST = np.ones(4), list(IMAGES)
WEIGHTED = tf.data.Dataset.from_tensors((IMAGES, LABELS, WEIGHTS))
EMPTY = tf.data.Dataset.from_tensor_slices(IMAGES[:3]).batch(4, True)


def with_validation(*data):
    return {"x": IMAGES, "validation_data": data}


@pytest.mark.parametrize(
    "method, given, word",
    [
        ("fit", {"x": IMAGES, "sample_weight": WEIGHTS}, "sample_weight"),
        (
            "fit",
            {"x": IMAGES, "y": LABELS, "class_weight": {0: 1.0}},
            "class_w",
        ),
        ("evaluate", {"x": IMAGES, "sample_weight": WEIGHTS}, "sample_weight"),
        ("train_on_batch", {"x": IMAGES, "sample_weight": WEIGHTS}, "sample_w"),
        ("fit", with_validation(IMAGES, LABELS, WEIGHTS), "sample_weight"),
        ("fit", with_validation(IMAGES, None, WEIGHTS), "sample_weight"),
        ("fit", with_validation(LIST, None), "np.stack"),
        *(
            (method, given, word)
            for method in ("fit", "evaluate", "predict")
            for given, word in (
                ({"x": EMPTY}, "empty"),
                ({"x": None}, "`x`.*NoneType"),
                ({"x": IMAGES, "batch_size": 0}, "batch_size"),
                ({"x": LIST}, "np.stack"),
                ({"x": WEIGHTED}, "sample_weight"),
            )
            if (method, word) != ("predict", "sample_weight")
        ),
    ],
)
def test_what_keras_takes_and_does_nothing_here_is_refused(method, given, word):
    with pytest.raises(ValueError, match=word):
        getattr(compiled(), method)(**given)


def test_validation_data_may_have_a_place_instead_of_a_name():
    """It has the eighth: `fit(x, y, batch_size, ...)`."""
    defaults = (None, 1, "auto", None, 0.0)
    with pytest.raises(ValueError, match="images"):
        compiled().fit(IMAGES, LABELS, *defaults, (IMAGES + 300, LABELS))


def test_keras_stops_on_nan():
    model, (images, _) = compiled(), small_batch(n=4)
    kernel = model.encoder.head.kernel
    callback = keras.callbacks.TerminateOnNaN(raise_error=True)
    history = model.fit(images, callbacks=[callback], verbose=0).history
    assert history["loss"] == pytest.approx(history["objective"])
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(RuntimeError, match="NaN or Inf loss .* batch 0"):
        model.fit(images, callbacks=[callback], verbose=0)


def test_a_density_is_of_the_weights_it_was_fitted_to():
    images, _ = small_batch(n=8)
    model = compiled()
    model.fit_density(images)
    clone = keras.models.clone_model(model)
    with pytest.raises(ValueError, match="no density"):
        clone.sample(2)
    bare = small_autoencoder()
    bare.fit_density(images)
    with pytest.raises(ValueError, match="compile"):
        bare.fit(images, verbose=0)
    assert bare.density is not None
    with pytest.raises(ValueError, match="images"):
        model.train_on_batch(images[:, :3])
    with pytest.raises(ValueError, match="images"):
        model.fit(tf.data.Dataset.from_tensors(images + 300), verbose=0)
    assert model.density is not None
    model.train_on_batch(images)
    assert model.density is None


def test_convolutions_do_not_depend_on_the_format_of_images():
    usual = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        images, _ = small_batch(n=4)
        model = small_autoencoder()
        assert model.reconstruct(images).shape == images.shape
    finally:
        keras.config.set_image_data_format(usual)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's, of generators
def test_fit_measures_the_gains_before_its_first_step_once():
    model = small_autoencoder()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    images, _ = small_batch()
    # A generator, and another iterator, are used up by one `fit`.
    history = model.fit(((images[i : i + 4],) for i in (0, 4)), verbose=0)
    model.fit(iter([images[:4], images[4:]]), verbose=0)
    assert model.step == 4 and history.history
    assert model.decoder.calibrated
    gain = float(model.decoder.feature_gain)
    model.decoder.feature_gain.assign(2 * gain)
    model.fit(images, verbose=0)
    assert float(model.decoder.feature_gain) == 2 * gain


def kernels(model):
    layers = *model.encoder.coding_layers, model.encoder.head
    return [layer.kernel.numpy() for layer in layers]


GIVEN = {
    "array": lambda images: images,
    "batches": lambda x: tf.data.Dataset.from_tensor_slices(x).batch(3),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_fit_begins_at_first_atoms_of_its_images(given):
    """As the command does; atoms that are not new stay."""
    images, still = small_batch(n=12)[0], keras.optimizers.SGD(0.0)
    expected, model = small_autoencoder(), small_autoencoder()
    expected.make_weights()
    initialize_from(expected, images)
    model.compile(still, run_eagerly=True)
    model.fit(given(images), batch_size=None, verbose=0)
    for one, other in zip(kernels(model), kernels(expected)):
        np.testing.assert_allclose(one, other, atol=1e-5)


CASES = {
    "frozen": lambda model, _: setattr(model.encoder.head, "trainable", False),
    "calibrated": lambda model, images: model.decoder.calibrate(images),
    "old": lambda model, images: model.encoder(images, training=True),
    "few": lambda *_: None,  # fewer images than features
}


@pytest.mark.parametrize("case", CASES)
def test_fit_keeps_atoms_that_are_not_new(case):
    images, model = small_batch(n=12)[0], small_autoencoder()
    model.make_weights()
    CASES[case](model, images)
    before = kernels(model)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    if case == "few":
        with pytest.warns(UserWarning, match="first atoms are random: .* as"):
            model.fit(images[:3], verbose=0)
    else:
        model.fit(images, verbose=0)
    assert model.decoder.calibrated
    for one, other in zip(kernels(model), before):
        np.testing.assert_allclose(one, other, atol=1e-6)
