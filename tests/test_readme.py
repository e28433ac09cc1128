"""What the README says is so."""

import pathlib
import re

from keras_csc_cli import evaluate_options
from keras_csc_cli import export_options
from keras_csc_cli import train_options

import pytest
from absl import flags

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks("python"):
        exec(block, namespace)
    assert namespace["features"].shape == (10, 64)
    assert namespace["value"].shape == (10,)
    assert namespace["approximation"].shape == (10, 16, 16, 1)
    assert (tmp_path / "digits_preset" / "config.json").is_file()


def test_flags_exist():
    known = flags.FlagValues()
    train_options.define(known)
    names = {*known, "flagfile", "help"}
    for options in (evaluate_options, export_options):
        own = flags.FlagValues()
        options.define(own)
        names.update(own)
    names |= {f"no{name}" for name in known}
    # Of local_workers.py and TensorBoard.
    names |= {"workers", "logdir"}
    mentioned = set(re.findall(r"--([a-z_]+)", README))
    assert mentioned - names == set()


@pytest.mark.parametrize(
    "path",
    sorted(set(re.findall(r"\]\(([^):]+)\)", README))),
)
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


def test_map_names_every_folder():
    described = README[README.index("## Map") : README.index("## Limits")]
    for folder in (ROOT / "keras_csc").iterdir():
        if (folder / "__init__.py").is_file():
            assert f"{folder.name}/" in described
