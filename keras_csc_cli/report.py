"""Makes a page of a run's model, or of a preset."""

import json
import pathlib

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import records
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.missing import preset_name
from keras_csc_cli.options import REPORT
from keras_csc_cli.records import check_folder

from absl import flags

from keras_csc import data
from keras_csc import report
from keras_csc.callbacks.scalars import LOG_FILE
from keras_csc.data import DataError
from keras_csc.data.errors import READ_ERRORS
from keras_csc.data.listing import printable
from keras_csc.terminal import say

USER_ERRORS = (DataError, OSError)
NAME = "report.html"
HINT = "Give images with --dataset and --data_dir."


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
    replaced = {"dataset": dataset, "data_dir": data_dir}
    replaced = {name: v for name, v in replaced.items() if v is not None}
    if preset is not None:
        return _of_preset(preset, output, replaced, split, images)
    hold = output is None
    with workdirs.Workdir(workdir, create=False, hold=hold) as folder:
        path = _checked(output or folder.path / NAME)
        options = train_options.replaced(folder.options(), replaced)
        model = building.trained_model(folder.path)
        return report.write_report(
            path,
            model,
            folder.path.resolve().name,
            card=records.without_paths(records.card_of_run(folder.path)),
            log=_log(folder.path / LOG_FILE),
            own_classes=_are_own(folder.options().dataset, replaced),
            **_images_or_why(model, options, replaced, split, images),
        )


def _of_preset(preset, output, replaced, split, images):
    name = preset_name(preset)
    path = _checked(output or f"{name}-{NAME}")
    model, card = records.model_and_card(preset)
    options = _options(preset, card, replaced)
    shown = _images_or_why(model, options, replaced, split, images)
    own = _are_own(_options(preset, card, {}).dataset, replaced)
    card = records.without_paths(card)
    return report.write_report(
        path, model, name, card=card, own_classes=own, **shown
    )


def _are_own(trained, replaced):
    """Whether images have the classes of those that a model was trained on."""
    same_folder = trained != "image_folder" or "data_dir" not in replaced
    return replaced.get("dataset", trained) == trained and same_folder


def _options(preset, card, replaced):
    """Options of the data that a preset was trained on, as far as known."""
    recipe = card.get("recipe")
    recipe = recipe if isinstance(recipe, dict) else {}
    options = train_options.parse([f"--preset={preset}"])
    if isinstance(recipe.get("dataset"), str):
        options.dataset = recipe["dataset"]
    options.resize = recipe.get("resize") is not False
    return train_options.replaced(options, replaced)


def _images_or_why(model, options, replaced, split, count):
    """Images to show, or why there are none, as of `write_report`.

    Raises:
        DataError: if they are asked for, and not there.
    """
    try:
        return _images(model, options, split, count)
    except DataError as error:
        if replaced:
            raise
        say(f"The page has no images: {error}")
        known = options.dataset or "of its training"
        return {"about": f"The data set {known} was not at hand. {HINT}"}


def _images(model, options, split, count):
    """Images to show, as arguments of `write_report`."""
    if not options.dataset:
        raise DataError("No data set is known for it.")
    source = building.Splits(options, model)[split]
    shown, labels = _some(source, count)
    return {
        "images": shown,
        "labels": labels,
        "class_names": source.class_names,
        "about": f"{len(shown):,} of the {source.size:,} images of the split "
        f"{split} of {options.dataset}.",
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
    lines = (
        path.read_text(errors="replace").splitlines() if path.exists() else ()
    )
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("step"), int):
            numbers = [
                (name, value)
                for name, value in record.items()
                if isinstance(value, (int, float))
            ]
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
    check_folder(path.parent)
    return path


def main():
    options = command_line.values(REPORT.sections, flags.FLAGS)
    print(f"Report: {printable(run(**vars(options)))}")
