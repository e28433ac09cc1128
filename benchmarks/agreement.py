"""Our objective and gradients of a step against PyTorch's, in float64.

    pip install torch
    python benchmarks/agreement.py

The published games, CTRL-Binary and CTRL-Multi, of sparse coding networks with
non-negative codes and of DCGAN's, each played by our code and by
`peer_torch.Game`, which shares no line with it, from the same weights and step
sizes. What is compared:

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

from keras_csc_cli import command_line
from keras_csc_cli import train_options

import numpy as np
import tensorflow as tf

from benchmarks import measuring

try:
    import torch

    from benchmarks import pairs
except ImportError:
    command_line.fail("PyTorch is missing. Run: pip install torch")

TOLERANCE = 1e-9
BATCH = 48
PUBLISHED_LAYERS = [
    "--dataset=cifar10",
    "--preset=cifar10",
    "--architecture=filters=16,32,64,feature_dim=64,sparsity=0.1",
    "--architecture=iterations=2,nonnegative=true,tight_frame=false",
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
    """Images, and labels of which one is rare and one is absent."""
    shape = (BATCH, 32, 32, 3)
    images = tf.random.stateless_normal(shape, (0, 1), dtype="float64")
    labels = np.arange(BATCH, dtype="int32") % (pairs.CLASSES - 2)
    labels[0] = pairs.CLASSES - 1
    return tf.tanh(images), tf.constant(labels)


class Match:
    """Both games from the same weights.

    Args:
        network: `"csc"` or `"conv"`.
        objective: `"binary"` or `"multi"`.
    """

    def __init__(self, network, objective):
        options = train_options.parse(
            [
                *PUBLISHED_LAYERS,
                f"--architecture=network={network}",
                f"--game=objective={objective}",
            ]
        )
        self.model, self.game = pairs.players(options)
        pairs.spread(self.model)
        self.pairs = pairs.pairs(self.model, self.game)
        self.images, self.labels = batch()
        if network == "csc":
            self.model.decoder.calibrate(self.images)
            pairs.share_step_sizes(self.model, self.game)
        else:
            # TensorFlow's operation holds its slope in float32.
            self.game.encoder.slope = float(np.float32(0.2))
        self.start = self.model.get_weights()
        self.for_torch = (
            pairs.images(self.images),
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
        row["objective"] = pairs.difference(terms["objective"], theirs)
        row["encoder_gradient"] = self._worst(ours, "encoder")
        variables = self.model.encoder.trainable_variables
        self.model.optimizer.apply(
            [ours["encoder"][id(v)] for v in variables], variables
        )
        ours, terms = self._play()
        theirs = self.game.decoder_step(*self.for_torch)
        row["new_objective"] = pairs.difference(terms["objective"], theirs)
        row["decoder_gradient"] = self._worst(ours, "decoder")
        row["step"] = self._step()
        return row

    def zeros(self):
        """Share of zeros in the codes of every stage."""
        codes = self.model.encoder.activations(self.images, training=True).codes
        return [float(np.mean(code.numpy() == 0)) for code in codes]

    def _restart(self):
        self.model.set_weights(self.start)
        pairs.copy(self.pairs)

    def _play(self):
        """Our gradients by player and variable, of `-T` and `T`, and terms."""
        batch = self.images, self.labels
        for_encoder, _, _ = self.model._play(*batch, decoder=False)
        _, for_decoder, terms = self.model._play(*batch, encoder=False)
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
            (pairs.weight(ours[player][id(variable)]), parameter.grad)
            for variable, parameter in self.pairs
            if id(variable) in ours[player]
        )

    def _step(self):
        """Largest difference of how weights moved in a whole step."""
        self._restart()
        before = [pairs.weight(variable) for variable, _ in self.pairs]
        self.model.train_on_batch(self.images, self.labels)
        self.game.step(*self.for_torch)
        return _largest(
            (pairs.weight(variable) - start, parameter.detach() - start)
            for (variable, parameter), start in zip(self.pairs, before)
        )


def _largest(sides):
    """Largest difference of pairs of tensors; NaN if one is."""
    return float(np.max([pairs.difference(*side) for side in sides]))


def main():
    torch.set_num_threads(1)  # Small operations; nothing is timed.
    rows = []
    for network in ("csc", "conv"):
        for objective in ("binary", "multi"):
            match = Match(network, objective)
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
