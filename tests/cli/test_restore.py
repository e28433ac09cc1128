"""Photographs that `keras-csc restore` reads, restores and writes."""

from keras_csc_cli import restore
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.picture_options import RESTORE

import numpy as np
import pytest
import skimage.data
from PIL import Image
from PIL import ImageCms

from keras_csc import restoration
from keras_csc.restoration import tasks
from tests.helpers import runs

HEIGHT, WIDTH = 24, 30


def options(**given):
    given = {"task": "denoise", **given}
    return runs.given("restore", **given)


@pytest.fixture(autouse=True)
def few_iterations(monkeypatch):
    """What the images become does not matter here."""
    monkeypatch.setattr(tasks, "LEVELS", dict.fromkeys(tasks.LEVELS, (9, 9, 1)))


def photograph(channels, bits=8):
    image = skimage.data.astronaut()[:HEIGHT, :WIDTH]
    values = image[..., :channels].astype(f"uint{bits}")
    return values * 257 if bits == 16 else values


@pytest.fixture
def grey(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(photograph(1)[..., 0]).save(path)
    return path


# === Files ===


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".webp", ".jpg"])
def test_formats_are_written(tmp_path, ending):
    path = tmp_path / f"image{ending}"
    for channels in (1, 3):
        values = photograph(channels).astype("float32") / 255
        restore.write(restore.Picture(values, None, 8, None), path)
        found = restore.read(path).pixels
        lossless = ending in (".png", ".tif", ".bmp")
        assert np.mean(np.abs(found - values)) < (1e-6 if lossless else 0.05)
        assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_grey_of_sixteen_bits_comes_back(tmp_path, ending):
    values = photograph(1, 16)[..., 0] + 1
    Image.fromarray(values).save(tmp_path / "deep.tif")
    picture = restore.read(tmp_path / "deep.tif")
    assert picture.depth == 16 and picture.alpha is None
    path = tmp_path / f"again{ending}"
    restore.write(picture, path)
    np.testing.assert_array_equal(Image.open(path), values)


@pytest.mark.parametrize("mode, kept", [("CMYK", False), ("RGB", True)])
def test_a_profile_is_kept_if_it_is_of_the_pixels(tmp_path, mode, kept):
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = made[:16] + (b"RGB " if kept else b"CMYK") + made[20:]
    source, target = tmp_path / "in.jpg", tmp_path / "out.png"
    image = Image.fromarray(photograph(3)).convert(mode)
    image.save(source, icc_profile=made)
    restore.write(restore.read(source), target)
    with Image.open(target) as written:
        assert written.info.get("icc_profile") == (made if kept else None)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_images_are_turned_upright(tmp_path, ending):
    exif, path = Image.Exif(), tmp_path / f"turned{ending}"
    exif[0x0112] = 6
    upright = Image.fromarray(photograph(3))
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    found = restore.read(path).pixels * 255
    np.testing.assert_allclose(found, photograph(3), atol=1e-3)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK"])
def test_other_modes_are_read(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.fromarray(photograph(3)).convert(mode).save(path)
    picture = restore.read(path)
    grey = mode in ("1", "LA")
    assert picture.pixels.shape == (HEIGHT, WIDTH, 1 if grey else 3)
    assert (picture.alpha is not None) == mode.endswith("A")


# === Tasks ===


@pytest.mark.parametrize(
    "task, given",
    [
        ("denoise", {"noise": 25.0}),
        ("deblur", {"kernel": "1.5", "noise": 5.0}),
        ("enlarge", {"factor": 3}),
    ],
)
def test_tasks_are_given_what_the_flags_say(tmp_path, monkeypatch, task, given):
    """In units of [0, 1]."""
    Image.fromarray(photograph(3)).save(tmp_path / "in.png")
    asked, shown = {}, []

    def remember(pixels, *positional, **named):
        asked.update(pixels=pixels, positional=positional, **named)
        for solved in (1, 2):
            named["progress"](solved, 2)
        return pixels

    monkeypatch.setattr(restoration, task, remember)
    monkeypatch.setattr(
        restore.Progress, "update", lambda self, done: shown.append(done)
    )
    given = {**given, "image": tmp_path / "in.png"}
    output = tmp_path / "new" / "out.png"
    written = restore.main(options(task=task, output=output, **given))
    assert written == [output] and shown == [50, 100]
    np.testing.assert_allclose(asked["pixels"], photograph(3) / 255, atol=1e-6)
    np.testing.assert_array_equal(Image.open(output), photograph(3))
    if "noise" in given:
        assert asked["noise"] == pytest.approx(given["noise"] / 255)
    if task == "deblur":
        (blur,) = asked["positional"]
        x, y = np.meshgrid(*2 * [np.arange(-5, 6)])
        expected = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
        np.testing.assert_allclose(blur, expected / expected.sum(), rtol=1e-5)
    if task == "enlarge":
        assert asked["positional"] == (3,)


def test_what_was_restored_into_the_folder_is_no_image_of_it(grey):
    folder = grey.parent
    given = {"noise": 25.0, "image": folder, "output": folder / "out"}
    assert restore.main(options(**given)) == [folder / "out" / "grey.png"]
    assert restore.main(options(**given)) == []
    assert not (folder / "out" / "out").exists()
    above = options(noise=25.0, image=folder / "out", output=folder / "in")
    assert restore.main(above) == [folder / "in" / "grey.png"]
    inside = options(noise=25.0, image=folder / "out", output=folder)
    assert restore.main(inside) == []  # grey.png is there


def test_a_folder_is_not_restored_into_itself_or_a_file(grey):
    folder, before = grey.parent, grey.read_bytes()
    for output in (folder / ".." / folder.name, grey):
        given = options(noise=25.0, image=folder, output=output, overwrite=True)
        with pytest.raises(UsageError, match="must be another folder"):
            restore.main(given)
    assert grey.read_bytes() == before


def test_transparent_pixels_are_missing(tmp_path, capfd):
    """The image is then without transparency."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, "uint8")
    alpha[5:9, 7:12] = 0
    values = np.concatenate([photograph(3), alpha], -1)
    image, output = tmp_path / "image.png", tmp_path / "out.png"
    Image.fromarray(values).save(image)
    restore.main(options(task="inpaint", image=image, output=output))
    assert "without transparency" not in capfd.readouterr().err
    found = np.asarray(Image.open(output))
    same = np.all(found == values[..., :3], axis=-1)
    assert np.all(same[alpha[..., 0] > 0]) and not np.all(same)
    restore.main(options(image=image, output=tmp_path / "o.webp", noise=9.0))
    assert "o.webp is without transparency" in capfd.readouterr().err


def test_a_mask_is_black_where_pixels_are_missing(grey, tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), "uint8")
    mask[9] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    output = tmp_path / "out.png"
    given = {"task": "inpaint", "image": grey, "mask": tmp_path / "mask.png"}
    restore.main(options(**given, output=output))
    same = np.asarray(Image.open(output)) == photograph(1)[..., 0]
    assert np.all(same[9]) and not np.all(same)


def test_a_folder_goes_on_where_it_was(grey, tmp_path, capfd):
    folder, output = tmp_path / "in", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    grey.rename(folder / "one.png")
    Image.fromarray(photograph(3)).save(folder / "deeper" / "two.jpg")
    given = options(image=folder, output=output, noise=10.0)
    assert len(restore.main(given)) == 2
    before = (output / "one.png").stat().st_mtime_ns
    (output / "deeper" / "two.jpg").unlink()
    assert restore.main(given) == [output / "deeper" / "two.jpg"]
    assert (output / "one.png").stat().st_mtime_ns == before
    assert "1 of 2" in capfd.readouterr().err
    (folder / "three.png").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="1 of 1 images were left out"):
        restore.main(given)
    assert "three.png can't be read" in capfd.readouterr().err


# === Mistakes ===


def test_what_exists_is_not_replaced(grey, tmp_path):
    output = tmp_path / "out.png"
    output.write_bytes(b"mine")
    given = {"image": grey, "output": output, "noise": 10.0}
    with pytest.raises(UsageError, match="exists already"):
        restore.main(options(**given))
    assert output.read_bytes() == b"mine"
    restore.main(options(**given, overwrite=True))
    assert Image.open(output).size == (WIDTH, HEIGHT)


def test_two_images_of_a_folder_do_not_become_one(grey, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    Image.open(grey).save(folder / "a.gif")
    grey.rename(folder / "a.gif.png")
    given = {"image": folder, "output": output, "noise": 10.0}
    with pytest.raises(UsageError, match="a.gif and a.gif.png .* both"):
        restore.main(options(**given, overwrite=True))
    assert not output.exists()


def test_mistakes_are_one_line(grey, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (3, 3)).save("small.png")
    (tmp_path / "text.png").write_text("mine")
    usual = {"image": grey, "output": "out.png", "noise": 10.0}
    for given, message in (
        ({"task": "deblur"}, "--kernel is missing"),
        ({"noise": 0.0}, "`noise` must be a number in .0"),
        ({"image": "nowhere.png"}, "nowhere.png can.t be read: No such"),
        ({"image": "text.png"}, "text.png can't be read: no image of the form"),
        ({"mask": "small.png"}, "goes with --task=inpaint"),
        ({"factor": 2}, "goes with --task=enlarge"),
        ({"output": "out.xyz"}, "must end with one of"),
        ({"task": "inpaint"}, "no transparent pixels"),
        ({"task": "inpaint", "mask": "small.png"}, "of the image's size"),
        ({"task": "deblur", "kernel": "0"}, "above 0"),
        ({"task": "deblur", "kernel": "none.png"}, "can't be read"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            RESTORE.check(options(**{**usual, **given}))
            restore.main(options(**{**usual, **given}))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out.png").exists()


def test_folders_that_can_not_be_written_are_named_first(
    grey, tmp_path, monkeypatch
):
    """Before any image is restored, and nothing is made."""
    monkeypatch.setattr(restore, "_restored", pytest.fail)
    folder, output = tmp_path / "in", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    output.mkdir()
    for path in ("one.png", "deeper/two.png"):
        (folder / path).write_bytes(grey.read_bytes())
    (output / "deeper").write_text("mine")
    with pytest.raises(OSError, match="out/deeper"):
        restore.main(options(image=folder, output=output, noise=5.0))
    assert [path.name for path in output.iterdir()] == ["deeper"]
