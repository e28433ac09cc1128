"""Our networks and PyTorch's, with the same weights and step sizes."""

from keras_csc_cli import building

import keras
import numpy as np
import torch

from benchmarks import peer_torch
from benchmarks import peer_torch_networks as networks
from keras_csc.models import presets

CLASSES = 10
# Of gradient descent; Keras's float32 holds it exactly.
RATE = 2**-7


def peer_game(options, optimizer):
    """PyTorch's game of a run's options.

    Args:
        options: of a run, with one `sparsity` for all stages.
        optimizer: function of parameters.
    """
    torch.manual_seed(0)
    config = presets.config(options.preset, **options.architecture)
    shape = config["image_shape"], config["filters"], config["feature_dim"]
    if config["network"] == "conv":
        encoder = networks.ConvEncoder(*shape)
        decoder = networks.ConvDecoder(*shape)
    else:
        encoder = networks.Encoder(*shape, config["sparsity"])
        decoder = networks.Decoder(encoder)
    objective = getattr(peer_torch, options.game.get("objective", "binary"))
    return peer_torch.Game(encoder, decoder, optimizer, objective)


def players(options):
    """Both games of a run's options, alternating, with gradient descent.

    Returns:
        `(model, game)`, of the options' precision and of other weights.
    """
    keras.utils.set_random_seed(0)
    model = building.model(options, CLASSES)
    model.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        model.game,
        jit_compile=False,
    )
    model.encoder.update_operator_norms()
    game = peer_game(options, lambda weights: torch.optim.SGD(weights, lr=RATE))
    for player in (game.encoder, game.decoder):
        player.to(getattr(torch, options.dtype_policy))
    return model, game


def spread(model, seed=0):
    """Draws scales and offsets, which begin as 1 and 0."""
    rng = np.random.default_rng(seed)
    for player in (model.encoder, model.decoder):
        for layer in player.normalizations:
            if layer.gamma is not None:
                layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
                layer.beta.assign(rng.normal(0.0, 0.1, layer.beta.shape))


def share_step_sizes(model, game):
    """Gives ours to PyTorch's layers, for good."""
    for ours, theirs in zip(model.encoder.coding_layers, game.encoder.coding):
        ours.update_operator_norm = lambda: None
        theirs.step_size = weight(ours.step_size)
        theirs.update_step_size = lambda: None
        theirs.sparsity = ours.sparsity


def pairs(model, game):
    """Our variables, each with PyTorch's parameter.

    Raises:
        ValueError: if one of either side has no partner.
    """
    encoder, decoder = game.encoder, game.decoder
    layers = [
        *zip(model.encoder.coding_layers, encoder.coding),
        (model.encoder.head, encoder.head),
    ]
    gains = []
    if model.encoder.sparse:
        gains = zip(model.decoder.trainable_variables, decoder.parameters())
    else:
        layers += zip(
            model.decoder.decoding_layers, (decoder.head, *decoder.decoding)
        )
    found = [(ours.kernel, theirs.weight) for ours, theirs in layers]
    found += gains
    for player in ("encoder", "decoder"):
        for ours, theirs in zip(
            getattr(model, player).normalizations,
            getattr(game, player).normalizations,
        ):
            if ours.gamma is not None:
                found.append((ours.gamma, theirs.weight))
                found.append((ours.beta, theirs.bias))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    for side, expected in zip(
        zip(*found), (model.trainable_variables, parameters)
    ):
        if set(map(id, side)) != set(map(id, expected)):
            raise ValueError("A weight has no partner in the other framework.")
    return found


def copy(found):
    """Gives our values to PyTorch's parameters."""
    for ours, theirs in found:
        theirs.data.copy_(weight(ours))


def images(batch):
    """PyTorch's copy of our images."""
    return torch.from_numpy(batch.numpy()).permute(0, 3, 1, 2).contiguous()


def weight(variable):
    """A copy of our variable or gradient, as PyTorch has it."""
    value = torch.from_numpy(np.array(keras.ops.convert_to_numpy(variable)))
    return value.permute(3, 2, 0, 1) if value.ndim == 4 else value


def difference(ours, theirs):
    """Norm of the difference, relative to that of PyTorch's."""
    ours = np.asarray(ours, "float64")
    theirs = np.asarray(theirs, "float64")
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
