import types

import keras
import tensorflow as tf

from keras_csc.generation import generating
from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.models import inputs
from keras_csc.models import presets
from keras_csc.models import tiles
from keras_csc.models import training
from keras_csc.presets import PresetModel
from keras_csc.validation import check_float32
from keras_csc.validation import check_integer
from keras_csc.validation import shown


@keras.saving.register_keras_serializable(package="keras_csc")
class ClosedLoopAutoencoder(PresetModel):
    """Image autoencoder trained by closed-loop transcription (CTRL).

    The encoder `f` and the decoder `g` play a game over the features
    `Z = f(X)` of images and `Ẑ = f(g(Z))` of their regenerations:
    `losses.TranscriptionGame`.

    `fit` takes batches of images, or of `(images, labels)`. If weights are new,
    it first calls `initialize_from`. `decoder.calibrate(images)` before that
    keeps atoms of your own. `fit` runs on one device or under a `tf.distribute`
    strategy. The rate reduction is of the global batch, which need not divide
    evenly. But every replica must be given an image, or `fit`, `evaluate` and
    `predict` stop with an error that says so.

    `fit` logs the terms of the game, such as `objective`. It also logs `loss`,
    for `TerminateOnNaN`: the last batch's objective, or NaN if one of its terms
    is not finite. The loss tells nothing else, as one player descends what the
    other ascends. So let `EarlyStopping`, `ModelCheckpoint` and
    `ReduceLROnPlateau` follow `val_psnr` or `val_cosine` with `mode="max"`.
    Learning-rate callbacks change the rate of `optimizer`: in alternating steps
    it is the encoder's alone.

    A model with `features="map"` has a feature vector at every place of an
    image. It takes images of any height and width of 8 and more; all images of
    a batch have one size. Rates and consistency are then over places, not over
    images. `decode` makes all pixels of all places, unless it is told the size
    of the image.

    Images of another shape, and an empty batch, are a `ValueError` everywhere.
    In `fit`, `evaluate`, `train_on_batch` and `test_on_batch` pixels outside of
    [-1, 1] are one, too: of an array before the first step, otherwise when a
    batch comes (of a `PyDataset` with processes, the first). Elsewhere images
    may be noisy; but in an eager call pixels beyond 10 are an error, and eight
    images or more in [0, 1] a warning.

    Args:
        encoder: `Encoder`, from images to features on the unit sphere.
        decoder: `Decoder`, from features to images.
        density: `FeatureDensity` of the features, or `None`.

    Attributes:
        density: `fit_density` makes it, and `sample` and `embed` need it.
            `save_to_preset` and `save` keep it. What changes the features
            removes it: `fit`, `train_on_batch`, `initialize_from` and a
            checkpoint that is restored. `from_preset` leaves it out if its
            entries are not the preset's. Fit the density again after you set
            weights.
        atom_names: dict of str by `(stage, atom)`; see `name_atom`.

    Call arguments:
        images: tensor `(batch, height, width, channels)`, floats in [-1, 1],
            or uint8 in 0..255, which are scaled to that.
        training: bool.

    Output shape: that of the images; float32 in [-1, 1].

    References:
        - Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
          rate reduction, Entropy 2022.
        - Dai et al., Closed-loop transcription via convolutional sparse coding,
          CPAL 2024.

    Example:

    >>> model = keras_csc.models.ClosedLoopAutoencoder.from_preset(
    ...     "digits", load_weights=False)
    >>> model.compile()
    >>> model.fit(images, batch_size=64, epochs=10)
    >>> features = model.encode(images)
    >>> regenerated = model.decode(features)
    """

    # Its training, from the choice of a game to a step.
    compile = training.compile
    get_compile_config = training.get_compile_config
    compile_from_config = training.compile_from_config
    train_step = training.train_step
    test_step = training.test_step
    fit = training.fit
    train_on_batch = training.train_on_batch
    test_on_batch = training.test_on_batch
    evaluate = training.evaluate
    predict = training.predict
    # The density of its features, and samples from it.
    fit_density = generating.fit_density
    sample = generating.sample
    interpolate = generating.interpolate
    embed = generating.embed
    from_preset = classmethod(presets.load)
    preset_config = presets.preset_config
    without_training = presets.without_training

    def __init__(self, encoder, decoder, density=None, **kwargs):
        super().__init__(**kwargs)
        if decoder.encoder is not encoder:
            raise ValueError(
                "`decoder` must be made of `encoder`: `Decoder(encoder)`. "
                "Received: one of another encoder"
            )
        self.encoder = encoder
        self.decoder = decoder
        self.density = density
        self.atom_names = {}
        self.decoder_optimizer = self.moment_memory = None
        self.psnr = keras.metrics.MeanMetricWrapper(
            peak_signal_to_noise_ratio, name="psnr"
        )
        self.cosine = keras.metrics.Mean(name="cosine")
        # Keras would track a list, and a model that is built can get no more
        # state; but its game is known only when it is compiled.
        self._train_metrics = types.SimpleNamespace(means=[])

    def build(self, input_shape=None):
        if not self.encoder.built:
            self.encoder.build((None, *self.encoder.image_shape))
        if not self.decoder.built:
            self.decoder.build((None, *self.decoder.features_shape))
        self.built = True

    def _maybe_symbolic_build(self, **kwargs):
        """Nothing: weights are there already.

        Under a strategy Keras would build the model from a first batch, which
        would have to divide evenly.
        """

    def make_weights(self):
        """Builds the model, if it is not, for the images that it accepts."""
        if not self.built:
            self.build((None, *self.encoder.accepted_shape))

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

        A model of maps returns `(batch, map_height, map_width, feature_dim)`,
        with `map_height = ⌈height / encoder.stride⌉`.
        """
        return self.encoder(self.checked_images(images), training=training)

    def decode(self, features, training=None, image_size=None):
        """Images `g(z)`, `(batch, height, width, channels)` in [-1, 1].

        Args:
            features: tensor, as `encode` makes it.
            training: bool.
            image_size: `(height, width)` to crop images to. By default they
                are whole: every place of a map has `encoder.stride` pixels in
                each direction.

        Raises:
            ValueError: for features of another shape or that are not finite,
                or an `image_size` that has other features.
        """
        if not (training or isinstance(features, keras.KerasTensor)):
            features = inputs.as_features(features, self.decoder.features_shape)
            features = inputs.finite(features)
        images = self.decoder(features, training=training)
        if image_size is None:
            return images
        return tiles.cropped_to(images, image_size, self.decoder.stride)

    def checked_images(self, images):
        """Float images of the right shape; eagerly, also of the right range."""
        return inputs.checked_images(images, self.encoder.accepted_shape)

    def reconstruct(self, images, training=None):
        """Images `g(f(x))`."""
        images = self.checked_images(images)
        features = self.encoder(images, training=training)
        return tiles.cropped(self.decoder(features, training=training), images)

    def denoise(self, images, sparsity):
        """Reconstructs images with another sparsity `λ` of the first stage.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].
            sparsity: number, or tensor `(batch,)`, `≥ 0`.

        Raises:
            ValueError: for a sparsity that is negative or not finite, or not
                one number or one for every image.
        """
        images = self.checked_images(images)
        sparsity = inputs.sparsities(sparsity, images)
        features = self.encoder.activations(images, sparsity=sparsity).features
        return tiles.cropped(self.decoder(features), images)

    def explain(self, image, sparsity=None):
        """Tells which atoms make an image; see `explanation.explain`.

        Args:
            image: array `(height, width, channels)`, floats in [-1, 1] or
                uint8 in 0..255; for a model of maps of any size.
            sparsity: float, `λ` of the first stage instead of its own.
        """
        from keras_csc.explanation import explain

        image = self.checked_images(tf.convert_to_tensor(image)[None])
        return explain(self, image, sparsity)

    def name_atom(self, stage, atom, name):
        """Names an atom, for `explain` and the pages of the model.

        Names are saved with the model, in a preset in its `config.json`.

        Args:
            stage: int, 1 of the stage next to the image.
            atom: int, its number in the dictionary, from 0 on.
            name: str; an empty one removes the name.

        Raises:
            ValueError: if there is no such atom, or for a name that is no text.

        Example:

        >>> model.name_atom(2, 17, "a sleeve")
        >>> model.explain(images[0]).stages[1].label(17)
        'atom 17, a sleeve'
        """
        filters = self.encoder.filters
        check_integer(1, len(filters), stage=stage)
        check_integer(0, filters[stage - 1] - 1, atom=atom)
        if not isinstance(name, str):
            raise ValueError(f"`name` must be a text. Received: {shown(name)}")
        self.atom_names[int(stage), int(atom)] = name
        if not name:
            del self.atom_names[stage, atom]

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Exports `reconstruct`, as in Keras; see `keras.Model.export`.

        Raises:
            ValueError: for ONNX, LiteRT or OpenVINO, if the model does not
                compute in float32.
        """
        if format != "tf_saved_model":
            check_float32(self.encoder.compute_dtype)
        # Keras exports what has been called.
        self(keras.Input(self.encoder.accepted_shape))
        return super().export(str(filepath), format, **kwargs)

    def freeze_normalizations(self):
        """Keeps the statistics of all normalisations, in training, too.

        Their scales and offsets stay, too, as with `trainable = False` in
        Keras. Call it before `compile`. It is for fine-tuning: statistics of
        other images would change the scale of all codes, and both players would
        have to learn it anew. Statistics of few images or small batches are
        noise.
        """
        for normalization in self.encoder.normalizations:
            normalization.trainable = False

    @property
    def step(self):
        """Number of training steps taken.

        A step updates `optimizer` once. In alternating steps it updates
        `decoder_optimizer` once; with an inner step the encoder's takes two.
        """
        return int(self.optimizers[-1].iterations.numpy())

    @property
    def optimizers(self):
        """The optimizer of one pass, or the encoder's and the decoder's."""
        both = self.optimizer, self.decoder_optimizer
        return [optimizer for optimizer in both if optimizer is not None]

    @property
    def moved_variables(self):
        """The variables that each of the `optimizers` moves.

        The decoder's optimizer moves its weights and the atoms that it shares.
        """
        if self.decoder_optimizer is None:
            return [self.trainable_variables]
        drawing = self.decoder.trainable_variables + [
            *self.decoder.shared_atoms
        ]
        return [self.encoder.trainable_variables, drawing]

    @property
    def train_metrics(self):
        """The metrics of the current game, its terms."""
        return self._train_metrics.means

    @property
    def metrics(self):
        return [*self.train_metrics, self.psnr, self.cosine]

    def get_metrics_result(self):
        """What `evaluate` returns: of all images, whatever replicas had."""
        return {m.name: m.result() for m in (self.psnr, self.cosine)}

    def save_own_variables(self, store):
        """Saves the density, and the memory of the game."""
        if self.density is not None:
            self.density.save_own_variables(store)
        if self.moment_memory is not None:
            self.moment_memory.save_own_variables(store)

    def load_own_variables(self, store):
        """Loads the density, or removes it if there is none; and the memory."""
        self.density = generating.density_in(store)
        if self.moment_memory is not None:
            self.moment_memory.load_own_variables(store)

    def get_config(self):
        """What the model is made of; a density is part of its weights."""
        decoder = keras.saving.serialize_keras_object(self.decoder)
        named = sorted(self.atom_names.items())
        return {
            "name": self.name,
            "encoder": decoder["config"].pop("encoder"),
            "decoder": decoder,
            "atom_names": [[*place, name] for place, name in named],
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config):
        load = keras.saving.deserialize_keras_object
        encoder, decoder = load(config["encoder"]), config["decoder"]
        inner = {**decoder["config"], "encoder": encoder}
        decoder = load({**decoder, "config": inner})
        policy = load(config["dtype"])
        model = cls(encoder, decoder, name=config["name"], dtype=policy)
        for entry in config["atom_names"]:
            model.name_atom(*entry)
        return model
