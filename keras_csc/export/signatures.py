"""The functions that a SavedModel of an autoencoder offers."""

import tensorflow as tf

from keras_csc.data import images as pictures
from keras_csc.data.images import MAX_PIXELS
from keras_csc.models.inputs import LARGEST_PIXEL
from keras_csc.models.inputs import LEAST_SIZE
from keras_csc.models.inputs import asserted
from keras_csc.models.inputs import in_range
from keras_csc.validation import shown

DEFAULT = "serving_default"
FILE = tf.TensorSpec((), tf.string)
# Most pixels of a file for a model of maps: it takes some 600 bytes a pixel.
MOST_PIXELS = 2**22
FILES_AT_A_TIME = 2  # Each may take the memory of its pixels.
DAMAGED = "can't be decoded: it is damaged"


def autoencoder_signatures(model):
    """Functions of an autoencoder to export.

    Some models lack some signatures. Only images of 1 or 3 channels are read
    from files. Only models with a density sample and embed.

    Args:
        model: `ClosedLoopAutoencoder`.

    Returns:
        Dict from the name of a signature to `(function, input_specs)`. The
        function takes a batch of every input and returns a dict of outputs,
        float32 whatever the model's dtype policy. No output has the name of
        an input of the same signature: tf2onnx can't tell them apart.
    """
    model.make_weights()
    encoder = model.encoder
    image = _spec("image", encoder.accepted_shape)
    features = _spec("features", model.decoder.features_shape)

    def reconstruct(image):
        images = _checked(image, encoder)
        return {"reconstruction": _float(model.reconstruct(images))}

    def encode(image):
        return {"features": _float(model.encode(_checked(image, encoder)))}

    def decode(features):
        features = tf.ensure_shape(
            features, (None, *model.decoder.features_shape)
        )
        return {"reconstruction": _float(model.decode(features))}

    def denoise(image, sparsity):
        images = _checked(image, encoder)
        return {"denoised": _float(model.denoise(images, sparsity))}

    def codes(image):
        stages = encoder.activations(_checked(image, encoder)).codes
        return {
            f"codes_{number}": _float(stage)
            for number, stage in enumerate(stages, start=1)
        }

    endpoints = {
        DEFAULT: (reconstruct, [image]),
        "encode": (encode, [image]),
        "decode": (decode, [features]),
        "denoise": (denoise, [image, _spec("sparsity")]),
        "codes": (codes, [image]),
    }
    if model.density is not None:
        endpoints.update(_density_signatures(model, image))
    if encoder.image_shape[-1] in (1, 3):
        of_files = _of_any_size if encoder.features == "map" else _of_one_size
        reconstruct_bytes, encode_bytes = of_files(model)
        files = [_spec("image_bytes", dtype=tf.string)]
        endpoints["reconstruct_bytes"] = reconstruct_bytes, files
        endpoints["encode_bytes"] = encode_bytes, files
    return endpoints


def _density_signatures(model, image):
    """Signatures of the density: `embed`, and `sample`, which has no state.

    A row of `sample` depends on its label and its seed, whatever else a server
    puts into the batch. If one seed is for all, it also depends on its number.
    """
    density = model.density

    def embed(image):
        images = _checked(image, model.encoder)
        return {"embedding": _float(model.embed(images))}

    def sample(label, seed):
        label = _classes(tf.ensure_shape(label, (None,)), density)
        seed = _seeds(tf.ensure_shape(seed, (None,)), tf.size(label))
        return {"sample": _float(model.decode(density.draw(label, seed)))}

    numbers = [_spec(name, dtype=tf.int32) for name in ("label", "seed")]
    return {"embed": (embed, [image]), "sample": (sample, numbers)}


def _classes(labels, density):
    """The labels; there must be some, each -1 or a class of the density."""
    labels = asserted(labels, tf.size(labels) > 0, ["`label` is empty."])
    known = tf.equal(labels[:, None], tf.constant(density.labels, tf.int32))
    return asserted(
        labels,
        tf.reduce_all(tf.reduce_any(known, 1) | (labels == -1)),
        [
            "`label` must be -1, for any class, or a class of the density: "
            f"{shown(density.labels.tolist())}. Received:",
            labels,
        ],
    )


def _seeds(seeds, count):
    """The seeds; they must be one or as many as labels, and not negative."""
    size = tf.size(seeds)
    seeds = asserted(
        seeds,
        (size == 1) | (size == count),
        ["`seed` must be one number, or one for every label. Received:", seeds],
    )
    message = ["`seed` must be at least 0. Received:", seeds]
    return asserted(seeds, tf.reduce_all(seeds >= 0), message)


# Signatures of files. Names in `_bytes` are base64 in TF Serving. Every file
# has an outcome of its own: `valid`, and the `problem` of an invalid file. The
# output of an invalid file is zeros or no bytes.


def _of_one_size(model):
    """`reconstruct_bytes` and `encode_bytes` of a model of one size."""
    shape = model.encoder.image_shape

    def read(image_bytes):
        return outcomes(image_bytes, shape, tf.identity, tf.zeros(shape))

    def encode_bytes(image_bytes):
        images, outcome = read(image_bytes)
        features = _float(model.encode(images))
        features = tf.where(outcome["valid"][:, None], features, 0.0)
        return {"features": features, **outcome}

    def reconstruct_bytes(image_bytes):
        images, outcome = read(image_bytes)
        regenerated = model.reconstruct(images)
        files = tf.map_fn(to_png, regenerated, fn_output_signature=FILE)
        files = tf.where(outcome["valid"], files, "")
        return {"reconstruction_bytes": files, **outcome}

    return reconstruct_bytes, encode_bytes


def _of_any_size(model):
    """The same for a model of maps, which takes images in their own size.

    `reconstruct_bytes` takes files of several sizes, `encode_bytes` of one.
    Files are decoded twice, the first time for their sizes. So no more than one
    image is held, with what a network makes of it.
    """
    shape = model.encoder.accepted_shape

    def encode_bytes(image_bytes):
        sizes, outcome = sizes_of(image_bytes, shape)
        valid = outcome["valid"]
        good = tf.boolean_mask(sizes, valid)
        good = asserted(
            good,
            tf.reduce_all(good == good[:1]),
            ["image_bytes must hold images of one size. Received:", good],
        )
        size = tf.concat([good, [[LEAST_SIZE, LEAST_SIZE]]], 0)[0]
        empty = tf.zeros(tf.concat([size, shape[-1:]], 0))
        empty = tf.ensure_shape(empty, shape)

        def encode(valid, file):
            image = tf.cond(valid, lambda: image_of(file, shape), lambda: empty)
            features = _float(model.encode(image[None]))[0]
            return tf.where(valid, features, 0.0)

        spec = tf.TensorSpec(model.decoder.features_shape, tf.float32)
        features = one_by_one(encode, spec, valid, image_bytes)
        return {"features": features, **outcome}

    def reconstruct_bytes(image_bytes):
        _, outcome = sizes_of(image_bytes, shape)

        def reconstruct(file):
            image = image_of(file, shape)
            return to_png(model.reconstruct(image[None])[0])

        files = png_files(reconstruct, outcome["valid"], image_bytes)
        return {"reconstruction_bytes": files, **outcome}

    return reconstruct_bytes, encode_bytes


def one_by_one(function, spec, *tensors):
    """Outputs of a function of one row of tensors, a row at a time."""
    return tf.map_fn(
        lambda row: function(*row),
        tensors,
        fn_output_signature=spec,
        parallel_iterations=1,
    )


def png_files(function, valid, *tensors):
    """PNG files that a function makes of valid rows; others have no bytes."""

    def file_of(valid, *row):
        return tf.cond(valid, lambda: function(*row), lambda: "")

    return one_by_one(file_of, FILE, valid, *tensors)


def _spec(name, shape=(), dtype=tf.float32):
    return tf.TensorSpec((None, *shape), dtype, name)


def _checked(image, encoder):
    """Images of the right shape and range, or an `InvalidArgumentError`.

    A server and the C library feed a graph without looking at shapes.
    """
    image = tf.ensure_shape(image, (None, *encoder.accepted_shape))
    return in_range(image, LARGEST_PIXEL)


def _float(tensor):
    return tf.cast(tensor, tf.float32)


def to_png(image):
    """PNG file of an image in [-1, 1]."""
    pixels = tf.round((_float(image) + 1.0) * 127.5)
    return tf.io.encode_png(tf.saturate_cast(pixels, tf.uint8))


# === Files ===


def image_of(file, shape):
    """The image in [-1, 1] of a file without a problem, as for training."""
    image = pictures.shaped(pictures.pixels(file), shape)
    return tf.ensure_shape(pictures.normalize(image), shape)


def outcomes(encoded, shape, function, empty):
    """What a function makes of the image of every file.

    If a decoder fails within the graph, `ignore_errors` leaves its image out.
    Rows say which images are there. Place 0 holds `empty`, for the others.

    With `None` for height and width in `shape`, images keep their size. A file
    that is no image has `empty` as its result.

    Returns:
        Tensor `(batch, ...)`, and a dict: `valid`, bools `(batch,)`, and
        `problem`, the fault of a file, "" if it has none.
    """
    count = tf.size(encoded, tf.int64)
    encoded = asserted(
        encoded,
        count > 0,
        ["image_bytes is empty, and must hold one file or more."],
    )
    of_maps = None in shape

    def read(row, file):
        problem = pictures.inspect(
            file,
            MOST_PIXELS if of_maps else MAX_PIXELS,
            LEAST_SIZE if of_maps else 1,
        )
        value = tf.cond(
            problem == "",
            lambda: function(image_of(file, shape)),
            lambda: empty,
        )
        return row, value, problem

    rows = tf.range(1, count + 1)
    files = tf.data.Dataset.from_tensor_slices((rows, encoded))
    files = files.map(read, num_parallel_calls=FILES_AT_A_TIME)
    first = tf.constant(0, tf.int64), empty, tf.constant(DAMAGED)
    files = tf.data.Dataset.from_tensors(first).concatenate(
        files.ignore_errors()
    )
    files = files.batch(count + 1).with_options(_plain_options())
    rows, values, problems = files.get_single_element()
    places = tf.scatter_nd(
        rows[:, None], tf.range(tf.size(rows)), count[None] + 1
    )[1:]
    problems = tf.gather(problems, places)
    return tf.gather(values, places), {
        "valid": problems == "",
        "problem": problems,
    }


def sizes_of(encoded, shape):
    """The heights and widths of files that keep their size; see `outcomes`."""
    none = tf.zeros([2], tf.int32)
    return outcomes(encoded, shape, lambda image: tf.shape(image)[:2], none)


def _plain_options():
    """Options of a pipeline that is made for every batch: no tuning."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_optimization.apply_default_optimizations = False
    return options
