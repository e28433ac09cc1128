"""The functions that a SavedModel of an autoencoder offers."""

import tensorflow as tf

from keras_csc.export import files
from keras_csc.models.architecture import LEAST_SIZE
from keras_csc.models.inputs import MOST
from keras_csc.models.inputs import classes_of_density
from keras_csc.models.inputs import in_range
from keras_csc.models.inputs import seeds

DEFAULT = "serving_default"


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

    A row of `sample` depends on its label and its seed, whatever else a server
    puts into the batch; on its number, too, where one seed is for all.
    """
    density = model.density
    label = tf.TensorSpec((None,), tf.int32, name="label")
    seed = tf.TensorSpec((None,), tf.int32, name="seed")

    def embed(image):
        return {"embedding": _float(model.embed(_checked(image, model)))}

    def sample(label, seed):
        label = classes_of_density(tf.ensure_shape(label, (None,)), density)
        seed = seeds(seed, label)
        features = density.draw(label, seed)
        return {"sample": _float(model.decode(features))}

    return {
        "embed": (embed, [_image_spec(model)]),
        "sample": (sample, [label, seed]),
    }


def _bytes_signatures(model):
    """Signatures of files; names in `_bytes` are base64 in TF Serving.

    Every file has an outcome of its own: `valid`, and the `problem` of one that
    is not, whose output is zeros or no bytes. To a model of maps files come as
    they are: `reconstruct_bytes` takes files of several sizes, `encode_bytes`
    of one.
    """
    shape = model.encoder.accepted_shape
    image_bytes = tf.TensorSpec((None,), tf.string, name="image_bytes")
    if None in shape:
        encode, reconstruct = _of_any_size(model)
    else:
        encode, reconstruct = _of_one_size(model)
    return {
        "reconstruct_bytes": (reconstruct, [image_bytes]),
        "encode_bytes": (encode, [image_bytes]),
    }


def _of_one_size(model):
    """`encode_bytes`, `reconstruct_bytes` of a model of one size."""
    empty = tf.zeros(model.encoder.image_shape)

    def encode_bytes(image_bytes):
        images, outcome = files.read(image_bytes, empty)
        features = _float(model.encode(images))
        features = tf.where(outcome["valid"][:, None], features, 0.0)
        return {"features": features, **outcome}

    def reconstruct_bytes(image_bytes):
        images, outcome = files.read(image_bytes, empty)
        made = _to_png(_float(model.reconstruct(images)))
        made = tf.where(outcome["valid"], made, "")
        return {"reconstruction_bytes": made, **outcome}

    return encode_bytes, reconstruct_bytes


def _of_any_size(model):
    """The same of a model of maps.

    Files are decoded twice, to know the sizes first, so that no more than
    one image is held, and what a network makes of it.
    """
    shape = model.encoder.accepted_shape
    channels = shape[-1]
    features_spec = tf.TensorSpec(model.decoder.features_shape, tf.float32)

    def one_by_one(function, valid, image_bytes, spec):
        return tf.map_fn(
            lambda each: function(*each),
            (valid, image_bytes),
            fn_output_signature=spec,
            parallel_iterations=1,
        )

    def encode_bytes(image_bytes):
        sizes, outcome = files.sizes(image_bytes, channels)
        valid = outcome["valid"]
        good = tf.boolean_mask(sizes, valid)
        same = tf.reduce_all(good == good[:1])
        check = tf.raw_ops.Assert(
            condition=same,
            data=["image_bytes must hold images of one size. Received:", good],
        )
        with tf.control_dependencies([check]):
            size = tf.concat([good, [[LEAST_SIZE, LEAST_SIZE]]], 0)[0]
        empty = tf.zeros(tf.concat([size, [channels]], 0))
        empty = tf.ensure_shape(empty, shape)

        def encode(valid, file):
            image = tf.cond(
                valid, lambda: files.image(file, shape), lambda: empty
            )
            features = _float(model.encode(image[None]))[0]
            return tf.where(valid, features, 0.0)

        features = one_by_one(encode, valid, image_bytes, features_spec)
        return {"features": features, **outcome}

    def reconstruct_bytes(image_bytes):
        _, outcome = files.sizes(image_bytes, channels)

        def reconstruct(file):
            image = files.image(file, shape)
            return _to_png(_float(model.reconstruct(image[None])))[0]

        def made(valid, file):
            return tf.cond(valid, lambda: reconstruct(file), lambda: "")

        made = one_by_one(
            made, outcome["valid"], image_bytes, tf.TensorSpec((), tf.string)
        )
        return {"reconstruction_bytes": made, **outcome}

    return encode_bytes, reconstruct_bytes


def _checked(image, model):
    """Images of the right shape and range, or an `InvalidArgumentError`.

    A server and the C library feed a graph without looking at shapes.
    """
    image = tf.ensure_shape(image, (None, *model.encoder.accepted_shape))
    return in_range(image, MOST)


def _float(tensor):
    return tf.cast(tensor, tf.float32)


def _to_png(images):
    """PNG files of images in [-1, 1]."""
    pixels = tf.saturate_cast(tf.round((images + 1.0) * 127.5), tf.uint8)
    return tf.map_fn(
        tf.io.encode_png,
        pixels,
        fn_output_signature=tf.TensorSpec((), tf.string),
    )
