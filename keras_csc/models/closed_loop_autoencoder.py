import functools

import keras
import tensorflow as tf
from keras import ops

from keras_csc.generation.generating import Generating
from keras_csc.generation.generating import density_in
from keras_csc.losses import MomentMemory
from keras_csc.losses import TranscriptionGame
from keras_csc.metrics import PeakSignalToNoiseRatio
from keras_csc.metrics import StructuralSimilarity
from keras_csc.metrics.reconstruction import SSIM_WINDOW
from keras_csc.models import inputs
from keras_csc.models import presets
from keras_csc.models import training_data
from keras_csc.models.optimizers import checked_optimizers
from keras_csc.models.term_means import TermMeans
from keras_csc.models.views import random_views
from keras_csc.ops.precision import at_least_float32_of
from keras_csc.ops.tensorflow import fusion
from keras_csc.replicas import num_replicas
from keras_csc.validation import check_bool
from keras_csc.validation import shown

GRADIENT_NORMS = ("encoder_gradient_norm", "decoder_gradient_norm")


@keras.saving.register_keras_serializable(package="keras_csc")
class ClosedLoopAutoencoder(Generating, keras.Model):
    """Image autoencoder trained by closed-loop transcription (CTRL).

    The encoder `f` and the decoder `g` play a game over the features
    `Z = f(X)` of images and `Ẑ = f(g(Z))` of their regenerations; see
    `TranscriptionGame`. `fit` takes batches of images, or of `(images,
    labels)`, and runs on one device or under a `tf.distribute` strategy: the
    rate reduction is that of the global batch, which need not divide evenly.
    But every replica must be given an image, which the last batch of a data
    set may be too small for: `fit`, `evaluate` and `predict` stop with an
    error that says so.

    `fit` logs the terms of the game, such as `objective`; on one device the
    norms of the players' gradients; and `loss`: the last batch's objective, or
    NaN if one of its terms is not finite, for `TerminateOnNaN`. The loss tells
    nothing else, as one player descends what the other ascends. So
    `EarlyStopping`, `ModelCheckpoint` and `ReduceLROnPlateau` are to follow
    `val_psnr` (or `val_cosine`, or `val_ssim` of images of 11×11 and more)
    with `mode="max"`. Learning-rate callbacks change the rate of `optimizer`,
    which in alternating steps is the encoder's alone.

    A model with `features="map"` has a feature vector at every place of an
    image, and takes images of any height and width of 8 and more; all of a
    batch have the same. Rates and consistency are then over places, and what
    is said of images holds for places. `decode` makes all pixels of all
    places, unless it is told the size of the image.

    Images of another shape, and an empty batch, are a `ValueError` everywhere.
    So are pixels outside of [-1, 1] in `fit`, `evaluate`, `train_on_batch` and
    `test_on_batch`: an array is looked at before the first step, a data set or
    generator batch by batch. Elsewhere images may be noisy, but pixels beyond
    10, as of floats in 0..255, are an error when called eagerly.

    Args:
        encoder: `Encoder`, from images to features on the unit sphere.
        decoder: `Decoder`, from features to images.
        density: `FeatureDensity` of the features, or `None`; `fit_density`
            makes one, which `sample` and `embed` need.

    Call arguments:
        images: tensor `(batch, height, width, channels)`, floats in [-1, 1],
            or uint8 in 0..255, which are scaled to that.
        training: bool.

    Output shape: that of the images; float32 in [-1, 1].

    References:
        Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
        rate reduction, Entropy 2022; Dai et al., Closed-loop transcription
        via convolutional sparse coding, CPAL 2024.

    Example:

    >>> model = keras_csc.models.ClosedLoopAutoencoder.from_preset(
    ...     "digits", load_weights=False)
    >>> model.compile(game=keras_csc.losses.TranscriptionGame())
    >>> model.fit(images, batch_size=256)
    >>> features = model.encode(images)
    """

    def __init__(self, encoder, decoder, density=None, **kwargs):
        super().__init__(**kwargs)
        if encoder.image_shape != decoder.image_shape:
            raise ValueError(
                "`encoder` and `decoder` must have the same `image_shape`. "
                f"Received: {encoder.image_shape} and {decoder.image_shape}"
            )
        for name in ("feature_dim", "features"):
            one, other = getattr(encoder, name), getattr(decoder, name)
            if one != other:
                raise ValueError(
                    f"`encoder` and `decoder` must have the same `{name}`. "
                    f"Received: {one!r} and {other!r}"
                )
        expected = encoder if encoder.sparse else None
        if getattr(decoder, "encoder", None) is not expected:
            raise ValueError(
                "`decoder` must draw with the atoms of `encoder`: make it by "
                "`Decoder(encoder)`."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.density = density
        self.decoder_optimizer = self.memory = None
        self.inner_step = False
        self.term_means = TermMeans(())
        self.psnr = PeakSignalToNoiseRatio(name="psnr")
        self.cosine = keras.metrics.Mean(name="cosine")
        self.ssim = None
        if encoder.features == "map" or self._ssim_fits(encoder.image_shape):
            self.ssim = StructuralSimilarity(name="ssim")

    @property
    def step(self):
        """Number of training steps taken.

        One update each of `optimizer` or, in alternating steps, of
        `decoder_optimizer`: with an inner step the encoder's takes two.
        """
        return int(self._iterations.numpy())

    @property
    def _iterations(self):
        return self.optimizers[-1].iterations

    @property
    def optimizers(self):
        """That of one pass, or the encoder's and the decoder's."""
        both = self.optimizer, self.decoder_optimizer
        return [optimizer for optimizer in both if optimizer is not None]

    def build(self, input_shape=None):
        if not self.encoder.built:
            self.encoder.build((None, *self.encoder.image_shape))
        if not self.decoder.built:
            self.decoder.build((None, *self.decoder.features_shape))
        self.built = True

    def make_weights(self):
        """Builds the model, if it is not, for the images that it accepts."""
        if not self.built:
            self.build((None, *self.encoder.accepted_shape))

    def build_from_config(self, config):
        self.make_weights()

    def call(self, images, training=None):
        return self.reconstruct(images, training=training)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def compute_output_spec(self, images, training=None):
        features = self.encoder.compute_output_spec(images)
        dtype = self.decoder.compute_output_spec(features).dtype
        return keras.KerasTensor(images.shape, dtype)

    def encode(self, images, training=None):
        """Features `z = f(x)`: `(batch, feature_dim)` rows of unit norm.

        Of a model of maps `(batch, map_height, map_width, feature_dim)`, with
        `map_height = ⌈height / 2 ** len(filters)⌉`.
        """
        return self.encoder(self._images(images), training=training)

    def decode(self, features, training=None, image_size=None):
        """Images `g(z)`, `(batch, height, width, channels)` in [-1, 1].

        Args:
            features: tensor, as `encode` makes it.
            training: bool.
            image_size: `(height, width)` to crop images to; by default they
                are whole, of a map `2 ** len(filters)` pixels in each
                direction for every place.

        Raises:
            ValueError: for features of another shape, or that are not finite,
                or an `image_size` that has other features.
        """
        if not (training or isinstance(features, keras.KerasTensor)):
            features = inputs.as_features(features, self.decoder.features_shape)
            features = inputs.finite(features)
        images = self._decode(features, training)
        if image_size is None:
            return images
        return inputs.cropped_to(
            images, image_size, 2 ** len(self.decoder.filters)
        )

    def _decode(self, features, training=None, like=None, moments=None):
        """Images of features; cropped, if told so, to the size of others."""
        images = self.decoder(features, training=training, moments=moments)
        return images if like is None else inputs.cropped(images, like)

    def _images(self, images):
        """Images of the right shape; eagerly, also of the right range."""
        images = inputs.as_images(images, self.encoder.accepted_shape)
        if tf.executing_eagerly() and isinstance(images, tf.Tensor):
            images = inputs.in_range(images, inputs.MOST)
        return images

    def reconstruct(self, images, training=None):
        """Images `g(f(x))`."""
        images = self._images(images)
        return self._decode(
            self.encoder(images, training=training), training, images
        )

    def denoise(self, images, sparsity):
        """Reconstructs images with another sparsity `λ` of the first stage.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].
            sparsity: number, or tensor `(batch,)`, `≥ 0`.

        Raises:
            ValueError: for a sparsity that is negative or not finite, or not
                one number or one for every image.
        """
        images = self._images(images)
        sparsity = inputs.sparsities(sparsity, images)
        features = self.encoder.activations(images, sparsity=sparsity).features
        return self._decode(features, like=images)

    def explain(self, image, *arguments, **named):
        """Tells which atoms make an image, stage by stage.

        Args:
            image: array `(height, width, channels)`, floats in [-1, 1] or
                uint8 in 0..255; of a model of maps of any size.
            *arguments, **named: as of `explanation.explain`.

        Returns:
            `explanation.Explanation`: features, and of every stage the codes,
            the atoms in the order of their energy and their contributions, of
            what was found in the image and of what the decoder draws.

        Example:

        >>> stage = model.explain(images[0]).stages[0]
        >>> strongest = stage.order[:5]
        >>> stage.contribution(strongest[0])
        """
        from keras_csc.explanation import explain

        image = self._images(tf.convert_to_tensor(image)[None])
        return explain(self, image, *arguments, **named)

    @property
    def moved_variables(self):
        """Of each of the `optimizers`, what it moves.

        The decoder's moves its weights and the atoms that it shares.
        """
        if self.decoder_optimizer is None:
            return [self.trainable_variables]
        own = self.decoder.trainable_variables
        return [
            self.encoder.trainable_variables,
            [*own, *self.decoder.shared_atoms],
        ]

    def compile(
        self,
        optimizer="adam",
        decoder_optimizer=None,
        game=None,
        inner_step=False,
        **kwargs,
    ):
        """Configures the game.

        *One pass*, without a `decoder_optimizer`: one pass through the loop
        gives the gradients of both players, and `optimizer` moves all weights;
        atoms that encoder and decoder share by the sum of both. The gradient,
        at the features `z`, of what the decoder descends is carried on into the
        encoder along `x → z`: it also learns features that can be decoded. The
        encoder that measures `x̂` is held fixed for that.

        *Alternating*, as published, with one: a step of the encoder by
        `optimizer`, then, in another pass against the new encoder, one of the
        decoder and the atoms that it shares by `decoder_optimizer`. Each player
        descends its own loss alone.

        Args:
            optimizer: of all weights, or of the encoder's.
            decoder_optimizer: another object, for alternating steps.
            game: `TranscriptionGame`, by default CTRL-Binary as published.
            inner_step: bool, whether before each alternating step the encoder
                alone takes one, by `optimizer`, that ascends `ΔR(Z | y)` of
                the images; with `objective="multi"`.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution`.

        Raises:
            ValueError: for other arguments, such as Keras's `loss` and
                `metrics`, optimizers whose numbers make no sense or that scale
                the loss, on several replicas such that clip or accumulate
                gradients, moving averages or an inner step where there are
                none, or a game of more `class_features` and `view_features`
                than there are features.
        """
        training_data.check_compile_arguments(kwargs)
        check_bool(inner_step=inner_step)
        game = TranscriptionGame() if game is None else game
        if not isinstance(game, TranscriptionGame):
            raise ValueError(
                f"`game` must be a `TranscriptionGame`. Received: {shown(game)}"
            )
        check_game(game, self.encoder)
        if inner_step:
            check_inner_step(game, decoder_optimizer)
        optimizers = checked_optimizers(
            optimizer,
            decoder_optimizer,
            self.distribute_strategy.num_replicas_in_sync,
        )
        self.make_weights()
        super().compile(optimizers[0], auto_scale_loss=False, **kwargs)
        self.decoder_optimizer = optimizers[1]
        for optimizer, variables in zip(self.optimizers, self.moved_variables):
            optimizer.build(variables)
        self.game = game
        self.inner_step = inner_step
        self.memory = None
        if self.game.memory:
            shapes = self.game.moment_shapes(self.encoder.feature_dim)
            dtype = at_least_float32_of(self.encoder.variable_dtype)
            self.memory = MomentMemory(shapes, self.game.memory, dtype)
        # On several replicas they would cost a second sum of the gradients.
        alone = self.distribute_strategy.num_replicas_in_sync == 1
        self.gradient_norms = GRADIENT_NORMS if alone else ()
        self.term_means = TermMeans((*game.term_names, *self.gradient_norms))

    @property
    def classes(self):
        """Number of classes that labels must name; `None` without labels."""
        needed = self.compiled and self.game.needs_labels
        return self.game.num_classes if needed else None

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        if not self.compiled:
            return super().fit(*args, **kwargs)  # It says so.
        with training_data.value_errors():
            arguments = training_data.given(self, "fit", args, kwargs)
            if self.step == 0 and not self.decoder.calibrated:
                first, arguments["x"] = training_data.first(arguments["x"])
                self.decoder.calibrate(first)
            step, density, self.density = self.step, self.density, None
            try:
                history = super().fit(**arguments)
            except BaseException:
                if self.step == step:
                    self.density = density
                raise
            return training_data.some(history)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):
        arguments = training_data.given(self, "train_on_batch", args, kwargs)
        result = super().train_on_batch(**arguments)
        self.density = None
        return result

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, *args, **kwargs):
        arguments = training_data.given(self, "test_on_batch", args, kwargs)
        return super().test_on_batch(**arguments)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        with training_data.value_errors():
            arguments = training_data.given(self, "evaluate", args, kwargs)
            return training_data.some(super().evaluate(**arguments))

    @functools.wraps(keras.Model.predict)
    def predict(self, x, *args, **kwargs):
        with training_data.value_errors():
            x = training_data.inspected(self, x, None, inputs.MOST)
            try:
                return super().predict(x, *args, **kwargs)
            except UnboundLocalError as error:  # Keras's, without a batch.
                raise ValueError(training_data.EMPTY) from error

    @functools.wraps(keras.Model.export)
    def export(self, *args, **kwargs):
        # Keras exports what has been called.
        self(keras.Input(self.encoder.accepted_shape))
        return super().export(*args, **kwargs)

    @property
    def train_metrics(self):
        """The metrics of the current game: its terms and gradient norms."""
        return self.term_means.metrics

    @property
    def metrics(self):
        return [*self.term_means.metrics, *self.test_metrics]

    @property
    def test_metrics(self):
        """The metrics of `evaluate`; SSIM of images of at least its window."""
        ssim = [self.ssim] if self.ssim else []
        return [self.psnr, *ssim, self.cosine]

    @fusion()
    def train_step(self, data):
        images, labels = training_data.step(data, self.encoder.accepted_shape)
        if self.decoder_optimizer is None:
            for_encoder, for_decoder, terms = self._play(images, labels)
            self._step([*for_encoder, *for_decoder])
        else:
            if self.inner_step:
                self._step(self._play_alone(images, labels))
            for_encoder, _, _ = self._play(images, labels, decoder=False)
            self._step(for_encoder)
            _, for_decoder, terms = self._play(images, labels, encoder=False)
            self._step(for_decoder, -1)
        if self.gradient_norms:
            players = for_encoder, for_decoder
            norms = map(tf.linalg.global_norm, players)
            terms.update(zip(self.gradient_norms, norms))
        for metric in self.train_metrics:
            metric.update_state(terms[metric.name])
        logs = {m.name: m.result() for m in self.train_metrics}
        return {**logs, "loss": _finite_or_not(terms)}

    def _step(self, gradients, number=0):
        """Takes a step of one of the `optimizers`."""
        optimizer, variables = (
            self.optimizers[number],
            self.moved_variables[number],
        )
        optimizer.apply(gradients, variables)
        if not variables:  # all frozen, which Keras does not count
            optimizer.variables[0].assign_add(1)
        self.encoder.update_operator_norms()

    def _play_alone(self, images, labels):
        """The encoder's gradients of an inner step."""
        variables = self.encoder.trainable_variables
        with tf.GradientTape() as tape:
            features = self.encoder(images, training=True)
            reduction = self.game.rate_reduction(features, labels)
            loss = -reduction / num_replicas()
        return _gradients(tape, loss, variables)

    def _play(self, images, labels, encoder=True, decoder=True):
        """One pass through the loop, for one player or both.

        Returns:
            `(encoder_gradients, decoder_gradients, terms)`: this replica's
            part of the gradients of what each player descends, `None` of one
            that does not move, and the scalars of the game. The features enter
            the decoder and the game, and the regenerated images the encoder, as
            constants: each player's gradient leaves the other one out, and none
            flows back through more than it needs, which sums over replicas
            would forbid TensorFlow to prune.
        """
        game, variables = self.game, self.encoder.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            real = self.encoder.run_stages(images, training=True)
            moments = real.moments if game.shared_statistics else None
            features = tf.stop_gradient(real.features)
            tape.watch(features)
            regenerated = self._decode(
                features, True, like=images, moments=real.moments
            )
            seen = tf.stop_gradient(regenerated)
            tape.watch(seen)
            again = self.encoder.run_stages(seen, True, moments)
            residuals = views = remember = None
            if game.dictionary:
                residuals = self.encoder.residuals(real)
            if game.view_features:
                views = self.encoder.run_stages(
                    random_views(images, self._iterations), True, moments
                ).features
            if self.memory:
                remember = functools.partial(self.memory, training=decoder)
            encoder_loss, decoder_loss, terms = game.losses(
                real._replace(features=features),
                again,
                labels,
                remember,
                residuals,
                views,
            )
        self.encoder.update_statistics(real.moments)
        if encoder:
            *measuring, at_features = _gradients(
                tape, encoder_loss, [*variables, features]
            )
        if decoder:
            atoms = self.decoder.shared_atoms
            (at_images,) = _gradients(tape, decoder_loss, [seen])
            for_decoder, of_atoms, through_decoder = tape.gradient(
                regenerated,
                (self.decoder.trainable_variables, atoms, features),
                at_images,
            )
        if not encoder:
            return None, [*for_decoder, *of_atoms], terms
        if decoder:
            at_features += through_decoder
            drawing = dict(zip(map(id, atoms), of_atoms))
            measuring = [
                gradient + drawing.get(id(variable), 0.0)
                for variable, gradient in zip(variables, measuring)
            ]
        encoding = tape.gradient(real.features, variables, at_features)
        for_encoder = [a + b for a, b in zip(measuring, encoding)]
        return for_encoder, for_decoder if decoder else None, terms

    def test_step(self, data):
        images, _ = training_data.step(data, self.encoder.accepted_shape)
        features = self.encoder.run_stages(images).features
        reconstructions = self._decode(features, like=images)
        again = self.encoder.run_stages(reconstructions).features
        measured = [self.psnr, self.cosine]
        self.psnr.update_state(images, reconstructions)
        self.cosine.update_state(ops.sum(features * again, -1))
        if self.ssim and self._ssim_fits(images.shape[1:]):
            self.ssim.update_state(images, reconstructions)
            measured.append(self.ssim)
        return {m.name: m.result() for m in measured}

    def _ssim_fits(self, shape):
        """Whether SSIM's window fits; unknown sizes are the encoder's."""
        sizes = zip(shape[:2], self.encoder.image_shape[:2])
        return all((n or own) >= SSIM_WINDOW for n, own in sizes)

    def freeze_normalizations(self):
        """Keeps the statistics of all normalisations, in training, too.

        With their scales and offsets, as Keras's `trainable = False` of a
        batch normalisation does; to be called before `compile`. It is for
        fine-tuning: statistics of other images change the scale of all codes,
        and both players have to learn it anew; those of few images or small
        batches are noise.
        """
        for player in (self.encoder, self.decoder):
            for normalization in player.normalizations:
                normalization.trainable = False

    def save_own_variables(self, store):
        """Saves the density, and the memory of the game.

        Layers and optimizers save theirs.
        """
        if self.density is not None:
            self.density.save_own_variables(store)
        if self.memory is not None:
            self.memory.save_own_variables(store)

    def load_own_variables(self, store):
        """Loads the density, or removes it if there is none; and the memory."""
        self.density = density_in(store, self.density)
        if self.memory is not None:
            self.memory.load_own_variables(store)

    def get_config(self):
        """What the model is made of; a density is part of its weights."""
        return {
            "name": self.name,
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": linked(
                keras.saving.serialize_keras_object(self.decoder), None
            ),
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if "encoder" not in config:  # `config.json` of a preset
            return presets.from_config(cls, config)
        for part in ("encoder", "decoder", "density", "dtype"):
            if part == "decoder":
                config[part] = linked(config[part], config["encoder"])
            if part in config:
                config[part] = keras.saving.deserialize_keras_object(
                    config[part]
                )
        return cls(**config)

    def get_compile_config(self):
        if not self.compiled:
            return None
        config = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in ("optimizer", "decoder_optimizer", "game")
        }
        return {
            **config,
            "inner_step": self.inner_step,
            "jit_compile": self.jit_compile,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config):
        self.compile(
            **{
                name: keras.saving.deserialize_keras_object(value)
                for name, value in config.items()
            }
        )

    @classmethod
    def from_preset(cls, preset, load_weights=True, **overrides):
        """Makes an autoencoder from a preset.

        Nothing that a folder or a hub holds is run as code. Files must have
        the sizes that the architecture says, and the SHA-256 that
        `metadata.json` says.

        Args:
            preset: name of a trained model, `"csc_ctrl_digits"`, or of an
                architecture, `"digits"`; see
                `keras_csc.models.presets.names()`; a folder that
                `save_to_preset` wrote; or the URI of one on a hub,
                `"hf://OWNER/NAME[@REVISION]"` or
                `"kaggle://OWNER/MODEL/keras/VARIANT[/VERSION]"`.
            load_weights: bool, whether to load the weights. An architecture
                has none to load.
            **overrides: arguments of the preset to replace: `image_shape`,
                `network` (`"csc"` or `"conv"`), `filters`, `feature_dim`,
                `sparsity`, `iterations`, ... The density of the
                features is loaded only if all are the preset's own.

        Raises:
            ValueError: for an unknown preset or argument, or a folder that
                is not complete, is damaged or holds something else.
            OSError: if a hub can't be reached, has no such model, or refuses.
            ImportError: of a hub, without `pip install 'keras-csc[hub]'`.
        """
        return presets.load(cls, preset, load_weights, **overrides)

    def save_to_preset(self, folder, half=False):
        """Writes a folder for `from_preset`, laid out as those of KerasHub.

        It appears complete or not at all: `config.json`, the architecture;
        `model.weights.h5`; and `metadata.json` with the versions, the date,
        the number of weights and the SHA-256 of the other two.

        Args:
            folder: path of a folder that does not exist yet.
            half: bool, whether dictionaries, and the means and factors of
                the density, are written in float16, of which
                some 11 bits a number are left, for a file half as large.

        Raises:
            ValueError: if it exists, or numbers are beyond float16, or for a
                model that is not made of the entries of `config.json`: with
                classes of your own, a decoder of another architecture than
                the encoder, or layers that were changed.
            OSError: if it can't be written.
        """
        presets.save(self, folder, half)


def linked(config, encoder):
    """A serialised decoder with this encoder, if it draws with one's atoms."""
    if "encoder" not in config["config"]:
        return config
    return {**config, "config": {**config["config"], "encoder": encoder}}


def check_game(game, encoder):
    """Checks that an encoder has what a game is played for.

    Args:
        game: `TranscriptionGame`.
        encoder: `StagedEncoder`.

    Raises:
        ValueError: if it has not.
    """
    parts = game.class_features, game.view_features
    if sum(parts) > encoder.feature_dim:
        raise ValueError(
            "`class_features` and `view_features` of the game must be at "
            f"most `feature_dim`, {encoder.feature_dim}, in all. "
            f"Received: {parts[0]} and {parts[1]}"
        )
    if game.view_features and encoder.features == "map":
        raise ValueError(
            "`view_features` of the game must be 0 for features='map', "
            f"whose places differ in a view. Received: {parts[1]}"
        )
    if game.dictionary and not encoder.sparse:
        raise ValueError(
            "`dictionary` of the game must be 0 for an encoder without sparse "
            f"codes. Received: {game.dictionary}"
        )


def check_inner_step(game, decoder_optimizer):
    """Checks that a game has the inner step of alternating steps.

    Raises:
        ValueError: if it has not.
    """
    if decoder_optimizer is None or game.objective != "multi":
        raise ValueError(
            "`inner_step` is of alternating steps, with a `decoder_optimizer`, "
            "in a game of objective='multi'. Received: decoder_optimizer="
            f"{decoder_optimizer}, objective={game.objective!r}"
        )


def _gradients(tape, loss, sources):
    """Gradients of a loss, a list; 0 of what it does not depend on."""
    return [
        tf.zeros_like(source) if gradient is None else gradient
        for source, gradient in zip(sources, tape.gradient(loss, sources))
    ]


def _finite_or_not(terms):
    """The objective if all terms are finite, NaN if not."""
    terms = {name: ops.cast(term, "float32") for name, term in terms.items()}
    return terms["objective"] + 0.0 * sum(terms.values())
