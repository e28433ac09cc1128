"""Restores photographs: denoises, inpaints, deblurs or enlarges them."""

import collections
import pathlib

from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import check_folder

import numpy as np
from PIL import Image
from PIL import ImageOps

from keras_csc import restoration
from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import deep_values
from keras_csc.data.image_files import find_images
from keras_csc.data.image_files import opened
from keras_csc.files import replacing
from keras_csc.restoration.tasks import gaussian
from keras_csc.terminal import Progress
from keras_csc.terminal import say

WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
WITH_16_BITS = (".png", ".tif", ".tiff")
LOSSY = (".jpg", ".jpeg", ".webp")
QUALITY = 95
LEVELS = 255.0

Picture = collections.namedtuple(
    "Picture", ["pixels", "alpha", "depth", "profile"]
)
Picture.__doc__ = """A photograph, upright.

Fields:
    pixels: float32 array `(height, width, 1 or 3)` in `[0, 1]`.
    alpha: float32 array `(height, width, 1)`, or `None`.
    depth: int, bits of a value, 8 or 16.
    profile: bytes of its ICC profile, or `None`. A profile of other colours,
        such as a CMYK file's, is dropped.
"""


def main(options):
    """Restores the image or the folder of images of the options.

    Returns:
        List of the paths that were written.
    """
    source, target = pathlib.Path(options.image), pathlib.Path(options.output)
    if source.is_dir():
        jobs = _jobs_of_folder(options, source, target)
    else:
        _check_output(target, options.overwrite)
        jobs = [(source, target)]
    for folder in sorted({output.parent for _, output in jobs}):
        check_folder(folder)
    progress = Progress("Restoring, percent", 100)
    written, failed = [], []

    def show(solved, programs):
        done = len(written) + len(failed) + solved / programs
        progress.update(int(100 * done / len(jobs)))

    for path, output in jobs:
        try:
            picture = read(path)
            noise = _noise(options, picture, path)
            picture = _restored(options, picture, noise, show)
            if picture.alpha is not None:
                say(f"{output} is without transparency.")
            output.parent.mkdir(parents=True, exist_ok=True)
            write(picture, output)
            written.append(output)
        except ValueError as error:
            if not source.is_dir():
                raise
            say(f"Left out: {error}")
            failed.append(path)
    if failed:
        raise UsageError(
            f"{len(failed)} of {len(jobs)} images were left out; the reasons "
            "are above."
        )
    if len(written) == 1:
        print(f"Restored image: {written[0]}")
    else:
        print(f"Restored images: {len(written)}")
    return written


def _check_output(path, overwrite):
    if path.suffix.lower() not in WRITTEN:
        raise UsageError(
            f"--output={path} must end with one of {', '.join(WRITTEN)}."
        )
    if path.exists() and not overwrite:
        raise UsageError(
            f"{path} exists already. Choose another --output, or replace a "
            "file with --overwrite."
        )


def _jobs_of_folder(options, source, target):
    """Lists `(image, output)` of a folder's images."""
    if target.exists() and (not target.is_dir() or target.samefile(source)):
        raise UsageError(
            f"--output={target} must be another folder than --image={source}, "
            "or one that does not exist."
        )
    left_out = LeftOut(str(source))
    names = find_images(str(source), left_out)
    # Pictures that were written into the folder itself are left out.
    inside = target.resolve()
    if source.resolve() in inside.parents:
        names = [
            n for n in names if inside not in (source / n).resolve().parents
        ]
    if str(left_out):
        say(str(left_out))
    if not names:
        raise UsageError(f"--image={source} has no images.")
    source_of = {}
    for name in names:
        output = target / name
        if output.suffix.lower() not in WRITTEN:
            output = output.with_name(output.name + ".png")
        other = source_of.setdefault(output, name)
        if other != name:
            raise UsageError(
                f"{other} and {name} of --image={source} would both be written "
                f"as {output}. Rename one of them."
            )
    there = {o for o in source_of if o.exists() and not options.overwrite}
    if there:
        say(
            f"{len(there)} of {len(names)} are in {target} "
            "already and are left as they are; --overwrite makes them anew."
        )
    return [
        (source / name, output)
        for output, name in source_of.items()
        if output not in there
    ]


def _noise(options, picture, path):
    """The deviation of a picture's noise, or `None` for the task's default."""
    if options.noise is not None:
        return options.noise / LEVELS
    if options.task != "denoise":
        return None
    noise = restoration.estimate_noise(picture.pixels)
    say(f"{path}: noise of {LEVELS * noise:.1f} of 255, estimated.")
    return max(noise, restoration.tasks.LEAST_NOISE)


def _restored(options, picture, noise, progress):
    """The picture that the task makes of a picture."""
    how = {"progress": progress}
    if noise is not None:
        how["noise"] = noise
    pixels = picture.pixels
    if options.task == "denoise":
        pixels = restoration.denoise(pixels, **how, turns=options.turns or 1)
    elif options.task == "inpaint":
        known = _known(picture, options.mask)
        pixels = restoration.inpaint(pixels, known, **how)
        picture = picture._replace(alpha=None)  # It is there now.
    elif options.task == "deblur":
        pixels = restoration.deblur(pixels, _kernel(options.kernel), **how)
    else:
        pixels = restoration.enlarge(pixels, options.factor or 2, **how)
    return picture._replace(pixels=pixels)


def _known(picture, mask):
    """Which pixels are neither transparent nor black in the mask."""
    if mask is None:
        if picture.alpha is None:
            raise UsageError(
                "--mask is missing, and the image has no transparent pixels: "
                "it must say which ones are missing."
            )
        return picture.alpha == 1
    drawn = read(mask)
    if drawn.pixels.shape[:2] != picture.pixels.shape[:2]:
        raise UsageError(f"the mask {mask} must be of the image's size.")
    known = np.mean(drawn.pixels, -1, keepdims=True) > 0.5
    if picture.alpha is not None:
        known &= picture.alpha > 0
    return known if drawn.alpha is None else known & (drawn.alpha > 0.5)


def _kernel(text):
    """A blur's kernel, by a file or by a Gaussian's deviation in pixels."""
    try:
        deviation = float(text)
    except ValueError:
        drawn = read(text)
        opacity = 1 if drawn.alpha is None else drawn.alpha
        return np.mean(drawn.pixels * opacity, -1)
    if not 0 < deviation <= 20:
        raise UsageError(
            "--kernel must be an image file, or a deviation above 0 and at "
            f"most 20 pixels. Received: {text}"
        )
    return gaussian(deviation)


# === Files ===


def read(path):
    """Reads the first picture of an image file as a `Picture`.

    Grey has up to 16 bits. Pillow reads 8 bits of colours.

    Raises:
        UsageError: if it can't be read, or has too many pixels.
    """
    try:
        with opened(path) as image:
            ImageOps.exif_transpose(image, in_place=True)
            values = _values(image)
            profile = image.info.get("icc_profile")
    except MemoryError:
        raise
    except Exception as error:  # Pillow's are many, for files that are damaged.
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} can't be read: {reason}.") from error
    depth = 8 * values.dtype.itemsize
    values = values.astype("float32") / (2**depth - 1)
    channels = 1 if values.shape[-1] < 3 else 3
    alpha = values[..., channels:] if channels < values.shape[-1] else None
    # Bytes 16 to 20 of a profile's header say which colours it is for.
    if profile and profile[16:20] != (b"GRAY" if channels == 1 else b"RGB "):
        profile = None
    return Picture(values[..., :channels], alpha, depth, profile)


def _values(image):
    """Integers `(height, width, channels)` of 8 or 16 bits."""
    if image.mode.startswith("I;16"):
        return deep_values(image)[..., None]
    if image.mode in ("I", "F"):
        raise ValueError("it has pixels of 32 bits")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        mode += "A"
    values = np.asarray(image.convert(mode))
    return values[..., None] if values.ndim == 2 else values


def write(picture, path):
    """Writes a `Picture` in the format that the path's ending says.

    Grey keeps 16 bits in PNG and TIFF files.
    """
    suffix, grey = path.suffix.lower(), picture.pixels.shape[-1] == 1
    deep = picture.depth == 16 and grey and suffix in WITH_16_BITS
    values = np.rint(np.clip(picture.pixels, 0, 1) * (65535 if deep else 255))
    values = values.astype("uint16" if deep else "uint8")
    how = {"quality": QUALITY} if suffix in LOSSY else {}
    if picture.profile:
        how["icc_profile"] = picture.profile
    with replacing(path) as temporary:
        image = Image.fromarray(values[..., 0] if grey else values)
        image.save(temporary, **how)
