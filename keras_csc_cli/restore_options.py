"""The flags of `restore.py`, with their help texts."""

import os

from keras_csc_cli.command_line import UsageError

DESCRIPTION = """Restores photographs by convolutional sparse coding.

    python training/restore.py --task=denoise --image=in.jpg --noise=25 \\
      --output=out.png
    keras-csc restore --task=inpaint --image=in.png --mask=mask.png \\
      --output=out.png

It reads PNG (8 and 16 bits), JPEG, TIFF, WebP, BMP and GIF, turns images as
their EXIF orientation says, and writes what the ending of --output says. A .png
file keeps alpha, 16 bits and the colour profile; of other formats it is said
what they do not keep. Of a folder of images every one is restored, into a
folder. What exists is not replaced without --overwrite.
"""

TASKS = ("denoise", "inpaint", "deblur", "enlarge")
FIRST = ("task", "image", "output", "mask", "kernel", "factor", "noise")


def _define_what(define):
    define.enum("task", None, list(TASKS), "What to do.")
    define.path("image", None, "Image file, or folder of image files.")
    define.path("output", None, "File to write, or folder of files to write.")
    define.boolean("overwrite", False, "Replaces files that are there.")
    define.path(
        "dictionary",
        None,
        "File of a dictionary that keras_csc.restoration.save_dictionary "
        "wrote, for images of its channels. By default those that ship.",
    )


def _define_measured(define):
    define.float(
        "noise",
        None,
        "Standard deviation of the noise, in levels of 0..255, also for images "
        "of 16 bits. denoise needs it; by default 0 for inpaint, else 1.",
        lower_bound=0.0,
        upper_bound=255.0,
    )
    define.path(
        "mask",
        None,
        "For inpaint: image file of the size of the image, black where pixels "
        "are missing and white where they are known; or a folder of them, with "
        "the names of the images, and in subfolders as they are. By default "
        "pixels are missing where the image is transparent.",
    )
    define.path(
        "kernel",
        None,
        "For deblur: image file of what the blur makes of a point, or the "
        "standard deviation of a Gaussian blur in pixels.",
    )
    define.integer(
        "factor",
        None,
        "For enlarge: how many times as wide and high. By default 2.",
        lower_bound=2,
        upper_bound=8,
    )


def check(options):
    """Raises `UsageError` for what is missing or does not go together."""
    for name in ("task", "image", "output"):
        if getattr(options, name) is None:
            raise UsageError(f"--{name} is missing. --help says what it is.")
    needed = {"denoise": "noise", "deblur": "kernel"}.get(options.task)
    if needed and getattr(options, needed) is None:
        raise UsageError(f"--task={options.task} needs --{needed}.")
    if options.task == "denoise" and not options.noise:
        raise UsageError("--noise must be above 0 for --task=denoise.")
    flags_of = {"mask": "inpaint", "kernel": "deblur", "factor": "enlarge"}
    for name, task in flags_of.items():
        if getattr(options, name) is not None and options.task != task:
            raise UsageError(f"--{name} goes with --task={task}.")
    for name in ("image", "mask", "dictionary"):
        path = getattr(options, name)
        if path is not None and not os.path.exists(path):
            raise UsageError(f"--{name}={path} does not exist.")


SECTIONS = {"Restoration": _define_what, "What was measured": _define_measured}
