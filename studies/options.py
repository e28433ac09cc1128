"""The studies of the game's options: short runs, each with a change."""

from studies.runs import SEEDS
from studies.runs import SETS
from studies.runs import Run
from studies.runs import best_of_first_seed
from studies.runs import flag_file

# Steps of 64 images.
STEPS = {"fashion_mnist": 1000, "cifar10": 1000}
MULTISTAGE = (0, 3, 10, 30, 100, 300)
# λ of the stages with which most codes above the first stage are not 0.
DENSE = {
    "fashion_mnist": "--architecture=sparsity=0.02,0.05,0.05",
    "cifar10": "--architecture=sparsity=0.05,0.1,0.1",
}
ADAM_RATES = ("1e-3", "3e-4", "3e-3")
AS_IT_IS = "as it is"
OWN = "own dictionaries to draw with"
NO_MEMORY = "without memory"
NO_RATE = "without the rate reduction"
NO_OWN_ERRORS = "without the stages' own errors"
TERMS = (NO_RATE, NO_OWN_ERRORS, NO_MEMORY)  # each without one
ALTERNATING_ADAM = "--optimizer=adam", "--learning_rate=5e-4,8e-3"
OF_BATCHES = "--batch_size=256", "--steps=250"


def changed(title, data, *changes, seed=0, kind="closed_loop", more=()):
    """A short run of a set's flag file, with changes."""
    flags = flag_file(data), f"--steps={STEPS[data]}", *changes
    return Run(title, data, kind, flags, seed, more)


def parts(some):
    """The change to these parts of CTRL-Multi alone."""
    return "--game_class=studies.games:PartsOfMulti", f"--game=parts={some}"


def options(data):
    """Changes of a set's flag file, by title."""
    return {
        AS_IT_IS: (),
        NO_MEMORY: ("--game=memory=0",),
        "memory of 0.8": ("--game=memory=0.8",),
        "memory of 0.98": ("--game=memory=0.98",),
        "batches of 256, as many images": OF_BATCHES,
        "the same without memory": (*OF_BATCHES, "--game=memory=0"),
        "alternating steps": ("--learning_rate=0.03,0.03",),
        "Adam, alternating at 5e-4, 8e-3": ALTERNATING_ADAM,
        "statistics of its own": ("--game=shared_statistics=false",),
        NO_OWN_ERRORS: ("--game=residual=0",),
        "own errors at 100": ("--game=residual=100",),
        "own errors at 3000": ("--game=residual=3000",),
        "ΔR(Z given y) alone": parts("real"),
        "ΔR(Ẑ given y) alone": parts("regenerated"),
        "the distances alone": parts("distances"),
        NO_RATE: parts(""),
        "without tight frames": ("--architecture=tight_frame=false",),
        "a linear way down": ("--architecture=rectified=false",),
        "`tanh` at the end": ("--architecture=output=tanh",),
        "ε of 0.1": ("--game=epsilon=0.1",),
        "ε of 2": ("--game=epsilon=2",),
        "without lapped blocks": ("--architecture=lapped=false",),
        "dense codes": (DENSE[data],),
    }


def with_adam(data, rate, seed=0):
    """A run with Adam in one pass."""
    flags = "--optimizer=adam", f"--learning_rate={rate}"
    return changed(f"Adam at {rate}", data, *flags, seed=seed)


def game():
    """The first seed of all rows, and then the others.

    Adam has three rates with the first seed, and the best of them with others.
    """
    for seed in SEEDS:
        for data in SETS[::-1]:
            for title, changes in options(data).items():
                yield changed(title, data, *changes, seed=seed)
            yield changed(OWN, data, seed=seed, kind="own")
            rates = ADAM_RATES
            if seed:
                firsts = {r: with_adam(data, r) for r in ADAM_RATES}
                rates = best_of_first_seed(firsts)
            for rate in rates:
                yield with_adam(data, rate, seed)


def front():
    """Weights of the multi-stage term, from sharp images to exact ones."""
    for data in SETS[::-1]:
        for weight in MULTISTAGE:
            changes = (f"--game=multistage={weight}",) if weight else ()
            title = f"multi-stage term at {weight}" if weight else AS_IT_IS
            yield changed(title, data, *changes, more=("samples",))
