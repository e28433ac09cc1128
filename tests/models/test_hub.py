"""Presets of hubs, through their libraries, from servers of our own."""

import pathlib
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


def test_a_preset_goes_to_a_hub_and_comes_back(one, saved):
    served, uri, name = one
    model, folder = saved
    before = contents(folder)
    upload_preset(uri, folder)
    assert contents(folder) == before
    (version,) = served.models[name][-1:]
    assert set(version) == FILES | {"README.md"}
    assert {file: version[file] for file in FILES} == before
    assert uri in version["README.md"].decode()
    assert_same(model, load(uri))


def test_only_files_of_a_preset_are_read(one, saved):
    served, uri, name = one
    model, folder = saved
    others = {"model.pkl": b"evil", "layers.py": b"evil", "README.md": b"#"}
    served.new_version(name, {**contents(folder), **others})
    assert_same(model, load(uri))
    cached = pathlib.Path(presets.local_folder(uri))
    assert {path.name for path in cached.iterdir()} == FILES
    # Nor does it matter what others have put into the cache.
    (cached / "layers.py").write_text("evil")
    assert_same(model, load(uri))


def test_weights_are_not_read_for_the_architecture(one, saved):
    served, uri, name = one
    served.new_version(name, contents(saved[1]))
    assert load(uri, load_weights=False).encoder.filters == (3, 4)
    assert presets.config(uri)["filters"] == [3, 4]
    assert not any("weights" in path for _, path in served.requests)
    assert presets.has_weights(uri)


def test_versions_are_named(one, saved, tmp_path):
    served, uri, name = one
    model, folder = saved
    other = small_autoencoder(filters=(3, 5))
    other.save_to_preset(tmp_path / "other")
    first = hubs.commit_hash(0) if "hf:" in uri else 1
    mark = "@" if "hf:" in uri else "/"
    served.new_version(name, contents(folder))
    assert_same(model, load(uri))
    served.new_version(name, contents(tmp_path / "other"))
    assert_same(other, load(uri))
    assert_same(model, load(f"{uri}{mark}{first}"))


def test_what_was_downloaded_is_there_without_a_network(
    hugging_face, saved, monkeypatch
):
    model, folder = saved
    hugging_face.new_version("me/small", contents(folder))
    load(URIS["hf"])
    asked = len(hugging_face.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_same(model, load(URIS["hf"]))
    assert len(hugging_face.requests) == asked
    with pytest.raises(
        OSError, match="'hf://me/other'.*Check the name and the network"
    ):
        load("hf://me/other")


def test_a_version_that_was_downloaded_is_there_without_kaggle(kaggle, saved):
    model, folder = saved
    kaggle.new_version("me/small/keras/tiny", contents(folder))
    load(f"{URIS['kaggle']}/1")
    kaggle.refused["me/small/keras/tiny"] = 503
    assert_same(model, load(f"{URIS['kaggle']}/1"))


def test_damage_on_the_way_is_found(one, saved):
    served, uri, name = one
    served.new_version(name, contents(saved[1]))
    served.damaged = True
    with pytest.raises((OSError, ValueError), match="damaged|MD5|not JSON"):
        load(uri)


@pytest.mark.parametrize("file", sorted(FILES))
def test_damage_on_the_hub_is_found(one, saved, file):
    served, uri, name = one
    files = contents(saved[1])
    files[file] = files[file].replace(b"3", b"4")
    served.new_version(name, files)
    with pytest.raises(ValueError, match="damaged or was replaced"):
        load(uri)


def test_a_preset_that_changes_meanwhile_is_refused(one, saved, monkeypatch):
    served, uri, name = one
    served.new_version(name, contents(saved[1]))
    wanted = presets.weight_shapes

    def change(config):
        served.new_version(name, {"config.json": b"{}"})
        return wanted(config)

    monkeypatch.setattr(presets, "weight_shapes", change)
    with pytest.raises(OSError, match="was changed while"):
        load(uri)


@pytest.mark.parametrize("file", sorted(FILES))
def test_files_that_are_too_large_are_not_downloaded(hugging_face, saved, file):
    files = {**contents(saved[1]), file: bytes(2**21)}
    hugging_face.new_version("me/small", files)
    with pytest.raises(
        ValueError, match=f"{file} of 'hf://me/small' .*at most"
    ):
        load(URIS["hf"])
    path = f"/me/small/resolve/main/{file}"
    assert ("HEAD", path) in hugging_face.requests
    assert ("GET", path) not in hugging_face.requests


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_preset_without_a_file_is_refused(one, saved, file):
    served, uri, name = one
    files = contents(saved[1])
    del files[file]
    served.new_version(name, files)
    with pytest.raises(OSError, match=f"'{uri}': {file} .*Check the name"):
        load(uri)


@pytest.mark.parametrize(
    "status, advice",
    [(401, "log in"), (403, "ask the owner"), (404, "Check"), (451, "later")],
)
def test_errors_of_the_hub_say_what_to_do(one, saved, status, advice):
    served, uri, name = one
    served.new_version(name, contents(saved[1]))
    served.refused |= {name: status, "me/small": status}
    with pytest.raises(OSError, match=f"'{uri}': config.json .*{advice}"):
        load(uri)
    if (status, name) != (404, URIS["kaggle"][9:]):  # where it is made
        with pytest.raises(OSError, match=f"'{uri}': the preset .*{advice}"):
            upload_preset(uri, saved[1])
    assert len(served.models[name]) == 1


def test_no_network_is_said(one, saved):
    served, uri, _ = one
    served.close()
    with pytest.raises(
        OSError, match=f"'{uri}'.*Check the name and the network"
    ):
        upload_preset(uri, saved[1])
    if uri != URIS["hf"]:  # which tries again for half a minute
        with pytest.raises(
            OSError, match=f"'{uri}'.*Check the name and the network"
        ):
            load(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "hf://",
        "hf://small",
        "hf://me/small/more",
        "hf://me/small@",
        "hf://me/small@../../x",
        "hf://../small",
        "hf://me/sm all",
        "hf://me/small\n",
        "kaggle://me/small",
        "kaggle://me/small/pytorch/tiny",
        "kaggle://me/small/keras/tiny/0",
        "kaggle://me/small/keras/tiny/new",
        "kaggle://../../keras/tiny",
    ],
)
def test_bad_uris_are_refused(uri, saved):
    for doing in (load, lambda uri: upload_preset(uri, saved[1])):
        with pytest.raises(ValueError, match="hf://OWNER/NAME.*Received: "):
            doing(uri)


def test_a_name_that_the_hub_has_not_is_refused(hugging_face):
    with pytest.raises(OSError, match="'hf://me/a--b': .*a--b"):
        load("hf://me/a--b")


@pytest.mark.parametrize(
    "uri, library", [("hf", "huggingface_hub"), ("kaggle", "kagglehub")]
)
def test_a_missing_library_is_named(uri, library, saved, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"{library}: pip install 'keras-csc\[hub\]'"
    for doing in (load, lambda uri: upload_preset(uri, saved[1])):
        with pytest.raises(ImportError, match=message):
            doing(URIS[uri])


def test_uploads_are_new_versions(one, saved, tmp_path):
    served, uri, name = one
    upload_preset(uri, saved[1])
    other = small_autoencoder(filters=(3, 5))
    other.save_to_preset(tmp_path / "other")
    upload_preset(uri, tmp_path / "other")
    assert len(served.models[name]) >= 2
    before, after = served.models[name][-2:]
    assert before["config.json"] == (saved[1] / "config.json").read_bytes()
    assert_same(other, load(uri))


def test_the_card_of_the_folder_is_that_of_the_model(one, saved, tmp_path):
    served, uri, name = one
    folder = shutil.copytree(saved[1], tmp_path / "small")
    (folder / "README.md").write_text("# Mine")
    (folder / ".git").mkdir()
    (folder / ".git" / "secret").write_text("mine")
    upload_preset(uri, folder)
    assert set(served.models[name][-1]) == FILES | {"README.md"}
    assert served.models[name][-1]["README.md"] == b"# Mine"


def test_a_card_that_the_hub_has_stays(hugging_face, saved):
    hugging_face.new_version("me/small", {"README.md": b"# Theirs"})
    upload_preset(URIS["hf"], saved[1])
    version = hugging_face.models["me/small"][-1]
    assert version["README.md"] == b"# Theirs"
    assert set(version) == FILES | {"README.md"}


def test_only_folders_that_load_are_uploaded(one, saved, tmp_path):
    served, uri, name = one
    folder = shutil.copytree(saved[1], tmp_path / "small")
    (folder / "layers.pkl").write_text("")
    with pytest.raises(ValueError, match="unexpected files: layers.pkl"):
        upload_preset(uri, folder)
    (folder / "layers.pkl").unlink()
    (folder / "model.weights.h5").write_bytes(b"0" * 9000)
    with pytest.raises(ValueError, match="damaged"):
        upload_preset(uri, folder)
    (folder / "metadata.json").unlink()
    with pytest.raises(ValueError, match="lacks metadata.json"):
        upload_preset(uri, folder)
    for nothing in ("digits", tmp_path / "none", None):
        with pytest.raises(ValueError, match="`folder` must be a folder"):
            upload_preset(uri, nothing)
    assert not served.requests


@pytest.mark.parametrize(
    "uri", ["hf://me/small@main", "kaggle://me/small/keras/tiny/1"]
)
def test_the_hub_numbers_versions(uri, saved):
    with pytest.raises(ValueError, match="must be without one"):
        upload_preset(uri, saved[1])


def test_the_command_line_takes_a_uri(hugging_face, saved, monkeypatch):
    model, folder = saved
    hugging_face.new_version("me/small", contents(folder))
    arguments = ["--dataset=digits", "--preset=hf://me/small", "--steps=1"]
    options = train_options.parse(arguments)
    building.check(options)
    assert_same(model, building.model(options, num_classes=10))
    replacing = train_options.parse([*arguments, "--patch_images=100"])
    with pytest.raises(UsageError, match="would replace weights"):
        building.check(replacing)
    frozen = train_options.parse([*arguments, "--freeze_normalizations"])
    building.check(frozen)
    assert not building.model(frozen, 10).encoder.normalizations[0].trainable
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="pip install 'keras-csc"):
        building.model(options, 10)
