"""What no architecture may be."""

import pytest

from keras_csc.models import Encoder


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"feature_dim": 10_000_000}, "`feature_dim` must be at most 8192"),
        ({"image_shape": (2**20, 2**20, 1)}, "1 GB"),
        ({"filters": (10**9,)}, "1 GB"),
        ({"filters": (1,) * 1000}, "at most 16"),
        ({"filters": (10**30,)}, "`filters` must be"),
        ({"iterations": 10**9}, "`iterations` must be at most 1000, each"),
    ],
    ids=str,
)
def test_what_no_machine_could_hold_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Encoder(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel_size": (4, 4)},
        {"image_shape": 32},
        {"filters": [3, "4"]},
        {"feature_dim": float("nan")},
        {"sparsity": float("nan")},
        {"sparsity": [0.1, float("inf"), 0.1]},
        {"iterations": 1.5},
        {"nonnegative": "no"},
        {"sparsity": [0.1]},
        {"iterations": 0},
    ],
    ids=str,
)
def test_other_kinds_of_arguments_are_named(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: "):
        Encoder(**changes)
