"""Asks a server for what a model makes of pictures, features and numbers.

    python serving/client.py encode picture.png --output=features.npy
    python serving/client.py reconstruct *.png --output=pictures
    python serving/client.py denoise noisy.png --sparsity=0.2 --output=pictures
    python serving/client.py sample --label=3 --count=8 --output=pictures

The server is TensorFlow Serving, or one with its REST or gRPC interface. This
file is the whole client: it needs Python 3.11, NumPy and Pillow, for
`--protocol=grpc` also grpcio and protobuf, and neither TensorFlow nor Keras.

The exit code is 0 for an answer that was written, 2 for a mistake of the user,
also one that the server found, 1 for a failure of the server, and 141 if
nobody reads what is printed.
"""

import argparse
import base64
import contextlib
import http.client
import io
import json
import math
import os
import pathlib
import random
import re
import stat
import struct
import sys
import time
import zipfile

import numpy as np
from PIL import Image
from PIL import ImageOps

PORTS = {"rest": 8501, "grpc": 8500}
FIRST_WAIT = 0.25  # Seconds.
PNG = b"\x89PNG\r\n\x1a\n"
# Of every command: what it says of itself, the signature, and its output; for
# those that may send files as they are, the signature and the output of these.
COMMANDS = {
    "encode": ("features of pictures", "encode", "features"),
    "codes": ("sparse codes of pictures, of every stage", "codes", "codes_"),
    "reconstruct": (
        "pictures, regenerated",
        "serving_default",
        "reconstruction",
    ),
    "denoise": ("pictures, without noise", "denoise", "denoised"),
    "decode": ("pictures of features", "decode", "reconstruction"),
    "sample": ("new pictures", "sample", "sample"),
    "embed": (
        "embeddings of pictures, to compare them by",
        "embed",
        "embedding",
    ),
}
OF_FILES = {
    "encode": ("encode_bytes", "features"),
    "reconstruct": ("reconstruct_bytes", "reconstruction_bytes"),
}
MAKES_ARRAYS = {"encode": ".npy", "codes": ".npz", "embed": ".npy"}
MOST_SEEDS = 2**31
BROKEN_PIPE = 141  # As of a process that SIGPIPE ends.
# Pillow reads more; for some it starts other programs. MPO is JPEG to it.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
# What Pillow and NumPy raise for a damaged file.
DAMAGED = (
    EOFError,
    MemoryError,
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    struct.error,
    zipfile.BadZipFile,
)


class Mistake(Exception):
    """What the user can mend."""


class Failure(Exception):
    """What the server did not do."""


class Unavailable(Failure):
    """The same, but it may do it later."""


# === What is sent ===


def read_image(path, size=None, colour=None):
    """Pixels of a picture, uint8 (height, width, 1 or 3).

    Args:
        path: of a file of one of `FORMATS`, of at most 8 bits a channel.
        size: (height, width) to shrink or enlarge it to, cutting what is
            beyond that shape; by default its own.
        colour: `"grey"` or `"rgb"`; by default its own.

    Raises:
        Mistake: if there is no such picture.
    """
    content = io.BytesIO(content_of(path))
    try:
        with Image.open(content, formats=FORMATS) as image:
            if image.mode.startswith(("I", "F")):
                raise Mistake(
                    f"{path} has more than 8 bits a channel. Save it with 8."
                )
            grey = image.mode in ("1", "L", "LA")
            grey = colour == "grey" if colour else grey
            image = image.convert("L" if grey else "RGB")
            if size:
                image = ImageOps.fit(image, size[::-1], Image.BILINEAR)
            pixels = np.asarray(image)
    except DAMAGED as error:
        raise Mistake(f"{path} can't be read as a picture: {error}") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def from_pixels(pixels):
    """float32 images in [-1, 1] of pixels in 0..255."""
    return np.asarray(pixels).astype("float32") / 127.5 - 1.0


def to_pixels(images):
    """uint8 pixels of images in [-1, 1]; what lies beyond is cut off."""
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype("uint8")


def inputs_of(options):
    """Dict from names of a signature's inputs to a row for every answer."""
    if options.command == "sample":
        seeds = np.arange(options.seed, options.seed + options.count)
        if seeds[-1] >= MOST_SEEDS:
            raise Mistake(
                "--seed and --count must end below 2^31, as every picture has "
                f"a seed of its own. Received: {options.seed}, {options.count}"
            )
        labels = np.full(options.count, options.label)
        return {"label": labels.astype("int32"), "seed": seeds.astype("int32")}
    if options.command == "decode":
        return {"features": _read_features(options.features)}
    if sends_files(options):
        if options.size or options.colour:
            raise Mistake(
                "--size and --colour are of pixels to send: give --pixels, too."
            )
        return {"image_bytes": [content_of(path) for path in options.files]}
    images = [
        read_image(p, options.size, options.colour) for p in options.files
    ]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise Mistake(
            "Pictures of one request must have one size and colour: give "
            "--size and --colour, or one at a time. Received: "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    inputs = {"image": from_pixels(images)}
    if options.command == "denoise":
        inputs["sparsity"] = np.full(len(images), options.sparsity, "float32")
    return inputs


def content_of(path):
    """Bytes of a regular file: others may have no end."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise Mistake(f"{path} can't be read: {error.strerror}") from error
    raise Mistake(f"{path} is no regular file. Give a file to read.")


def sends_files(options):
    """Whether the server reads the files, or gets their pixels."""
    return options.command in OF_FILES and not options.pixels


def _read_features(path):
    content = io.BytesIO(content_of(path))
    try:
        features = np.load(content, allow_pickle=False)
    except DAMAGED as error:
        raise Mistake(f"{path} can't be read as an array: {error}") from error
    good = isinstance(features, np.ndarray) and features.dtype.kind in "fiu"
    if not good or features.ndim not in (2, 4) or not len(features):
        raise Mistake(
            f"{path} must hold an array of numbers, (images, features) or "
            "(images, height, width, features), as `encode` writes it."
        )
    with np.errstate(over="ignore"):
        features = features.astype("float32")
    if not np.all(np.isfinite(features)):
        raise Mistake(f"{path} holds numbers that are not finite in float32.")
    return features


# === REST ===


class Rest:
    """A server with the REST interface of TensorFlow Serving.

    Args:
        options: what `parse` returns.
    """

    def __init__(self, options):
        self._address = options.host, options.port
        self._timeout = options.timeout
        place = f"/v1/models/{options.model}"
        if options.model_version is not None:
            place += f"/versions/{options.model_version}"
        if options.version_label is not None:
            place += f"/labels/{options.version_label}"
        self._place = f"{place}:predict"

    def predict(self, signature, inputs, output):
        """Outputs of a signature.

        Args:
            signature: its name.
            inputs: dict from names to arrays, or lists of bytes.
            output: name of the output, which the answer leaves out if it is
                the only one.

        Returns:
            Dict from names to arrays, or lists of bytes.
        """
        columns = {name: _to_json(values) for name, values in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        answer = self._answer(json.dumps(body))
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if outputs is None:
            raise Failure(
                f"The server's answer has no outputs: {answer!r:.200}"
            )
        if not isinstance(outputs, dict):
            outputs = {output: outputs}
        try:
            return {
                name: _from_json(values) for name, values in outputs.items()
            }
        except (KeyError, TypeError, ValueError) as error:
            raise Failure(f"The server's outputs are wrong: {error}") from error

    def _answer(self, body):
        status, reason, text = self._post(body)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as error:
            answer = error
        if status == 200 and not isinstance(answer, ValueError):
            return answer
        message = f"{status} {reason}"
        if isinstance(answer, dict) and "error" in answer:
            message = f"{message}: {answer['error']}"
        elif status == 200:
            message = f"its answer is no JSON: {answer}"
        if status == 503:
            raise Unavailable(f"The server is not available: {message}")
        if 400 <= status < 500:
            raise Mistake(f"The server refuses the request: {message}")
        raise Failure(f"The server failed: {message}")

    def _post(self, body):
        end = time.monotonic() + self._timeout
        place = "{}:{}".format(*self._address)
        headers = {"Content-Type": "application/json"}
        try:
            connection = http.client.HTTPConnection(
                *self._address, timeout=self._timeout
            )
            with contextlib.closing(connection):
                connection.request("POST", self._place, body, headers)
                response = connection.getresponse()
                return response.status, response.reason, _all_of(response, end)
        except TimeoutError as error:
            raise _late(self._timeout) from error
        except (UnicodeError, http.client.InvalidURL) as error:
            raise Mistake(
                "--host must be the name or address of a machine. Received: "
                f"{self._address[0]!r}"
            ) from error
        except OSError as error:
            raise Unavailable(f"No server at {place}: {error}") from error
        except http.client.HTTPException as error:
            raise Failure(f"No HTTP server at {place}: {error!r}") from error


def _all_of(response, end):
    """The body of an answer; a trickle is late, too."""
    parts = []
    while part := response.read1(2**20):
        if time.monotonic() > end:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def _late(timeout):
    return Failure(f"The server gave no answer within {timeout:g} seconds.")


def _to_json(values):
    if isinstance(values, list):
        return [{"b64": base64.b64encode(each).decode()} for each in values]
    return values.tolist()


def _from_json(values):
    if values and isinstance(values[0], dict):
        return [base64.b64decode(each["b64"]) for each in values]
    return np.asarray(values)


# === gRPC ===

# Fields, by number, of those protocol buffers of TensorFlow and TensorFlow
# Serving that a prediction takes. The package that has all of them,
# tensorflow-serving-api, imports TensorFlow. A map is a list of its entries.
PREDICTION = {
    "Dim": {"size": (1, "int64")},
    "Shape": {"dim": (2, "[Dim]")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
        "bool_val": (11, "[bool]"),
    },
    "Version": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Version"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "Entry": {"key": (1, "string"), "value": (2, "Tensor")},
    "Request": {"model_spec": (1, "ModelSpec"), "inputs": (2, "[Entry]")},
    "Response": {"outputs": (1, "[Entry]")},
}
STRING = 7
# Of the other types: TensorFlow's number, NumPy's type, and the field.
NUMBERS = {
    1: ("<f4", "float_val"),
    3: ("<i4", "int_val"),
    10: ("?", "bool_val"),
}
# As many as fit a message of protocol buffers, 2 GiB.
MOST_NUMBERS = 2**29
METHOD = "/tensorflow.serving.PredictionService/Predict"


def message_classes(package, messages):
    """Classes of protocol buffers (proto3).

    Args:
        package: a name for them together.
        messages: dict from names of messages to dicts from names of fields to
            `(number, kind)`; a kind is a type, a message above, or one of
            these between brackets, for many.

    Returns:
        Dict from names to classes.
    """
    from google.protobuf import descriptor_pb2
    from google.protobuf import descriptor_pool
    from google.protobuf import message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    Field = descriptor_pb2.FieldDescriptorProto
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in fields.items():
            field = message.field.add(name=key, number=number)
            many, kind = kind.startswith("["), kind.strip("[]")
            field.label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
            if kind in messages:
                field.type_name = f".{package}.{kind}"
                kind = "message"
            field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{name}")
        )
        for name in messages
    }


class Grpc:
    """A server with TensorFlow Serving's `PredictionService`.

    Args:
        options: what `parse` returns.
    """

    def __init__(self, options):
        try:
            import grpc

            self._classes = message_classes("prediction", PREDICTION)
        except ImportError as error:
            raise Mistake(
                "--protocol=grpc needs the packages grpcio and protobuf: "
                f"{error}"
            ) from error
        self._grpc = grpc
        host = f"[{options.host}]" if ":" in options.host else options.host
        self._address = f"{host}:{options.port}"
        self._timeout = options.timeout
        spec = self._classes["ModelSpec"](name=options.model)
        if options.model_version is not None:
            spec.version.value = options.model_version
        if options.version_label is not None:
            spec.version_label = options.version_label
        self._spec = spec

    def predict(self, signature, inputs, output):
        """As of `Rest`; all outputs have their names."""
        request = self._classes["Request"](model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, values in inputs.items():
            entry = request.inputs.add(key=name)
            _write_tensor(entry.value, values)
        outputs = self._answer(request).outputs
        try:
            return {entry.key: _read_tensor(entry.value) for entry in outputs}
        except (KeyError, ValueError) as error:
            raise Failure(f"The server's outputs are wrong: {error}") from error

    def _answer(self, request):
        grpc, codes = self._grpc, self._grpc.StatusCode
        channel = grpc.insecure_channel(
            self._address,
            [
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.enable_http_proxy", 0),
                # Else it waits long for a server that was away.
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        with channel:
            call = channel.unary_unary(
                METHOD,
                type(request).SerializeToString,
                self._classes["Response"].FromString,
            )
            try:
                return call(request, timeout=self._timeout)
            except grpc.RpcError as error:
                code, message = error.code(), error.details()
        if code == codes.DEADLINE_EXCEEDED:
            raise _late(self._timeout)
        message = f"{code.name}: {message}"
        if code == codes.UNAVAILABLE:
            raise Unavailable(f"The server is not available: {message}")
        if code in (
            codes.INVALID_ARGUMENT,
            codes.NOT_FOUND,
            codes.FAILED_PRECONDITION,
            codes.OUT_OF_RANGE,
        ):
            raise Mistake(f"The server refuses the request: {message}")
        raise Failure(f"The server failed: {message}")


def _write_tensor(tensor, values):
    if isinstance(values, list):
        tensor.dtype, shape = STRING, (len(values),)
        tensor.string_val.extend(values)
    else:
        types = {kind: number for number, (kind, _) in NUMBERS.items()}
        (kind,) = (kind for kind in types if values.dtype == kind)
        tensor.dtype, shape = types[kind], values.shape
        tensor.tensor_content = values.astype(kind).tobytes()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)


def _read_tensor(tensor):
    if tensor.dtype == STRING:
        return list(tensor.string_val)
    kind, field = NUMBERS[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if math.prod(shape) > MOST_NUMBERS:
        raise ValueError(
            f"a tensor has more than {MOST_NUMBERS:,} numbers: {shape}"
        )
    values = np.frombuffer(tensor.tensor_content, kind)
    if not tensor.tensor_content:
        values = np.array(getattr(tensor, field), kind)
        missing = math.prod(shape) - len(values)
        if len(values) and missing > 0:  # All of them are the last one.
            values = np.pad(values, (0, missing), "edge")
    return values.reshape(shape)


# === Questions and answers ===


def retried(call, retries):
    """What `call()` returns, tried again while it is `Unavailable`.

    The waits double. No more than a random part of each is waited, so that
    clients of a server that comes back do not all ask it at once.
    """
    for attempt in range(retries + 1):
        try:
            return call()
        except Unavailable:
            if attempt == retries:
                raise
        time.sleep(FIRST_WAIT * 2**attempt * random.uniform(0.5, 1))


def ask(server, options, inputs):
    """Dict from names of outputs to arrays or lists, a row for every input.

    Args:
        server: `Rest` or `Grpc`.
        options: what `parse` returns.
        inputs: dict from names to arrays or lists of the same length.
    """
    _, signature, output = COMMANDS[options.command]
    if sends_files(options):
        signature, output = OF_FILES[options.command]
    rows = len(next(iter(inputs.values())))
    answers = []
    for start in range(0, rows, options.batch_size):
        stop = min(start + options.batch_size, rows)
        part = {name: rows[start:stop] for name, rows in inputs.items()}
        answer = retried(
            lambda: server.predict(signature, part, output), options.retries
        )
        answers.append(_checked(answer, output, options, start, stop))
        if answers[-1].keys() != answers[0].keys():
            raise Failure("The server's answers have different outputs.")
    return {
        name: sum((list(answer[name]) for answer in answers), [])
        for name in answers[0]
    }


def _checked(answer, output, options, start, stop):
    """The outputs that were asked for, of rows that the server could read."""
    rows = stop - start
    if sends_files(options) and "valid" in answer:
        valid = np.asarray(answer["valid"])
        if valid.shape != (rows,) or valid.dtype != bool:
            raise Failure(f"The server's valid must be {rows} booleans.")
        for row in np.flatnonzero(~valid):
            problem = [*np.ravel(answer.get("problem", [])), *[""] * rows][row]
            if isinstance(problem, bytes):
                problem = problem.decode(errors="replace")
            raise Mistake(
                f"The server can't read {options.files[start + row]}: {problem}"
            )
    found = {
        name: values
        for name, values in answer.items()
        if name == output or (output == "codes_" and name.startswith(output))
    }
    if not found:
        names = ", ".join(sorted(answer)) or "none"
        raise Failure(f"The server has no output {output!r}, but {names}.")
    arrays = options.command in MAKES_ARRAYS
    what = "arrays" if arrays else "pictures, as PNGs or"
    for name, values in found.items():
        if isinstance(values, list):
            shape = (len(values),)
            good = not arrays and all(each.startswith(PNG) for each in values)
        else:
            shape = values.shape
            images = len(shape) == 4 and shape[-1] in (1, 3)
            good = _are_finite(values) and (arrays or images)
        if shape[:1] != (rows,) or not good:
            raise Failure(
                f"The server's {name} must be {rows} {what} of finite numbers. "
                f"Received: an array of shape {shape}"
            )
    return found


def _are_finite(values):
    """Whether rows are of numbers, at least one each, finite in float32."""
    return (
        values.ndim > 1
        and values.size
        and values.dtype.kind in "fi"
        and np.all(np.abs(values) <= np.finfo("float32").max)
    )


def run(options):
    """Asks, and writes the answer; returns a line of what was done."""
    inputs = inputs_of(options)
    targets = targets_of(options, inputs)
    server = (Grpc if options.protocol == "grpc" else Rest)(options)
    outputs = ask(server, options, inputs)
    if options.command in MAKES_ARRAYS:
        arrays = {name: _array(rows) for name, rows in outputs.items()}
        if not targets:
            return json.dumps({n: a.tolist() for n, a in arrays.items()})
        content = io.BytesIO()
        if options.command == "codes":
            np.savez(content, **arrays)
        else:
            np.save(content, *arrays.values())
        write(targets[0], content.getvalue(), options.overwrite)
        shapes = [f"{name} {array.shape}" for name, array in arrays.items()]
        return f"{targets[0]}: {', '.join(shapes)}"
    (images,) = outputs.values()
    for target, image in zip(targets, images, strict=True):
        if not isinstance(image, bytes):
            content = io.BytesIO()
            pixels = to_pixels(image)
            pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            Image.fromarray(pixels).save(content, "PNG")
            image = content.getvalue()
        write(target, image, options.overwrite)
    return f"{options.output}: {', '.join(path.name for path in targets)}"


def _array(rows):
    """The rows of an output as one array."""
    shapes = sorted({np.shape(row) for row in rows})
    if len(shapes) > 1:
        raise Mistake(
            "Answers for pictures of several sizes make no one array: give "
            "pictures of one size, or one at a time. Received: "
            f"{', '.join(map(str, shapes))}"
        )
    return np.array(rows, "float32")


# === What is written ===


def targets_of(options, inputs):
    """Paths of the files to write; none is there, unless it may be replaced."""
    if options.command in MAKES_ARRAYS:
        suffix = MAKES_ARRAYS[options.command]
        if options.output is None:
            return []
        if options.output.suffix != suffix:
            raise Mistake(
                f"--output of {options.command} must end in {suffix}. "
                f"Received: {options.output}"
            )
        targets = [options.output]
    elif options.output is None:
        raise Mistake("--output must be a folder for the pictures.")
    else:
        names = inputs.get("seed", range(len(inputs.get("features", ()))))
        if options.command not in ("sample", "decode"):
            names = [path.stem for path in options.files]
        targets = [options.output / f"{name}.png" for name in names]
    twice = {path.name for path in targets if targets.count(path) > 1}
    if twice:
        raise Mistake(
            f"Several pictures would be written as {', '.join(sorted(twice))}: "
            "rename them, or give one at a time."
        )
    there = [str(path) for path in targets if os.path.lexists(path)]
    if there and not options.overwrite:
        raise Mistake(f"{there[0]} exists. Move it away, or give --overwrite.")
    folder = targets[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mistake(f"{folder} is no folder: {error.strerror}") from error
    return targets


def write(path, content, overwrite=False):
    """Writes bytes under another name, and renames that."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        if os.path.lexists(path) and not overwrite:
            raise Mistake(f"{path} exists by now. Nothing is overwritten.")
        os.replace(temporary, path)
    except OSError as error:
        raise Mistake(f"{path} can't be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


# === The command line ===


def parse(arguments=None):
    """Options of a command line; leaves with exit code 2 for a mistake."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command, (what, *_) in COMMANDS.items():
        sub = commands.add_parser(command, help=what, description=what)
        if command == "sample":
            _define_sample(sub)
        elif command == "decode":
            sub.add_argument(
                "features", type=pathlib.Path, help=".npy, as of encode"
            )
        else:
            _define_pictures(sub, command)
        _define_answer(sub, command)
        _define_server(sub)
    options = parser.parse_args(arguments)
    if options.port is None:
        options.port = PORTS[options.protocol]
    return options


def _define_sample(parser):
    parser.add_argument(
        "--label",
        type=_number(int, -1, MOST_SEEDS - 1),
        default=-1,
        help="class of the pictures, -1 for any (%(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_number(int, 0, MOST_SEEDS - 1),
        default=0,
        help="of the first; the next picture has the next (%(default)s)",
    )
    parser.add_argument(
        "--count", type=_number(int, 1, 10**6), default=1, help="of pictures"
    )


def _define_pictures(parser, command):
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    if command == "denoise":
        parser.add_argument(
            "--sparsity",
            type=_number(float, 0, 10**6),
            required=True,
            help="weight of the first stage's codes: more is smoother",
        )
    if command in OF_FILES:
        parser.add_argument(
            "--pixels",
            action="store_true",
            help="send pixels; by default the server reads the files",
        )
    parser.add_argument(
        "--size",
        type=_size,
        help="HEIGHTxWIDTH of the pixels to send; by default the picture's",
    )
    parser.add_argument(
        "--colour",
        choices=["grey", "rgb"],
        help="of the pixels to send; by default the picture's",
    )


def _define_answer(parser, command):
    kind = MAKES_ARRAYS.get(command)
    what = f"{kind} file; by default JSON is printed" if kind else "folder"
    parser.add_argument("--output", type=pathlib.Path, help=what)
    parser.add_argument(
        "--overwrite", action="store_true", help="files of these names"
    )


def _define_server(parser):
    parser.add_argument("--protocol", choices=sorted(PORTS), default="rest")
    parser.add_argument("--host", default="localhost")
    parser.add_argument(
        "--port",
        type=_number(int, 1, 2**16 - 1),
        help="by default 8501, and 8500 with --protocol=grpc",
    )
    parser.add_argument("--model", type=_name, default="csc_ctrl_digits")
    version = parser.add_mutually_exclusive_group()
    version.add_argument(
        "--model_version",
        type=_number(int, 1, 2**63 - 1),
        help="by default the newest",
    )
    version.add_argument(
        "--version_label", type=_name, help="such as stable or canary"
    )
    parser.add_argument(
        "--timeout",
        type=_number(float, 0.001, 10**6),
        default=30,
        help="seconds for an answer to one request (%(default)s)",
    )
    parser.add_argument(
        "--retries",
        type=_number(int, 0, 20),
        default=4,
        help="of a request to a server that is not available (%(default)s)",
    )
    parser.add_argument(
        "--batch_size",
        type=_number(int, 1, 10**6),
        default=32,
        help="rows of one request at most (%(default)s)",
    )


def _number(kind, least, most):
    """Returns a function of a text, for a number of an interval."""

    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if least <= value <= most:
            return value
        raise argparse.ArgumentTypeError(
            f"must be a number of at least {least} and at most {most:,}. "
            f"Received: {text}"
        )

    return number


def _size(text):
    height, x, width = text.partition("x")
    side = _number(int, 1, 2**14)
    return side(height), side(width if x else height)


def _name(text):
    if not re.fullmatch(r"[\w.-]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"must be of letters, digits and _.-. Received: {text!r}"
        )
    return text


def _printable(line):
    """A line without what would control a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _print(line):
    """Prints a line; what the output can't encode or show is escaped.

    Raises:
        BrokenPipeError: if nobody reads it.
        Mistake: if it can't be written.
    """
    with contextlib.suppress(AttributeError):  # There may be no output.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(_printable(line), flush=True)
    except OSError as error:
        # Python writes the rest when it ends.
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise Mistake(f"nothing can be printed: {error.strerror}") from error


def main(arguments=None):
    """Runs a command line; returns its exit code."""
    options = parse(arguments)
    try:
        _print(run(options))
    except BrokenPipeError:
        return BROKEN_PIPE
    except (Mistake, Failure) as error:
        line = _printable(" ".join(str(error).split()))
        print(f"{options.command}: {line}", file=sys.stderr)
        return 2 if isinstance(error, Mistake) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
