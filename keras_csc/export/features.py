"""Features of images and their classifier for any TensorFlow, and servers."""

import pathlib

import tensorflow as tf

from keras_csc.export import signatures
from keras_csc.export.writing import writing


def export_features(features, folder, layer=None, names=()):
    """Writes `SparseFeatures` and a classifier of them as a SavedModel.

    Its signatures take images of the shape that the features are of.

    - `embed`, also `serving_default`, takes `image` float32 `(batch, height,
      width, channels)` in [-1, 1]. It returns `embedding`, vectors of norm 1.
    - `classify`, with a `layer`, takes `image`. It returns `probabilities` of
      the classes, and the `name` of the likeliest.
    - `embed_bytes` and `classify_bytes` take `image_bytes`, image files. They
      also return `valid` and the `problem` of an invalid file.

    Neither Keras nor this package is needed to load it.

    Args:
        features: `SparseFeatures`.
        folder: path of a folder that does not exist. A server takes it for a
            version if its name is a number.
        layer: layer from features to probabilities, or `None`.
        names: list of str, of the classes.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: for a folder that exists, or a file that does not compute
            what the features do.
    """
    folder = pathlib.Path(folder).absolute()
    endpoints = features_signatures(features, layer, names)
    weights = [*features.weights, *(layer.weights if layer else ())]
    with writing(endpoints, folder, weights):
        return folder


def features_signatures(features, layer=None, names=()):
    """Dict from the name of a signature to `(function, input_specs)`."""
    shape = features.image_shape

    def embed(image):
        image = tf.ensure_shape(image, (None, *shape))
        return {"embedding": features.embed(image)}

    def classify(image):
        image = tf.ensure_shape(image, (None, *shape))
        probabilities = layer(features(image))
        name = tf.gather(tf.constant(names), tf.argmax(probabilities, -1))
        return {"probabilities": probabilities, "name": name}

    def of_files(function):
        def of_bytes(image_bytes):
            images, outcome = signatures.outcomes(
                image_bytes, shape, tf.identity, tf.zeros(shape)
            )
            return {**function(images), **outcome}

        return of_bytes

    image = [tf.TensorSpec((None, *shape), tf.float32, "image")]
    files = [tf.TensorSpec((None,), tf.string, "image_bytes")]
    functions = {"embed": embed, **({"classify": classify} if layer else {})}
    written = {signatures.DEFAULT: (embed, image)}
    for name, function in functions.items():
        written[name] = function, image
        written[f"{name}_bytes"] = of_files(function), files
    return written
