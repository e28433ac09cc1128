"""What is seen of an image, and of other codes; images to choose from."""

import collections
import dataclasses

import numpy as np
import tensorflow as tf
from PIL import Image
from PIL import ImageOps

from keras_csc import data
from keras_csc.data import images
from keras_csc.data.embedded import PHOTOGRAPHS
from keras_csc.data.embedded import load_photograph
from keras_csc.data.image_files import deep_values
from keras_csc.data.image_files import opened
from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.models.inputs import LEAST_SIZE
from keras_csc.pixels import from_pixels
from keras_csc.validation import check_integer
from keras_csc.validation import check_integers

COUNT = 12
LOOKED_THROUGH = 500
DIGITS = (16, 16, 1)
# The most of a photograph for a model of maps.
WORKING_PIXELS = 2**19

Seen = collections.namedtuple(
    "Seen",
    ["image", "features", "regenerated", "psnr", "explanation", "classes"],
)
Seen.__doc__ = """What a model makes of an image.

Arrays of float32.

Fields:
    image: `(height, width, channels)` in [-1, 1].
    features: `(feature_dim,)`, or of maps `(map_height, map_width,
        feature_dim)`.
    regenerated: array like the image, `g(f(x))`.
    psnr: float, of it, in dB.
    explanation: `explanation.Explanation`.
    classes: as `class_logits`.
"""

Changed = collections.namedtuple(
    "Changed",
    ["stage", "sum", "sum_psnr", "decoded", "decoded_psnr", "classes"],
)
Changed.__doc__ = """What becomes of an image with other codes.

Fields:
    stage: `explanation.StageExplanation` with the codes, and the objective,
        gap and zeros of these, for the `λ` they were solved with.
    sum: array like the image: `D z`, of a stage above the first in pixels
        through the dictionaries below (`StageExplanation.to_pixels`).
    sum_psnr: float, in dB.
    decoded: array like the image, what the decoder draws once the stages
        above have coded these codes.
    decoded_psnr: float, in dB.
    classes: as `class_logits`, of the codes.
"""


def look(model, image):
    """`Seen` of a float image `(height, width, channels)` in [-1, 1]."""
    explanation = model.explain(image)
    features = explanation.features
    made = _decoded(model, features, image)
    psnr, classes = _psnr(image, made), class_logits(model, features)
    return Seen(image, features, made, psnr, explanation, classes)


def class_logits(model, features):
    """`log p(j | z)` of classes, by the model's density of features.

    Args:
        model: `ClosedLoopAutoencoder`.
        features: array `(feature_dim,)`, `z`.

    Returns:
        Float64 array `(classes,)`, in nats, in the order of
        `model.density.labels`; `None` without a density of two classes.
    """
    density = model.density
    if density is None or density.classes < 2:
        return None
    mixture = density.distribution()
    each = mixture.components_distribution.log_prob(features.astype("float64"))
    joint = each + tf.math.log(mixture.mixture_distribution.probs_parameter())
    joint = tf.reshape(joint, (density.classes, density.components))
    return tf.nn.log_softmax(tf.reduce_logsumexp(joint, 1)).numpy()


def _decoded(model, features, image):
    """The image of some features, of the size of another image."""
    return model.decode(features[None], image_size=image.shape[:2]).numpy()[0]


def _psnr(image, other):
    return float(peak_signal_to_noise_ratio(image[None], other[None])[0])


def change(model, seen, stage=1, sparsity=None, steps=None, factors=()):
    """Changes the codes of a stage of an image, in the order of the arguments.

    Args:
        model: `ClosedLoopAutoencoder`.
        seen: `Seen`, what the model makes of the image.
        stage: int, from 1, next to the image.
        sparsity: float `λ ≥ 0` to solve its program with; `None` for its own.
        steps: int, of the solver; `None` for as many as the model takes.
        factors: dict from atoms to what their codes are multiplied by.

    Returns:
        `Changed`.

    Raises:
        ValueError: for other changes.
    """
    check_integer(1, len(seen.explanation.stages), stage=stage)
    layer = model.encoder.coding_layers[stage - 1]
    found = seen.explanation.stages[stage - 1]
    sparsity = layer.sparsity if sparsity is None else sparsity
    steps = layer.iterations if steps is None else steps
    check_integer(1, steps=steps)
    codes = found.codes
    if (sparsity, steps) != (layer.sparsity, layer.iterations):
        signal = tf.constant(found.signal[None])
        codes = layer.solve(signal, float(sparsity), steps)[0].numpy()
    if factors:
        check_integers(0, codes.shape[-1] - 1, atoms=list(factors))
        codes = codes.copy()
        codes[..., list(factors)] *= np.float32(list(factors.values()))
    made, classes = seen.regenerated, seen.classes
    if codes is not found.codes:
        found = dataclasses.replace(
            found, codes=codes, sparsity=sparsity, drawn=None
        )
        features = model.encoder.features_of(
            stage - 1, tf.cast(codes[None], model.encoder.compute_dtype)
        ).numpy()[0]
        made = _decoded(model, features, seen.image)
        classes = class_logits(model, features)
    total = found.picture
    psnr = [_psnr(seen.image, each) for each in (total, made)]
    return Changed(found, total, psnr[0], made, psnr[1], classes)


# === Images to choose from ===

Example = collections.namedtuple("Example", ["label", "image"])
Example.__doc__ = """An image to choose.

Fields:
    label: str.
    image: float32 array `(height, width, channels)` in [-1, 1].
"""


def examples_of(model, source=None, count=COUNT, class_names=None):
    """Images that suit a model.

    Images of a data set, if one is given, first one of every class. Else the
    digits of scikit-learn for a model of their size, images that the model's
    density draws, or the photographs of scikit-image and scikit-learn.

    Args:
        model: `ClosedLoopAutoencoder`.
        source: what `data.open_dataset` opened, or `None`.
        count: int, how many at most.
        class_names: list of str, by label of the density, or `None`.

    Returns:
        List of `Example`.
    """
    encoder = model.encoder
    if source is None and encoder.image_shape == DIGITS:
        source = data.open_dataset("digits", "test", DIGITS)
    if source is not None:
        return _of_source(source, count)
    if model.density is not None:
        classes = model.density.labels
        labels = np.sort(np.resize(classes, min(count, 2 * len(classes))))
        drawn = model.sample(len(labels), labels, seed=0).numpy()
        names = dict(zip(classes, names_of_classes(model, class_names)))
        return [Example(f"drawn: {names[n]}", x) for n, x in zip(labels, drawn)]
    return [
        Example(name, _fitted(load_photograph(name), encoder)[0])
        for name in list(PHOTOGRAPHS)[:count]
    ]


def names_of_classes(model, class_names=None):
    """Names of the classes of a model's density: labels where none are known.

    `class_names` are by label.
    """
    labels = () if model.density is None else model.density.labels.tolist()
    known = class_names and labels and max(labels) < len(class_names)
    return [str(class_names[n] if known else n) for n in labels]


def _of_source(source, count):
    pixels, labels = data.load_arrays(source, min(LOOKED_THROUGH, source.size))
    _, first = np.unique(labels, return_index=True)
    order = [*first, *np.delete(np.arange(len(labels)), first)][:count]
    names, found = source.class_names, []
    for number, place in enumerate(order, start=1):
        known = names is not None and labels[place] >= 0
        label = names[labels[place]] if known else f"{number}"
        found.append(Example(label, from_pixels(pixels[place])))
    return found


def read_upload(path, encoder):
    """Reads an image file for an encoder.

    It is turned upright as its EXIF orientation says. For a model of vectors
    it is resized and cut to the model's size, for one of maps shrunk to
    `WORKING_PIXELS` if it has more.

    Args:
        path: of a JPEG, PNG, GIF, BMP, TIFF or WebP file.
        encoder: `Encoder`.

    Returns:
        `(image, note)`: float32 array `(height, width, channels)` in [-1, 1],
        and a text that says what size it had and has.

    Raises:
        ValueError: for a file that can't be read, or an image that is too
            large or too small.
    """
    try:
        with opened(path) as image:
            if image.mode.startswith("I;16"):
                image = Image.fromarray((deep_values(image) >> 8).astype("u1"))
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # Pillow's are many.
        reason = " ".join(str(error).split()).replace(str(path), "it")
        raise ValueError(f"The file can't be read: {reason}.") from error
    return _fitted(pixels, encoder)


def _fitted(pixels, encoder):
    """uint8 pixels in colour as an encoder takes them; see `read_upload`."""
    height, width = pixels.shape[:2]
    shape, verb = encoder.image_shape, "resized and cut"
    if encoder.features == "map":
        if min(height, width) < LEAST_SIZE:
            raise ValueError(
                f"The image has {width}×{height} pixels, and must have at "
                f"least {LEAST_SIZE}×{LEAST_SIZE}."
            )
        scale = min((WORKING_PIXELS / (height * width)) ** 0.5, 1)
        sides = [max(LEAST_SIZE, int(n * scale)) for n in (height, width)]
        shape, verb = (*sides, shape[-1]), "shrunk"
    made = images.fit(tf.constant(pixels), shape).numpy()
    size = f"{made.shape[1]}×{made.shape[0]} pixels"
    if made.shape[:2] != pixels.shape[:2]:
        size = f"{verb} from {width}×{height} to {size}"
    return from_pixels(made), size
