"""`ConvSparseCoding2D` that solves its program, and its step sizes."""

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf

from keras_csc import ops
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import ConvSparseDecoding2D
from tests.helpers import contracts
from tests.helpers import references


def images(dtype="float64", batch=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, 8, 7, 2)).astype(dtype)


def implicit_layer(dtype="float64", iterations=1000, **arguments):
    arguments = {"ridge": 0.5, "tolerance": 1e-14, **arguments}
    return ConvSparseCoding2D(
        4,
        3,
        sparsity=0.25,
        gradient="implicit",
        iterations=iterations,
        kernel_initializer=keras.initializers.RandomNormal(seed=1),
        dtype=dtype,
        **arguments,
    )


def loss_gradients(layer, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        codes = tf.cast(layer(inputs), inputs.dtype)
        loss = tf.reduce_sum(codes**2) / 2
    return tape.gradient(loss, [inputs, layer.kernel.value])


@pytest.mark.parametrize("algorithm", ["ista", "fista"])
def test_codes_solve_the_program(algorithm):
    layer = implicit_layer(algorithm=algorithm)
    inputs = images()
    run = tf.function(layer)
    codes = run(inputs).numpy()
    weights = np.array([0.1, 0.25, 0.5, 1.0])
    each = run(inputs, sparsity=weights).numpy()
    per_example = weights.reshape(4, 1, 1, 1)
    for result, sparsity in ((codes, 0.25), (each, per_example)):
        gap = ops.duality_gap(inputs, result, layer.kernel, sparsity, 0.5)
        value = ops.lasso_objective(inputs, result, layer.kernel, sparsity, 0.5)
        assert np.all(gap <= 1e-14 * value)
    np.testing.assert_array_equal(each[1], codes[1])


def test_gradients_are_those_of_finite_differences():
    layer = implicit_layer()
    inputs = images()
    layer(inputs)
    kernel = layer.kernel.numpy()
    step = layer.step_size.numpy()
    gradients = loss_gradients(layer, tf.constant(inputs))

    def loss(inputs, kernel):
        codes = references.solve_sparse_code(
            inputs, kernel, 0.25, step, 0.5, iterations=1000, algorithm="ista"
        )
        return np.sum(codes**2) / 2

    rng = np.random.default_rng(2)
    for index, point in enumerate((inputs, kernel)):
        direction = rng.normal(size=point.shape)
        expected = references.directional_derivative(
            lambda t: loss(*((t, kernel) if index == 0 else (inputs, t))),
            point,
            direction,
        )
        found = np.sum(gradients[index] * direction)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_replicas_together_have_the_gradient_of_one_device(mirrored):
    strategy = mirrored(2)
    inputs = images()
    layer = implicit_layer()
    layer(inputs)
    by_images, by_kernel = loss_gradients(layer, tf.constant(inputs))
    with strategy.scope():
        copy = implicit_layer()
        copy.build(inputs.shape)
        copy.set_weights(layer.get_weights())

    def shard(context):
        number = context.replica_id_in_sync_group
        return tf.constant(inputs[2 * number : 2 * number + 2])

    shards = strategy.experimental_distribute_values_from_function(shard)

    @tf.function
    def run(shards):
        def replica(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(copy(inputs) ** 2) / 2
            kernel = copy.kernel.value
            by_images, by_kernel = tape.gradient(loss, [inputs, kernel])
            context = tf.distribute.get_replica_context()
            return by_images, context.all_reduce("sum", by_kernel)

        return strategy.run(replica, args=(shards,))

    by_shard, total = run(shards)
    parts = strategy.experimental_local_results(by_shard)
    np.testing.assert_allclose(np.concatenate(parts), by_images, atol=1e-13)
    for part in strategy.experimental_local_results(total):
        np.testing.assert_allclose(part, by_kernel, rtol=1e-11, atol=1e-12)


def test_mixed_precision_solves_in_float32():
    layer = implicit_layer("mixed_bfloat16", tolerance=1e-5)
    inputs = tf.constant(images("float32"))
    codes = layer(inputs)
    assert codes.dtype == "bfloat16"
    exact = implicit_layer("float32", tolerance=1e-5)
    exact.build(inputs.shape)
    exact.set_weights(layer.get_weights())
    error = tf.cast(codes, "float32") - exact(inputs)
    assert np.linalg.norm(error) < 0.02 * np.linalg.norm(exact(inputs))
    for ours, theirs in zip(
        loss_gradients(layer, inputs), loss_gradients(exact, inputs)
    ):
        assert ours.dtype == "float32"
        assert np.linalg.norm(ours - theirs) < 0.06 * np.linalg.norm(theirs)


def test_exported_gradients_are_those_of_the_layer(tmp_path):
    layer = implicit_layer("float32", tolerance=1e-5)
    inputs = tf.constant(images("float32"))
    model = keras.Sequential([keras.Input((None, None, 2)), layer])
    codes = model(inputs)
    by_images, _ = loss_gradients(layer, inputs)
    signature = [tf.TensorSpec((None, None, None, 2), "float32", "image")]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("encode", lambda image: model(image), signature)
    archive.add_endpoint(
        "gradient", lambda image: loss_gradients(layer, image)[0], signature
    )
    archive.write_out(str(tmp_path / "1"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    np.testing.assert_allclose(loaded.encode(inputs), codes, atol=1e-6)
    np.testing.assert_allclose(loaded.gradient(inputs), by_images, atol=1e-5)


def test_training_in_fit_lowers_the_loss():
    layer = implicit_layer("float32", iterations=20, tolerance=None)
    model = keras.Sequential([keras.Input((8, 7, 2)), layer])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    inputs = images("float32")
    targets = 2 * layer(inputs).numpy()[::-1]
    history = model.fit(inputs, targets, epochs=4, verbose=0)
    assert np.all(np.diff(history.history["loss"]) < 0)


def test_save_and_load(tmp_path):
    layer = implicit_layer("float32", iterations=10)
    contracts.check_save_and_load(layer, images("float32"), tmp_path)


def test_step_holds_while_a_dictionary_is_trained():
    digits = sklearn.datasets.load_digits().images[:256, ..., None] / 16
    layer = ConvSparseCoding2D(12, 4, 2, sparsity=0.02, dtype="float64")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="float64"),
            layer,
            ConvSparseDecoding2D(1, 4, 2, dtype="float64"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "mse")
    start = layer.kernel.numpy()
    for _ in range(12):
        model.fit(digits, digits, batch_size=64, epochs=1, verbose=0)
        kernel = layer.kernel.numpy()
        # Stored is the bound of the atoms before the last step.
        largest = references.largest_eigenvalue(kernel, (8, 8), 2, "same")
        assert layer.operator_norm.numpy() > 0.9 * largest
    assert np.linalg.norm(kernel - start) > 1
    _, statistics = ops.solve_sparse_code(
        digits,
        layer.kernel.value,
        0.02,
        layer.step_size,
        strides=2,
        iterations=50,
        tolerance=None,
        algorithm="ista",
        statistics=True,
    )
    values = statistics.objective.numpy()
    assert np.all(np.diff(values, axis=0) <= 1e-12 * values[0])


@pytest.mark.parametrize("gradient", ["unrolled", "implicit"])
def test_a_dictionary_of_zeros_has_finite_codes_and_gradients(gradient):
    layer = ConvSparseCoding2D(
        4,
        3,
        kernel_constraint=None,
        kernel_initializer="zeros",
        gradient=gradient,
    )
    inputs = tf.constant(images("float32"))
    for training in (True, False):
        assert not np.any(layer(inputs, training=training))
    for value in loss_gradients(layer, inputs):
        assert np.all(np.isfinite(value))
    layer.kernel.assign(np.random.default_rng(1).normal(size=(3, 3, 2, 4)))
    layer.update_operator_norm()
    assert np.any(layer(inputs)) and np.isfinite(layer.step_size)
