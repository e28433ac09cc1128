"""Servers of a SavedModel, with the interfaces of TensorFlow Serving.

They compute with the session of the C++ runtime, as that does.
"""

import base64
import collections
import concurrent.futures
import contextlib
import http.server
import json
import re
import threading

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

LABELS = {"stable": 1, "canary": 1}
# As tensorflow_serving/util/net_http has them, for those that happen here.
HTTP_STATUS = {
    tf.errors.InvalidArgumentError: 400,
    tf.errors.NotFoundError: 404,
    tf.errors.UnavailableError: 503,
    tf.errors.DeadlineExceededError: 504,
}
GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
GET = re.compile(r"/v1/models/(?P<model>[\w.-]+)")
POST = re.compile(
    GET.pattern
    + r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[\w.-]+))?:predict"
)


class Servable:
    """A version of a model.

    `faults` are functions of no argument; each is called, and taken off, by
    the next request, which answers with the `tf.errors.OpError` that it raises
    or the bytes that it returns.

    Args:
        name: of the model.
        path: folder of the SavedModel, version 1.
    """

    def __init__(self, name, path):
        self.name = name
        self.faults = collections.deque()
        self.requests = 0
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            loaded = tf.compat.v1.saved_model.load(
                self._session, ["serve"], str(path)
            )
        self._definitions = loaded.signature_def

    def definition(self, model, version, label, signature):
        """Of a signature; raises `tf.errors.OpError` if there is none."""
        self.requests += 1
        version = LABELS.get(label, 0) if label else version or 1
        if model != self.name or version != 1:
            raise tf.errors.NotFoundError(
                None, None, f"Servable not found for request: Latest({model})"
            )
        return self._definitions[signature or "serving_default"]

    def predict(self, definition, inputs):
        """Dict of the outputs' arrays for a dict of the inputs'."""
        assert set(inputs) == set(definition.inputs)
        for name, value in inputs.items():
            assert tf.as_dtype(value.dtype) == definition.inputs[name].dtype
        feeds = {definition.inputs[n].name: v for n, v in inputs.items()}
        fetches = {n: tensor.name for n, tensor in definition.outputs.items()}
        try:
            return self._session.run(fetches, feeds)
        except ValueError as error:  # The shape, which the graph checks, too.
            message = str(error)
        raise tf.errors.InvalidArgumentError(None, None, message)


@contextlib.contextmanager
def grpc_server(servable):
    """Serves a `Servable` by gRPC; gives the port."""
    pool = concurrent.futures.ThreadPoolExecutor(8)
    server = grpc.server(
        pool, options=[("grpc.max_receive_message_length", -1)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Service(servable), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
        pool.shutdown()


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, servable):
        self._servable = servable

    def Predict(self, request, context):
        spec = request.model_spec
        try:
            definition = self._servable.definition(
                spec.name,
                spec.version.value,
                spec.version_label,
                spec.signature_name,
            )
            if self._servable.faults:
                self._servable.faults.popleft()()
            inputs = {n: tf.make_ndarray(v) for n, v in request.inputs.items()}
            outputs = self._servable.predict(definition, inputs)
        except tf.errors.OpError as error:
            context.abort(GRPC_CODES[error.error_code], error.message)
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(_proto(value))
        return response


def _proto(value):
    """A tensor as a list of numbers, as TensorFlow Serving sends it."""
    proto = tf.make_tensor_proto(value)
    if value.dtype != object:
        name = {"float32": "float_val", "bool": "bool_val"}[value.dtype.name]
        for each in ("tensor_content", name):
            proto.ClearField(each)
        getattr(proto, name).extend(value.ravel().tolist())
    return proto


@contextlib.contextmanager
def rest_server(servable):
    """Serves a `Servable` by REST; gives the port."""

    class Handler(_Handler):
        pass

    Handler.servable = servable
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    servable = None

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        found = GET.fullmatch(self.path)
        if not found or found["model"] != self.servable.name:
            self._send(404, {"error": f"Could not find {self.path}"})
            return
        status = {"version": "1", "state": "AVAILABLE"}
        self._send(200, {"model_version_status": [status]})

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self._send(200, self._predict(text))
        except tf.errors.OpError as error:
            status = HTTP_STATUS.get(type(error), 500)
            self._send(status, {"error": error.message})

    def _predict(self, text):
        found = POST.fullmatch(self.path)
        body = json.loads(text)
        rows = body.get("instances")
        values = body["inputs"] if rows is None else rows
        definition = self.servable.definition(
            found["model"],
            int(found["version"] or 0),
            found["label"],
            body.get("signature_name"),
        )
        if self.servable.faults:
            fault = self.servable.faults.popleft()()
            if fault is not None:
                return fault
        inputs = _inputs(values, rows is not None, definition)
        outputs = self.servable.predict(definition, inputs)
        outputs = {name: _listed(name, outputs[name]) for name in outputs}
        if len(outputs) == 1:
            (outputs,) = outputs.values()
        elif rows is not None:
            columns = zip(*outputs.values(), strict=True)
            outputs = [dict(zip(outputs, row, strict=True)) for row in columns]
        return {"outputs" if rows is None else "predictions": outputs}

    def _send(self, status, content):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        with contextlib.suppress(ConnectionError):  # It may have gone.
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)


def _inputs(values, by_rows, definition):
    """Arrays of JSON, in rows or in columns."""
    names = list(definition.inputs)
    columns = values
    named = values[:1] if by_rows else [values]
    if not (named and isinstance(named[0], dict) and "b64" not in named[0]):
        columns = {names[0]: values}
    elif by_rows:
        columns = {name: [row.get(name) for row in values] for name in named[0]}
    arrays = {}
    for name, column in columns.items():
        kind = tf.as_dtype(definition.inputs[name].dtype)
        if kind == tf.string:
            column = [base64.b64decode(each["b64"]) for each in column]
        arrays[name] = np.array(column, kind.as_numpy_dtype)
    return arrays


def _listed(name, value):
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(each).decode()} for each in value]
    if value.dtype == object:
        return [each.decode() for each in value]
    return value.tolist()
