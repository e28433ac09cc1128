"""What the studies need before they can be written down as runs.

Settings are tuned, and rates measured, by pieces like all others. As long as
those are missing a study is made of provisional runs: with the first
candidate's settings and a guessed rate, good enough for a list.
"""

import collections

from benchmarks.studies import contenders as who
from benchmarks.studies import data as sets
from benchmarks.studies.pieces import Entry
from benchmarks.studies.pieces import Piece
from benchmarks.studies.pieces import Run
from benchmarks.studies.pieces import name

Scale = collections.namedtuple(
    "Scale",
    [
        "contenders",
        "sets",
        "trained_on",
        "tested",
        "seeds",
        "candidates",
        "minutes",
        "long_minutes",
        "long_flags",
        "equal_images",
        "tuning_images",
        "short_images",
        "longer",
        "rate_steps",
        "limit",
        "judge_steps",
        "batch_sizes",
        "rate_factors",
        "noise_images",
        "ablated",
        "feature_dims",
        "flags",
    ],
)
Scale.__doc__ = """How much of everything, the same for all contenders.

contenders: keys of `CONTENDERS`.
sets: data sets of study 1, whose settings and rates stand for all others of
    their number of channels.
trained_on, tested: data sets of study 2; ours is trained on all of them.
seeds: of study 1, but for long training and the games in equal time.
candidates: how many of `CANDIDATES` are tried.
minutes, long_minutes: of training in study 1.
long_flags: flags of the long training, which is worth a wider network.
equal_images: images seen in study 1 where all see as many; the models of its
    first seed are those of the studies 2 and 5.
tuning_images, short_images: images seen by a tuning run and by a run of the
    studies 3, 4, 6 and 7.
longer: factor of longer training in study 4.
rate_steps: steps of a run that measures a rate.
limit: images of a split that a measure uses.
judge_steps: of the training of the classifiers behind Fréchet distances.
batch_sizes, rate_factors: of studies 3 and 4.
noise_images: test images of study 5.
ablated: data sets of study 6; the first grey one of `sets` is that of 3, 4, 7.
feature_dims: of study 8, which is on the last of `sets`, from few to many.
flags: flags of every run.
"""

FULL = Scale(
    contenders=tuple(who.CONTENDERS),
    sets=("fashion_mnist", "cifar10"),
    trained_on=("fashion_mnist", "cifar10"),
    tested=sets.TESTED,
    seeds=(0, 1, 2),
    candidates=3,
    minutes=5,
    long_minutes=60,
    long_flags={"filters": "48,128,256", "horizontal_flip": True},
    equal_images=64_000,
    tuning_images=64_000,
    short_images=32_000,
    longer=4,
    rate_steps=120,
    limit=5000,
    judge_steps=1000,
    batch_sizes=(16, 32, 64, 128, 512, 2048),
    rate_factors=(0.3, 1, 3, 10),
    noise_images=100,
    ablated=("fashion_mnist", "cifar10", "digits"),
    feature_dims=(64, 128, 256),
    flags={},
)
TINY = FULL._replace(
    sets=("digits",),
    trained_on=("digits", "photographs"),
    tested=("digits", "photographs"),
    seeds=(0, 1),
    candidates=2,
    minutes=0.02,
    long_minutes=0.03,
    long_flags={"filters": "4,16,16"},
    equal_images=512,
    tuning_images=256,
    short_images=512,
    longer=2,
    rate_steps=8,
    limit=100,
    judge_steps=10,
    batch_sizes=(16, 64),
    rate_factors=(1, 10),
    noise_images=10,
    ablated=("digits",),
    feature_dims=(8, 16),
    flags={"filters": "4,8,8", "feature_dim": 16, "batch_size": 64},
)
SCALES = {"full": FULL, "tiny": TINY}

# Images a second on two CPU cores, until they are measured.
GUESSED_RATES = {"closed_loop": 900, "pixel": 1400, "vae": 1800, "solved": 100}
FEATURES = 128
# Below which a difference between settings counts as none.
TIE_DB = 0.1


class Plan:
    """Writes runs down, with what is known.

    Args:
        scale: `Scale`.
        rows: `Rows`.
    """

    def __init__(self, scale, rows):
        self.scale = scale
        self.rows = rows

    def run(self, key, data, images=None, minutes=None, tuned=None, **changes):
        """The run of a contender.

        Args:
            key: of `CONTENDERS`.
            data: of `data.SETS`.
            images: number of images that training sees.
            minutes: of training, at the measured rate; instead of `images`.
            tuned: flags of the optimizer, by default the tuned ones.
            **changes: flags to replace, and `kind`.
        """
        kind = changes.pop("kind", who.CONTENDERS[key].kind)
        flags = {**sets.SETS[data].flags, **self.scale.flags}
        if kind == "pca":
            size = {**flags, **changes}.get("feature_dim", FEATURES)
            return Run(kind, data, {"feature_dim": size})
        flags = {
            **who.COMMON,
            **flags,
            **who.CONTENDERS[key].flags,
            **(tuned or self.tuned(key, data)),
            **changes,
        }
        if minutes is not None:
            measured = {k: v for k, v in changes.items() if k != "seed"}
            images = 60 * minutes * self.rate(key, data, **measured)
        steps = max(1, round(images / flags["batch_size"]))
        return Run(kind, data, {**flags, "steps": steps})

    def of_its_kind(self, data):
        """The set of study 1 that stands for another in settings and rates."""
        for own in self.scale.sets:
            if sets.is_grey(own) == sets.is_grey(data):
                return own
        return self.scale.sets[0]

    # === Tuning ===

    def candidates(self, key, data):
        """Entries of the tuning runs of a contender."""
        for tuned in who.CANDIDATES[: self.scale.candidates]:
            run = self.run(key, data, self.scale.tuning_images, tuned=tuned)
            labels = {
                "contender": key,
                "data": data,
                "optimizer": tuned["optimizer"],
                "rate": tuned["encoder_learning_rate"],
            }
            yield Entry(labels, Piece("validation", run, {}))

    def tuned(self, key, data):
        """Flags of the first candidate as good as any on validation images.

        Whose PSNR is within `TIE_DB` of the highest.
        """
        entries = list(self.candidates(key, self.of_its_kind(data)))
        figures = [self.rows.figures(entry.piece) for entry in entries]
        if None in figures:
            return who.CANDIDATES[0]
        scores = [f.get("psnr", float("-inf")) for f in figures]
        good = [score >= max(scores) - TIE_DB for score in scores]
        return who.CANDIDATES[good.index(True)]

    # === Rates ===

    def rate_entry(self, key, data, **changes):
        """Entry of the measurement of a contender's rate."""
        batch = {**who.COMMON, **self.scale.flags}["batch_size"]
        images = self.scale.rate_steps * batch
        run = self.run(key, data, images, tuned=who.CANDIDATES[0], **changes)
        labels = {
            "contender": key,
            "data": data,
            "filters": run.flags["filters"],
            "features": run.flags.get("feature_dim", FEATURES),
        }
        return Entry(labels, Piece("rate", run, {}))

    def rate(self, key, data, **changes):
        """Images a second in training; guessed until it is measured."""
        own = self.of_its_kind(data)
        piece = self.rate_entry(key, own, **changes).piece
        figures = self.rows.figures(piece) or {}
        return figures.get(
            "images_per_second", GUESSED_RATES.get(piece.run.kind)
        )

    def standard(self, key, data, **changes):
        """The run of study 1 at equal images, which others use again."""
        return self.run(key, data, self.scale.equal_images, **changes)

    # === Time ===

    def seconds(self, piece, trained):
        """A guess of what a piece takes; without training if it is done."""
        run = piece.run
        if run.kind not in GUESSED_RATES or name(run) in trained:
            return 20
        rate = GUESSED_RATES[run.kind]
        if run.kind != "solved":
            rate /= max(1, run.flags.get("iterations", 2) / 2)
        if run.flags.get("network") == "conv":
            rate *= 2
        return 30 + run.flags["steps"] * run.flags["batch_size"] / rate
