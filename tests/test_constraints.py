import keras
import numpy as np
import pytest
import scipy.linalg

from keras_csc import constraints
from keras_csc.constraints import TightFrame

SHAPES = [(4, 4, 3, 32), (4, 4, 3, 64)]


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def check_tight(kernel, atol):
    matrix = np.asarray(kernel).reshape(-1, kernel.shape[-1])
    dimensions, filters = matrix.shape
    if filters <= dimensions:
        np.testing.assert_allclose(
            matrix.T @ matrix, np.eye(filters), atol=atol
        )
    else:
        np.testing.assert_allclose(
            matrix @ matrix.T,
            filters / dimensions * np.eye(dimensions),
            atol=atol * filters / dimensions,
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nearest_tight_frame_is_the_polar_factor(shape):
    kernel = draw(shape)
    frame = TightFrame().nearest(kernel)
    check_tight(frame, 1e-12)
    matrix = kernel.reshape(-1, shape[-1])
    scale = max(1, np.sqrt(shape[-1] / len(matrix)))
    factor, _ = scipy.linalg.polar(matrix)
    np.testing.assert_allclose(
        np.asarray(frame).reshape(matrix.shape), factor * scale, atol=1e-12
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_constraint_brings_a_moved_frame_back(shape):
    frame = np.asarray(TightFrame().nearest(draw(shape)))
    step = draw(shape, 1)
    step *= 0.05 * np.linalg.norm(frame) / np.linalg.norm(step)
    before = np.linalg.norm(step)
    kernel = np.asarray(TightFrame()(frame + step))
    norms = np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    np.testing.assert_allclose(norms, 1, atol=1e-5)
    # Unit norms come last and leave an overcomplete frame nearly tight.
    overcomplete = shape[-1] > np.prod(shape[:3])
    check_tight(kernel, 0.2 if overcomplete else 1e-3)
    if not overcomplete:
        assert np.linalg.norm(kernel - frame) < before


@pytest.mark.parametrize("name", constraints.NAMES)
def test_names_stand_for_constraints(name):
    found = constraints.get(name)
    assert type(found) is constraints.NAMES[name]
    copy = constraints.get(keras.constraints.serialize(found))
    assert type(copy) is type(found)
    assert constraints.get(found) is found
    assert constraints.get(None) is None
    with pytest.raises(ValueError, match="no_such"):
        constraints.get("no_such")


def test_atoms_that_have_moved_far_do_not_become_one():
    """Singular values of more than √5 would grow, and only the largest stay."""
    atoms = np.abs(np.random.default_rng(0).normal(size=(4, 4, 3, 64)))
    kernel = keras.ops.convert_to_tensor(atoms / 3, "float32")
    for _ in range(40):
        kernel = constraints.get("tight_frame")(kernel)
    matrix = np.reshape(kernel, (48, 64))
    values = np.linalg.svd(matrix, compute_uv=False)
    assert np.min(values) > 0.5 and np.max(values) < 2
