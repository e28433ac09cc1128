import pytest

from keras_csc import ops


@pytest.mark.parametrize("kernel_size, strides", [(1, 2), (3, 1), (5, 3)])
def test_default_sizes_are_extreme_among_those_of_the_same_codes(
    kernel_size, strides
):
    for size in range(1, 7):
        images = range(kernel_size, 40)
        found = {
            padding: [
                n
                for n in images
                if ops.analysis_size(n, kernel_size, strides, padding) == size
            ]
            for padding in ("same", "valid")
        }
        if found["same"]:
            default = ops.synthesis_size(size, kernel_size, strides, "same")
            assert default == max(found["same"])
        default = ops.synthesis_size(size, kernel_size, strides, "valid")
        assert default == min(found["valid"])


def test_an_unknown_size_stays_unknown():
    assert ops.analysis_size(None, 3, 2, "same") is None
    assert ops.synthesis_size(None, 3, 2, "valid") is None
