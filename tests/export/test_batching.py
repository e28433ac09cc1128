"""Signatures behind TensorFlow's own batching, which TF Serving has too."""

import concurrent.futures

import numpy as np
import tensorflow as tf

from tests.export.test_files import picture

TIMEOUT = 2_000_000  # Microseconds; a full batch does not wait.


def batched(exported, name, size, requests):
    """What a signature, called with batches of that size, answers.

    Args:
        requests: list of dicts of inputs, asked at the same time by threads.

    Returns:
        List of dicts of outputs, or of errors.
    """
    signature = exported.signatures[name]
    outputs = sorted(signature.structured_outputs)
    specs = signature.structured_input_signature[1]
    inputs = sorted(specs)

    @tf.nondifferentiable_batch_function(1, size, TIMEOUT)
    def together(*tensors):
        found = signature(**dict(zip(inputs, tensors)))
        count = tf.shape(tensors[0])[:1]
        return [*(found[key] for key in outputs), tf.fill(count, count[0])]

    @tf.function(input_signature=[specs[key] for key in inputs])
    def call(*tensors):
        return together(*tensors)

    def answer(given):
        try:
            found = call(*(tf.constant(given[key]) for key in inputs))
        except tf.errors.InvalidArgumentError as error:
            return str(error)
        assert set(found[-1].numpy()) == {size}
        return {key: value.numpy() for key, value in zip(outputs, found)}

    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(answer, requests))


def check_alone(exported, name, given, received):
    """An answer is that to the request alone."""
    for key, value in exported.ask(name, **given).items():
        if value.dtype == np.float32:
            np.testing.assert_allclose(received[key], value, atol=1e-5)
        else:
            np.testing.assert_array_equal(received[key], value)


def test_bad_files_of_one_request_fail_no_other(exported):
    requests = [
        {"image_bytes": files}
        for files in (
            [picture()],
            [b"no file"],
            [picture((9, 30)), b"", picture(form="JPEG")],
            [picture((40, 20), "BMP")],
        )
    ]
    for name in ("encode_bytes", "reconstruct_bytes"):
        received = batched(exported, name, 6, requests)
        for given, answer in zip(requests, received):
            check_alone(exported, name, given, answer)
        assert received[1]["valid"].tolist() == [False]


def test_every_image_keeps_its_sparsity(exported):
    rng = np.random.default_rng(0)
    requests = [
        {
            "image": rng.uniform(-1, 1, (n, 16, 16, 1)).astype("float32"),
            "sparsity": np.linspace(0, 0.5, n + 1, dtype="float32")[1:],
        }
        for n in (1, 2, 3)
    ]
    received = batched(exported, "denoise", 6, requests)
    for given, answer in zip(requests, received):
        check_alone(exported, "denoise", given, answer)


def test_one_sparsity_for_several_images_is_refused(exported):
    """And the requests that it would be batched with are answered."""
    image = np.zeros((2, 16, 16, 1), "float32")
    good = {"image": image, "sparsity": np.array([0.1, 0.2], "float32")}
    bad = {"image": image, "sparsity": np.array([0.1], "float32")}
    received, message = batched(exported, "denoise", 2, [good, bad])
    check_alone(exported, "denoise", good, received)
    assert "must have equal 0th-dimension size" in message
