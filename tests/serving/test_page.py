"""What serving/README.md tells a stranger to type works."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from PIL import Image

from serving import client

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


@pytest.mark.parametrize("command", list(commands()))
def test_commands_of_the_client_parse(command):
    assert client.parse(shlex.split(command)).command in client.COMMANDS


def test_every_command_is_described():
    described = {command.split()[0] for command in commands()}
    assert described == set(client.COMMANDS)


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
