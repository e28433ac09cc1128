"""The wheel that the source distribution makes works away from it."""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

import keras_csc
from keras_csc import quiet

ROOT = pathlib.Path(__file__).parents[1]
FLAGS = ROOT / "training" / "flags"
# Stands for an address that only the place of a release knows.
REPOSITORY = "https://repository.invalid"
INFO = f"keras_csc-{keras_csc.__version__}.dist-info"


def build(target, source, folder):
    """Builds a distribution into a folder, without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build"]
        + [f"--target={target}", f"--directory={folder}"],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A folder of what the wheel holds."""
    source, folder, site = map(tmp_path_factory.mktemp, ("sdist", "w", "site"))
    with tarfile.open(build("sdist", ROOT, source)) as archive:
        archive.extractall(source, filter="data")
    (unpacked,) = (path for path in source.iterdir() if path.is_dir())
    assert not {"docs", "saved_models", "tests"} & set(os.listdir(unpacked))
    with zipfile.ZipFile(build("wheel", unpacked, folder)) as archive:
        archive.extractall(site)
    return site


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    found = {
        str(path.relative_to(wheel))
        for path in wheel.rglob("*")
        if path.is_file() and INFO not in path.parts
    }
    expected = {
        str(path.relative_to(ROOT))
        for package in ("keras_csc", "keras_csc_cli")
        for kind in ("*.py", "*.css", "*.html", "*.js", "*.md", "*.json")
        for path in (ROOT / package).rglob(kind)
    }
    expected |= {f"keras_csc_cli/flags/{p.name}" for p in FLAGS.iterdir()}
    trained = (ROOT / "trained").glob("*/*")
    expected |= {f"keras_csc/{path.relative_to(ROOT)}" for path in trained}
    assert found == expected
    assert (wheel / INFO / "licenses" / "LICENSE").is_file()
    points = (wheel / INFO / "entry_points.txt").read_text()
    assert "keras-csc = keras_csc_cli.console:main" in points


USE = """
import keras_csc.models.presets as presets
from keras_csc.models import ClosedLoopAutoencoder
model = ClosedLoopAutoencoder.from_preset("csc_ctrl_digits")
print(presets.trained_names(), model.encoder.image_shape)
from keras_csc_cli import command_line, console, train_options
print(console.version())
for path in sorted(command_line.FLAG_FILES.glob("*.flags")):
    train_options.parse([f"--flagfile={path.name}"])
    print(path)
"""


def test_flag_files_and_trained_weights_of_the_wheel(wheel, tmp_path):
    """Elsewhere and as a stranger, to use them prints nothing else."""
    # Folders of the environment, but not the repository.
    others = [path for path in sys.path if "-packages" in path]
    finished = subprocess.run(
        [sys.executable, "-S", "-c", USE],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        | {"PYTHONPATH": os.pathsep.join([str(wheel), *others])}
        | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    first, version, *paths = finished.stdout.splitlines()
    assert "csc_ctrl_photographs" in first and "(16, 16, 1)" in first
    assert version == keras_csc.__version__
    assert paths == [
        str(wheel / "keras_csc_cli" / "flags" / path.name)
        for path in sorted(FLAGS.glob("*.flags"))
    ]
    assert quiet.has_gpu() or finished.stderr == ""


def test_the_description_has_absolute_links(wheel):
    """They lead to the same files as the README's, at the release."""
    head, _, text = (wheel / INFO / "METADATA").read_text().partition("\n\n")
    assert f"\nVersion: {keras_csc.__version__}\n" in head
    assert "\nLicense-Expression: Apache-2.0\n" in head
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
    workflow = ROOT / ".github" / "workflows" / "release.yml"
    assert f"s|{REPOSITORY}|$GITHUB_SERVER_URL" in workflow.read_text()
