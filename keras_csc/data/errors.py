class DataError(ValueError):
    """A mistake in a data set's name, folder, files or shape.

    The message is one line: what was wrong, what was expected, what to do.
    """
