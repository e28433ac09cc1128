import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from keras_csc.ops.operator_norm import least_image_size
from tests.helpers import references

CASES = [(3, 1, "same"), (4, 2, "same"), (3, 3, "same"), (3, 2, "valid")]


def draw(kernel_size):
    rng = np.random.default_rng(0)
    return rng.normal(size=(kernel_size, kernel_size, 2, 3))


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_operator_norm_is_the_largest_eigenvalue(kernel_size, strides, padding):
    kernel = draw(kernel_size)
    size = (7, 6)
    matrix, _ = references.analysis_matrix(kernel, size, strides, padding)
    expected = np.linalg.eigvalsh(matrix.T @ matrix)[-1]
    for seed in (0, 1):
        result = ops.operator_norm(
            kernel, size, strides, padding, iterations=300, seed=seed
        )
        assert (1 - 1e-3) * expected < result < (1 + 1e-12) * expected


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_power_iteration_rises_from_below(kernel_size, strides, padding):
    kernel = draw(kernel_size)
    size = (7, 6)
    largest = references.largest_eigenvalue(kernel, size, strides, padding)
    vector = np.random.default_rng(1).normal(size=(1, *size, 2))
    vector = vector / np.linalg.norm(vector)
    values = []
    for _ in range(20):
        value, vector = ops.power_iteration(kernel, vector, strides, padding)
        values.append(float(value))
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-13)
    assert np.all(np.diff(values) >= -1e-12 * largest)
    assert values[0] < values[-1] <= largest * (1 + 1e-12)


def test_iterations_in_one_call_are_those_of_several_calls():
    kernel = draw(3)
    start = np.ones((1, 5, 6, 2)) / np.sqrt(60)
    value, vector = ops.power_iteration(kernel, start, iterations=3)
    again = start
    for _ in range(3):
        last, again = ops.power_iteration(kernel, again)
    np.testing.assert_allclose(value, last, rtol=1e-13)
    np.testing.assert_allclose(vector, again, atol=1e-14)


def test_step_below_the_inverse_norm_is_a_descent():
    kernel = draw(3)
    images = np.random.default_rng(2).normal(size=(1, 6, 6, 2))
    norm = ops.operator_norm(kernel, (6, 6), iterations=300)
    safe, unsafe = (
        references.program_value(
            images,
            ops.sparse_code(
                images,
                kernel,
                np.float64(0.01),
                factor / norm,
                iterations=60,
                algorithm="ista",
            ).numpy(),
            kernel,
            0.01,
            0.0,
            1,
            "same",
        )
        for factor in (1.0, 2.2)
    )
    assert safe < 0.5 * np.sum(images**2) < unsafe


def largest_of_all_sizes(kernel, strides, count=64):
    """`max ‖H(ω)‖²` over a fine grid, from the definition of `H`."""
    k = kernel.shape[0]
    frequencies = 2 * np.pi * np.arange(count) / count
    largest = 0.0
    for row in frequencies[: count // 2 + 1]:
        for column in frequencies:
            parts = np.zeros((strides, strides, *kernel.shape[2:]), complex)
            for u, v in np.ndindex(k, k):
                angle = row * (u // strides) + column * (v // strides)
                wave = np.exp(-1j * angle)
                parts[u % strides, v % strides] += wave * kernel[u, v]
            matrix = parts.reshape(-1, kernel.shape[3])
            largest = max(largest, np.linalg.norm(matrix, 2) ** 2)
    return largest


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from(["same", "valid"]),
    st.sampled_from([(1, 1), (3, 2), (2, 5)]),
    st.tuples(st.integers(6, 11), st.integers(6, 11)),
)
def test_spectral_bound_holds_for_every_image_size(
    seed, kernel_size, strides, padding, channels, size
):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, *channels))
    kernel += rng.choice([0, 1])
    bound = ops.spectral_bound(kernel, strides)
    largest = references.largest_eigenvalue(kernel, size, strides, padding)
    assert bound >= largest * (1 - 1e-12)


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("kernel_size, strides", [(5, 1), (4, 2), (3, 3)])
def test_spectral_bound_is_tight(kernel_size, strides, offset):
    kernel = draw(kernel_size) + offset
    largest = largest_of_all_sizes(kernel, strides)
    bound = ops.spectral_bound(kernel, strides)
    assert largest * (1 - 1e-12) <= bound < 1.0101 * largest
    single = ops.spectral_bound(kernel.astype("float32"), strides)
    np.testing.assert_allclose(single, bound, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "kernel_size, strides, channels, filters", [(5, 3, 3, 16), (7, 3, 3, 48)]
)
def test_spectral_bound_of_atoms_that_are_all_alike(
    kernel_size, strides, channels, filters, dtype
):
    """`‖H(ω)‖²` is largest at 0, the squares of the sums over each phase."""
    norm = np.sqrt(kernel_size**2 * channels)
    kernel = np.ones((kernel_size, kernel_size, channels, filters)) / norm
    phases = [len(range(p, kernel_size, strides)) for p in range(strides)]
    largest = filters * channels * np.sum(np.square(phases)) ** 2 / norm**2
    bound = ops.spectral_bound(kernel.astype(dtype), strides)
    assert largest * (1 - 1e-6) <= bound < 1.0101 * largest


def test_spectral_bound_of_smooth_atoms_is_that_of_large_images():
    axis = np.linspace(-1, 1, 8)
    bump = np.exp(-2 * (axis[:, None] ** 2 + axis**2))
    kernel = bump[:, :, None, None] / np.linalg.norm(bump)
    largest = np.sum(kernel) ** 2
    bound = ops.spectral_bound(kernel)
    np.testing.assert_allclose(bound, 1.01 * largest, rtol=1e-3)


def kernels(size):
    """Dictionaries of many kinds: the first has the least ratio of all."""
    corners = np.zeros((size, size, 1, 1))
    corners[:: size - 1, :: size - 1] = 1
    noise = np.random.default_rng(0).normal(size=(size, size, 2, 6))
    smooth = scipy.ndimage.gaussian_filter(noise, (4, 4, 0, 0))
    return [corners, noise, smooth, np.ones((size, size, 1, 1))]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "kernel_size, strides", [(3, 1), (4, 2), (5, 2), (7, 3)]
)
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_images_of_the_least_size_have_their_share_of_the_largest_eigenvalue(
    length, kernel_size, strides, padding
):
    share = np.cos(np.pi / (2 * (length + 1))) ** 4
    size = least_image_size(kernel_size, strides, share - 1e-9)
    larger = least_image_size(kernel_size, strides, share + 1e-9)
    degree = int(np.ceil(kernel_size / strides)) - 1
    assert larger - size == degree * strides
    for kernel in kernels(kernel_size):
        found = references.largest_eigenvalue(
            kernel, (size, size), strides, padding
        )
        bound = float(ops.spectral_bound(kernel, strides))
        assert share / 1.0101 < found / bound <= 1


@pytest.mark.parametrize("length", [1, 2, 3])
def test_atoms_of_four_corners_have_that_share_and_no_more(length):
    share = np.cos(np.pi / (2 * (length + 1))) ** 4
    size = 2 * (least_image_size(5, 1, share - 1e-9),)
    found = references.largest_eigenvalue(kernels(5)[0], size, 1, "valid")
    np.testing.assert_allclose(found, 16 * share)


def test_a_dictionary_of_zeros_has_norm_zero():
    kernel = np.zeros((3, 3, 2, 3))
    vector = draw(3)[None, :, :, :, 0]
    value, after = ops.power_iteration(kernel, vector, iterations=3)
    assert value == 0 and ops.spectral_bound(kernel) == 0
    np.testing.assert_array_equal(after, vector)


def test_small_dictionaries_keep_a_vector_of_unit_norm():
    vector = draw(3)[None, :, :, :, 0]
    value, after = ops.power_iteration(1e-9 * draw(3), vector, iterations=3)
    assert value > 0
    np.testing.assert_allclose(np.linalg.norm(after), 1, rtol=1e-12)
