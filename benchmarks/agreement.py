"""Our objective and gradients of a step against PyTorch's, in float64.

    pip install torch
    python benchmarks/agreement.py

The published games, CTRL-Binary and CTRL-Multi, of sparse coding networks with
non-negative codes and of DCGAN's, each played by our code and by
`peer_torch.Game`, which shares no line with it, from the same weights. What is
compared:

- `objective`: `T`;
- `encoder_gradient`: of `T`, with `x̂` held fixed;
- `old_decoder_gradient`: the decoder's against that encoder, as our single
  pass has it;
- `new_objective`, `decoder_gradient`: the same against the encoder after its
  step, as the published order has it;
- `step`: how the weights moved in a whole `train_step`.

Of gradients and steps the figure is the largest over all variables, of the
norm of the difference relative to the norm. One class of the batch is absent,
one has a single image. Exits with 1 if a difference is above 1e-9. Writes
benchmarks/results.json.
"""

import itertools
import sys

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options

import keras
import numpy as np
import tensorflow as tf

from benchmarks import measuring
from keras_csc.models import presets
from keras_csc.models import steps
from studies import baselines

try:
    import torch

    from benchmarks import peer_torch
    from benchmarks import peer_torch_networks as networks
except ImportError:
    command_line.fail("PyTorch is missing. Run: pip install torch")

CLASSES = 10
# Of gradient descent; Keras's float32 holds it exactly.
RATE = 2**-7
TOLERANCE = 1e-9
BATCH = 48
PUBLISHED_LAYERS = [
    "--dataset=cifar10",
    "--preset=cifar10",
    "--architecture=filters=16,32,64,feature_dim=64,sparsity=0.1",
    "--architecture=kernel_size=4,strides=2,rectified=true,output=tanh",
    "--architecture=iterations=2,nonnegative=true",
    "--architecture=tight_frame=false,lapped=false",
    "--game=residual=0,multistage=0,memory=0,shared_statistics=false",
    "--steps=1000",
    "--dtype_policy=float64",
]
QUANTITIES = (
    "objective",
    "encoder_gradient",
    "old_decoder_gradient",
    "new_objective",
    "decoder_gradient",
    "step",
)


def batch():
    """Images, and labels; one class is rare and one is absent."""
    shape = (BATCH, 32, 32, 3)
    images = tf.random.stateless_normal(shape, (0, 1), dtype="float64")
    labels = np.arange(BATCH, dtype="int32") % (CLASSES - 2)
    labels[0] = CLASSES - 1
    return tf.tanh(images), tf.constant(labels)


def peer_game(kind, options, optimizer):
    """PyTorch's game of a run's options.

    Args:
        kind: of the networks, as in `Match`.
        options: of a run, with one `sparsity` for all stages.
        optimizer: function of parameters.
    """
    torch.manual_seed(0)
    config = presets.config(options.preset, **options.architecture)
    shape = config["image_shape"], config["filters"], config["feature_dim"]
    if kind == "conv":
        encoder = networks.ConvEncoder(*shape)
        decoder = networks.ConvDecoder(*shape)
    else:
        encoder = networks.Encoder(*shape, config["sparsity"])
        decoder = networks.Decoder(encoder)
    objective = getattr(peer_torch, options.game.get("objective", "binary"))
    return peer_torch.Game(encoder, decoder, optimizer, objective)


def players(kind, options):
    """Both games of a run's options, alternating, with gradient descent.

    Returns:
        `(model, game)`, of the options' precision and of other weights.
    """
    keras.utils.set_random_seed(0)
    model = building.model(options, CLASSES, baselines.MAKERS[kind])
    model.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        model.game,
        jit_compile=False,
    )
    game = peer_game(
        kind, options, lambda weights: torch.optim.SGD(weights, lr=RATE)
    )
    for player in (game.encoder, game.decoder):
        player.to(getattr(torch, options.dtype_policy))
    return model, game


def spread(model):
    """Draws scales and offsets, which begin as 1 and 0."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if variable.name == "gamma":
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name == "beta":
            variable.assign(rng.normal(0.0, 0.1, variable.shape))


def pairs(model, game):
    """Our variables, each with PyTorch's parameter.

    Raises:
        ValueError: if one of either side has no partner.
    """
    encoder, decoder = game.encoder, game.decoder
    layers = [(model.encoder.head, encoder.head)]
    normalizations = zip(model.encoder.normalizations, encoder.normalizations)
    found = []
    if model.encoder.coding_layers:
        layers += zip(model.encoder.coding_layers, encoder.coding)
        found += zip(model.decoder.trainable_variables, decoder.parameters())
    else:
        layers += zip(model.encoder.convolutions, encoder.coding)
        layers += zip(
            model.decoder.convolutions, (decoder.head, *decoder.decoding)
        )
        normalizations = itertools.chain(
            normalizations,
            zip(model.decoder.normalizations, decoder.normalizations),
        )
    found += [(ours.kernel, theirs.weight) for ours, theirs in layers]
    for ours, theirs in normalizations:
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
    """Norm of the difference, relative to the norm of PyTorch's."""
    ours = np.asarray(ours, "float64")
    theirs = np.asarray(theirs, "float64")
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


class Match:
    """Both games from the same weights.

    Args:
        kind: of `baselines.MAKERS`, `"closed_loop"` or `"conv"`.
        objective: `"binary"` or `"multi"`.
    """

    def __init__(self, kind, objective):
        options = train_options.parse(
            [*PUBLISHED_LAYERS, f"--game=objective={objective}"]
        )
        self.model, self.game = players(kind, options)
        spread(self.model)
        self.pairs = pairs(self.model, self.game)
        self.images, self.labels = batch()
        if kind == "closed_loop":
            self.model.decoder.calibrate(self.images)
        else:
            # TensorFlow's operation holds its slope in float32.
            self.game.encoder.slope = float(np.float32(0.2))
        self.start = self.model.get_weights()
        self.for_torch = (
            images(self.images),
            torch.from_numpy(self.labels.numpy()).long(),
        )

    def row(self):
        """The differences of one step."""
        self._restart()
        ours, terms = self._play()
        self.game.decoder_step(*self.for_torch)
        row = {"old_decoder_gradient": self._worst(ours, "decoder")}
        self._restart()
        theirs = self.game.encoder_step(*self.for_torch)
        row["objective"] = difference(terms["objective"], theirs)
        row["encoder_gradient"] = self._worst(ours, "encoder")
        variables = self.model.encoder.trainable_variables
        self.model.optimizer.apply(
            [ours["encoder"][id(v)] for v in variables], variables
        )
        ours, terms = self._play()
        theirs = self.game.decoder_step(*self.for_torch)
        row["new_objective"] = difference(terms["objective"], theirs)
        row["decoder_gradient"] = self._worst(ours, "decoder")
        row["step"] = self._step()
        return row

    def zeros(self):
        """Share of zeros in the codes of every stage."""
        codes = self.model.encoder.activations(self.images, training=True).codes
        return [float(np.mean(code.numpy() == 0)) for code in codes]

    def _restart(self):
        self.model.set_weights(self.start)
        copy(self.pairs)

    def _play(self):
        """Our gradients by player and variable, of `-T` and `T`, and terms."""
        batch = self.images, self.labels
        for_encoder = steps.encoder_step(self.model, *batch)
        for_decoder, terms = steps.decoder_step(self.model, *batch)
        players = zip(
            ("encoder", "decoder"),
            self.model.moved_variables,
            (for_encoder, for_decoder),
        )
        return {
            player: dict(zip(map(id, variables), gradients))
            for player, variables, gradients in players
        }, terms

    def _worst(self, ours, player):
        """Largest difference of a player's gradients."""
        return _largest(
            (weight(ours[player][id(variable)]), parameter.grad)
            for variable, parameter in self.pairs
            if id(variable) in ours[player]
        )

    def _step(self):
        """Largest difference of how weights moved in a whole step."""
        self._restart()
        before = [weight(variable) for variable, _ in self.pairs]
        self.model.train_on_batch(self.images, self.labels)
        self.game.step(*self.for_torch)
        return _largest(
            (weight(variable) - start, parameter.detach() - start)
            for (variable, parameter), start in zip(self.pairs, before)
        )


def _largest(sides):
    """Largest difference of pairs of tensors; NaN if one is."""
    return float(np.max([difference(*side) for side in sides]))


def main():
    torch.set_num_threads(1)  # Small operations; nothing is timed.
    rows = []
    for network, kind in (("csc", "closed_loop"), ("conv", "conv")):
        for objective in ("binary", "multi"):
            match = Match(kind, objective)
            about = {"network": network, "game": objective}
            row = match.row()
            rows.append({**about, "zeros": match.zeros(), **row})
    measuring.report(
        "agreement",
        rows,
        ["network", "game", *QUANTITIES],
        torch=torch.__version__,
        batch=BATCH,
        tolerance=TOLERANCE,
    )
    worst = np.max([[row[name] for name in QUANTITIES] for row in rows])
    print(f"largest relative difference: {worst:.2g}")
    if not worst <= TOLERANCE:
        sys.exit(f"The largest difference is above {TOLERANCE}.")


if __name__ == "__main__":
    command_line.run(main)
