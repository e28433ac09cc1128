"""Restores photographs: denoises, inpaints, deblurs or enlarges them."""

import pathlib
import time

from keras_csc_cli import pictures
from keras_csc_cli.checked_flags import values
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.options import RESTORE
from keras_csc_cli.records import check_folder

import numpy as np
from absl import flags
from PIL import Image

from keras_csc import restoration
from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import find_images
from keras_csc.data.image_files import printable
from keras_csc.restoration.tasks import gaussian
from keras_csc.terminal import LiveLine
from keras_csc.terminal import duration
from keras_csc.terminal import say

USER_ERRORS = (OSError,)
LEVELS = 255.0


def run(options):
    """Restores the image or the folder of images of the options.

    Returns:
        List of the paths that were written.
    """
    source, target = pathlib.Path(options.image), pathlib.Path(options.output)
    if not source.is_dir():
        jobs = [(source, target, _mask_of(options, source, None))]
    else:
        jobs = _jobs_of_folder(options, source, target)
    for folder in sorted({output.parent for _, output, _ in jobs}):
        check_folder(folder)
    with usage_errors():
        dictionary = options.dictionary and restoration.load_dictionary(
            options.dictionary
        )
    line = _Progress(len(jobs))
    written, failed = [], []
    for path, output, mask in jobs:
        try:
            _restore_file(options, path, output, mask, dictionary, line)
            written.append(output)
        except UsageError as error:
            if not source.is_dir():
                raise
            say(f"Left out: {error}")
            failed.append(path)
        line.next()
    if failed:
        raise UsageError(
            f"{len(failed)} of {len(jobs)} images were left out; the reasons "
            "are above."
        )
    return written


def _factor(options):
    """How many times as wide and high the result is."""
    return (options.factor or 2) if options.task == "enlarge" else 1


def _jobs_of_folder(options, source, target):
    """Lists `(image, output, mask)` of a folder's images."""
    if target.exists() and not target.is_dir():
        raise UsageError(
            f"--output={target} must be a folder, as --image={source} is."
        )
    left_out = LeftOut(str(source))
    names = find_images(str(source), left_out)
    # What was written into the folder itself is not restored again.
    own = target.resolve()
    if source.resolve() in own.parents:
        names = [n for n in names if own not in (source / n).resolve().parents]
    if str(left_out):
        say(str(left_out))
    if not names:
        raise UsageError(f"--image={source} has no images.")
    jobs, there, source_of = [], 0, {}
    for name in names:
        output = target / name
        if output.suffix.lower() not in pictures.WRITTEN:
            output = output.with_name(output.name + ".png")
        if output.exists() and not options.overwrite:
            there += 1
            continue
        other = source_of.setdefault(output, name)
        if other != name:
            raise UsageError(
                f"{other} and {name} of --image={source} would both be written "
                f"as {output}. Rename one of them."
            )
        mask = _mask_of(options, source / name, name)
        jobs.append((source / name, output, mask))
    if there:
        say(
            f"{there} of {len(names)} are in {printable(str(target))} already "
            "and are left as they are; --overwrite makes them anew."
        )
    return jobs


def _mask_of(options, path, name):
    """Path of an image's mask, or `None`."""
    if options.mask is None:
        return None
    mask = pathlib.Path(options.mask)
    if not mask.is_dir():
        return mask
    place = mask / (name or path.name)
    for each in (place, place.with_suffix(".png")):
        if each.is_file():
            return each
    raise UsageError(f"--mask={mask} has no mask for {path}: {place}.")


def _restore_file(options, path, output, mask, dictionary, line):
    _check_output(output, options.overwrite)
    picture = pictures.read(path)
    factor = _factor(options)
    height, width = picture.pixels.shape[:2]
    pictures.check_size(output, factor * height, factor * width)
    if picture.dropped:
        say(f"{printable(path)} is read without {', '.join(picture.dropped)}.")
    _say_what_is_lost(options, picture, output, mask)
    with usage_errors():
        found = _restored(options, picture, mask, dictionary, line.show)
    output.parent.mkdir(parents=True, exist_ok=True)
    pictures.write(found, output)


def _say_what_is_lost(options, picture, output, mask):
    if options.task == "inpaint" and mask is None:
        # What was transparent is filled in.
        picture = picture._replace(alpha=None)
    found = pictures.lost(picture, output)
    if found:
        say(
            f"{printable(output)} will be without what its image has: "
            f"{', '.join(found)}. A .png file keeps that."
        )


def _check_output(output, overwrite):
    if output.suffix.lower() not in pictures.WRITTEN:
        raise UsageError(
            f"--output={output} must end with one of "
            f"{', '.join(pictures.WRITTEN)}."
        )
    if output.is_dir():
        raise UsageError(f"--output={output} is a folder. Give a file.")
    if output.exists() and not overwrite:
        raise UsageError(
            f"{output} exists already. Choose another --output, or replace it "
            "with --overwrite."
        )


def _restored(options, picture, mask, dictionary, progress):
    """The picture that the task makes of a picture."""
    noise = options.noise
    noise = {} if noise is None else {"noise": noise / LEVELS}
    common = {"dictionary": dictionary, "progress": progress, **noise}
    pixels, alpha = pictures.filled(picture), picture.alpha
    if options.task == "denoise":
        found = restoration.denoise(pixels, **common)
    elif options.task == "inpaint":
        known = _known(picture, mask)
        if alpha is not None:
            known &= alpha > 0
        # What was transparent is there now.
        alpha = alpha if mask is not None else None
        found = restoration.inpaint(pixels, known, **common)
    elif options.task == "deblur":
        found = restoration.deblur(pixels, _kernel(options.kernel), **common)
    else:
        factor = _factor(options)
        found = restoration.enlarge(pixels, factor, **common)
        alpha = None if alpha is None else _resized(alpha, factor)
    return picture._replace(pixels=found, alpha=alpha)


def _known(picture, mask):
    if mask is None:
        if picture.alpha is None:
            raise UsageError(
                "--mask is missing, and the image has no transparent pixels: "
                "it must say which ones are missing."
            )
        return picture.alpha == 1
    read = pictures.read(mask)
    if read.pixels.shape[:2] != picture.pixels.shape[:2]:
        raise UsageError(f"the mask {mask} must be of the image's size.")
    white = np.mean(read.pixels, -1, keepdims=True) > 0.5
    return white if read.alpha is None else white & (read.alpha > 0.5)


def _kernel(text):
    """A blur's kernel of a file, or of a Gaussian's deviation in pixels."""
    try:
        deviation = float(text)
    except ValueError:
        read = pictures.read(text)
        seen = read.pixels if read.alpha is None else read.pixels * read.alpha
        return np.mean(seen, -1)
    if not 0 < deviation <= 20:
        raise UsageError(
            "--kernel must be an image file, or a deviation above 0 and at "
            f"most 20 pixels. Received: {text}"
        )
    return gaussian(deviation)


def _resized(alpha, factor):
    plane = Image.fromarray(alpha[..., 0])
    size = (plane.width * factor, plane.height * factor)
    return np.asarray(plane.resize(size, Image.Resampling.BICUBIC))[..., None]


class _Progress:
    """A line with what is done of how many images, and the time left."""

    def __init__(self, images):
        self.images, self.done = images, 0
        self.line, self.began = LiveLine(), time.monotonic()

    def show(self, solved, programs):
        """After so many of an image's programs."""
        share = (self.done + solved / programs) / self.images
        passed = time.monotonic() - self.began
        parts = [f"{share:4.0%}", f"{duration(passed * (1 / share - 1))} left"]
        if self.images > 1:
            parts.append(f"image {self.done + 1} of {self.images}")
        self.line.show(parts, last=share == 1)

    def next(self):
        self.done += 1


def main():
    options = values(RESTORE.sections, flags.FLAGS)
    written = run(options)
    if len(written) == 1:
        print(f"Restored image: {printable(written[0])}")
    else:
        print(f"Restored images: {len(written)}")
