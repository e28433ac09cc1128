"""The optimizers of the two players."""

import keras

# What Keras does with the gradients before it sums them over the replicas.
ON_ONE_REPLICA = (
    *("clipnorm", "clipvalue", "global_clipnorm"),
    "gradient_accumulation_steps",
)


def checked_optimizers(optimizer, decoder_optimizer, replicas):
    """Two optimizers, of whatever `keras.optimizers.get` takes, or `None`.

    Keras clips and accumulates the gradient of each replica, which is a part of
    that of the global batch, before it sums them.

    Args:
        optimizer: of one pass, or of the encoder.
        decoder_optimizer: of the decoder, or `None`.
        replicas: int, how many there are.

    Raises:
        ValueError: for one object twice, moving averages or a scale of the
            loss, or one that clips or accumulates on more than one replica.
    """
    given = {"optimizer": optimizer, "decoder_optimizer": decoder_optimizer}
    if decoder_optimizer is None:
        del given["decoder_optimizer"]
    made = {name: keras.optimizers.get(each) for name, each in given.items()}
    for name, each in made.items():
        _check_no_scale(name, each)
        _check_on_replicas(name, each, replicas)
        if each.use_ema:
            raise ValueError(
                f"`{name}` must have no `use_ema`: averages of atoms are no "
                "tight frames, and have other step sizes. Leave it out."
            )
    first, second = made["optimizer"], made.get("decoder_optimizer")
    if first is second:
        raise ValueError(
            "`optimizer` and `decoder_optimizer` must be two objects: an "
            "optimizer keeps the state of one player's weights. Received: "
            f"the same {type(first).__name__} for both. Make another one."
        )
    return first, second


def _check_on_replicas(name, optimizer, replicas):
    for argument in ON_ONE_REPLICA:
        value = getattr(optimizer, argument, None)
        if value and replicas > 1:
            raise ValueError(
                f"`{name}` must have no `{argument}` on several replicas, each "
                "of which has a part of the gradient. Received: "
                f"{argument}={value}, on {replicas} replicas. Leave it out, "
                "load the file with compile=False, or train on one device."
            )


def _check_no_scale(name, optimizer):
    """Checks that the gradients are not to be divided by a scale of the loss.

    Losses are not scaled here.
    """
    scale = getattr(optimizer, "loss_scale_factor", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scale = type(optimizer).__name__
    if scale is not None:
        raise ValueError(
            f"`{name}` must not scale the loss: the game's losses are not "
            "scaled, and steps would be too small by that factor. Received: "
            f"{scale}. Leave it out, or load the file with compile=False; for "
            "half precision, compute in dtype='mixed_bfloat16', which needs "
            "none."
        )
