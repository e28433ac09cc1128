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
        List of dicts of outputs.
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
        found = call(*(tf.constant(given[key]) for key in inputs))
        assert set(found[-1].numpy()) == {size}
        return {key: value.numpy() for key, value in zip(outputs, found)}

    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(answer, requests))


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
    received = batched(exported, "encode_bytes", 6, requests)
    for given, answer in zip(requests, received):
        # It is the answer to the request alone.
        for key, value in exported.ask("encode_bytes", **given).items():
            if value.dtype == np.float32:
                np.testing.assert_allclose(answer[key], value, atol=1e-5)
            else:
                np.testing.assert_array_equal(answer[key], value)
    assert received[1]["valid"].tolist() == [False]
