import datetime
import hashlib
import json
import pathlib
import re
import shutil

import h5py
import keras
import numpy as np
import pytest

import keras_csc
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import ConvDecoder
from keras_csc.models import ConvEncoder
from keras_csc.models import Decoder
from keras_csc.models import Encoder
from keras_csc.models import presets
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch

ROOT = pathlib.Path(__file__).parents[2]
VARIANTS = {
    "signed": {"sparsity": 0.125, "iterations": 3},
    "nonnegative": {"nonnegative": True, "iterations": 5},
    "tanh": {"rectified": True, "output": "tanh"},
    "conv": {"network": "conv"},
}


def alike():
    """Names of presets, those of one architecture together."""
    groups = {}
    for name in presets.PRESETS:
        groups.setdefault(str(presets.config(name)), []).append(name)
    return [
        pytest.param(names, id=" ".join(names), marks=MARKS.get(names[0], ()))
        for names in groups.values()
    ]


# Of 128×128 pixels: power iterations take seconds.
MARKS = {"celeb_a": pytest.mark.thorough}


@pytest.mark.parametrize("names", alike())
def test_every_preset_builds(names):
    model = ClosedLoopAutoencoder.from_preset(names[0], load_weights=False)
    config = presets.config(names[0])
    size, _, channels = config["image_shape"]
    handed_up = [2 * width for width in config["filters"]]
    widths = zip((channels, *handed_up), config["filters"])
    side = size // 2 ** len(config["filters"])
    places = (side, side) if config["features"] == "map" else ()
    side = 1 if places else side
    atoms = sum(16 * a * b for a, b in widths)
    atoms += side**2 * handed_up[-1] * config["feature_dim"]
    offset = config["normalization_offset"]
    offsets = sum(handed_up if offset else handed_up[-1:])
    for network, expected in (
        (model.encoder, atoms + offsets),
        (model.decoder, 2 + sum(handed_up)),
    ):
        count = sum(np.prod(v.shape) for v in network.trainable_variables)
        assert count == expected
    assert model.encoder.compute_output_shape((None, size, size, channels)) == (
        None,
        *places,
        config["feature_dim"],
    )
    # The first dictionary has room for all components.
    assert not config["nonnegative"]
    assert config["filters"][0] == 16 * channels


def test_the_table_in_the_docs_is_that_of_the_presets():
    page = (ROOT / "docs" / "presets.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    rows = [row for row in rows if row[0] not in presets.trained_names()]
    assert [name for name, _ in rows] == sorted(presets.PRESETS)
    for name, row in rows:
        config = presets.config(name)
        images, filters, sparsity, features, *others = row.split(" | ")
        height, width, channels = config["image_shape"]
        size = f"{height}×{width}, "
        if config["features"] == "map":
            size = "any size, "
            side = 2 ** len(config["filters"])
            assert features.endswith(f" for {side}×{side} pixels")
        assert images == size + {1: "grey", 3: "colour"}[channels]
        assert filters == ", ".join(map(str, config["filters"]))
        assert sparsity == ", ".join(map(str, config["sparsity"]))
        assert int(features.split()[0]) == config["feature_dim"]
        assert others == [
            "yes" if config[name] else "no"
            for name in ("normalization_offset", "rectified")
        ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_preset_folder_comes_back_bit_by_bit(variant, tmp_path):
    model = small_autoencoder(**VARIANTS[variant])
    images, _ = small_batch()
    model.encode(images, training=True)
    folder = tmp_path / "deep" / "preset"
    model.save_to_preset(folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    assert [p.name for p in folder.parent.iterdir()] == ["preset"]
    loaded = ClosedLoopAutoencoder.from_preset(str(folder))
    for weight, other in zip(all_weights(model), all_weights(loaded)):
        np.testing.assert_array_equal(weight, other)
    np.testing.assert_array_equal(model(images), loaded(images))
    for name, value in VARIANTS[variant].items():
        assert presets.model_config(loaded)[name] == value


def test_layout_is_that_of_keras_hub(tmp_path):
    model = small_autoencoder(nonnegative=True)
    model.save_to_preset(tmp_path / "preset")
    config, metadata = (
        json.loads((tmp_path / "preset" / name).read_text())
        for name in ("config.json", "metadata.json")
    )
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is ClosedLoopAutoencoder
    assert presets.model_config(again) == presets.model_config(model)
    assert config["registered_name"] == keras.saving.get_registered_name(
        ClosedLoopAutoencoder
    )
    assert metadata.pop("parameter_count") == sum(
        np.prod(weight.shape, dtype=int) for weight in model.weights
    )
    saved = metadata.pop("date_saved")
    saved = datetime.datetime.strptime(saved + "+0000", "%Y-%m-%d@%H:%M:%S%z")
    now = datetime.datetime.now(datetime.timezone.utc)
    assert now - datetime.timedelta(minutes=5) < saved <= now
    names = ("config.json", "model.weights.h5")
    assert metadata == {
        "keras_version": keras.__version__,
        "keras_csc_version": keras_csc.__version__,
        "sha256": {
            name: hashlib.sha256(
                (tmp_path / "preset" / name).read_bytes()
            ).hexdigest()
            for name in names
        },
    }


def test_overrides_replace_entries():
    model = small_autoencoder(sparsity=0.3, iterations=7)
    assert model.encoder.coding_layers[0].sparsity == 0.3
    assert model.encoder.coding_layers[1].iterations == 7
    assert model.decoder.filters == (3, 4)


def test_weights_of_a_folder_can_be_left_out(tmp_path):
    model = small_autoencoder()
    model.save_to_preset(tmp_path / "preset")
    other = ClosedLoopAutoencoder.from_preset(
        str(tmp_path / "preset"), load_weights=False
    )
    assert other.encoder.filters == (3, 4)
    assert any(
        np.any(a != b) for a, b in zip(all_weights(model), all_weights(other))
    )


def test_dtype_of_a_preset():
    model = small_autoencoder(dtype="mixed_bfloat16")
    assert model.encoder.head.compute_dtype == "bfloat16"
    assert model.decoder.decoding_layers[0].compute_dtype == "bfloat16"


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(ValueError, match="Did you mean 'cifar10'"):
        ClosedLoopAutoencoder.from_preset("cifar-10")
    with pytest.raises(ValueError, match="Unknown preset 'nothing/here'"):
        ClosedLoopAutoencoder.from_preset("nothing/here")


def test_unknown_entries_are_refused():
    with pytest.raises(ValueError, match="filter_count"):
        ClosedLoopAutoencoder.from_preset(
            "digits", load_weights=False, filter_count=3
        )
    with pytest.raises(ValueError, match="`network`"):
        ClosedLoopAutoencoder.from_preset(
            "digits", load_weights=False, network="transformer"
        )


@pytest.mark.parametrize(
    "stages, expected",
    [(1, (0.05,)), (2, (0.05, 0.2)), (4, (0.05, 0.2, 0.2, 0.2))],
)
def test_filters_of_other_stages_keep_the_sparsity(stages, expected):
    filters = [4] * stages
    config = presets.config("cifar10", filters=filters)
    assert config["sparsity"] == expected
    config = presets.config("cifar10", filters=filters, sparsity=0.1)
    assert config["sparsity"] == 0.1
    assert presets.config("cifar10")["sparsity"] == (0.05, 0.2, 0.2)


def test_folders_that_are_not_complete_are_refused(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="config.json"):
        ClosedLoopAutoencoder.from_preset(str(empty))
    (empty / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        ClosedLoopAutoencoder.from_preset(str(empty))
    small_autoencoder().save_to_preset(tmp_path / "preset")
    for name in ("config.json", "metadata.json"):
        with pytest.raises(ValueError, match=f"{name}"):
            ClosedLoopAutoencoder.from_preset(str(empty))
        shutil.copy(tmp_path / "preset" / name, empty)
    with pytest.raises(ValueError, match="model.weights.h5"):
        ClosedLoopAutoencoder.from_preset(str(empty))
    (empty / "model.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        ClosedLoopAutoencoder.from_preset(str(empty))


def test_weights_of_another_architecture_are_refused(tmp_path):
    small_autoencoder().save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"given: filters=\(3, 5\). Leave"):
        ClosedLoopAutoencoder.from_preset(
            str(tmp_path / "preset"), filters=(3, 5)
        )


class Clipped(Encoder):
    def activate(self, signal):
        return keras.ops.minimum(signal, 0.5)


SMALL = {"image_shape": (8, 8, 1), "filters": (3, 4), "feature_dim": 5}


def clipped():
    encoder = Clipped(**SMALL)
    return ClosedLoopAutoencoder(encoder, Decoder(encoder))


class Own(Decoder):
    pass


def own_decoder():
    encoder = Encoder(**SMALL)
    return ClosedLoopAutoencoder(encoder, Own(encoder))


def generic(**changes):
    """An autoencoder whose decoder has other arguments than its encoder."""
    decoder = ConvDecoder(**{**SMALL, **changes})
    return ClosedLoopAutoencoder(ConvEncoder(**SMALL), decoder)


def with_setting(number, **settings):
    model = small_autoencoder()
    for name, value in settings.items():
        setattr(model.encoder.coding_layers[number], name, value)
    return model


ODD = {
    "the encoder is a Clipped": clipped,
    "the decoder is a Own": own_decoder,
    "decoder.filters is (4, 6)": lambda: generic(filters=(4, 6)),
    "decoder.kernel_size is 6": lambda: generic(kernel_size=6),
    "encoder.stage_1.iterations is 10": lambda: with_setting(0, iterations=10),
    "encoder.stage_2.sparsity is 0": lambda: with_setting(1, sparsity=0),
}


@pytest.mark.parametrize("fact", ODD)
def test_a_model_that_no_preset_makes_again_is_refused(tmp_path, fact):
    model = ODD[fact]()
    fact = re.escape(fact)
    with pytest.raises(ValueError, match=rf'{fact}.*`model.save\("NAME.keras'):
        model.save_to_preset(tmp_path / "preset")
    assert not list(tmp_path.iterdir())


def test_weights_without_a_place_in_the_architecture_are_refused(tmp_path):
    folder = tmp_path / "preset"
    small_autoencoder().save_to_preset(folder)
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file["encoder/gate/vars/0"] = np.zeros((4, 8))
    (folder / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match=r"1 that it has no place for.*\(4, 8"):
        ClosedLoopAutoencoder.from_preset(folder)


def test_an_existing_folder_is_never_overwritten(tmp_path):
    model = small_autoencoder()
    folder = tmp_path / "preset"
    folder.mkdir()
    with pytest.raises(ValueError, match="exists"):
        model.save_to_preset(folder)
    assert not list(folder.iterdir())


def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    model = small_autoencoder()

    def fail(self, path):
        raise OSError("disk full")

    monkeypatch.setattr(type(model), "save_weights", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save_to_preset(tmp_path / "preset")
    assert not list(tmp_path.iterdir())


def test_nothing_is_random_in_silence():
    with pytest.raises(ValueError, match="without trained weights") as error:
        ClosedLoopAutoencoder.from_preset("fashion_mnist")
    assert "--flagfile=fashion_mnist.flags" in str(error.value)
    assert "load_weights=False" in str(error.value)


def test_numbers_beyond_half_precision_are_refused(tmp_path):
    model = small_autoencoder()
    kernel = model.encoder.head.kernel
    kernel.assign(7e4 * np.ones(kernel.shape))
    with pytest.raises(ValueError, match="within ±65504"):
        model.save_to_preset(tmp_path / "preset", half=True)
    assert not list(tmp_path.iterdir())
