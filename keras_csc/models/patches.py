"""Dictionaries to start from: patches of what they code."""

import numpy as np

from keras_csc.constraints import satisfied
from keras_csc.models.inputs import as_array_of_images

# Of a patch that says something, the deviation in units of the images'.
LEAST_CONTRAST = 0.2
# Images that the gains of a decoder are measured of.
CALIBRATION = 512


def initialize_from_patches(autoencoder, images, seed=0):
    """Makes random patches of images the first atoms.

    The atoms of the first stage become patches from random places of random
    images, with a random sign, scaled to norm 1. Of atoms that are kept a
    tight frame they become the frame nearest to such patches. Patches that are
    nearly constant are left out. The sums that the decoder
    begins with are then as smooth as images are, where random numbers make
    noise of single pixels, of which an encoder with thresholds sees little
    and the game removes little.

    Args:
        autoencoder: `ClosedLoopAutoencoder`, whose first dictionaries are
            replaced, and whose density is removed.
        images: float array `(n, height, width, channels)` in [-1, 1], or
            uint8; a thousand have patches enough.
        seed: int, of the choice of patches.

    Raises:
        ValueError: for images that the model is not for, that are not finite
            or without contrast, or smaller than an atom.

    Reference:
        Aharon et al., K-SVD, IEEE TSP 2006: dictionaries begin with examples
        of the signals.
    """
    random = np.random.default_rng(seed)
    encoder, decoder = autoencoder.encoder, autoencoder.decoder
    images = as_array_of_images(images, encoder.image_shape)
    autoencoder.density = None
    kernel = encoder.coding_layers[0].kernel
    size, _, _, filters = kernel.shape
    patches = _random_patches(images, size, filters, random)
    signs = random.choice([-1, 1], (filters, 1, 1, 1))
    norms = np.linalg.norm(patches.reshape(filters, -1), axis=1)
    atoms = signs * patches / norms[:, None, None, None]
    kernel.assign(satisfied(kernel.constraint, atoms.transpose(1, 2, 3, 0)))
    encoder.update_operator_norms()
    if encoder.sparse:
        decoder.calibrate(images[:CALIBRATION])


def _random_patches(images, size, count, random):
    """So many patches `(count, size, size, channels)` with some contrast."""
    if min(images.shape[1:3]) < size:
        raise ValueError(
            f"Patches of {size}×{size} pixels need images as large. "
            f"Received: {images.shape}"
        )
    least = LEAST_CONTRAST * images.std()
    found = []
    for _ in range(100 * count):
        image = images[random.integers(len(images))]
        top, left = random.integers(0, np.array(image.shape[:2]) - size + 1)
        patch = image[top : top + size, left : left + size]
        if patch.std() > least:
            found.append(patch)
        if len(found) == count:
            return np.stack(found)
    raise ValueError(
        f"{count} patches of {size}×{size} pixels with some contrast are "
        f"needed to begin with. Found {len(found)} in {len(images)} images."
    )
