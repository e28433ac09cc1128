"""The studies: what is asked, and the pieces that answer it."""

import collections
import math

from benchmarks.studies import contenders as who
from benchmarks.studies import data as sets
from benchmarks.studies import noise
from benchmarks.studies.pieces import Entry
from benchmarks.studies.pieces import Piece
from benchmarks.studies.pieces import Run
from benchmarks.studies.plan import FEATURES
from benchmarks.studies.plan import TIE_DB

Study = collections.namedtuple("Study", ["title", "question", "entries"])

EQUAL = "equal images"
LONG = "long"
GAMES = ("game", "conv_game")
LONG_TRAINED = ("ours", "pixel")  # on the last of `Scale.sets`


def settings(plan):
    """Rate of every trained contender, then its tuning."""
    for data in plan.scale.sets:
        for key in _trained(plan):
            yield plan.rate_entry(key, data)
    last = plan.scale.sets[-1]
    for key in _present(plan, *LONG_TRAINED):
        yield plan.rate_entry(key, last, **plan.scale.long_flags)
    for key in _present(plan, "ours"):
        yield plan.rate_entry(key, last, **_largest(plan.scale))
    for data in plan.scale.sets:
        for key in _trained(plan):
            yield from plan.candidates(key, data)


def quality(plan):
    """At equal images, then in equal time, then again with other seeds.

    The published games, which are far behind at equal images, have one seed
    in equal time.
    """
    scale = plan.scale
    first, *others = scale.seeds
    yield from _at_equal_images(plan, first)
    for data in scale.sets:
        for key in _present(plan, "ours", "conv"):
            run = plan.standard(key, data)
            labels = {"data": data, "contender": key}
            yield Entry(labels, Piece("pictures", run, {}))
    for data in scale.sets:
        for key in _trained(plan):
            run = plan.standard(key, data)
            labels = {"data": data, "contender": key, "budget": EQUAL}
            yield Entry(labels, Piece("stages", run, {}))
    main = _present(plan, "ours", "conv", "pca")
    rest = [key for key in scale.contenders if key not in main]
    yield from _in_equal_time(plan, main, first)
    yield from _in_equal_time(plan, rest, first)
    for seed in others:
        yield from _at_equal_images(plan, seed)
    near = [key for key in rest if key not in GAMES]
    for keys in (main, near):
        for seed in others:
            yield from _in_equal_time(plan, keys, seed)
    data = scale.sets[-1]
    for key in _present(plan, *LONG_TRAINED):
        run = plan.run(
            key, data, minutes=scale.long_minutes, **scale.long_flags
        )
        labels = {"data": data, "contender": key, "budget": LONG}
        yield from _with_curve(run, **labels, seed=0)
        yield _training_images(run, **labels)


def _in_equal_time(plan, keys, seed):
    budget = f"{plan.scale.minutes:g} minutes"
    for data in plan.scale.sets[::-1]:
        for key in keys:
            if key == "pca" and seed:
                continue
            run = plan.run(key, data, minutes=plan.scale.minutes, seed=seed)
            labels = {"data": data, "contender": key, "budget": budget}
            yield _evaluation(run, **labels, seed=seed)
            if seed == plan.scale.seeds[0]:
                yield _training_images(run, **labels)


def _training_images(run, **labels):
    return Entry(labels, Piece("training_images", run, {}))


def _at_equal_images(plan, seed):
    for data in plan.scale.sets:
        for key in plan.scale.contenders:
            if key == "pca" and seed:
                continue
            run = plan.standard(key, data, seed=seed)
            labels = {"data": data, "contender": key, "budget": EQUAL}
            yield _evaluation(run, **labels, seed=seed)


def unseen(plan):
    """Ours and the game are also trained on what all others are tested on.

    Against which what is lost on unseen data is measured.
    """
    scale = plan.scale
    others = [data for data in scale.tested if data not in scale.trained_on]
    pairs = [
        (data, key) for data in scale.trained_on for key in scale.contenders
    ]
    pairs += [
        (d, key) for d in others for key in _present(plan, "ours", "game")
    ]
    for data, key in pairs:
        run = plan.standard(key, data)
        yield _unseen(plan, run, data=data, contender=key)


def batches(plan):
    """Learning rates go with the root of the batch size."""
    scale, data = plan.scale, plan.scale.sets[0]
    usual = {**who.COMMON, **scale.flags}["batch_size"]
    for key in _closed_loops(plan):
        for batch in scale.batch_sizes:
            changes = _rates(plan, key, data, math.sqrt(batch / usual))
            run = plan.run(
                key, data, scale.short_images, batch_size=batch, **changes
            )
            yield _evaluation(run, data=data, contender=key, batch=batch)


def stability(plan):
    scale, data = plan.scale, plan.scale.sets[0]
    for key in _closed_loops(plan):
        for factor in scale.rate_factors:
            changes = _rates(plan, key, data, factor)
            run = plan.run(key, data, scale.short_images, **changes)
            labels = {"data": data, "contender": key, "rate": factor}
            yield from _with_curve(run, **labels, longer=1)
        run = plan.run(key, data, scale.longer * scale.short_images)
        labels = {"data": data, "contender": key, "rate": 1}
        yield from _with_curve(run, **labels, longer=scale.longer)


def denoising(plan):
    """The models of study 1 at equal images; of ours, that of 5 minutes too."""
    scale = plan.scale
    keys = _present(plan, "ours", "conv", "pixel", "vae", "pca")
    for data in scale.sets:
        for kind in noise.LEVELS:
            runs = [("none", EQUAL, Run("none", data, {}))]
            runs += [(key, EQUAL, plan.standard(key, data)) for key in keys]
            for key in _present(plan, "ours"):
                run = plan.run(key, data, minutes=scale.minutes)
                runs.append((key, f"{scale.minutes:g} minutes", run))
            for key, budget, run in runs:
                labels = {"data": data, "noise": kind, "contender": key}
                piece = Piece("denoising", run, {"noise": kind})
                yield Entry({**labels, "budget": budget}, piece)


VARIANTS = {
    "all of it": {},
    "no rate reduction": {"encoder_rate": 0.0, "decoder_rate": 0.0},
    "rate reduction x10 in the encoder": {"encoder_rate": 1.0},
    "Multi": {"objective": "multi"},
    "Multi, x10 in the encoder": {"objective": "multi", "encoder_rate": 1.0},
    "no multi-stage term": {"stages": 0.0},
    "no cooperation": {"cooperation": False},
    "own statistics": {"shared_statistics": False},
    "every channel's deviation": {"isotropic": False},
    "no consistency": {"decoder_consistency": 0.0},
    "random first atoms": {"principal_images": 0, "frozen_stages": 0},
    "first atoms trained": {"frozen_stages": 0},
    "two solver steps": {"iterations": 2},
    "encoder's consistency too": {"encoder_consistency": 5.0},
    "published, Binary": who.PUBLISHED,
    "published, Multi": {**who.PUBLISHED, "objective": "multi"},
}


CONVOLUTIONAL = {
    "convolutional": {},
    "convolutional, first filters kept": who.FROZEN,
}


def parts(plan):
    """Variants of ours, with its settings; one thing changed in each."""
    variants = [("ours", *each) for each in VARIANTS.items()]
    variants += [("conv", *each) for each in CONVOLUTIONAL.items()]
    for data in plan.scale.ablated:
        for key, variant, changes in variants:
            run = plan.run(key, data, plan.scale.short_images, **changes)
            yield _evaluation(run, data=data, variant=variant)
            yield _unseen(plan, run, data=data, variant=variant)


ABLATIONS = {
    "sparsity": (
        "0,0,0",
        "0.02,0.5,0.5",
        sets.SPARSITY,
        "0.1,0.5,0.5",
        "0.2,0.5,0.5",
        "0.05,0.2,0.2",
        "0.05,1,1",
    ),
    "iterations": (1, 2, 3, 5, 10),
    "frozen_stages": (0, 1, 2),
    "tied": (False, True),
    "nonnegative": (False, True),
    "tight_frame": (True, False),
    "isotropic": (True, False),
    "stages": (30.0, 100.0, 300.0, 1000.0),
    "decoder_consistency": (0.0, 1.0, 5.0, 25.0),
    "epsilon": (0.1, 0.5, 2.0),
    "feature_dim": (32, 64, 128, 256),
    "update": ("simultaneous", "alternating"),
}
# What the flags are where an ablation does not change them: such a run is
# that of ours, described without the flag.
USUAL = {
    "sparsity": sets.SPARSITY,
    "iterations": 1,
    "frozen_stages": 1,
    "tied": False,
    "nonnegative": False,
    "tight_frame": True,
    "isotropic": True,
    "stages": 300.0,
    "decoder_consistency": 5.0,
    "epsilon": 0.5,
    "feature_dim": 128,
    "update": "simultaneous",
}
TO_CONVERGENCE = {"kind": "solved", "iterations": 30}


def ablations(plan):
    scale, data = plan.scale, plan.scale.sets[0]
    usual = {**USUAL, **scale.flags}
    for flag, values in ABLATIONS.items():
        for value in values:
            changes = {} if value == usual[flag] else {flag: value}
            run = plan.run("ours", data, scale.short_images, **changes)
            yield _evaluation(run, data=data, flag=flag, value=str(value))
    run = plan.run("ours", data, scale.short_images, **TO_CONVERGENCE)
    yield _evaluation(run, data=data, flag="iterations", value="solved")


def limits(plan):
    """Other numbers of features and other widths, at equal images.

    Then the most features with all else of long training.
    """
    scale, data = plan.scale, plan.scale.sets[-1]
    usual = {"feature_dim": FEATURES, **scale.flags}["feature_dim"]
    changes = [
        {} if size == usual else {"feature_dim": size}
        for size in scale.feature_dims
    ]
    if "filters" in scale.long_flags:
        changes.append({"filters": scale.long_flags["filters"]})
    for changed in changes:
        for key in _present(plan, "ours", "pixel", "pca"):
            run = plan.standard(key, data, **changed)
            size = run.flags.get("feature_dim", usual)
            labels = {"contender": key, "features": size, "budget": EQUAL}
            if key != "pca":
                yield _evaluation(run, **labels, filters=run.flags["filters"])
            elif "filters" not in changed:
                yield _evaluation(run, **labels)
    changed = _largest(scale)
    for key in _present(plan, "ours"):
        run = plan.run(key, data, minutes=scale.long_minutes, **changed)
        labels = {"contender": key, "features": changed["feature_dim"]}
        filters = run.flags["filters"]
        yield _evaluation(run, **labels, budget=LONG, filters=filters)


def _largest(scale):
    """Flags of long training with the most features."""
    return {**scale.long_flags, "feature_dim": scale.feature_dims[-1]}


STUDIES = {
    "0": Study(
        "Settings",
        "Which optimizer does each contender get? All are tuned over the same "
        "candidates, by the PSNR of images held out of training: the first "
        f"within {TIE_DB} dB of the best.",
        settings,
    ),
    "1": Study(
        "Quality and consistency",
        "How good are regenerated images, and do they come back as themselves?",
        quality,
    ),
    "2": Study(
        "Unseen data",
        "What does a model make of images of a kind it never saw?",
        unseen,
    ),
    "3": Study(
        "Batch size", "What do small batches cost, at equal images?", batches
    ),
    "4": Study(
        "Stability",
        "What do other learning rates and longer training do?",
        stability,
    ),
    "5": Study(
        "Noise",
        "What is made of noisy images, and does choosing the sparsity for "
        "them help?",
        denoising,
    ),
    "6": Study(
        "What does the work",
        "Which part of the objective brings images back, and which gives the "
        "features their structure?",
        parts,
    ),
    "7": Study("Ablations", "What do the other choices do?", ablations),
    "8": Study(
        "What limits quality",
        "Is it the objective, the network, or how few numbers an image "
        "becomes?",
        limits,
    ),
}


def _evaluation(run, **labels):
    return Entry(labels, Piece("evaluation", run, {}))


def _with_curve(run, **labels):
    yield _evaluation(run, **labels)
    yield Entry(labels, Piece("curve", run, {}))


def _unseen(plan, run, **labels):
    return Entry(
        labels, Piece("unseen", run, {"sets": list(plan.scale.tested)})
    )


def _present(plan, *keys):
    return [key for key in keys if key in plan.scale.contenders]


def _trained(plan):
    return _present(plan, *who.TRAINED)


def _closed_loops(plan):
    return _present(plan, *who.CLOSED_LOOPS)


def _rates(plan, key, data, factor):
    """Flags of the tuned learning rates times a factor; none for 1."""
    if factor == 1:
        return {}
    tuned = plan.tuned(key, data)
    return {
        name: round(factor * tuned[name], 8)
        for name in ("encoder_learning_rate", "decoder_learning_rate")
    }
