"""The game of closed-loop transcription in a training loop of your own.

    python examples/custom_loop.py

`fit` does all this, and more. Here it is in the open: the encoder `f` makes the
rate distance between features `Z = f(X)` and `Ẑ = f(g(Z))` large, the decoder
`g` makes it small (CTRL-Binary; Dai et al., Entropy 2022, eq. 12).
"""

import keras
import tensorflow as tf

import keras_csc
from keras_csc.ops import rate_distance
from keras_csc.pixels import from_pixels


def main(steps=200, batch_size=256):
    """Trains for some steps; returns the distances."""
    keras.utils.set_random_seed(0)
    source = keras_csc.data.open_dataset("digits", "train", (16, 16, 1))
    images = from_pixels(keras_csc.data.load_arrays(source)[0])
    model = keras_csc.models.ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, feature_dim=32
    )
    keras_csc.models.initialize_from(model, images)
    encoder, decoder = model.encoder, model.decoder
    for_encoder = keras.optimizers.Adam(5e-4, beta_1=0.5)
    for_decoder = keras.optimizers.Adam(4e-3, beta_1=0.5)

    @tf.function(autograph=False)
    def step(batch):
        # The encoder's turn: what is regenerated is a constant.
        regenerated = decoder(encoder(batch))
        with tf.GradientTape() as tape:
            features = encoder(batch, training=True)
            again = encoder(regenerated, training=True)
            value = -rate_distance(features, again)
        variables = encoder.trainable_variables
        for_encoder.apply(tape.gradient(value, variables), variables)
        encoder.update_operator_norms()

        # The decoder's turn, on its gains and on the atoms that it shares,
        # along what it draws: the encoder that measures is held fixed.
        features = encoder(batch)
        with tf.GradientTape() as drawing:
            regenerated = decoder(features, training=True)
        with tf.GradientTape() as measuring:
            measuring.watch(regenerated)
            value = rate_distance(features, encoder(regenerated))
        seen = measuring.gradient(value, regenerated)
        variables = [*decoder.trainable_variables, *decoder.shared_atoms]
        gradients = drawing.gradient(regenerated, variables, seen)
        for_decoder.apply(gradients, variables)
        encoder.update_operator_norms()
        return value

    batches = tf.data.Dataset.from_tensor_slices(images).repeat()
    batches = batches.shuffle(len(images), seed=0).batch(batch_size)
    distances = []
    for number, batch in enumerate(batches.take(steps), start=1):
        distances.append(float(step(batch)))
        if number % 20 == 0:
            print(f"step {number}: rate distance {distances[-1]:.3f} nats")
    return distances


if __name__ == "__main__":
    main()
