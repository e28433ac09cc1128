"""Writes the page of the studies, docs/results/README.md, from their table.

python studies/page.py
"""

import pathlib

from keras_csc_cli import command_line

from keras_csc.files import replacing
from studies import plan
from studies import run_tables
from studies import verdicts
from studies.judging import Table
from studies.judging import verdict
from studies.run_tables import WHOLE
from studies.run_tables import marked
from studies.runs import SETS
from studies.runs import TABLE
from studies.tables import markdown
from studies.tables import rows_of

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGE = DOCS / "results" / "README.md"
IMAGES = "same class", "PSNR, dB", "5-NN", "Fréchet"
OF_STUDY = {
    "published": (
        *("PSNR, dB", "retrieval", "same class", "nearest subspace", "zeros"),
        "seconds",
    ),
    "quality": (
        *("labels", "PSNR, dB", "Fréchet", "same class", "5-NN"),
        *("nearest subspace", "retrieval", "zeros", *WHOLE),
    ),
    "players": (*IMAGES, *WHOLE),
    "game": (*IMAGES, "explained", "zeros", "seconds"),
    "front": (*IMAGES, "of samples"),
    "time": (*IMAGES, "zeros", "steps", "seconds"),
}
LEAD = """\
Claims, the rules that judge them, and what came out. *Our game* is that of the
flag files; *the published game* is that of the files `*_published.flags`. A
claim whose runs are missing is *not run*."""
RULES = """\
The rules are in [studies/verdicts.py](../../studies/verdicts.py). Where there
are several seeds, means are judged. The rules on our game are older than their
runs. So are the rules on the published game, with three exceptions. The
thresholds of clothes came after figures of validation images, by which the
game's settings were chosen. The rule of fifteen pairs of rates came when nine
pairs had run. The rule of the clothes' rates, and the search for rates with
smaller batches, came when one pair had run."""
INTRODUCTION = f"""\
A model of sparse coding layers is one network: its decoder draws with the
encoder's atoms. There is a row for every run that was measured. The published
game plays for a rate reduction alone, in alternating steps. Our game plays for
the same rate reduction in one pass, with a memory of many batches, the stages'
own errors and the multi-stage term.

In comparisons every method trains for equal time of one core, {plan.MINUTES}
minutes where nothing else is said. The number of its steps comes from the
measured rate of its training ([studies/rates.json](../../studies/rates.json)).
Each has 128 numbers an image, and 64 for digits. Convolutions are as wide as
signed codes and their negatives, or narrower, with as many weights as sparse
coding. The published games take 100 to 800 steps here, and 45,000 in the code
of their authors: the figures say nothing of them at that length."""
PICTURES = {
    "batches": {
        "digits": "The published game with smaller batches: regenerations of "
        "test digits, with seed 1."
    },
    "front": {
        data: "Test images, and below them their regenerations, by the weight "
        "of the multi-stage term."
        for data in SETS
    },
}
LEGEND = """\
*Same class*: the share of regenerations that a classifier, trained on real
images, puts in the image's class. The row *test images* has what the same
classifier says of the images themselves. *Retrieval*: the share of
regenerations whose nearest neighbour among the features of all test images is
their own image. *Nearest subspace*: accuracy of the subspaces of 10 components
that the classes of 5,000 training images span. *5-NN*: accuracy of five
neighbours of centred features. *Labels*: whether training used the images'
classes. By stage: *zeros*, the share of the codes that are 0; *explained*, the
share of the input that the codes draw, `1 - Σ(x - D z)² / Σx²`. *Fréchet*: a
distance between images and regenerations in that classifier's features, which
compares with no others; *of samples*: the same distance of samples.
A figure after ± is the standard deviation over seeds; without one there is one
seed. *Seconds*: of training, by the clock. They do not compare speeds: machines
differed, and other work ran beside."""


def picture_of(study, data):
    """Path of the picture of a study's regenerations of a set."""
    return DOCS / "pictures" / f"regenerations_{study}_{data}.png"


def pictures_of(study):
    """The pictures of a study that there are, in Markdown."""
    return "\n\n".join(
        f"![{verdicts.TITLES[data]}: regenerations](../pictures/{path.name})"
        f"\n\n*{text}*"
        for data, text in PICTURES.get(study, {}).items()
        if (path := picture_of(study, data)).exists()
    )


# Studies whose tables are not of rows.
TABLES = {"rates": run_tables.rates_of, "batches": run_tables.batches_of}


def study_of(name, table):
    """The part of the page about a study."""
    study = plan.study(name)
    by_data = {}
    for run in study.runs:
        by_data.setdefault(run.data, {})[run.name] = None
    tables = (
        [TABLES[name](table)]
        if name in TABLES
        else [
            run_tables.table_of(data, OF_STUDY[name], names, table)
            for data, names in by_data.items()
        ]
    )
    keys = {row["key"] for row in table.rows}
    count = sum(run.key not in keys for run in study.runs)
    missing = f"Of {len(study.runs)} runs {count} are to be measured."
    parts = [
        f"## {study.title}",
        study.question,
        missing if count else "",
        *tables,
    ]
    return "\n\n".join(part for part in parts if part)


def about(rows):
    """Where the figures come from."""
    planned = len(plan.runs())
    if not rows:
        return f"None of the {planned} runs is there yet."
    return (
        f"{len(rows)} of {planned} planned runs are there, {origin(rows)}. "
        "Flags, date and all figures of a run are in "
        "[studies/results.json](../../studies/results.json), made by `python "
        "studies/run.py --data_dir=DATA`; this page by `python "
        "studies/page.py`. Test splits, at most 5,000 images, in inference "
        f"mode.{precision(rows)}"
    )


def precision(rows):
    """A sentence on rows that were not computed as the flag files say."""
    single = sum("--dtype_policy=float32" in row["flags"] for row in rows)
    return (
        f" {single} of the rows are in float32, and the rest in bfloat16."
        if single
        else ""
    )


def warning(table):
    """What the asterisks mean; empty where there is none."""
    if not table.former:
        return ""
    return (
        f"**{len(table.former)} of the {len(table.rows)} rows, those with an "
        "asterisk, are of flag files that have changed since**; so are, in "
        "part, the verdicts with one."
    )


def origin(rows):
    """When, on what machines and with what code the rows were made."""
    commits = sorted({str(row["about"]["commit"]) for row in rows})
    machines = sorted(
        {
            f"{row['about']['processor']}, TensorFlow "
            f"{row['about']['tensorflow']}, Keras {row['about']['keras']}"
            for row in rows
        }
    )
    dates = sorted(row["about"]["date"][:10] for row in rows)
    return (
        f"of one core each, {dates[0]} to {dates[-1]}, on "
        f"{'; '.join(machines)}; commits {', '.join(commits)}"
    )


def judged(table):
    """The claims and their verdicts."""
    body = []
    for claim in verdicts.CLAIMS:
        asked = Table(table.rows)
        word, sentence = verdict(claim, asked)
        word = marked(f"**{word}**", asked.asked, table)
        body.append([claim.text, claim.rule, word, sentence])
    head = ["claim", "rule", "verdict", "figures"]
    return f"## Claims and verdicts\n\n{markdown(head, body)}\n\n{RULES}"


def page(table):
    """The page as text."""
    parts = [
        "# What the method does, measured",
        LEAD,
        warning(table),
        judged(table),
        *map(pictures_of, PICTURES),
        "## Reading the tables",
        INTRODUCTION,
        LEGEND,
        *(study_of(name, table) for name in plan.STUDIES),
        run_tables.unseen_of(table),
        "## Where the figures come from",
        about(table.rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    table = Table(rows_of(TABLE))
    text = page(table)
    with replacing(PAGE) as new:
        new.write_text(text)
    print(f"{PAGE}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    command_line.run(main)
