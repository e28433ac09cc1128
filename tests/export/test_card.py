import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export.card import model_card
from tests.helpers import model_servers
from tests.helpers.exporting import tiny_model
from tests.helpers.pages import blocks


def rows(text):
    """Dict of the first two cells of every row of the text's tables."""
    cells = [
        re.split(r"(?<!\\) \| ", line.strip("| "))
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    return {row[0]: row[1:] for row in cells if len(row) > 1}


def card_of(model, **sections):
    return model_card(model, "tiny", 1, {}, sections)


def test_the_card_says_what_the_model_is(exported):
    assert exported.card.startswith("# tiny, version 1\n")
    assert tf.__version__ in exported.card
    found = rows(exported.card)
    for name, said in {
        "filters": "4, 8",
        "encoder parameters": "848",
        "hardware: cores": "2",
        "sessions: 2: seconds": "1e-09",
    }.items():
        assert found[name] == [said]
    assert "gpu" not in exported.card
    assert "## Training\n" in exported.card
    assert "\n## Limits\n\n- Seen \\| by nobody.\n" in exported.card


def test_signatures_have_names_shapes_and_ranges(exported, exported_maps):
    found = rows(exported.card)
    image = "`image` (batch, 16, 16, 1) float32"
    assert found["`encode`"] == [image, "`features` (batch, 8) float32"]
    assert found["`sample`"] == [
        "`label` (batch) int32<br>`seed` (batch) int32",
        "`sample` (batch, 16, 16, 1) float32",
    ]
    assert "- `image`: in [-1, 1]: `pixels / 127.5 - 1`.\n" in exported.card
    for text in (
        "`image` (batch, height, width, 3) float32",
        "`features` (batch, height, width, 8) float32",
        "| features | map |",
        "places of 8×8 pixels",
        "Files keep their size, of 8×8 up to 4,194,304 pixels.",
    ):
        assert text in exported_maps.card
    assert "resized" not in exported_maps.card


def test_names_of_classes_are_no_markup():
    names = ["<img src=x>", "a*b*", "_it_", "[a](b)", "`c`", "d\\|e", "&lt;"]
    names += ["image_folder", "two words"]
    text = card_of(tiny_model(), training={"class_names": names})
    assert rows(text)["class_names"] == [
        r"&lt;img src=x&gt;, a\*b\*, \_it\_, \[a\](b), \`c\`, d\\\|e, "
        "&amp;lt;, image_folder, two words"
    ]


def test_nothing_is_said_that_was_not_given():
    text = card_of(tiny_model())
    titles = re.findall("^## (.*)$", text, re.MULTILINE)
    limits = "Limits of the signatures"
    assert titles == ["Architecture", "Signatures", "Use", limits]
    assert "train" not in text.lower()


def test_its_examples_are_answered(exported, tmp_path, monkeypatch):
    """By servers with the interfaces of TensorFlow Serving."""
    picture = tf.io.encode_png(tf.zeros((16, 16, 1), tf.uint8)).numpy()
    (tmp_path / "picture.png").write_bytes(picture)
    servable = model_servers.Servable(exported.path.parent)
    rest, grpc = (
        model_servers.rest_server(servable),
        model_servers.grpc_server(servable),
    )
    alone, asking, found = {}, {}, {}
    with rest as rest_port, grpc as grpc_port:
        card = exported.card.replace("localhost:8501", f"127.0.0.1:{rest_port}")
        card = card.replace("localhost:8500", f"127.0.0.1:{grpc_port}")
        with_tensorflow, by_rest, by_grpc = blocks(card, "python")
        monkeypatch.chdir(exported.path.parents[1])
        exec(with_tensorflow, alone)
        monkeypatch.chdir(tmp_path)
        exec(by_rest, asking)
        # A request for each signature.
        assert servable.requests == len(exported.signatures)
        exec(by_grpc, {"image": asking["image"]})
        if shutil.which("curl"):
            for example in blocks(card, "shell")[1:]:
                done = subprocess.run(
                    ["bash", "-c", example], capture_output=True, check=True
                )
                found.update(json.loads(done.stdout))
                assert len(found.pop("predictions")) == 1
    assert alone["features"].shape == (1, 8)
    assert alone["reconstruction"].shape == (1, 16, 16, 1)
    assert np.shape(asking["reconstruction"]) == (1, 16, 16, 1)
    assert np.shape(asking["codes"]["codes_1"])[0] == 1
    assert tf.io.decode_png(asking["png"]).shape == (16, 16, 1)
    assert np.linalg.norm(asking["features"][0]) == pytest.approx(1, abs=1e-5)
