import keras
import numpy as np
import pytest
import scipy.stats
from keras.optimizers import SGD
from keras.optimizers import LossScaleOptimizer

from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import Decoder
from keras_csc.models import Encoder
from tests.helpers import contracts
from tests.helpers import references
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch

PUBLISHED = plain_game(objective="multi", consistency=0.5, inner_step=True)
OURS = TranscriptionGame("multi", 3, memory=0.0)


def compiled(**overrides):
    model = small_autoencoder(**overrides)
    model.compile(
        keras.optimizers.Adam(0.01, beta_1=0.5),
        keras.optimizers.AdamW(0.02, weight_decay=0.01),
        PUBLISHED,
        run_eagerly=True,
    )
    return model


def optimizer_state(model):
    return [v.numpy() for each in model.optimizers for v in each.variables]


def check_equal(arrays, others):
    assert len(arrays) == len(others)
    for array, other in zip(arrays, others):
        np.testing.assert_array_equal(array, other)


def all_kernels(model):
    """The encoder's, from the image upwards."""
    layers = (*model.encoder.coding_layers, model.encoder.head)
    return [layer.kernel.numpy() for layer in layers]


def train(model, seed=0):
    """A step, two of the encoder's, without the time that tracing takes."""
    model.train_step(small_batch(seed))


def test_fit_predict_and_evaluate():
    """The last two change no weight."""
    keras.utils.set_random_seed(0)
    model = small_autoencoder(image_shape=(16, 16, 1), filters=(3,))
    model.compile(sgd(), game=TranscriptionGame())
    images = np.random.default_rng(0).uniform(-1, 1, (12, 16, 16, 1))
    images = images.astype("float32")
    before = [v.numpy() for v in model.trainable_variables]
    history = model.fit(images, batch_size=4, epochs=2, verbose=0).history
    assert set(history) == {*model.game.term_names, "loss"}
    assert np.all(np.isfinite(list(history.values())))
    assert all(
        np.any(a != b) for a, b in zip(before, model.trainable_variables)
    )
    trained = all_weights(model)
    predicted = model.predict(images, batch_size=5, verbose=0)
    np.testing.assert_allclose(predicted, model.reconstruct(images), atol=1e-4)
    assert predicted.shape == images.shape
    scores = model.evaluate(images, batch_size=4, verbose=0, return_dict=True)
    assert set(scores) == {"psnr", "cosine"}
    check_equal(all_weights(model), trained)
    errors = np.mean((images - predicted) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(
        scores["psnr"], np.mean(10 * np.log10(4 / errors)), rtol=1e-4
    )
    cosines = np.sum(model.encode(images) * model.encode(predicted), axis=1)
    np.testing.assert_allclose(scores["cosine"], np.mean(cosines), rtol=1e-4)


def test_training_leaves_only_frozen_stages_as_they_are():
    models, frozen = [], 1
    for number in (0, frozen):
        keras.utils.set_random_seed(1)
        models.append(small_autoencoder())
        for layer in models[-1].encoder.coding_layers[:number]:
            layer.trainable = False
    free, model = models
    for each in models:
        each.compile(sgd(), None, OURS)
    first = all_kernels(model)
    for each in models:
        each.train_step(small_batch())
    check_equal(all_kernels(model)[:frozen], first[:frozen])
    check_equal(all_kernels(model)[frozen:], all_kernels(free)[frozen:])
    for trained, kernel in zip(all_kernels(free), first):
        assert np.any(trained != kernel)
    for layer, other in zip(
        model.encoder.normalizations, free.encoder.normalizations
    ):
        check_equal(layer.get_weights(), other.get_weights())
    check_equal(model.decoder.get_weights(), free.decoder.get_weights())


def test_frozen_normalizations_stay_and_the_others_train():
    model = small_autoencoder()
    model.freeze_normalizations()
    model.decoder.calibrate(small_batch()[0])
    model.compile(sgd(), None, OURS)
    frozen = [
        variable.path
        for layer in model.encoder.normalizations
        for variable in layer.variables
    ]
    before = {each.path: each.numpy() for each in model.weights}
    model.train_step(small_batch())
    stayed = [
        each.path
        for each in (*model.encoder.weights, *model.decoder.weights)
        if np.array_equal(each, before[each.path])
        # A tight frame has one step size.
        and each.name != "operator_norm"
    ]
    assert stayed == frozen


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_model_comes_back_and_trains_on_bit_by_bit(tmp_path):
    model = compiled(dtype="float64", filters=(3,))
    train(model)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    contracts.check_same_weights(model, loaded)
    assert loaded.dtype_policy == model.dtype_policy
    check_equal(optimizer_state(model), optimizer_state(loaded))
    assert loaded.game.get_config() == model.game.get_config()
    assert loaded.get_compile_config() == model.get_compile_config()
    names = [metric.name for metric in loaded.train_metrics]
    assert names == [metric.name for metric in model.train_metrics]
    images, _ = small_batch(5)
    check_equal(
        [model.predict(images, verbose=0)], [loaded.predict(images, verbose=0)]
    )
    train(model, 1)
    train(loaded, 1)
    check_equal(all_weights(model), all_weights(loaded))
    check_equal(optimizer_state(model), optimizer_state(loaded))
    assert int(loaded.optimizer.iterations) == 4
    assert loaded.step == 2
    for kernel in all_kernels(model):
        norms = np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
        np.testing.assert_allclose(norms, 1, atol=1e-5)


@pytest.mark.parametrize(
    "changes, arguments, message",
    [
        ({}, {"game": PUBLISHED}, "decoder_optimizer"),
        ({}, {"game": "binary"}, "game"),
        ({}, {"optimizer": SGD(use_ema=True)}, "use_ema"),
        ({}, {"optimizer": LossScaleOptimizer(SGD())}, "mixed_bfloat16"),
        ({}, {"decoder_optimizer": SGD(loss_scale_factor=2.0)}, "loss_scale"),
    ],
)
def test_compile_says_what_it_takes(changes, arguments, message):
    with pytest.raises(ValueError, match=message):
        small_autoencoder(**changes).compile(**arguments)


@pytest.mark.parametrize("name", ["loss", "metrics", "sample_weight"])
def test_compile_takes_no_arguments_that_do_nothing(name):
    with pytest.raises(TypeError, match=f"unexpected.*'{name}'"):
        small_autoencoder().compile(**{name: "mse"})


def test_players_that_do_not_fit_are_refused():
    shape = {"image_shape": (8, 8, 1), "filters": (3,)}
    with pytest.raises(ValueError, match=r"`Decoder\(encoder\)`"):
        ClosedLoopAutoencoder(Encoder(**shape), Decoder(Encoder(**shape)))
    with pytest.raises(ValueError, match="`encoder` must be an `Encoder`"):
        Decoder(keras.Sequential())


def test_a_mirror_has_no_weights_but_gains():
    model = small_autoencoder()
    model.make_weights()
    names = {v.name for v in model.decoder.variables}
    assert names == {"feature_gain", "gain_1", "gain_2", "image_gain"}
    with pytest.raises(NotImplementedError, match="`ClosedLoopAutoencoder`"):
        model.decoder.save("alone.keras")


@pytest.mark.parametrize(
    "changes", [{"features": "map"}, {}, {"rectified": True}], ids=str
)
def test_calibration_draws_channels_nearest_or_rectified_by_contrast(changes):
    model = small_autoencoder(**changes)
    images = 0.1 * small_batch(n=32)[0]  # of which nothing is clipped
    decoder, encoder = model.decoder, model.encoder
    assert not decoder.calibrated
    decoder.calibrate(images)
    assert decoder.calibrated
    output = encoder.activations(images, training=True)
    top = encoder.normalizations[1](
        encoder.parts(1, output.codes[1]), statistics=output.statistics[1]
    )
    norms = np.linalg.norm(encoder.head(top), axis=-1)
    assert float(decoder.feature_gain) == pytest.approx(np.mean(norms), 1e-5)
    kernel = encoder.head.kernel.numpy()
    drawn = references.synthesize(
        float(decoder.feature_gain)
        * output.features.numpy().reshape(32, *decoder.map_shape),
        kernel,
        top.shape[1:3],
        1,
        "valid",
    )
    pairs = [
        (drawn[..., n].ravel(), top[..., n].numpy().ravel())
        for n in range(drawn.shape[-1])
    ]
    made = decoder(output.features, statistics=output.statistics).numpy()
    if "rectified" not in changes:
        expected = [scipy.stats.linregress(*pair).slope for pair in pairs]
        slope = scipy.stats.linregress(made.ravel(), images.ravel()).slope
        assert slope == pytest.approx(1, rel=1e-4)
    else:
        expected = [np.std(wanted) / np.std(each) for each, wanted in pairs]
        assert np.std(made) == pytest.approx(np.std(images), rel=1e-4)
    np.testing.assert_allclose(decoder.stage_gains[0], expected, rtol=1e-3)


def test_denoising_changes_the_sparsity_of_the_first_stage():
    model = small_autoencoder(sparsity=0.05)
    images, _ = small_batch()
    usual = model.reconstruct(images)
    each = model.denoise(images, np.array([0.05, 0.5] * 4, "float32"))
    output = model.encoder.activations(images, sparsity=0.5)
    expected = model.decode(output.features)
    np.testing.assert_allclose(each[::2], usual[::2], atol=1e-6)
    np.testing.assert_allclose(each[1::2], expected[1::2], atol=1e-6)
    assert np.max(np.abs(expected - usual)) > 1e-3


def test_half_precision_trains_close_to_single_precision():
    model = small_autoencoder(dtype="mixed_bfloat16")
    exact = small_autoencoder(dtype="float32")
    exact.set_weights(model.get_weights())
    images, labels = small_batch()
    logs = []
    for each in (model, exact):
        each.compile(sgd(), None, OURS)
        logs.append(each.train_step((images, labels)))
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    for name, value in logs[1].items():
        np.testing.assert_allclose(logs[0][name], value, rtol=0.2, atol=0.02)


def test_keras_callbacks_follow_the_names_of_the_documentation(tmp_path):
    model = small_autoencoder(filters=(3,))
    model.compile(run_eagerly=True)
    images, _ = small_batch(n=4)
    watched, path = ("val_psnr",), tmp_path / "best.keras"
    history = model.fit(
        images,
        epochs=3,
        verbose=0,
        validation_data=images,
        callbacks=[
            keras.callbacks.ModelCheckpoint(path, *watched, mode="max"),
            keras.callbacks.EarlyStopping(*watched, 1e9, 1, mode="max"),
        ],
    ).history
    assert len(history["val_psnr"]) == 2
    assert keras.models.load_model(path).step > 0
    text = type(model).__doc__
    for name in ("loss", "objective", "val_psnr", "val_cosine"):
        assert name in history and f"`{name}`" in text
