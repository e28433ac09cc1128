import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import convolve2d

import keras_csc
from keras_csc.ops import Measurement

STRIDES, SIZE = 3, 4


def rng(seed=0):
    return np.random.default_rng(seed)


def make_blur(*shape):
    kernel = rng(1).uniform(size=shape)
    return kernel / kernel.sum()


def make_mask(*shape):
    return rng(2).integers(0, 2, size=shape).astype("float64")


MEASUREMENTS = {
    "nothing": Measurement(),
    "both": Measurement(make_mask(2, 9, 11, 3), make_blur(5, 3)),
}


@pytest.fixture(params=MEASUREMENTS)
def measurement(request):
    return MEASUREMENTS[request.param]


def test_it_is_a_convolution_and_a_mask():
    images, blur = rng().normal(size=(2, 9, 11, 3)), make_blur(5, 3)
    mask = make_mask(2, 9, 11, 1)
    expected = np.empty_like(images)
    for example in range(2):
        for channel in range(3):
            expected[example, ..., channel] = convolve2d(
                images[example, ..., channel], blur, mode="same"
            )
    found = Measurement(mask, blur).forward(images)
    np.testing.assert_allclose(found, mask * expected, atol=1e-12)


def test_the_adjoint_is_one(measurement):
    images, others = rng().normal(size=(2, 2, 9, 11, 3))
    forward = np.sum(np.asarray(measurement.forward(images)) * others)
    adjoint = np.sum(images * np.asarray(measurement.adjoint(others)))
    np.testing.assert_allclose(forward, adjoint, rtol=1e-12)


def test_images_may_be_of_unknown_size(measurement):
    images = rng().normal(size=(2, 9, 11, 3))

    def function(images):
        return measurement.adjoint(measurement.forward(images))

    spec = tf.TensorSpec((None, None, None, 3), "float64")
    traced = tf.function(function, input_signature=[spec])
    np.testing.assert_allclose(
        traced(images), np.asarray(function(images)), atol=1e-12
    )


def test_the_norm_is_within_its_bound(measurement):
    vector = rng().normal(size=(2, 9, 11, 3))
    for _ in range(40):
        vector = vector / np.linalg.norm(vector)
        vector = np.asarray(measurement.adjoint(measurement.forward(vector)))
    bound = float(measurement.squared_norm_bound())
    assert 0.5 * bound < np.linalg.norm(vector) <= bound + 1e-12


# === The program ===


def matrix_of(function, shape):
    """The matrix of a linear function of arrays of a shape."""
    columns = []
    for index in range(np.prod(shape)):
        unit = np.zeros(np.prod(shape))
        unit[index] = 1
        columns.append(np.asarray(function(unit.reshape(shape))).ravel())
    return np.stack(columns, 1)


@pytest.fixture(scope="module")
def problem():
    """A masked and blurred image, its dictionary and the matrix `B A`."""
    kernel = rng(3).normal(size=(SIZE, SIZE, 1, 5))
    kernel /= np.sqrt(np.sum(kernel**2, (0, 1, 2)))
    measurement = Measurement(make_mask(1, 10, 10, 1), make_blur(3, 3))
    image = np.asarray(measurement.forward(rng(4).normal(size=(1, 10, 10, 1))))

    def seen(codes):
        return measurement.forward(
            keras_csc.ops.synthesis(codes, kernel, (10, 10), STRIDES, "valid")
        )

    return image, kernel, measurement, matrix_of(seen, (1, 3, 3, 5))


def solve(problem, **arguments):
    image, kernel, measurement, _ = problem
    bound = float(keras_csc.ops.spectral_bound(kernel, STRIDES))
    step = 1 / (bound * float(measurement.squared_norm_bound()))

    @tf.function
    def solved(image):
        return keras_csc.ops.solve_sparse_code(
            *(image, kernel, 0.05, step),
            strides=STRIDES,
            padding="valid",
            measurement=measurement,
            **arguments,
        )

    return solved(tf.convert_to_tensor(image))


def soft(values, threshold):
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)


def test_the_solution_is_that_of_plain_ista(problem):
    image, _, _, matrix = problem
    step, expected = 1 / np.linalg.norm(matrix, 2) ** 2, np.zeros(45)
    for _ in range(4000):
        slope = matrix.T @ (image.ravel() - matrix @ expected)
        expected = soft(expected + step * slope, step * 0.05)
    codes = solve(problem, tolerance=1e-8, iterations=1000)
    residual = image.ravel() - matrix @ np.asarray(codes).ravel()
    plain = image.ravel() - matrix @ expected
    values = [
        0.5 * np.sum(r**2) + 0.05 * np.sum(np.abs(z))
        for r, z in ((residual, codes), (plain, expected))
    ]
    np.testing.assert_allclose(*values, rtol=1e-7)


def test_the_gradient_is_that_of_the_solution(problem):
    """Along one direction of the image, by finite differences."""
    image, *others = problem
    direction = rng(7).normal(size=image.shape)

    @tf.function
    def value_and_gradient(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            codes = solve((image, *others), tolerance=1e-13, iterations=2000)
            value = tf.reduce_sum(codes**2)
        return value, tape.gradient(value, image)

    _, gradient = value_and_gradient(tf.constant(image))
    after, before = (
        float(value_and_gradient(tf.constant(image + size * direction))[0])
        for size in (1e-6, -1e-6)
    )
    expected = (after - before) / 2e-6
    np.testing.assert_allclose(
        float(tf.reduce_sum(gradient * direction)), expected, rtol=1e-4
    )
