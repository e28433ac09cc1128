"""Small runs of the embedded digits: options, and a run without training."""

import os
import pathlib

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.options import COMMANDS

import keras
import numpy as np
from absl import flags
from PIL import Image

TINY = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8,iterations=2",
    "--batch_size=16",
]
# A network that takes little time, where it does not matter.
QUICK = ["--architecture=iterations=1", "--game=residual=0"]
SMALL = [*TINY, *QUICK]


def options(flags, workdir, *more):
    return train_options.parse([*flags, f"--workdir={workdir}", *more])


def known(command, *arguments):
    """The flags of a command, with these arguments."""
    found = flags.FlagValues()
    command_line.define(COMMANDS[command].sections, found)
    assert found(["", *arguments]) == [""]
    return found


def given(command, **values):
    """The options of a command, with some of them given."""
    arguments = [f"--{name}={value}" for name, value in values.items()]
    found = known(command, *arguments)
    return command_line.values(COMMANDS[command].sections, found)


def write_pictures(folder, names, shape=(16, 16)):
    """Writes random pictures of these names to a folder."""
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, "uint8")).save(path)
    return folder


def contents(folder="."):
    """Dict from the path of everything in a folder to what it holds."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in pathlib.Path(folder).rglob("*")
    }


def untrained(path, *flags):
    """Makes the folder of a run whose model has its first weights."""
    given = train_options.parse(
        [
            "--dataset=digits",
            "--preset=digits",
            "--architecture=filters=4,8,feature_dim=16,sparsity=0.05,iterations=2",
            "--steps=1",
            *flags,
        ]
    )
    with workdirs.Workdir(path) as workdir:
        workdir.claim(given)
        keras.utils.set_random_seed(0)
        building.model(given, 10).save_to_preset(workdir.model)
    return path
