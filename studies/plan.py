"""What the studies run, and in what order."""

import typing

from studies import options
from studies import published
from studies.runs import SEEDS
from studies.runs import SETS
from studies.runs import Run
from studies.runs import best_of_first_seed
from studies.runs import flag_file


class Study(typing.NamedTuple):
    """A question, and the runs that answer it.

    Args:
        title: of its part of the page.
        question: one sentence.
        runs: list of `Run`.
    """

    title: str
    question: str
    runs: list


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
                run = player(name, data, CONV_RATES[data])
            if name in PLAYERS:
                run = run._replace(more=("samples", "unseen", "noise"))
            yield run


# === More time ===


# Fewer than the flag files have, as many, and four times as many.
STEPS = {"fashion_mnist": (2000, 4000, 16000), "cifar10": (1500, 6000, 24000)}


def time():
    """The flag files' networks for fewer and more steps, with one seed."""
    for data, counts in STEPS.items():
        for steps in counts:
            flags = flag_file(data), f"--steps={steps}"
            yield Run(f"{steps:,} steps", data, "closed_loop", flags)


# === Sparse coding and convolutions ===

PLAYERS = (OURS, CONV)
PLAYERS_MINUTES = {"digits": 1, "fashion_mnist": 2, "cifar10": 2}
# The first is that of the flag files.
LEARNING_RATES = (0.03, 0.01, 0.1)
# At which the first seed of convolutions has the highest same class.
CONV_RATES = {"fashion_mnist": 0.1, "cifar10": 0.01}


def at_rate(name, rate):
    """Name of a run of `players`."""
    return name if rate == LEARNING_RATES[0] else f"{name}, rate {rate:g}"


def player(name, data, rate, seed=0):
    """A run at a learning rate."""
    run = contender(name, data, seed, minutes=PLAYERS_MINUTES[data])
    if rate == LEARNING_RATES[0]:
        return run
    flags = *run.flags, f"--learning_rate={rate:g}"
    return run._replace(name=at_rate(name, rate), flags=flags)


def players():
    """The first seed searches for rates; two others play at the best."""
    for seed in SEEDS:
        for data in PLAYERS_MINUTES:
            for name in PLAYERS:
                rates = LEARNING_RATES
                if seed:
                    firsts = {r: player(name, data, r) for r in rates}
                    rates = best_of_first_seed(firsts)
                for rate in rates:
                    yield player(name, data, rate, seed)


# === All studies ===

QUESTIONS = {
    "quality": (
        quality,
        "Against others, at equal time",
        f"What does a network make of images after {MINUTES} minutes of "
        "training on one core, with 128 numbers an image? Samples are of the "
        "density of features (CSC-CTRL), or of noise (VAE, DCGAN); diffusion "
        "takes 50 steps of DDIM. Their authors train far longer. Convolutions "
        "play in our game, with as many weights as sparse coding.",
    ),
    "players": (
        players,
        "Sparse coding and convolutions in our game",
        "Which network brings more images back as images of their class, with "
        "as many weights, after a minute (digits) or two (the others)? The "
        "first seed tries three learning rates, two others the best of them. A "
        f"row without a rate is at {LEARNING_RATES[0]}, the flag files' rate.",
    ),
    "game": (
        options.game,
        "Which options matter",
        "What becomes of the flag files' game and network with options "
        "changed, after 1,000 steps of 64 images? The measure that was named "
        "before the runs is *same class*. Rows that leave out a part of the "
        "game have three seeds, the others one.",
    ),
    "front": (
        options.front,
        "From sharp images to exact ones",
        "What does the multi-stage term buy, by its weight, and what does it "
        "cost? The runs are as in the study of options, with one seed.",
    ),
    "time": (
        time,
        "More time",
        "What does the game of the flag files gain from more steps, with one "
        "seed? The learning rate falls to 0 at the last one.",
    ),
    "published": (
        published.published,
        "The published game",
        "Does the game bring images back as themselves, and what does it need? "
        "In this study and in the next two the gradient took the bound `L` as "
        "a constant; today it goes through `L`.",
    ),
    "rates": (
        published.rates,
        "The published game at other rates",
        "At how many learning rates of encoder and decoder does the game end "
        "well? The table has the best pair of each network, with five seeds; "
        "[all pairs](../published.md#sparse-coding-or-convolutions).",
    ),
    "batches": (
        published.batches,
        "The published game with smaller batches",
        "How few images may a batch of the game of digits have? All take "
        f"{published.RATES_STEPS['digits']} steps. The table has the best "
        "pair of rates for each size, with three seeds.",
    ),
}
STUDIES = tuple(QUESTIONS)


def study(name):
    """The `Study` of that name."""
    make, title, question = QUESTIONS[name]
    return Study(title, question, list(make()))


def runs(names=None, seeds=None):
    """The runs of studies, each once, in the order of work.

    Of equal runs of any studies, all is measured that one is to have.
    """
    made, wanted = {}, set()
    for name in STUDIES:
        for run in study(name).runs:
            equal = made.setdefault(run.key, run)
            more = tuple(dict.fromkeys(equal.more + run.more))
            made[run.key] = equal._replace(more=more)
            if name in (names or STUDIES) and (not seeds or run.seed in seeds):
                wanted.add(run.key)
    return [run for key, run in made.items() if key in wanted]


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
