"""Explanations against dense matrices and programs in float64."""

import dataclasses

import numpy as np
import pytest

from keras_csc import ops
from tests.helpers import references
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_autoencoder

MODELS = {
    "vector": ({}, (8, 8, 1)),
    "colour": ({"image_shape": (8, 8, 3), "nonnegative": True}, (8, 8, 3)),
    "map": (
        {"features": "map", "kernel_size": 2, "tight_frame": False},
        (11, 14, 1),
    ),
    "lapped": (
        {"features": "map", "kernel_size": 2, "lapped": True},
        (11, 14, 1),
    ),
}


def draw(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, shape).astype("float32")


def make(**changes):
    """A model whose statistics are of noise."""
    model = spread_autoencoder(**changes)
    encoder = model.encoder
    noise = draw(8, *encoder.image_shape, seed=1)
    moments = encoder.activations(noise, training=True).statistics
    for each, (mean, variance) in zip(encoder.normalizations, moments):
        each.moving_mean.assign(mean)
        each.moving_variance.assign(variance)
    return model


IMAGE = draw(8, 8, 1)


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A model, an image and its explanation."""
    changes, shape = MODELS[request.param]
    model, image = make(**changes), draw(*shape)
    return model, image, model.explain(image)


@pytest.fixture(scope="module")
def model():
    return make()


def synthesize(stage, codes, kernel=None):
    """`A` of codes in float64, by a dense matrix."""
    kernel = stage.kernel if kernel is None else kernel
    return references.synthesize(
        codes[None].astype("float64"), kernel, stage.signal.shape[:2], 2, "same"
    )[0]


# === Atoms ===


def test_codes_and_features_are_the_models(case):
    model, image, found = case
    output = model.encoder.activations(image[None])
    assert len(found.stages) == len(output.codes) == 2
    for stage, codes in zip(found.stages, output.codes):
        np.testing.assert_array_equal(stage.codes, codes[0])
        assert stage.zeros == pytest.approx(np.mean(stage.codes == 0))
    np.testing.assert_array_equal(found.features, model.encode(image[None])[0])
    np.testing.assert_array_equal(found.image, image)


def test_contributions_are_those_of_dense_matrices(case):
    for stage in case[2].stages:
        energies = []
        for atom in range(stage.codes.shape[-1]):
            alone = np.zeros_like(stage.codes)
            alone[..., atom] = stage.codes[..., atom]
            expected = synthesize(stage, alone)
            np.testing.assert_allclose(
                stage.contribution(atom), expected, atol=1e-5
            )
            energies.append(np.sum(np.square(expected)))
        whole = synthesize(stage, stage.codes)
        np.testing.assert_allclose(stage.synthesis, whole, atol=1e-5)
        np.testing.assert_allclose(stage.energies, energies, rtol=1e-5)
        np.testing.assert_allclose(
            stage.shares, energies / np.sum(energies), rtol=1e-5
        )
        assert np.all(np.diff(np.array(energies)[stage.order]) <= 1e-9)
        np.testing.assert_array_equal(stage.strongest(3), stage.order[:3])
        assert set(stage.strongest(99)) == set(np.flatnonzero(energies))


def test_partial_sums_are_of_the_strongest(case):
    for stage in case[2].stages:
        atoms = stage.codes.shape[-1]
        sums = dict(stage.partial_sums())
        assert list(sums) == [1, 2, atoms] == stage.default_counts()
        for count, made in sums.items():
            chosen = np.where(
                np.isin(range(atoms), stage.order[:count]), stage.codes, 0
            )
            np.testing.assert_allclose(
                made, synthesize(stage, chosen), atol=1e-5
            )


# === Drawn ===


def test_codes_at_a_pixel_reach_it(case):
    _, image, found = case
    for stage in found.stages:
        for row, column in np.ndindex(*image.shape[:2]):
            place, shares = stage.at(row, column)
            codes = stage.codes[place].astype("float64")
            norms = np.sum(stage.kernel.astype("float64") ** 2, (0, 1, 2))
            energies = norms * codes**2
            expected = energies / max(energies.sum(), 1e-30)
            np.testing.assert_allclose(shares, expected, atol=1e-6)
            if (row + column) % 5:  # each of the others takes long
                continue
            alone = np.zeros_like(stage.codes)
            alone[place] = 1
            picture = dataclasses.replace(stage, codes=alone).picture
            reached = np.any(picture != stage.offset, -1)
            assert reached[row, column]


def test_what_is_drawn_makes_the_decoded_image(case):
    model, image, found = case
    first, second = (stage.drawn for stage in found.stages)
    decoder, gains = model.decoder, model.decoder.stage_gains
    assert decoder.calibrated
    height, width = image.shape[:2]
    for stage, drawn in zip(found.stages, (first, second)):
        np.testing.assert_array_equal(drawn.signal, stage.signal)
        whole = synthesize(stage, drawn.codes)
        np.testing.assert_allclose(drawn.synthesis, whole, atol=1e-5)
        error = np.sum((drawn.codes - stage.codes) ** 2)
        error /= np.sum(stage.codes**2)
        assert stage.drawn_error() == pytest.approx(error, rel=1e-4)
    made = decoder.image_gain * first.synthesis[None]
    if model.encoder.lapped:
        made = ops.postfilter(made, 2)
    made = np.clip(made[0], -1, 1)
    expected = model.decode(found.features[None])[0]
    np.testing.assert_allclose(made, expected, atol=1e-5)
    # What the upper stage draws are the lower one's codes, but for the gains.
    codes = (second.synthesis - second.shift) / second.scale
    mean = model.encoder.normalizations[0].moving_mean.numpy()
    codes = gains[1].numpy() * (codes - mean) + mean
    if not model.encoder.nonnegative:
        positive, negative = np.split(codes, 2, axis=-1)
        codes = positive - negative
    np.testing.assert_allclose(first.codes, codes, atol=1e-4)


# === Programs ===


def test_objective_and_gap_are_those_of_the_program(case):
    """The gap is the primal value less the dual one at a scaled residual."""
    model, _, found = case
    for layer, stage in zip(model.encoder.coding_layers, found.stages):
        signal, codes = stage.signal[None].astype("float64"), stage.codes[None]
        sparsity = layer.sparsity / stage.bound
        arguments = stage.kernel.astype("float64"), sparsity
        (value,) = references.program_value(
            signal, codes, *arguments, 2, "same"
        )
        assert stage.objective == pytest.approx(value, rel=1e-5)
        residual = signal - synthesize(stage, stage.codes)
        slope = references.analyze(residual, stage.kernel, 2, "same")
        slope = slope if layer.nonnegative else np.abs(slope)
        dual = residual * min(1, sparsity / slope.max())
        bound = 0.5 * np.sum(signal**2 - (signal - dual) ** 2)
        assert stage.gap == pytest.approx(value - bound, rel=1e-3)
        assert stage.gap > 0


def test_sparsity_is_that_of_the_first_stage(model):
    found = model.explain(IMAGE, sparsity=0.4)
    features = model.encoder.activations(IMAGE[None], sparsity=0.4).features
    np.testing.assert_array_equal(found.features, features[0])
    assert [stage.sparsity for stage in found.stages] == [0.4, 0.05]
    assert found.stages[0].zeros > model.explain(IMAGE).stages[0].zeros


# === Pixels ===


def test_the_pictures_and_what_every_stage_leaves_make_the_image(case):
    """Offset, contributions and residuals: exact, whatever was left over."""
    _, image, found = case
    for stage in found.stages:
        atoms = stage.order[:2]
        some = stage.to_pixels(stage.contribution(atoms))
        np.testing.assert_allclose(stage.picture_of(atoms), some, atol=1e-5)
        made = stage.offset + some + stage.picture_of(stage.order[2:])
        np.testing.assert_allclose(stage.picture, made, atol=1e-5)
        assert not np.any(stage.picture_of([]))
        assert np.abs(made - image).max() > 0.01
        below = stage
        while below is not None:
            made = made + below.to_pixels(below.residual)
            below = below.below
        np.testing.assert_allclose(made, image, atol=1e-5)


def test_an_image_without_codes_has_no_shares(model):
    stage = model.explain(IMAGE, sparsity=100.0).stages[0]
    assert stage.zeros == 1 and not stage.shares.any()
    assert not stage.synthesis.any()


# === Refusals ===


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([np.zeros((8, 9, 1))], "8, 8, 1"),
        ([np.full((8, 8, 1), 255.0)], "127.5"),
        ([IMAGE, -1], "sparsity"),
    ],
)
def test_what_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.explain(*arguments)


def test_counts_rise_and_penalties_are_known(model):
    other = small_autoencoder()
    other.encoder.coding_layers[0].prox = lambda values, threshold: values
    with pytest.raises(ValueError, match="prox"):
        other.explain(IMAGE)
    stage = model.explain(IMAGE).stages[0]
    for counts in ([2, 1], [4]):
        with pytest.raises(ValueError, match="counts"):
            list(stage.partial_sums(counts))
