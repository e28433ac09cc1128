"""Panels of HTML: what they hold, and that it is well formed."""

import numpy as np
import pytest

from keras_csc.explorer import Example
from keras_csc.explorer import look
from keras_csc.explorer import panels
from tests.helpers.pages import Page


@pytest.fixture(scope="module", params=["vector", "map", "conv"])
def seen(request, make, draw):
    changes = {
        "vector": {"nonnegative": True},
        "map": {"features": "map"},
        "conv": {"network": "conv"},
    }[request.param]
    return look(make(**changes), draw(8, 8, 1))


def test_a_look_shows_the_image_and_its_regeneration(seen):
    found = Page(panels.look_panel(seen))
    shown = (seen.image[..., 0] + 1) * 127.5
    np.testing.assert_allclose(found.pictures()[0], shown, atol=0.51)
    shown = (seen.regenerated[..., 0] + 1) * 127.5
    np.testing.assert_allclose(found.pictures()[1], shown, atol=0.51)
    assert any(f"{seen.psnr:.1f} dB" in word for word in found.words)
    stages = 0 if seen.explanation is None else 2
    assert len(found.all("img")) == 2 + stages
    assert all(image[1]["alt"] for image in found.all("img"))
    assert (stages == 0) == any("no sparse codes" in w for w in found.words)


@pytest.mark.parametrize("number", [1, 2])
def test_a_stage_shows_its_atoms_strongest_first(seen, number):
    if seen.explanation is None:
        pytest.skip("no codes")
    stage = seen.explanation.stages[number - 1]
    found = Page(panels.stage_panel(seen, number))
    titles = [word for word in found.words if word.startswith("Atom ")]
    active = np.count_nonzero(stage.energies)
    expected = [f"Atom {atom}" for atom in stage.order[:active]]
    grown = len(stage.default_counts()) + 1
    expected += expected  # Beside what is drawn.
    assert f"{stage.drawn_error():.1%}" in found.words
    assert titles == expected
    assert len(found.all("img")) == grown + 3 * (1 + 2 * active)
    toggles = Page(panels.atom_toggles(stage, seen.image)).all("button")
    toggles = [each[1] for each in toggles]
    assert [int(each["data-key"]) for each in toggles] == [
        int(atom) for atom in stage.order[:active]
    ]
    assert {each["aria-pressed"] for each in toggles} == {"true"}


def test_a_stage_without_codes_says_so(make, draw):
    seen = look(make(sparsity=(100.0, 0.1)), draw(8, 8, 1))
    assert "No atom of this stage" in panels.stage_panel(seen, 1)
    assert "No atom" in panels.atom_toggles(
        seen.explanation.stages[0], seen.image
    )
    Page(panels.look_panel(seen))


def test_labels_are_words_and_not_markup(draw):
    bad = "<img src=x onerror=alert(1)>\"'"
    found = Page(panels.picker([Example(bad, draw(8, 8, 1))], 0))
    (button,) = (each[1] for each in found.all("button"))
    assert button["aria-label"] == bad and button["aria-pressed"] == "true"
    assert "".join(found.words).count("onerror") == 1
    assert len(found.all("img")) == 1
