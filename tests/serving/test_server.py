"""The small server, and, with KServe from `make serving`, it under load."""

import asyncio
import base64
import concurrent.futures
import contextlib
import functools
import http.client
import io
import json
import logging
import pathlib
import runpy
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import model_servers
from tests.helpers.model_servers import InvalidInput

ROOT = pathlib.Path(__file__).parents[2]
SAVED = ROOT / "saved_models" / "csc_ctrl_digits"
PYTHON = ROOT / ".venv-serving" / "bin" / "python"
IMAGE = np.zeros((16, 16, 1)).tolist()


@pytest.fixture(scope="module")
def server():
    return model_servers.small_server()


@pytest.fixture(scope="module")
def ask(server):
    return server.Served(SAVED)._predict


def sample(label, seed, **more):
    inputs = {"label": label, "seed": seed, **more}
    return {"signature_name": "sample", "inputs": inputs}


def encode(**row):
    return {"signature_name": "encode", "instances": [{"image": IMAGE}, row]}


def denoise(sparsity, image=IMAGE):
    inputs = {"image": [image], "sparsity": sparsity}
    return {"signature_name": "denoise", "inputs": inputs}


WRONG = [
    sample([3], [10**30]),
    *(sample([n], [0]) for n in (3.9, "3", True, [3])),
    sample(3, [0]),
    sample([3], [0], temperature=[1.0]),
    sample([3] * 1001, [0] * 1001),
    encode(image=IMAGE, label=3),
    encode(),
    *(denoise([n]) for n in ("0.1", True, None, 10**400)),
    denoise([0.1], np.full((16, 16, 1), "0").tolist()),
    denoise([0.1], [*IMAGE[:15], IMAGE[0][:15]]),
]


def test_what_is_no_such_input_is_refused(ask):
    for payload in WRONG:
        with pytest.raises(InvalidInput):
            ask(payload)


def test_the_reason_is_one_readable_sentence(ask):
    files = {"signature_name": "encode_bytes", "inputs": []}
    bright = np.full((16, 16, 1), 1e9).tolist()
    for payload, reason in (
        ([], "it must be a JSON object."),
        (sample([3], []), "seed is empty, and must have a row or more."),
        (files, "image_bytes is empty, and must have a row or more."),
        (sample([3, 4], [1, -1]), "`seed` must be at least 0. Received: 1 -1"),
        (denoise([1.0, 2.0]), "`sparsity` must be one number, or one for eve"),
        (denoise([0.1], bright), "`images` must be finite and in [-1, 1], or"),
    ):
        with pytest.raises(InvalidInput) as caught:
            ask(payload)
        text = str(caught.value)
        assert text.startswith(f"The request is wrong: {reason}")
        assert "node" not in text and "\n" not in text


def test_a_mistake_of_a_client_is_one_line_of_the_log(server, caplog):
    logger = logging.getLogger("test_server")
    logger.addFilter(server.one_line)
    for error in (InvalidInput("a\n\x1b"), ValueError("a bug")):
        try:
            raise error
        except Exception as raised:
            logger.error("Exception:", exc_info=raised)
    mistake, bug = caplog.records
    assert caplog.messages[0] == r"InvalidInput: 'a\n\x1b'"
    assert mistake.exc_info is None and bug.exc_info


def test_numbers_are_answered(ask):
    made = ask(sample([3, -1], [0, 2**31 - 1]))["outputs"]
    assert np.shape(made) == (2, 16, 16, 1)
    whole = np.zeros((16, 16, 1), int).tolist()
    of_integers = ask(denoise([1], whole))["outputs"]
    np.testing.assert_array_equal(of_integers, ask(denoise([1.0]))["outputs"])
    (one, two) = ask(encode(image=IMAGE))["predictions"]
    np.testing.assert_allclose(one, two, atol=1e-6)
    file = io.BytesIO()
    Image.new("RGB", (20, 30), "red").save(file, "PNG")
    file = {"b64": base64.b64encode(file.getvalue()).decode()}
    payload = {"signature_name": "encode_bytes", "instances": [file]}
    assert ask(payload)["predictions"][0]["valid"]


def test_the_newest_version_that_is_there_is_served(
    server, tmp_path, monkeypatch, capsys
):
    for name in ("1", "2", "10", "11", "old"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "argv", ["server.py", str(tmp_path)])
    with pytest.raises(SystemExit):
        server.main()
    assert "folder of versions" in capsys.readouterr().err
    for name in ("2", "10", "old"):
        (tmp_path / name / "saved_model.pb").touch()
    found = server.versions(tmp_path)
    assert [path.name for path in found] == ["2", "10"]


PREDICT = "POST /v1/models/csc_ctrl_digits:predict"


@pytest.mark.parametrize(
    "route, length, status",
    [
        (PREDICT, 2**24, 200),
        (PREDICT, 2**24 + 1, 413),
        ("GET /v1/models/csc_ctrl_digits", 0, 200),
        ("POST /v2/repository/models/csc_ctrl_digits/unload", 0, 404),
    ],
)
def test_only_what_is_meant_to_be_asked_is_answered(
    server, route, length, status
):
    """Larger bodies are not read."""
    method, path = route.split()
    read, sent = [], []

    async def receive():
        return {"body": bytes(min(2**20, length - sum(read)))}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        while sum(read) < length:
            read.append(len((await receive())["body"]))
        await send({"type": "http.response.start", "status": 200})

    scope = {"type": "http", "method": method, "path": path}
    asyncio.run(server.Limited(app)(scope, receive, send))
    assert sent[0]["status"] == status and sum(read) <= 2**24
    if status == 413:
        assert "16,777,216 bytes" in json.loads(sent[1]["body"])["error"]
    # The start of the server is no request.
    asyncio.run(server.Limited(app)({"type": "lifespan"}, receive, send))
    assert sent[-1]["status"] == 200


def test_a_client_that_breaks_off_is_no_error(server):
    async def gone():
        return {"type": "http.disconnect"}

    async def app(scope, receive, send):
        await receive()
        raise RuntimeError("it goes on")

    method, path = PREDICT.split()
    scope = {"type": "http", "method": method, "path": path}
    asyncio.run(server.Limited(app)(scope, gone, None))


def test_without_kserve_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "kserve", None)
    path = str(ROOT / "serving" / "server.py")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(path, run_name="__main__")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "make serving" in error and error.count("\n") == 1
    with pytest.raises(ModuleNotFoundError, match="kserve"):
        runpy.run_path(path)


def ask_over_http(port, body):
    """Status and content of an answer of a server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    with contextlib.closing(connection):
        path = f"/v1/models/{SAVED.name}"
        if body is not None:
            path, body = f"{path}:predict", json.dumps(body)
        headers = {"Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.skipif(not PYTHON.exists(), reason="needs make serving")
def test_bad_requests_are_refused_and_fail_no_others(unused_port):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (144, 16, 16, 1)).astype("float32")
    model = tf.saved_model.load(SAVED / "1").signatures["encode"]
    expected = model(image=images)["features"].numpy()
    good = [
        {"signature_name": "encode", "instances": [{"image": x.tolist()}]}
        for x in images
    ]
    bad = [
        encode(image=IMAGE[:8]),
        {"signature_name": "paint", "instances": [{"image": IMAGE}]},
    ]
    command = [PYTHON, "serving/server.py", SAVED, f"--port={unused_port}"]
    process = subprocess.Popen([*map(str, command), "--batching"], cwd=ROOT)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                if ask_over_http(unused_port, None)[0] == 200:
                    break
            time.sleep(0.2)
        with concurrent.futures.ThreadPoolExecutor(8) as clients:
            answers = list(
                clients.map(
                    functools.partial(ask_over_http, unused_port),
                    good + 8 * bad,
                )
            )
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait()
    assert [status for status, _ in answers] == [200] * 144 + [400] * 16
    found = np.concatenate([rows["predictions"] for _, rows in answers[:144]])
    np.testing.assert_allclose(found, expected, atol=1e-4)
