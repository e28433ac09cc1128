import re

import tensorflow as tf

from keras_csc.advice import AdvisedError

READ_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
)


class DataError(ValueError):
    """A mistake in a data set's name, folder, files or shape.

    The message is one line: what was wrong, what was expected, what to do.
    """


class AdvisedDataError(AdvisedError, DataError):
    """A `DataError` that an argument of `open_dataset` would mend."""


def plain(error):
    """The reason of an error of TensorFlow's, in one line without its graph."""
    text = str(getattr(error, "message", error))
    asserted = re.search(r"assertion failed: \[(.*)\]", text)
    if asserted:
        return asserted[1].rstrip(".")
    line = (text.splitlines() or [""])[0]
    line = re.sub(r"\{\{[^}]*\}\}|\[Op:[^]]*\]", "", line)
    return line.strip().rstrip(".") or type(error).__name__


def damage(source, where, error):
    """The `DataError` of an example that can't be read.

    Args:
        source: what it is of.
        where: text, where it is.
        error: what was raised.
    """
    return DataError(
        f"The {source.split} split of {source.name} is damaged at {where}: "
        f"{plain(error)}; replace it."
    )
