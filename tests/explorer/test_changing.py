"""Changed codes against fresh solves and the model itself, and the panels."""

import numpy as np
import pytest

from keras_csc.explorer import Example
from keras_csc.explorer import change
from keras_csc.explorer import look
from keras_csc.explorer import panels
from tests.helpers.pages import Page
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights

MODELS = {
    "vector": ({"tight_frame": False}, (8, 8, 1)),
    "map": ({"features": "map", "nonnegative": True}, (11, 14, 1)),
}


def make(**changes):
    """A small model whose weights are of order one."""
    model = small_autoencoder(**changes)
    spread_weights(model)
    return model


def draw(*shape):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, shape).astype("float32")


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A model and what it makes of an image."""
    changes, shape = MODELS[request.param]
    model = make(**changes)
    return model, look(model, draw(*shape))


@pytest.fixture(scope="module")
def conv():
    """The same of a model without sparse codes."""
    model = make(network="conv")
    return model, look(model, draw(8, 8, 1))


def test_a_look_is_what_the_model_makes(case, conv):
    for model, seen in (case, conv):
        (made,) = model.reconstruct(seen.image[None]).numpy()
        np.testing.assert_allclose(seen.regenerated, made, atol=1e-5)
        error = np.mean((np.float64(seen.image) - made) ** 2)
        assert seen.psnr == pytest.approx(10 * np.log10(4 / error), abs=1e-3)
        (features,) = model.encode(seen.image[None]).numpy()
        np.testing.assert_array_equal(seen.features, features)
        panel = Page(panels.look_panel(seen))
        for picture, image in zip(panel.pictures(), (seen.image, made)):
            shown = (image[..., 0] + 1) * 127.5
            np.testing.assert_allclose(picture, shown, atol=0.51)
        assert any(f"{seen.psnr:.1f} dB" in word for word in panel.words)
        stages = seen.explanation.stages if model.encoder.sparse else ()
        assert len(panel.all("img")) == 2 + len(stages)
        assert (not stages) == any("no sparse codes" in w for w in panel.words)


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
    fresh = model.explain(seen.image, sparsity=0.2).stages[0]
    np.testing.assert_allclose(found.stage.codes, fresh.codes, atol=1e-6)
    assert found.stage.objective == pytest.approx(fresh.objective, rel=1e-5)
    assert found.stage.gap == pytest.approx(fresh.gap, rel=1e-4)
    (made,) = model.denoise(seen.image[None], 0.2).numpy()
    np.testing.assert_allclose(found.decoded, made, atol=1e-5)


def test_other_steps_are_those_of_a_model_that_takes_them():
    image = draw(8, 8, 1)
    model, other = make(), make(iterations=5)
    found = change(model, look(model, image), steps=5)
    fresh = other.explain(image).stages[0]
    np.testing.assert_allclose(found.stage.codes, fresh.codes, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_kept_coefficients_are_the_largest(case, share):
    model, seen = case
    codes = seen.explanation.stages[0].codes
    found = change(model, seen, kept=share).stage.codes
    count = round(share * np.count_nonzero(codes))
    sizes = np.sort(np.abs(codes), axis=None)[::-1]
    expected = np.where(np.abs(codes) >= sizes[count - 1], codes, 0)
    np.testing.assert_array_equal(found, expected if count else 0 * codes)


def test_wrong_changes_are_refused(case, conv):
    for name, value, said in (
        ("stage", 3, "`stage` must be at most 2"),
        ("sparsity", np.nan, "`sparsity` must be"),
        ("steps", 0, "`steps` must be an integer of at least 1"),
        ("kept", 1.5, r"`kept` must be a number in \[0, 1\]"),
        ("factors", {3: 0}, "`atoms` must be one or more integers of 0 to 2"),
    ):
        with pytest.raises(ValueError, match=said):
            change(*case, **{name: value})
    with pytest.raises(ValueError, match="Only sparse codes"):
        change(*conv)


# === Panels ===


@pytest.mark.parametrize("number", [1, 2])
def test_a_stage_shows_its_atoms_strongest_first(case, number):
    seen = case[1]
    stage = seen.explanation.stages[number - 1]
    found = Page(panels.stage_panel(seen, number))
    titles = [word for word in found.words if word.startswith("Atom ")]
    active = np.count_nonzero(stage.energies)
    # Alone, and beside what is drawn.
    assert titles == 2 * [f"Atom {atom}" for atom in stage.order[:active]]
    assert f"{stage.drawn_error():.1%}" in found.words
    grown = len(stage.default_counts()) + 1
    assert len(found.all("img")) == grown + 3 * (1 + 2 * active)
    toggles = Page(panels.atom_toggles(stage, seen.image)).all("button")
    keys = [int(each[1]["data-key"]) for each in toggles]
    assert keys == stage.order[:active].tolist()
    assert {each[1]["aria-pressed"] for each in toggles} == {"true"}


def test_a_stage_without_codes_says_so():
    seen = look(make(sparsity=(100.0, 0.1)), draw(8, 8, 1))
    stage = seen.explanation.stages[0]
    assert "No atom of this stage" in panels.stage_panel(seen, 1)
    assert "No atom" in panels.atom_toggles(stage, seen.image)
    Page(panels.look_panel(seen))


def test_labels_are_words_and_not_markup():
    bad = "<img src=x onerror=alert(1)>\"'"
    found = Page(panels.picker([Example(bad, draw(8, 8, 1))], 0))
    (button,) = (each[1] for each in found.all("button"))
    assert button["aria-label"] == bad and button["aria-pressed"] == "true"
    assert "".join(found.words).count("onerror") == 1
    assert len(found.all("img")) == 1
