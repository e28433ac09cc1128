"""What Keras users do out of habit works, or says why it does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.optimizers import DictionaryMuon
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch

SCHEDULE = keras.optimizers.schedules.ExponentialDecay


def compiled(*optimizers, **arguments):
    model = small_autoencoder()
    model.compile(*optimizers or (sgd(),), run_eagerly=True, **arguments)
    return model


def weighted(images, weights):
    return tf.data.Dataset.from_tensors((images, np.zeros(4, int), weights))


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
    [
        ("encoder", ("adam",)),
        ("encoder", ("adam", "adam")),
        ("decoder", ("adam", "adam")),
    ],
)
def test_steps_count_where_a_player_is_frozen(tmp_path, frozen, optimizers):
    model, (images, _) = small_autoencoder(), small_batch(n=4)
    getattr(model, frozen).trainable = False
    model.compile(*optimizers, run_eagerly=True)
    model.fit(images, batch_size=2, verbose=0)
    assert model.step == 2
    checkpoint = TrainingCheckpoint(tmp_path)
    checkpoint.set_model(model)
    checkpoint.save(2)
    model.fit(images, verbose=0)
    assert (model.step, checkpoint.restore(), model.step) == (3, 2, 2)
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


def test_a_file_holds_the_type_and_how_it_was_compiled(tmp_path):
    model = small_autoencoder(dtype="float64")
    model.compile(steps_per_execution=4, run_eagerly=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.dtype_policy == model.dtype_policy
    assert (again.steps_per_execution, again.run_eagerly) == (4, True)
    images = np.random.default_rng(0).uniform(
        -1, 1, (2, *model.encoder.image_shape)
    )
    np.testing.assert_array_equal(again(images), model(images))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "float64"])
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


@pytest.mark.parametrize("validation", [False, True])
def test_weights_of_images_are_refused(validation):
    model, (images, labels) = compiled(), small_batch(n=4)
    before = model.get_weights()
    weights = np.ones(4)
    calls = [
        lambda: model.fit(images, labels, sample_weight=weights),
        lambda: model.fit(images, labels, class_weight={0: 1.0, 1: 2.0}),
        lambda: model.fit(weighted(images, weights)),
        lambda: model.evaluate(images, labels, sample_weight=weights),
        lambda: model.evaluate(weighted(images, weights)),
        lambda: model.train_on_batch(images, labels, sample_weight=weights),
    ]
    if validation:
        data = (images, labels, weights)
        calls = [lambda: model.fit(images, validation_data=data, verbose=0)]
    for call in calls:
        with pytest.raises(
            ValueError, match="leave `sample_weight` and `class"
        ):
            call()
    if not validation:
        for weight, after in zip(before, model.get_weights()):
            np.testing.assert_array_equal(weight, after)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"encoder_optimizer": "adam"}, "no `encoder_optimizer`. It takes `op"),
        ({"loss": "mse"}, "no `loss`: .*`game`"),
        ({"metrics": ["mse"]}, "no `metrics`: `evaluate` reports psnr"),
        ({"weighted_metrics": ["mse"]}, "no `weighted_metrics`: `evaluate`"),
        ({"loss_weights": [1.0]}, "no `loss_weights`. It takes"),
        ({"learning_rate": 0.1}, "no `learning_rate`. It takes .*`inner_step`"),
    ],
    ids=str,
)
def test_compile_says_what_it_takes(arguments, message):
    with pytest.raises(ValueError, match=message):
        small_autoencoder().compile(**arguments)


def test_compile_takes_what_keras_leaves_out():
    small_autoencoder().compile(loss=None, metrics=None, jit_compile=False)


def test_one_optimizer_can_not_serve_two_players():
    optimizer = sgd()
    with pytest.raises(ValueError, match="two objects.* the same SGD for both"):
        compiled(optimizer, optimizer)


@pytest.mark.parametrize("player", ["optimizer", "decoder_optimizer"])
def test_every_optimizer_of_keras_has_good_defaults(player):
    """Ftrl's `learning_rate_power` is below 0, and no rate."""
    for name in ("Adadelta", "Adafactor", "Adagrad", "Adamax", "Ftrl", "Lion"):
        made = getattr(keras.optimizers, name)()
        small_autoencoder().compile(**{player: made})


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": float("nan")},
        {"learning_rate": -0.1},
        {"momentum": 1.0},
        {"momentum": float("nan")},
        {"adam_lr_ratio": float("inf")},
        {"beta_1": 1.0},
        {"beta_2": -0.1},
    ],
    ids=str,
)
def test_numbers_of_dictionary_muon_make_sense(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        DictionaryMuon(**bad)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.LossScaleOptimizer(sgd()),
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=1024.0),
    ],
    ids=["LossScaleOptimizer", "loss_scale_factor"],
)
@pytest.mark.parametrize("player", ["optimizer", "decoder_optimizer"])
def test_optimizers_that_scale_a_loss_are_refused(make, player):
    """Of which the steps would be too small: there is no loss to scale."""
    with pytest.raises(
        ValueError, match=f"`{player}` must not.*mixed_bfloat16"
    ):
        small_autoencoder().compile(**{player: make()})


def test_summary_of_a_compiled_model_counts_the_optimizers():
    model, lines = compiled("adam"), []
    model.summary(print_fn=lines.append)
    slots = sum(np.prod(v.shape, dtype=int) for v in model.optimizer.variables)
    text = "\n".join(map(str, lines))
    assert f"Optimizer params: {slots:,}" in text


def test_keras_stops_on_nan():
    model, (images, _) = compiled(), small_batch(n=4)
    kernel = model.encoder.head.kernel
    callback = keras.callbacks.TerminateOnNaN(raise_error=True)
    history = model.fit(images, callbacks=[callback], verbose=0).history
    assert history["loss"] == pytest.approx(history["objective"])
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(RuntimeError, match="NaN or Inf loss .* batch 0"):
        model.fit(images, callbacks=[callback], verbose=0)


def test_keras_callbacks_follow_the_names_of_the_documentation(tmp_path):
    model, (images, _) = compiled(), small_batch(n=4)
    path = tmp_path / "best.weights.h5"
    never = {"monitor": "val_psnr", "mode": "max", "min_delta": 1e9}
    history = model.fit(
        images,
        validation_data=images,
        epochs=4,
        verbose=0,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(**never, patience=1, factor=0.5),
            keras.callbacks.EarlyStopping(**never, patience=2),
            keras.callbacks.ModelCheckpoint(
                path, "val_psnr", mode="max", save_weights_only=True
            ),
        ],
    ).history
    assert len(history["val_psnr"]) == 3 and path.exists()
    assert float(model.optimizer.learning_rate) < 0.05


def test_every_name_of_the_documentation_is_logged():
    model, (images, _) = compiled(), small_batch(n=4)
    logs = model.fit(images, validation_data=images, verbose=0).history
    text = type(model).__doc__
    for name in ("loss", "objective", "val_psnr", "val_cosine"):
        assert name in logs and f"`{name}`" in text


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_an_empty_data_set_is_an_error(method, known):
    """Whether or not it knows that it is empty."""
    images = np.zeros((3, 8, 8, 1), "float32")
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(4, True)
    if not known:
        dataset = dataset.filter(lambda batch: True)
    with pytest.raises(ValueError, match="empty"):
        getattr(compiled(), method)(dataset, verbose=0)


def test_a_list_of_images_is_not_taken_for_several_inputs():
    images, _ = small_batch(n=4)
    model = compiled()
    for call in (
        lambda: model.fit(list(images)),
        lambda: model.fit(images, validation_data=(list(images), None)),
        lambda: model.evaluate(list(images)),
        lambda: model.predict(list(images)),
    ):
        with pytest.raises(ValueError, match="np.stack"):
            call()


def test_a_refused_batch_costs_no_density():
    images, _ = small_batch(n=8)
    model = compiled()
    model.fit_density(images)
    with pytest.raises(ValueError, match="images"):
        model.train_on_batch(images[:, :3])
    with pytest.raises(ValueError, match="images"):
        model.fit(tf.data.Dataset.from_tensors(images + 300), verbose=0)
    assert model.density is not None
    model.train_on_batch(images)
    assert model.density is None


def test_a_model_that_is_not_compiled_keeps_its_density():
    images, _ = small_batch(n=8)
    model = small_autoencoder()
    model.fit_density(images)
    with pytest.raises(ValueError, match="compile"):
        model.fit(images, verbose=0)
    assert model.density is not None


def test_a_clone_has_no_density_until_one_is_fitted():
    images, _ = small_batch(n=8)
    model = small_autoencoder()
    model.fit_density(images)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    with pytest.raises(ValueError, match="no density"):
        clone.sample(2)


def test_convolutions_do_not_depend_on_the_format_of_images():
    usual = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        images, _ = small_batch(n=4)
        model = small_autoencoder(network="conv")
        assert model.reconstruct(images).shape == images.shape
    finally:
        keras.config.set_image_data_format(usual)


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (self.images[4 * index : 4 * index + 4],)


@pytest.mark.parametrize(
    "given",
    [
        lambda images: images,
        lambda images: tf.data.Dataset.from_tensor_slices(images).batch(4),
        lambda images: ((images[i : i + 4],) for i in (0, 4)),
        Batches,
    ],
    ids=["array", "dataset", "generator", "PyDataset"],
)
def test_fit_measures_the_gains_before_its_first_step_once(given):
    model = small_autoencoder()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    images, _ = small_batch()
    history = model.fit(given(images), batch_size=4, verbose=0)
    assert model.step == 2 and history.history
    assert model.decoder.calibrated
    gain = float(model.decoder.feature_gain)
    model.decoder.feature_gain.assign(2 * gain)
    model.fit(images, verbose=0)
    assert float(model.decoder.feature_gain) == 2 * gain
