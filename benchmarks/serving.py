"""What serving/server.py answers under load, bad requests among the good.

    make serving
    python benchmarks/serving.py

Starts the server in `.venv-serving` and asks it with 1, 8 and 64 clients at a
time, without and with batching. Nine of ten requests are good: features of
pixels, features of a file, and denoised pixels, of one picture each; answers
are compared with the SavedModel's own. The tenth is bad, in eight ways. A
latency is the time from a good request to the last byte of its answer. The
clients are threads of this process, on the same cores. `--soak` asks 50,000
times with 1,000 clients, for the memory. Writes `serving` or
`serving_soak` in benchmarks/results.json.
"""

import argparse
import base64
import collections
import contextlib
import http.client
import itertools
import json
import pathlib
import subprocess
import threading
import time

import keras_csc_cli  # noqa: F401

import numpy as np
import tensorflow as tf

from benchmarks import measuring
from keras_csc.files import digest
from keras_csc.pixels import from_pixels

ROOT = pathlib.Path(__file__).parents[1]
MODEL = ROOT / "saved_models" / "csc_ctrl_digits"
PYTHON = ROOT / ".venv-serving" / "bin" / "python"
START = 300  # Seconds that the server is given to start, and to answer.
PICTURES = 64
BAD_EVERY = 10
TOLERANCE = 1e-4
WARM_UP = 200


# === Questions ===


def good_questions():
    """List of a body and the rows that are the answer to it."""
    signatures = tf.saved_model.load(MODEL / "1").signatures
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (PICTURES, 16, 16, 1), "uint8")
    images = from_pixels(pixels)
    sparsity = np.full(PICTURES, 0.2, "float32")
    features = signatures["encode"](image=images)["features"]
    denoised = signatures["denoise"](image=images, sparsity=sparsity)
    for number in range(PICTURES):
        file = tf.io.encode_png(pixels[number]).numpy()
        asked = [
            ("encode", {"image": images[number].tolist()}, features),
            ("encode_bytes", {"image_bytes": _b64(file)}, features),
            (
                "denoise",
                {"image": images[number].tolist(), "sparsity": 0.2},
                denoised["denoised"],
            ),
        ]
        for signature, row, answers in asked:
            yield _body([row], signature), answers[number : number + 1].numpy()


def bad_bodies():
    """Of eight kinds."""
    image = np.zeros((16, 16, 1)).tolist()
    return [
        b"no JSON",
        json.dumps({"signature_name": "encode"}).encode(),
        _body([{"image": image}], "paint"),
        _body([{"image": np.zeros((8, 8, 1)).tolist()}]),
        _body([{"image": [image[0][:3], *image[1:]]}]),
        _body([{"image": "picture.png"}]),
        _body([{"image": np.full((16, 16, 1), 1e9).tolist()}]),
        _body([{"image_bytes": _b64(b"no picture")}], "encode_bytes"),
    ]


def _b64(content):
    return {"b64": base64.b64encode(content).decode()}


def _body(instances, signature="encode"):
    body = {"signature_name": signature, "instances": instances}
    return json.dumps(body).encode()


# === Clients ===


class Crowd:
    """Clients that ask at the same time.

    Args:
        port: of the server.
        good, bad: lists of questions.
    """

    def __init__(self, port, good, bad):
        self.port, self.good, self.bad = port, good, bad

    def ask(self, count, clients):
        """Asks `count` questions, and says what came of them, a dict."""
        numbers = itertools.count()  # `next` of it is one step for all threads.
        outcomes, latencies = collections.Counter(), []

        def client():
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=START
            )
            with contextlib.closing(connection):
                while (number := next(numbers)) < count:
                    seconds, outcome = self._ask(connection, number)
                    outcomes[outcome] += 1
                    if outcome == "right":
                        latencies.append(seconds)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = count / (time.perf_counter() - began)
        quantiles = np.quantile(latencies or [np.nan], [0.5, 0.9, 0.99])
        return {
            "requests": count,
            "lost": count - outcomes.total(),
            **{name: outcomes[name] for name in OUTCOMES},
            "per_second": rate,
            **dict(zip(("p50_ms", "p90_ms", "p99_ms"), 1000 * quantiles)),
        }

    def _ask(self, connection, number):
        """Seconds that an answer took, and which of `OUTCOMES` it is."""
        bad = number % BAD_EVERY == BAD_EVERY - 1
        if bad:
            body, answer = self.bad[number // BAD_EVERY % len(self.bad)], None
        else:
            body, answer = self.good[number % len(self.good)]
        began = time.perf_counter()
        try:
            connection.request(
                "POST",
                f"/v1/models/{MODEL.name}:predict",
                body,
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0, "failed"
        seconds = time.perf_counter() - began
        rows = _rows(text) if response.status == 200 else None
        if bad:
            refused = response.status == 400 or rows == []
            return seconds, "refused" if refused else "taken"
        if rows is None:
            return seconds, "failed"
        found = np.array(rows)
        right = found.shape == answer.shape and np.allclose(
            found, answer, atol=TOLERANCE
        )
        return seconds, "right" if right else "wrong"


def _rows(text):
    """The answer's rows, none for a file that is marked as no picture."""
    rows = json.loads(text)["predictions"]
    if isinstance(rows[0], dict):
        return [row["features"] for row in rows if row["valid"]]
    return rows


# Of good requests: right, wrong, failed; of bad ones: refused, taken.
OUTCOMES = ("right", "wrong", "failed", "refused", "taken")


# === The server ===


@contextlib.contextmanager
def server(port, batching):
    """Runs serving/server.py; gives its process when it answers."""
    command = [PYTHON, ROOT / "serving" / "server.py", MODEL, f"--port={port}"]
    process = subprocess.Popen(
        [*map(str, command), *(["--batching"] if batching else [])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + START
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{PYTHON} serving/server.py did not start.")
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait()


def _answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", f"/v1/models/{MODEL.name}")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def measure(port, parts, modes=(False, True)):
    """Rows of a server without and with batching.

    Args:
        port: one that is free.
        parts: list of a number of clients and a number of requests.
        modes: whether the server is to put requests together.
    """
    good, bad = list(good_questions()), bad_bodies()
    for batching in modes:
        with server(port, batching) as process:
            crowd = Crowd(port, good, bad)
            crowd.ask(WARM_UP, clients=8)
            for clients, requests in parts:
                before = measuring.resident_mib(process=process.pid)
                row = crowd.ask(requests, clients)
                yield {
                    "batching": batching,
                    "clients": clients,
                    **row,
                    "mib_before": before,
                    "mib_after": measuring.resident_mib(process=process.pid),
                    "crashed": process.poll() is not None,
                }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--port", type=int, default=18501)
    parser.add_argument("--soak", action="store_true")
    options = parser.parse_args()
    name = "serving_soak" if options.soak else "serving"
    parts = [(clients, options.requests) for clients in (1, 8, 64)]
    if options.soak:
        parts = [(1000, 10_000)] * 5
    rows = list(measure(options.port, parts))
    versions = subprocess.run(
        [PYTHON, "-c", VERSIONS], capture_output=True, text=True, check=True
    ).stdout.split()
    about = dict(zip(("kserve", "server_tensorflow"), versions, strict=True))
    about["saved_model_sha256"] = digest(MODEL / "1" / "saved_model.pb")
    measuring.report(name, rows, list(rows[0]), **about)


VERSIONS = """
from importlib.metadata import version
print(version("kserve"), version("tensorflow"))
"""


if __name__ == "__main__":
    main()
