import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc.metrics import zero_fraction


@given(zeros=st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_share_of_exact_zeros(zeros):
    codes = np.full(60, 1e-30, "float32")
    codes[:zeros] = 0.0
    value = float(zero_fraction(codes.reshape(1, 3, 4, 5)))
    assert value == pytest.approx(zeros / 60)


def test_negative_zero_is_zero():
    assert float(zero_fraction([-0.0, 0.0, 1.0, -1.0])) == 0.5


def test_no_codes():
    with pytest.raises(ValueError, match="at least one entry.*0, 4"):
        zero_fraction(np.zeros((0, 4), "float32"))
