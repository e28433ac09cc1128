import keras
import numpy as np
import pytest
import scipy.linalg

from keras_csc import constraints
from keras_csc.constraints import TightFrame
from keras_csc.optimizers import DictionaryMuon
from tests.helpers import contracts

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


def step_of(optimizer, gradients, shape):
    """How far a variable has moved after some gradients."""
    variable = keras.Variable(draw(shape, seed=9).astype("float32"))
    before = variable.numpy()
    optimizer.build([variable])
    for gradient in gradients:
        gradient = keras.ops.convert_to_tensor(gradient, "float32")
        optimizer.apply([gradient], [variable])
    return variable.numpy() - before


def test_configuration_holds_every_argument():
    optimizer = DictionaryMuon(
        learning_rate=0.5,
        momentum=0.75,
        adam_lr_ratio=0.25,
        beta_1=0.5,
        beta_2=0.875,
        use_ema=True,
        ema_momentum=0.5,
    )
    config = optimizer.get_config()
    again = DictionaryMuon.from_config(config)
    assert again.get_config() == config
    assert config["momentum"] == 0.75 and config["beta_2"] == 0.875
    names = set(contracts.constructor_parameters(DictionaryMuon))
    assert names <= set(config)


@pytest.mark.parametrize(
    "bad, error",
    [
        ({"ns_steps": 3}, TypeError),
        ({"learning_rate": -0.1}, ValueError),
        ({"momentum": 1.0}, ValueError),
        ({"adam_lr_ratio": float("inf")}, ValueError),
        ({"beta_1": 1.0}, ValueError),
        ({"beta_2": -0.1}, ValueError),
        ({"weight_decay": float("nan")}, ValueError),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(bad, error):
    (name,) = bad
    with pytest.raises(error, match=name):
        DictionaryMuon(**bad)


@pytest.mark.parametrize("filters", [20, 64])
def test_dictionaries_move_as_matrices_by_the_muon_of_keras(filters):
    shape, matrix = (4, 4, 3, filters), (48, filters)
    gradients = [draw(shape, seed) for seed in range(4)]
    ours = step_of(DictionaryMuon(0.125, momentum=0.75), gradients, shape)
    muon = keras.optimizers.Muon(
        0.125, momentum=0.75, rms_rate=None, weight_decay=None
    )
    gradients = [gradient.reshape(matrix) for gradient in gradients]
    theirs = step_of(muon, gradients, matrix)
    np.testing.assert_allclose(ours.reshape(matrix), theirs, atol=1e-4)


def test_small_and_large_parts_of_a_gradient_are_told_apart():
    left, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(48, 12)))
    values = np.logspace(0, -6, 12)
    gradient = left * values
    step = step_of(
        DictionaryMuon(1.0), [gradient.reshape(4, 4, 3, 12)], (4, 4, 3, 12)
    )
    moved = -left.T @ step.reshape(48, 12)
    expected = values / np.linalg.norm(values)
    for _ in range(5):
        expected = (
            3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
        )
    np.testing.assert_allclose(moved, np.diag(expected), atol=0.02)


def test_offsets_and_scales_are_left_to_adam():
    gradients = [draw((7,), seed) for seed in range(3)]
    ours = step_of(
        DictionaryMuon(0.5, adam_lr_ratio=0.25, beta_1=0.5, beta_2=0.75),
        gradients,
        (7,),
    )
    theirs = step_of(keras.optimizers.Adam(0.125, 0.5, 0.75), gradients, (7,))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
