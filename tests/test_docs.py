"""The pages' links lead somewhere, and their flags exist."""

import pathlib
import re

from keras_csc_cli import evaluate_options
from keras_csc_cli import export_options
from keras_csc_cli import train_options

import pytest
from absl import flags

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    + [ROOT / "saved_models" / "README.md"]
)
# Of other programs, and of all.
OTHERS = {"flagfile", "help", "logdir", "workers", "results"}


def names(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [
        target
        for target in targets
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_flags_exist(page):
    known = set(OTHERS)
    for options in (train_options, evaluate_options, export_options):
        defined = flags.FlagValues()
        options.define(defined)
        known |= {*defined, *(f"no{name}" for name in defined)}
    # Studies are run by scripts with flags of their own.
    text = re.sub(r"`python (studies|benchmarks)/.*?`", "", page.read_text())
    assert set(re.findall(r"(?<![\w-])--([a-z_]+)", text)) <= known


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem != "CHANGELOG"], ids=names
)
def test_paths_exist(page):
    """Files of the repository that pages name in code."""
    pattern = r"`((?:tests|benchmarks|studies|training|keras_csc)/[\w/.]+)`"
    paths = re.findall(pattern, page.read_text())
    assert not [path for path in paths if not (ROOT / path).exists()]
