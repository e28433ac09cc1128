"""Our objective and gradients of a step against PyTorch's, in float64.

    pip install torch
    python benchmarks/agreement.py

The published games, CTRL-Binary and CTRL-Multi, of sparse coding networks with
non-negative codes, each played by our code and by `peer_torch.Game`, which
shares no line with it, from the same weights. What is compared:

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

try:
    import torch

    from benchmarks import peer_torch
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


def players(objective):
    """Both games, `(model, game)`, in alternating steps of gradient descent."""
    options = train_options.parse(
        [*PUBLISHED_LAYERS, f"--game=objective={objective}"]
    )
    keras.utils.set_random_seed(0)
    model = building.model(options, CLASSES)
    optimizers = [keras.optimizers.SGD(RATE) for _ in range(2)]
    model.compile(*optimizers, model.game, jit_compile=False)
    config = presets.config(options.preset, **options.architecture)
    names = "image_shape", "filters", "feature_dim", "sparsity"
    encoder = peer_torch.Encoder(*(config[name] for name in names)).double()
    game = peer_torch.Game(
        encoder,
        peer_torch.Decoder(encoder).double(),
        lambda weights: torch.optim.SGD(weights, lr=RATE),
        getattr(peer_torch, objective),
    )
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
    encoder, peer = model.encoder, game.encoder
    gains = model.decoder.trainable_variables
    partners = list(zip(gains, game.decoder.parameters()))
    layers = encoder.head, *encoder.coding_layers
    for ours, theirs in zip(layers, (peer.head, *peer.coding)):
        partners.append((ours.kernel, theirs.weight))
    for ours, theirs in zip(encoder.normalizations, peer.normalizations):
        partners.append((ours.gamma, theirs.weight))
        partners.append((ours.beta, theirs.bias))
    all_of_peer = [*peer.parameters(), *game.decoder.parameters()]
    expected = model.trainable_variables, all_of_peer
    for side, weights in zip(zip(*partners), expected):
        if set(map(id, side)) != set(map(id, weights)):
            raise ValueError("A weight has no partner in the other framework.")
    return partners


def for_torch(value):
    """A copy of our variable, gradient or images, as PyTorch has it."""
    value = torch.from_numpy(np.array(keras.ops.convert_to_numpy(value)))
    return value.permute(3, 2, 0, 1) if value.ndim == 4 else value


def difference(ours, theirs):
    """Norm of the difference, relative to the norm of PyTorch's."""
    ours, theirs = (np.asarray(side, "float64") for side in (ours, theirs))
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


class Match:
    """Both games from the same weights.

    Args:
        objective: `"binary"` or `"multi"`.
    """

    def __init__(self, objective):
        self.model, self.game = players(objective)
        spread(self.model)
        self.pairs = pairs(self.model, self.game)
        images, labels = self.batch = batch()
        self.model.decoder.calibrate(images)
        self.start = self.model.get_weights()
        images = torch.from_numpy(images.numpy()).permute(0, 3, 1, 2)
        labels = torch.from_numpy(labels.numpy()).long()
        self.batch_of_peer = images.contiguous(), labels

    def row(self):
        """The differences of one step."""
        self._restart()
        ours, terms = self._play()
        self.game.decoder_step(*self.batch_of_peer)
        row = {"old_decoder_gradient": self._worst(ours[1])}
        self._restart()
        theirs = self.game.encoder_step(*self.batch_of_peer)
        row["objective"] = difference(terms["objective"], theirs)
        row["encoder_gradient"] = self._worst(ours[0])
        variables = self.model.encoder.trainable_variables
        self.model.optimizer.apply(
            [ours[0][id(variable)] for variable in variables], variables
        )
        ours, terms = self._play()
        theirs = self.game.decoder_step(*self.batch_of_peer)
        row["new_objective"] = difference(terms["objective"], theirs)
        row["decoder_gradient"] = self._worst(ours[1])
        return {**row, "step": self._step()}

    def zeros(self):
        """Share of zeros in the codes of every stage."""
        output = self.model.encoder.activations(self.batch[0], training=True)
        return [float(np.mean(codes.numpy() == 0)) for codes in output.codes]

    def _restart(self):
        self.model.set_weights(self.start)
        for ours, theirs in self.pairs:
            theirs.data.copy_(for_torch(ours))

    def _play(self):
        """Gradients of encoder and decoder by variable, and terms."""
        of_encoder = steps.encoder_step(self.model, *self.batch)
        of_decoder, terms = steps.decoder_step(self.model, *self.batch)
        return [
            dict(zip(map(id, variables), gradients))
            for variables, gradients in zip(
                self.model.moved_variables, (of_encoder, of_decoder)
            )
        ], terms

    def _worst(self, gradients):
        """Largest difference of a player's gradients."""
        return _largest(
            (for_torch(gradients[id(variable)]), parameter.grad)
            for variable, parameter in self.pairs
            if id(variable) in gradients
        )

    def _step(self):
        """Largest difference of how weights moved in a whole step."""
        self._restart()
        before = [for_torch(variable) for variable, _ in self.pairs]
        self.model.train_on_batch(*self.batch)
        self.game.step(*self.batch_of_peer)
        return _largest(
            (for_torch(variable) - start, parameter.detach() - start)
            for (variable, parameter), start in zip(self.pairs, before)
        )


def _largest(sides):
    """Largest difference of pairs of tensors; NaN if one is."""
    return float(np.max([difference(*side) for side in sides]))


def main():
    torch.set_num_threads(1)  # Small operations; nothing is timed.
    rows = []
    for objective in ("binary", "multi"):
        match = Match(objective)
        row = match.row()
        rows.append({"game": objective, "zeros": match.zeros(), **row})
    measuring.report(
        "agreement",
        rows,
        ["game", *QUANTITIES],
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
