"""Panels of HTML: what they hold, and that it is well formed."""

import base64
import html.parser
import io

import numpy as np
import pytest
from PIL import Image

from keras_csc.explorer import Changes
from keras_csc.explorer import Example
from keras_csc.explorer import change
from keras_csc.explorer import look
from keras_csc.explorer import panels
from keras_csc.explorer.damage import Restored

VOID = ("img", "br")


class Checked(html.parser.HTMLParser):
    """A document, whose tags must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.buttons, self.words = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "iframe", "link")
        attributes = dict(attributes)
        assert not any(name.startswith("on") for name in attributes)
        if tag == "img":
            self.images.append(attributes)
        if tag == "button":
            self.buttons.append(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


def pixels(image):
    data = image["src"].removeprefix("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture(scope="module", params=["vector", "map", "conv"])
def seen(request, make, draw):
    changes = {
        "vector": {"nonnegative": True},
        "map": {"features": "map"},
        "conv": {"network": "conv"},
    }[request.param]
    return look(make(**changes), draw(8, 8, 1))


def test_a_look_shows_the_image_and_its_regeneration(seen):
    found = Checked(panels.look_panel(seen))
    shown = (seen.image[..., 0] + 1) * 127.5
    np.testing.assert_allclose(pixels(found.images[0]), shown, atol=0.51)
    shown = (seen.regenerated[..., 0] + 1) * 127.5
    np.testing.assert_allclose(pixels(found.images[1]), shown, atol=0.51)
    assert any(f"{seen.psnr:.1f} dB" in word for word in found.words)
    stages = 0 if seen.explanation is None else 2
    assert len(found.images) == 2 + stages
    assert all(image["alt"] for image in found.images)
    assert (stages == 0) == any("no sparse codes" in w for w in found.words)


@pytest.mark.parametrize("number", [1, 2])
def test_a_stage_shows_its_atoms_strongest_first(seen, number):
    if seen.explanation is None:
        pytest.skip("no codes")
    stage = seen.explanation.stages[number - 1]
    found = Checked(panels.stage_panel(seen, number))
    titles = [word for word in found.words if word.startswith("Atom ")]
    active = np.count_nonzero(stage.energies)
    expected = [f"Atom {atom}" for atom in stage.order[:active]]
    grown = len(stage.default_counts()) + 1
    expected += expected  # Beside what is drawn.
    assert f"{stage.drawn_error():.1%}" in found.words
    assert titles == expected
    assert len(found.images) == grown + 3 * (1 + 2 * active)
    toggles = Checked(panels.atom_toggles(stage, seen.image)).buttons
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
    Checked(panels.look_panel(seen))


def test_a_change_is_told_in_figures(make, draw):
    model = make()
    seen = look(model, draw(8, 8, 1))
    changed = change(model, seen, Changes(kept=0.5))
    found = Checked(panels.change_panel(seen, changed))
    np.testing.assert_allclose(
        pixels(found.images[2]),
        (changed.decoded[..., 0] + 1) * 127.5,
        atol=0.51,
    )
    active = np.count_nonzero(changed.stage.codes)
    assert f"{active:,} of {changed.stage.codes.size:,}" in found.words
    assert f"{changed.stage.zeros:.1%}" in found.words
    assert f"{changed.sum_psnr:.1f} dB" in found.words
    assert any(
        word.startswith(f"{changed.decoded_psnr:.1f} dB")
        for word in found.words
    )


def test_labels_are_words_and_not_markup(draw):
    bad = "<img src=x onerror=alert(1)>\"'"
    found = Checked(panels.picker([Example(bad, draw(8, 8, 1))], 0))
    (button,) = found.buttons
    assert button["aria-label"] == bad and button["aria-pressed"] == "true"
    assert "".join(found.words).count("onerror") == 1
    assert len(found.images) == 1


def test_large_pictures_are_averaged_in_a_row_and_whole_alone(draw):
    images = [draw(300, 400, 3)] * 2
    found = Checked(panels.images_panel(images, ["a", "b"], "t", "s"))
    assert all(pixels(each).shape[1] <= 448 for each in found.images)
    whole = Checked(panels.filled("image", images[0], "a", "b", 160))
    assert pixels(whole.images[0]).shape == (300, 400, 3)


@pytest.mark.parametrize("known", [True, False])
def test_of_a_restored_detail_figures_are_those_known(draw, known):
    figures = (20.0, 30.0) if known else (None, None)
    restored = Restored(*[draw(9, 9, 3)] * 3, *figures)
    found = Checked(panels.filled("restored", restored))
    assert len(found.images) == (3 if known else 2)
    assert ("30.0 dB" in found.words) == known
