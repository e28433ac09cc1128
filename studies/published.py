"""The studies of the published game: as it is, at other rates, by batches."""

import itertools

from studies.runs import SEEDS
from studies.runs import SETS
from studies.runs import Run
from studies.runs import flag_file

AS_IN_THE_FILE = "as in the flag file"
CONV_AS_PUBLISHED = "convolutions, as published"
PARENTS_CONV = (
    "--game=shared_statistics=false,inner_step=false",
    "--first_atoms=random",
    "--learning_rate=1e-3,1e-3",
)


def published():
    """The published game on every set, and convolutions in it."""

    def run(title, data, *changes, seed=0, kind="closed_loop"):
        flags = (flag_file(f"{data}_published"), *changes)
        return Run(title, data, kind, flags, seed)

    for seed in SEEDS:
        yield run(AS_IN_THE_FILE, "digits", seed=seed)
    yield run("clipped", "digits", "--architecture=output=clip")
    longer = "--steps=800", "--batch_size=512"
    changes = *PARENTS_CONV, *longer
    yield run(CONV_AS_PUBLISHED, "digits", *changes, kind="conv")
    for data in SETS:
        yield run(AS_IN_THE_FILE, data)
        yield run(CONV_AS_PUBLISHED, data, *PARENTS_CONV, kind="conv")


# Their kinds, and their flags.
PLAYERS = {
    "sparse coding": ("closed_loop",),
    "convolutions": ("conv", "--first_atoms=random"),
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
    kind, *changes = PLAYERS[player]
    flags = (
        flag_file(f"{data}_published"),
        f"--steps={RATES_STEPS[data]}",
        *changes,
        f"--learning_rate={encoder:g},{ratio * encoder:g}",
        f"--batch_size={batch_size or RATES_BATCH[data]}",
    )
    name = at_rates(player, encoder, ratio)
    return Run(name, data, kind, flags, seed)


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
