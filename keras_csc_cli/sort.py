"""Looks at a person's folders of pictures, and says what tells them apart."""

import pathlib

from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import check_folder
from keras_csc_cli.records import identification
from keras_csc_cli.records import write_json

import numpy as np
from PIL import Image

from keras_csc import data
from keras_csc.data.folders import open_folder
from keras_csc.export import export_features
from keras_csc.features import sorting
from keras_csc.files import check_new
from keras_csc.files import new_folder

SIDES = (12, 64)  # of the squares that are seen, at least and at most
LEAST, MOST = 4, 20_000  # pictures


def main(options):
    """Sorts the pictures of `--data_dir`, and writes `--output`.

    Returns:
        `pathlib.Path` of the page.
    """
    output = pathlib.Path(options.output)
    check_new(output)
    check_folder(output.parent)
    source = _opened(options.data_dir, options.image_size)
    images, labels = data.load_arrays(source)
    files = [str(pathlib.Path(f)) for f in source.files]
    found = sorting.sort_pictures(images, labels, source.class_names, files)
    share, spread = sorting.accuracy(found)
    doubtful = sorting.doubts(found.labels, found.ridge, options.false_alarms)
    flagged, most = len(doubtful.numbers), doubtful.most
    print(f"held-out accuracy {share:.2f} ± {spread:.2f}")
    print(f"{flagged} of {len(files)} pictures are doubtful")
    print(f"Up to {most} would be if all were filed rightly")
    title = pathlib.Path(options.data_dir).resolve().name
    report = {
        "folder": title,
        "made": identification(),
        "accuracy": {"share": share, "uncertainty": spread},
        "strangers": found.strangers,
        "doubts": {"count": flagged, "if_filed_rightly": most},
        "pictures": sorting.record(found, doubtful),
    }
    model, text = sorting.model(found), sorting.page(found, title, doubtful)
    with new_folder(output) as temporary:
        model.save(temporary / "model.keras")
        folder, layer = temporary / "model" / "1", found.ridge.layer
        export_features(found.features, folder, layer, found.names)
        write_json(temporary / "sorted.json", report)
        (temporary / "index.html").write_bytes(
            text.encode("utf-8", "xmlcharrefreplace")
        )
    print(f"Page: {output / 'index.html'}")
    return output / "index.html"


def _opened(folder, side):
    """The pictures of a folder, if there are enough and not too many."""
    source = open_folder(None, (1, 1, 3), folder, 0.0, random_crop=False)
    if not LEAST <= source.size <= MOST:
        raise UsageError(
            f"--data_dir={folder} has {source.size} pictures. From {LEAST} to "
            f"{MOST:,} can be sorted, as they are held in memory."
        )
    names = source.class_names or ()
    counts = np.bincount(source.labels, minlength=len(names)) if names else ()
    few = [name for name, count in zip(names, counts) if count < 2]
    if few or len(names) < 2:
        raise UsageError(
            f"--data_dir={folder} must have two folders or more, each of two "
            "pictures or more. "
            + (f"There is one picture in {few[0]}." if few else "")
        )
    if side is None:
        sides = []
        for number in range(min(source.size, 100)):
            with Image.open(source.locate(number)) as image:
                sides.append(min(image.size))
        side = int(np.clip(np.median(sides), *SIDES))
    return open_folder(None, (side, side, 3), folder, 0.0, random_crop=False)
