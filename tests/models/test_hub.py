"""Presets of hubs: what their libraries are asked, and what is taken of it.

The functions of the libraries that we call are replaced, by others of the same
signatures that keep files in a dict.
"""

import collections
import pathlib
import shutil
import sys
from unittest import mock

from keras_csc_cli import building
from keras_csc_cli import train_options

import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from keras_csc.models import upload_preset
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

    def add(self, name, files, keep=True):
        before = self.models[name][-1:] if keep else []
        self.models[name].append({**dict(*before), **files})

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

    def create_repo(self, repo_id, exist_ok):
        if self.refuses:
            raise RuntimeError("403 Forbidden")

    def upload_folder(
        self, repo_id, folder_path, commit_message, ignore_patterns
    ):
        assert ignore_patterns == [".*"]
        self.add(repo_id, contents(pathlib.Path(folder_path)))

    # What is called of `kagglehub`.

    def model_download(self, handle, path):
        name, _, version = handle.partition("/tiny")
        return self.download(f"{name}/tiny", version[1:], path)

    def model_upload(self, handle, folder, version_notes, ignore_patterns):
        assert ignore_patterns == [".*"]
        if self.refuses:
            raise RuntimeError("403 Forbidden")
        self.add(handle, contents(pathlib.Path(folder)), keep=False)


def contents(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name[0] != "."
    }


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache")
    for owner, names in (
        (huggingface_hub, ("hf_hub_download", "create_repo", "upload_folder")),
        (kagglehub, ("model_download", "model_upload")),
    ):
        for name in names:
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


def test_a_preset_goes_to_a_hub_and_comes_back(hub, uri, saved, tmp_path):
    """With its card, if it has one, and without what is hidden beside it."""
    model, folder = saved
    upload_preset(uri, folder)
    assert hub.models[name_in(uri)][-1] == contents(folder)
    assert_same(model, load(uri))
    other = small_autoencoder(filters=(3, 5))
    other.save_to_preset(tmp_path / "other")
    (tmp_path / "other" / "README.md").write_text("# Mine")
    (tmp_path / "other" / ".secret").write_text("mine")
    upload_preset(uri, tmp_path / "other")
    assert set(hub.models[name_in(uri)][-1]) == FILES | {"README.md"}
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


def test_a_hub_that_refuses_is_said(hub, uri, saved):
    hub.refuses = True
    with pytest.raises(OSError, match=f"config.json.* could not.*403.*{TRY}"):
        load(uri)
    with pytest.raises(OSError, match=f"'{uri}': the preset could.*{TRY}"):
        upload_preset(uri, saved[1])


@pytest.mark.parametrize(
    "hub_name, library", [("hf", "huggingface_hub"), ("kaggle", "kagglehub")]
)
def test_a_missing_library_is_named(hub_name, library, saved, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"{library}: pip install '\.\[hub\]'"
    for doing in (load, lambda uri: upload_preset(uri, saved[1])):
        with pytest.raises(ImportError, match=message):
            doing(URIS[hub_name])


def test_only_folders_that_load_are_uploaded(hub, uri, saved, tmp_path):
    for wrong in ("me/small", "hf://me/small@main"):
        with pytest.raises(ValueError, match="hf://OWNER/NAME.*Received: "):
            upload_preset(wrong, saved[1])
    folder = shutil.copytree(saved[1], tmp_path / "small")
    (folder / "layers.pkl").write_text("")
    with pytest.raises(ValueError, match="unexpected files: layers.pkl"):
        upload_preset(uri, folder)
    for nothing in ("digits", tmp_path / "none"):
        with pytest.raises(ValueError, match="Unknown preset"):
            upload_preset(uri, nothing)
    assert not hub.models


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
