import warnings

import keras
from keras import ops

from keras_csc.validation import check_number


class MomentMemory:
    """Second moments of more images than a batch holds.

    `M ← m · M + B` of the moments `B` of a batch, and of its counts. The
    batches before are constants; the gradient of the batch's own part is
    scaled by `1/(1 - m)`, so that it has the size of the gradient of all, once
    the memory is full: after `t` steps it is `1/(1 - mᵗ)` times as large.

    Rates of `M` are those of about `1/(1 - m)` batches, seen by the encoders
    of the steps before. `B` is that of the global batch, so that the memory is
    the same on every replica.

    Args:
        shapes: dict of shapes, of `RecipeGame.moment_shapes`.
        momentum: float in `[0, 1)`, `m`.
        dtype: of the memory.

    Call arguments:
        moments: dict of tensors of these shapes, of the global batch.
        training: bool, whether the batch is remembered.

    Output: dict of tensors of these shapes.

    Raises:
        ValueError: for another momentum.
    """

    def __init__(self, shapes, momentum, dtype="float32"):
        check_number("[0, 1)", momentum=momentum)
        self.momentum = momentum
        self.variables = {
            name: keras.Variable(
                keras.initializers.Zeros(),
                shape=shape,
                dtype=dtype,
                trainable=False,
                aggregation="none",  # every replica's is the same
                name=f"memory_{name}",
            )
            for name, shape in shapes.items()
        }

    def __call__(self, moments, training=False):
        scale = 1 / (1 - self.momentum)
        remembered = {}
        for name, batch in moments.items():
            memory = self.variables[name]
            value = self.momentum * ops.convert_to_tensor(memory)
            value += ops.cast(ops.stop_gradient(batch), value.dtype)
            if training:
                memory.assign(value)
            own = scale * (batch - ops.stop_gradient(batch))
            remembered[name] = ops.cast(value, batch.dtype) + own
        return remembered

    def save_own_variables(self, store):
        for name, variable in self.variables.items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Takes the moments of a store, if they are of the same shapes.

        A store without any, of a model that was not in training, leaves them
        as they are. Those of another game are left out, with a warning.
        """
        found = {
            name: tuple(store[name].shape)
            for name in self.variables
            if name in store.keys()
        }
        if not found:
            return
        own = {name: tuple(v.shape) for name, v in self.variables.items()}
        for name, variable in self.variables.items():
            value = store[name] if found == own else ops.zeros_like(variable)
            variable.assign(value)
        if found != own:
            warnings.warn(
                "The memory of the game starts anew: the file has one of the "
                f"shapes {found}, of another game. Expected: {own}.",
                stacklevel=2,
            )
