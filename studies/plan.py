"""What the studies run, and in what order."""

from studies.runs import SEEDS
from studies.runs import SETS
from studies.runs import Run
from studies.runs import flag_file

# === Contenders ===

OURS = "CSC-CTRL"
UNLABELLED = "CSC-CTRL without labels"
CONV = "convolutions, as many weights"
VAE = "convolutional VAE"
DCGAN = "DCGAN"
DIFFUSION = "denoising diffusion"
COMPONENTS = "whitened principal components"

# Of contenders, on one core.
MINUTES = 2
# Other sets, whose images every model of a set regenerates, in its colours.
UNSEEN = {
    "fashion_mnist": ("digits",),
    "cifar10": ("digits", "fashion_mnist", "photographs", "imagenet2012"),
}
# DCGAN's layers, as wide as signed codes and their negatives.
WIDE = {
    data: f"--architecture=filters={first},128,128,kernel_size=4,strides=2"
    for data, first in (("fashion_mnist", 32), ("cifar10", 96))
}
# With as many weights as sparse coding has, and as deep.
SMALL = {
    data: f"--architecture=filters={filters},kernel_size=4,strides=2"
    for data, filters in (
        ("digits", "16,16"),
        ("fashion_mnist", "9,37,37"),
        ("cifar10", "33,47,47"),
    )
}
WIDTHS = {CONV: SMALL}
WIDTHS |= dict.fromkeys((VAE, DCGAN, DIFFUSION), WIDE)
# Their kinds, and their flags after the set's flag file.
CONTENDERS = {
    OURS: ("closed_loop",),
    UNLABELLED: ("closed_loop", "--game=objective=binary,multistage=10"),
    CONV: ("conv", "--game=residual=0"),
    VAE: (
        *("vae", "--game=objective=binary,residual=0"),
        "--first_atoms=random",
    ),
    DCGAN: ("dcgan", "--batch_size=128"),
    DIFFUSION: ("diffusion", "--batch_size=128"),
    COMPONENTS: ("components",),
}


def contender(name, data, seed=0, more=(), minutes=MINUTES):
    """A contender's run."""
    kind, *changes = CONTENDERS[name]
    width = (WIDTHS[name][data],) if name in WIDTHS else ()
    flags = (flag_file(data), *width, *changes)
    return Run(name, data, kind, flags, seed, more, minutes)


def quality():
    """All contenders, with one seed; convolutions at the rates of `players`.

    Images of other sets, and with noise, are for the first of them and for
    convolutions.
    """
    for data in SETS[::-1]:
        for name in CONTENDERS:
            run = contender(name, data, more=("samples",))
            if name == CONV:
                run = player(name, data, BEST_RATES[data, name])
            if name in PLAYERS:
                run = run._replace(more=("samples", "unseen", "noise"))
            yield run


# === Sparse coding and convolutions ===

PLAYERS = (OURS, CONV)
PLAYERS_MINUTES = {"digits": 1, "fashion_mnist": 2, "cifar10": 2}
# Of the flag files.
OWN_RATES = {"digits": 0.01, "fashion_mnist": 0.03, "cifar10": 0.03}
# So many that neither network is best at the end of its search.
LEARNING_RATES = {
    "digits": (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003),
    "fashion_mnist": (0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    "cifar10": (0.1, 0.03, 0.01, 0.003, 0.001),
}
# At which the first seed has the highest same class, the lower one of equals.
BEST_RATES = {
    ("digits", OURS): 0.001,
    ("digits", CONV): 0.001,
    ("fashion_mnist", OURS): 0.003,
    ("fashion_mnist", CONV): 0.1,
    ("cifar10", OURS): 0.01,
    ("cifar10", CONV): 0.01,
}


def player(name, data, rate, seed=0):
    """A run at a learning rate."""
    run = contender(name, data, seed, minutes=PLAYERS_MINUTES[data])
    if rate == OWN_RATES[data]:
        return run
    flags = *run.flags, f"--learning_rate={rate:g}"
    return run._replace(name=f"{name}, rate {rate:g}", flags=flags)


def best_player(name, data):
    """Name of the run at the best rate."""
    return player(name, data, BEST_RATES[data, name]).name


def players():
    """The first seed searches for rates; two others play at the best."""
    for seed in SEEDS:
        for data in PLAYERS_MINUTES:
            for name in PLAYERS:
                best = (BEST_RATES[data, name],)
                for rate in best if seed else LEARNING_RATES[data]:
                    yield player(name, data, rate, seed)


# On CIFAR-10, with a search of its own.
LONGER = 20  # minutes
LONGER_RATES = {
    OURS: (0.01, 0.003, 0.001),
    CONV: (0.01, 0.003, 0.001, 0.0003),
}
BEST_LONGER = {OURS: 0.003, CONV: 0.0003}  # of the rates that were run


def long_player(name, rate, seed=0):
    """A long run on CIFAR-10 at a learning rate."""
    run = player(name, "cifar10", rate, seed)
    return run._replace(name=f"{run.name}, {LONGER} min", minutes=LONGER)


def longer():
    """As `players`, on CIFAR-10 alone."""
    for seed in SEEDS:
        for name in PLAYERS:
            best = (BEST_LONGER[name],)
            for rate in best if seed else LONGER_RATES[name]:
                yield long_player(name, rate, seed)


# === Options of the game: short runs, each with a change ===

# Steps of 64 images.
SHORT = 1000
MULTISTAGE = (0, 30, 100, 300, 1000)
ADAM_RATE = "1e-3"  # the best of three with the first seed of Fashion-MNIST
AS_IT_IS = "as it is"
NO_RATE = "without the rate reduction"
NO_MULTISTAGE = "without the multi-stage term"
OF_BATCHES = "--batch_size=256", "--steps=250"


def parts(some):
    """The change to these parts of CTRL-Multi alone."""
    return "--game_class=studies.games:PartsOfMulti", f"--game=parts={some}"


# Each without one term of the game.
TERMS = {
    NO_RATE: parts(""),
    NO_MULTISTAGE: ("--game=multistage=0",),
    "without the stages' own errors": ("--game=residual=0",),
    "without memory": ("--game=memory=0",),
}
REAL_ALONE = "ΔR(Z given y) alone"
OPTIONS = {
    REAL_ALONE: parts("real"),
    "batches of 256 without memory": (*OF_BATCHES, "--game=memory=0"),
    "alternating steps": ("--learning_rate=0.03,0.03",),
    "Adam": ("--optimizer=adam", f"--learning_rate={ADAM_RATE}"),
    "statistics of its own": ("--game=shared_statistics=false",),
    "ε of 2": ("--game=epsilon=2",),
    "without tight frames": ("--architecture=tight_frame=false",),
    "a linear way down": ("--architecture=rectified=false",),
    "without lapped blocks": ("--architecture=lapped=false",),
}
# 300 is the weight of the flag files.
WEIGHTS = {
    {0: NO_MULTISTAGE, 300: AS_IT_IS}.get(
        weight, f"multi-stage term at {weight}"
    ): () if weight == 300 else (f"--game=multistage={weight}",)
    for weight in MULTISTAGE
}


def changed(name, data, changes, seed=0, more=()):
    """A short run of a set's flag file, with changes."""
    flags = flag_file(data), f"--steps={SHORT}", *changes
    return Run(name, data, "closed_loop", flags, seed, more)


def game():
    """All seeds of the terms on both sets, one of the options on the first."""
    for seed in SEEDS:
        for data in SETS:
            for name, changes in {AS_IT_IS: (), **TERMS}.items():
                yield changed(name, data, changes, seed)
    for name, changes in OPTIONS.items():
        yield changed(name, SETS[0], changes)


def front():
    """Weights of the multi-stage term, from sharp images to exact ones."""
    for data in SETS:
        for name, changes in {**WEIGHTS, NO_RATE: parts("")}.items():
            yield changed(name, data, changes, more=("samples",))


# === More time, more features ===

# Of a set's flag file.
STEPS = {
    "digits": (100, 1000, 10000),
    "fashion_mnist": (2000, 4000, 16000),
}
# Of the one with 256 features; the flag file has `WIDE_STEPS`.
WIDE_STEPS = 5000
STEPS_OF_WIDE = (300, 1250, WIDE_STEPS, 20000)
# The same without labels; the flag file has the second.
STEPS_WITHOUT_LABELS = (600, 2500, 10000)
# Of the one with 384 features, which has the last.
STEPS_OF_WIDER = (625, 2500, 10000)


def wide(steps, seed=0, file="cifar10_256", about="256 features"):
    """A run of CIFAR-10 with 256 features or more."""
    name = f"{about}, {steps:,} steps"
    flags = flag_file(file), f"--steps={steps}"
    return Run(name, "cifar10", "closed_loop", flags, seed)


def time():
    """The flag files' networks for fewer and more steps, with one seed."""
    for data, counts in STEPS.items():
        for steps in counts:
            flags = flag_file(data), f"--steps={steps}"
            yield Run(f"{steps:,} steps", data, "closed_loop", flags)
    yield from map(wide, STEPS_OF_WIDE)
    for steps in STEPS_OF_WIDER:
        yield wide(steps, file="cifar10_384", about="384 features")
    about = "256 features without labels"
    for steps in STEPS_WITHOUT_LABELS:
        yield wide(steps, file="cifar10_unlabelled", about=about)


def features():
    """With the rate reduction and without it; 256 features for three seeds.

    These also play with its part of real images alone, in which the decoder has
    no part.
    """

    def changed(run, name, some):
        flags = *run.flags, *parts(some)
        return run._replace(name=f"{run.name}, {name}", flags=flags)

    for run in (wide(WIDE_STEPS, seed) for seed in SEEDS):
        yield run
        yield changed(run, NO_RATE, "")
        yield changed(run, REAL_ALONE, "real")
    steps = STEPS_OF_WIDER[-1]
    wider = wide(steps, file="cifar10_384", about="384 features")
    yield wider
    yield changed(wider, NO_RATE, "")


# === The published game ===

AS_IN_THE_FILE = "as in the flag file"
CONV_AS_PUBLISHED = "convolutions, as published"
PARENTS_CONV = (
    "--game=shared_statistics=false,inner_step=false",
    "--first_atoms=random",
    "--learning_rate=1e-3,1e-3",
)


def published():
    """The published game on every set, and convolutions in it."""

    def run(name, data, *changes, seed=0, kind="closed_loop"):
        flags = (flag_file(f"{data}_published"), *changes)
        return Run(name, data, kind, flags, seed)

    for seed in SEEDS:
        yield run(AS_IN_THE_FILE, "digits", seed=seed)
    yield run("clipped", "digits", "--architecture=output=clip")
    longer = "--steps=800", "--batch_size=512"
    changes = *PARENTS_CONV, *longer
    yield run(CONV_AS_PUBLISHED, "digits", *changes, kind="conv")
    for data in SETS:
        yield run(AS_IN_THE_FILE, data)
        yield run(CONV_AS_PUBLISHED, data, *PARENTS_CONV, kind="conv")


# === All studies ===

STUDIES = {
    make.__name__: make
    for make in [
        *(quality, players, longer),
        *(game, front, time, features),
        published,
    ]
}


def runs(names=None, seeds=None):
    """The runs of studies, each once, in the order of work.

    Of equal runs of any studies, all is measured that one is to have.
    """
    by_key, wanted = {}, set()
    for name, make in STUDIES.items():
        for run in make():
            equal = by_key.setdefault(run.key, run)
            more = tuple(dict.fromkeys(equal.more + run.more))
            by_key[run.key] = equal._replace(more=more)
            if name in (names or STUDIES) and (not seeds or run.seed in seeds):
                wanted.add(run.key)
    return [run for key, run in by_key.items() if key in wanted]


def place(row):
    """Where a row stands in the tables, whatever flags made it."""
    return row["data"], row["name"], row["seed"]


def former(rows):
    """Rows of flag files that have changed since."""
    keys = {run.key for run in runs()}
    return [row for row in rows if row["key"] not in keys]


def without_mixed(rows):
    """Rows without the former ones of runs that also have rows of today.

    A mean over seeds is of the same flags then.
    """
    old = [row["key"] for row in former(rows)]
    today = {place(row)[:2] for row in rows if row["key"] not in old}
    return [
        row
        for row in rows
        if row["key"] not in old or place(row)[:2] not in today
    ]
