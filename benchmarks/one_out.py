"""One setting of a recipe changed at a time, and what becomes of it.

    python benchmarks/one_out.py --study=digits_published

Every variant of a study is trained by training/train.py in --runs, which goes
on where it was stopped, and evaluated on the test split. Writes
benchmarks/results/one_out_STUDY.json.
"""

import pathlib
import subprocess
import sys
import typing

from training import command_line
from training.workdir import read_json

from absl import flags

from benchmarks import measuring

ROOT = pathlib.Path(__file__).parents[1]
COLUMNS = [
    "variant",
    "psnr",
    "retrieval",
    "nearest_subspace",
    "regenerated_nearest_subspace",
    "same_class",
    "class_part_5nn",
    "fewest_zeros",
    "seconds",
]


class Study(typing.NamedTuple):
    """A recipe, and what to change of it.

    Args:
        flags: of `training/train.py`.
        variants: dict from names to the flags that come after those.
    """

    flags: list
    variants: dict


STUDIES = {
    "digits_published": Study(
        ["--flagfile=digits_published.flags", "--steps=200"],
        {
            "as in the flag file": [],
            "codes of both signs": ["--nononnegative"],
            "batches of 64": ["--batch_size=64"],
            "random first atoms": ["--patch_images=0"],
            "both players at 5e-4": ["--decoder_learning_rate=5e-4"],
            "both players at 8e-3": ["--encoder_learning_rate=8e-3"],
            "one pass for both players": ["--update=simultaneous"],
            "with sample-wise consistency": [
                "--encoder_consistency=1",
                "--decoder_consistency=1",
            ],
        },
    ),
    "cifar10": Study(
        ["--flagfile=cifar10.flags", "--steps=200"],
        {
            "as in the flag file": [],
            "without the rate of the classes": ["--class_rate=0"],
            "without memory": ["--memory=0"],
            "without the published rates": ["--encoder_rate=0"],
            "without cooperation": ["--nocooperation"],
            "without the multi-stage term": ["--stages=0"],
            "without shared statistics": ["--noshared_statistics"],
            "one step of the solver": ["--iterations=1"],
            "codes of both signs": ["--nononnegative"],
            "first dictionary kept": ["--frozen_stages=1"],
        },
    ),
}


def run(arguments, workdir):
    """Trains and evaluates a variant, unless it has been."""
    if not (workdir / "evaluation.json").exists():
        subprocess.run(
            [
                sys.executable,
                ROOT / "training" / "train.py",
                *arguments,
                f"--workdir={workdir}",
            ],
            check=True,
        )


def row(name, changes, workdir):
    """What the evaluation of a variant found."""
    figures = read_json(workdir / "evaluation.json")
    part = figures.get("class_part") or {}
    return {
        "variant": name,
        "changes": changes,
        "psnr": figures["psnr"],
        "retrieval": figures["retrieval"],
        "nearest_subspace": figures["nearest_subspace_accuracy"],
        "regenerated_nearest_subspace": figures[
            "reconstructed_nearest_subspace_accuracy"
        ],
        "same_class": figures.get("same_class"),
        "class_part_5nn": part.get("centered_knn_accuracy"),
        "fewest_zeros": min(figures["zero_fraction"]),
        "seconds": read_json(workdir / "run.json")["seconds"],
    }


def main():
    values = flags.FLAGS
    study = STUDIES[values.study]
    arguments = list(study.flags)
    if values.data_dir is not None:
        arguments.append(f"--data_dir={values.data_dir}")
    rows = []
    for number, (name, changes) in enumerate(study.variants.items()):
        workdir = pathlib.Path(values.runs) / f"{values.study}-{number}"
        print(f"{name}: {' '.join(changes)}", flush=True)
        run([*arguments, *changes], workdir)
        rows.append(row(name, changes, workdir))
        measuring.report(
            f"one_out_{values.study}", rows, COLUMNS, flags=study.flags
        )


if __name__ == "__main__":
    flags.DEFINE_enum("study", None, list(STUDIES), "Which.", required=True)
    flags.DEFINE_string("runs", "runs/one_out", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    command_line.run(main)
