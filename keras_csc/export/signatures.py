"""The functions that a SavedModel of an autoencoder offers."""

import tensorflow as tf

from keras_csc.data import images as pictures
from keras_csc.data.decoding import MAX_PIXELS
from keras_csc.models.inputs import MOST
from keras_csc.models.inputs import classes_of_density
from keras_csc.models.inputs import in_range
from keras_csc.models.inputs import one_or_one_of_each

DEFAULT = "serving_default"
FILES_AT_A_TIME = 2
# Of a file for a model of maps, which takes some 600 bytes for each.
MOST_PIXELS = 2**22


def signatures(model):
    """Functions of an autoencoder to export.

    A `ConvEncoder` has neither sparse codes nor a sparsity to denoise with,
    only images of 1 or 3 channels are read from files, and only models that
    have a density sample and embed: the signatures for these are left out of
    other models.

    Args:
        model: built `ClosedLoopAutoencoder`.

    Returns:
        Dict from the name of a signature to `(function, input_specs)`. The
        function takes a batch of every input and returns a dict of outputs,
        float32 whatever the model's dtype policy. No output has the name of
        an input of the same signature: tf2onnx can't tell them apart.
    """
    found = _float_signatures(model)
    if model.encoder.sparse:
        found.update(_sparse_signatures(model))
    if model.density is not None:
        found.update(_density_signatures(model))
    if model.encoder.image_shape[-1] in (1, 3):
        found.update(_bytes_signatures(model))
    return found


def _image_spec(model):
    shape = (None, *model.encoder.accepted_shape)
    return tf.TensorSpec(shape, tf.float32, name="image")


def _float_signatures(model):
    image = _image_spec(model)
    shape = (None, *model.decoder.features_shape)
    features = tf.TensorSpec(shape, tf.float32, name="features")

    def reconstruct(image):
        images = _checked(image, model)
        return {"reconstruction": _float(model.reconstruct(images))}

    def encode(image):
        images = _checked(image, model)
        return {"features": _float(model.encode(images))}

    def decode(features):
        features = tf.ensure_shape(features, shape)
        return {"reconstruction": _float(model.decode(features))}

    return {
        DEFAULT: (reconstruct, [image]),
        "encode": (encode, [image]),
        "decode": (decode, [features]),
    }


def _sparse_signatures(model):
    image = _image_spec(model)
    sparsity = tf.TensorSpec((None,), tf.float32, name="sparsity")

    def denoise(image, sparsity):
        images = _checked(image, model)
        return {"denoised": _float(model.denoise(images, sparsity))}

    def codes(image):
        stages = model.encoder.activations(_checked(image, model)).codes
        return {
            f"codes_{number}": _float(stage)
            for number, stage in enumerate(stages, start=1)
        }

    return {"denoise": (denoise, [image, sparsity]), "codes": (codes, [image])}


def _density_signatures(model):
    """Signatures of the density: `embed`, and `sample`, which has no state.

    A row of `sample` depends on its label, its seed and its number.
    """
    density = model.density
    label = tf.TensorSpec((None,), tf.int32, name="label")
    seed = tf.TensorSpec((None,), tf.int32, name="seed")

    def embed(image):
        return {"embedding": _float(model.embed(_checked(image, model)))}

    def sample(label, seed):
        label = classes_of_density(tf.ensure_shape(label, (None,)), density)
        seed = one_or_one_of_each("seed", seed, "label", label)
        features = density.draw(label, seed)
        return {"sample": _float(model.decode(features))}

    return {
        "embed": (embed, [_image_spec(model)]),
        "sample": (sample, [label, seed]),
    }


def _bytes_signatures(model):
    """Signatures of files; names in `_bytes` are base64 in TF Serving.

    To a model of maps files come as they are: `reconstruct_bytes` takes files
    of several sizes, `encode_bytes` of one.
    """
    shape = model.encoder.accepted_shape
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")

    def reconstruct_bytes(image_bytes):
        def reconstruct(image):
            return _to_png(_float(model.reconstruct(image[None])))[0]

        if None in shape:
            spec = tf.TensorSpec((), tf.string)
            files = _of_every_file(image_bytes, shape, reconstruct, spec)
        else:
            images = model.reconstruct(_read(image_bytes, shape))
            files = _to_png(_float(images))
        return {"reconstruction_bytes": files}

    def encode_bytes(image_bytes):
        features = model.encode(_read(image_bytes, shape))
        return {"features": _float(features)}

    return {
        "reconstruct_bytes": (reconstruct_bytes, [image_bytes]),
        "encode_bytes": (encode_bytes, [image_bytes]),
    }


def _checked(image, model):
    """Images of the right shape and range, or an `InvalidArgumentError`.

    A server and the C library feed a graph without looking at shapes.
    """
    image = tf.ensure_shape(image, (None, *model.encoder.accepted_shape))
    return in_range(image, MOST)


def _float(tensor):
    return tf.cast(tensor, tf.float32)


def _read(encoded, shape):
    """Images in [-1, 1] of a batch of files, prepared as for training."""
    if None in shape:
        sizes = _of_every_file(
            encoded, shape, tf.shape, tf.TensorSpec((3,), tf.int32)
        )
        check = tf.debugging.Assert(
            tf.reduce_all(sizes == sizes[0]),
            ["image_bytes must hold images of one size. Received:", sizes],
        )
        with tf.control_dependencies([check]):
            encoded = tf.identity(encoded)
    return _of_every_file(
        encoded, shape, tf.identity, tf.TensorSpec(shape, tf.float32)
    )


def _of_every_file(encoded, shape, function, spec):
    """What a function makes of the image in [-1, 1] of every file.

    Few are read at a time: each may take the memory of its pixels.
    """
    count = tf.size(encoded)
    check = tf.debugging.Assert(
        count > 0, ["image_bytes is empty, and must hold one file or more."]
    )
    with tf.control_dependencies([check]):
        encoded = tf.identity(encoded)

    def read(row_and_file):
        row, file = row_and_file
        image = pictures.read(
            file,
            shape,
            name=lambda: tf.strings.format("image_bytes[{}]", row),
            most_pixels=MOST_PIXELS if None in shape else MAX_PIXELS,
        )
        return function(pictures.normalize(image))

    return tf.map_fn(
        read,
        (tf.range(count), encoded),
        fn_output_signature=spec,
        parallel_iterations=FILES_AT_A_TIME,
    )


def _to_png(images):
    """PNG files of images in [-1, 1]."""
    pixels = tf.saturate_cast(tf.round((images + 1.0) * 127.5), tf.uint8)
    return tf.map_fn(
        tf.io.encode_png,
        pixels,
        fn_output_signature=tf.TensorSpec((), tf.string),
    )
