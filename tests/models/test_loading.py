"""What others made is loaded as data, never as code."""

import ast
import json
import os
import pathlib
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers.reference_loop import small_autoencoder

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("keras_csc", "keras_csc_cli", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "hostile" not in path.parts  # whose cases are code
]
CODE_LOADERS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def unsafe(tree):
    """Imports and arguments that would run code from a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Call):
            names = {getattr(node.func, "id", None)} & {"eval", "exec"}
            names |= {k.arg for k in node.keywords} & {
                "allow_pickle",
                "safe_mode",
            }
            yield from names
            continue
        else:
            continue
        yield from names & CODE_LOADERS


def test_no_code_is_loaded_anywhere():
    assert len(SOURCES) > 50
    for path in SOURCES:
        assert not list(unsafe(ast.parse(path.read_text()))), path


def test_the_search_finds_what_it_looks_for():
    text = "import pickle\nfrom joblib import load\nnp.load(f, allow_pickle=1)"
    assert set(unsafe(ast.parse(text))) == {"pickle", "joblib", "allow_pickle"}


def test_keras_file_with_code_is_refused(tmp_path):
    path, other = tmp_path / "model.keras", tmp_path / "other.keras"
    small_autoencoder().save(path)
    code = keras.layers.Lambda(lambda x: x, name="code")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["encoder"] = (
                    keras.saving.serialize_keras_object(code)
                )
                content = json.dumps(config)
            new.writestr(name, content)
    with pytest.raises(ValueError, match="[Uu]nsafe|safe_mode|lambda"):
        keras.models.load_model(other)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset") / "small"
    small_autoencoder().save_to_preset(folder)
    return folder


@pytest.fixture
def preset(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "small")


def trust(preset, **digests):
    """Replaces the digests in the metadata, by default by none."""
    path = preset / "metadata.json"
    metadata = {**json.loads(path.read_text()), "sha256": {}, **digests}
    path.write_text(json.dumps(metadata))


def edit(preset, **entries):
    """Replaces entries of the architecture, and lets nobody know."""
    path = preset / "config.json"
    found = json.loads(path.read_text())
    found["config"].update(entries)
    path.write_text(json.dumps(found))
    trust(preset)


def load(preset):
    return ClosedLoopAutoencoder.from_preset(str(preset))


def test_unexpected_files_are_refused(preset):
    (preset / ".DS_Store").write_bytes(b"")
    (preset / "README.md").write_bytes(b"")
    load(preset)
    (preset / "layers.py").write_text("")
    with pytest.raises(ValueError, match="unexpected files: layers.py"):
        load(preset)


def test_every_change_of_the_configuration_is_found(preset):
    path = preset / "config.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(ValueError, match="config.json.*was replaced"):
        load(preset)


def test_every_flipped_bit_of_the_weights_is_found(preset):
    path = preset / "model.weights.h5"
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(len(content), size=5):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="damaged or was replaced"):
            load(preset)


def change_weights(preset, change):
    """Changes the first kernel, and tells the metadata to trust it."""
    trust(preset)
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        found = []

        def visit(name, item):
            if isinstance(item, h5py.Dataset) and item.ndim == 4:
                found.append(name)

        file.visititems(visit)
        change(file, sorted(found)[0])


def set_nan(file, name):
    file[name][0, 0, 0, 0] = np.nan


def remove(file, name):
    del file[name]


def link(file, name):
    other = pathlib.Path(file.filename).parents[1] / "other.h5"
    with h5py.File(other, "w") as secret:
        secret["values"] = file[name][()]
    del file[name]
    file[name] = h5py.ExternalLink(str(other), "/values")


@pytest.mark.parametrize(
    "change, message",
    [
        (set_nan, "not finite: .*kernel"),
        (remove, "expected 1 more of the shapes .* received nothing"),
        (link, "does not hold the weights"),
    ],
)
def test_wrong_weights_are_refused_with_the_reason(preset, change, message):
    change_weights(preset, change)
    with pytest.raises(ValueError, match=message):
        load(preset)


def test_weights_of_wrong_shapes_are_refused_with_the_reason(preset):
    edit(preset, filters=[3, 5])
    with pytest.raises(
        ValueError, match="expected .* shapes .*5.* received .*4"
    ):
        load(preset)


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"filters": "many"}, "`filters` must be"),
        ({"filters": [3, "4"]}, "`filters` must be"),
        ({"image_shape": 16}, "`image_shape` must be"),
        ({"iterations": "two"}, "`iterations` must be"),
        ({"network": ["csc"]}, "`network` must be one of"),
        ({"code": "import os"}, "Unknown entries"),
        ({"sparsity": float("nan")}, "`sparsity` must be"),
        ({"sparsity": {"0": 1}}, "`sparsity` must be"),
        ({"tied": True}, "two networks .*train the model again"),
        ({"split": False}, "two networks .*train the model again"),
        ({"kernel_size": [3, 3]}, "`kernel_size` must be"),
        ({"filters": "abc"}, "`filters` must be"),
        ({"filters": []}, "`filters` must be"),
        ({"image_shape": [8, 8]}, "`image_shape` must be"),
        ({"feature_dim": 10**400}, "`feature_dim` must be"),
        ({"iterations": 10**9}, "`iterations` must be at most"),
    ],
)
def test_configurations_of_wrong_types_are_refused(preset, entries, message):
    edit(preset, **entries)
    with pytest.raises(ValueError, match=message):
        load(preset)


@pytest.mark.parametrize(
    "digests", [5, "no", [1], {"config.json": 5}, {"model.weights.h5": "0"}]
)
def test_digests_of_wrong_types_are_refused(preset, digests):
    trust(preset, sha256=digests)
    with pytest.raises(ValueError, match="damaged or was replaced"):
        load(preset)


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"registered_name": "keras>Lambda"}, "keras_csc>Closed.*'keras>La"),
        ({"registered_name": ["x"]}, "keras_csc>ClosedLoopAutoencoder"),
        ({"registered_name": None}, "keras_csc>ClosedLoopAutoencoder"),
        ({"config": None}, "with a `config`"),
        ({"config": [1]}, "with a `config`"),
    ],
)
def test_configurations_of_something_else_are_refused(preset, entries, message):
    path = preset / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
    trust(preset)
    with pytest.raises(ValueError, match=message):
        load(preset)


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
@pytest.mark.parametrize(
    "text", ["[1]", "null", "5", '"digits"', "true", "NaN"]
)
def test_json_that_is_no_object_is_refused(preset, name, text):
    (preset / name).write_text(text)
    with pytest.raises(ValueError, match="must hold a JSON object"):
        load(preset)


@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"[" * 200_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"", "not JSON"),
        (b" " * 2**21, "at most 1048576 bytes"),
    ],
    ids=["deep list", "deep object", "no text", "nothing", "long"],
)
def test_files_that_are_no_json_are_refused(preset, name, content, message):
    (preset / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(preset)


@pytest.mark.parametrize(
    "name", ["config.json", "metadata.json", "model.weights.h5"]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "dangling link"])
def test_only_regular_files_are_opened(preset, name, kind):
    path = preset / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(ValueError, match=f"has no file {name}"):
        load(preset)


@pytest.fixture
def nothing_is_built(monkeypatch):
    """Fails a test that makes a weight of a model."""

    def fail(model, shape=None):
        raise AssertionError("built before it was refused")

    monkeypatch.setattr(ClosedLoopAutoencoder, "build", fail)


@pytest.mark.parametrize(
    "entries",
    [
        {"image_shape": [16384, 16384, 1]},
        {"image_shape": [8192, 8192, 1]},
        {"filters": [3, 8192]},
        {"filters": [3, 5]},
        {"feature_dim": 8192},
        {"kernel_size": 1000},
        {"network": "conv"},
    ],
    ids=str,
)
def test_nothing_is_made_for_weights_that_do_not_fit(
    preset, nothing_is_built, entries
):
    edit(preset, **entries)
    message = "does not hold the weights of|would have|at most"
    with pytest.raises(ValueError, match=message):
        load(preset)


def promise(file, name):
    """The shape of a large kernel, of which no number is stored."""
    del file[name]
    file.create_dataset(name, (3, 3, 1, 2**20), "float32")


def compress(file, name):
    values = np.zeros((3, 3, 1, 2**16), "float32")
    del file[name]
    file.create_dataset(name, data=values, compression="gzip")


def fill(file, name):
    del file[name]
    file.create_dataset(name, (3, 3, 1, 3), "float32", fillvalue=1.0)


def map_elsewhere(file, name):
    layout = h5py.VirtualLayout((3, 3, 1, 3), "float32")
    layout[...] = h5py.VirtualSource("other.h5", "a", (3, 3, 1, 3))
    del file[name]
    file.create_virtual_dataset(name, layout)


@pytest.mark.parametrize("change", [promise, compress, fill, map_elsewhere])
def test_every_number_has_a_place_in_the_file(preset, nothing_is_built, change):
    change_weights(preset, change)
    with pytest.raises(ValueError, match="has no data of its own"):
        load(preset)


@pytest.mark.parametrize("size", [100, 2**33])
def test_files_of_another_size_are_not_read(preset, nothing_is_built, size):
    """The larger one is a hole, which takes no room."""
    os.truncate(preset / "model.weights.h5", size)
    with pytest.raises(ValueError, match=f"{size} bytes"):
        load(preset)


@pytest.mark.parametrize("with_optimizers", [False, True])
def test_a_compiled_model_is_saved_and_loaded(tmp_path, with_optimizers):
    model = small_autoencoder()
    model.compile("adam", "adam")
    model.save_to_preset(tmp_path / "compiled")
    if with_optimizers:  # as presets were once
        weights = tmp_path / "compiled" / "model.weights.h5"
        model.save_weights(weights)
        trust(tmp_path / "compiled")
    loaded = load(tmp_path / "compiled")
    for weight, other in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("preset", [None, 5, ["digits"], b"digits"])
def test_presets_have_names(preset):
    with pytest.raises(ValueError, match="`preset` must be the name"):
        ClosedLoopAutoencoder.from_preset(preset)
