"""The wheel works away from the repository."""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

import keras_csc

ROOT = pathlib.Path(__file__).parents[1]
FLAGS = ROOT / "training" / "flags"
# Stands for an address that only the place of a release knows.
REPOSITORY = "https://repository.invalid"


def build(target, folder):
    """Builds a distribution into a folder, without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build"]
        + [f"--target={target}", f"--directory={folder}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Path of the wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build("wheel", folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Runs Python with what the wheel holds, elsewhere and as a stranger."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    home = tmp_path_factory.mktemp("home")
    # Those of the environment, but for the repository, if it is one of them.
    others = [path for path in sys.path if "-packages" in path]

    def run(*arguments):
        paths = os.pathsep.join([str(site), *others])
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home)}
            | {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
        )

    return run


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"keras_csc-{keras_csc.__version__}.dist-info"
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"keras_csc", "keras_csc_cli", info}
    expected = {
        str(path.relative_to(ROOT))
        for package in ("keras_csc", "keras_csc_cli")
        for kind in ("*.py", "*.css", "*.html", "*.js", "*.md")
        for path in (ROOT / package).rglob(kind)
    }
    expected |= {f"keras_csc_cli/flags/{p.name}" for p in FLAGS.iterdir()}
    dictionaries = (ROOT / "keras_csc" / "restoration").glob("*.npz")
    expected |= {str(path.relative_to(ROOT)) for path in dictionaries}
    trained = (ROOT / "trained").glob("*/*")
    expected |= {f"keras_csc/{path.relative_to(ROOT)}" for path in trained}
    assert {name for name in names if not name.startswith(info)} == expected
    assert f"{info}/licenses/LICENSE" in names


def test_wheel_declares_the_console_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (points,) = [n for n in archive.namelist() if "entry_points" in n]
        text = archive.read(points).decode()
    assert "keras-csc = keras_csc_cli.console:main" in text


def test_help_of_the_wheel(run):
    finished = run("-m", "keras_csc_cli", "--help")
    assert finished.returncode == 0, finished.stderr
    assert "keras-csc COMMAND" in finished.stdout
    finished = run("-m", "keras_csc_cli", "--version")
    assert finished.stdout.strip() == keras_csc.__version__
    finished = run("-m", "keras_csc_cli", "train", "--help")
    assert finished.returncode == 0, finished.stderr
    assert "--flagfile=FILE" in finished.stdout


def test_wheel_has_trained_weights(run):
    names = "import keras_csc.models.presets as p; print(p.trained_names())"
    load = "from keras_csc.models import ClosedLoopAutoencoder as A; print("
    load += "A.from_preset('csc_ctrl_digits').sample(2, seed=0).shape)"
    finished = run("-c", f"{names}; {load}")
    assert finished.returncode == 0, finished.stderr
    assert "csc_ctrl_photographs" in finished.stdout
    assert "(2, 16, 16, 1)" in finished.stdout


PARSES = """
import pathlib
from keras_csc_cli import command_line, train_options
for path in sorted(command_line.FLAG_FILES.glob("*.flags")):
    train_options.parse([f"--flagfile={path.name}"])
    print(path)
"""


def test_flag_files_of_the_wheel(run):
    finished = run("-c", PARSES)
    assert finished.returncode == 0, finished.stderr
    paths = [pathlib.Path(line) for line in finished.stdout.splitlines()]
    assert {p.name for p in paths} == {p.name for p in FLAGS.glob("*.flags")}
    assert all(p.parent.parts[-2:] == ("keras_csc_cli", "flags") for p in paths)
    assert not any(path.is_relative_to(ROOT) for path in paths)


def test_metadata_of_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("METADATA")]
        text = archive.read(name).decode()
    assert f"\nVersion: {keras_csc.__version__}\n" in text
    assert "\nLicense-Expression: Apache-2.0\n" in text


def test_links_of_the_description_are_absolute(wheel):
    """And lead to the same files as those of the README, at the release."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("METADATA")]
        text = archive.read(name).decode().partition("\n\n")[2]
    readme = (ROOT / "README.md").read_text()
    link = re.compile(r"(!?)\[[^\]]*\]\(([^)]+)\)")
    assert link.sub("", text) == link.sub("", readme)
    pairs = zip(link.findall(readme), link.findall(text), strict=True)
    of_release = f"v{keras_csc.__version__}"
    for (picture, target), (_, absolute) in pairs:
        if "://" not in target:
            kind = "raw" if picture else "blob"
            target = f"{REPOSITORY}/{kind}/{of_release}/{target}"
        assert absolute == target
    assert text.count(REPOSITORY) > 20


def test_a_release_puts_the_address_of_its_repository():
    workflow = ROOT / ".github" / "workflows" / "release.yml"
    assert f"s|{REPOSITORY}|$GITHUB_SERVER_URL" in workflow.read_text()


def test_the_source_distribution_has_what_builds_a_wheel(tmp_path):
    """And neither documents nor exported models."""
    build("sdist", tmp_path)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    tops = {name.partition("/")[0] for name in names}
    assert {"keras_csc", "keras_csc_cli", "trained", "training"} <= tops
    assert not {"docs", "saved_models", "tests", "runs"} & tops
