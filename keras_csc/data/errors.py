import re


class DataError(ValueError):
    """A mistake in a data set's name, folder, files or shape.

    The message is one line: what was wrong, what was expected, what to do.
    """


def plain(error):
    """The reason of an error of TensorFlow's, in one line without its graph."""
    text = str(getattr(error, "message", error))
    asserted = re.search(r"assertion failed: \[(.*)\]", text)
    if asserted:
        return asserted[1].rstrip(".")
    line = (text.splitlines() or [""])[0]
    line = re.sub(r"\{\{[^}]*\}\}|\[Op:[^]]*\]", "", line)
    return line.strip().rstrip(".") or type(error).__name__
