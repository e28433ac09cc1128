"""How a `ClosedLoopAutoencoder` trains and is evaluated: its methods.

`compile` chooses the game and the optimizers, `fit` looks at the data and
repeats `train_step`; `steps` has the gradients.
"""

import functools
import inspect

import keras

from keras_csc.losses import MomentMemory
from keras_csc.models import inputs
from keras_csc.models import steps
from keras_csc.models import tiles
from keras_csc.models import training_data
from keras_csc.ops.tensors import at_least_float32_of


def compile(
    model,
    optimizer=None,
    decoder_optimizer=None,
    game=None,
    jit_compile=False,
    run_eagerly=False,
    steps_per_execution=1,
):
    """Configures the game.

    *One pass*, without a `decoder_optimizer`: one pass through the loop
    gives the gradients of both players, and `optimizer` moves all weights.
    Atoms that encoder and decoder share move by the sum of both gradients.
    The decoder's loss also has a gradient at the features `z`, which is
    carried on into the encoder along `x → z`. So the encoder also learns
    features that can be decoded. The decoder's loss does not move the encoder
    at its second use, `ẑ = f(x̂)`.

    *Alternating*, as published, with a `decoder_optimizer`: first
    `optimizer` takes a step of the encoder. Then, in another pass against
    the new encoder, `decoder_optimizer` takes a step of the decoder and of
    the atoms that it shares. Each player descends its own loss alone.

    Args:
        optimizer: of all weights, or of the encoder's weights; by default
            `DictionaryMuon()`, as in our flag files.
        decoder_optimizer: another object, for alternating steps.
        game: `TranscriptionGame`, the default, or another `Game`.
        jit_compile, run_eagerly, steps_per_execution: as in Keras. There
            is no `loss`, and there are no `metrics`.

    Raises:
        ValueError: for optimizers whose numbers make no sense, that scale
            the loss or keep moving averages. On several replicas, also for
            optimizers that clip or accumulate gradients. For a game with an
            `inner_step` in one pass.
    """
    game = training_data.checked_game(
        game, alternating=decoder_optimizer is not None
    )
    optimizers = training_data.checked_optimizers(
        optimizer,
        decoder_optimizer,
        model.distribute_strategy.num_replicas_in_sync,
    )
    model.make_weights()
    keras.Model.compile(
        model,
        optimizers[0],
        auto_scale_loss=False,
        jit_compile=jit_compile,
        run_eagerly=run_eagerly,
        steps_per_execution=steps_per_execution,
    )
    model.decoder_optimizer = optimizers[1]
    for optimizer, variables in zip(model.optimizers, model.moved_variables):
        optimizer.build(variables)
    model.game = game
    model.moment_memory = None
    if game.memory:
        model.moment_memory = MomentMemory(
            game.moment_shapes(model.encoder.feature_dim),
            game.memory,
            at_least_float32_of(model.encoder.variable_dtype),
        )
    model._train_metrics.means = [
        keras.metrics.Mean(name=name) for name in game.term_names
    ]


def get_compile_config(model):
    if not model.compiled:
        return None
    _, *names = inspect.signature(compile).parameters
    return keras.saving.serialize_keras_object(
        {name: getattr(model, name) for name in names}
    )


def compile_from_config(model, config):
    model.compile(**keras.saving.deserialize_keras_object(config))


@functools.wraps(keras.Model.fit)
def fit(model, *args, **kwargs):
    given = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
    if not model.compiled:
        return keras.Model.fit(model, *args, **kwargs)  # It says so.
    with inputs.value_errors():
        training_data.inspect_for_fit(model, given.arguments)
        model.density = None
        return keras.Model.fit(*given.args, **given.kwargs)


@functools.wraps(keras.Model.train_on_batch)
def train_on_batch(model, x, y=None, *args, **kwargs):
    x = training_data.inspected(model, x, y, kwargs, labelled=True)
    logs = keras.Model.train_on_batch(model, x, y, *args, **kwargs)
    model.density = None
    return logs


@functools.wraps(keras.Model.test_on_batch)
def test_on_batch(model, x, *args, **kwargs):
    x = training_data.inspected(model, x, None, kwargs)
    return keras.Model.test_on_batch(model, x, *args, **kwargs)


@functools.wraps(keras.Model.evaluate)
def evaluate(model, x=None, y=None, *args, **kwargs):
    with inputs.value_errors():
        # `fit` has looked at its validation data.
        if not kwargs.get("_use_cached_eval_dataset"):
            x = training_data.inspected(model, x, y, kwargs)
        return keras.Model.evaluate(model, x, y, *args, **kwargs)


@functools.wraps(keras.Model.predict)
def predict(model, x, *args, **kwargs):
    with inputs.value_errors():
        x = training_data.inspected(
            model, x, None, kwargs, inputs.LARGEST_PIXEL
        )
        return keras.Model.predict(model, x, *args, **kwargs)


def train_step(model, data):
    """Takes a step of a compiled `ClosedLoopAutoencoder`; returns its logs."""
    images, labels = training_data.batch(data, model.encoder.accepted_shape)
    if model.decoder_optimizer is None:
        gradients, terms = steps.one_pass(model, images, labels)
        _apply(model, gradients)
    else:
        if model.game.inner_step:
            _apply(model, steps.inner_step(model, images, labels))
        _apply(model, steps.encoder_step(model, images, labels))
        gradients, terms = steps.decoder_step(model, images, labels)
        _apply(model, gradients, -1)
    for metric in model.train_metrics:
        metric.update_state(terms[metric.name])
    logs = {metric.name: metric.result() for metric in model.train_metrics}
    return {**logs, "loss": _finite_loss(terms)}


def _finite_loss(terms):
    """The first term if all terms are finite, NaN if not."""
    first, *others = [
        keras.ops.cast(term, "float32") for term in terms.values()
    ]
    return first + 0.0 * sum(others, first)


def _apply(model, gradients, number=0):
    """One of the model's `optimizers` takes a step."""
    optimizer = model.optimizers[number]
    variables = model.moved_variables[number]
    optimizer.apply(gradients, variables)
    if not variables:  # all frozen, which Keras does not count
        optimizer.variables[0].assign_add(1)
    model.encoder.update_operator_norms()


def test_step(model, data):
    """Measures a batch, and returns the logs: no weight moves."""
    images, _ = training_data.batch(data, model.encoder.accepted_shape)
    features = model.encoder.run_stages(images).features
    regenerated = tiles.cropped(model.decoder(features), images)
    features_again = model.encoder.run_stages(regenerated).features
    model.psnr.update_state(images, regenerated)
    model.cosine.update_state(keras.ops.sum(features * features_again, -1))
    return model.get_metrics_result()
