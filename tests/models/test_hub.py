"""Presets of hubs: what their libraries are asked, and what is taken of it.

The functions of the libraries that we call are replaced, by others of the same
signatures that keep files in a dict.
"""

import collections
import sys
from unittest import mock

from keras_csc_cli import building
from keras_csc_cli import train_options

import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import small_autoencoder

REASON = "the extra is not installed: pip install '.[hub]'"
huggingface_hub = pytest.importorskip("huggingface_hub", reason=REASON)
kagglehub = pytest.importorskip("kagglehub", reason=REASON)

FILES = {"config.json", "metadata.json", "model.weights.h5"}
URIS = {"hf": "hf://me/small", "kaggle": "kaggle://me/small/keras/tiny"}
TRY = "Check the name, the version, the network"
load = ClosedLoopAutoencoder.from_preset


class Hub:
    """Versions of models, dicts from names of files to bytes, oldest first.

    Args:
        cache: `pathlib.Path` of a folder for what is downloaded.
    """

    def __init__(self, cache):
        self.cache = cache
        self.models = collections.defaultdict(list)
        self.asked = []  # names of the files that were downloaded
        self.refuses = False

    def add(self, name, files):
        self.models[name].append(files)

    def content(self, name, version, file):
        if self.refuses or not self.models[name]:
            raise RuntimeError("403 Forbidden")
        return self.models[name][int(version or 0) - 1][file]

    def download(self, name, version, file):
        content = self.content(name, version, file)
        self.asked.append(file)
        folder = self.cache / name / str(version or len(self.models[name]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
        return str(folder / file)

    # What is called of `huggingface_hub`.

    def hf_hub_download(self, repo_id, filename, revision):
        return self.download(repo_id, revision, filename)

    # What is called of `kagglehub`.

    def model_download(self, handle, path):
        name, _, version = handle.partition("/tiny")
        return self.download(f"{name}/tiny", version[1:], path)


def contents(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name[0] != "."
    }


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache")
    for owner, name in (
        (huggingface_hub, "hf_hub_download"),
        (kagglehub, "model_download"),
    ):
        replaced = mock.create_autospec(
            getattr(owner, name), side_effect=getattr(hub, name)
        )
        monkeypatch.setattr(owner, name, replaced)
    return hub


@pytest.fixture(params=URIS)
def uri(request):
    return URIS[request.param]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset") / "small"
    model = small_autoencoder()
    model.save_to_preset(folder)
    return model, folder


def name_in(uri):
    return uri.partition("://")[2]


def assert_same(model, other):
    for weight, another in zip(all_weights(model), all_weights(other)):
        np.testing.assert_array_equal(weight, another)


def test_versions_of_a_preset_come_from_a_hub(hub, uri, saved, tmp_path):
    model, folder = saved
    hub.add(name_in(uri), contents(folder))
    assert_same(model, load(uri))
    other = small_autoencoder(filters=(3, 5))
    other.save_to_preset(tmp_path / "other")
    hub.add(name_in(uri), contents(tmp_path / "other"))
    assert_same(other, load(uri))
    assert_same(model, load(f"{uri}@1" if "hf:" in uri else f"{uri}/1"))


def test_only_files_of_a_preset_are_read(hub, uri, saved):
    """And not the weights for the architecture."""
    model, folder = saved
    others = {"model.pkl": b"evil", "layers.py": b"evil", "README.md": b"#"}
    hub.add(name_in(uri), {**contents(folder), **others})
    assert load(uri, load_weights=False).encoder.filters == (3, 4)
    assert presets.config(uri)["filters"] == [3, 4]
    assert presets.has_weights(uri)
    assert set(hub.asked) == FILES - {"model.weights.h5"}
    # Nor does it matter what others have put into the cache.
    (presets.find(uri).folder / "layers.py").write_text("evil")
    assert_same(model, load(uri))
    assert set(hub.asked) == FILES


@pytest.mark.parametrize(
    "file, error, message",
    [
        ("model.weights.h5", ValueError, "damaged or was replaced"),
        ("config.json", ValueError, "damaged or was replaced"),
        ("metadata.json", OSError, f"metadata.json could not be down.*{TRY}"),
    ],
)
def test_what_a_hub_has_not_whole_is_refused(
    hub, uri, saved, file, error, message
):
    files = contents(saved[1])
    if file == "metadata.json":
        del files[file]
    else:
        files[file] = files[file].replace(b"3", b"4")
    hub.add(name_in(uri), files)
    with pytest.raises(error, match=message):
        load(uri)


def test_a_hub_that_refuses_is_said(hub, uri):
    hub.refuses = True
    with pytest.raises(OSError, match=f"config.json.* could not.*403.*{TRY}"):
        load(uri)


@pytest.mark.parametrize(
    "hub_name, library", [("hf", "huggingface_hub"), ("kaggle", "kagglehub")]
)
def test_a_missing_library_is_named(hub_name, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"{library}: pip install '\.\[hub\]'"
    with pytest.raises(ImportError, match=message):
        load(URIS[hub_name])


def test_the_command_line_takes_a_uri(hub, saved, monkeypatch):
    model, folder = saved
    hub.add("me/small", contents(folder))
    arguments = ["--dataset=digits", "--preset=hf://me/small", "--steps=1"]
    options = train_options.parse(arguments)
    building.check(options)
    assert_same(model, building.model(options, num_classes=10))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install '"):
        building.model(options, 10)
