"""Takes an image apart by the programs that an encoder solves."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.explanation.results import Explanation
from keras_csc.explanation.results import Nearest
from keras_csc.explanation.results import StageExplanation
from keras_csc.metrics.features import rows

MOST_COMPONENTS = 10


def explain(
    encoder,
    image,
    train_features=None,
    train_labels=None,
    neighbors=5,
    centered=True,
    sparsity=None,
    decoder=None,
):
    """Explains an image by the codes of an encoder, see `Explanation`.

    What is given up front is small beside the codes of all stages, which take
    `4 · atoms / strides²` bytes a pixel of the stage's input: 24 MB of the
    first stage for half a megapixel and 48 atoms. Contributions are computed
    when they are asked for.

    Args:
        encoder: `Encoder`.
        image: float tensor `(1, height, width, channels)` in [-1, 1].
        train_features: array `(n, feature_dim)`, features of training images,
            or of maps `(n, map_height, map_width, feature_dim)` of images of
            this size.
        train_labels: ints `(n,)`, -1 for unlabelled.
        neighbors: int, how many neighbours to name.
        centered: bool, whether neighbours are those of centred features;
            what all features share hides how they differ.
        sparsity: float, `λ` of the first stage instead of its own.
        decoder: `Decoder` of the encoder, for what it draws at every stage.

    Returns:
        `Explanation`.

    Raises:
        ValueError: for an encoder without sparse codes, or one whose
            `activate` changes the codes, or training features or labels that
            do not fit.
    """
    if not encoder.sparse:
        raise ValueError(
            "Only an encoder with sparse codes can be explained, such as "
            'network="csc". Received: a ' + type(encoder).__name__
        )
    if train_labels is not None and train_features is None:
        raise ValueError("`train_labels` need `train_features`. Received: none")
    output = encoder.activations(image, sparsity=sparsity)
    features = output.features.numpy()
    classes, near = None, None
    if train_features is not None:
        train = np.asarray(train_features)
        _check_training(train, features)
        pair = rows(train), rows(features)
        near = metrics.nearest_neighbors(*pair, neighbors, centered)
        near = Nearest(near[0][0], near[1][0])
        if train_labels is not None:
            classes = _nearest_classes(*pair, train_labels)
    return Explanation(
        _array(image)[0],
        features[0],
        _stages(encoder, decoder, output, image, sparsity),
        classes,
        near,
    )


def _check_training(train, features):
    if train.shape[1:] != features.shape[1:] or not len(train):
        raise ValueError(
            "`train_features` must be like those of the image, of shape "
            f"(n, {', '.join(map(str, features.shape[1:]))}). "
            f"Received: {train.shape}"
        )


def _nearest_classes(train, features, labels):
    components = min(MOST_COMPONENTS, train.shape[1] - 1)
    distances, classes = metrics.subspace_distances(
        train, labels, features, components
    )
    order = np.argsort(distances[0], kind="stable")
    return Nearest(classes[order], distances[0][order])


def _stages(encoder, decoder, output, image, sparsity):
    stages = []
    drawn = decoder and decoder.codes(output.features)
    for number, layer in enumerate(encoder.coding_layers):
        signal = _array(output.inputs[number])[0]
        strength = layer.sparsity
        if number == 0 and sparsity is not None:
            strength = sparsity
        if number:
            _check_affine(encoder, number, output.codes[number - 1])
        scale, shift = _affine(encoder, number, signal.shape[-1])
        stage = StageExplanation(
            name=layer.name,
            signal=signal,
            codes=_array(output.codes[number])[0],
            kernel=_array(layer.kernel),
            strides=layer.strides,
            padding=layer.padding,
            sparsity=strength,
            ridge=layer.ridge,
            nonnegative=layer.nonnegative,
            image_size=tuple(image.shape[1:3]),
            below=stages[-1] if stages else None,
            scale=scale,
            shift=shift,
        )
        if drawn:
            same = dataclasses.replace(stage, codes=_array(drawn[number])[0])
            stage = dataclasses.replace(stage, drawn=same)
        stages.append(stage)
    return tuple(stages)


def _check_affine(encoder, number, codes):
    """Raises `ValueError` unless a stage is given normalised codes."""
    normalization = encoder.normalizations[number - 1]
    signal = normalization(encoder.parts(codes), training=False)
    if not np.array_equal(encoder.activate(signal), signal):
        raise ValueError(
            "Only an encoder whose stages are given the normalised codes of "
            "those below can be explained: else the contributions of atoms do "
            f"not add up to the image. `activate` of {type(encoder).__name__} "
            "changes them."
        )


def _affine(encoder, number, channels):
    """Scale and shift of the normalisation below a stage; 1 and 0 of none."""
    probe = tf.constant([[[[0.0]]], [[[1.0]]]])
    probe = tf.broadcast_to(probe, (2, 1, 1, channels))
    if number:
        probe = encoder.normalizations[number - 1](probe, training=False)
    shift, top = _array(probe)[:, 0, 0]
    return top - shift, shift


def _array(tensor):
    return tf.cast(tensor, tf.float32).numpy()
