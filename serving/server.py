"""Serves a SavedModel by REST, in the form of TensorFlow Serving, with KServe.

    python serving/server.py saved_models/csc_ctrl_digits

A reference: small enough to read, and what `make serving` asks where there is
no TensorFlow Serving. The newest version of the model is served. Every input is
checked before the model gets it: its rows, too, are limited, and so are the
bytes of a request.

With `--batching` requests are put together as `batching.config` says, by the
scheduler that TensorFlow Serving has; the requests of a batch that fails are
computed once more, each alone, so that a bad one fails no other. KServe listens
on all addresses of the machine; only its routes in `ROUTES` are answered.
"""

import argparse
import asyncio
import base64
import json
import logging
import pathlib
import re
import sys

try:
    import kserve
    import numpy as np
    import tensorflow as tf
    from kserve.errors import InvalidInput
    from kserve.errors import ModelNotFound
except ModuleNotFoundError as error:
    if __name__ != "__main__":
        raise
    print(
        f"server.py: {error}. `make serving` installs the packages that "
        "it needs in .venv-serving: run this file with "
        ".venv-serving/bin/python.",
        file=sys.stderr,
    )
    sys.exit(2)

BATCHING = {
    "num_batch_threads": 2,
    "max_batch_size": 32,
    "batch_timeout_micros": 1000,
    "allowed_batch_sizes": [1, 8, 32],
    "max_enqueued_batches": 64,
}
# Requests at a time, without and with batching: it takes many for a batch, and
# more threads than that only wait for each other.
THREADS = {False: 8, True: 64}
MOST_ROWS = 1000
MOST_BYTES = 2**24  # As lists of JSON they may take fifty times the memory.
# KServe has more: one unloads the model.
ROUTES = re.compile(
    r"GET /|GET /v1/models|GET /v1/models/[^/:]+|POST /v1/models/[^/:]+:predict"
)


def versions(folder):
    """Paths of the versions of a model, the newest last."""
    numbered = [path for path in folder.glob("*") if path.name.isdecimal()]
    found = [p for p in numbered if (p / "saved_model.pb").is_file()]
    return sorted(found, key=lambda path: int(path.name))


class Served(kserve.Model):
    """The newest version of a model.

    Args:
        folder: `pathlib.Path` of its versions.
        batching: bool, whether to put requests together.
    """

    def __init__(self, folder, batching=False):
        super().__init__(folder.name)
        self._loaded = tf.saved_model.load(versions(folder)[-1])
        self._alone = dict(self._loaded.signatures)
        self._batched = {}
        if batching:
            self._batched = {
                name: _batched(function)
                for name, function in self._alone.items()
            }
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        return await asyncio.to_thread(self._predict, payload)

    def _predict(self, payload):
        try:
            if not isinstance(payload, dict):
                raise ValueError("it must be a JSON object.")
            name = str(payload.get("signature_name", "serving_default"))
            alone = self._alone[name]
            _, specs = alone.structured_input_signature
            by_rows = "instances" in payload
            values = payload["instances" if by_rows else "inputs"]
            columns = _columns(values, specs, by_rows)
            inputs = {key: _tensor(columns[key], specs[key]) for key in specs}
        except KeyError as error:
            raise InvalidInput(f"There is no {error} here.") from error
        except (
            AttributeError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            raise InvalidInput(f"The request is wrong: {error}") from error
        outputs = self._call(name, inputs)
        listed = {key: _listed(key, outputs[key]) for key in outputs}
        if by_rows:
            return {"predictions": _rows(listed)}
        (only,) = listed.values() if len(listed) == 1 else [listed]
        return {"outputs": only}

    def _call(self, name, inputs):
        for functions in (self._batched, self._alone):
            try:
                if name in functions:
                    return functions[name](**inputs)
            except tf.errors.UnavailableError as error:
                raise kserve.errors.ModelNotReady(self.name) from error
            except tf.errors.InvalidArgumentError as error:
                message = error.message
        raise InvalidInput(f"The request is wrong: {_reason(message)}")


def _reason(message):
    """What an error of TensorFlow says, without the names of nodes."""
    text = re.sub(r"\[\[\{\{.*|\[Op:.*", "", message).strip()
    text = text.splitlines()[-1].removeprefix("assertion failed: ")
    if text.startswith("[") and text.endswith("]"):  # A part each.
        text = text[1:-1].replace("] [", " ")
    return text


def one_line(record):
    """Makes a record of a client's mistake one line, without a trace."""
    error = record.exc_info and record.exc_info[1]
    if isinstance(error, (InvalidInput, ModelNotFound)):
        record.msg, record.args = f"{type(error).__name__}: {str(error)!a}", ()
        record.exc_info = None
    return True


def _batched(function):
    """A signature, of requests that are put together."""
    _, specs = function.structured_input_signature
    names, outputs = list(specs), list(function.structured_outputs)

    @tf.nondifferentiable_batch_function(**BATCHING)
    def together(*columns):
        made = function(**dict(zip(names, columns, strict=True)))
        return [made[name] for name in outputs]

    def call(**inputs):
        made = together(*(inputs[name] for name in names))
        return dict(zip(outputs, made, strict=True))

    return tf.function(call).get_concrete_function(**specs)


def _columns(values, specs, by_rows):
    """Dict of JSON values by input, of rows or columns."""
    if by_rows and not values:
        raise ValueError("`instances` is empty.")
    first = values[0] if by_rows else values
    if not isinstance(first, dict) or "b64" in first:
        (name,) = specs  # Only a sole input may go without its name.
        return {name: values}
    unknown = set().union(*values if by_rows else [values]) - set(specs)
    if unknown:
        raise ValueError(
            f"the inputs are {', '.join(specs)}. "
            f"Received: {', '.join(sorted(unknown))}"
        )
    if by_rows:
        return {name: [row[name] for row in values] for name in specs}
    return values


def _tensor(values, spec):
    if spec.dtype == tf.string:
        files = [base64.b64decode(v["b64"], validate=True) for v in values]
        tensor = tf.constant(files, tf.string)
    else:
        tensor = tf.constant(_numbers(values, spec))
    if not spec.shape.is_compatible_with(tensor.shape):
        raise ValueError(
            f"{spec.name} must be of shape {spec.shape}. "
            f"Received: {tensor.shape}"
        )
    if not len(tensor):
        raise ValueError(f"{spec.name} is empty, and must have a row or more.")
    if len(tensor) > MOST_ROWS:
        raise ValueError(
            f"{spec.name} must have at most {MOST_ROWS:,} rows. "
            f"Received: {len(tensor):,}"
        )
    return tensor


def _numbers(values, spec):
    """An array of JSON numbers; NumPy would make some of others, too."""
    whole = spec.dtype.is_integer
    found = set(map(type, np.array(values, object).flat))
    if found <= ({int} if whole else {int, float}):
        return np.array(values, spec.dtype.as_numpy_dtype)
    name = "integers" if whole else "numbers"
    raise ValueError(f"{spec.name} must be {name}.")


def _listed(name, tensor):
    values = tensor.numpy().tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(each).decode()} for each in values]
    if tensor.dtype == tf.string:
        return [each.decode() for each in values]
    return values


def _rows(listed):
    if len(listed) == 1:
        (rows,) = listed.values()
        return rows
    return [
        dict(zip(listed, row, strict=True))
        for row in zip(*listed.values(), strict=True)
    ]


class _TooLarge(Exception):
    """The body of a request is."""


class _BrokenOff(Exception):
    """A request is: its client has gone."""


class Limited:
    """An ASGI application that answers `ROUTES` alone.

    It reads at most `MOST_BYTES` of a body.

    Args:
        app: the application.
    """

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        route = f"{scope.get('method')} {scope.get('path')}"
        if scope["type"] == "http" and not ROUTES.fullmatch(route):
            await _refuse(send, 404, "There is nothing here.")
            return
        size = 0

        async def counted():
            nonlocal size
            message = await receive()
            if message.get("type") == "http.disconnect":
                raise _BrokenOff
            size += len(message.get("body", b""))
            if size > MOST_BYTES:
                raise _TooLarge
            return message

        try:
            await self._app(scope, counted, send)
        except _BrokenOff:
            pass  # No bug, so no line of the log.
        except _TooLarge:
            limit = f"A request must have at most {MOST_BYTES:,} bytes."
            await _refuse(send, 413, limit)


async def _refuse(send, status, error):
    headers = [(b"content-type", b"application/json")]
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": headers,
    }
    body = json.dumps({"error": error}).encode()
    await send(start)
    await send({"type": "http.response.body", "body": body})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=pathlib.Path, help="of versions")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--batching", action="store_true")
    options = parser.parse_args()
    if not versions(options.folder):
        parser.error(
            f"{options.folder} must be a folder of versions of a SavedModel, "
            "such as saved_models/csc_ctrl_digits."
        )
    server = kserve.ModelServer(
        http_port=options.port,
        enable_grpc=False,
        enable_latency_logging=False,
        max_asyncio_workers=THREADS[options.batching],
    )
    logging.getLogger("kserve").addFilter(one_line)
    for name in ("kserve.trace", "uvicorn.access"):  # Lines of every request.
        logging.getLogger(name).setLevel("WARNING")
    kserve.model_server.app.add_middleware(Limited)
    server.start([Served(options.folder.resolve(), options.batching)])


if __name__ == "__main__":
    main()
