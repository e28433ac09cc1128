"""A DCGAN, which samples are compared with, in plain Keras.

Radford et al., Unsupervised representation learning with deep convolutional
generative adversarial networks, ICLR 2016. Images are in [-1, 1]. The widths
are a preset's: stages of stride 2 with `filters` channels, from the image
upwards.
"""

import keras
import tensorflow as tf
from keras import layers
from keras import ops


def _normal(mean=0.0):
    return keras.initializers.RandomNormal(mean, 0.02)


def _normalization():
    return layers.BatchNormalization(
        momentum=0.9, gamma_initializer=_normal(1.0)
    )


def _size(image_shape, filters):
    """Height and width after the last stage."""
    return tuple(n // 2 ** len(filters) for n in image_shape[:2])


def generator(image_shape, filters, noise_dim, kernel_size):
    """From noise `(batch, noise_dim)` to images.

    Transposed convolutions, to the size after the last stage and then of
    stride 2, each with batch normalisation and ReLU; the last has `tanh`.
    """
    stack = [keras.Input((noise_dim,)), layers.Reshape((1, 1, noise_dim))]
    for number, width in enumerate((*filters[::-1], image_shape[-1])):
        if number:
            stack += [_normalization(), layers.ReLU()]
        stack.append(
            layers.Conv2DTranspose(
                width,
                kernel_size if number else _size(image_shape, filters),
                strides=2 if number else 1,
                padding="same" if number else "valid",
                use_bias=False,
                kernel_initializer=_normal(),
            )
        )
    last = layers.Activation("tanh", dtype="float32")
    return keras.Sequential([*stack, last], name="generator")


def discriminator(image_shape, filters, kernel_size):
    """From images to logits `(batch, 1)`.

    Convolutions of stride 2, each with batch normalisation, but for the first,
    and a leaky ReLU of slope 0.2; a convolution of what is left.
    """
    stack = [keras.Input(image_shape)]
    for number, width in enumerate(filters):
        stack.append(
            layers.Conv2D(
                width,
                kernel_size,
                strides=2,
                padding="same",
                use_bias=False,
                kernel_initializer=_normal(),
            )
        )
        if number:
            stack.append(_normalization())
        stack.append(layers.LeakyReLU(0.2))
    size = _size(image_shape, filters)
    head = layers.Conv2D(1, size, kernel_initializer=_normal())
    return keras.Sequential(
        [*stack, head, layers.Flatten(dtype="float32")], name="discriminator"
    )


class DCGAN(keras.Model):
    """Deep convolutional generative adversarial network.

    The discriminator descends `mean [-log σ(D(x))] + mean [-log (1 -
    σ(D(G(z))))]`, and then the generator `mean [-log σ(D(G(z)))]` of the same
    noise `z ~ N(0, I)`. Adam with rate 2e-4 and `β₁ = 0.5`, as published.
    Compile it without arguments.

    Args:
        image_shape: `(height, width, channels)`, divisible by
            `2 ** len(filters)`.
        filters: ints, channels of the stages.
        noise_dim: int, numbers of `z`.
        kernel_size: int, of the stages.
    """

    def __init__(self, image_shape, filters, noise_dim, kernel_size=4):
        super().__init__()
        self.noise_dim = noise_dim
        self.generator = generator(image_shape, filters, noise_dim, kernel_size)
        self.discriminator = discriminator(image_shape, filters, kernel_size)
        self.seeds = keras.random.SeedGenerator()
        self.built = True

    def compile(self):
        super().compile(optimizer=None, jit_compile=False)
        self.optimizers = [
            keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)
        ]
        for optimizer, player in zip(
            self.optimizers, (self.generator, self.discriminator)
        ):
            optimizer.build(player.trainable_variables)

    def train_step(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        shape = ops.shape(images)[0], self.noise_dim
        noise = keras.random.normal(shape, seed=self.seeds)
        with tf.GradientTape() as tape:
            generated = self.generator(noise, training=True)
            with tape.stop_recording():
                self._descend_discriminator(images, generated)
            logits = self.discriminator(generated, training=True)
            loss = ops.mean(ops.softplus(-logits))
        self._descend(0, tape, loss, self.generator)
        return {"generator_loss": loss}

    def _descend_discriminator(self, images, generated):
        with tf.GradientTape() as tape:
            real, other = (
                self.discriminator(each, training=True)
                for each in (images, generated)
            )
            loss = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(other))
        self._descend(1, tape, loss, self.discriminator)

    def _descend(self, number, tape, loss, player):
        variables = player.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizers[number].apply(gradients, variables)

    def decode(self, noise):
        """Images `G(z)` in [-1, 1] of noise `(batch, noise_dim)`."""
        return self.generator(noise, training=False)
