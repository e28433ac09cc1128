"""The page that a person reads: README.md and pictures from the rows."""

import pathlib
import shutil

from training.workdir import write_json

from benchmarks.studies import drawing
from benchmarks.studies import noise
from benchmarks.studies import readings
from benchmarks.studies import results as tables
from benchmarks.studies import verdicts
from benchmarks.studies.contenders import CONTENDERS
from benchmarks.studies.data import SETS
from benchmarks.studies.definitions import EQUAL
from benchmarks.studies.definitions import LONG
from benchmarks.studies.pieces import describe
from keras_csc import visualization

QUALITY = [
    ("PSNR", "psnr", "{:.2f}"),
    ("SSIM", "ssim", "{:.3f}"),
    ("MS-SSIM", "ms_ssim", "{:.3f}"),
    ("Fréchet", "frechet_distance", "{:.2f}"),
    ("retrieval", "retrieval", "{:.3f}"),
    ("in pixels", "pixel_retrieval", "{:.3f}"),
]
STRUCTURE = [
    ("nearest subspace", "nearest_subspace_accuracy", "{:.3f}"),
    ("kNN", "knn_accuracy", "{:.3f}"),
    ("linear", "linear_accuracy", "{:.3f}"),
    ("rank", "effective_rank", "{:.1f}"),
    ("rank of a class", "class_effective_rank", "{:.1f}"),
    ("angle of classes, °", "class_angle_degrees", "{:.1f}"),
]
SIZE = [
    ("weights", "parameters", "{:,.0f}"),
    ("encoder multiply-adds", "encoder_multiply_adds", "{:,.0f}"),
    ("decoder multiply-adds", "decoder_multiply_adds", "{:,.0f}"),
    ("images seen", "images_seen", "{:,.0f}"),
]
RATE = [("images/s", "images_per_second", "{:.0f}")]
INSIDES = {
    "atoms": "atoms",
    "codes": "codes of one image",
    "similarity": "abs(cosine) of test features, by class",
}
FIRST_STAGE = [("zeros in stage 1", "zero_fraction/0", "{:.2f}")]


class Page:
    """Writes the page, its pictures and the collected figures.

    Args:
        results: `results.Results`.
        studies: dict of `definitions.Study`.
        folder: for `README.md` and `pictures/`.
        command: string, what makes the page again.
    """

    def __init__(self, results, studies, folder, command):
        self.results = results
        self.studies = studies
        self.folder = pathlib.Path(folder)
        self.command = command

    def write(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = [self._head(), self._claims()]
        parts += [self._study(number) for number in self.studies]
        text = "\n\n".join(part for part in parts if part)
        new = self.folder / ".README.md-new"
        new.write_text(text + "\n")
        new.replace(self.folder / "README.md")

    def _head(self):
        missing = sum(self.results.missing.values())
        made = self._about()
        state = f"**{missing} rows are still missing.** " if missing else ""
        return (
            "# The method's claims, measured\n\n"
            f"{state}Made by `{self.command}`, which goes on where it was "
            "stopped and writes this page anew; settings, code and rules are "
            "in `benchmarks/studies/`. Test splits, inference mode; `±` is "
            "the standard deviation over seeds, and a figure without it is of "
            "one seed. Fréchet distances are in the features of a classifier "
            "trained here, and compare with no others. "
            "“Ours” is CSC-CTRL with the multi-stage closed loop, cooperation, "
            "shared statistics and principal components as first atoms, of "
            "which those of the first stage stay; its convolutional "
            "counterpart has all of this too, except that its first filters "
            "are trained. It is not the published game, which stands beside "
            f"it. {made} The date, commit "
            "and command of every row are in `benchmarks/results/claims.json`; "
            "the JSON files beside this page are of the runs in the project's "
            "README."
        )

    def _about(self):
        rows = {
            self.results.rows.path(result.piece): result.row
            for found in self.results.studies.values()
            for result in found
        }
        machines = {
            f"{row['about']['cores']} cores of {row['about']['processor']}, "
            f"TensorFlow {row['about']['tensorflow']}"
            for row in rows.values()
        }
        if not rows:
            return ""
        hours = sum(row["seconds"] for row in rows.values()) / 3600
        return (
            f"Measured on {'; '.join(sorted(machines))}, in {hours:.1f} hours."
        )

    def _claims(self):
        lines = []
        for claim in verdicts.CLAIMS:
            cells = []
            for key in ("ours", "game"):
                verdict, because = claim.judge(self.results, key)
                because = f" ({because})" if because else ""
                cells.append(f"**{verdict}**{because}" if verdict else "")
            lines.append([claim.title, *cells])
        heads = ["claim", "ours", "the published game"]
        rules = "\n".join(
            f"- *{claim.title}*: {claim.rule}" for claim in verdicts.CLAIMS
        )
        return (
            f"## Claims\n\n{tables.markdown(heads, lines)}\n\nThe rules, which "
            "are code (`benchmarks/studies/verdicts.py`); “above” and “better” "
            "are by more than two standard deviations of the difference, and "
            f"by more than a margin (0.1 dB, 5 % of a distance):\n\n{rules}"
        )

    def _study(self, number):
        study = self.studies[number]
        parts = [f"## {number}. {study.title}", f"*{study.question}*"]
        missing = self.results.missing[number]
        if missing:
            parts.append(f"{missing} of its rows are missing.")
        parts.append(readings.READINGS[number](self.results))
        (self.folder / "pictures").mkdir(exist_ok=True)
        parts += LAYOUTS[number](self)
        return "\n\n".join(part for part in parts if part)

    def table(self, study, by, *columns):
        return tables.table(self.results, study, by, sum(columns, []))

    def picture(self, name, caption):
        return f"![{caption}](pictures/{name})\n\n*{caption}*"

    def curves(self, name, caption, curves, x, y, figure):
        """Draws a figure of the selected results, by caption of the curve."""
        series = {}
        for label, result in curves.items():
            figures = result.row["figures"]
            if figure in figures:
                series[label] = (figures[x[0]], figures[figure])
        if not series:
            return ""
        drawn = visualization.curve_figure(series, x[1], y)
        visualization.save_figure(self.folder / "pictures" / name, drawn)
        return self.picture(name, caption)


def _settings(page):
    by = {"data": "data", "contender": "contender"}
    candidate = {"optimizer": "optimizer", "rate": "rate"}
    return [
        page.table(
            "0", by | candidate, [("PSNR, validation", "psnr", "{:.2f}")]
        ),
        "Images/s in training, by which minutes are turned into steps, each "
        "measured with the machine to itself:",
        page.table("0", {**by, "filters": "filters"}, RATE),
    ]


def _quality(page):
    by = {"data": "data", "budget": "training", "contender": "contender"}
    parts = [
        page.table("1", by, columns) for columns in (QUALITY, STRUCTURE, SIZE)
    ]
    for data in page.results.scale.sets:
        parts.append(_comparison(page, data))
        parts += _insides(page, data)
    long = page.results.select("1", "curve", budget=LONG)
    curves = {CONTENDERS[r.labels["contender"]].name: r for r in long}
    parts.append(
        page.curves(
            "long.png",
            "PSNR of 40 test images during long training",
            curves,
            ("seconds", "seconds of training"),
            "PSNR, dB",
            "shown_psnr",
        )
    )
    return parts


def _comparison(page, data):
    strips, names = [], []
    found = page.results.select(
        "1", "evaluation", data=data, budget=EQUAL, seed=0
    )
    for result in found:
        path = page.results.rows.path(result.piece, ".png")
        if not path.exists():
            continue
        images, reconstructions = drawing.load_strips(path)
        strips = strips or [images]
        strips.append(reconstructions)
        names.append(result.labels["contender"])
    if not strips:
        return ""
    grid = visualization.comparison_grid(
        strips, ["test image", *names], columns=len(strips[0]), scale=2
    )
    name = f"{data}.png"
    visualization.save_png(page.folder / "pictures" / name, grid)
    return page.picture(
        name, f"{SETS[data].title}: test images, and what each made of them"
    )


def _insides(page, data):
    """Pictures of networks; of the convolutional one its features only."""
    parts = []
    for result in page.results.select("1", "pictures", data=data):
        key = result.labels["contender"]
        cells = []
        for name in result.row["figures"].get("pictures", []):
            if key == "conv" and name != "similarity":
                continue
            source = page.results.rows.path(result.piece, f"-{name}.png")
            target = f"{data}-{key}-{name}.png"
            shutil.copyfile(source, page.folder / "pictures" / target)
            kind, _, stage = name.partition("_")
            caption = f"{INSIDES[kind]}, stage {stage}".removesuffix(", stage ")
            cells.append((caption, f"![](pictures/{target})"))
        title = f"{CONTENDERS[key].name} on {SETS[data].title}:"
        # Three pictures a row.
        for start in range(0, len(cells), 3):
            heads, pictures = zip(*cells[start : start + 3])
            parts += [title, tables.markdown(list(heads), [pictures])]
            title = ""
    return parts


def _unseen(page):
    by = {"data": "trained on", "contender": "contender"}
    parts = []
    for title, figure, form in (
        ("PSNR, dB", "psnr", "{:.1f}"),
        ("Retrieval by pixels", "pixel_retrieval", "{:.2f}"),
    ):
        columns = [
            (SETS[name].title, f"{name}/{figure}", form)
            for name in page.results.scale.tested
        ]
        parts.append(f"{title}, tested on:")
        parts.append(page.table("2", by, columns))
    parts.append("Tested in the colours of the training set.")
    return parts


def _batches(page):
    rows, columns = ("contender", "contender"), ("batch", "batch")
    return [
        "PSNR, dB; learning rates go with the root of the batch size:",
        tables.pivot(page.results, "3", rows, columns, "psnr", "{:.2f}"),
        "Retrieval:",
        tables.pivot(page.results, "3", rows, columns, "retrieval", "{:.3f}"),
    ]


def _stability(page):
    by = {"contender": "contender", "rate": "rate ×", "longer": "images ×"}
    shown = page.results.select("4", "curve", contender="ours", longer=1)
    curves = {f"rate × {r.labels['rate']}": r for r in shown}
    x = ("images", "images seen")
    parts = [page.table("4", by, QUALITY, STRUCTURE[3:4])]
    for name, y, figure in (
        ("rates-psnr.png", "PSNR, dB", "shown_psnr"),
        ("rates-objective.png", "ΔR, nats", "objective"),
    ):
        caption = f"Ours: {y.partition(',')[0]} at several learning rates"
        parts.append(page.curves(name, caption, curves, x, y, figure))
    return parts


def _noise(page):
    parts = []
    results = page.results
    for data in results.scale.sets:
        for kind in noise.LEVELS:
            lines, levels = [], [str(level) for level in noise.LEVELS[kind]]
            found = results.select("5", data=data, noise=kind)
            for result in found:
                lines += _noise_lines(result, levels, not lines)
            title = f"{SETS[data].title}, {kind.replace('_', ' ')}; PSNR, dB:"
            heads = ["contender", "method", *levels]
            parts += [title, tables.markdown(heads, lines)] if lines else []
    return parts


def _noise_lines(result, levels, first):
    key, figures = result.labels["contender"], result.row["figures"]
    if "failed" in figures:
        return []
    name = CONTENDERS[key].name if key in CONTENDERS else "denoiser"
    if result.labels["budget"] != EQUAL:
        name += f", {result.labels['budget']}"
    methods = figures[levels[0]]
    lines = []
    for method in methods:
        if method == "noisy":
            cells = [f"{figures[level]['noisy']:.1f}" for level in levels]
            lines += [["", "noisy image", *cells]] if first else []
            continue
        cells = [_noise_cell(figures[level][method]) for level in levels]
        lines.append([name, method, *cells])
    return lines


def _noise_cell(found):
    chosen = found["parameter"]
    chosen = "" if chosen is None else f" ({chosen:g})"
    return f"{found['psnr']:.1f}{chosen}"


def _parts(page):
    by = {"data": "data", "variant": "variant"}
    elsewhere = [
        (f"PSNR, {SETS[name].title}", f"{name}/psnr", "{:.1f}")
        for name in page.results.scale.tested
    ]
    return [
        page.table("6", by, QUALITY, STRUCTURE),
        "On other data:",
        page.table("6", by, elsewhere),
    ]


def _ablations(page):
    by = {"flag": "flag", "value": "value"}
    return [page.table("7", by, QUALITY, STRUCTURE[:1], FIRST_STAGE, SIZE[:2])]


LAYOUTS = {
    "0": _settings,
    "1": _quality,
    "2": _unseen,
    "3": _batches,
    "4": _stability,
    "5": _noise,
    "6": _parts,
    "7": _ablations,
}


def collect(results, studies, path):
    """Writes all figures to one JSON file."""
    collected = {
        number: {
            "title": study.title,
            "question": study.question,
            "missing": results.missing[number],
            "rows": [
                {"labels": result.labels, **result.row}
                for result in results.studies[number]
            ],
        }
        for number, study in studies.items()
    }
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, describe(collected))
