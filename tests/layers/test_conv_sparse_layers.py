import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_csc
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import ConvSparseDecoding2D
from keras_csc.ops import analysis
from tests.helpers import references


def images(size=(8, 7), channels=2, batch=3, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, *size, channels)).astype(dtype)


def exact_layer(**arguments):
    arguments = {"sparsity": 0.3, "relative": False, **arguments}
    arguments = {"iterations": 4, "nonnegative": False, **arguments}
    layer = ConvSparseCoding2D(4, 3, dtype="float64", **arguments)
    layer.build((None, 8, 7, 2))
    return layer


@pytest.mark.parametrize("relative", [False, True])
def test_half_precision_is_measured_in_float32(relative):
    layer = ConvSparseCoding2D(4, 3, dtype="bfloat16", relative=relative)
    codes = layer(images(), training=True)
    stored = layer(images(), training=False)
    np.testing.assert_allclose(stored, codes, atol=0.02)
    assert codes.dtype == "bfloat16" and np.any(codes)
    weights = np.array([0.0, 0.5, 2.0], "float32")
    found = layer.objective(tf.constant(images()), codes, weights)
    assert found.dtype == "float32"
    solved = layer.solve(images(), weights, 100, 1e-4)
    least = layer.objective(tf.constant(images()), solved, weights)
    assert np.all(least < found)
    inputs = images(dtype="float64")
    kernel = tf.cast(layer.kernel.value, "float64").numpy()
    bound = float(keras_csc.ops.frame_bound(kernel))
    sparsity = weights.reshape(3, 1, 1, 1) / bound
    if relative:
        seen = references.analyze(inputs, kernel, 1, "same")
        sparsity *= np.sqrt(np.mean(seen**2, (1, 2, 3), keepdims=True))
    expected = references.program_value(
        inputs,
        tf.cast(codes, "float64").numpy(),
        kernel / bound,
        sparsity,
        *(1, "same"),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


class Lazy(keras.Model):
    """Has no `build`: Keras builds its layers as they are called."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def call(self, images, training=None):
        for part in self.parts:
            images = part(images)
        return images


@pytest.mark.parametrize(
    "build",
    [
        lambda model, images: model.predict(images, verbose=0),
        lambda model, images: model(keras.Input(images.shape[1:])),
    ],
    ids=["predict", "symbolic"],
)
def test_a_layer_that_is_built_by_its_call(build):
    """Also in a graph, where what `build` assigns is lost."""
    arguments = {"strides": 2, "kernel_constraint": "tight_frame"}
    coding = ConvSparseCoding2D(6, 3, **arguments)
    decoding = ConvSparseDecoding2D(2, 3, **arguments)
    model = Lazy(coding, decoding)
    model.compile(loss="mse")
    build(model, images((8, 8)))
    for layer in (coding, decoding):
        atoms = np.reshape(layer.kernel, (18, 6))
        np.testing.assert_allclose(atoms.T @ atoms, np.eye(6), atol=1e-5)
    expected = keras_csc.ops.frame_bound(coding.kernel, 2)
    np.testing.assert_allclose(coding.operator_norm, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "nonnegative, strides, padding", [(False, 1, "same"), (True, 2, "valid")]
)
def test_codes_are_those_of_the_program_with_the_stored_step(
    nonnegative, strides, padding
):
    """Times `L`; with the sparsity of the layer, or of the call."""
    layer = exact_layer(
        nonnegative=nonnegative, strides=strides, padding=padding
    )
    inputs, each = images(dtype="float64"), np.array([0.0, 0.7, 2.0])
    for given, sparsity in (
        (None, 0.3),
        (0.7, 0.7),
        (np.float64(0.7), 0.7),
        (each, each.reshape(3, 1, 1, 1)),
    ):
        codes = layer(inputs, sparsity=given).numpy()
        bound = layer.operator_norm.numpy()
        expected = bound * references.solve_sparse_code(
            *(inputs, layer.kernel.numpy(), sparsity),
            *(1 / bound, nonnegative, strides, padding),
            iterations=4,
        )
        np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-12)
        assert np.any(codes == 0) and np.any(codes != 0)
    drawn = layer.synthesize(codes, inputs.shape[1:3])
    expected = references.synthesize(
        codes / bound, layer.kernel.numpy(), (8, 7), strides, padding
    )
    np.testing.assert_allclose(drawn, expected, atol=1e-12)


def test_one_step_is_a_convolution_with_a_threshold():
    """A relative one is a share of what the atoms see in the example."""
    inputs, each = images(dtype="float64"), np.array([0.0, 0.7, 2.0])
    for relative in (False, True):
        layer = exact_layer(relative=relative, nonnegative=True, iterations=1)
        seen = references.analyze(inputs, layer.kernel.numpy(), 1, "same")
        level = np.sqrt(np.mean(seen**2, (1, 2, 3), keepdims=True))
        threshold = each.reshape(3, 1, 1, 1) * (level if relative else 1)
        codes = layer(inputs, sparsity=each)
        expected = np.maximum(seen - threshold, 0)
        np.testing.assert_allclose(codes, expected, atol=1e-12)


def test_codes_of_a_relative_threshold_scale_with_the_image():
    layer = exact_layer(relative=True, iterations=50)
    inputs = images(dtype="float64")
    codes = layer(inputs)
    assert 0.1 < np.mean(codes == 0) < 0.9
    np.testing.assert_allclose(layer(1e4 * inputs), 1e4 * codes, atol=1e-9)
    for black in (0 * inputs, tf.zeros_like(inputs)):
        black = tf.constant(black)
        with tf.GradientTape() as tape:
            tape.watch(black)
            codes = layer(black, training=True)
        assert not np.any(codes)
        by_kernel, by_image = tape.gradient(
            codes, [layer.kernel.value, black], tf.ones_like(codes)
        )
        assert np.all(np.isfinite(by_kernel)) and np.all(np.isfinite(by_image))


CASES = [
    {"strides": 2, "nonnegative": True},
    {"relative": True},
]


@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_gradient_in_training_goes_through_the_bound(arguments):
    """By finite differences of an autoencoder, along random directions."""
    layer = exact_layer(**arguments)
    rng, inputs = np.random.default_rng(2), images(dtype="float64")
    weights = rng.normal(size=inputs.shape)

    @tf.function
    def value():
        drawn = layer.synthesize(layer(inputs, training=True), (8, 7))
        return tf.reduce_sum(weights * drawn)

    with tf.GradientTape() as tape:
        found = value()
    gradient = tape.gradient(found, layer.kernel.value).numpy()
    kernel = layer.kernel.numpy()
    for _ in range(3):
        direction = rng.normal(size=kernel.shape)
        sides = []
        for step in (1e-6, -1e-6):
            layer.kernel.assign(kernel + step * direction)
            sides.append(float(value()))
        expected = (sides[0] - sides[1]) / 2e-6
        assert np.vdot(gradient, direction) == pytest.approx(expected, rel=1e-5)


def test_bound_of_a_tight_frame_is_a_constant():
    layer = exact_layer(kernel_constraint="tight_frame", strides=2)
    before = layer.operator_norm.numpy()
    assert before == pytest.approx(4, rel=2e-3)
    layer.kernel.assign(2 * layer.kernel)
    layer(images(dtype="float64"), training=True)
    assert layer.operator_norm.numpy() == before


@pytest.mark.parametrize("ends", [(0, 1), (-1, 1), "standardised"], ids=str)
def test_eight_layers_keep_the_size_of_their_images(ends):
    """Of smooth images: within a factor of 4, with the defaults."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(16, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    smooth = smooth + 0.3 * rng.normal(size=smooth.shape)
    signal = (smooth - smooth.mean()) / smooth.std()
    if ends != "standardised":
        part = (smooth - smooth.min()) / np.ptp(smooth)
        signal = ends[0] + (ends[1] - ends[0]) * part
    first = np.sqrt(np.mean(signal**2))
    for _ in range(8):
        signal = ConvSparseCoding2D(32, 3)(signal)
        share = np.sqrt(np.mean(np.square(signal))) / first
        assert 1 / 4 < share < 4


def test_images_of_other_channels_are_refused():
    layer = ConvSparseCoding2D(6, 3)
    layer.build((None, 8, 8, 1))
    colours, codes = images(channels=3), np.zeros((3, 8, 7, 6))
    at = colours, layer.kernel.numpy(), 0.1, 0.1
    for function in (
        lambda: layer.solve(colours),
        lambda: layer.objective(colours, codes),
        lambda: keras_csc.ops.analysis(*at[:2]),
        lambda: keras_csc.ops.solve_sparse_code(*at),
    ):
        with pytest.raises(ValueError, match="1 channels of the atoms"):
            function()


def test_stored_norm_is_the_bound_of_the_dictionary():
    layer = ConvSparseCoding2D(4, 3, strides=2, dtype="float64")
    inputs = images(dtype="float64")
    layer(inputs)
    assert [v.name for v in layer.variables] == ["kernel", "operator_norm"]
    for factor in (1.0, 3.0):
        layer.kernel.assign(factor * layer.kernel)
        layer(inputs, training=True)
        kernel = layer.kernel.numpy()
        expected = keras_csc.ops.frame_bound(kernel, 2)
        np.testing.assert_allclose(layer.operator_norm, expected, rtol=1e-12)


def test_a_dictionary_of_zeros_has_finite_codes_and_gradients():
    layer = ConvSparseCoding2D(
        4, 3, kernel_constraint=None, kernel_initializer="zeros"
    )
    inputs = tf.constant(images())
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            codes = layer(inputs, training=training)
            loss = tf.reduce_sum(codes**2)
        assert not np.any(codes)
        for value in tape.gradient(loss, [inputs, layer.kernel.value]):
            assert np.all(np.isfinite(value))
    layer.kernel.assign(np.random.default_rng(1).normal(size=(3, 3, 2, 4)))
    layer.update_operator_norm()
    assert np.any(layer(inputs))


def test_own_dictionary_is_normed_and_has_its_own_step_size():
    atoms = np.random.default_rng(1).normal(size=(3, 3, 2, 4))
    layer = exact_layer()
    layer.set_dictionary(atoms)
    expected = atoms / np.sqrt(np.sum(atoms**2, (0, 1, 2)))
    np.testing.assert_allclose(layer.kernel, expected, rtol=1e-6)
    bound = float(keras_csc.ops.frame_bound(expected))
    assert float(layer.operator_norm) == pytest.approx(bound)
    with pytest.raises(ValueError, match="shape"):
        layer.set_dictionary(atoms[..., :3])
    for bad in (np.nan, np.inf):
        atoms[0, 0, 0, 0] = bad
        with pytest.raises(ValueError, match="`atoms` must be .* 1 non-finite"):
            layer.set_dictionary(atoms)


def test_frozen_layer_stays_what_it_is():
    layer = ConvSparseCoding2D(4, 3)
    layer(images())
    before = [weight.numpy() for weight in layer.weights]
    layer.trainable = False
    layer(images(), training=True)
    for weight, value in zip(layer.weights, before):
        np.testing.assert_array_equal(weight, value)


def test_a_budget_of_zeros_sets_the_threshold():
    """Of orthonormal atoms it is a quantile of what the atoms find."""
    layer = ConvSparseCoding2D(
        8,
        2,
        strides=2,
        sparsity=0.1,
        relative=False,
        nonnegative=False,
        zeros=0.75,
        iterations=1,
        kernel_constraint="tight_frame",
    )
    signal = images((16, 16))
    codes = layer(signal)
    share = np.mean(codes.numpy() == 0)
    layer.update_sparsity(codes)
    expected = np.log(0.1) + 0.2 * (0.75 - share)
    assert np.log(layer.sparsity) == pytest.approx(expected, rel=1e-6)
    for _ in range(200):
        layer.update_sparsity(layer(signal))
    found = np.abs(references.analyze(signal, layer.kernel.numpy(), 2, "same"))
    assert layer.sparsity == pytest.approx(np.quantile(found, 0.75), rel=0.01)
    copy = ConvSparseCoding2D.from_config(layer.get_config())
    copy.build(signal.shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(signal), layer(signal))
    layer.trainable = False
    before = layer.sparsity
    layer.update_sparsity(tf.zeros_like(codes))
    assert layer.sparsity == before
    with pytest.raises(ValueError, match="`sparsity` must be"):
        ConvSparseCoding2D(8, 2, sparsity=0, zeros=0.75)


def codes(size=(4, 5), dtype="float32"):
    return images(size, 4, dtype=dtype)


def test_symbolic_shape_with_an_image_size():
    layer = ConvSparseDecoding2D(2, 3, strides=2)
    result = layer(keras.Input((4, 5, 3)), image_size=(7, 10))
    assert result.shape == (None, 7, 10, 2)


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_layer_is_the_synthesis(strides, padding):
    size = (10, 9)
    coding = ConvSparseCoding2D(4, 3, strides=strides, padding=padding)
    decoding = ConvSparseDecoding2D(
        2, 3, strides=strides, padding=padding, dtype="float64"
    )
    z = codes(coding.compute_output_shape((3, *size, 2))[1:3], dtype="float64")
    synthesized = decoding(z, image_size=size).numpy()
    kernel = decoding.kernel.numpy()
    np.testing.assert_allclose(
        synthesized,
        references.synthesize(z, kernel, size, strides, padding),
        atol=1e-12,
    )


def test_it_learns_as_a_transposed_convolution_does():
    """Values and gradients are the same, so every step of training is."""
    results, upstream = [], images((8, 10))
    for layer in (
        ConvSparseDecoding2D(2, 4, strides=2),
        keras.layers.Conv2DTranspose(
            2, 4, strides=2, padding="same", use_bias=False
        ),
    ):
        given, rng = tf.constant(codes()), np.random.default_rng(1)
        layer.build(given.shape)
        layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
        assert layer.kernel.constraint is None
        with tf.GradientTape() as tape:
            tape.watch(given)
            drawn = layer(given)
        gradients = tape.gradient(drawn, [given, layer.kernel.value], upstream)
        results.append([drawn, *gradients])
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "coding",
    [
        ConvSparseCoding2D(4, 3, strides=2),
        keras.layers.Conv2D(4, 3, use_bias=False),
    ],
    ids=["coding", "head"],
)
def test_a_layer_draws_with_the_atoms_of_another(coding, tmp_path):
    coding.build((None, 8, 10, 2))
    layer = ConvSparseDecoding2D(coding_layer=coding)
    z = codes()
    result = layer(z)
    assert not layer.variables
    strides, padding = layer.strides, coding.padding
    own = ConvSparseDecoding2D(2, 3, strides, padding)
    own.build(z.shape)
    own.kernel.assign(coding.kernel)
    if isinstance(coding, ConvSparseCoding2D):
        own.kernel.assign(coding.dictionary())
    np.testing.assert_array_equal(result, own(z))
    if isinstance(coding, ConvSparseCoding2D):
        np.testing.assert_array_equal(result, coding.synthesize(z))
    assert layer.compute_output_shape(z.shape) == result.shape
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(z) ** 2)
    assert np.any(tape.gradient(value, coding.kernel.value))
    signal = keras.Input((8, 10, 2))
    model = keras.Model(signal, layer(coding(signal)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == len(model.weights)
    expected = model(images((8, 10)))
    np.testing.assert_array_equal(loaded(images((8, 10))), expected)
    with pytest.raises(TypeError, match="draw with other atoms"):
        keras.models.clone_model(model)
    inputs = keras.Input((None, None, 4))
    parts = (
        keras.Model(signal, coding(signal)),
        keras.Model(inputs, layer(inputs)),
    )
    keras.Model(signal, parts[1](parts[0](signal))).save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="draw with other atoms"):
        keras.saving.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize(
    "coding",
    [
        keras.layers.Conv2D(4, (3, 5)),
        keras.layers.Conv2D(4, 3, strides=(1, 2)),
        keras.layers.Conv2D(4, 3, dilation_rate=2),
        keras.layers.Conv2D(4, 3, groups=2),
        keras.layers.Conv2D(4, 3, data_format="channels_first"),
        keras.layers.Conv2DTranspose(4, 3),
        keras.layers.Dense(4),
    ],
    ids=["kernel", "strides", "dilation", "groups", "first", "up", "dense"],
)
def test_atoms_of_other_layers_are_refused(coding):
    with pytest.raises(ValueError, match="`coding_layer` must be"):
        ConvSparseDecoding2D(coding_layer=coding)


@pytest.mark.parametrize(
    "use",
    [
        lambda layer: layer.solve(images()),
        lambda layer: layer.synthesize(np.zeros((1, 8, 8, 4))),
        lambda layer: layer.objective(images(), np.zeros((1, 8, 8, 4))),
        lambda layer: layer.dictionary(),
        lambda layer: layer.set_dictionary(np.zeros((3, 3, 2, 4))),
        lambda layer: ConvSparseDecoding2D(coding_layer=layer)(
            np.zeros((1, 8, 8, 4))
        ),
    ],
    ids=["solve", "synthesize", "objective", "dictionary", "set", "draw"],
)
def test_layer_without_atoms_says_so(use):
    with pytest.raises(ValueError, match="no atoms yet: build it first"):
        use(ConvSparseCoding2D(4, 3))


# === Another penalty ===


@keras.saving.register_keras_serializable(package="tests")
def of_places(values, threshold):
    """Of `Σ ‖z‖₂` over places."""
    norms = ops.norm(values, axis=-1, keepdims=True)
    kept = ops.relu(norms - threshold)
    return values * kept / ops.maximum(norms, 1e-9)


def test_another_prox_solves_another_program():
    """`(λ/L) Σ ‖y‖₂ + ½‖x - A y / L‖²`, by its optimality conditions."""
    given = images((6, 6), batch=2)
    layer = ConvSparseCoding2D(
        5, 3, sparsity=0.8, relative=False, iterations=400, prox=of_places
    )
    again = ConvSparseCoding2D.from_config(layer.get_config())
    codes = np.asarray(layer(given))
    again.build(given.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(again(given), codes, atol=1e-6)
    residual = given - layer.synthesize(codes, (6, 6))
    slope = np.asarray(analysis(residual, layer.kernel, 1, "same"))
    norms = np.linalg.norm(codes, axis=-1, keepdims=True)
    active = norms[..., 0] > 0
    assert 0.1 < np.mean(active) < 0.9
    expected = 0.8 * (codes / np.maximum(norms, 1e-9))[active]
    np.testing.assert_allclose(slope[active], expected, atol=2e-3)
    assert np.all(np.linalg.norm(slope[~active], axis=-1) < 0.8 + 2e-3)
    for function in (
        lambda: layer.objective(given, codes),
        lambda: layer.solve(given, tolerance=1e-3),
    ):
        with pytest.raises(ValueError, match="penalty of a layer with a `pr"):
            function()
    with pytest.raises(ValueError, match="`prox` goes with"):
        ConvSparseCoding2D(5, 3, prox=of_places, nonnegative=True)


def test_codes_of_integers_draw_as_codes_of_floats():
    layer = ConvSparseCoding2D(4, 3)
    layer.build((None, 8, 7, 2))
    codes = np.random.default_rng(0).integers(-3, 4, (2, 8, 7, 4))
    for draw in (layer.synthesize, ConvSparseDecoding2D(coding_layer=layer)):
        floats = draw(codes.astype("float32"))
        np.testing.assert_array_equal(draw(codes), floats)
