"""What the card of a model says."""

from keras_csc_cli import cards


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
