"""What a run of the studies is: flags of `training/train.py`, and how long.

Every run starts from a flag file that ships. A run takes a fixed number of
steps, or some minutes of one core.
"""

import hashlib
import pathlib
import typing

from keras_csc_cli import command_line
from keras_csc_cli.checked_flags import words_of

from keras_csc.models.presets import PRESETS

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "results.json"
LONGEST_KEY = 180
SETS = ("fashion_mnist", "cifar10")
SEEDS = (0, 1, 2)
# What no flag says of sparse coding networks of tight frames. Where it is
# another, so are their runs.
NETWORK = "an offset in the last stage"
# Flags that are given several times, for some arguments each.
ADDING = ("--architecture", "--game")


class Run(typing.NamedTuple):
    """A training run and its evaluation.

    Args:
        name: what it is called in tables.
        data: name of the data set, and of the flag file.
        kind: key of `baselines.MAKERS` or of `baselines.GENERATORS`.
        flags: tuple of flags of `training/train.py`.
        seed: int.
        more: tuple of what is measured besides: `"unseen"`, `"noise"`,
            `"samples"`.
        minutes: of one core, in place of the steps of the flags.
    """

    name: str
    data: str
    kind: str
    flags: tuple
    seed: int = 0
    more: tuple = ()
    minutes: float | None = None

    @property
    def key(self):
        """What tells the run from others, for the name of its folder.

        A run of a flag file that says something else is another run.
        """
        file, *changes = self.flags
        file = file.removeprefix("--flagfile=").removesuffix(".flags")
        if self.minutes:
            changes.append(f"--minutes={self.minutes:g}")
        text = f"{file}-{self.kind}{''.join(changes)}--seed={self.seed}"
        name = "".join(c if c.isalnum() or c in "=.,-_" else "_" for c in text)
        digest = hashlib.sha256("\n".join([name, *settings(self)]).encode())
        return f"{name[:LONGEST_KEY]}-{digest.hexdigest()[:8]}"


def settings(run):
    """The flags of a run and of its flag files, as far as they have an effect.

    Among them is the architecture of the preset. Flags that are overruled have
    no effect. Nor have a flag file's steps where the run has minutes.
    """
    single, arguments = {}, {name: {} for name in ADDING}
    for flag in command_line.resolve_flag_files(run.flags):
        name, _, value = flag.partition("=")
        if name in ADDING:
            arguments[name].update(words_of(value))
        else:
            single[name] = flag
    if run.minutes:
        del single["--steps"]
    preset = single["--preset"].partition("=")[2]
    for name, value in PRESETS.get(preset, {}).items():
        value = value if isinstance(value, tuple) else (value,)
        arguments["--architecture"].setdefault(name, list(map(str, value)))
    joined = [
        f"{flag}={name}={','.join(value)}"
        for flag, values in arguments.items()
        for name, value in sorted(values.items())
    ]
    network = []
    tight = arguments["--architecture"].get("tight_frame") != ["false"]
    if run.kind == "closed_loop" and tight:
        network = [NETWORK]
    return joined + network + [single[name] for name in sorted(single)]


def flag_file(name):
    return f"--flagfile={name}.flags"
