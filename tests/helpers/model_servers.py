"""Servers of a SavedModel, with the interfaces of TensorFlow Serving.

`serving/server.py` answers by REST, without KServe; gRPC has its messages from
the package of TensorFlow Serving.
"""

import collections
import concurrent.futures
import contextlib
import http.server
import importlib
import json
import re
import sys
import threading
import types
from unittest import mock

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

LABELS = {"stable": 1, "canary": 1}
# As tensorflow_serving/util/net_http has them, for those that happen here.
HTTP_STATUS = {
    tf.errors.InvalidArgumentError: 400,
    tf.errors.NotFoundError: 404,
    tf.errors.UnavailableError: 503,
}
GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}
GET = re.compile(r"/v1/models/(?P<model>[\w.-]+)")
POST = re.compile(
    GET.pattern
    + r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[\w.-]+))?:predict"
)


class InvalidInput(Exception):
    """In the place of KServe's, as the classes below."""


class ModelNotFound(Exception):
    pass


class Model:
    def __init__(self, name):
        self.name = name


def small_server():
    """The module `serving.server`, without KServe."""
    errors = types.SimpleNamespace(
        InvalidInput=InvalidInput, ModelNotFound=ModelNotFound
    )
    kserve = types.SimpleNamespace(Model=Model, errors=errors)
    modules = {"kserve": kserve, "kserve.errors": errors}
    with mock.patch.dict(sys.modules, modules):
        return importlib.import_module("serving.server")


class Servable:
    """Version 1 of a model.

    `faults` are functions of no argument; each is called, and taken off, by
    the next request, which answers with the `tf.errors.OpError` that it raises
    or the bytes that it returns.

    Args:
        folder: of the model's versions, of its name.
    """

    def __init__(self, folder):
        self.name = folder.name
        self.faults = collections.deque()
        self.requests = 0
        self.served = small_server().Served(folder)

    def ask(self, model, version, label):
        """Counts a request; returns what its fault does."""
        self.requests += 1
        version = LABELS.get(label, 0) if label else version or 1
        if model != self.name or version != 1:
            raise tf.errors.NotFoundError(
                None, None, f"Servable not found for request: Latest({model})"
            )
        return self.faults.popleft()() if self.faults else None

    def predict(self, signature, inputs):
        """Dict of the outputs' arrays for a dict of the inputs'."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        try:
            outputs = self.served._alone[signature](**tensors)
        except (TypeError, ValueError) as error:  # of a shape
            message = str(error)
            raise tf.errors.InvalidArgumentError(None, None, message) from error
        return {name: value.numpy() for name, value in outputs.items()}


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
        inputs = {n: tf.make_ndarray(v) for n, v in request.inputs.items()}
        try:
            self._servable.ask(
                spec.name, spec.version.value, spec.version_label
            )
            outputs = self._servable.predict(
                spec.signature_name or "serving_default", inputs
            )
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
    handler = type("Handler", (_Handler,), {"servable": servable})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
        found = POST.fullmatch(self.path)
        version = int(found["version"] or 0)
        try:
            answer = self.servable.ask(found["model"], version, found["label"])
            if answer is None:
                answer = self.servable.served._predict(json.loads(text))
            self._send(200, answer)
        except InvalidInput as error:
            self._send(400, {"error": str(error)})
        except tf.errors.OpError as error:
            status = HTTP_STATUS.get(type(error), 500)
            self._send(status, {"error": error.message})

    def _send(self, status, content):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        with contextlib.suppress(ConnectionError):  # It may have gone.
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
