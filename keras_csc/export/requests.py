"""Requests to a served model, for its card."""

REST = """\
Over REST, by columns (every input is a list, one entry an item) with Python's
own library; `ask` returns the output, or a dict of several:

```python
import base64
import json
import urllib.request

import numpy as np

URL = "http://localhost:8501/v1/models/{name}:predict"


def ask(signature, **inputs):
    body = json.dumps({{"signature_name": signature, "inputs": inputs}})
    headers = {{"Content-Type": "application/json"}}
    request = urllib.request.Request(URL, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["outputs"]


image = np.zeros((1, {height}, {width}, {channels})).tolist()  # in [-1, 1]
{lines}
```
"""

# By signature: what a request is in Python.
LINES = {
    "serving_default": 'reconstruction = ask("serving_default", image=image)',
    "encode": 'features = ask("encode", image=image)',
    "decode": """\
reconstruction = ask("decode", features=features)
pixels = np.rint((np.clip(reconstruction, -1, 1) + 1) * 127.5)""",
    "codes": 'codes = ask("codes", image=image)  # codes_1, codes_2, ...',
    "denoise": 'denoised = ask("denoise", image=image, sparsity=[0.1])',
    "embed": 'embedding = ask("embed", image=image)',
    "sample": 'sample = ask("sample", label=[-1], seed=[7])',
    "encode_bytes": """\
with open("picture.png", "rb") as file:
    image_bytes = [{"b64": base64.b64encode(file.read()).decode()}]
answer = ask("encode_bytes", image_bytes=image_bytes)
if answer["valid"][0]:
    features = answer["features"]
else:
    print(answer["problem"][0])""",
    "reconstruct_bytes": """\
answer = ask("reconstruct_bytes", image_bytes=image_bytes)
png = base64.b64decode(answer["reconstruction_bytes"][0]["b64"])""",
}

ROWS = """
Over REST, by rows, from a shell. An image is as many lists as it has rows, of
lists of pixels, of lists of channels:

```shell
echo '{{"instances": [{{"image": '"$(python3 -c "print(
  [[[0.0] * {channels}] * {width}] * {height})")"'}}]}}' |
  curl -H 'Content-Type: application/json' --data @- \\
    http://localhost:8501/v1/models/{name}:predict
```

The answer is `{{"predictions": [...]}}`: of every row the output, or a dict of
several.
"""

FILE_ROWS = """
```shell
image() {{ base64 < "$1" | tr -d '\\n'; }}
echo '{{"signature_name": "encode_bytes", "instances": [
  {{"image_bytes": {{"b64": "'"$(image picture.png)"'"}}}}]}}' |
  curl -H 'Content-Type: application/json' --data @- \\
    http://localhost:8501/v1/models/{name}:predict
```
"""

GRPC = """
Over gRPC, with the package `tensorflow-serving-api`:

```python
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

channel = grpc.insecure_channel("localhost:8500")
service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
request = predict_pb2.PredictRequest()
request.model_spec.name = "{name}"
request.model_spec.signature_name = "encode"
request.inputs["image"].CopyFrom(tf.make_tensor_proto(image, tf.float32))
answer = service.Predict(request, timeout=30)
features = tf.make_ndarray(answer.outputs["features"])
```
"""


def requests(signatures, **values):
    """Text of a request for every signature, in Markdown.

    Args:
        signatures: names of the signatures that the model has.
        **values: `name` of the model; `height`, `width` and `channels` of an
            image for it.

    Returns:
        The text.
    """
    lines = [text for name, text in LINES.items() if name in signatures]
    parts = [ROWS, FILE_ROWS, GRPC]
    if "encode_bytes" not in signatures:
        parts.remove(FILE_ROWS)
    rest = REST.format(lines="\n".join(lines), **values)
    return rest + "".join(part.format(**values) for part in parts)
