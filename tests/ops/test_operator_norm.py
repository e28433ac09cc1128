import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from tests.helpers import references


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


@settings(max_examples=15)
@given(
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from(["same", "valid"]),
    st.sampled_from([(1, 1), (3, 2), (2, 5)]),
    st.tuples(st.integers(6, 11), st.integers(6, 11)),
)
def test_bounds_hold_for_every_image_size(
    seed, kernel_size, strides, padding, channels, size
):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, *channels))
    kernel += rng.choice([0, 1])
    largest = references.largest_eigenvalue(kernel, size, strides, padding)
    for bound in (ops.spectral_bound, ops.frame_bound):
        assert bound(kernel, strides) >= largest * (1 - 1e-12)


@pytest.mark.parametrize("kernel_size, strides", [(5, 1), (4, 2), (3, 3)])
def test_spectral_bound_is_tight(kernel_size, strides):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(kernel_size, kernel_size, 2, 3)) + 0.5
    largest = largest_of_all_sizes(kernel, strides)
    bound = ops.spectral_bound(kernel, strides)
    assert largest * (1 - 1e-12) <= bound < 1.0101 * largest
    single = ops.spectral_bound(kernel.astype("float32"), strides)
    np.testing.assert_allclose(single, bound, rtol=1e-5)


@pytest.mark.parametrize("filters, scale", [(1, 1.0), (24, 1e-9), (70, 1e9)])
def test_frame_bound_is_that_of_the_patches(filters, scale):
    rng = np.random.default_rng(0)
    kernel = scale * rng.normal(size=(4, 4, 2, filters))
    patches = kernel.reshape(-1, filters)
    expected = 4 * np.linalg.norm(patches, 2) ** 2
    rank = min(patches.shape)
    for dtype, rounding in (("float64", 1e-12), ("float32", 1e-4)):
        bound = float(ops.frame_bound(kernel.astype(dtype), 2))
        assert expected * (1 - rounding) <= bound
        assert bound <= expected * rank ** (1 / 4096) * (1 + rounding)


def test_a_dictionary_of_zeros_has_norm_zero():
    kernel = np.zeros((3, 3, 2, 3))
    assert ops.frame_bound(kernel) == 0 and ops.spectral_bound(kernel) == 0
