"""The claims, and the rules that give each its verdict.

A rule is fixed before its figures are known. It is applied to our form of the
game and to the published one, each against the convolutional CTRL trained by
the same form. "Above" means that the means differ by more than two standard
deviations of the difference, where there are several seeds, and always by more
than a margin, `LEAST` or a part `LEAST_PART` of the larger.
"""

import collections
import functools

import numpy as np

from benchmarks.studies import data as sets
from benchmarks.studies.definitions import EQUAL
from benchmarks.studies.definitions import LONG

HOLDS = "holds"
PARTLY = "holds partly"
NOT_SHOWN = "not shown here"
MISSING = "not measured yet"

COUNTERPARTS = {"ours": "conv", "game": "conv_game"}
LEAST = {
    "psnr": 0.1,
    "ssim": 0.005,
    "nearest_subspace_accuracy": 0.01,
    "class_angle_degrees": 1.0,
}
LEAST_PART = {"frechet_distance": 0.05}
NEAR_DB = 1.0
UNSEEN_DB = 3.0
SPREAD_DB = 3.0
GAIN_DB = 0.5
FORGOTTEN_DB = 0.3
ACCURACY = 0.02
CONSISTENT = 0.95
MOST = 0.75

Claim = collections.namedtuple("Claim", ["title", "rule", "judge"])


def if_images_come_back(judge):
    """A rule that asks how little is lost, of those who have it to lose."""

    @functools.wraps(judge)
    def judge_those(results, key):
        verdict, because = judge(results, key)
        if verdict != MISSING and consistency(results, key)[0] == NOT_SHOWN:
            return NOT_SHOWN, "images do not come back anyway"
        return verdict, because

    return judge_those


def quality(results, key):
    wins = []
    for labels in _groups(results):
        for rival in (COUNTERPARTS[key], "vae"):
            for figure, sign in (
                ("psnr", 1),
                ("ssim", 1),
                ("frechet_distance", -1),
            ):
                wins.append(
                    above(results, "1", figure, key, rival, sign, **labels)
                )
    return _share(wins, "comparisons won")


def consistency(results, key):
    shares = []
    for labels in _groups(results):
        for figure in ("retrieval", "pixel_retrieval"):
            shares.append(results.mean("1", figure, contender=key, **labels))
    shares = [share for share in shares if share is not None]
    if not shares:
        return MISSING, ""
    enough = [share >= CONSISTENT for share in shares]
    verdict = HOLDS if all(enough) else PARTLY if any(enough) else NOT_SHOWN
    return verdict, f"shares from {min(shares):.3f} to {max(shares):.3f}"


@if_images_come_back
def unseen(results, key):
    gaps, wins = [], []
    for data in results.label_values("2", "data"):
        for other in results.scale.tested:
            if other == data or (data, other) == ("cifar10_grey", "cifar10"):
                continue
            figure = f"{other}/psnr"
            got = results.mean("2", figure, contender=key, data=data)
            own = other
            if sets.is_grey(data) and other == "cifar10":
                own = "cifar10_grey"
            if got is not None and sets.is_grey(own) == sets.is_grey(data):
                best = results.mean("2", figure, contender=key, data=own)
                gaps += [] if best is None else [best - got]
            for rival in (COUNTERPARTS[key], "vae"):
                wins.append(above(results, "2", figure, key, rival, data=data))
    wins = [win for win in wins if win is not None]
    if not gaps or not wins:
        return MISSING, ""
    near, won = np.median(gaps) <= UNSEEN_DB, np.mean(wins) >= MOST
    verdict = HOLDS if near and won else PARTLY if near or won else NOT_SHOWN
    return verdict, (
        f"median loss {np.median(gaps):.1f} dB, "
        f"{sum(wins)} of {len(wins)} comparisons won"
    )


def structure(results, key):
    wins = []
    for labels in _groups(results):
        for rival in (COUNTERPARTS[key], "pixel", "vae", "pca"):
            for figure in ("nearest_subspace_accuracy", "class_angle_degrees"):
                wins.append(above(results, "1", figure, key, rival, **labels))
    return _share(wins, "comparisons won")


def stability(results, key):
    spread, failed, longer = _stability(results, key)
    other, _, _ = _stability(results, COUNTERPARTS[key])
    if None in (spread, longer):
        return (NOT_SHOWN, "diverged") if failed else (MISSING, "")
    lasting = not failed and longer >= -FORGOTTEN_DB
    narrow = spread <= SPREAD_DB and (other is None or spread <= other)
    verdict = HOLDS if lasting and narrow else PARTLY if lasting else NOT_SHOWN
    of_other = "-" if other is None else f"{other:.1f}"
    return verdict, (
        f"{failed} diverged; spread {spread:.1f} dB, convolutional "
        f"{of_other}; longer {longer:+.1f} dB"
    )


def _stability(results, key):
    """Spread of the PSNR over rates, failures, gain of longer training."""
    chosen = results.select("4", measure="evaluation", contender=key)
    failed = sum("failed" in result.row["figures"] for result in chosen)
    values = results.values("4", "psnr", contender=key, longer=1)
    usual = results.mean("4", "psnr", contender=key, longer=1, rate=1)
    longer = results.mean(
        "4", "psnr", contender=key, longer=results.scale.longer
    )
    spread = float(np.ptp(values)) if len(values) > 1 else None
    gain = None if None in (usual, longer) else longer - usual
    return spread, failed, gain


@if_images_come_back
def small_batches(results, key):
    found = {
        batch: results.mean("3", "psnr", contender=key, batch=batch)
        for batch in results.label_values("3", "batch")
    }
    found = {batch: v for batch, v in found.items() if v is not None}
    if len(found) < 2:
        return MISSING, ""
    best = max(found.values())
    near = sorted(batch for batch, v in found.items() if best - v <= NEAR_DB)
    verdict = NOT_SHOWN
    if near[0] == min(found):
        verdict = HOLDS
    elif near[0] <= 64:
        verdict = PARTLY
    return verdict, (
        f"{best - found[min(found)]:.1f} dB below the best at "
        f"{min(found)}; within {NEAR_DB:g} dB from {near[0]} on"
    )


def computation(results, key):
    rival = COUNTERPARTS[key]
    parts, wins = [], []
    for figure in (
        "parameters",
        "encoder_multiply_adds",
        "decoder_multiply_adds",
    ):
        for data in results.scale.sets:
            own, other = (
                results.mean("1", figure, contender=c, budget=EQUAL, data=data)
                for c in (key, rival)
            )
            if None in (own, other):
                return MISSING, ""
            parts.append((figure, own / other))
    for labels in _groups(results):
        if labels["budget"] != EQUAL:
            wins.append(above(results, "1", "psnr", key, rival, **labels))
    wins = [win for win in wins if win is not None]
    simpler = all(ratio <= 1.02 for _, ratio in parts)
    faster = bool(wins) and all(wins)
    verdict = HOLDS if simpler else PARTLY if faster else NOT_SHOWN
    ratios = ", ".join(
        f"{figure.replace('_', ' ')} x{ratio:.2f}"
        for figure, ratio in parts[:: len(results.scale.sets)]
    )
    return verdict, ratios


def noise(results, key):
    if key != "ours":
        return "", ""
    gains = []
    for result in results.select("5", noise="gaussian", contender=key):
        for level, methods in result.row["figures"].items():
            if float(level) >= 0.1 and "chosen sparsity" in methods:
                gains.append(
                    methods["chosen sparsity"]["psnr"]
                    - methods["reconstruction"]["psnr"]
                )
    if not gains:
        return MISSING, ""
    enough = [gain >= GAIN_DB for gain in gains]
    verdict = HOLDS if all(enough) else PARTLY if any(enough) else NOT_SHOWN
    return verdict, f"gains from {min(gains):+.1f} to {max(gains):+.1f} dB"


def rate_reduction(results, key):
    if key != "ours":
        return "", ""
    effects = []
    for data in results.label_values("6", "data"):
        for figure, least in (
            ("psnr", GAIN_DB),
            ("nearest_subspace_accuracy", ACCURACY),
        ):
            with_it, without = (
                results.mean("6", figure, data=data, variant=variant)
                for variant in ("all of it", "no rate reduction")
            )
            if None not in (with_it, without):
                effects.append((figure, with_it - without, least))
    return _share(
        [change >= least for _, change, least in effects],
        "effects large enough",
    )


CLAIMS = (
    Claim(
        "Regenerated images are of good quality",
        "PSNR, SSIM and Fréchet distance better than those of the "
        "convolutional CTRL and of the VAE, on all sets, at equal images and "
        "at equal time; partly: in half of the comparisons.",
        quality,
    ),
    Claim(
        "Images come back as themselves",
        f"Retrieval by features and by pixels at least {CONSISTENT} on all "
        "sets; partly: somewhere.",
        consistency,
    ),
    Claim(
        "It works on data it never saw",
        f"Median loss of at most {UNSEEN_DB:g} dB against the model trained "
        f"on the tested set, and above the convolutional CTRL and the VAE in "
        f"{MOST:.0%} of the pairs of sets; partly: one of the two. Not if "
        "images do not come back as themselves even of the set trained on.",
        unseen,
    ),
    Claim(
        "Features are structured",
        "Nearest-subspace accuracy and the angles between the classes' "
        "subspaces above those of the convolutional CTRL, pixel loss, VAE and "
        "PCA, on all sets; partly: in half of the comparisons.",
        structure,
    ),
    Claim(
        "Training is stable",
        f"No divergence, a spread of PSNR over the learning rates of at most "
        f"{SPREAD_DB:g} dB and of the convolutional CTRL's, and longer "
        f"training at most {FORGOTTEN_DB:g} dB worse; partly: all but the "
        "spread.",
        stability,
    ),
    Claim(
        "Small batches do",
        f"The smallest batch within {NEAR_DB:g} dB of the best, at equal "
        "images; partly: one of 64 or less. Not if images do not come back "
        "as themselves.",
        small_batches,
    ),
    Claim(
        "Simpler networks, less computation",
        "No more weights and multiply-adds than the convolutional networks of "
        "the same widths; partly: more, but a higher PSNR in equal time.",
        computation,
    ),
    Claim(
        "Choosing the sparsity at test time removes noise",
        f"Gains of at least {GAIN_DB:g} dB for Gaussian noise of 0.1 and "
        "more, on all sets; partly: somewhere.",
        noise,
    ),
    Claim(
        "The rate reduction does the work",
        f"Without it {GAIN_DB:g} dB of PSNR and {ACCURACY} of nearest-subspace "
        "accuracy are lost, on all sets; partly: half of these.",
        rate_reduction,
    ),
)


def above(results, study, figure, key, rival, sign=1, **labels):
    """Whether a contender is above another; `None` if that is not known."""
    own, other = (
        sign * results.values(study, figure, contender=c, **labels)
        for c in (key, rival)
    )
    if not len(own) or not len(other):
        return None
    spread = sum(np.var(v, ddof=1) for v in (own, other) if len(v) > 1)
    own, other = np.mean(own), np.mean(other)
    name = figure.rpartition("/")[2]
    part = LEAST_PART.get(name, 0.0) * max(abs(own), abs(other))
    least = max(LEAST.get(name, 0.0), part, 2 * np.sqrt(spread))
    return bool(own - other > least)


def _groups(results):
    """Labels of the sets and budgets of study 1 that have all seeds."""
    return [
        {"data": data, "budget": budget}
        for data in results.scale.sets
        for budget in results.label_values("1", "budget")
        if budget != LONG
    ]


def _share(wins, what):
    wins = [win for win in wins if win is not None]
    if not wins:
        return MISSING, ""
    share = np.mean(wins)
    verdict = HOLDS if share == 1 else PARTLY if share >= 0.5 else NOT_SHOWN
    return verdict, f"{sum(wins)} of {len(wins)} {what}"
