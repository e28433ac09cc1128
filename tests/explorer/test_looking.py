"""Changed codes against fresh solves and the model itself; panels; images."""

import types

import numpy as np
import pytest
from PIL import Image
from PIL import ImageOps
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from keras_csc import data
from keras_csc.data import image_files
from keras_csc.explorer import Example
from keras_csc.explorer import change
from keras_csc.explorer import examples_of
from keras_csc.explorer import look
from keras_csc.explorer import looking
from keras_csc.explorer import panels
from keras_csc.explorer import read_upload
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers.pages import Page
from tests.helpers.reference_loop import spread_autoencoder

MODELS = {
    "vector": ({"tight_frame": False}, (8, 8, 1)),
    "map": ({"features": "map", "nonnegative": True}, (11, 14, 1)),
}


def draw(*shape):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, shape).astype("float32")


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A model and what it makes of an image."""
    changes, shape = MODELS[request.param]
    model = spread_autoencoder(**changes)
    return model, look(model, draw(*shape))


def test_a_look_is_what_the_model_makes(case):
    model, seen = case
    (made,) = model.reconstruct(seen.image[None]).numpy()
    np.testing.assert_allclose(seen.regenerated, made, atol=1e-5)
    error = np.mean((np.float64(seen.image) - made) ** 2)
    assert seen.psnr == pytest.approx(10 * np.log10(4 / error), abs=1e-3)
    (features,) = model.encode(seen.image[None]).numpy()
    np.testing.assert_array_equal(seen.features, features)
    panel = Page(panels.look_panel(seen))
    assert len(panel.all("img")) == 2
    for picture, image in zip(panel.pictures(), (seen.image, made)):
        shown = (image[..., 0] + 1) * 127.5
        np.testing.assert_allclose(picture, shown, atol=0.51)
    assert any(f"{seen.psnr:.1f} dB" in word for word in panel.words)
    codes = Page(panels.codes_panel(seen))
    assert len(codes.all("img")) == len(seen.explanation.stages)


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
    model, other = spread_autoencoder(), spread_autoencoder(iterations=5)
    found = change(model, look(model, image), steps=5)
    fresh = other.explain(image).stages[0]
    np.testing.assert_allclose(found.stage.codes, fresh.codes, atol=1e-6)


def test_wrong_changes_are_refused(case):
    for name, value, said in (
        ("stage", 3, "`stage` must be at most 2"),
        ("sparsity", np.nan, "`sparsity` must be"),
        ("steps", 0, "`steps` must be an integer of at least 1"),
        ("factors", {3: 0}, "`atoms` must be one or more integers of 0 to 2"),
    ):
        with pytest.raises(ValueError, match=said):
            change(*case, **{name: value})


# === Panels ===


@pytest.mark.parametrize("number", [1, 2])
def test_a_stage_shows_its_atoms_strongest_first(case, number):
    seen = case[1]
    stage = seen.explanation.stages[number - 1]
    active = stage.order[: np.count_nonzero(stage.energies)].tolist()
    last = active[-1]
    for linked, order, cards in (
        (None, active, 0),
        (last, [last, *active[:-1]], 1),
    ):
        weights = Page(panels.weights_panel(seen, number, linked))
        keys = [int(each[1]["data-key"]) for each in weights.all("input")]
        assert keys == order
        links = [each[1]["href"] for each in weights.all("a")]
        named = [*order[:cards], *order]
        assert links == [f"#stage-{number}-atom-{n}" for n in named]
        assert len(weights.all("section")) == cards
        assert len(weights.all("img")) == len(order) + 3 * cards


def test_a_stage_without_codes_says_so():
    seen = look(spread_autoencoder(sparsity=(100.0, 0.1)), draw(8, 8, 1))
    assert "No atom" in panels.weights_panel(seen, 1)
    Page(panels.weights_panel(seen, 1, linked=2))
    Page(panels.codes_panel(seen))
    place = Page(panels.place_panel(seen, *panels.middle(seen)))
    assert any("0 are not 0" in word for word in place.words)


def test_labels_are_words_and_not_markup():
    bad = "<img src=x onerror=alert(1)>\"'"
    found = Page(panels.picker([Example(bad, draw(8, 8, 1))], 0))
    (button,) = (each[1] for each in found.all("button"))
    assert button["aria-label"] == bad and button["aria-pressed"] == "true"
    assert "".join(found.words).count("onerror") == 1
    assert len(found.all("img")) == 1


def test_classes_are_told_by_the_density_of_changed_features():
    model = spread_autoencoder()
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (60, 8, 8, 1)).astype("float32")
    assert looking.class_logits(model, model.encode(images[:1])[0]) is None
    model.fit_density(images, np.repeat([2, 5, 7], 20), 2)
    seen = look(model, images[0])
    atom = int(seen.explanation.stages[0].order[0])
    changed = change(model, seen, factors={atom: -2})
    codes = changed.stage.codes[None]
    for found, features in (
        (seen.classes, seen.features),
        (changed.classes, model.encoder.features_of(0, codes).numpy()[0]),
    ):
        joint = []
        arrays = [each.numpy() for each in model.density.variables.values()]
        for gaussians in zip(*arrays):
            each = [
                np.log(weight)
                + multivariate_normal(
                    mean, factor @ factor.T + variance * np.eye(len(mean))
                ).logpdf(features)
                for weight, mean, factor, variance in zip(*gaussians)
            ]
            joint.append(logsumexp(each))
        expected = joint - logsumexp(joint)
        np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(seen.classes - changed.classes).max() > 0.1
    names = ["first <b>", "second", "third"]
    page = Page(panels.change_panel(seen, changed, names))
    rows = [each[2] for each in page.all("th") if each[1]["scope"] == "row"]
    assert sorted(rows) == names and not page.all("b")


# === Images to choose from ===


def model_of(preset):
    return ClosedLoopAutoencoder.from_preset(
        preset, load_weights=False, filters=(4, 4), feature_dim=6
    )


def test_digits_of_all_classes():
    found = examples_of(model_of("digits"))
    assert [each.label for each in found[:10]] == [str(n) for n in range(10)]
    source = data.open_dataset("digits", "test", (16, 16, 1))
    pixels, labels = data.load_arrays(source)
    for each in found:
        same = np.abs(pixels - (each.image + 1) * 127.5).max((1, 2, 3)) < 0.01
        assert str(labels[np.argmax(same)]) == each.label and np.any(same)


def test_images_that_a_density_draws():
    model = model_of("mnist")
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (40, 32, 32, 1)).astype("float32")
    model.fit_density(images, np.repeat([0, 2], 20))
    found = examples_of(model)
    labels = ["drawn: 0", "drawn: 0", "drawn: 2", "drawn: 2"]
    assert [each.label for each in found] == labels
    named = examples_of(model, class_names=["a", "b", "c"])
    assert [each.label for each in named][::2] == ["drawn: a", "drawn: c"]
    # Of another set of classes there are no names.
    assert looking.names_of_classes(model, ["a", "b"]) == ["0", "2"]
    again = examples_of(model)
    np.testing.assert_array_equal(found[3].image, again[3].image)


# === Uploads ===


def encoder(features="map", channels=3):
    return types.SimpleNamespace(
        features=features, image_shape=(16, 16, channels)
    )


def wave(height=24, width=40):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 5, columns * 6, 255 - rows * 5], -1)
    return image.astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.png"


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_images_are_turned_upright(path, ending):
    path = path.with_suffix(ending)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(wave()).save(path, exif=exif)
        with Image.open(path) as read:
            expected = ImageOps.exif_transpose(read).convert("RGB")
        found, _ = read_upload(path, encoder())
        np.testing.assert_allclose((found + 1) * 127.5, expected, atol=1.1)


def test_a_model_of_vectors_is_given_its_size(path):
    Image.fromarray(wave()).save(path)
    image, note = read_upload(path, encoder("vector", 1))
    assert image.shape == (16, 16, 1)
    assert note == "resized and cut from 40×24 to 16×16 pixels"


def test_a_large_photograph_is_shrunk(path, monkeypatch):
    monkeypatch.setattr(looking, "WORKING_PIXELS", 240)
    Image.fromarray(wave()).save(path)
    image, note = read_upload(path, encoder())
    assert note == "shrunk from 40×24 to 20×12 pixels"
    blocks = wave().reshape(12, 2, 20, 2, 3).mean((1, 3))[2:-2, 2:-2]
    pixels = (image[2:-2, 2:-2] + 1) * 127.5
    np.testing.assert_allclose(pixels, blocks, atol=2)
    Image.fromarray(wave(9, 800)).save(path)
    assert read_upload(path, encoder())[0].shape[0] == 8  # what a model needs


def test_other_files_are_refused_in_one_line(path, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 2**25)
    Image.fromarray(wave()).save(path)
    damaged = bytearray(path.read_bytes())
    damaged[60:90] = bytes(30)
    # The last has few bytes, and more pixels than there is room for.
    for content, message in (
        (b"<svg onload='alert(1)'/>", "can't be read: no image of the"),
        (damaged, "can't be read"),
        (Image.fromarray(wave(7, 9)), "9×7 pixels, and must have at"),
        (Image.new("1", (6000, 6000)), "6000x6000 pixels, more than"),
    ):
        if isinstance(content, Image.Image):
            content.save(path)
        else:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_upload(path, encoder())
        assert "\n" not in str(caught.value) and "node" not in str(caught.value)
