"""Changed codes against dense matrices, fresh solves and the model itself."""

import numpy as np
import pytest

from keras_csc.explorer import change
from keras_csc.explorer import look
from keras_csc.models import ConvEncoder

MODELS = {
    "vector": ({"tight_frame": False}, (8, 8, 1)),
    "map": ({"features": "map", "nonnegative": True}, (11, 14, 1)),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request, make, draw):
    """A model and what it makes of an image."""
    changes, shape = MODELS[request.param]
    model = make(**changes)
    return model, look(model, draw(*shape))


def test_a_look_is_what_the_model_makes(case):
    model, seen = case
    (made,) = model.reconstruct(seen.image[None]).numpy()
    np.testing.assert_allclose(seen.regenerated, made, atol=1e-5)
    error = np.mean((np.float64(seen.image) - made) ** 2)
    assert seen.psnr == pytest.approx(10 * np.log10(4 / error), abs=1e-3)
    (features,) = model.encode(seen.image[None]).numpy()
    np.testing.assert_array_equal(seen.features, features)


@pytest.mark.parametrize("number", [1, 2])
def test_hardly_any_change_is_the_regeneration(case, number):
    model, seen = case
    own = model.encoder.coding_layers[number - 1].sparsity
    found = change(model, seen, number, sparsity=(1 + 1e-7) * own)
    stage = seen.explanation.stages[number - 1]
    np.testing.assert_allclose(found.decoded, seen.regenerated, atol=1e-5)
    assert found.decoded_psnr == pytest.approx(seen.psnr, abs=1e-3)
    assert found.stage.objective == pytest.approx(stage.objective, rel=1e-5)
    whole = stage.offset + stage.to_pixels(stage.synthesis)
    np.testing.assert_allclose(found.sum, whole, atol=1e-5)


@pytest.mark.parametrize("number, factor", [(1, 0), (2, 2.5)])
def test_an_atom_is_off_or_boosted_by_its_contribution(case, number, factor):
    model, seen = case
    stage = seen.explanation.stages[number - 1]
    atom = int(stage.order[0])
    found = change(model, seen, number, factors={atom: factor})
    more = (factor - 1) * stage.contribution(atom)
    np.testing.assert_allclose(
        found.stage.synthesis, stage.synthesis + more, atol=1e-5
    )
    expected = stage.offset + stage.to_pixels(stage.synthesis + more)
    np.testing.assert_allclose(found.sum, expected, atol=1e-4)


def test_another_sparsity_is_a_fresh_solve(case):
    model, seen = case
    found = change(model, seen, sparsity=0.2)
    fresh = model.explain(seen.image, sparsity=0.2)
    np.testing.assert_allclose(
        found.stage.codes, fresh.stages[0].codes, atol=1e-6
    )
    assert found.stage.objective == pytest.approx(
        fresh.stages[0].objective, rel=1e-5
    )
    assert found.stage.gap == pytest.approx(fresh.stages[0].gap, rel=1e-4)
    (made,) = model.denoise(seen.image[None], 0.2).numpy()
    np.testing.assert_allclose(found.decoded, made, atol=1e-5)


def test_other_steps_are_those_of_a_model_that_takes_them(make, draw):
    image = draw(8, 8, 1)
    model, other = make(), make(iterations=5)
    found = change(model, look(model, image), steps=5)
    fresh = other.explain(image)
    np.testing.assert_allclose(
        found.stage.codes, fresh.stages[0].codes, atol=1e-6
    )


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_kept_coefficients_are_the_largest(case, share):
    model, seen = case
    codes = seen.explanation.stages[0].codes
    found = change(model, seen, kept=share).stage.codes
    active = np.count_nonzero(codes)
    count = round(share * active)
    sizes = np.sort(np.abs(codes), axis=None)[::-1]
    expected = np.where(np.abs(codes) >= sizes[count - 1], codes, 0)
    np.testing.assert_array_equal(found, expected if count else 0 * codes)


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("stage", 3, "`stage` must be at most 2"),
        ("sparsity", np.nan, "`sparsity` must be"),
        ("steps", 0, "`steps` must be an integer of at least 1"),
        ("kept", 1.5, r"`kept` must be a number in \[0, 1\]"),
        ("factors", {3: 0}, "`atoms` must be one or more integers of 0 to 2"),
    ],
)
def test_wrong_changes_are_refused(case, name, value, said):
    model, seen = case
    with pytest.raises(ValueError, match=said):
        change(model, seen, **{name: value})


def test_an_encoder_without_codes_has_no_explanation(make, draw):
    model = make(network="conv")
    seen = look(model, draw(8, 8, 1))
    assert isinstance(model.encoder, ConvEncoder)
    assert seen.explanation is None
    (made,) = model.reconstruct(seen.image[None]).numpy()
    np.testing.assert_allclose(seen.regenerated, made, atol=1e-6)
    with pytest.raises(ValueError, match="Only sparse codes"):
        change(model, seen)


def test_features_go_on_from_the_codes_of_any_stage(case):
    model, seen = case
    output = model.encoder.activations(seen.image[None])
    for number, codes in enumerate(output.codes):
        np.testing.assert_allclose(
            model.encoder.features_of(number, codes), output.features, atol=1e-6
        )
