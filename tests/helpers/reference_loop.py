"""The closed loop once more, in NumPy and float64, from a model's weights."""

import keras
import numpy as np
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from tests.helpers import references

CLASSES = 3


def plain_game(**terms):
    """The game of `T` of one batch, and no other term than these."""
    plain = dict.fromkeys(("residual", "multistage", "memory"), 0.0)
    return TranscriptionGame(**{"num_classes": CLASSES, **plain, **terms})


def small_autoencoder(**overrides):
    """Two stages on 8×8 images: every code path, few numbers."""
    return ClosedLoopAutoencoder.from_preset(
        "digits",
        load_weights=False,
        **{
            "image_shape": (8, 8, 1),
            "filters": (3, 4),
            "feature_dim": 5,
            "kernel_size": 3,
            "strides": 2,
            "sparsity": 0.05,
            "iterations": 2,
            "lapped": False,
            "rectified": False,
            **overrides,
        },
    )


def small_batch(seed=0, n=8, dtype="float32"):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, size=(n, 8, 8, 1)).astype(dtype)
    return images, np.arange(n, dtype="int32") % CLASSES


def spread_weights(model):
    """Draws weights that make every term and gradient of order one.

    The decoder is calibrated: what it draws would have no codes otherwise, and
    none of its gains a gradient.
    """
    rng = np.random.default_rng(0)
    for network in (model.encoder, model.decoder):
        for variable in network.trainable_variables:
            if variable.name.endswith(("gamma", "gain")):
                value = rng.uniform(0.5, 1.5, variable.shape)
            elif len(variable.shape) == 1:
                value = rng.uniform(-0.5, 0.5, variable.shape)
            else:
                value = rng.normal(size=variable.shape)
                value /= np.sqrt(np.sum(value**2, axis=(0, 1, 2)))
            variable.assign(value)
    model.encoder.update_operator_norms()
    images = rng.uniform(-1, 1, (8, *model.encoder.image_shape))
    model.decoder.calibrate(images.astype("float32"))


def spread_autoencoder(**overrides):
    """`small_autoencoder` whose weights are spread."""
    model = small_autoencoder(**overrides)
    spread_weights(model)
    return model


def weights_of(network):
    """Trainable weights by variable path, in float64."""
    return {
        variable.path: variable.numpy().astype("float64")
        for variable in network.trainable_variables
    }


class ReferenceLoop:
    """Encoder and decoder as functions of their weights.

    Args:
        model: `ClosedLoopAutoencoder`, whose architecture and weights are
            taken as they are.
    """

    def __init__(self, model):
        self.model = model
        self.encoder_weights = weights_of(model.encoder)
        self.decoder_weights = weights_of(model.decoder)

    def encode(self, images, weights=None, moments=None):
        """Features; of the stages the codes, their moments and the inputs."""
        weights = self.encoder_weights if weights is None else weights
        encoder = self.model.encoder
        codes, used, inputs = [], [], []
        signal = images
        for number, (layer, normalization) in enumerate(
            zip(encoder.coding_layers, encoder.normalizations)
        ):
            inputs.append(signal)
            strides = encoder.stage_strides[number]
            signal = self._code(layer, signal, weights, strides)
            codes.append(signal)
            if encoder.parts_per_code[number] == 2:
                signal = np.concatenate(
                    [np.maximum(signal, 0), np.maximum(-signal, 0)], axis=-1
                )
            statistics = (signal.mean((0, 1, 2)), signal.var((0, 1, 2)))
            if moments is not None:
                statistics = moments[number]
            used.append(statistics)
            signal = normalize(signal, normalization, weights, *statistics)
        kernel = weights[encoder.head.kernel.path]
        features = references.analyze(signal, kernel, 1, "valid")
        if encoder.features == "vector":
            features = features.reshape(len(images), -1)
        norms = np.linalg.norm(features, axis=-1, keepdims=True)
        return features / norms, codes, used, inputs

    def _code(self, layer, signal, weights, strides):
        kernel = weights[layer.kernel.path]
        encoder = self.model.encoder
        bound = self._bound(layer, weights)
        return bound * references.solve_sparse_code(
            signal,
            kernel,
            layer.sparsity,
            1 / bound,
            encoder.nonnegative,
            strides,
            "same",
            encoder.iterations,
        )

    def _bound(self, layer, weights):
        """`L`: of the weights, or of a tight frame as it is stored."""
        if self.model.encoder.tight_frame:
            return layer.operator_norm.numpy()
        return references.frame_bound(weights[layer.kernel.path], layer.strides)

    def decode(self, features, weights=None, atoms=None, moments=None):
        """Images by gains, by these atoms and moments of the encoder.

        Stage by stage `A (g s (x - β) / γ + m) / L`, from the head down.
        """
        gains = self.decoder_weights if weights is None else weights
        atoms = self.encoder_weights if atoms is None else atoms
        encoder, decoder = self.model.encoder, self.model.decoder
        signal = features
        if decoder.encoder.features == "vector":
            signal = features[:, None, None, :]
        kernel = atoms[encoder.head.kernel.path]
        size = 2 * (signal.shape[1] + kernel.shape[0] - 1,)
        signal = references.synthesize(
            gains[decoder.feature_gain.path] * signal, kernel, size, 1, "valid"
        )
        for number in reversed(range(len(encoder.filters))):
            layer = encoder.normalizations[number]
            strides = encoder.stage_strides[number]
            mean, variance = moments[number]
            if layer.isotropic:
                variance = np.mean(variance)
            if layer.center:
                signal = signal - self.encoder_weights[layer.beta.path]
            if layer.scale:
                signal = signal / self.encoder_weights[layer.gamma.path]
            gain = gains[decoder.stage_gains[-1 - number].path]
            deviation = np.sqrt(variance + layer.epsilon)
            signal = gain * deviation * signal + mean
            if decoder.rectified:
                signal = np.maximum(signal, 0)
            if encoder.parts_per_code[number] == 2:
                half = signal.shape[-1] // 2
                signal = signal[..., :half] - signal[..., half:]
            layer = encoder.coding_layers[number]
            signal = references.synthesize(
                signal / self._bound(layer, atoms),
                atoms[layer.kernel.path],
                2 * (strides * signal.shape[1],),
                strides,
                "same",
            )
        signal = gains[decoder.image_gain.path] * signal
        if decoder.output_limit == "tanh":
            return np.tanh(signal)
        return np.clip(signal, -1, 1)

    def encoder_loss(self, weights, images, labels, game, one_pass=True):
        """What the encoder descends, with `x̂` and all it measures constant.

        One pass adds the decoder's loss along `x → z → x̂` and the atoms that
        are shared, measured by the encoder as it is.
        """
        real, codes, moments, inputs = self.encode(images)
        seen = self.decode(real, moments=moments)
        features = self.encode(images, weights)[0]
        shared = moments if game.shared_statistics else None
        again = self.encode(seen, weights, shared)[0]
        loss = game.consistency * consistency(features, again)
        loss -= objective(features, again, labels, game)
        if game.residual:
            loss += game.residual * self._residual(weights, inputs, codes)
        if one_pass:
            regenerated = self.decode(features, atoms=weights, moments=moments)
            loss += self._decoder_loss(
                regenerated, (real, codes, moments), labels, game
            )
        return loss

    def _residual(self, weights, inputs, codes):
        """`E`, of inputs and codes of the stages that are constant."""
        error, encoder = 0.0, self.model.encoder
        for number, layer in enumerate(encoder.coding_layers):
            made = references.synthesize(
                codes[number] / self._bound(layer, weights),
                weights[layer.kernel.path],
                inputs[number].shape[1:3],
                encoder.stage_strides[number],
                "same",
            )
            square = np.mean((inputs[number] - made) ** 2)
            error += square / (50 if number else 1)
        return error

    def decoder_loss(self, weights, images, labels, game):
        """What the decoder descends, with `z` and the encoder constant.

        Args:
            weights: of the decoder, with the atoms that it shares if they move.
        """
        *real, _ = self.encode(images)
        atoms = {**self.encoder_weights, **weights}
        regenerated = self.decode(real[0], weights, atoms, real[2])
        return self._decoder_loss(regenerated, real, labels, game)

    def _decoder_loss(self, regenerated, real, labels, game):
        features, codes, moments = real
        shared = moments if game.shared_statistics else None
        again, codes_again, *_ = self.encode(regenerated, moments=shared)
        loss = objective(features, again, labels, game)
        loss += game.consistency * consistency(features, again)
        return loss + game.multistage * references.multistage(
            codes, codes_again
        )


def normalize(signal, layer, weights, mean, variance):
    if layer.isotropic:
        variance = np.mean(variance)
    normal = (signal - mean) / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        normal = normal * weights[layer.gamma.path]
    return normal + weights[layer.beta.path] if layer.center else normal


def objective(features, again, labels, game):
    features, again = (z.reshape(-1, z.shape[-1]) for z in (features, again))
    used = None
    if game.objective == "multi":
        used = np.repeat(labels, len(features) // len(labels))
    return references.transcription_objective(
        features, again, used, game.epsilon
    )


def consistency(features, again):
    return np.mean(np.sum((features - again) ** 2, axis=-1))


def clone(model):
    """Another model of the same architecture and weights."""
    copy = ClosedLoopAutoencoder.from_preset(
        "digits",
        load_weights=False,
        dtype=model.encoder.dtype_policy.name,
        **presets.model_config(model),
    )
    copy.set_weights(model.get_weights())
    return copy


class Recorder(keras.optimizers.SGD):
    """Keeps the gradients that it is given, and moves nothing."""

    def __init__(self):
        super().__init__()
        self.given = []

    def apply(self, grads, trainable_variables=None):
        self.given.append(tuple(np.asarray(gradient) for gradient in grads))


def gradients_of(model, game, images, labels=None, alternating=False):
    """What a step gives the optimizers, of the encoder and of the decoder.

    Args:
        alternating: bool, whether both players have an optimizer. The decoder's
            moves shared atoms then.
    """
    recorders = Recorder(), Recorder() if alternating else None
    model.compile(*recorders, game)
    model.train_step((images,) if labels is None else (images, labels))
    if alternating:
        return [recorder.given[-1] for recorder in recorders]
    (given,) = recorders[0].given
    count = len(model.encoder.trainable_variables)
    return given[:count], given[count:]


def all_weights(model):
    return [
        *(v.numpy() for v in model.encoder.variables),
        *(v.numpy() for v in model.decoder.variables),
    ]


def relative_difference(weights, others):
    """Largest difference of two lists of arrays, relative to its array."""
    assert len(weights) == len(others)
    return max(
        np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-3)
        for a, b in zip(weights, others)
    )


def sgd():
    return keras.optimizers.SGD(0.05, momentum=0.5)


def shards(strategy, array, at=None):
    """Parts of a batch, one a replica, equal or divided at these indices."""
    parts = np.split(array, at or strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )
