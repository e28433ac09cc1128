"""The client asks, gets what the model computes, and fails in plain words."""

import contextlib
import inspect
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc import pixels
from serving import client

by_rest = pytest.mark.parametrize("server", ["rest"], indirect=True)


def test_numbers_are_those_of_the_model(
    run, server, computed, files, digits, tmp_path
):
    image = pixels.from_pixels(digits)
    before = server.servable.requests
    arguments = ["--batch_size=2", "--output", tmp_path / "f.npy"]
    assert run("encode", *files, *arguments)[0] == 0
    assert server.servable.requests - before == 2
    expected = computed("encode", image=image)["features"]
    found = np.load(tmp_path / "f.npy")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert run("codes", *files, "--output", tmp_path / "c.npz")[0] == 0
    expected = computed("codes", image=image)
    found = dict(np.load(tmp_path / "c.npz"))
    assert set(found) == set(expected)
    for name, codes in expected.items():
        np.testing.assert_allclose(found[name], codes, atol=1e-6)
    code, text = run("embed", *files, "--version_label=canary")
    expected = computed("embed", image=image)["embedding"]
    found = json.loads(text)["embedding"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    Image.new("RGB", (30, 20)).save(tmp_path / "large.png")
    shape = ["--size=16x16", "--colour=grey", "--model_version=1"]
    assert run("embed", tmp_path / "large.png", *shape)[0] == 0
    # Of a file that the server reads, no client changes the size.
    code, text = run("encode", tmp_path / "large.png", *shape)
    assert code == 2 and "--pixels" in text


def test_pictures_are_those_of_the_model(
    run, computed, files, digits, tmp_path
):
    stems = [path.stem for path in files]
    image = {"image": pixels.from_pixels(digits)}
    sparsity = {"sparsity": np.full(3, 0.3, "float32")}
    features = np.random.default_rng(0).normal(size=(3, 64)).astype("float32")
    np.save(tmp_path / "f.npy", features)
    labels, seeds = np.int32([3, 3, 3]), np.int32([5, 6, 7])
    for command, signature, inputs, names in (
        (["reconstruct", *files], "serving_default", image, stems),
        (
            ["denoise", "--sparsity=0.3", *files],
            "denoise",
            {**image, **sparsity},
            stems,
        ),
        (
            ["decode", tmp_path / "f.npy"],
            "decode",
            {"features": features},
            "012",
        ),
        (
            ["sample", "--label=3", "--seed=5", "--count=3"],
            "sample",
            {"label": labels, "seed": seeds},
            "567",
        ),
    ):
        folder = tmp_path / signature
        assert run(*command, "--output", folder)[0] == 0
        (images,) = computed(signature, **inputs).values()
        written = sorted(folder.iterdir())
        assert [path.name for path in written] == [f"{n}.png" for n in names]
        for path, expected in zip(written, pixels.to_pixels(images)):
            found = np.asarray(Image.open(path), int)
            assert np.abs(found - expected[..., 0]).max() <= 1


def refused(run, arguments, words):
    code, text = run(*arguments, "--retries=0")
    assert code == 2 and words in text, (arguments, text)
    assert "Traceback" not in text
    assert text.startswith("usage") or text.count("\n") == 1


def test_mistakes_that_the_server_finds_are_named(run, files, tmp_path):
    small = tmp_path / "small.png"
    Image.new("L", (8, 8)).save(small)
    refused(run, ["encode", "--pixels", small], "shape")
    refused(run, ["encode", files[0], "--model=other"], "other")
    refused(run, ["encode", files[0], "--model_version=7"], "not found")
    output = ["--output", tmp_path / "out"]
    refused(run, ["sample", "--label=77", *output], "label")


@by_rest
def test_mistakes_are_named(run, files, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    large, small = tmp_path / "large.npy", tmp_path / "small.png"
    np.save(large, np.array([[1e300]]))
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((16, 16), "uint16")).save(deep)
    Image.new("L", (8, 8)).save(small)
    os.mkfifo(tmp_path / "fifo")
    output = ["--output", tmp_path / "out"]
    for arguments, words in (
        (["encode", tmp_path / "nowhere.png"], "nowhere.png"),
        (["decode", tmp_path / "fifo", *output], "fifo is no regular file"),
        (["encode", "--pixels", text], "text.png can't be read"),
        (["encode", text], "JPEG"),
        (["encode", "--pixels", deep], "8 bits"),
        (["encode", "--pixels", files[0], small], "(8, 8, 1)"),
        (["encode", files[0], "--output", tmp_path / "f.txt"], ".npy"),
        (["encode", files[0], "--model=../x"], "letters"),
        (["encode", files[0], "--timeout=nan"], "nan"),
        (["encode", files[0], "--host=a..b"], "--host must be"),
        (["reconstruct", files[0]], "--output"),
        (["reconstruct", files[0], files[0], *output], "digit0.png"),
        (["reconstruct", files[0], "--output", files[1]], "digit1.png"),
        (["denoise", files[0], "--sparsity=-1", *output], "-1"),
        (["decode", large, *output], "finite in float32"),
        (["decode", text, *output], "array"),
        (["sample", "--seed=2147483647", "--count=2", *output], "2^31"),
    ):
        refused(run, arguments, words)
    assert not list(tmp_path.glob("out/*"))


def test_damaged_files_are_mistakes(files, tmp_path):
    features = tmp_path / "features.npz"
    np.savez(features, np.zeros((2, 64)))
    damaged = tmp_path / "damaged"
    for path in (files[0], features):
        content = path.read_bytes()
        for end in range(0, len(content), len(content) // 20):
            damaged.write_bytes(content[:end])
            with pytest.raises(client.Mistake, match="damaged"):
                client.inputs_of(client.parse(["decode", str(damaged)]))
            with contextlib.suppress(client.Mistake):
                assert client.read_image(damaged).shape == (16, 16, 1)


def test_formats_of_pictures(tmp_path):
    path = tmp_path / "picture.png"
    on_its_side = Image.Exif()
    on_its_side[0x0112] = 6
    for form in (*client.FORMATS, "MPO"):
        Image.new("L", (16, 12)).save(path, form, exif=on_its_side)
        size = (16, 12) if form == "TIFF" else (12, 16)  # Pillow turns these.
        assert client.read_image(path).shape[:2] == size
    for form in ("EPS", "PPM", "TGA"):
        Image.new("RGB", (16, 16)).save(path, form)
        with pytest.raises(client.Mistake, match="can't be read as a picture"):
            client.read_image(path)


@by_rest
def test_nothing_is_overwritten_unless_told(run, server, files, tmp_path):
    target = tmp_path / "new" / "digit0.png"
    target.parent.mkdir()
    target.write_text("mine")
    before = server.servable.requests
    arguments = ["reconstruct", files[0], "--output", target.parent]
    code, text = run(*arguments)
    assert code == 2 and str(target) in text
    assert target.read_text() == "mine"
    assert server.servable.requests == before
    assert run(*arguments, "--overwrite")[0] == 0
    assert Image.open(target).size == (16, 16)
    assert list(target.parent.iterdir()) == [target]


def test_outputs_that_nobody_or_nothing_takes(capfd, monkeypatch, tmp_path):
    def printed(output):
        with open(output, "w", encoding="ascii") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            return client.main(["sample"])

    monkeypatch.setattr(client, "run", lambda options: "é.png \x1b[2J")
    assert printed(tmp_path / "output") == 0
    assert (tmp_path / "output").read_text() == "\\xe9.png \\x1b[2J\n"
    reader, writer = os.pipe()
    os.close(reader)
    assert printed(writer) == 141
    assert capfd.readouterr().err == ""
    assert printed("/dev/full") == 2
    assert capfd.readouterr().err == (
        "sample: nothing can be printed: No space left on device\n"
    )
    monkeypatch.setattr(sys, "stdout", None)
    assert client.main(["sample"]) == 0


def unavailable():
    raise tf.errors.UnavailableError(None, None, "The queue is full")


def broken():
    raise tf.errors.InternalError(None, None, "It broke")


@pytest.mark.parametrize(
    "fault, ended, words, requests",
    [(unavailable, 0, "", 2), (broken, 1, "It broke", 1)],
)
def test_only_an_unavailable_server_is_asked_again(
    run, server, files, fault, ended, words, requests
):
    server.servable.faults.append(fault)
    before = server.servable.requests
    code, text = run("encode", files[0], "--retries=1")
    assert code == ended and words in text
    assert server.servable.requests - before == requests


def test_a_slow_answer_is_late(run, server, files):
    asked, answered = threading.Event(), threading.Event()

    def wait():
        asked.set()
        answered.wait(60)

    server.servable.faults.append(wait)
    code, text = run("encode", files[0], "--timeout=0.2")
    assert code == 1 and "0.2 seconds" in text
    answered.set()
    # Or the next test's fault would be this request's.
    assert asked.wait(60)


def test_a_server_that_is_away_is_named(files, capsys, unused_port):
    for protocol in ("rest", "grpc"):
        arguments = ["encode", str(files[0]), "--retries=0"]
        arguments += [f"--protocol={protocol}", f"--port={unused_port}"]
        assert client.main(arguments) == 1
        error = capsys.readouterr().err
        assert str(unused_port) in error and error.count("\n") == 1


@pytest.mark.parametrize("shape", [[5], [2**62, 2**62], [3], [-1, 2]])
def test_tensors_of_bytes_and_of_wrong_shapes(files, monkeypatch, shape):
    options = client.parse(["encode", str(files[0]), "--protocol=grpc"])
    server = client.Grpc(options)
    response = server._classes["Response"]()
    tensor = response.outputs.add(key="features").value
    numbers = np.arange(5, dtype="float32")
    tensor.dtype, tensor.tensor_content = 1, numbers.tobytes()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    monkeypatch.setattr(server, "_answer", lambda request: response)
    if shape == [5]:
        found = server.predict("encode", {}, "features")["features"]
        np.testing.assert_array_equal(found, numbers)
        return
    tensor.tensor_content, tensor.float_val[:] = b"", numbers
    with pytest.raises(client.Failure, match="outputs are wrong"):
        server.predict("encode", {}, "features")


GARBAGE = (
    *("<html>", "[" * 100_000, "[]", '{"outputs": {"other": [[1]]}}'),
    '{"outputs": {"\\u001b[2J\\u009b": [[1]]}}',
    *('{"outputs": 1}', '{"outputs": [[]]}', '{"outputs": [[1, 2], [3]]}'),
    *('{"outputs": [["a"]]}', '{"outputs": [[1e300]]}'),
    *('{"outputs": [{"b64": 5}]}', '{"outputs": [{"b64": "iVBORw0KGgo="}]}'),
    '{"outputs": {"features": [[1]], "valid": [1]}}',
)
NO_PICTURES = "0", "[[[1.0]]]", "[[[[0.0, 0.0]]]]", '[{"b64": "AAAA"}]'


def answering(server, *answers):
    """The next answers, in the place of the model's."""
    for answer in answers:
        server.servable.faults.append(lambda answer=answer: answer.encode())


@by_rest
def test_garbage_is_a_failure(run, server, files, tmp_path):
    for answer in GARBAGE:
        answering(server, answer)
        code, text = run("encode", files[0])
        assert code == 1 and text.startswith("encode: The server"), answer
        assert text[-1] == "\n" and text[:-1].isprintable()
    for images in NO_PICTURES:
        answering(server, f'{{"outputs": {images}}}')
        code, text = run("sample", "--output", tmp_path / "new")
        assert code == 1 and text.startswith("sample: The server"), images
        assert not list((tmp_path / "new").iterdir())


@by_rest
def test_maps_of_several_sizes_make_no_array(run, server, files, tmp_path):
    maps = [np.zeros((1, size, 1, 4)).tolist() for size in (2, 3)]
    answers = [{"outputs": {"features": each}} for each in maps]
    answering(server, *map(json.dumps, answers))
    output = tmp_path / "features.npy"
    code, text = run("encode", *files[:2], "--batch_size=1", "--output", output)
    assert code == 2 and "(2, 1, 4), (3, 1, 4)" in text
    assert not output.exists()


@by_rest
def test_a_file_that_the_server_marks_is_named(run, server, files):
    outcome = {"valid": [True, False], "problem": ["", "is damaged"]}
    answer = {"features": [[0.5], [0]], **outcome}
    answering(server, json.dumps({"outputs": answer}))
    code, text = run("encode", *files[:2])
    assert code == 2 and text.endswith("digit1.png: is damaged\n")


def test_neither_tensorflow_nor_this_package_is_needed(
    servers, files, tmp_path
):
    code = (
        "import runpy, sys\n"
        "for name in ('tensorflow', 'keras', 'keras_csc', 'tensorflow_serving'"
        "):\n    sys.modules[name] = None\n"
        "runpy.run_path('client.py', run_name='__main__')\n"
    )
    (tmp_path / "client.py").write_text(inspect.getsource(client))
    arguments = ["encode", files[0], "--protocol=grpc"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments]
        + [f"--port={servers.ports['grpc']}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["features"][0]) == 64
