"""The studies of the game's options: short runs, each with a change."""

from studies.runs import SEEDS
from studies.runs import SETS
from studies.runs import Run
from studies.runs import flag_file

# Steps of 64 images.
STEPS = {"fashion_mnist": 1000, "cifar10": 1000}
MULTISTAGE = (0, 30, 100, 300, 1000)
ADAM_RATE = "1e-3"  # the best of three with the first seed of Fashion-MNIST
AS_IT_IS = "as it is"
OWN = "own dictionaries to draw with"
NO_MEMORY = "without memory"
NO_RATE = "without the rate reduction"
NO_OWN_ERRORS = "without the stages' own errors"
NO_MULTISTAGE = "without the multi-stage term"
# 300 is the weight of the flag files.
NAMES = {0: NO_MULTISTAGE, 300: AS_IT_IS}
# Each without one.
TERMS = (NO_RATE, NO_MULTISTAGE, NO_OWN_ERRORS, NO_MEMORY)
OF_BATCHES = "--batch_size=256", "--steps=250"


def changed(title, data, *changes, seed=0, kind="closed_loop", more=()):
    """A short run of a set's flag file, with changes."""
    flags = flag_file(data), f"--steps={STEPS[data]}", *changes
    return Run(title, data, kind, flags, seed, more)


def parts(some):
    """The change to these parts of CTRL-Multi alone."""
    return "--game_class=studies.games:PartsOfMulti", f"--game=parts={some}"


OPTIONS = {
    AS_IT_IS: (),
    NO_RATE: parts(""),
    NO_MULTISTAGE: ("--game=multistage=0",),
    NO_OWN_ERRORS: ("--game=residual=0",),
    NO_MEMORY: ("--game=memory=0",),
    "ΔR(Z given y) alone": parts("real"),
    "batches of 256 without memory": (*OF_BATCHES, "--game=memory=0"),
    "alternating steps": ("--learning_rate=0.03,0.03",),
    "Adam": ("--optimizer=adam", f"--learning_rate={ADAM_RATE}"),
    "statistics of its own": ("--game=shared_statistics=false",),
    "ε of 2": ("--game=epsilon=2",),
    "without tight frames": ("--architecture=tight_frame=false",),
    "a linear way down": ("--architecture=rectified=false",),
    "without lapped blocks": ("--architecture=lapped=false",),
}


def game():
    """The first seed of all rows, and other seeds of the terms' rows."""
    for seed in SEEDS:
        for data in SETS:
            for title, changes in OPTIONS.items():
                if not seed or title in (AS_IT_IS, *TERMS):
                    yield changed(title, data, *changes, seed=seed)
        if not seed:
            for data in SETS:
                yield changed(OWN, data, kind="own")


def front():
    """Weights of the multi-stage term, from sharp images to exact ones."""
    for data in SETS:
        for weight in MULTISTAGE:
            changes = (f"--game=multistage={weight}",)
            title = NAMES.get(weight, f"multi-stage term at {weight}")
            if title == AS_IT_IS:
                changes = ()
            yield changed(title, data, *changes, more=("samples",))
        yield changed(NO_RATE, data, *parts(""), more=("samples",))
