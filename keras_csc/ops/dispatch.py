"""The one place in which operations ask for the backend."""

import keras


def forms():
    """How operations are computed on the backend in use.

    Returns:
        The package `ops.tensorflow`, or on other backends the module
        `ops.portable`: functions of the same names, and the same results.
    """
    if keras.backend.backend() == "tensorflow":
        from keras_csc.ops import tensorflow

        return tensorflow
    from keras_csc.ops import portable

    return portable
