"""What stands around the models, and serving/README.md, has no typing error."""

import ast
import json
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from google.protobuf import text_format
from PIL import Image
from tensorflow_serving.config import model_server_config_pb2

from serving import client

ROOT = pathlib.Path(__file__).parents[2]
SERVING = ROOT / "serving"
COMPOSE = yaml.safe_load((SERVING / "compose.yaml").read_text())


def models_of(name):
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((SERVING / name).read_text(), config)
    return config.model_config_list.config


@pytest.fixture
def models():
    return models_of("models.config")


def test_every_model_that_is_kept_is_served(models):
    readme = (ROOT / "saved_models" / "README.md").read_text()
    kept = re.findall(r"\[`(\w+)/\d+`\]", readme)
    assert sorted(model.name for model in models) == sorted(kept)


def test_versions_exist_and_labels_are_of_served_ones(models):
    for model in models:
        assert model.base_path == f"/models/{model.name}"
        assert model.model_platform == "tensorflow"
        versions = model.model_version_policy.specific.versions
        for version in versions:
            folder = ROOT / "saved_models" / model.name / str(version)
            assert (folder / "saved_model.pb").is_file()
        assert set(model.version_labels) == {"stable", "canary"}
        assert set(model.version_labels.values()) <= set(versions)


def test_batches_are_those_of_the_small_server_and_are_watched():
    text = (SERVING / "batching.config").read_text()
    fields = re.findall(r"^(\w+)(?: { value)?: (\d+)", text, re.MULTILINE)
    sizes = [int(n) for name, n in fields if name == "allowed_batch_sizes"]
    found = {name: int(number) for name, number in fields}
    source = (SERVING / "server.py").read_text()
    small = re.search(r"BATCHING = (\{.*?\})", source, re.DOTALL)
    small = ast.literal_eval(small[1])
    assert {**found, "allowed_batch_sizes": sizes} == small
    assert sizes == [1, 8, 32] and sizes[-1] == small["max_batch_size"]
    watched = 'prometheus_config {\n  enable: true\n  path: "/monitoring/'
    assert watched in (SERVING / "monitoring.config").read_text()


def test_the_health_check_finds_the_model_and_no_other(servers):
    health = COMPOSE["services"]["serving"]["healthcheck"]["test"]
    assert health[0] == "CMD" and health[-1] == servers.servable.name
    port = servers.ports["rest"]
    command = [
        part.replace("$$", "$").replace("8501", str(port))
        for part in health[1:]
    ]
    assert subprocess.run(command, timeout=30).returncode == 0
    command[-1] = "other"
    assert subprocess.run(command, timeout=30).returncode != 0


PAGE = pathlib.Path(__file__).parents[2] / "serving" / "README.md"
BLOCKS = re.findall(r"```shell\n(.*?)```", PAGE.read_text(), re.DOTALL)
REQUESTS = [block for block in BLOCKS if "curl" in block]


def commands():
    text = PAGE.read_text().replace("FEATURES", "features")
    for line in text.replace("FILES", "a.png").splitlines():
        if found := re.fullmatch(r"python serving/client.py (.*)", line):
            yield found[1]
        elif found := re.match(r"\| `(.*?)` \|", line):
            yield found[1]


def test_commands_of_the_page_parse_and_are_all_there_are():
    parsed = {client.parse(shlex.split(each)).command for each in commands()}
    assert parsed == set(client.COMMANDS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("request_", REQUESTS, ids=["rows", "columns"])
def test_requests_by_hand_are_answered(servers, digits, tmp_path, request_):
    (tmp_path / "pictures").mkdir()
    Image.fromarray(digits[0, ..., 0]).save(tmp_path / "pictures" / "0.png")
    servers.servable.faults.clear()
    script = request_.replace("8501", str(servers.ports["rest"]))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    answer = json.loads(done.stdout)
    assert set(answer) <= {"predictions", "outputs"}, answer
