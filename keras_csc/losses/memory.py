"""What rates remember of earlier batches."""

import keras
from keras import ops

from keras_csc.validation import check_number


class MomentMemory:
    """Second moments of more images than a batch holds.

    `M ← m · M + B`, with the moments `B` of a batch; counts likewise. Former
    batches are constants. The gradient of `B` is scaled by `1/(1 - m)`, as if
    all remembered batches were equal and had one. After `t` steps there are
    fewer of them, and the gradient is `1/(1 - mᵗ)` times as large as theirs.

    `M` has the rates of about `1/(1 - m)` batches, as the encoders of former
    steps saw them. `B` is of the global batch, so every replica has the same
    memory.

    Args:
        shapes: dict of shapes, `Game.moment_shapes`.
        momentum: float in `[0, 1)`, `m`, of the game.
        dtype: of the memory.

    Call arguments:
        moments: dict of tensors of these shapes, of the global batch.
        training: bool, whether the batch is remembered.

    Output: dict of tensors of these shapes.
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
        if not moments.keys() <= self.variables.keys():
            raise ValueError(
                "`moment_shapes` of a game with a memory must have the shapes "
                f"of all moments: {', '.join(moments)}. "
                f"Received: {', '.join(self.variables) or 'none'}"
            )
        scale = 1 / (1 - self.momentum)
        remembered = {}
        for name, batch in moments.items():
            variable, constant = self.variables[name], ops.stop_gradient(batch)
            value = self.momentum * ops.convert_to_tensor(variable)
            value += ops.cast(constant, value.dtype)
            if training:
                variable.assign(value)
            # 0, with the gradient of the batch.
            change = scale * (batch - constant)
            remembered[name] = ops.cast(value, batch.dtype) + change
        return remembered

    def save_own_variables(self, store):
        for name, variable in self.variables.items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Takes the moments of a store, if they are of the same shapes.

        A store of a model that was not in training has none, and changes
        nothing. With moments of another game the memory starts anew.
        """
        variables = self.variables
        stored = {n: store[n] for n in variables if n in store.keys()}
        if not stored:
            return
        shapes = {name: array.shape for name, array in stored.items()}
        fits = shapes == {n: tuple(v.shape) for n, v in variables.items()}
        for name, variable in variables.items():
            variable.assign(stored[name] if fits else ops.zeros_like(variable))
