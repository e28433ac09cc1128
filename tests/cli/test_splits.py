"""What commands say of data that they can't open."""

from keras_csc_cli import explore
from keras_csc_cli import train
from keras_csc_cli.splits import Splits

import pytest

from keras_csc.data import DataError
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs


def test_advice_is_for_the_command(tmp_path):
    """Only `train` has flags for downloads and held out images."""
    model = ClosedLoopAutoencoder.from_preset("digits", load_weights=False)
    missing = runs.options(
        ["--dataset=mnist", "--preset=digits", f"--data_dir={tmp_path}"],
        tmp_path / "run",
        "--steps=1",
    )
    build = f"`tfds build mnist --data_dir={tmp_path}`."
    with pytest.raises(DataError, match=f"{build} Or pass --download.$"):
        train.train(missing)
    with pytest.raises(DataError, match=f"{build}$"):
        Splits(missing, model)["test"]
    with pytest.raises(DataError, match=f"{build}$"):
        explore.images_of(model, None, "mnist", str(tmp_path))


def test_a_run_without_held_out_images_has_other_splits():
    given = runs.options(runs.TINY, "run", "--validation_fraction=0")
    with pytest.raises(DataError, match="=0.0 of .* Choose another --split.$"):
        Splits(given)["validation"]
    splits = Splits(given, advice=train.ADVICE)
    with pytest.raises(DataError, match="another --validation_fraction.$"):
        splits["validation"]
