"""First atoms made of images: their principal components, or patches."""

import numpy as np
import threadpoolctl
from sklearn.decomposition import TruncatedSVD

from keras_csc.constraints import satisfied
from keras_csc.models import inputs
from keras_csc.models.decoder import CALIBRATION
from keras_csc.ops.sizes import padding_before
from keras_csc.terminal import Progress
from keras_csc.validation import check_number

BATCH = 250
PATCHES = 16  # of an image, for principal components
# The least deviation of a patch that says something, in units of the images'.
LEAST_CONTRAST = 0.2


def initialize_from(autoencoder, images, offset=2.0, seed=0):
    """Makes principal components of images the atoms of an autoencoder.

    From the image upwards, the atoms of a stage become the leading principal
    components of the patches of its input. No orthonormal dictionary has codes
    that keep more variance. Non-negative codes need every component in both
    signs. So their layer gets `[U, -U]`, a tight frame, if it has twice as many
    atoms as a patch has numbers. Any other dictionary with more atoms than a
    patch has numbers stays: it is a tight frame, which keeps all. Then
    normalisations change no proportions: a scale `γ` is the standard deviation
    of a channel, relative to the deviation of all channels.

    The atoms of the head become a constant atom, and principal components of
    all that is left of an image, its mean included, in the order of rising
    energy.

    A stage may hand on the parts `[max(z, 0), max(-z, 0)]` of its codes. Above
    it, the components `U` are of `z`, and the atoms are `[U, -U] / √2`. (With
    components of the parts, half of the codes would say `|z|`, which is not
    drawn.) Atoms that are left over are `[W, W] / √2`, with components `W` of
    `|z|`.

    Features have norm 1, so only the direction of `h = W s` is left. With
    `E h = 0`, an `h` and its half would be one feature. So the constant atom
    gets an offset from the last normalisation:

    `β = (offset · √(E‖h‖²) / side) · u`,  `h` without the constant

    `u` is the combination of channels whose mean over an image varies least,
    and `side` the side of the last codes. The features then lie around a
    centre, on a part of the sphere; the higher the offset, the flatter it is.
    For a model of maps every place is an image of its own here, and `side` is
    1.

    Then the gains of the decoder are measured; see `calibrate`.

    Args:
        autoencoder: `ClosedLoopAutoencoder`, whose variables are replaced, and
            whose density is removed.
        images: float array `(n, height, width, channels)` in [-1, 1], with
            `n` at least `feature_dim`; some thousand.
        offset: float, `≥ 0`. The contrast of places differs by far more than
            the contrast of whole images. So a large offset, as 16, regenerates
            maps better at the start, and then wants a low learning rate.
        seed: int, of the choice of patches.

    References:
        - Krähenbühl et al., Data-dependent initializations of convolutional
          neural networks, ICLR 2016, section 3.
        - Chan et al., PCANet, IEEE TIP 2015.

    Raises:
        ValueError: for too few images, or images that do not fit the model, are
            not finite or have no contrast. For one feature, or more features
            than the last codes have numbers.
    """
    encoder = autoencoder.encoder
    check_number("[0, inf)", offset=offset)
    images = _array(images, encoder.image_shape)
    if len(images) < encoder.feature_dim:
        raise ValueError(
            "Principal components of images need as many images as features, "
            f"{encoder.feature_dim}. Received: {len(images)} images"
        )
    if not np.std(images) > 0:
        raise ValueError("Principal components need images with contrast.")
    numbers = encoder.filters[-1] * encoder.layout.head_size**2
    most = numbers + encoder.parts_per_code[-1] - 1
    if not 2 <= encoder.feature_dim <= most:
        raise ValueError(
            "Principal components need two features at least, and at most "
            f"{most}: the last codes are {numbers} numbers an image, or place. "
            f"Received: feature_dim={encoder.feature_dim}"
        )
    autoencoder.density = None
    # On cores that are in use, the threads of a decomposition would spend most
    # of their time on waiting for each other.
    with threadpoolctl.threadpool_limits(1, "blas"):
        _initialize(autoencoder, images, offset, seed)


def _initialize(autoencoder, images, offset, seed):
    encoder = autoencoder.encoder
    progress = Progress(
        "First atoms, images through stages",
        len(encoder.coding_layers) * len(images),
    )
    random = np.random.default_rng(seed)
    signal = batched(encoder.to_blocks, images)
    for number in range(len(encoder.coding_layers)):
        signal = _initialize_stage(encoder, number, signal, random, progress)
    if encoder.features == "map":
        # Every place is an image of its own.
        signal = some_patches(signal, 1, 1, random)[:, None, None]
    _initialize_head(encoder, signal, offset, seed)
    encoder.update_operator_norms()
    autoencoder.decoder.calibrate(images[:CALIBRATION])


def _initialize_stage(encoder, number, signal, random, progress):
    """Returns the stage's output."""
    layer = encoder.coding_layers[number]
    normalization = encoder.normalizations[number]
    shape = layer.kernel.shape
    numbers, atoms = np.prod(shape[:-1]), shape[-1]
    both_signs = atoms == 2 * numbers and encoder.nonnegative
    if atoms <= numbers or both_signs:
        parts = number > 0 and encoder.parts_per_code[number - 1] == 2
        patches = (shape[0], encoder.stage_strides[number], random)
        components = principal_components(signal, parts, *patches)
        layer.kernel.assign(components[..., :atoms])
    encoder.update_operator_norms()
    codes = batched(
        lambda part: encoder.parts(number, layer(part, training=False)),
        signal,
        progress,
    )
    variance = codes.var((0, 1, 2))
    normalization.moving_mean.assign(codes.mean((0, 1, 2)))
    normalization.moving_variance.assign(variance)
    if normalization.scale:
        gamma = np.sqrt((variance + normalization.epsilon) / variance.mean())
        normalization.gamma.assign(gamma)
    return batched(normalization, codes)


def principal_components(signal, parts, size, stride, random):
    """Principal components of patches, of falling variance, in both signs."""

    def leading(signal):
        patches = some_patches(signal, size, stride, random)
        _, vectors = np.linalg.eigh(np.cov(patches.T, dtype="float32"))
        return vectors[:, ::-1].reshape(size, size, signal.shape[-1], -1)

    if parts:
        positive, negative = np.split(signal, 2, -1)
        signed = _of_parts(leading(positive - negative), -1)
        absolute = _of_parts(leading(positive + negative), 1)
        return np.concatenate([signed, absolute], -1)
    positive = leading(signal)
    return np.concatenate([positive, -positive], -1)


def _initialize_head(encoder, signal, offset, seed):
    count, side, _, channels = signal.shape
    parts = encoder.parts_per_code[-1] == 2
    if parts:
        positive, negative = np.split(signal, 2, -1)
        signal = positive - negative
        direction = np.tile(_least_varying(positive + negative), 2) / np.sqrt(2)
    else:
        direction = _least_varying(signal)
    constant = np.tile(direction, side * side) / side
    signal = signal.reshape(count, -1)
    if not parts:
        signal = signal - np.outer(signal @ constant, constant)
    svd = TruncatedSVD(encoder.feature_dim - 1, random_state=seed)
    length = np.sqrt(np.sum(np.square(svd.fit_transform(signal)), 1).mean())
    atoms = svd.components_[::-1].T.reshape(side, side, -1, svd.n_components)
    if parts:
        length /= np.sqrt(2)
        atoms = _of_parts(atoms, -1)
    constant = constant.reshape(side, side, channels, 1)
    encoder.head.kernel.assign(np.concatenate([atoms, constant], -1))
    encoder.normalizations[-1].beta.assign(offset * length / side * direction)


def _of_parts(components, sign):
    """Atoms of `[x⁺, x⁻]` whose codes are components of `x⁺ + sign x⁻`."""
    return np.concatenate([components, sign * components], -2) / np.sqrt(2)


def _least_varying(signal):
    """The combination of channels whose mean over an image varies least."""
    return np.linalg.eigh(np.cov(signal.mean((1, 2)).T))[1][:, 0]


def some_patches(signal, size, stride, random):
    """Rows of some patches of every image, as a layer sees them."""
    height, width = (-(-n // stride) for n in signal.shape[1:3])
    border = [
        (padding_before(n, size, stride, "same"), size)
        for n in signal.shape[1:3]
    ]
    rows = []
    for start in range(0, len(signal), BATCH):
        batch = signal[start : start + BATCH]
        batch = np.pad(batch, [(0, 0), *border, (0, 0)])
        chosen = random.permutation(height * width)[:PATCHES]
        places = zip(*np.unravel_index(chosen, (height, width)))
        patches = [
            batch[:, top : top + size, left : left + size]
            for top, left in ((stride * i, stride * j) for i, j in places)
        ]
        patches = np.stack(patches, 1)
        rows.append(patches.reshape(len(batch) * len(chosen), -1))
    return np.concatenate(rows)


def batched(function, signal, progress=None):
    """What a function makes of an array, a batch at a time."""
    outputs = []
    for start in range(0, len(signal), BATCH):
        output = function(signal[start : start + BATCH])
        outputs.append(np.asarray(output, "float32"))
        if progress:
            progress.advance(len(output))
    return np.concatenate(outputs)


def initialize_from_patches(autoencoder, images, seed=0):
    """Makes random patches of images the first atoms.

    The atoms of the first stage become patches from random places of random
    images, with a random sign, scaled to norm 1. Nearly constant patches are
    left out. Atoms that are kept a tight frame become the frame nearest to such
    patches. The decoder then begins with sums as smooth as images. Random atoms
    would make noise of single pixels. An encoder with thresholds hardly sees
    this noise, and the game hardly removes it.

    Args:
        autoencoder: `ClosedLoopAutoencoder`, whose first dictionaries are
            replaced, and whose density is removed.
        images: float array `(n, height, width, channels)` in [-1, 1], or
            uint8; a thousand have enough patches.
        seed: int, of the choice of patches.

    Raises:
        ValueError: for images that do not fit the model, are not finite, have
            no contrast, or are smaller than an atom.

    Reference:
        Aharon et al., K-SVD, IEEE TSP 2006: dictionaries begin with examples
        of the signals.
    """
    random = np.random.default_rng(seed)
    encoder = autoencoder.encoder
    images = _array(images, encoder.image_shape)
    autoencoder.density = None
    kernel = encoder.coding_layers[0].kernel
    size, _, _, filters = kernel.shape
    patches = _random_patches(images, size, filters, random)
    signs = random.choice([-1, 1], (filters, 1, 1, 1))
    norms = np.linalg.norm(patches.reshape(filters, -1), axis=1)
    atoms = signs * patches / norms[:, None, None, None]
    kernel.assign(satisfied(kernel.constraint, atoms.transpose(1, 2, 3, 0)))
    encoder.update_operator_norms()
    autoencoder.decoder.calibrate(images[:CALIBRATION])


def _random_patches(images, size, count, random):
    """So many patches `(count, size, size, channels)` with some contrast."""
    if min(images.shape[1:3]) < size:
        raise ValueError(
            f"Patches of {size}×{size} pixels need images as large. "
            f"Received: {images.shape}"
        )
    least = LEAST_CONTRAST * images.std()
    patches = []
    for _ in range(100 * count):
        image = images[random.integers(len(images))]
        top, left = random.integers(0, np.array(image.shape[:2]) - size + 1)
        patch = image[top : top + size, left : left + size]
        if patch.std() > least:
            patches.append(patch)
        if len(patches) == count:
            return np.stack(patches)
    raise ValueError(
        f"{count} patches of {size}×{size} pixels with some contrast are "
        f"needed to begin with. Found {len(patches)} in {len(images)} images."
    )


def _array(images, image_shape):
    """Float images as an array; errors as in `encode`."""
    images = inputs.as_images(images, image_shape)
    return inputs.in_range(images, inputs.LARGEST_PIXEL).numpy()
