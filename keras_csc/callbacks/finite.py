import math

import keras


class NonFiniteError(Exception):
    """A term of the game is not finite; the message names it and the step."""


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training with a `NonFiniteError` when a logged term is not finite.

    Looks at the logs at the end of every epoch (of every logging interval in
    `training/train.py`), before anything of it is saved.
    """

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            if not math.isfinite(float(value)):
                raise NonFiniteError(
                    f"The term {name!r} is {float(value)} at step "
                    f"{self.model.step}. Lower the learning rates or the "
                    "weights of the game, and go on from the last checkpoint."
                )
