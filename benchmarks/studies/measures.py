"""What is measured of a run; every function returns a piece's figures."""

import statistics

from training import encoding
from training.probing import accuracies
from training.probing import angle_figures

import numpy as np

from benchmarks.studies import data as sets
from benchmarks.studies import drawing
from benchmarks.studies import noise
from benchmarks.studies.runs import TrainingFailed
from keras_csc import metrics

SHOWN = 10
KEPT = 6
CURVE_POINTS = 40
CURVES = (
    "shown_psnr",
    "objective",
    "features_rate",
    "reconstructed_rate",
    "encoder_gradient_norm",
    "decoder_gradient_norm",
)


class Bench:
    """What the measures work with.

    Args:
        library: `data.Library`.
        runs: `runs.Runs`.
        rows: `pieces.Rows`.
        scale: `plan.Scale`.
        judges: `judges.Judges`.
    """

    def __init__(self, library, runs, rows, scale, judges):
        self.library = library
        self.runs = runs
        self.rows = rows
        self.scale = scale
        self.judges = judges
        self._images = {}

    def images(self, name, split, channels=None):
        """Images in [-1, 1] and labels, as many as the scale's limit."""
        key = (name, split, channels)
        if key not in self._images:
            if len(self._images) >= KEPT:
                self._images.clear()
            images, labels = self.library.images(
                name, split, self.scale.limit, channels
            )
            self._images[key] = (sets.to_float(images), labels)
        return self._images[key]

    def measure(self, piece):
        """The figures of a piece; trains its run if that is missing."""
        try:
            return MEASURES[piece.measure](self, piece)
        except TrainingFailed as failure:
            return {"failed": str(failure)}


def validation(bench, piece):
    """PSNR on images held out of training: what settings are chosen by."""
    subject = bench.runs.load(piece.run)
    images, _ = bench.images(piece.run.data, "validation")
    reconstructions = subject.decode(subject.encode(images))
    return {"psnr": psnr(images, reconstructions), "images": len(images)}


def rate(bench, piece):
    """Images a second in training, past the first interval."""
    bench.runs.train(piece.run)
    return {"images_per_second": _rate(bench.runs.log(piece.run))}


def evaluation(bench, piece):
    """Quality, consistency, structure and probes on the test split."""
    run = piece.run
    subject = bench.runs.load(run)
    images, labels = bench.images(run.data, "test")
    train_images, train_labels = bench.images(run.data, "train")
    features = subject.encode(images)
    reconstructions = subject.decode(features)
    shown = [images[:SHOWN], reconstructions[:SHOWN]]
    drawing.save_strips(bench.rows.path(piece, ".png"), shown)
    return {
        "images": len(images),
        **quality(images, reconstructions),
        **consistency(subject, images, features, reconstructions),
        "frechet_distance": bench.judges.distance(
            run.data, images, reconstructions
        ),
        **structure(features, labels),
        **probes(subject.encode(train_images), train_labels, features, labels),
        **subject.size(),
        **training_figures(bench.runs, run),
    }


def training_images(bench, piece):
    """PSNR of images of the training split.

    More than of the test split, and by more than PCA's: learned by heart.
    """
    subject = bench.runs.load(piece.run)
    images, _ = bench.images(piece.run.data, "train")
    reconstructions = subject.decode(subject.encode(images))
    return {"training_psnr": psnr(images, reconstructions)}


def unseen(bench, piece):
    """Quality and consistency on the test splits of other sets."""
    subject = bench.runs.load(piece.run)
    figures = {}
    for name in piece.arguments["sets"]:
        images, _ = bench.images(name, "test", sets.channels(piece.run.data))
        features = subject.encode(images)
        reconstructions = subject.decode(features)
        figures[name] = {
            **quality(images, reconstructions),
            **consistency(subject, images, features, reconstructions),
        }
    return figures


def curve(bench, piece):
    """How training went; of a run that failed, as far as it got."""
    failed = {}
    try:
        bench.runs.train(piece.run)
    except TrainingFailed as failure:
        failed = {"failed": str(failure)}
    records = bench.runs.log(piece.run)
    records = records[:: max(1, len(records) // CURVE_POINTS)]
    batch = piece.run.flags["batch_size"]
    figures = {
        "images": [record["step"] * batch for record in records],
        "seconds": _seconds(records),
    }
    for name in CURVES:
        if name in records[0]:
            figures[name] = [float(f"{r[name]:.5g}") for r in records]
    return {**figures, **failed}


def stages(bench, piece):
    """Accuracy of simple classifiers of every stage's codes, pooled."""
    model = bench.runs.load(piece.run).model
    splits = []
    for split in ("train", "test"):
        images, labels = bench.library.images(
            piece.run.data, split, bench.scale.limit
        )
        codes = encoding.pooled_stages(model, images)
        splits.append([(each, labels) for each in codes])
    return {"stages": [probes(*train, *test) for train, test in zip(*splits)]}


def pictures(bench, piece):
    """Atoms, code maps of one image, and the similarity of features."""
    subject = bench.runs.load(piece.run)
    images, labels = bench.images(piece.run.data, "test")
    drawn = drawing.inside(subject, images, labels)
    for name, save in drawn.items():
        save(bench.rows.path(piece, f"-{name}.png"))
    return {"pictures": list(drawn)}


def denoising(bench, piece):
    """PSNR of what is made of noisy images; see `noise.denoising`."""
    run = piece.run
    channels = sets.channels(run.data)
    clean = {
        split: bench.images(run.data, split, channels)[0]
        for split in ("validation", "test")
    }
    count = bench.scale.noise_images
    clean["validation"] = clean["validation"][: max(5, count // 4)]
    clean["test"] = clean["test"][:count]
    if run.kind == "none":
        methods = noise.peers()
    else:
        methods = noise.methods(bench.runs.load(run))
    return noise.denoising(methods, clean, piece.arguments["noise"])


MEASURES = {
    "validation": validation,
    "rate": rate,
    "evaluation": evaluation,
    "training_images": training_images,
    "stages": stages,
    "unseen": unseen,
    "curve": curve,
    "pictures": pictures,
    "denoising": denoising,
}


def psnr(images, reconstructions):
    """Mean PSNR of images, in dB."""
    return float(
        np.mean(metrics.peak_signal_to_noise_ratio(images, reconstructions))
    )


def quality(images, reconstructions):
    pair = (images, reconstructions)
    multiscale = metrics.multiscale_structural_similarity(*pair)
    return {
        "psnr": psnr(*pair),
        "ssim": float(np.mean(metrics.structural_similarity(*pair))),
        "ms_ssim": float(np.mean(multiscale)),
    }


def consistency(subject, images, features, reconstructions):
    """Whether images come back as themselves, in features and in pixels."""
    again = subject.encode(reconstructions)
    return {
        "cosine": metrics.cosine_similarity(features, again),
        "retrieval": metrics.retrieval_rate(features, again),
        "pixel_retrieval": metrics.pixel_retrieval_rate(
            images, reconstructions
        ),
    }


def structure(features, labels):
    """Ranks of the features, and how far the classes' subspaces are apart."""
    figures = {"effective_rank": metrics.effective_rank(features)}
    if (labels < 0).all():
        return figures
    angles = angle_figures(features, labels)  # none of collapsed features
    if angles:
        figures["class_angle_degrees"] = angles["subspace_angle"]
    ranks = metrics.class_effective_ranks(features, labels)
    return {**figures, "class_effective_rank": float(np.mean(ranks))}


def probes(train_features, train_labels, features, labels):
    """Accuracy of simple classifiers on the features, learned unlabelled."""
    if (labels < 0).all() or (train_labels < 0).all():
        return {}
    found = accuracies(train_features, train_labels, features, labels)
    return {"linear_accuracy": found.pop("linear_probe_accuracy"), **found}


def training_figures(runs, run):
    """Steps, images, minutes and rate of a run's training."""
    if "steps" not in run.flags:
        return {}
    records = runs.log(run)
    zeros = [
        value
        for name, value in sorted(records[-1].items())
        if name.startswith("zero_fraction/")
    ]
    return {
        "steps": run.flags["steps"],
        "images_seen": run.flags["steps"] * run.flags["batch_size"],
        "training_seconds": runs.record(run)["seconds"],
        "images_per_second": _rate(records),
        "zero_fraction": zeros,
    }


def _rate(records):
    rates = [record["images_per_second"] for record in records]
    return float(statistics.median(rates[1:] or rates))


def _seconds(records):
    """Seconds from the first record, without the pauses between sessions."""
    steps = np.diff([record["time"] for record in records])
    typical = np.median(steps) if len(steps) else 0.0
    steps = np.minimum([typical, *steps], 5 * typical)
    return [round(float(value), 1) for value in np.cumsum(steps)]
