"""What others made is loaded as data, never as code."""

import json
import os
import pathlib
import re
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
]
# What would run code from a file.
UNSAFE = re.compile(
    r"(import|from) (pickle|cloudpickle|dill|joblib|marshal|shelve)\b"
    r"|(?<![.\w`])(eval|exec)\(|allow_pickle=|safe_mode="
)
CONFIG, METADATA = "config.json", "metadata.json"
WEIGHTS = "model.weights.h5"
FILES = (CONFIG, METADATA, WEIGHTS)


def test_no_code_is_loaded_anywhere():
    found = [path for path in SOURCES if UNSAFE.search(path.read_text())]
    assert len(SOURCES) > 50 and not found


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


def load(preset):
    return ClosedLoopAutoencoder.from_preset(str(preset))


def change(name, **entries):
    """What replaces entries of a JSON file, and lets nobody know."""

    def spoil(preset):
        path = preset / METADATA
        path.write_text(json.dumps({**json.loads(path.read_text()), **TRUST}))
        path = preset / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))

    return spoil


TRUST = {"sha256": {}}


def edit(**entries):
    """What replaces entries of the architecture."""

    def spoil(preset):
        config = json.loads((preset / CONFIG).read_text())["config"]
        change(CONFIG, config={**config, **entries})(preset)

    return spoil


def hold(name, content):
    return lambda preset: (preset / name).write_bytes(content)


def flip(name, place):
    """What flips a bit."""

    def spoil(preset):
        content = bytearray((preset / name).read_bytes())
        content[int(place * len(content))] ^= 1
        (preset / name).write_bytes(content)

    return spoil


def remove(name, instead=lambda path: None):
    def spoil(preset):
        (preset / name).unlink()
        instead(preset / name)

    return spoil


def cut(size):
    """The longer file is a hole, which takes no room."""
    return lambda preset: os.truncate(preset / WEIGHTS, size)


STRANGE = {
    "nothing": lambda path: None,
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": pathlib.Path.mkdir,
}
NO_JSON = {
    "a list": b"[1]",
    "NaN": b"NaN",
    "a deep list": b"[" * 200_000,
    "no text": b"\xff\xfe{}",
    "long": b" " * 2**21,
}
REFUSED = {
    "a script": (hold("layers.py", b""), "unexpected files: layers.py"),
    **{
        f"{name} is {kind}": (remove(name, make), f"has no file {name}")
        for name, (kind, make) in zip(3 * FILES, STRANGE.items())
    },
    **{
        f"{name} is {kind}": (hold(name, content), f"{name}.*a JSON object")
        for name, (kind, content) in zip(4 * FILES[:2], NO_JSON.items())
    },
    "a space more": (
        lambda preset: open(preset / CONFIG, "a").write(" "),
        "config.json.*was replaced",
    ),
    "a bit": (flip(WEIGHTS, 0.999), "damaged or was replaced"),
    **{
        f"digests are {value}": (
            change(METADATA, sha256=value),
            "damaged or was replaced",
        )
        for value in (5, {CONFIG: 5}, {WEIGHTS: "0"})
    },
    "another class": (
        change(CONFIG, registered_name="keras>Lambda"),
        "keras_csc>Closed.*'keras>La",
    ),
    "a class of no name": (change(CONFIG, registered_name=["x"]), "keras_csc>"),
    "no architecture": (change(CONFIG, config=[1]), "with a `config`"),
    **{
        f"{name} is {value}"[:40]: (edit(**{name: value}), message)
        for name, value, message in (
            ("filters", "many", "`filters` must be"),
            ("image_shape", 16, "`image_shape` must be"),
            ("iterations", 10**9, "`iterations` must be at most"),
            ("network", "csc", r"no entries \['network'\]"),
            ("sparsity", {"0": 1}, "`sparsity` must be"),
            ("feature_dim", 10**400, "`feature_dim` must be"),
            ("atom_names", [[1, 10**9, "x"]], "atom_names: `atom` must be"),
            ("atom_names", [[1, 0, ["x"]]], "atom_names: `name` must be"),
            ("atom_names", 5, "atom_names: "),
            ("code", "import os", r"no entries \['code'\]"),
            ("tied", True, r"no entries \['tied'\].* train the model again"),
            # More than the file can hold, or any machine.
            ("image_shape", [16384, 16384, 1], "would have"),
            ("image_shape", [8192, 8192, 1], "bytes, not"),
            ("filters", [3, 8192], "bytes, not"),
        )
    },
    "a short file": (cut(100), "has 100 bytes, not"),
    "a long file": (cut(2**33), f"has {2**33} bytes, not"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_is_refused_before_anything_is_made(preset, case, monkeypatch):
    def fail(model, shape=None):
        raise AssertionError("built before it was refused")

    monkeypatch.setattr(ClosedLoopAutoencoder, "build", fail)
    spoil, message = REFUSED[case]
    spoil(preset)
    with pytest.raises(ValueError, match=message):
        load(preset)


def put_nan(file, name):
    file[name][0, 0, 0, 0] = np.nan


def delete(file, name):
    del file[name]


def link(file, name):
    other = pathlib.Path(file.filename).parents[1] / "other.h5"
    with h5py.File(other, "w") as secret:
        secret["values"] = file[name][()]
    del file[name]
    file[name] = h5py.ExternalLink(str(other), "/values")


def lie_elsewhere(file, name):
    layout = h5py.VirtualLayout((3, 3, 1, 3), "float32")
    layout[...] = h5py.VirtualSource("other.h5", "a", (3, 3, 1, 3))
    del file[name]
    file.create_virtual_dataset(name, layout)


def promise(file, name):
    """The shape of a large kernel, of which no number is stored."""
    del file[name]
    file.create_dataset(name, (3, 3, 1, 2**20), "float32")


@pytest.mark.parametrize(
    "spoil", [put_nan, delete, link, lie_elsewhere, promise]
)
def test_wrong_weights_are_refused_with_the_reason(preset, spoil):
    message = "does not fit the architecture: .*'stage_1' expected"
    if spoil is put_nan:
        message = "not finite: .*kernel"
    change(METADATA)(preset)
    with h5py.File(preset / WEIGHTS, "r+") as file:
        names = []
        file.visit(names.append)
        name = next(
            name for name in names if getattr(file[name], "ndim", 0) > 2
        )
        spoil(file, name)
    with pytest.raises(ValueError, match=message):
        load(preset)


def test_files_that_may_stand_beside_a_preset(preset):
    for name in (".DS_Store", "README.md"):
        (preset / name).write_bytes(b"")
    load(preset)


@pytest.mark.parametrize("preset", [None, b"digits"])
def test_presets_have_names(preset):
    with pytest.raises(TypeError, match="os.PathLike"):
        ClosedLoopAutoencoder.from_preset(preset)
