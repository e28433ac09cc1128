"""The moving averages of the weights that optimizers keep."""

import keras


def take_averages(model):
    """Makes the moving averages the weights of the players that have some.

    Those of optimizers with `use_ema=True`, once they have taken a step. The
    density, which is of other weights, is removed.

    Args:
        model: compiled `ClosedLoopAutoencoder`.
    """
    found = False
    for variables, optimizer in (
        (model.encoder.trainable_variables, model.encoder_optimizer),
        (model.decoder_variables, model.decoder_optimizer),
    ):
        if not optimizer.use_ema or optimizer.iterations.numpy() == 0:
            continue
        found, model.density = True, None
        optimizer.finalize_variable_values(variables)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
    if found:
        model.encoder.update_operator_norms()


class TakeAverages(keras.callbacks.Callback):
    """Takes them when training ends, as Keras does of a model's optimizer.

    Args:
        callbacks: list of callbacks, of which those with a method
            `before_averages` are called before.
    """

    def __init__(self, callbacks=()):
        super().__init__()
        self.callbacks = callbacks

    def on_train_end(self, logs=None):
        for callback in self.callbacks:
            if hasattr(callback, "before_averages"):
                callback.before_averages()
        take_averages(self.model)


def with_averages(model, callbacks):
    """The callbacks of `fit`, after one that takes the averages, if any.

    It is the first: `EarlyStopping` may restore other weights. A checkpoint
    is saved before, of the weights that training goes on from.

    Args:
        model: compiled `ClosedLoopAutoencoder`.
        callbacks: as of `fit`.
    """
    if not any(optimizer.use_ema for optimizer in model.optimizer.optimizers):
        return callbacks
    if isinstance(callbacks, keras.callbacks.CallbackList):
        taking = TakeAverages()
        taking.set_model(model)
        callbacks.append(taking)
        return callbacks
    callbacks = keras.tree.flatten(callbacks) if callbacks else []
    return [TakeAverages(callbacks), *callbacks]
