import base64
import json
import re
import subprocess

import pytest
import tensorflow as tf

from keras_csc.export.card import model_card
from tests.helpers.exporting import tiny_model


@pytest.fixture(scope="module")
def card(exported):
    return (exported.path / "card.md").read_text(encoding="utf-8")


def rows(text):
    """Dict of the first two cells of every row of the text's tables."""
    cells = [
        re.split(r"(?<!\\) \| ", line.strip("| "))
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    return {row[0]: row[1:] for row in cells if len(row) > 1}


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_title_and_architecture(card):
    assert card.startswith("# tiny, version 1\n")
    assert tf.__version__ in card
    found = rows(card)
    assert found["image_shape"] == ["16, 16, 1"]
    assert found["filters"] == ["4, 8"]
    assert found["sparsity"] == ["0.05"]
    assert found["dtype policy"] == ["float32"]
    assert found["encoder parameters"] == ["1,612"]


def test_sections_say_what_they_were_given(card):
    found = rows(card)
    assert found["steps"] == ["3"]
    assert found["hardware: cores"] == ["2"]
    assert found["sessions: 1: seconds"] == ["0.25"]
    assert found["sessions: 2: seconds"] == ["1e-09"]
    assert "gpu" not in card
    assert "## Training\n" in card
    assert "\n## Limits\n\n- Seen \\| by nobody.\n" in card


def test_nothing_is_said_that_was_not_given(exported):
    text = model_card(exported.model, "tiny", 1, {}, {})
    titles = re.findall("^## (.*)$", text, re.MULTILINE)
    assert titles == [
        "Architecture",
        "Signatures",
        "Use",
        "Limits of the signatures",
    ]
    assert "train" not in text.lower()


def test_signatures_have_names_shapes_and_ranges(card):
    found = rows(card)
    assert found["`encode`"] == [
        "`image` (batch, 16, 16, 1) float32",
        "`features` (batch, 8) float32",
    ]
    assert found["`reconstruct_bytes`"] == [
        "`image_bytes` (batch) string",
        "`reconstruction_bytes` (batch) string",
    ]
    assert "- `image`: in [-1, 1]: `pixels / 127.5 - 1`.\n" in card


def test_baseline_has_no_sparse_coding_program():
    model = tiny_model(network="conv")
    text = model_card(model, "tiny", 1, {}, {})
    assert rows(text)["network"] == ["conv"]
    assert "sparsity" not in text
    assert "sparse" not in text.replace("keras_csc", "")


def test_python_example_runs(card, exported, monkeypatch):
    monkeypatch.chdir(exported.folder.parent)
    (example,) = blocks(card, "python")
    found = {}
    exec(example, found)
    assert found["reconstruction"].shape == (1, 16, 16, 1)
    assert found["features"].shape == (1, 8)


def test_request_of_the_shell_example(card, exported, tmp_path):
    picture = tf.io.encode_png(tf.zeros((16, 16, 1), tf.uint8)).numpy()
    (tmp_path / "picture.png").write_bytes(picture)
    example = blocks(card, "shell")[1]
    finished = subprocess.run(
        ["bash", "-c", "curl() { cat; }\n" + example],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    request = json.loads(finished.stdout)
    loaded = tf.saved_model.load(exported.path)
    assert request["signature_name"] in loaded.signatures
    (instance,) = request["instances"]
    assert base64.b64decode(instance["image_bytes"]["b64"]) == picture
