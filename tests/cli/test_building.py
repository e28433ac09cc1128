"""What options become: data, optimizers, their rates, the dtype policy."""

import json
import math

from keras_csc_cli import building
from keras_csc_cli import devices
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import pytest

from keras_csc import data

DIGITS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,8,feature_dim=16,iterations=2",
    "--steps=100",
    "--batch_size=32",
    "--learning_rate=0.4",
]


def options(*flags):
    return train_options.parse([*DIGITS, *flags])


def rate(optimizer, update):
    optimizer.iterations.assign(update)
    return float(optimizer.learning_rate)


@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("constant", lambda part: 0.4),
        ("linear", lambda part: 0.4 * (1 - part)),
        ("cosine", lambda part: 0.2 * (1 + math.cos(math.pi * part))),
    ],
)
def test_rates_over_a_training(schedule, expected):
    """Of an optimizer with several updates a step, over as many more."""
    updates = 3
    given = options(f"--schedule={schedule}")
    optimizer = building.optimizer(given, 0.4, updates)
    for part in (0, 0.1, 0.8, 1):
        update = round(part * given.steps * updates)
        assert rate(optimizer, update) == pytest.approx(expected(part), 1e-5)


@pytest.mark.parametrize(
    "flags, updates",
    [
        ([], [1]),
        (["--learning_rate=0.4,0.1"], [1, 1]),
        (
            [
                "--learning_rate=0.4,0.1",
                "--game=objective=multi,inner_step=true",
            ],
            [2, 1],
        ),
    ],
)
def test_a_decoders_rate_makes_steps_alternate(flags, updates):
    """The rates fall to 0 at the last step, with an inner step of two."""
    given = options("--game=objective=multi", "--schedule=linear", *flags)
    made = building.model(given, 10).optimizers
    assert len(made) == len(updates)
    for optimizer, count, first in zip(made, updates, (0.4, 0.1)):
        half = given.steps * count // 2
        assert rate(optimizer, half) == pytest.approx(first / 2)


@pytest.mark.parametrize("flags", [[], ["--augment=crop", "--noresize"]])
def test_a_split_is_opened_once_as_the_flags_say(monkeypatch, flags):
    asked = []

    def opened(*where, **how):
        asked.append((where, how))
        return "opened"

    monkeypatch.setattr(data, "open_dataset", opened)
    splits = building.Splits(options(*flags))
    assert splits["validation"] == splits["validation"] == "opened"
    ((where, how),) = asked
    assert where == ("digits", "validation", (16, 16, 1))
    assert how["random_crop"] is bool(flags)
    assert how["resize"] is not bool(flags)


# === Devices ===


X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx512f{}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd{}\n"


@pytest.mark.parametrize(
    "gpus, cpu, expected",
    [
        ([], "", "float32"),
        ([], X86.format(" avx512_bf16"), "mixed_bfloat16"),
        ([], ARM.format(" bf16"), "mixed_bfloat16"),
        ([(8, 0)], "", "mixed_bfloat16"),
        ([(9, 0), (7, 5)], X86.format(" avx512_bf16"), "float32"),
    ],
)
def test_auto_is_bfloat16_where_gpus_or_else_the_processor_have_it(
    tmp_path, monkeypatch, gpus, cpu, expected
):
    path = tmp_path / "cpuinfo"
    path.write_text(cpu)
    monkeypatch.setattr(devices, "CPUINFO", path)
    config = devices.tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(
        config.experimental,
        "get_device_details",
        lambda each: {"compute_capability": each} if each else {},
    )
    assert devices.dtype_policy("auto") == expected
    assert devices.dtype_policy("float64") == "float64"
    for seconds, faster in ((1.12, expected), (1.08, "float32")):
        asked = []

        def timed():
            asked.append(seconds)
            return {"float32": seconds, "bfloat16": 1.0}

        policy = devices.dtype_policy("auto", timed)
        assert policy == (expected if gpus else faster)
        assert bool(asked) == ("bf16" in cpu and not gpus)
        devices.dtype_policy("mixed_bfloat16", lambda: 1 / 0)
    assert (devices.processor() == "Some CPU") == ("Some CPU" in cpu)


def test_precision_is_timed_once_for_a_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    given, real = [], devices.timed
    monkeypatch.setattr(
        devices, "timed", lambda each: given.append(each) or real(each)
    )
    wide = "--architecture=filters=48,64,128,nonnegative=true"
    for flags, kernels in (
        ([], [(4, 4, 1, 4), (2, 2, 8, 8)]),
        (["--preset=cifar10"], [(4, 4, 3, 4), (2, 2, 8, 8)]),
        (["--preset=cifar10", wide], [(4, 4, 3, 48), (2, 2, 48, 64)]),
    ):
        network = list(building.convolutions(options(*flags)))
        found = [devices.seconds(network) for _ in range(2)]
        assert found[0] == found[1] and min(found[0].values()) > 0
        assert {kernel for _, kernel, _ in given[-1]} == set(kernels)
    assert len(given) == 3
    kept = tmp_path / "keras_csc" / "precision.json"
    wrong = dict.fromkeys(json.loads(kept.read_text()), 3)
    for number, damaged in enumerate(("{", "[]", json.dumps(wrong)), start=4):
        kept.write_text(damaged)
        assert min(devices.seconds(network).values()) > 0
        assert len(given) == number
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))  # no folder
    assert min(devices.seconds(network).values()) > 0


def test_a_game_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = (
        "from keras_csc.losses import TranscriptionGame as Mine\nnumber = 3"
    )
    (tmp_path / "own_games.py").write_text(source)
    given = options("--game=memory=0.5", "--game_class=own_games:Mine")
    found = building.game(given.game, 10, given.game_class)
    assert (found.memory, found.num_classes) == (0.5, 10)
    for name, message in (
        ("missing:Mine", "missing"),
        ("own_games:Other", "Other"),
        ("own_games:number", "subclass"),
    ):
        with pytest.raises(UsageError, match=message):
            building.game({}, 10, name)
