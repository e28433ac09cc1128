"""Vectors of a folder's pictures, and the most alike."""

from keras_csc_cli import search
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest

import keras_csc
from keras_csc.data import image_files
from keras_csc.features import SparseFeatures
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels
from keras_csc.visualization import save_png
from tests.helpers import runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve digits, in folders of folders."""
    root = tmp_path_factory.mktemp("digits")
    source = keras_csc.data.open_dataset("digits", "test", (16, 16, 1))
    images = from_pixels(keras_csc.data.load_arrays(source, 12)[0])
    for number, image in enumerate(images):
        part = root / ("train", "test", "more/yet")[number % 3]
        part.mkdir(parents=True, exist_ok=True)
        save_png(part / f"{number:02}.png", to_pixels(image).repeat(3, -1))
    return root


@pytest.fixture(scope="module")
def of_sort(folder):
    """A model as `sort` writes one."""
    files = sorted(folder.rglob("*.png"))
    images = np.stack([image_files.read_pixels(str(f)) for f in files])
    features = SparseFeatures((16, 16, 3), 20, dimensions=6)
    features.fit(from_pixels(images))
    path = folder.parent / "model.keras"
    features.save(path)
    return path


def test_a_picture_is_found(folder, of_sort, capsys, tmp_path):
    query = folder / "test" / "04.png"
    for preset in ("csc_ctrl_digits", of_sort):
        given = {"data_dir": folder, "preset": preset}
        search.search(runs.given("search", image=query, count=3, **given))
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3 and str(query) not in " ".join(lines)
        cosines = [float(line.split()[0]) for line in lines]
        assert cosines == sorted(cosines, reverse=True) and cosines[0] < 0.999
    output = tmp_path / "vectors.NPZ"
    search.embed(runs.given("embed", output=output, **given))
    with np.load(output) as found:
        files, vectors = found["files"].tolist(), found["vectors"]
    norms = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)
    cosines = np.sort(vectors @ vectors[files.index("test/04.png")])[::-1]
    assert [line.split()[0] for line in lines] == [
        f"{cosine:.3f}" for cosine in cosines[1:4]
    ]


def test_embed_replaces_its_own_file_alone(folder, of_sort, tmp_path):
    output = tmp_path / "no" / "such" / "vectors.npz"
    given = {"data_dir": folder, "preset": of_sort, "output": output}
    for _ in range(2):
        search.embed(runs.given("embed", **given))
    assert list(output.parent.iterdir()) == [output]
    np.savez(output, vectors=np.zeros(3), files=["mine"])
    before = output.read_bytes()
    with pytest.raises(UsageError, match="is not a file of embed"):
        search.embed(runs.given("embed", **given))
    assert output.read_bytes() == before


def test_names_are_printed_in_one_line_each(of_sort, capsys, tmp_path):
    names = ["a\nb.png", "c\x1b[31md.png", "query.png"]
    given = {"data_dir": runs.write_pictures(tmp_path, names)}
    given |= {"image": tmp_path / names[2], "preset": of_sort}
    search.search(runs.given("search", **given))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].endswith(r"/a\nb.png")
    assert lines[1].endswith(r"/c\x1b[31md.png")


def test_files_that_are_no_images_are_left_out_and_named(
    of_sort, capsys, tmp_path
):
    names = ["a.png", "b.png", "c.png"]
    folder = runs.write_pictures(tmp_path / "pictures", names)
    (folder / "b.png").write_text("no image")
    output = tmp_path / "vectors.npz"
    given = {"data_dir": folder, "preset": of_sort}
    search.embed(runs.given("embed", output=output, **given))
    said = capsys.readouterr()
    assert "b.png is no image" in said.err and "Vectors of 2" in said.out
    with np.load(output) as found:
        assert found["files"].tolist() == ["a.png", "c.png"]
    search.search(runs.given("search", image=folder / "a.png", **given))
    said = capsys.readouterr()
    assert "b.png is no image" in said.err
    assert said.out.count("\n") == 1 and "c.png" in said.out
    for name in names:
        (folder / name).write_text("no image")
    with pytest.raises(UsageError, match="None of the files is an image"):
        search.embed(runs.given("embed", output=output, **given))


def test_mistakes_are_named(folder, of_sort, tmp_path):
    (tmp_path / "empty").mkdir()
    alone = runs.write_pictures(tmp_path / "alone", ["a.png"])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "half.keras").write_bytes(of_sort.read_bytes()[:-100])
    damaged = bytearray(of_sort.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.keras").write_bytes(damaged)
    query = folder / "test" / "04.png"
    for wrong, said in (
        ({"image": tmp_path / "text.png"}, "is no image"),
        ({"data_dir": tmp_path / "empty"}, "has no images"),
        ({"data_dir": alone, "image": alone / "a.png"}, "no other images"),
        ({"preset": "csc_ctrl_photographs"}, "no vector for a whole image"),
        ({"preset": tmp_path / "text.keras"}, "no model that keras-csc sort"),
        ({"preset": tmp_path / "half.keras"}, "or is damaged"),
        ({"preset": tmp_path / "damaged.keras"}, "or is damaged"),
    ):
        given = {"image": query, "data_dir": folder, "preset": of_sort}
        with pytest.raises(UsageError, match=said):
            search.search(runs.given("search", **{**given, **wrong}))
