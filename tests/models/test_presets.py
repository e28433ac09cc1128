import datetime
import hashlib
import json
import pathlib
import re

import keras
import numpy as np
import pytest

import keras_csc
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import Decoder
from keras_csc.models import Encoder
from keras_csc.models import presets
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch

ROOT = pathlib.Path(__file__).parents[2]
load = ClosedLoopAutoencoder.from_preset


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_makes_networks(name):
    config = presets.config(name)
    encoder, decoder = presets.players(config)
    height, width, channels = shape = config["image_shape"]
    side = encoder.stride
    places = (height // side, width // side)
    places = places if config["features"] == "map" else ()
    features = (None, *places, config["feature_dim"])
    assert encoder.compute_output_shape((None, *shape)) == features
    assert decoder.compute_output_shape(features) == (None, *shape)
    # The first dictionary has room for all components.
    assert not config["nonnegative"]
    side = config["kernel_size"][0]
    assert config["strides"][0] == side
    assert config["filters"][0] == side**2 * channels


def test_the_table_in_the_docs_is_that_of_the_presets():
    page = (ROOT / "docs" / "presets.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    rows = [row for row in rows if row[0] not in presets.trained_names()]
    assert [name for name, _ in rows] == sorted(presets.PRESETS)
    for name, row in rows:
        config = presets.config(name)
        images, filters, sparsity, features = row.split(" | ")
        height, width, channels = config["image_shape"]
        size = f"{height}×{width}, "
        if config["features"] == "map":
            size = "any size, "
            (side,) = config["strides"]
            assert features.endswith(f" for {side}×{side} pixels")
        assert images == size + {1: "grey", 3: "colour"}[channels]
        assert filters == ", ".join(map(str, config["filters"]))
        assert sparsity == ", ".join(map(str, config["sparsity"]))
        assert int(features.split()[0]) == config["feature_dim"]


@pytest.mark.parametrize(
    "entries",
    [
        {"sparsity": 0.125, "iterations": 3, "output": "tanh"},
        {"nonnegative": True, "rectified": True, "strides": [4, 1]},
        {"feature_dim": np.int64(3), "sparsity": np.float32(0.125)},
    ],
    ids=str,
)
def test_a_preset_folder_comes_back_bit_by_bit(entries, tmp_path):
    """Without what the model was compiled with."""
    model = small_autoencoder(**entries)
    model.compile("adam", "adam")
    images, _ = small_batch()
    model.encode(images, training=True)
    folder = tmp_path / "deep" / "preset"
    model.save_to_preset(folder)
    assert {path.name for path in folder.iterdir()} == set(presets.FILES)
    assert [path.name for path in folder.parent.iterdir()] == ["preset"]
    loaded = load(str(folder))
    for weight, other in zip(all_weights(model), all_weights(loaded)):
        np.testing.assert_array_equal(weight, other)
    np.testing.assert_array_equal(model(images), loaded(images))
    assert presets.model_config(loaded).items() >= entries.items()


def test_names_of_atoms_stay_with_their_atoms(tmp_path):
    model = small_autoencoder()
    for stage, atom, name in ((2, 3, "é"), (1, np.int64(0), "b"), (1, 1, "c")):
        model.name_atom(stage, atom, name)
    model.name_atom(1, 1, "")
    folder, file = tmp_path / "preset", tmp_path / "model.keras"
    model.save_to_preset(folder)
    model.save(file)
    for again in (load(folder), keras.models.load_model(file)):
        assert again.atom_names == {(1, 0): "b", (2, 3): "é"}
    labels = [
        stage.label(3) for stage in again.explain(small_batch()[0][0]).stages
    ]
    assert labels == ["atom 3", "atom 3, é"]
    assert not load(folder, sparsity=0.5).atom_names
    for stage, atom in ((0, 0), (3, 0), (1, -1), (2, 10**9)):
        with pytest.raises(ValueError, match="must be"):
            model.name_atom(stage, atom, "x")


def test_layout_is_that_of_keras_hub(tmp_path):
    model = small_autoencoder(nonnegative=True)
    model.save_to_preset(tmp_path / "preset")
    config, metadata = (
        json.loads((tmp_path / "preset" / name).read_text())
        for name in ("config.json", "metadata.json")
    )
    assert presets.model_config(model).keys() == config["config"].keys()
    assert config["registered_name"] == keras.saving.get_registered_name(
        ClosedLoopAutoencoder
    )
    assert metadata["parameter_count"] == model.count_params()
    datetime.datetime.strptime(metadata["date_saved"], "%Y-%m-%d@%H:%M:%S")
    assert metadata["keras_version"] == keras.__version__
    assert metadata["keras_csc_version"] == keras_csc.__version__
    for name in ("config.json", "model.weights.h5"):
        content = (tmp_path / "preset" / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert metadata["sha256"][name] == digest


def test_architectures_have_first_weights_of_another_type(tmp_path):
    model = small_autoencoder(dtype="mixed_bfloat16")
    assert model.encoder.head.compute_dtype == "bfloat16"
    assert model.decoder.decoding_layers[0].compute_dtype == "bfloat16"
    model.save_to_preset(tmp_path / "preset")
    other = load(tmp_path / "preset", load_weights=False)
    assert np.any(model.encoder.head.kernel != other.encoder.head.kernel)


def test_filters_of_other_stages_keep_the_sparsity():
    for filters, expected in (
        ((4,), (0.05,)),
        ((4,) * 4, (0.05,) + (0.1,) * 3),
    ):
        config = presets.config("cifar10", filters=filters)
        assert config["sparsity"] == expected
    config = presets.config("cifar10", filters=(4,), sparsity=0.1)
    assert config["sparsity"] == 0.1
    assert presets.config("cifar10")["sparsity"] == (0.05, 0.1, 0.1)


@pytest.mark.parametrize(
    "preset, overrides, message",
    [
        ("cifar-10", {}, "Did you mean 'cifar10'"),
        ("nothing/here", {}, "Unknown preset"),
        ("digits", {"filter_count": 3}, "filter_count"),
        ("digits", {"load_weights": True}, "load_weights=False"),
        ("csc_ctrl_digits", {"filters": (16, 65)}, "does not fit"),
    ],
)
def test_what_is_no_preset_is_refused(preset, overrides, message):
    first = {"load_weights": preset == "csc_ctrl_digits"}
    with pytest.raises(ValueError, match=message):
        load(preset, **{**first, **overrides})


class Clipped(Encoder):
    def parts(self, number, codes):
        return keras.ops.minimum(super().parts(number, codes), 0.5)


def test_a_model_that_no_preset_makes_again_is_refused(tmp_path):
    encoder = Clipped(image_shape=(8, 8, 1), filters=(3, 4), feature_dim=5)
    model = ClosedLoopAutoencoder(encoder, Decoder(encoder))
    with pytest.raises(
        ValueError, match=r'Clipped and Decoder\. .*`model.save\("NAME.keras'
    ):
        model.save_to_preset(tmp_path / "preset")
    assert not list(tmp_path.iterdir())


def test_a_save_leaves_a_whole_folder_or_nothing(tmp_path, monkeypatch):
    model = small_autoencoder()
    folder = tmp_path / "preset"
    folder.mkdir()
    with pytest.raises(ValueError, match="exists"):
        model.save_to_preset(folder)
    assert not list(folder.iterdir())
    folder.rmdir()

    def fail(self, path):
        raise OSError("disk full")

    monkeypatch.setattr(type(model), "save_weights", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save_to_preset(folder)
    assert not list(tmp_path.iterdir())
