"""What a signature does not answer: wrong shapes and values, by name."""

import numpy as np

from tests.helpers import c_library

IMAGES = (16, 16, 1)
OF_IMAGES = ("serving_default", "encode", "codes", "embed", "denoise")
WRONG_IMAGES = [
    *((), (2,), (3, 16), (2, 16, 16), (16, 16, 1), (4, 8, 8, 1)),
    *((1, 64, 64, 1), (2, 16, 16, 3), (2, 16, 32, 1), (2, 16, 16, 1, 1)),
    (0, 16, 16, 1),
]
WRONG_FEATURES = [
    *((), (8,), (2, 128), (4, 4), (2, 4, 8), (2, 2, 2, 8), (1, 1, 1, 1, 8)),
    (0, 8),
]
WRONG_SPARSITIES = [(3,), (0,), (2, 1), (1, 1), (1, 1, 1)]


def zeros(shape):
    return np.zeros(shape, "float32")


def of_images(image):
    """Calls of an image, and of one sparsity where there must be one."""
    for signature in OF_IMAGES:
        denoised = signature == "denoise"
        more = {"sparsity": zeros((1,))} if denoised else {}
        yield signature, {"image": image, **more}


def wrong_shapes():
    """Calls, and the shape that their error is to name."""
    for shape in WRONG_IMAGES:
        for call in of_images(zeros(shape)):
            yield *call, "[?,16,16,1]"
    for shape in WRONG_SPARSITIES:
        call = {"image": zeros((2, *IMAGES)), "sparsity": zeros(shape)}
        yield "denoise", call, "sparsity"
    for shape in WRONG_FEATURES:
        yield "decode", {"features": zeros(shape)}, "[?,8]"


def spoilt(shape, row, value):
    """Ones of which a row holds a wrong value."""
    values = np.full(shape, 0.5, "float32")
    values[row].flat[-1] = value
    return values


def wrong_values():
    """Calls, and what their error is to name."""
    for value in (np.nan, np.inf, 1e30, 200.0):
        for call in of_images(spoilt((3, *IMAGES), 2, value)):
            yield *call, "`images`", 2
    for value in (np.nan, np.inf, -np.inf):
        yield "decode", {"features": spoilt((3, 8), 1, value)}, "`features`", 1
    for value in (np.nan, np.inf, -0.1):
        sparsity = np.array([0.1, value, 0.1], "float32")
        call = {"image": zeros((3, *IMAGES)), "sparsity": sparsity}
        yield "denoise", call, "`sparsity`", 1


def check_shape_message(message, inputs, expected):
    if any(0 in value.shape[:1] for value in inputs.values()):
        expected = "must"
    assert expected in message
    assert "oneDNN" not in message


def check_value_message(message, name, row):
    assert f"{name} must be" in message and f"Row] [{row}]" in message


def test_they_are_refused_by_name_and_the_process_lives(exported):
    """Through the C library, which looks at no shape itself."""
    shapes, values = list(wrong_shapes()), list(wrong_values())
    good = spoilt((2, *IMAGES), 1, 0.3)
    ranks = {np.ndim(call["image"]) for _, call, _ in shapes if "image" in call}
    assert ranks == set(range(6))
    calls = [(signature, inputs) for signature, inputs, *_ in shapes + values]
    *refusals, features, made = c_library.run(
        exported.path,
        [*calls, ("encode", {"image": good}), (OF_IMAGES[0], {"image": good})],
    )
    assert {type(each) for each in refusals} == {c_library.InvalidArgumentError}
    messages = [str(each) for each in refusals]
    for message, (_, inputs, expected) in zip(messages, shapes):
        check_shape_message(message, inputs, expected)
    for message, (*_, name, row) in zip(messages[len(shapes) :], values):
        check_value_message(message, name, row)
    model = exported.model
    np.testing.assert_allclose(features, model.encode(good), atol=1e-5)
    np.testing.assert_allclose(made, model.reconstruct(good), atol=1e-5)
