"""The gradients of a training step.

`f` is the encoder and `g` the decoder. A pass is `x → z → x̂ → ẑ`. Each player
descends its own loss: the encoder's weights move it through `z = f(x)` and
through `ẑ = f(x̂)`, the decoder's through `x̂ = g(z)`. A pass stops gradients at
`z` and `x̂`. `one_pass` then carries the decoder's on through `z`. The codes and
inputs of `real` are no constants: a term of these reaches the encoder directly.
"""

import tensorflow as tf

from keras_csc.losses import Loop
from keras_csc.models import tiles


def one_pass(model, images, labels):
    """Gradients of all weights, the encoder's first, and the terms.

    The decoder's loss reaches the encoder's weights, too: it has a gradient at
    `z`. Atoms that both share have the sum of their gradients.
    """
    loop = Pass(model, images, labels)
    of_gains, of_atoms, at_z = loop.of_decoder()
    drawing = dict(zip(map(id, loop.atoms), of_atoms))
    of_weights = [
        gradient + drawing.get(id(weight), 0.0)
        for weight, gradient in zip(loop.weights, loop.of_encoder(at_z))
    ]
    return [*of_weights, *of_gains], loop.terms


def encoder_step(model, images, labels):
    """Gradients of the encoder's weights."""
    return Pass(model, images, labels, last=False).of_encoder()


def decoder_step(model, images, labels):
    """Gradients of the gains and of the atoms that draw, and the terms."""
    loop = Pass(model, images, labels)
    of_gains, of_atoms, _ = loop.of_decoder()
    return [*of_gains, *of_atoms], loop.terms


def inner_step(model, images, labels):
    """Gradients of the encoder's weights, of the game's `inner_loss`."""
    encoder = model.encoder
    with tf.GradientTape() as tape:
        real = encoder.run_stages(images, training=True)
        loss = model.game.inner_loss(Loop(real, labels=labels))
    return _gradients(tape, loss, encoder.trainable_variables)


class Pass:
    """One pass through the loop, recorded, and what the players descend in it.

    Args:
        model: compiled `ClosedLoopAutoencoder`.
        images: tensor `x` `(batch, height, width, channels)`.
        labels: int tensor `(batch,)`, or `None`.
        last: bool, whether it is the step's last pass: statistics of the
            images and the memory of the game move then.

    Attributes:
        terms: dict of the game's scalars.
    """

    def __init__(self, model, images, labels, last=True):
        encoder, game = model.encoder, model.game
        self.weights = encoder.trainable_variables
        self.gains = model.decoder.trainable_variables
        self.atoms = model.decoder.shared_atoms
        with tf.GradientTape(persistent=True) as self.tape:
            self.real = encoder.run_stages(images, training=True)
            self.z = self._constant(self.real.features)
            # The decoder undoes what normalised these images: the batch's
            # statistics, from which the moving averages differ.
            statistics = self.real.statistics
            drawn = model.decoder(self.z, training=True, statistics=statistics)
            self.drawn = tiles.cropped(drawn, images)
            self.x_hat = self._constant(self.drawn)
            shared = statistics if game.shared_statistics else None
            regenerated = encoder.run_stages(self.x_hat, True, shared)
            self.encoder_loss, self.decoder_loss, self.terms = game.losses(
                Loop(
                    self.real._replace(features=self.z),
                    regenerated,
                    labels,
                    encoder,
                    model.moment_memory,
                    last,
                )
            )
        if last:
            encoder.update_statistics(self.real)

    def _constant(self, tensor):
        constant = tf.stop_gradient(tensor)
        self.tape.watch(constant)
        return constant

    def of_encoder(self, at_z=0.0):
        """Gradients of the encoder's weights; `at_z` adds to that at `z`."""
        *of_weights, of_z = _gradients(
            self.tape, self.encoder_loss, [*self.weights, self.z]
        )
        through_z = self.tape.gradient(
            self.real.features, self.weights, of_z + at_z
        )
        return [a + b for a, b in zip(of_weights, through_z)]

    def of_decoder(self):
        """Gradients of the gains, of the atoms that draw, and of `z`."""
        (at_x_hat,) = _gradients(self.tape, self.decoder_loss, [self.x_hat])
        sources = self.gains, self.atoms, self.z
        return self.tape.gradient(self.drawn, sources, at_x_hat)


def _gradients(tape, loss, sources):
    """Gradients of a loss, a list; 0 where it does not depend on a source."""
    return [
        tf.zeros_like(source) if gradient is None else gradient
        for source, gradient in zip(sources, tape.gradient(loss, sources))
    ]
