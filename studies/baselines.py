"""The contenders that are not of `keras_csc.models`.

`MAKERS` make `ClosedLoopAutoencoder`s with another loss or encoder, so that
`training/train.py` trains, logs, checkpoints and resumes them. `GENERATORS` are
plain Keras.
"""

import contextlib
import functools

from keras_csc_cli import building
from keras_csc_cli import devices

import keras
import tensorflow as tf
from keras import ops

from keras_csc.files import new_folder
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from keras_csc.ops.tensors import at_least_float32
from keras_csc.presets.folder import WEIGHTS_FILE
from studies import conv_networks
from studies import dcgan
from studies import diffusion


class WithoutPreset:
    """A model whose networks no preset has: its weights alone are saved."""

    def save_to_preset(self, folder, half=False):
        with new_folder(folder) as temporary:
            self.save_weights(temporary / WEIGHTS_FILE)


class ConvAutoencoder(WithoutPreset, ClosedLoopAutoencoder):
    """The closed loop of the convolutional networks."""


def convolutional(
    preset,
    load_weights=False,
    dtype=None,
    encoder_class=conv_networks.ConvEncoder,
    model_class=ConvAutoencoder,
    **overrides,
):
    """A model of convolutional networks of a preset's widths, to be trained."""
    config = presets.config(preset, **overrides)
    names = "image_shape", "filters", "feature_dim", "kernel_size", "strides"
    widths = {name: config[name] for name in (*names, "features")}
    encoder = encoder_class(**widths, dtype=dtype)
    decoder = conv_networks.ConvDecoder(encoder, dtype=dtype)
    model = model_class(encoder, decoder, dtype=dtype)
    model.build()
    return model


class GaussianEncoder(conv_networks.ConvEncoder):
    """The convolutional encoder of a VAE: its features are means.

    They are not scaled to the unit sphere. The head is twice as wide: it also
    gives the logarithms of the variances.
    """

    def _head(self, outputs):
        return super()._head(2 * outputs)

    def _features(self, signal):
        return ops.reshape(
            at_least_float32(self.head(signal)), (-1, 2 * self.feature_dim)
        )

    def run_stages(self, signal, training=None, *args, **kwargs):
        mean, _, output = self.distribution(signal, training)
        return output._replace(features=mean)

    def distribution(self, images, training=None):
        """Returns means, log-variances and the stages' `EncoderOutput`."""
        output = super().run_stages(images, training)
        mean, log_variance = ops.split(output.features, 2, axis=-1)
        return mean, log_variance, output


class VariationalAutoencoder(WithoutPreset, ClosedLoopAutoencoder):
    """VAE with a Gaussian likelihood of the best variance, that of the batch.

    Encoder and decoder descend one loss together: no game.
    `½ D log mean (x - x̂)² + KL(q(z|x) ‖ N(0, I))` per image of `D` numbers,
    which leaves no weight to tune.

    Reference:
        Rybkin et al., Simple and effective VAE training with calibrated
        decoders, ICML 2021.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_metric = keras.metrics.Mean(name="objective")

    @property
    def train_metrics(self):
        return [self.loss_metric]

    def train_step(self, data):
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.loss_of(images)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.loss_metric.update_state(loss)
        return {"objective": self.loss_metric.result()}

    def loss_of(self, images):
        mean, log_variance, output = self.encoder.distribution(images, True)
        step = ops.convert_to_tensor(self.optimizer.iterations)
        seed = tf.stack([0, tf.cast(step, tf.int32)])
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        features = mean + ops.exp(0.5 * log_variance) * noise
        reconstructions = self.decode(features, training=True)
        self.encoder.update_statistics(output)
        error = ops.mean(ops.square(images - reconstructions))
        numbers = images.shape[1] * images.shape[2] * images.shape[3]
        divergence = 0.5 * ops.sum(
            ops.square(mean) + ops.exp(log_variance) - 1 - log_variance, -1
        )
        return 0.5 * numbers * ops.log(error) + ops.mean(divergence)


MAKERS = {
    "closed_loop": ClosedLoopAutoencoder.from_preset,
    "conv": convolutional,
    "vae": functools.partial(
        convolutional,
        encoder_class=GaussianEncoder,
        model_class=VariationalAutoencoder,
    ),
}


def model(options, num_classes, kind):
    """`building.model` of a kind.

    The options' principal components are of sparse coding, and those of
    convolutions are made here: the options then have random atoms.
    """
    made = building.model(options, num_classes, MAKERS[kind])
    if kind == "conv" and options.first_atoms.startswith("principal"):
        count = int(options.first_atoms.split(":")[1])
        source = building.Splits(options)["train"]
        images = building.float_images(source, count)
        conv_networks.initialize_from(made, images)
        options.first_atoms = "random"
    return made


@contextlib.contextmanager
def _types(options):
    """Layers that are made here have the types of a run."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(devices.dtype_policy(options.dtype_policy))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def gan(options, num_classes):
    """A `DCGAN` of a run's widths, compiled."""
    config = presets.config(options.preset, **options.architecture)
    names = "image_shape", "filters", "feature_dim", "kernel_size"
    with _types(options):
        model = dcgan.DCGAN(*(config[name] for name in names))
    model.compile()
    return model


def denoiser(options, num_classes):
    """A denoiser of a run's widths, compiled."""
    config = presets.config(options.preset, **options.architecture)
    with _types(options):
        model = diffusion.denoiser(
            config["image_shape"],
            config["filters"],
            num_classes,
            config["kernel_size"],
        )
    diffusion.compile_denoiser(model, options.steps)
    return model


GENERATORS = {"dcgan": gan, "diffusion": denoiser}
