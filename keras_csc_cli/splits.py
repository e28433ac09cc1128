"""The splits of a run's data."""

from keras_csc_cli.building import image_shape
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import advised

from keras_csc import data


class Splits:
    """The splits of a run's data set, each opened when it is first asked for.

    Opening lists the data and looks at them, which takes long for large
    folders: what was opened is kept.

    Args:
        options: of the run.
        model: the run's, whose images are of the shape to open; by default
            that of the options' preset, which must be there then.
        advice: dict, as of `command_line.advised`, of a command that has
            flags of its own for data.
    """

    def __init__(self, options, model=None, advice=None):
        self.dataset = options.dataset
        self.image_shape = (
            image_shape(options.preset)
            if model is None
            else tuple(model.encoder.image_shape)
        )
        self._how = {
            "data_dir": options.data_dir,
            "validation_fraction": options.validation_fraction,
            "download": options.download,
            "random_crop": options.random_crop,
            "resize": options.resize,
        }
        self._advice = advice or {}
        self._opened = {}

    def __getitem__(self, split):
        if split not in self._opened:
            self._opened[split] = open_split(
                self.dataset,
                split,
                self.image_shape,
                advice=self._advice,
                **self._how,
            )
        return self._opened[split]

    @property
    def num_classes(self):
        """Number of classes, or `None` without labels."""
        return self["train"].num_classes

    def check_classes(self):
        """Checks that the data have the labels that a classifier learns.

        Raises:
            UsageError: if they have not.
        """
        check_classes(self.dataset, self.num_classes)


def open_split(*arguments, advice, **how):
    """`open_dataset`, whose errors have the advice of a command."""
    try:
        return data.open_dataset(*arguments, **how)
    except data.DataError as error:
        raise data.DataError(advised(error, **advice)) from error


def check_classes(dataset, classes):
    """Checks that there are labels that a classifier learns.

    Args:
        dataset: name of the data set.
        classes: int, or `None` without labels.

    Raises:
        UsageError: if there are not.
    """
    if not classes or classes < 2:
        raise UsageError(
            "--metrics=classes and --metrics=classifier need labels of two "
            f"classes or more, and {dataset!r} has {classes or 'none'}."
        )
