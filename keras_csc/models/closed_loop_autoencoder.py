import contextlib
import functools

import keras
import tensorflow as tf
from keras import ops

from keras_csc import explanation
from keras_csc.losses import MomentMemory
from keras_csc.losses import TranscriptionGame
from keras_csc.metrics import PeakSignalToNoiseRatio
from keras_csc.metrics import StructuralSimilarity
from keras_csc.metrics.reconstruction import SSIM_WINDOW
from keras_csc.models import inputs
from keras_csc.models import presets
from keras_csc.models import training_data
from keras_csc.models.averages import take_averages
from keras_csc.models.averages import with_averages
from keras_csc.models.generating import Generating
from keras_csc.models.generating import density_in
from keras_csc.models.optimizers import PlayerOptimizers
from keras_csc.models.optimizers import apply
from keras_csc.models.optimizers import check_on_replicas
from keras_csc.models.optimizers import optimizers_of
from keras_csc.models.term_means import TermMeans
from keras_csc.models.views import random_views
from keras_csc.ops.precision import at_least_float32_of
from keras_csc.ops.tensorflow import fusion
from keras_csc.replicas import replica_sum
from keras_csc.validation import check_at_least
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
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

    `fit` logs the terms of the game, such as `objective`, the norms of the
    players' gradients, and `loss`: the last batch's objective, or NaN if one
    of its terms is not finite, for `TerminateOnNaN`. It tells nothing else,
    as what one player descends the other one ascends: `EarlyStopping`,
    `ModelCheckpoint` and `ReduceLROnPlateau` are to follow `val_psnr` (or
    `val_ssim`, of images of 11×11 and more, or `val_cosine`) with
    `mode="max"`. Learning-rate callbacks change the rates of both players.

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
        if getattr(decoder, "encoder", encoder) is not encoder:
            raise ValueError(
                "`decoder` must draw with the atoms of `encoder`: make it by "
                "`Decoder(encoder)`."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.density = density
        self.memory = None
        self._update_statistics = None
        self.term_means = TermMeans(())
        self.psnr = PeakSignalToNoiseRatio(name="psnr")
        self.cosine = keras.metrics.Mean(name="cosine")
        self.ssim = None
        if encoder.features == "map" or self._ssim_fits(encoder.image_shape):
            self.ssim = StructuralSimilarity(name="ssim")

    @property
    def step(self):
        """Number of training steps taken: one update of the decoder each."""
        return int(self.decoder_optimizer.iterations.numpy())

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

    def explain(
        self,
        image,
        train_features=None,
        train_labels=None,
        neighbors=5,
        centered=True,
        sparsity=None,
    ):
        """Tells which atoms make an image, stage by stage.

        Args:
            image: array `(height, width, channels)`, floats in [-1, 1] or
                uint8 in 0..255; of a model of maps of any size.
            train_features: array, features of training images as `encode`
                makes them, of which to name the nearest.
            train_labels: ints `(n,)`, the classes of `train_features`, -1 for
                unlabelled, of which to name the nearest subspace.
            neighbors: int, how many neighbours to name.
            centered: bool, whether neighbours are those of centred features.
            sparsity: float, `λ` of the first stage instead of its own.

        Returns:
            `explanation.Explanation`: features, and of every stage the codes,
            the atoms in the order of their energy and their contributions, of
            what was found in the image and of what the decoder draws.

        Raises:
            ValueError: for anything but one image of the right shape, an
                encoder without sparse codes, or training features, labels or
                a sparsity that make no sense.

        Example:

        >>> stage = model.explain(images[0]).stages[0]
        >>> strongest = stage.order[:5]
        >>> stage.contribution(strongest[0])
        """
        image = tf.convert_to_tensor(image)
        if image.shape.rank != 3:
            raise ValueError(
                "`image` must be one image (height, width, channels). "
                f"Received: {tuple(image.shape)}"
            )
        if sparsity is not None:
            check_at_least(0, sparsity=sparsity)
        return explanation.explain(
            self.encoder,
            self._images(image[None]),
            train_features,
            train_labels,
            neighbors,
            centered,
            sparsity,
            self.decoder,
        )

    @property
    def decoder_variables(self):
        """What the decoder's optimizer moves: its weights and shared atoms.

        In one pass the encoder's moves the atoms, by the gradients of both.
        """
        own = self.decoder.trainable_variables
        if self.update == "simultaneous":
            return own
        return [*own, *self.decoder.shared_atoms]

    def compile(
        self,
        encoder_optimizer="adam",
        decoder_optimizer="adam",
        game=None,
        update="simultaneous",
        encoder_steps=1,
        gradient_norms=True,
        **kwargs,
    ):
        """Configures the game.

        Args:
            encoder_optimizer: optimizer of the encoder.
            decoder_optimizer: another object, of the decoder. With `use_ema`
                `fit` ends with the moving averages as weights, as Keras's
                does, for which `estimate_statistics` finds statistics.
            game: `TranscriptionGame`, by default CTRL-Binary as published.
            update: `"simultaneous"`: one pass through the loop gives the
                gradients of both players; or `"alternating"`, the published
                order: `encoder_steps` steps of the encoder on the batch, then
                one of the decoder against the new encoder.
            encoder_steps: int, for alternating updates.
            gradient_norms: bool, whether the norms of the gradients are
                metrics. Under a strategy they cost a second sum of the
                gradients over the replicas.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution`.

        Raises:
            ValueError: for other arguments, such as Keras's `optimizer`, `loss`
                and `metrics`, optimizers whose numbers make no sense or that
                scale the loss, on several replicas such that clip or
                accumulate gradients, or a game of more `class_features` and
                `view_features` than there are features.
        """
        check_choice(("simultaneous", "alternating"), update=update)
        check_integer(1, encoder_steps=encoder_steps)
        training_data.check_compile_arguments(kwargs)
        if encoder_steps > 1 and update == "simultaneous":
            raise ValueError(
                "`encoder_steps` must be 1 with update='simultaneous'. "
                f"Received: {encoder_steps}"
            )
        game = TranscriptionGame() if game is None else game
        if not isinstance(game, TranscriptionGame):
            raise ValueError(
                f"`game` must be a `TranscriptionGame`. Received: {shown(game)}"
            )
        check_game(game, self.encoder)
        self.make_weights()
        optimizers = optimizers_of(encoder_optimizer, decoder_optimizer)
        replicas = self.distribute_strategy.num_replicas_in_sync
        check_on_replicas(optimizers, replicas)
        self.encoder_optimizer, self.decoder_optimizer = optimizers
        self.encoder_optimizer.build(self.encoder.trainable_variables)
        self.update = update
        self.decoder_optimizer.build(self.decoder_variables)
        super().compile(optimizer=None, loss=None, **kwargs)
        self.optimizer = PlayerOptimizers(
            self.encoder_optimizer, self.decoder_optimizer
        )
        self.game = game
        self.memory = self._update_statistics = None
        if self.game.memory:
            shapes = self.game.moment_shapes(self.encoder.feature_dim)
            dtype = at_least_float32_of(self.encoder.variable_dtype)
            self.memory = MomentMemory(shapes, self.game.memory, dtype)
        self.encoder_steps = encoder_steps
        self.gradient_norms = gradient_norms
        norms = GRADIENT_NORMS if gradient_norms else ()
        self.term_means = TermMeans((*game.term_names, *norms))

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
            arguments["callbacks"] = with_averages(
                self, arguments.get("callbacks")
            )
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
        if self.update == "simultaneous":
            for_encoder, for_decoder, terms = self._play(images, labels, True)
            apply(
                self.encoder_optimizer,
                for_encoder,
                self.encoder.trainable_variables,
            )
        else:
            for _ in range(self.encoder_steps):
                for_encoder, _, _ = self._play(images, labels)
                apply(
                    self.encoder_optimizer,
                    for_encoder,
                    self.encoder.trainable_variables,
                )
                self.encoder.update_operator_norms()
            _, for_decoder, terms = self._play(images, labels, True)
        apply(self.decoder_optimizer, for_decoder, self.decoder_variables)
        self.encoder.update_operator_norms()
        if self.gradient_norms:
            terms["encoder_gradient_norm"] = _global_norm(for_encoder)
            terms["decoder_gradient_norm"] = _global_norm(for_decoder)
        for metric in self.train_metrics:
            metric.update_state(terms[metric.name])
        logs = {m.name: m.result() for m in self.train_metrics}
        return {**logs, "loss": _finite_or_not(terms)}

    def _play(self, images, labels, remember=False):
        """One pass through the loop, which the memory keeps if told so.

        Returns:
            `(encoder_gradients, decoder_gradients, terms)`: this replica's
            part of the gradients of what each player descends, and the
            scalars of the game. The features enter the decoder and the game,
            and the regenerated images the encoder, as constants: each
            player's gradient leaves the other one out, and none flows back
            through more than it needs, which sums over replicas would forbid
            TensorFlow to prune. Atoms that both players draw with have a
            gradient along each player's path; in one pass the encoder's is the
            sum of both.
        """
        game = self.game
        with tf.GradientTape(persistent=True) as tape:
            real = self.encoder.run_stages(images, training=True)
            features = tf.stop_gradient(real.features)
            tape.watch(features)
            regenerated = self._decode(
                features, True, like=images, moments=real.moments
            )
            seen = tf.stop_gradient(regenerated)
            tape.watch(seen)
            again = self.encoder.run_stages(
                seen,
                training=True,
                moments=real.moments if game.shared_statistics else None,
            )
            residuals = None
            if game.dictionary or game.upper_dictionary:
                residuals = self.encoder.residuals(real)
            views = None
            if game.view_features:
                views = self.encoder.run_stages(
                    random_views(images, self.decoder_optimizer.iterations),
                    training=True,
                    moments=real.moments if game.shared_statistics else None,
                ).features
            encoder_loss, decoder_loss, terms = game.losses(
                real._replace(features=features),
                again,
                labels,
                self.memory
                and functools.partial(self.memory, training=remember),
                residuals,
                views,
            )
        self.encoder.update_statistics(real.moments)
        variables = self.encoder.trainable_variables
        if game.opposition is None:
            (seen_gradient,) = _gradients(tape, decoder_loss, [seen])
            *measuring, at_features = _gradients(
                tape, encoder_loss, [*variables, features]
            )
        else:
            seen_gradient, *gradients = tape.gradient(
                decoder_loss, (seen, variables, features)
            )
            measuring, at_features = tf.nest.map_structure(
                lambda gradient: game.opposition * gradient, gradients
            )
        atoms = self.decoder.shared_atoms
        drawing, through_atoms, through_decoder = tape.gradient(
            regenerated,
            (self.decoder.trainable_variables, atoms, features),
            seen_gradient,
        )
        if game.cooperation:
            at_features += through_decoder
        encoding = tape.gradient(real.features, variables, at_features)
        encoder_gradients = [a + b for a, b in zip(measuring, encoding)]
        if self.update == "alternating":
            return encoder_gradients, [*drawing, *through_atoms], terms
        shared = dict(zip(map(id, atoms), through_atoms))
        encoder_gradients = [
            gradient + shared.get(id(variable), 0.0)
            for variable, gradient in zip(variables, encoder_gradients)
        ]
        return encoder_gradients, drawing, terms

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

    def estimate_statistics(self, batches):
        """Moves the statistics of the normalisations to those of batches.

        It removes the density: other statistics make other features.

        Args:
            batches: iterable of images `(batch, height, width, channels)`;
                dozens of them, for the moving averages to forget.
        """
        self.density = None
        if self._update_statistics is None:
            self._update_statistics = _statistics_updater(self)
        players = self.encoder, self.decoder
        live = tuple(n.trainable for p in players for n in p.normalizations)
        for images in batches:
            self._update_statistics(images, live)

    @contextlib.contextmanager
    def averaged_weights(self):
        """Within the context, weights are their exponential moving averages.

        Those that the optimizers keep (`use_ema=True`); without it, nothing
        changes. The moving statistics of the normalisations are those of the
        live weights, which averages over many steps need not suit: estimate
        them again with `estimate_statistics`. Averages have no density, until
        one is fitted. After the context all is what it was.
        """
        live = [(variable, variable.numpy()) for variable in self.weights]
        density = self.density
        take_averages(self)
        try:
            yield self
        finally:
            for variable, value in live:
                variable.assign(value)
            self.density = density

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
            for name in ("encoder_optimizer", "decoder_optimizer", "game")
        }
        return {
            **config,
            "update": self.update,
            "encoder_steps": self.encoder_steps,
            "gradient_norms": self.gradient_norms,
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
                `sparsity`, `iterations`, `tied`, ... The density of the
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
    errors = game.dictionary, game.upper_dictionary
    if any(errors) and not encoder.sparse:
        raise ValueError(
            "`dictionary` and `upper_dictionary` of the game must be 0 for an "
            f"encoder without sparse codes. Received: {errors[0]}, {errors[1]}"
        )


def _statistics_updater(model):
    """Function of a batch that moves a model's statistics to those of it.

    It is traced anew where other normalisations are trainable. As it is no
    `tf.function` itself, none that saves the model takes it for a part of it.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def update(images, live):
        features = model.encoder(images, training=True)
        model._decode(features, training=True)

    return lambda images, live: update(images, live)


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


def _global_norm(gradients):
    """Norm of the gradients summed over the replicas, as they are applied."""
    return tf.linalg.global_norm(replica_sum(gradients))
