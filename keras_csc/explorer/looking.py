"""A first look at an image: what comes back, and what it is made of."""

import collections

from keras_csc.metrics import peak_signal_to_noise_ratio

Look = collections.namedtuple(
    "Look", ["image", "features", "regenerated", "psnr", "explanation"]
)
Look.__doc__ = """What a model makes of an image.

Arrays of float32.

Fields:
    image: `(height, width, channels)` in [-1, 1].
    features: `(feature_dim,)`, or of maps `(map_height, map_width,
        feature_dim)`.
    regenerated: array like the image, `g(f(x))`.
    psnr: float, of it, in dB.
    explanation: `explanation.Explanation`, or `None` of an encoder without
        sparse codes.
"""


def look(model, image):
    """Looks at an image through a model, see `Look`.

    Args:
        model: `ClosedLoopAutoencoder`.
        image: float array `(height, width, channels)` in [-1, 1].

    Raises:
        ValueError: for an image that the model does not take.
    """
    if model.encoder.sparse:
        explanation = model.explain(image)
        features = explanation.features
    else:
        explanation, features = None, model.encode(image[None]).numpy()[0]
    made = decoded(model, features, image)
    return Look(image, features, made, psnr(image, made), explanation)


def decoded(model, features, image):
    """The image of one's features, of the size of another image."""
    return model.decode(features[None], image_size=image.shape[:2]).numpy()[0]


def psnr(image, other):
    """PSNR of two images `(height, width, channels)` in [-1, 1], in dB."""
    return float(peak_signal_to_noise_ratio(image[None], other[None])[0])
