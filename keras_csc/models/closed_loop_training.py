import functools

import keras
from keras import ops

from keras_csc.losses import Game
from keras_csc.losses import MomentMemory
from keras_csc.losses import TranscriptionGame
from keras_csc.losses.game import finite_loss
from keras_csc.models import inputs
from keras_csc.models import steps
from keras_csc.models import training_data
from keras_csc.ops.tensors import at_least_float32_of
from keras_csc.optimizers import DictionaryMuon
from keras_csc.validation import shown

# Arguments of `compile`, which files keep.
COMPILED = (
    "optimizer",
    "decoder_optimizer",
    "game",
    "jit_compile",
    "run_eagerly",
    "steps_per_execution",
)


class ClosedLoopTraining:
    """How encoder and decoder train and are evaluated, as methods of a model.

    For a `keras.Model` with an `encoder`, a `decoder` and a `density`.
    """

    @property
    def step(self):
        """Number of training steps taken.

        A step updates `optimizer` once. In alternating steps it updates
        `decoder_optimizer` once; with an inner step the encoder's takes two.
        """
        return int(self._iterations.numpy())

    @property
    def _iterations(self):
        return self.optimizers[-1].iterations

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
        own = self.decoder.trainable_variables
        return [
            self.encoder.trainable_variables,
            [*own, *self.decoder.shared_atoms],
        ]

    def compile(
        self,
        optimizer=None,
        decoder_optimizer=None,
        game=None,
        jit_compile=False,
        run_eagerly=False,
        steps_per_execution=1,
        **others,
    ):
        """Configures the game.

        *One pass*, without a `decoder_optimizer`: one pass through the loop
        gives the gradients of both players, and `optimizer` moves all weights.
        Atoms that encoder and decoder share move by the sum of both gradients.
        The decoder's loss also has a gradient at the features `z`, which is
        carried on into the encoder along `x → z`. So the encoder also learns
        features that can be decoded. For this, the encoder that measures `x̂`
        is held fixed.

        *Alternating*, as published, with a `decoder_optimizer`: first
        `optimizer` takes a step of the encoder. Then, in another pass against
        the new encoder, `decoder_optimizer` takes a step of the decoder and of
        the atoms that it shares. Each player descends its own loss alone.

        Args:
            optimizer: of all weights, or of the encoder's weights; by default
                `DictionaryMuon()`, as in our flag files.
            decoder_optimizer: another object, for alternating steps.
            game: `TranscriptionGame`, the default (with a `residual` of 0
                without sparse codes), or another `Game`.
            jit_compile, run_eagerly, steps_per_execution: as in Keras. There
                is no `loss`, and there are no `metrics`.

        Raises:
            ValueError: for optimizers whose numbers make no sense, that scale
                the loss or keep moving averages. On several replicas, also for
                optimizers that clip or accumulate gradients. For a game with an
                `inner_step` in one pass, or that the encoder does not fit.
        """
        if game is None:
            sparse = self.encoder.sparse
            game = TranscriptionGame(**({} if sparse else {"residual": 0.0}))
        if not isinstance(game, Game):
            raise ValueError(
                "`game` must be a `TranscriptionGame` or another `Game`. "
                f"Received: {shown(game)}"
            )
        game.check_encoder(self.encoder)
        if game.inner_step and decoder_optimizer is None:
            raise ValueError(
                "A game with an `inner_step` needs a `decoder_optimizer`: the "
                "step is one of alternating steps."
            )
        if optimizer is None:
            optimizer = DictionaryMuon()
        optimizers = optimizer, decoder_optimizer
        optimizers = [keras.optimizers.get(each) for each in optimizers]
        replicas = self.distribute_strategy.num_replicas_in_sync
        training_data.check_compiled(optimizers, replicas, others)
        self.make_weights()
        super().compile(
            optimizers[0],
            auto_scale_loss=False,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        self.decoder_optimizer = optimizers[1]
        for optimizer, variables in zip(self.optimizers, self.moved_variables):
            optimizer.build(variables)
        self.game = game
        self.memory = None
        if game.memory:
            shapes = game.moment_shapes(self.encoder.feature_dim)
            dtype = at_least_float32_of(self.encoder.variable_dtype)
            self.memory = MomentMemory(shapes, game.memory, dtype)
        self._train_metrics.means = [
            keras.metrics.Mean(name=name) for name in game.term_names
        ]

    @property
    def classes(self):
        """Number of classes that labels must name; `None` without labels."""
        needed = self.compiled and self.game.needs_labels
        return self.game.num_classes if needed else None

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, y=None, *args, **kwargs):
        if not self.compiled:
            return super().fit(x, y)  # It says so.
        with inputs.value_errors():
            x = training_data.inspected(self, x, y, kwargs, self.classes)
            if (parts := kwargs.get("validation_data")) is not None:
                parts = keras.utils.unpack_x_y_sample_weight(parts)
                given = {"sample_weight": parts[2]}
                images = training_data.inspected(self, *parts[:2], given)
                kwargs["validation_data"] = (images, parts[1])
            if self.step == 0 and not self.decoder.calibrated:
                x = training_data.start(self, x)
            step, density, self.density = self.step, self.density, None
            try:
                return super().fit(x, y, *args, **kwargs)
            except BaseException:
                if self.step == step:
                    self.density = density
                raise

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, x, y=None, *args, **kwargs):
        x = training_data.inspected(self, x, y, kwargs, self.classes)
        result = super().train_on_batch(x, y, *args, **kwargs)
        self.density = None
        return result

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, x, *args, **kwargs):
        x = training_data.inspected(self, x, None, kwargs)
        return super().test_on_batch(x, *args, **kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x=None, y=None, *args, **kwargs):
        with inputs.value_errors():
            # `fit` has looked at its validation data.
            if not kwargs.get("_use_cached_eval_dataset"):
                x = training_data.inspected(self, x, y, kwargs)
            return super().evaluate(x, y, *args, **kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, x, *args, **given):
        with inputs.value_errors():
            x = training_data.inspected(self, x, None, given, limit=inputs.MOST)
            return super().predict(x, *args, **given)

    @property
    def train_metrics(self):
        """The metrics of the current game, its terms."""
        return self._train_metrics.means

    @property
    def metrics(self):
        return [*self.train_metrics, self.psnr, self.cosine]

    def train_step(self, data):
        images, labels = training_data.batch(data, self.encoder.accepted_shape)
        given = self, images, labels
        if self.decoder_optimizer is None:
            gradients, terms = steps.one_pass(*given)
            self._move(gradients)
        else:
            if self.game.inner_step:
                self._move(steps.inner_step(*given))
            self._move(steps.encoder_step(*given))
            gradients, terms = steps.decoder_step(*given)
            self._move(gradients, -1)
        for metric in self.train_metrics:
            metric.update_state(terms[metric.name])
        logs = {m.name: m.result() for m in self.train_metrics}
        return {**logs, "loss": finite_loss(terms)}

    def _move(self, gradients, number=0):
        """One of the `optimizers` takes a step."""
        optimizer = self.optimizers[number]
        variables = self.moved_variables[number]
        optimizer.apply(gradients, variables)
        if not variables:  # all frozen, which Keras does not count
            optimizer.variables[0].assign_add(1)
        self.encoder.update_operator_norms()

    def test_step(self, data):
        images, _ = training_data.batch(data, self.encoder.accepted_shape)
        features = self.encoder.run_stages(images).features
        reconstructions = self._decode(features, like=images)
        again = self.encoder.run_stages(reconstructions).features
        self.psnr.update_state(images, reconstructions)
        self.cosine.update_state(ops.sum(features * again, -1))
        return {m.name: m.result() for m in (self.psnr, self.cosine)}

    def get_compile_config(self):
        if not self.compiled:
            return None
        return keras.saving.serialize_keras_object(
            {name: getattr(self, name) for name in COMPILED}
        )

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
