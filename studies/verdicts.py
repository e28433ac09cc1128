"""The claims, and the rules by which they are judged.

The rules were written before the test figures were there. A claim is judged as
soon as all of its runs are; a run that became non-finite fails every rule.
"""

import functools
import itertools
import typing

from studies import plan
from studies.runs import SEEDS
from studies.runs import SETS

SHOWN, NOT_SHOWN, MISSING = "shown", "not shown", "not run"
TITLES = {
    "digits": "the digits",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
NEAREST = "nearest_subspace_accuracy"


class Claim(typing.NamedTuple):
    """A claim, the rule that decides, and the function that applies it.

    Args:
        text: the claim.
        rule: in words.
        judge: function of a `Table`; returns whether the claim holds and a
            sentence with the figures.
    """

    text: str
    rule: str
    judge: typing.Callable


def verdict(claim, table):
    """`(verdict, sentence)` of a claim."""
    try:
        holds, sentence = claim.judge(table)
    except KeyError as missing:
        return MISSING, f"Not run: {missing.args[0]}."
    return (SHOWN if holds else NOT_SHOWN), sentence


def _published(data, least_same, least_nearest, table):
    name = plan.AS_IN_THE_FILE
    same = table.mean(data, name, "same_class")
    nearest = table.mean(data, name, NEAREST)
    return same >= least_same and nearest >= least_nearest, (
        f"Of the regenerated images {same:.3f} are of the image's class, and "
        f"nearest subspace is right on {nearest:.3f}."
    )


def _ahead(table, data, one, other, figure="same_class"):
    """Difference of two means of a figure, and whether it is clear.

    It is above two standard errors then. No second seed is asked for if the
    difference is not above 0, because the claim has failed already.
    """
    means = [table.mean(data, name, figure) for name in (one, other)]
    difference = means[0] - means[1]
    if not difference > 0:
        return difference, False
    errors = [table.error(data, name, figure) for name in (one, other)]
    return difference, difference > 2 * sum(e * e for e in errors) ** 0.5


def _players(data, table, figure="same_class", title="same class", best=None):
    best = best or [plan.best_player(player, data) for player in plan.PLAYERS]
    for name in best:
        if len(table.of(data, name)) < len(SEEDS):
            raise KeyError(f"other seeds of {name} on {data}")
    _, holds = _ahead(table, data, *best, figure)
    text = ", ".join(
        f"{name} {table.mean(data, name, figure):.3f}" for name in best
    )
    return holds, f"Means of three seeds of {title}: {text}."


def _longer(table):
    best = [
        plan.long_player(player, plan.BEST_LONGER[player]).name
        for player in plan.PLAYERS
    ]
    return _players("cifar10", table, best=best)


def _structure(table):
    how = {"figure": NEAREST, "title": "nearest subspace"}
    judged = {d: _players(d, table, **how) for d in plan.PLAYERS_MINUTES}
    text = " ".join(f"{TITLES[d]}: {text}" for d, (_, text) in judged.items())
    return all(holds for holds, _ in judged.values()), text


def _consistency(table):
    shares = {
        data: [
            table.mean(data, plan.best_player(player, data), "retrieval")
            for player in plan.PLAYERS
        ]
        for data in plan.PLAYERS_MINUTES
    }
    text = "; ".join(
        f"{TITLES[data]} {ours:.4f} (convolutions {conv:.4f})"
        for data, (ours, conv) in shares.items()
    )
    return all(ours >= 0.99 for ours, _ in shares.values()), f"{text}."


def _needed(table):
    """Whether the game is worse without each of its terms."""
    parts, holds = [], True
    for data, without in itertools.product(SETS, plan.TERMS):
        gain, ahead = _ahead(table, data, plan.AS_IT_IS, without)
        holds &= ahead
        parts.append(f"{TITLES[data]} {without} {-gain:+.3f}")
    return holds, f"Same class: {', '.join(parts)}."


def _features(table):
    """Whether 256 features know more by it, and same class is no lower."""
    ours = plan.wide(plan.WIDE_STEPS).name
    names = ours, f"{ours}, {plan.NO_RATE}"
    if min(len(table.of("cifar10", name)) for name in names) < len(SEEDS):
        raise KeyError("other seeds of 256 features")
    knn, parts = "centered_knn_accuracy", []
    for title, figure in (("5-NN", knn), ("same class", "same_class")):
        one, other = (table.mean("cifar10", name, figure) for name in names)
        parts.append(f"{title} {one:.3f}, without {other:.3f}")
    _, more = _ahead(table, "cifar10", *names, knn)
    _, fewer = _ahead(table, "cifar10", *names[::-1])
    return more and not fewer, f"Means of three seeds: {'; '.join(parts)}."


def _decoder(table):
    """Whether regenerations are sharper if the decoder plays, too."""
    ours = plan.wide(plan.WIDE_STEPS).name
    names = ours, f"{ours}, {plan.REAL_ALONE}"
    if min(len(table.of("cifar10", name)) for name in names) < len(SEEDS):
        raise KeyError("other seeds of 256 features")
    frechet = "frechet_distance"
    _, holds = _ahead(table, "cifar10", *names[::-1], frechet)
    whole, alone = (table.mean("cifar10", name, frechet) for name in names)
    return holds, (
        f"Means of three seeds of the Fréchet distance: {whole:.2f}, with "
        f"{plan.REAL_ALONE} {alone:.2f}."
    )


def _unseen(table):
    parts, holds = [], True
    for data in SETS:
        for other in plan.UNSEEN[data]:
            names = plan.OURS, plan.best_player(plan.CONV, data)
            ours, conv = (
                table.first(data, name, f"unseen/{other}") for name in names
            )
            holds &= ours - conv > 0.2
            parts.append(f"{TITLES[data]} → {other} {ours - conv:+.2f} dB")
    return holds, f"CSC minus convolutional: {', '.join(parts)}."


def _noise(table):
    gains = {}
    for data in SETS:
        chosen, usual = (
            table.first(data, plan.OURS, f"noise/0.1/{method}/psnr")
            for method in ("chosen sparsity", "reconstruction")
        )
        gains[data] = chosen - usual
    text = ", ".join(f"{TITLES[d]} {gain:+.2f} dB" for d, gain in gains.items())
    return all(gain >= 0.5 for gain in gains.values()), (
        f"Gain by choosing λ at σ = 0.1: {text}."
    )


CLAIMS = [
    Claim(
        "The published game brings digits back as digits of their class.",
        "Three seeds: same class at least 0.90, nearest subspace at least "
        "0.95.",
        functools.partial(_published, "digits", 0.9, 0.95),
    ),
    Claim(
        "The published game, with tight frames and shared statistics, brings "
        "clothes back as clothes of their class.",
        "On Fashion-MNIST: same class at least 0.78, nearest subspace at "
        "least 0.82.",
        functools.partial(_published, "fashion_mnist", 0.78, 0.82),
    ),
    *(
        Claim(
            "In our game sparse coding layers bring back more images of "
            f"{TITLES[data]} as images of their class than convolutions with "
            "as many weights.",
            "With learning rates searched for both on seed 0, the mean of "
            "three seeds of same class is higher with sparse coding, by more "
            f"than two standard errors, after equal time ({minutes} min).",
            functools.partial(_players, data),
        )
        for data, minutes in plan.PLAYERS_MINUTES.items()
    ),
    Claim(
        f"Sparse coding layers are ahead on CIFAR-10 after {plan.LONGER} "
        "minutes, too.",
        "The rule before, with a search of its own for both, after equal time "
        f"({plan.LONGER} min).",
        _longer,
    ),
    Claim(
        "Every part of our game is needed: the rate reduction, the multi-stage "
        "term, the stages' own errors and the memory.",
        "After 1,000 steps without it, the mean of three seeds of same class "
        "is lower, by more than two standard errors, on both sets.",
        _needed,
    ),
    Claim(
        "With 256 features of CIFAR-10, and labels, the rate reduction makes "
        "features know more of the classes, at no loss of same class.",
        "After 5,000 steps the mean of three seeds of 5-NN is higher with it, "
        "by more than two standard errors, and the mean of same class is not "
        "lower by more than two.",
        _features,
    ),
    Claim(
        "With 256 features of CIFAR-10 it matters that the decoder plays: its "
        "regenerations are sharper than if only the encoder has a rate "
        f"reduction, {plan.REAL_ALONE}.",
        "After 5,000 steps the mean of three seeds of the Fréchet distance is "
        "lower, by more than two standard errors.",
        _decoder,
    ),
    Claim(
        "Features of a class lie nearer to a subspace of its own than features "
        "that convolutions learn in our game.",
        "At the rates that are best for same class, the mean of three seeds of "
        "nearest subspace is higher by more than two standard errors, on all "
        "three sets.",
        _structure,
    ),
    Claim(
        "Every image comes back as itself (sample-wise consistency).",
        "By their features at least 0.99 of the regenerations are nearest to "
        "their own image, on all three sets.",
        _consistency,
    ),
    Claim(
        "Images of other sets come back better than from convolutions.",
        "PSNR is more than 0.2 dB higher for every pair of sets.",
        _unseen,
    ),
    Claim(
        "Regenerations of noisy images are nearer to the clean ones if λ is "
        "chosen at inference.",
        "At σ = 0.1 the λ that is best on validation images gains at least "
        "0.5 dB on both sets, beside the usual λ.",
        _noise,
    ),
]
