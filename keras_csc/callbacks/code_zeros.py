"""How many codes of any model are 0, as it trains."""

import contextlib
import warnings

import keras
import numpy as np

from keras_csc.layers import ConvSparseCoding2D


class CodeZeros(keras.callbacks.Callback):
    """Logs the share of zeros among the codes of every coding layer.

    At the end of every epoch the model encodes some images, and the callback
    adds `zero_fraction/LAYER` to the logs, for every `ConvSparseCoding2D` that
    was called, wherever it stands in the model. Layers of the same name have
    one share, their mean. A layer whose codes are all 0 hands nothing on, and
    has no gradient: the callback warns of it once.

    Args:
        images: inputs of the model, some hundred.

    Example:

    >>> model.fit(x, y, callbacks=[keras_csc.callbacks.CodeZeros(x[:100])])
    """

    def __init__(self, images):
        super().__init__()
        self.images = images
        self._warned = set()

    def on_epoch_end(self, epoch, logs=None):
        with _recorded() as shares:
            self.model(self.images, training=False)
        for layer, share in shares.items():
            if logs is not None:
                logs[f"zero_fraction/{layer}"] = float(np.mean(share))
            if min(share) == 1 and layer not in self._warned:
                self._warned.add(layer)
                warnings.warn(
                    f"All codes of the layer {layer} are 0. It hands nothing "
                    "on and does not learn: lower its `sparsity`.",
                    stacklevel=2,
                )


@contextlib.contextmanager
def _recorded():
    """Shares of zeros of coding layers that are called, lists by name."""
    shares, call = {}, ConvSparseCoding2D.call

    def recording(layer, *args, **kwargs):
        codes = call(layer, *args, **kwargs)
        zeros = np.mean(keras.ops.convert_to_numpy(codes == 0))
        shares.setdefault(layer.name, []).append(zeros)
        return codes

    ConvSparseCoding2D.call = recording
    try:
        yield shares
    finally:
        ConvSparseCoding2D.call = call
