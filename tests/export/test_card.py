import base64
import io
import json
import re
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export.card import model_card
from keras_csc.export.card import parameter_count
from tests.helpers.exporting import tiny_model
from tests.helpers.markdown import blocks


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


def test_title_and_architecture(card):
    assert card.startswith("# tiny, version 1\n")
    assert tf.__version__ in card
    found = rows(card)
    assert found["image_shape"] == ["16, 16, 1"]
    assert found["filters"] == ["4, 8"]
    assert found["sparsity"] == ["0.05"]
    assert found["dtype policy"] == ["float32"]
    assert found["encoder parameters"] == ["3,160"]


def test_sections_say_what_they_were_given(card):
    found = rows(card)
    assert found["steps"] == ["3"]
    assert found["hardware: cores"] == ["2"]
    assert found["sessions: 1: seconds"] == ["0.25"]
    assert found["sessions: 2: seconds"] == ["1e-09"]
    assert "gpu" not in card
    assert "## Training\n" in card
    assert "\n## Limits\n\n- Seen \\| by nobody.\n" in card


def test_names_of_classes_are_no_markup():
    names = ["<img src=x>", "a*b*", "_it_", "[a](b)", "`c`", "d\\|e", "&lt;"]
    names += ["image_folder", "two words"]
    text = model_card(
        tiny_model(), "tiny", 1, {}, {"training": {"class_names": names}}
    )
    assert rows(text)["class_names"] == [
        r"&lt;img src=x&gt;, a\*b\*, \_it\_, \[a\](b), \`c\`, d\\\|e, "
        "&amp;lt;, image_folder, two words"
    ]


def test_what_an_architecture_does_not_say_is_said():
    model = tiny_model()
    model.encoder.coding_layers[0].iterations = 10
    found = rows(model_card(model, "tiny", 1, {}, {}))
    assert found["but"] == ["encoder.stage_1.iterations is 10"]


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
        "`problem` (batch) string<br>`reconstruction_bytes` (batch) string"
        "<br>`valid` (batch) bool",
    ]
    assert "- `image`: in [-1, 1]: `pixels / 127.5 - 1`.\n" in card


def freeze_nothing(model):
    pass


def freeze_normalizations(model):
    model.freeze_normalizations()


def freeze_players(model):
    model.encoder.trainable = model.decoder.trainable = False


@pytest.mark.parametrize("network", ["csc", "conv"])
@pytest.mark.parametrize(
    "freeze", [freeze_nothing, freeze_normalizations, freeze_players]
)
def test_frozen_parameters_are_counted(network, freeze):
    model = tiny_model(network=network)
    players = model.encoder, model.decoder
    expected = [
        f"{sum(int(np.prod(w.shape)) for w in player.trainable_weights):,}"
        for player in players
    ]
    freeze(model)
    assert [parameter_count(player) for player in players] == expected


def test_baseline_has_no_sparse_coding_program():
    model = tiny_model(network="conv")
    text = model_card(model, "tiny", 1, {}, {})
    assert rows(text)["network"] == ["conv"]
    assert "sparsity" not in text
    assert "sparse" not in text.replace("keras_csc", "")


def test_python_example_runs(card, exported, monkeypatch):
    monkeypatch.chdir(exported.folder.parent)
    found = {}
    exec(blocks(card, "python")[0], found)
    assert found["reconstruction"].shape == (1, 16, 16, 1)
    assert found["features"].shape == (1, 8)


def served(name, signatures, request):
    """What TensorFlow Serving's REST API answers; its rules for JSON."""
    function = signatures[name]
    inputs = {
        key: tf.constant(
            [base64.b64decode(item["b64"]) for item in values]
            if key.endswith("_bytes")
            else values,
            function.structured_input_signature[1][key].dtype,
        )
        for key, values in request.items()
    }
    outputs = {
        key: [{"b64": base64.b64encode(item).decode()} for item in value]
        if key.endswith("_bytes")
        else [item.decode() for item in value]
        if value.dtype == object
        else value.tolist()
        for key, value in (
            (key, value.numpy()) for key, value in function(**inputs).items()
        )
    }
    return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def test_there_is_a_request_for_every_signature(
    exported_density, monkeypatch, tmp_path
):
    card = (exported_density.path / "card.md").read_text(encoding="utf-8")
    signatures = tf.saved_model.load(exported_density.path).signatures
    picture = tf.io.encode_png(tf.zeros((16, 16, 1), tf.uint8)).numpy()
    (tmp_path / "picture.png").write_bytes(picture)
    monkeypatch.chdir(tmp_path)
    asked = []

    def urlopen(request, timeout):
        assert request.full_url.endswith("/v1/models/density:predict")
        assert request.get_header("Content-type") == "application/json"
        body = json.loads(request.data)
        name = body["signature_name"]
        asked.append(name)
        answer = {"outputs": served(name, signatures, body["inputs"])}
        return io.BytesIO(json.dumps(answer).encode())

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    found = {}
    exec(blocks(card, "python")[1], found)
    assert set(asked) == set(signatures)
    assert np.shape(found["reconstruction"]) == (1, 16, 16, 1)
    assert np.shape(found["codes"]["codes_1"])[0] == 1
    assert tf.io.decode_png(found["png"]).shape == (16, 16, 1)
    assert np.linalg.norm(found["features"][0]) == pytest.approx(1, abs=1e-5)


def test_grpc_request(card, exported, monkeypatch):
    service = pytest.importorskip(
        "tensorflow_serving.apis.prediction_service_pb2_grpc"
    )
    predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    signatures = tf.saved_model.load(exported.path).signatures

    class Stub:
        def __init__(self, channel):
            pass

        def Predict(self, request, timeout):
            assert request.model_spec.name == "tiny"
            inputs = {
                key: tf.constant(tf.make_ndarray(value))
                for key, value in request.inputs.items()
            }
            answer = predict.PredictResponse()
            name = request.model_spec.signature_name
            for key, value in signatures[name](**inputs).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return answer

    monkeypatch.setattr(service, "PredictionServiceStub", Stub)
    found = {"image": np.zeros((1, 16, 16, 1)).tolist()}
    exec(blocks(card, "python")[2], found)
    assert found["features"].shape == (1, 8)


@pytest.mark.parametrize("number", [1, 2])
def test_requests_of_the_shell_examples(card, exported, tmp_path, number):
    picture = tf.io.encode_png(tf.zeros((16, 16, 1), tf.uint8)).numpy()
    (tmp_path / "picture.png").write_bytes(picture)
    example = blocks(card, "shell")[number]
    finished = subprocess.run(
        ["bash", "-c", 'curl() { echo "$2" >&2; cat; }\n' + example],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert finished.stderr == b"Content-Type: application/json\n"
    request = json.loads(finished.stdout)
    (instance,) = request["instances"]
    if number == 1:
        assert np.shape(instance["image"]) == (16, 16, 1)
        return
    loaded = tf.saved_model.load(exported.path)
    assert request["signature_name"] in loaded.signatures
    assert base64.b64decode(instance["image_bytes"]["b64"]) == picture
