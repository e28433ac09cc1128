"""What the card of a model says."""

from keras_csc_cli import cards
from keras_csc_cli.command_line import UsageError

import pytest


@pytest.mark.parametrize(
    "workdir, preset, message",
    [
        (None, None, "--workdir is missing"),
        ("runs/a", "digits", "--workdir=runs/a and --preset=digits are two"),
    ],
)
def test_a_card_is_of_a_run_or_of_a_preset(workdir, preset, message):
    with pytest.raises(UsageError, match=message):
        cards.check_one(workdir, preset)
    cards.check_one("runs/a", None)
    cards.check_one(None, "digits")


def test_cards_are_without_paths():
    card = {
        "training": {
            "sessions": [
                {
                    "command": "python /home/me/train.py "
                    "--flagfile='/home/me/my files/x.flags' "
                    "--data_dir='/home/me/my data' --workdir ../runs/x "
                    "--preset=/home/me/model --steps=3",
                    "seconds": 2.0,
                }
            ]
        },
        "recipe": {
            "data_dir": "/home/me/data",
            "workdir": "y",
            "preset": "/home/me/model",
            "steps": 3,
        },
    }
    assert cards.without_paths(card) == {
        "training": {
            "sessions": [
                {
                    "command": "python train.py --flagfile=x.flags "
                    "--preset=model --steps=3",
                    "seconds": 2.0,
                }
            ]
        },
        "recipe": {"preset": "model", "steps": 3},
    }
