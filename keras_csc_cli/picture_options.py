"""Flags of the commands for a person's pictures, with their help texts.

Nothing here imports TensorFlow: mistakes are answered before that.
"""

from keras_csc_cli import checked_flags as kinds
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import check_needed

from absl import flags

Enum, Integer = flags.EnumParser, flags.IntegerParser

# The flags of one task of a restoration.
OF_TASKS = {
    "mask": "inpaint",
    "kernel": "deblur",
    "factor": "enlarge",
    "turns": "denoise",
}


def _check_restore(options):
    if options.task == "deblur":
        check_needed(options, ["kernel"])
    for name, task in OF_TASKS.items():
        if getattr(options, name) is not None and options.task != task:
            raise UsageError(f"--{name} goes with --task={task}.")


RESTORE = kinds.Command(
    "restore.main",
    """Restores photographs by convolutional sparse coding.

    keras-csc restore --task=denoise --image=in.jpg --output=out.png

It reads PNG, JPEG, TIFF, WebP, BMP and GIF, colours with 8 bits and grey with
up to 16, and turns images as their EXIF orientation says. It writes what the
ending of --output says, without transparency, and 16 bits of grey to PNG and
TIFF. Of a folder of images every one is restored, into a folder. What exists is
not replaced without --overwrite.

Restoration:
    task: What to do.
    image: Image file, or folder of image files.
    output: File to write, or folder of files to write.
    overwrite: Replaces files that are there.
Measured:
    noise: Standard deviation of the noise, in levels of 0..255, also for
        images of 16 bits. By default denoise estimates it; it is 0 for
        inpaint, else 1.
    mask: For inpaint: image file of the size of the image, black where pixels
        are missing and white where they are known. By default pixels are
        missing where the image is transparent.
    kernel: For deblur: image file of what the blur makes of a point, or the
        standard deviation of a Gaussian blur in pixels.
    factor: For enlarge: how many times as wide and high. By default 2.
    turns: For denoise: of how many turned images the mean is taken, 1 to 8. 8
        take eight times as long as 1, the default, and gain .1 dB.
""",
    ["task", "image", "output"],
    _check_restore,
    task=(None, Enum(["denoise", "inpaint", "deblur", "enlarge"])),
    image=(None, kinds.PATH),
    output=(None, kinds.PATH),
    overwrite=False,
    noise=(None, kinds.Number(0, 255)),
    mask=(None, kinds.PATH),
    kernel=(None, kinds.PATH),
    factor=(None, Integer(2, 8)),
    turns=(None, Integer(1, 8)),
)
DENOISER = kinds.Command(
    "train_denoiser.main",
    """Trains the denoiser that restore uses.

    keras-csc train-denoiser --data_dir=FOLDER --workdir=runs/denoiser

FOLDER holds photographs, some hundred or more; they are made grey. The denoiser
that ships learned from 300. Writes to --workdir: checkpoints/, run.json,
tensorboard/, and at the end model/ (a preset folder) and evaluation.json. Run
the same command again to go on from the last checkpoint.

Denoiser:
    workdir: Folder of this run.
    data_dir: Folder of photographs.
    steps: Steps of training, batches of 8 images of 64x64.
    learning_rate: The highest rate; it falls to a hundredth, as a cosine.
    seed: Seed of data order and noise.
    dtype_policy: As of train.
""",
    ["data_dir", "workdir"],
    workdir=(None, kinds.PATH),
    data_dir=(None, kinds.FOLDER),
    steps=(50_000, Integer(1, 10**9)),
    learning_rate=(0.001, kinds.Number(0, 1)),
    seed=(0, Integer(0, 2**31 - 1)),
    dtype_policy=("auto", Enum(["auto", "float32", "mixed_bfloat16"])),
)
SORT = kinds.Command(
    "sort.main",
    """Says what tells folders of pictures apart, and which are doubtful.

    keras-csc sort --data_dir=FOLDER --output=OUT

FOLDER has a folder of pictures for each class, 30 a class or more. Writes
OUT/index.html, a page to open in a browser, OUT/sorted.json, what was found of
each picture, and the model: model.keras, and model/1/, a SavedModel. No picture
is moved or changed. 300 pictures take half a minute.

Sort:
    data_dir: Folder of the pictures.
    output: Folder to write, which must not exist.
    image_size: Side of the squares, in pixels, that are seen of pictures. By
        default the median of the shorter sides, at most 64.
    false_alarms: Share of rightly filed pictures that may be called doubtful.
        At most this share of all pictures is.
""",
    ["data_dir", "output"],
    data_dir=(None, kinds.FOLDER),
    output=(None, kinds.PATH),
    image_size=(None, Integer(12, 256)),
    false_alarms=(0.05, kinds.Number(0, 1)),
)


VECTORS = """
    preset: Name, folder or URI of a trained model of one vector an image, or
        the model.keras that sort wrote."""
EMBED = kinds.Command(
    "search.embed",
    f"""Writes a vector of every picture of a folder.

    keras-csc embed --data_dir=FOLDER --output=vectors.npz

The file has the arrays vectors, of norm 1, and files, the names. The cosine of
two vectors says how alike two pictures are.

Embed:
    data_dir: Folder of the pictures.
    output: File to write, .npz. A file that embed wrote is replaced.{VECTORS}
""",
    ["data_dir", "output"],
    data_dir=(None, kinds.FOLDER),
    output=(None, kinds.file(".npz")),
    preset=("csc_ctrl_cifar10", kinds.PATH),
)
SEARCH = kinds.Command(
    "search.search",
    f"""Finds the pictures of a folder that are most like one.

    keras-csc search --image=QUERY.jpg --data_dir=FOLDER

Prints the cosines and the files, the most alike first.

Search:
    image: File of the picture.
    data_dir: Folder of the pictures.
    count: How many are printed.{VECTORS}
""",
    ["image", "data_dir"],
    image=(None, kinds.PATH),
    data_dir=(None, kinds.FOLDER),
    count=(8, Integer(1, 100_000)),
    preset=("csc_ctrl_cifar10", kinds.PATH),
)
