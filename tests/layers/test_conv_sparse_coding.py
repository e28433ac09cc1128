import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_csc
from keras_csc import constraints
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import ConvSparseDecoding2D
from tests.helpers import contracts
from tests.helpers import references

ARGUMENTS = {
    "filters": 5,
    "kernel_size": 3,
    "strides": 2,
    "padding": "valid",
    "sparsity": 0.25,
    "ridge": 0.5,
    "nonnegative": True,
    "iterations": 3,
    "algorithm": "ista",
    "gradient": "implicit",
    "tolerance": 1e-3,
    "kernel_initializer": keras.initializers.RandomUniform(-1, 1, seed=3),
    "kernel_constraint": constraints.TightFrame(),
}


def images(size=(8, 7), channels=2, batch=3, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, *size, channels)).astype(dtype)


def exact_layer(size=(8, 7), **arguments):
    """A float64 layer with a power-of-two sparsity."""
    arguments = {"sparsity": 0.125, "iterations": 4, **arguments}
    layer = ConvSparseCoding2D(4, 3, dtype="float64", **arguments)
    layer.build((None, *size, 2))
    return layer


def reference_codes(layer, inputs, sparsity=None, kernel=None):
    return references.solve_sparse_code(
        inputs,
        layer.kernel.numpy() if kernel is None else kernel,
        layer.sparsity if sparsity is None else sparsity,
        1 / layer.operator_norm.numpy(),
        layer.ridge,
        layer.nonnegative,
        layer.strides,
        layer.padding,
        layer.iterations,
        layer.algorithm,
    )


def test_configuration_holds_every_argument():
    contracts.check_config(ConvSparseCoding2D, **ARGUMENTS)


@pytest.mark.parametrize(
    "bad",
    [
        {"filters": 0},
        {"kernel_size": 0},
        {"strides": 0},
        {"iterations": 0},
        {"sparsity": -0.1},
        {"ridge": -1.0},
        {"padding": "full"},
        {"algorithm": "admm"},
        {"gradient": "none"},
        {"tolerance": 1e-3},
    ],
    ids=str,
)
def test_bad_arguments_are_named(bad):
    contracts.check_rejects(ConvSparseCoding2D, bad, filters=4, kernel_size=3)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_shapes(strides, padding):
    contracts.check_shapes(
        lambda: ConvSparseCoding2D(4, 3, strides=strides, padding=padding),
        [(2, 8, 8, 1), (1, 7, 10, 3)],
    )


def test_dtype_policies():
    contracts.check_dtype_policies(
        lambda **kwargs: ConvSparseCoding2D(
            4,
            3,
            kernel_initializer=keras.initializers.RandomNormal(seed=1),
            sparsity=0.0,
            **kwargs,
        ),
        images(),
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float64"])
def test_objective_in_every_precision(policy):
    """Of images as they are given, and at least in float32."""
    layer = ConvSparseCoding2D(4, 3, dtype=policy)
    codes = layer(images())
    found = layer.objective(tf.constant(images()), codes)
    assert found.dtype in ("float32", "float64")
    expected = references.program_value(
        images(dtype="float64"),
        tf.cast(codes, "float64").numpy(),
        tf.cast(layer.kernel.value, "float64").numpy(),
        *(0.1, 0, 1, "same"),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("constraint", ["unit_atoms", "tight_frame"])
def test_pure_half_precision(constraint):
    layer = ConvSparseCoding2D(
        4, 3, dtype="bfloat16", kernel_constraint=constraint
    )
    codes = layer(images(), training=True)
    assert codes.dtype == "bfloat16" and np.any(codes)


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
        lambda model, images: model(images),
        lambda model, images: model.predict(images, verbose=0),
        lambda model, images: model.evaluate(images, images, verbose=0),
        lambda model, images: tf.function(model)(images),
        lambda model, images: model(keras.Input(images.shape[1:])),
    ],
    ids=["call", "predict", "evaluate", "function", "symbolic"],
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


def test_save_and_load(tmp_path):
    contracts.check_save_and_load(
        ConvSparseCoding2D(4, 3, strides=2, sparsity=0.2), images(), tmp_path
    )


def test_inference_is_a_pure_function():
    contracts.check_inference_is_pure(ConvSparseCoding2D(4, 3), images())


def test_wrong_inputs_raise():
    layer = ConvSparseCoding2D(4, 3)
    with pytest.raises(ValueError, match="ndim"):
        layer(np.zeros((8, 8, 2), "float32"))
    layer(images())
    with pytest.raises(ValueError, match="axis"):
        layer(images(channels=3))


@pytest.mark.parametrize("algorithm", ["fista", "ista"])
@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_codes_are_those_of_the_program_with_the_stored_step(
    algorithm, nonnegative, strides, padding
):
    layer = exact_layer(
        algorithm=algorithm,
        nonnegative=nonnegative,
        strides=strides,
        padding=padding,
        ridge=0.25,
    )
    inputs = images(dtype="float64")
    codes = layer(inputs).numpy()
    np.testing.assert_allclose(
        codes, reference_codes(layer, inputs), rtol=0, atol=1e-12
    )
    assert np.any(codes == 0) and np.any(codes != 0)


def test_sparsity_of_a_call_replaces_that_of_the_layer():
    layer = exact_layer()
    inputs = images(dtype="float64")
    scalar = layer(inputs, sparsity=0.5).numpy()
    np.testing.assert_allclose(
        scalar, reference_codes(layer, inputs, 0.5), rtol=0, atol=1e-12
    )
    weights = np.array([0.0, 0.5, 2.0])
    each = layer(inputs, sparsity=weights).numpy()
    np.testing.assert_allclose(
        each,
        reference_codes(layer, inputs, weights.reshape(3, 1, 1, 1)),
        rtol=0,
        atol=1e-12,
    )
    zeros = np.mean(each == 0, axis=(1, 2, 3))
    assert zeros[0] == 0 and 0 < zeros[1] < zeros[2]
    np.testing.assert_array_equal(scalar[1], each[1])


@pytest.mark.parametrize("by_call", [False, True])
def test_sparsity_keeps_the_precision_of_the_layer(by_call):
    layer = exact_layer(sparsity=0.3)
    inputs = images(dtype="float64")
    codes = layer(inputs, sparsity=np.float64(0.3) if by_call else None)
    np.testing.assert_allclose(
        codes, reference_codes(layer, inputs), rtol=0, atol=1e-12
    )


def test_more_sparsity_gives_more_zeros_and_then_only_zeros():
    layer = exact_layer()
    inputs = images(dtype="float64")
    shares = [
        np.mean(layer(inputs, sparsity=weight).numpy() == 0)
        for weight in (0.0, 0.25, 1.0, 64.0)
    ]
    assert shares[0] == 0 and shares[-1] == 1
    assert np.all(np.diff(shares) > 0)


@pytest.mark.parametrize("weights", [None, 0.5, [0.0, 0.5, 2.0]])
def test_objective_is_that_of_the_program_and_falls(weights):
    layer = exact_layer(ridge=0.25, algorithm="ista")
    inputs = images(dtype="float64")
    codes = layer(
        inputs, sparsity=None if weights is None else np.array(weights)
    )
    value = layer.objective(
        inputs, codes, None if weights is None else np.array(weights)
    )
    sparsity = 0.125 if weights is None else np.array(weights)
    expected = references.program_value(
        inputs,
        codes.numpy(),
        layer.kernel.numpy(),
        np.reshape(sparsity, (-1, 1, 1, 1)),
        0.25,
        1,
        "same",
    )
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert np.all(value < 0.5 * np.sum(inputs**2, axis=(1, 2, 3)))


@pytest.mark.parametrize("strides, padding", [(2, "same"), (3, "valid")])
def test_synthesize_is_the_synthesis_operator(strides, padding):
    layer = exact_layer(strides=strides, padding=padding)
    codes = layer(images(dtype="float64"))
    kernel = layer.kernel.numpy()
    np.testing.assert_allclose(
        layer.synthesize(codes, (8, 7)),
        references.synthesize(codes.numpy(), kernel, (8, 7), strides, padding),
        atol=1e-12,
    )
    usual = layer.synthesize(codes)
    np.testing.assert_allclose(
        usual,
        references.synthesize(
            codes.numpy(), kernel, usual.shape[1:3], strides, padding
        ),
        atol=1e-12,
    )


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_stored_norm_is_the_bound_of_the_dictionary(strides, padding):
    layer = ConvSparseCoding2D(
        4, 3, strides=strides, padding=padding, dtype="float64"
    )
    inputs = images(dtype="float64")
    layer(inputs)
    assert [v.name for v in layer.variables] == ["kernel", "operator_norm"]
    for factor in (1.0, 3.0):
        layer.kernel.assign(factor * layer.kernel)
        layer(inputs, training=True)
        kernel = layer.kernel.numpy()
        expected = keras_csc.ops.frame_bound(kernel, strides)
        np.testing.assert_allclose(layer.operator_norm, expected, rtol=1e-12)
        np.testing.assert_allclose(layer.step_size, 1 / expected, rtol=1e-12)


def test_fista_converges_on_images_of_any_size():
    """Of atoms of four corners, `λmax` depends on the size more than of any."""
    kernel = np.zeros((8, 8, 1, 1))
    kernel[::7, ::7] = 0.5
    layer = ConvSparseCoding2D(
        1,
        8,
        sparsity=0.01,
        iterations=20,
        kernel_initializer=lambda *_, **__: kernel,
        dtype="float64",
    )
    layer(images((8, 8), 1, 1, dtype="float64"))
    large = images((24, 24), 1, 1, dtype="float64")
    exact = layer.solve(large, iterations=400)
    found, least = (
        layer.objective(large, codes) for codes in (layer(large), exact)
    )
    # Beck & Teboulle 2009, theorem 4.4, with L = 64.
    assert least <= found <= least + 2 * 64 * np.sum(exact**2) / 21**2


@pytest.mark.parametrize("constraint", ["unit_atoms", None])
def test_atoms_keep_their_norm_through_training(constraint):
    unit_norm = constraint is not None
    layer = ConvSparseCoding2D(4, 3, kernel_constraint=constraint)
    model = keras.Sequential([keras.Input((8, 7, 2)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")

    def norms():
        return np.sqrt(np.sum(layer.kernel.numpy() ** 2, axis=(0, 1, 2)))

    initial = layer.kernel.numpy()
    assert np.allclose(norms(), 1, atol=1e-5) == unit_norm
    targets = np.ones((3, 8, 7, 4), "float32")
    model.fit(images(), targets, epochs=2, verbose=0)
    assert np.max(np.abs(layer.kernel.numpy() - initial)) > 1e-3
    assert np.allclose(norms(), 1, atol=1e-5) == unit_norm


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_gradients_are_those_of_finite_differences(
    strides, padding, nonnegative
):
    layer = exact_layer(
        strides=strides, padding=padding, nonnegative=nonnegative, ridge=0.25
    )
    rng = np.random.default_rng(7)
    inputs = images(dtype="float64")
    tensor = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        codes = layer(tensor)
        weights = rng.normal(size=codes.shape)
        value = tf.reduce_sum(weights * codes)
    by_images, by_kernel = tape.gradient(value, (tensor, layer.kernel.value))
    kernel = layer.kernel.numpy()

    def of_images(inputs):
        return np.sum(weights * reference_codes(layer, inputs))

    def of_kernel(kernel):
        return np.sum(weights * reference_codes(layer, inputs, kernel=kernel))

    for function, point, gradient in (
        (of_images, inputs, by_images),
        (of_kernel, kernel, by_kernel),
    ):
        for _ in range(3):
            direction = rng.normal(size=point.shape)
            expected = references.directional_derivative(
                function, point, direction, 1e-7
            )
            np.testing.assert_allclose(
                np.sum(gradient * direction), expected, rtol=1e-5, atol=1e-6
            )


def test_images_smaller_than_an_atom_are_refused():
    layer = ConvSparseCoding2D(4, 5, padding="valid")
    for function in (layer.compute_output_shape, layer.build):
        with pytest.raises(ValueError, match="at least 5×5 pixels"):
            function((None, 8, 4, 1))


def test_own_dictionary_is_normed_and_has_its_own_step_size():
    atoms = np.random.default_rng(1).normal(size=(3, 3, 2, 4))
    layer = exact_layer()
    layer.set_dictionary(atoms)
    expected = atoms / np.sqrt(np.sum(atoms**2, (0, 1, 2)))
    np.testing.assert_allclose(layer.kernel, expected, rtol=1e-6)
    bound = float(keras_csc.ops.frame_bound(expected))
    assert float(layer.operator_norm) == pytest.approx(bound)
    with pytest.raises(ValueError, match="`atoms` must have the shape"):
        layer.set_dictionary(atoms[..., :3])
    for bad in (np.nan, np.inf):
        atoms[0, 0, 0, 0] = bad
        with pytest.raises(ValueError, match="`atoms` must be .* 1 non-finite"):
            layer.set_dictionary(atoms)


def test_own_dictionary_becomes_the_nearest_tight_frame():
    """Also far from one, where the constraint's two steps do not lead."""
    layer = ConvSparseCoding2D(96, 4, kernel_constraint="tight_frame")
    layer.build((None, 8, 8, 3))
    layer.set_dictionary(np.random.default_rng(0).uniform(size=(4, 4, 3, 96)))
    matrix = np.reshape(layer.kernel, (48, 96))
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(values, np.sqrt(2), rtol=0.15)


def test_solve_takes_what_a_call_takes():
    layer = ConvSparseCoding2D(4, 3)
    inputs = np.random.default_rng(0).integers(0, 9, (2, 8, 8, 2))
    expected = layer(inputs.astype("float32"))
    for dtype in ("uint8", "float64"):
        found = layer.solve(inputs.astype(dtype))
        np.testing.assert_array_equal(found, expected)


def test_images_of_other_channels_are_refused():
    layer = ConvSparseCoding2D(6, 3)
    layer.build((None, 8, 8, 1))
    grey, colours = images(channels=1), images(channels=3)
    codes = layer(grey)
    kernel = layer.kernel.numpy()
    for function in (
        lambda: layer.solve(colours),
        lambda: layer.objective(colours, codes),
        lambda: keras_csc.ops.analysis(colours, kernel),
        lambda: keras_csc.ops.sparse_code(colours, kernel, 0.1, 0.1),
        lambda: keras_csc.ops.solve_sparse_code(colours, kernel, 0.1, 0.1),
        lambda: keras_csc.ops.lasso_objective(colours, codes, kernel, 0.1),
        lambda: keras_csc.ops.duality_gap(colours, codes, kernel, 0.1),
    ):
        with pytest.raises(ValueError, match="1 channels of the atoms"):
            function()


def test_frozen_layer_stays_what_it_is():
    layer = ConvSparseCoding2D(4, 3)
    layer(images())
    before = [weight.numpy() for weight in layer.weights]
    layer.trainable = False
    layer(images(), training=True)
    for weight, value in zip(layer.weights, before):
        np.testing.assert_array_equal(weight, value)
