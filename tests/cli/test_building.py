"""What options become: optimizers, their rates, and batches."""

import math
import types

from keras_csc_cli import building
from keras_csc_cli import strategies
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.splits import Splits

import keras
import numpy as np
import pytest

from keras_csc import data
from keras_csc import optimizers
from keras_csc.callbacks import TrainingCheckpoint

DIGITS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,8,feature_dim=16,iterations=2",
    "--steps=100",
    "--batch_size=32",
    "--learning_rate=0.4",
]


def rate(optimizer, update):
    optimizer.iterations.assign(update)
    return float(optimizer.learning_rate)


@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--schedule=constant"], lambda part: 0.4),
        (["--schedule=linear"], lambda part: 0.4 * (1 - part)),
        (
            ["--schedule=cosine"],
            lambda part: 0.2 * (1 + math.cos(math.pi * part)),
        ),
    ],
)
def test_rates_over_a_training(flags, expected, updates):
    """Of an optimizer with several updates a step, over as many more."""
    options = train_options.parse([*DIGITS, *flags])
    optimizer = building.optimizer(options, 0.4, updates)
    for part in (0, 0.1, 0.2, 0.5, 0.8, 1):
        update = round(part * options.steps * updates)
        assert rate(optimizer, update) == pytest.approx(expected(part), 1e-5)


@pytest.mark.parametrize(
    "flags, updates",
    [
        ([], [1]),
        (["--decoder_learning_rate=0.1"], [1, 1]),
        (["--decoder_learning_rate=0.1", "--inner_step"], [2, 1]),
    ],
)
def test_a_decoders_rate_makes_steps_alternate(flags, updates):
    """The rates fall to 0 at the last step, with an inner step of two."""
    flags = ["--game=objective=multi", "--schedule=linear", *flags]
    options = train_options.parse([*DIGITS, *flags])
    made = building.model(options, 10).optimizers
    assert len(made) == len(updates)
    for optimizer, count, first in zip(made, updates, (0.4, 0.1)):
        half = options.steps * count // 2
        assert rate(optimizer, half) == pytest.approx(first / 2)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("adam", keras.optimizers.Adam),
        ("muon", optimizers.DictionaryMuon),
    ],
)
def test_optimizers_have_the_options(name, kind):
    for betas, expected in (("", (0.5, 0.999)), (":0,0.75", (0, 0.75))):
        flags = [*DIGITS, f"--optimizer={name}{betas}"]
        made = building.optimizer(train_options.parse(flags), 0.4)
        assert type(made) is kind
        config = made.get_config()
        assert (config["beta_1"], config["beta_2"]) == expected


def test_images_of_a_training_are_changed_as_the_flags_say(
    tmp_path, monkeypatch
):
    """And the first atoms are made of as many images as they say."""
    asked = {}

    def spy(module, name):
        function = getattr(module, name)

        def remember(*args, **kwargs):
            asked[name] = (args, kwargs)
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, remember)

    spy(strategies, "batches")
    spy(train, "initialize_from_patches")
    flags = [
        *("--steps=1", "--noevaluate", "--seed=7", f"--workdir={tmp_path}/run"),
        *("--horizontal_flip", "--random_shift=2", "--patch_images=200"),
        *("--save_every=3", "--log_every=1"),
    ]
    train.train(train_options.parse([*DIGITS, *flags]))
    _, kwargs = asked["batches"]
    assert kwargs == {
        "batch_size": 32,
        "seed": 7,
        "horizontal_flip": True,
        "random_shift": 2,
    }
    (_, images), _ = asked["initialize_from_patches"]
    assert len(np.asarray(images)) == 200


@pytest.mark.parametrize("flags", [[], ["--random_crop", "--noresize"]])
def test_a_split_is_opened_as_the_flags_say(monkeypatch, flags):
    asked = []

    def opened(name, split, shape, **how):
        asked.append((name, split, shape, how))
        return types.SimpleNamespace(size=5)

    monkeypatch.setattr(data, "open_dataset", opened)
    options = train_options.parse([*DIGITS, *flags])
    assert Splits(options)["validation"].size == 5
    ((name, split, shape, how),) = asked
    assert (name, split, shape) == ("digits", "validation", (16, 16, 1))
    assert how["random_crop"] is bool(flags)
    assert how["resize"] is not bool(flags)


def test_checkpoints_are_due_by_minutes_or_steps(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    by_minutes = TrainingCheckpoint(tmp_path, every_minutes=2.0)
    by_steps = TrainingCheckpoint(tmp_path, every_steps=5)
    for each in (by_minutes, by_steps):
        each.set_model(types.SimpleNamespace(step=7))
        each.on_train_begin()
    now += 119
    assert not by_minutes.is_due()
    now += 1
    assert by_minutes.is_due() and not by_steps.is_due()
    by_steps.model.step = 10
    assert by_steps.is_due()


def test_weights_do_not_fit_another_architecture():
    flags = ["--preset=csc_ctrl_digits", "--architecture=filters=4,4"]
    options = train_options.parse(flags)
    message = r"given: filters=\[4, 4\]. Leave it out, or choose a --preset"
    with pytest.raises(UsageError, match=message):
        building.network(options)
