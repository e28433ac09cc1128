"""Restoration of photographs beside peers: PSNR, SSIM and seconds.

    pip install -r requirements.txt --group benchmarks
    python studies/restoration.py
    python studies/restoration.py --photographs=FOLDER --size=512 \\
        --tasks "denoise 25" --methods ours --channels=1
    python studies/restoration.py --pictures

It restores photographs by ours and by peers and puts its rows in
studies/restoration.json. They are parts of four that scikit-image ships, or all
photographs of a folder, or their middle. All methods see the same pixels,
corrupted with the same seeds; images are in [0, 1] and what lies beyond is cut
off. With --pictures it draws two pictures of docs/restoration.md instead.

Seconds are of the processor. BM3D has threads of its own; others are held to
`--threads`.
"""

import argparse
import pathlib
import time
from importlib.metadata import version

from keras_csc_cli.records import identification

import bm3d
import numpy as np
import scipy.ndimage
import skimage.data
import skimage.restoration
import tensorflow as tf
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from skimage.metrics import structural_similarity

from keras_csc import restoration
from keras_csc.restoration import tasks
from keras_csc.visualization import image_grid
from studies import tables

HERE = pathlib.Path(__file__).parent
RESULTS = HERE / "restoration.json"
PICTURES = HERE.parent / "docs" / "pictures"
KEYS = ("images", "task", "channels", "method")
SIZE = 256
# Where parts of scikit-image's photographs begin, of 256×256 pixels.
SHIPPED = {
    "camera": (60, 120),
    "astronaut": (0, 130),
    "chelsea": (20, 100),
    "coffee": (60, 160),
}
TASKS = (
    *("denoise 15", "denoise 25", "denoise 50"),
    *("inpaint", "deblur", "enlarge"),
)
KNOWN = 0.5
BLUR_DEVIATION, BLUR_NOISE = 1.6, 2 / 255
FACTOR = 2


# === What is restored ===


def shipped(channels):
    """Parts of scikit-image's photographs, by name."""
    found = {}
    for name, (top, left) in SHIPPED.items():
        image = getattr(skimage.data, name)() / 255
        image = image[top : top + SIZE, left : left + SIZE]
        found[name] = in_channels(image, channels)
    return found


def middles(folder, channels, size):
    """The middle parts, at most, of the photographs of a folder, by name."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*.*")):
        image = np.asarray(Image.open(path).convert("RGB")) / 255
        top, left = (max(n - size, 0) // 2 for n in image.shape[:2])
        image = image[top : top + size, left : left + size]
        found[path.name] = in_channels(image, channels)
    return found


def level_of(task):
    """The noise of a task such as `"denoise 25"`."""
    return int(task.partition(" ")[2]) / 255


def in_channels(image, channels):
    """Grey or colour, rounded to the 256 levels of a file."""
    if channels == 1 and image.ndim == 3:
        image = image @ [0.299, 0.587, 0.114]
    if channels == 3 and image.ndim == 2:
        image = np.repeat(image[..., None], 3, -1)
    return np.rint(image * 255).astype("float32") / 255


def blurred(image, kernel):
    """Of an image that goes on beyond its borders as in a mirror."""
    planes = np.atleast_3d(image)
    planes = [
        scipy.ndimage.convolve(planes[..., c], kernel, mode="mirror")
        for c in range(planes.shape[-1])
    ]
    return np.stack(planes, -1).reshape(image.shape)


def corrupted(task, image, seed):
    """What is given of an image: `(given, mask or None)`."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(image.shape).astype("float32")
    if task.startswith("denoise"):
        return image + np.float32(level_of(task)) * noise, None
    if task == "inpaint":
        mask = (rng.uniform(size=image.shape[:2]) < KNOWN).astype("float32")
        return image * mask.reshape(mask.shape + (1,) * (image.ndim - 2)), mask
    if task == "deblur":
        given = blurred(image, tasks.gaussian(BLUR_DEVIATION))
        return given + np.float32(BLUR_NOISE) * noise, None
    middle = FACTOR // 2
    small = blurred(image, tasks.anti_aliasing(FACTOR))
    return small[middle::FACTOR, middle::FACTOR], None


# === Methods ===


def ours(task, given, mask):
    if task.startswith("denoise"):
        return restoration.denoise(given, level_of(task))
    if task == "inpaint":
        return restoration.inpaint(given, mask)
    if task == "deblur":
        kernel = tasks.gaussian(BLUR_DEVIATION)
        return restoration.deblur(given, kernel, BLUR_NOISE)
    return restoration.enlarge(given, FACTOR)


def eight_turns(task, given, mask):
    return restoration.denoise(given, level_of(task), turns=8)


def block_matching(task, given, mask):
    if given.ndim == 3:
        return bm3d.bm3d_rgb(given, level_of(task))
    return bm3d.bm3d(given, level_of(task))


def biharmonic(task, given, mask):
    axis = -1 if given.ndim == 3 else None
    return skimage.restoration.inpaint_biharmonic(
        given, mask < 0.5, channel_axis=axis
    )


def bicubic(task, given, mask):
    """Splines of order 3, at the places that `enlarge` samples."""
    size = [n * FACTOR for n in given.shape[:2]]
    places = [
        (np.arange(n, dtype="float64") - FACTOR // 2) / FACTOR for n in size
    ]
    places = np.meshgrid(*places, indexing="ij")
    planes = np.atleast_3d(given)
    planes = [
        scipy.ndimage.map_coordinates(
            planes[..., c], places, order=3, mode="nearest"
        )
        for c in range(planes.shape[-1])
    ]
    return np.stack(planes, -1).reshape(*size, *given.shape[2:])


METHODS = {
    "denoise": {
        "given": lambda task, given, mask: given,
        "ours": ours,
        "ours, eight turns": eight_turns,
        "BM3D": block_matching,
    },
    "inpaint": {
        "ours": ours,
        "biharmonic": biharmonic,
    },
    "deblur": {
        "given": lambda task, given, mask: given,
        "ours": ours,
    },
    "enlarge": {
        "bicubic": bicubic,
        "ours": ours,
    },
}


# === Measuring ===


def measured(method, task, image, seed):
    """PSNR, SSIM and seconds of a method on an image."""
    given, mask = corrupted(task, image, seed)
    began = time.process_time()
    found = np.clip(method(task, given, mask), 0, 1).astype("float32")
    seconds = time.process_time() - began
    axis = -1 if image.ndim == 3 else None
    similarity = structural_similarity(
        image,
        found,
        data_range=1.0,
        channel_axis=axis,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    psnr = peak_signal_noise_ratio(image, found, data_range=1.0)
    return psnr, similarity, seconds


def compare(name, images, task, channels, methods):
    """Yields rows, of the means over images."""
    for title, method in METHODS[task.partition(" ")[0]].items():
        if methods and title not in methods:
            continue
        if title != "given":  # The first call traces.
            method(task, *corrupted(task, next(iter(images.values())), 0))
        figures = np.mean(
            [
                measured(method, task, image, seed)
                for seed, image in enumerate(images.values())
            ],
            axis=0,
        ).tolist()
        row = {"images": name, "count": len(images)}
        row |= {"task": task, "channels": channels, "method": title}
        row |= dict(zip(("psnr", "ssim", "seconds"), figures))
        print(row, flush=True)
        about = {**identification(), "bm3d": version("bm3d")}
        yield {**row, "about": about}


def draw(task):
    """Draws a part of a photograph, what was given, and what methods make."""
    image = shipped(1)["camera"]
    given, mask = corrupted(task, image, 0)
    methods = METHODS[task.partition(" ")[0]].items()
    made = [
        each(task, given, mask) for title, each in methods if title != "given"
    ]
    tiles = 2 * np.stack([image, given, *made])[..., None] - 1
    path = PICTURES / f"restoration_{task.replace(' ', '_')}.jpg"
    Image.fromarray(image_grid(tiles, len(tiles))).save(path, quality=85)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", help="folder of image files")
    parser.add_argument("--size", type=int, default=SIZE)  # at most, of these
    parser.add_argument("--methods", nargs="+")  # by default all
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--channels", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", action="store_true")
    options = parser.parse_args()
    if options.pictures:
        draw("denoise 25")
        draw("inpaint")
        return
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    for channels in options.channels:
        name, images = "shipped", shipped(channels)
        if options.photographs:
            name = pathlib.Path(options.photographs).name
            images = middles(options.photographs, channels, options.size)
        for task in options.tasks:
            rows = compare(name, images, task, channels, options.methods)
            tables.put(RESULTS, list(rows), KEYS)


if __name__ == "__main__":
    main()
