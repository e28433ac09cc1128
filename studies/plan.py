"""What the studies run: flags of `training/train.py`, and what is changed.

Every run starts from a flag file that ships. Contenders train for `MINUTES`
each: the number of steps is that time, times the contender's rate, which
`run.py --rates` measured into `rates.json`. The recipe with options changed
takes a fixed number of steps.
"""

import hashlib
import itertools
import json
import pathlib
import typing

from keras_csc_cli import command_line
from keras_csc_cli.checked_flags import words_of

from keras_csc.models.presets import PRESETS

# Of contenders, on one core.
MINUTES = 5
# Of the recipe with options changed: one or two minutes.
STEPS = {"fashion_mnist": 1011, "cifar10": 617}
RATE_STEPS = 30
LONGEST_KEY = 180
RATES_FILE = pathlib.Path(__file__).parent / "rates.json"


class Run(typing.NamedTuple):
    """A training run and its evaluation.

    Args:
        name: what it is called in tables.
        data: name of the data set, and of the flag file.
        kind: key of `baselines.MAKERS`.
        flags: tuple of flags of `training/train.py`.
        seed: int.
        more: tuple of what is measured besides: `"unseen"`, `"noise"`.
    """

    name: str
    data: str
    kind: str
    flags: tuple
    seed: int = 0
    more: tuple = ()

    @property
    def key(self):
        """What tells the run from others, for the name of its folder.

        A run of a flag file that says something else is another run.
        """
        file, *changes = self.flags
        file = file.removeprefix("--flagfile=").removesuffix(".flags")
        text = f"{file}-{self.kind}{''.join(changes)}--seed={self.seed}"
        name = "".join(c if c.isalnum() or c in "=.,-_" else "_" for c in text)
        digest = hashlib.sha256("\n".join([name, *settings(self)]).encode())
        return f"{name[:LONGEST_KEY]}-{digest.hexdigest()[:8]}"


# Flags that are given several times, for some arguments each.
ADDING = ("--architecture", "--game")
PART = "class_features"
OF_THE_PART = ("class_rate", "class_epsilon")


def settings(run):
    """The flags of a run and of its flag files, as far as they have an effect.

    Among them is the architecture of the preset.

    What is overruled has none, and without a part for the classes nor have the
    arguments of its rate. Nor has it which policy `auto` is: what flag files
    named before there was `auto` stands for it.
    """
    found, arguments = {}, {name: {} for name in ADDING}
    for flag in command_line.resolve_flag_files(run.flags):
        name, _, value = flag.partition("=")
        if name in ADDING:
            arguments[name].update(words_of(value))
        else:
            found[name] = flag
    preset = found["--preset"].partition("=")[2]
    for name, value in PRESETS.get(preset, {}).items():
        value = value if isinstance(value, tuple) else (value,)
        arguments["--architecture"].setdefault(name, list(map(str, value)))
    game = arguments["--game"]
    if game.get(PART) == ["0"]:
        arguments["--game"] = {
            name: value
            for name, value in game.items()
            if name not in OF_THE_PART
        }
    if run.data != "digits":
        found.setdefault("--dtype_policy", "--dtype_policy=mixed_bfloat16")
    joined = [
        f"{flag}={name}={','.join(value)}"
        for flag, values in arguments.items()
        for name, value in sorted(values.items())
    ]
    return joined + [found[name] for name in sorted(found)]


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


def check_some(flag, given, known):
    """Raises a `UsageError` for what is not among those known."""
    unknown = sorted(set(given or ()) - set(known))
    if unknown:
        raise command_line.UsageError(
            f"--{flag} must be some of {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )


def flag_file(name):
    return f"--flagfile={name}.flags"


def rates_found():
    """Images a second in training, by `NAME on DATA`; empty before that."""
    return json.loads(RATES_FILE.read_text()) if RATES_FILE.exists() else {}


def steps(name, data):
    """As many steps of a contender as `MINUTES` hold."""
    rated = OURS if name == UNLABELLED else name
    rate = rates_found()[f"{rated} on {data}"]["images_per_second"]
    return steps_in(MINUTES, rate, RECIPE_BATCH)


def steps_in(minutes, images_per_second, batch):
    """Steps of so many minutes, at least one."""
    return max(1, round(60 * minutes * images_per_second / batch))


# === Contenders ===

OURS = "CSC-CTRL, the recipe"
UNLABELLED = "the same without labels"
CONV = "convolutional CTRL, the recipe"
SMALL_CONV = "convolutional CTRL, as many weights as ours"
PIXEL = "CSC network, pixel loss"
VAE = "convolutional VAE"

RECIPE_BATCH = 64
SETS = ("fashion_mnist", "cifar10")
SEEDS = (0, 1, 2)
# Other sets, whose images every model of a set regenerates, in its colours.
UNSEEN = {
    "fashion_mnist": ("digits",),
    "cifar10": ("digits", "fashion_mnist", "photographs", "imagenet2012"),
}

# Widths of layers without signed codes: these have twice as many parts.
WIDE = {"fashion_mnist": "32,128,128", "cifar10": "96,256,256"}
# DCGAN's layers.
DCGAN = {
    data: f"--architecture=filters={first},128,128,kernel_size=4,strides=2"
    for data, first in (("fashion_mnist", 32), ("cifar10", 96))
}
# As deep, with as many weights as sparse coding has.
SMALL = {
    data: f"--architecture=filters={filters},kernel_size=4,strides=2"
    for data, filters in (("fashion_mnist", "9,37,37"), ("cifar10", "33,47,47"))
}
WIDTHS = {CONV: DCGAN, VAE: DCGAN, SMALL_CONV: SMALL}
PARENTS_CONV = (
    "--architecture=network=conv",
    "--game=shared_statistics=false,inner_step=false",
    "--first_atoms=random",
    "--learning_rate=1e-3,1e-3",
)


class Contender(typing.NamedTuple):
    """What trains for equal time.

    Args:
        kind: key of `baselines.MAKERS`.
        flags: tuple of flags, after the set's flag file.
    """

    kind: str
    flags: tuple = ()


CONVOLUTIONS = "--architecture=network=conv", "--game=dictionary=0"
CONTENDERS = {
    OURS: Contender("closed_loop"),
    UNLABELLED: Contender("closed_loop", ("--game=class_features=0",)),
    CONV: Contender("closed_loop", CONVOLUTIONS),
    SMALL_CONV: Contender("closed_loop", CONVOLUTIONS),
    PIXEL: Contender("pixel", ("--game=class_features=0",)),
    VAE: Contender(
        "vae", ("--game=class_features=0,dictionary=0", "--first_atoms=random")
    ),
}


def contender(name, data, seed=0, more=(), count=None):
    """A contender's run, of `MINUTES` or of `count` steps."""
    found = CONTENDERS[name]
    count = count or steps(name, data)
    width = (WIDTHS[name][data],) if name in WIDTHS else ()
    flags = (flag_file(data), f"--steps={count}", *width, *found.flags)
    return Run(name, data, found.kind, flags, seed, more)


def changed(title, data, *changes, seed=0, kind="closed_loop"):
    """A short run of the recipe, with changes."""
    run = contender(OURS, data, seed, count=STEPS[data])
    flags = (*run.flags, *changes)
    return run._replace(name=title, flags=flags, kind=kind)


# === Studies ===


def quality():
    """The first seeds also tell of unseen images and of noise.

    Only those have several seeds that a rule compares by standard errors.
    """
    for seed in SEEDS:
        for data in SETS[::-1]:
            for name in CONTENDERS:
                if seed and name not in (OURS, CONV):
                    continue
                more = ("unseen", "noise") if seed == 0 else ()
                yield contender(name, data, seed, more)


# With a weight by which gradients are of about the same size.
PUBLISHED_DISTORTION = {
    data: f"--game=class_epsilon=0.5,class_rate={rate}"
    for data, rate in (("fashion_mnist", 10), ("cifar10", 5))
}


def doubtful(data):
    """What may have no effect, by title: one flag each that takes it out."""
    return {
        "without the rate reduction": "--game=rate=0",
        "without the stages' own errors": "--game=dictionary=0",
        "the published distortion of the classes": PUBLISHED_DISTORTION[data],
    }


OVERLAPPING = {
    "fashion_mnist": "--architecture=filters=16,64,64,sparsity=0.1,0.2,0.2",
    "cifar10": "--architecture=filters=48,64,64,sparsity=0.05,0.2,0.2",
}


def options(data):
    """Changes of the recipe by title, what matters most first."""
    out = doubtful(data)
    return {
        "without the three below": (*out.values(),),
        **{title: (change,) for title, change in out.items()},
        "atoms that overlap, five solver steps, rectified": (
            OVERLAPPING[data],
            "--architecture=kernel_size=4,strides=2,iterations=5,lapped=false",
            "--architecture=rectified=true",
        ),
        "a rectified way down": ("--architecture=rectified=true",),
        "without tight frames": ("--architecture=tight_frame=false",),
        "Adam at 1e-3": ("--optimizer=adam", "--learning_rate=1e-3"),
        "non-negative codes": (
            "--architecture=nonnegative=true",
            f"--architecture=filters={WIDE[data]}",
        ),
        "without the multi-stage term": ("--game=multistage=0",),
        "without memory": ("--game=memory=0",),
    }


AS_IT_IS = "as it is"
OWN = "own dictionaries to draw with"


def with_views():
    """The recipe without labels, as long as the one with them."""
    flags = (
        flag_file("cifar10_unlabelled"),
        f"--steps={STEPS['cifar10']}",
    )
    return Run("without labels, with views", "cifar10", "closed_loop", flags)


def ablation():
    """The recipe with options changed, on every set.

    What sharing does is asked of three seeds.
    """
    for data in SETS[::-1]:
        yield changed(AS_IT_IS, data)
        for title, changes in options(data).items():
            yield changed(title, data, *changes)
        yield changed("convolutions", data, DCGAN[data], *CONVOLUTIONS)
    for seed in SEEDS:
        for data in SETS[::-1]:
            yield changed(AS_IT_IS, data, seed=seed)
            yield changed(OWN, data, seed=seed, kind="own")
    unlabelled = CONTENDERS[UNLABELLED].flags
    yield changed("without labels", "cifar10", *unlabelled)
    yield with_views()


def published():
    """The published game on every set, and convolutions in it."""

    def run(title, data, *changes, seed=0):
        flags = (flag_file(f"{data}_published"), *changes)
        return Run(title, data, "closed_loop", flags, seed)

    for seed in SEEDS:
        yield run(AS_IN_THE_FILE, "digits", seed=seed)
    yield run("clipped", "digits", "--architecture=output=clip")
    longer = "--steps=800", "--batch_size=512"
    yield run(CONV_AS_PUBLISHED, "digits", *PARENTS_CONV, *longer)
    for data in SETS:
        yield run(AS_IN_THE_FILE, data)
        yield run(CONV_AS_PUBLISHED, data, *PARENTS_CONV)


PLAYERS = {
    "sparse coding": (),
    "convolutions": ("--architecture=network=conv", "--first_atoms=random"),
}
# Of the encoder, and of the decoder in units of it.
ENCODER_RATES = {
    "digits": (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3),
    "fashion_mnist": (2.5e-4, 5e-4, 1e-3),
}
DECODER_RATIOS = (1, 4, 16)
RATES_STEPS = {"digits": 300, "fashion_mnist": 100}
RATES_BATCH = {"digits": 512, "fashion_mnist": 1024}


# At which the first seed has most regenerations of the image's class.
BEST_RATES = {"sparse coding": (2e-3, 4), "convolutions": (1e-3, 16)}
RATES_SEEDS = (1, 2, 3, 4)


def at_rates(player, encoder, ratio):
    """Name of a run of `rates`."""
    return f"{player}, {encoder:g},{ratio * encoder:g}"


def game_at(data, player, encoder, ratio, seed=0, batch_size=None):
    """A run of the published game of a set at a pair of rates."""
    flags = (
        flag_file(f"{data}_published"),
        f"--steps={RATES_STEPS[data]}",
        *PLAYERS[player],
        f"--learning_rate={encoder:g},{ratio * encoder:g}",
        f"--batch_size={batch_size or RATES_BATCH[data]}",
    )
    name = at_rates(player, encoder, ratio)
    return Run(name, data, "closed_loop", flags, seed)


def rate_pairs(data):
    """Pairs of rates: of the encoder, and of the decoder in units of it."""
    return list(itertools.product(ENCODER_RATES[data], DECODER_RATIOS))


def rates():
    """The published games at pairs of rates, for each network.

    Four further seeds play that of digits at the best pair of each network.
    """
    for data in ENCODER_RATES:
        for player in PLAYERS:
            for pair in rate_pairs(data):
                yield game_at(data, player, *pair)
    for player, best in BEST_RATES.items():
        for seed in RATES_SEEDS:
            yield game_at("digits", player, *best, seed)


BATCHES = (64, 128, 256)
# The pair of rates with which the first seed has most regenerations of the
# image's class, by player and batch.
BEST_OF_BATCHES = {
    ("sparse coding", 64): (2.5e-4, 16),
    ("sparse coding", 128): (2e-3, 4),
    ("sparse coding", 256): (2e-3, 4),
    ("convolutions", 64): (1e-3, 16),
    ("convolutions", 128): (1e-3, 16),
    ("convolutions", 256): (1e-3, 16),
}


def of_batches(player, size, encoder, ratio):
    """Name of a run of `batches`."""
    return f"{at_rates(player, encoder, ratio)}, batches of {size}"


def pairs_of(player, size):
    """Pairs of rates that a player tries with batches of a size.

    Sparse coding with 256 images has only the pair that was best with 512.
    """
    if (player, size) == ("sparse coding", 256):
        return [BEST_RATES[player]]
    return rate_pairs("digits")


def batches():
    """The published game of digits with smaller batches, for each network.

    The first seed searches for rates; two others play at the best pair.
    """

    def run(player, size, pair, seed=0):
        made = game_at("digits", player, *pair, seed, size)
        return made._replace(name=of_batches(player, size, *pair))

    for size in BATCHES[::-1]:
        for player in list(PLAYERS)[::-1]:
            for pair in pairs_of(player, size):
                yield run(player, size, pair)
    for (player, size), pair in BEST_OF_BATCHES.items():
        for seed in SEEDS[1:]:
            yield run(player, size, pair, seed)


AS_IN_THE_FILE = "as in the flag file"
CONV_AS_PUBLISHED = "convolutions, as published"


QUESTIONS = {
    "published": (
        published,
        "The published game",
        "Does the game bring images back as themselves, and what does it need?",
    ),
    "rates": (
        rates,
        "The published game at other rates",
        "At how many learning rates of encoder and decoder does the game end "
        "well?",
    ),
    "batches": (
        batches,
        "The published game with smaller batches",
        "How few images may a batch of the game of digits have? All take "
        f"{RATES_STEPS['digits']} steps.",
    ),
    "quality": (
        quality,
        "Against others, at equal time",
        "What are images, classes, unseen images and noise like after "
        f"{MINUTES} minutes of training on one core?",
    ),
    "ablation": (
        ablation,
        "Which options matter",
        "What becomes of the recipe with options changed, after a minute on "
        "CIFAR-10 and two on Fashion-MNIST?",
    ),
}
STUDIES = tuple(QUESTIONS)


def study(name):
    """The `Study` of that name."""
    make, title, question = QUESTIONS[name]
    return Study(title, question, list(make()))


def runs(names=None):
    """The runs of studies, each once, in the order of work.

    The first of equal runs says what is measured besides.
    """
    made = {}
    for name in names or STUDIES:
        for run in study(name).runs:
            made.setdefault(run.key, run)
    return list(made.values())


def place(row):
    """Where a row stands in the tables, whatever flags made it."""
    return row["data"], row["name"], row["seed"]


def former(rows):
    """Rows of flag files or rates that have changed since."""
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


def rate_runs():
    """Short runs that tell how fast every contender is."""
    return {
        f"{name} on {data}": contender(name, data, count=RATE_STEPS)
        for data in SETS
        for name in CONTENDERS
        if name != UNLABELLED
    }
