"""Presets of hubs, through their libraries, from servers of our own."""

import shutil
import sys

from keras_csc_cli import building
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from keras_csc.models import upload_preset
from tests.helpers import hubs
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import small_autoencoder

REASON = "the extra is not installed: pip install 'keras-csc[hub]'"
constants = pytest.importorskip("huggingface_hub.constants", reason=REASON)
kaggle_clients = pytest.importorskip("kagglehub.clients", reason=REASON)
kaggle_env = pytest.importorskip("kagglesdk.kaggle_env", reason=REASON)

FILES = {"config.json", "metadata.json", "model.weights.h5"}
URIS = {"hf": "hf://me/small", "kaggle": "kaggle://me/small/keras/tiny"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset") / "small"
    model = small_autoencoder()
    model.save_to_preset(folder)
    return model, folder


@pytest.fixture
def hugging_face(tmp_path, monkeypatch):
    """A hub, and a cache that is empty. Nothing is read of the user's."""
    with hubs.serve(hubs.HuggingFace) as served:
        # What its environment variables set, when it was imported.
        for name, value in {
            "ENDPOINT": served.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": served.url
            + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hf"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield served


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """As `hugging_face`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token")
    with hubs.serve(hubs.Kaggle) as served:
        # Port 80 is another's.
        monkeypatch.setitem(
            kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, served.url
        )
        # It looks through all modules for who calls, which takes long here.
        monkeypatch.setattr(kaggle_clients, "get_user_agent", lambda: "tests")
        yield served


@pytest.fixture(params=URIS)
def one(request):
    """A hub, the URI of a preset of it, and the hub's name of that."""
    fixture = {"hf": "hugging_face", "kaggle": "kaggle"}[request.param]
    uri = URIS[request.param]
    return request.getfixturevalue(fixture), uri, uri.partition("://")[2]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(model, other):
    for weight, another in zip(all_weights(model), all_weights(other)):
        np.testing.assert_array_equal(weight, another)


load = ClosedLoopAutoencoder.from_preset
TRY = "Check the name, the version, the network"


def test_a_preset_goes_to_a_hub_and_comes_back(one, saved, tmp_path):
    """With its card, if it has one, and without what is hidden beside it."""
    served, uri, name = one
    model, folder = saved
    before = contents(folder)
    upload_preset(uri, folder)
    assert contents(folder) == before
    assert served.models[name][-1] == before
    assert_same(model, load(uri))
    first = hubs.commit_hash(len(served.models[name]) - 1)
    other = small_autoencoder(filters=(3, 5))
    other.save_to_preset(tmp_path / "other")
    (tmp_path / "other" / "README.md").write_text("# Mine")
    (tmp_path / "other" / ".git").mkdir()
    (tmp_path / "other" / ".git" / "secret").write_text("mine")
    upload_preset(uri, tmp_path / "other")
    assert set(served.models[name][-1]) == FILES | {"README.md"}
    assert served.models[name][-2] == before
    assert_same(other, load(uri))
    version = f"@{first}" if "hf:" in uri else "/1"
    assert_same(model, load(f"{uri}{version}"))


def test_only_files_of_a_preset_are_read(one, saved):
    """And not the weights for the architecture."""
    served, uri, name = one
    model, folder = saved
    others = {"model.pkl": b"evil", "layers.py": b"evil", "README.md": b"#"}
    served.new_version(name, {**contents(folder), **others})
    assert load(uri, load_weights=False).encoder.filters == (3, 4)
    assert presets.config(uri)["filters"] == [3, 4]
    assert presets.has_weights(uri)
    assert not any("weights" in path for _, path in served.requests)
    assert_same(model, load(uri))
    cached = presets.find(uri).folder
    assert {path.name for path in cached.iterdir()} == FILES
    # Nor does it matter what others have put into the cache.
    (cached / "layers.py").write_text("evil")
    assert_same(model, load(uri))


def test_what_was_downloaded_is_there_without_a_network(
    hugging_face, kaggle, saved, monkeypatch
):
    model, folder = saved
    hugging_face.new_version("me/small", contents(folder))
    kaggle.new_version("me/small/keras/tiny", contents(folder))
    load(URIS["hf"])
    load(f"{URIS['kaggle']}/1")
    asked = len(hugging_face.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    kaggle.refused["me/small/keras/tiny"] = 503
    assert_same(model, load(URIS["hf"]))
    assert_same(model, load(f"{URIS['kaggle']}/1"))
    assert len(hugging_face.requests) == asked
    with pytest.raises(OSError, match=f"'hf://me/other'.*{TRY}"):
        load("hf://me/other")


def damage_on_the_way(served, name):
    served.damaged = True


def other_bytes(file):
    def damage(served, name):
        content = served.models[name][-1][file].replace(b"3", b"4")
        served.new_version(name, {file: content})

    return damage


def without(file):
    def damage(served, name):
        del served.models[name][-1][file]

    return damage


def refusing(status):
    def damage(served, name):
        served.refused |= {name: status, "me/small": status}

    return damage


@pytest.mark.parametrize(
    "damage, error, message",
    [
        (damage_on_the_way, (OSError, ValueError), "damaged|MD5|JSON object"),
        (
            other_bytes("model.weights.h5"),
            ValueError,
            "damaged or was replaced",
        ),
        (
            without("metadata.json"),
            OSError,
            f"metadata.json could not be down.*{TRY}",
        ),
        (refusing(403), OSError, f"config.json could not.*{TRY}"),
    ],
)
def test_what_a_hub_has_not_whole_is_refused(
    one, saved, damage, error, message
):
    served, uri, name = one
    served.new_version(name, contents(saved[1]))
    damage(served, name)
    with pytest.raises(error, match=message):
        load(uri)
    if served.refused:
        with pytest.raises(OSError, match=f"'{uri}': the preset could.*{TRY}"):
            upload_preset(uri, saved[1])


def test_files_that_are_too_large_are_not_downloaded(
    hugging_face, saved, monkeypatch
):
    file = "model.weights.h5"
    files = contents(saved[1])
    monkeypatch.setattr(presets.folders, "MOST_BYTES", len(files[file]) - 1)
    hugging_face.new_version("me/small", files)
    with pytest.raises(
        ValueError, match=f"{file} of 'hf://me/small' .*at most"
    ):
        load(URIS["hf"])
    path = f"/me/small/resolve/main/{file}"
    assert ("HEAD", path) in hugging_face.requests
    assert ("GET", path) not in hugging_face.requests


def test_no_network_is_said(kaggle, hugging_face, saved):
    kaggle.close()
    hugging_face.close()
    for uri in URIS.values():
        with pytest.raises(OSError, match=f"'{uri}'.*{TRY}"):
            upload_preset(uri, saved[1])
    with pytest.raises(OSError, match=f"'{URIS['kaggle']}'.*{TRY}"):
        load(URIS["kaggle"])  # Hugging Face's tries again for half a minute.


@pytest.mark.parametrize(
    "uri",
    [
        "hf://small",
        "hf://me/small@../../x",
        "hf://me/small\n",
        "kaggle://me/small/pytorch/tiny",
        "kaggle://../../keras/tiny",
    ],
)
def test_bad_uris_are_refused(uri, saved):
    for doing in (load, lambda uri: upload_preset(uri, saved[1])):
        with pytest.raises(ValueError, match="hf://OWNER/NAME.*Received: "):
            doing(uri)


@pytest.mark.parametrize(
    "uri, library", [("hf", "huggingface_hub"), ("kaggle", "kagglehub")]
)
def test_a_missing_library_is_named(uri, library, saved, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"{library}: pip install 'keras-csc\[hub\]'"
    for doing in (load, lambda uri: upload_preset(uri, saved[1])):
        with pytest.raises(ImportError, match=message):
            doing(URIS[uri])


def test_only_folders_that_load_are_uploaded(one, saved, tmp_path):
    served, uri, _ = one
    version = "@main" if "hf:" in uri else "/1"
    with pytest.raises(ValueError, match="must be without one"):
        upload_preset(f"{uri}{version}", saved[1])
    folder = shutil.copytree(saved[1], tmp_path / "small")
    (folder / "layers.pkl").write_text("")
    with pytest.raises(ValueError, match="unexpected files: layers.pkl"):
        upload_preset(uri, folder)
    for nothing in ("digits", tmp_path / "none"):
        with pytest.raises(ValueError, match="Unknown preset"):
            upload_preset(uri, nothing)
    assert not served.requests


def test_the_command_line_takes_a_uri(hugging_face, saved, monkeypatch):
    model, folder = saved
    hugging_face.new_version("me/small", contents(folder))
    arguments = ["--dataset=digits", "--preset=hf://me/small", "--steps=1"]
    options = train_options.parse(arguments)
    building.check(options)
    assert_same(model, building.model(options, num_classes=10))
    replacing = train_options.parse([*arguments, "--first_atoms=patches:100"])
    with pytest.raises(UsageError, match="would replace weights"):
        building.check(replacing)
    frozen = train_options.parse([*arguments, "--freeze_normalizations"])
    building.check(frozen)
    assert not building.model(frozen, 10).encoder.normalizations[0].trainable
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="pip install 'keras-csc"):
        building.model(options, 10)
