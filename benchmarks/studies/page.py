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
from benchmarks.studies.readings import RATE_REDUCTIONS
from keras_csc import visualization

QUALITY = [
    ("PSNR", "psnr", "{:.2f}"),
    ("SSIM", "ssim", "{:.3f}"),
    ("MS-SSIM", "ms_ssim", "{:.3f}"),
    ("Fréchet", "frechet_distance", "{:.2f}"),
    ("retrieval", "retrieval", "{:.3f}"),
    ("in pixels", "pixel_retrieval", "{:.3f}"),
]
TRAINING = [("PSNR, training images", "training_psnr", "{:.2f}")]
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
MOST_STAGES = 4  # a column that no network fills is left out
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
        # What all rest on is read last.
        numbers = sorted(self.studies, key=lambda number: number == "0")
        parts += [self._study(number) for number in numbers]
        parts.append(self._making())
        text = "\n\n".join(part for part in parts if part)
        new = self.folder / ".README.md-new"
        new.write_text(text + "\n")
        new.replace(self.folder / "README.md")

    def _head(self):
        missing = sum(self.results.missing.values())
        state = f"\n\n**Rows still missing: {missing}.**" if missing else ""
        return (
            "# The method's claims, measured\n\n"
            "“Ours” is CSC-CTRL with the multi-stage closed loop, cooperation, "
            "shared statistics and principal components as first atoms, of "
            "which those of the first stage stay. Its convolutional "
            "counterpart has all of this too, except that its first filters "
            "are trained. The published game stands beside it. Figures are of "
            "test splits, in inference mode; `±` is the standard deviation "
            "over seeds, and a figure without it is of one seed. Fréchet "
            "distances are in the features of a classifier trained here, and "
            f"compare with no others.{state}"
        )

    def _making(self):
        return (
            "## How this page is made\n\n"
            f"By `{self.command}`, which goes on where it was stopped; "
            "settings, code and rules are in `benchmarks/studies/`. "
            f"{self._about()} The date, commit and command of every row are "
            "in `benchmarks/results/claims.json`; the JSON files beside this "
            "page are of the runs in the project's README."
        )

    def _about(self):
        rows = {
            self.results.rows.path(result.piece): result.row
            for found in self.results.studies.values()
            for result in found
        }
        if not rows:
            return ""
        machines = {}
        for row in rows.values():
            about = row["about"]
            name = f"{about['processor']}, TensorFlow {about['tensorflow']}"
            machines.setdefault(name, set()).add(str(about["cores"]))
        listed = "; ".join(
            f"{' or '.join(sorted(cores))} cores of {name}"
            for name, cores in sorted(machines.items())
        )
        hours = sum(row["seconds"] for row in rows.values()) / 3600
        return f"Measured on {listed}, in {hours:.1f} hours."

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
        rules = self.folded(
            "The rules behind these verdicts",
            "They are code, `benchmarks/studies/verdicts.py`. “Above” and "
            "“better” are by more than two standard deviations of the "
            "difference, and by more than a margin (0.1 dB, 5 % of a "
            "distance).",
            rules,
        )
        return f"## Claims\n\n{tables.markdown(heads, lines)}\n\n{rules}"

    def _study(self, number):
        study = self.studies[number]
        title = study.title if number == "0" else f"{number}. {study.title}"
        parts = [f"## {title}", f"*{study.question}*"]
        missing = self.results.missing[number]
        if missing:
            parts.append(f"Rows still missing: {missing}.")
        parts.append(readings.READINGS[number](self.results))
        (self.folder / "pictures").mkdir(exist_ok=True)
        parts += LAYOUTS[number](self)
        return "\n\n".join(part for part in parts if part)

    def table(self, study, by, *columns, **only):
        return tables.table(self.results, study, by, sum(columns, []), **only)

    def folded(self, title, *parts):
        """What is shown when its title is clicked on."""
        parts = [part for part in parts if part]
        if not parts:
            return ""
        text = "\n\n".join(parts)
        return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"

    def picture(self, name, caption):
        return f"![{caption}](pictures/{name})\n\n*{caption}*"

    def curves(self, name, caption, curves, x, y, figure):
        """Draws a figure of the selected results, by caption of the curve."""
        series = {}
        for label, result in curves.items():
            figures = result.row["figures"]
            if figure in figures:
                series[label] = (figures[x[0]], figures[figure])
        return self.drawn(name, caption, series, x[1], y)

    def drawn(self, name, caption, series, x, y):
        """Draws a figure of pairs of lists of numbers, by caption."""
        if not series:
            return ""
        drawn = visualization.curve_figure(series, x, y)
        visualization.save_figure(self.folder / "pictures" / name, drawn)
        return self.picture(name, caption)


def _settings(page):
    by = {"data": "data", "contender": "contender"}
    candidate = {"optimizer": "optimizer", "rate": "rate"}
    return [
        page.folded(
            "All that was tried",
            page.table(
                "0", by | candidate, [("PSNR, validation", "psnr", "{:.2f}")]
            ),
        ),
        "Images/s in training, by which minutes are turned into steps, each "
        "measured with the machine to itself:",
        page.table(
            "0", {**by, "filters": "filters", "features": "features"}, RATE
        ),
    ]


def _quality(page):
    by = {"data": "data", "budget": "training", "contender": "contender"}
    scale = page.results.scale
    flags = " ".join(f"--{n}={v}" for n, v in scale.long_flags.items())
    parts = [
        f"“Equal images” are {scale.equal_images:,}; "
        f"“{scale.minutes:g} minutes” are as many images as two cores "
        "can take in them, by the rates below; “long” is the same for "
        f"{scale.long_minutes:g} minutes, with {flags}.",
        page.table("1", by, QUALITY, TRAINING),
        page.folded("Probes and structure", page.table("1", by, STRUCTURE)),
        _stages(page),
        page.folded("Weights, computation, images", page.table("1", by, SIZE)),
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
            ("images", "images seen"),
            "PSNR, dB",
            "shown_psnr",
        )
    )
    return parts


def _stages(page):
    """What simple classifiers make of every stage's codes, and features."""
    by = {"data": "data", "contender": "contender"}
    tables = []
    for title, figure, form in STRUCTURE[:3]:
        columns = [
            (f"stage {n + 1}", f"stages/{n}/{figure}", form)
            for n in range(MOST_STAGES)
        ]
        columns.append(("features", figure, form))
        tables.append(f"{title}:")
        tables.append(page.table("1", by, columns, budget=[EQUAL]))
    return page.folded(
        "Accuracy of simple classifiers of every stage's codes", *tables
    )


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
    def table(figure, form):
        columns = [
            (SETS[name].title, f"{name}/{figure}", form)
            for name in page.results.scale.tested
        ]
        by = {"data": "trained on", "contender": "contender"}
        return page.table("2", by, columns)

    return [
        "PSNR, dB, tested on (in the colours of the training set):",
        table("psnr", "{:.1f}"),
        page.folded("Retrieval by pixels", table("pixel_retrieval", "{:.2f}")),
    ]


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
        parts.append(_noise_curves(page, data))
        for kind in noise.LEVELS:
            lines, levels = [], [str(level) for level in noise.LEVELS[kind]]
            found = results.select("5", data=data, noise=kind)
            for result in found:
                lines += _noise_lines(result, levels, not lines)
            title = f"{SETS[data].title}, {kind.replace('_', ' ')}; PSNR, dB"
            heads = ["contender", "method", *levels]
            table = tables.markdown(heads, lines)
            parts.append(page.folded(title, table))
    return parts


def _noise_curves(page, data):
    """Of Gaussian noise: the kept denoisers, and the longer trained of ours."""
    found = page.results.select("5", data=data, noise="gaussian")
    series = {}
    for result in found:
        figures = result.row["figures"]
        key = result.labels["contender"]
        if key not in ("none", "ours") or "failed" in figures:
            continue
        levels = [float(level) for level in figures]
        noisy = [figures[level]["noisy"] for level in figures]
        series["noisy image"] = (levels, noisy)
        for method in figures[next(iter(figures))]:
            if method not in ("noisy", "first stage alone"):
                label = method if key == "none" else f"ours, {method}"
                values = [figures[level][method]["psnr"] for level in figures]
                series[label] = (levels, values)
    title = f"{SETS[data].title}: noisy images, and what is made of them"
    return page.drawn(f"{data}-noise.png", title, series, "σ", "PSNR, dB")


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
    rows, columns = ("variant", "variant"), ("data", "")
    return [
        "PSNR, dB:",
        tables.pivot(page.results, "6", rows, columns, "psnr", "{:.2f}"),
        "What the rate reduction does to the features:",
        page.table("6", by, STRUCTURE, QUALITY[:4], variant=RATE_REDUCTIONS),
        page.folded("All figures", page.table("6", by, QUALITY, STRUCTURE)),
        page.folded("On other data", page.table("6", by, elsewhere)),
    ]


def _ablations(page):
    by = {"flag": "flag", "value": "value"}
    return [page.table("7", by, QUALITY, STRUCTURE[:1], FIRST_STAGE, SIZE[:2])]


def _limits(page):
    by = {"features": "features", "filters": "filters", "budget": "training"}
    by["contender"] = "contender"
    scale = page.results.scale
    return [
        f"{SETS[scale.sets[-1]].title}; “equal images” and “long” are those "
        "of study 1:",
        page.table("8", by, QUALITY, SIZE[:2]),
    ]


LAYOUTS = {
    "0": _settings,
    "1": _quality,
    "2": _unseen,
    "3": _batches,
    "4": _stability,
    "5": _noise,
    "6": _parts,
    "7": _ablations,
    "8": _limits,
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
