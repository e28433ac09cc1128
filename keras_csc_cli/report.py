"""Makes a page of a run's model, or of a preset."""

import contextlib
import json
import pathlib
import types

from keras_csc_cli import building
from keras_csc_cli import records
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.checked_flags import values
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.options import REPORT
from keras_csc_cli.options import name_of

from absl import flags

from keras_csc import data
from keras_csc import report
from keras_csc.callbacks.logs import LOG_FILE
from keras_csc.data.image_files import printable
from keras_csc.data.sources import READ_ERRORS

USER_ERRORS = (data.DataError, OSError)
NAME = "report.html"


def run(
    workdir=None,
    *,
    preset=None,
    output=None,
    dataset=None,
    data_dir=None,
    split="test",
    images=1000,
):
    """Writes the page of a run or of a preset.

    Args: as the flags.

    Returns:
        `pathlib.Path` of the page.

    Raises:
        DataError: if images are asked for that are not there. Without
            `dataset` and `data_dir`, the page has none then.
    """
    given = {"dataset": dataset, "data_dir": data_dir}
    where = types.SimpleNamespace(workdir=workdir, preset=preset)
    with contextlib.ExitStack() as stack:
        log = []
        if preset is None:
            folder = workdirs.Workdir(workdir, create=False, hold=not output)
            stack.enter_context(folder)
            log = _log(folder.path / LOG_FILE)
        name = name_of(where)
        beside = (
            pathlib.Path(f"{name}-{NAME}") if preset else folder.path / NAME
        )
        path = _checked(output or beside)
        model, card = building.opened(workdir, preset)
        trained = building.options_of(workdir, preset, card)
        shown = train_options.replaced(trained, **given)
        source = building.source_of(model, trained, split, **given)
        return report.write_report(
            path,
            model,
            name,
            card=records.without_paths(card),
            log=log,
            own_classes=not building.is_other(shown, trained),
            **_images(source, images, shown.dataset),
        )


def _images(source, count, dataset):
    """Images to show, or why there are none, as of `write_report`."""
    if source is None:
        return {
            "about": f"The data set {dataset or 'of its training'} was not at "
            "hand. Give images with --dataset and --data_dir."
        }
    shown, labels = _some(source, count)
    return {
        "images": shown,
        "labels": labels,
        "class_names": source.class_names,
        "about": f"{len(shown):,} of the {source.size:,} images of the split "
        f"{source.split} of {dataset}.",
    }


def _some(source, count):
    """Some examples of a source, chosen by a fixed seed."""
    if source.size <= count:
        return data.load_arrays(source)
    examples = source.epoch(seed=0).take(count).batch(count)
    try:
        return next(examples.as_numpy_iterator())
    except READ_ERRORS:
        data.check_readable(source)
        raise


def _log(path):
    """Records of a run's log; lines that are no records are left out."""
    text = path.read_text(errors="replace") if path.exists() else ""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                numbers = (
                    (name, value)
                    for name, value in record.items()
                    if isinstance(value, (int, float))
                )
                found.append(dict(numbers))
    return found


def _checked(output):
    """The path to write, which can be, and holds nothing but a report."""
    path = pathlib.Path(output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--output must end in .html. Received: {path}")
    if path.exists() and not (path.is_file() and report.is_report(path)):
        raise UsageError(
            f"{path} exists, and is not a report that would be replaced. "
            "Choose another --output."
        )
    records.check_folder(path.parent)
    return path


def main():
    options = values(REPORT.sections, flags.FLAGS)
    print(f"Report: {printable(run(**vars(options)))}")
