"""What a game is: a pass through the loop, and a sum of terms over it."""

import inspect
import typing

import keras
from keras import ops

from keras_csc.replicas import num_replicas
from keras_csc.replicas import replica_sum
from keras_csc.replicas import shard_weight
from keras_csc.validation import check_number
from keras_csc.validation import shown


class Loop:
    """One pass through the closed loop: `x → z → x̂ → ẑ`, of this replica.

    Args:
        real: `EncoderOutput` of the images `x`, in training.
        regenerated: `EncoderOutput` of the regenerated images `x̂`.
        labels: int tensor `(n,)` of the images, or `None`.
        encoder: the encoder of both, whose `residuals` a term may ask for.
        memory: `MomentMemory`; `None` for rates of this batch alone.
        last: bool, whether it is the step's last pass, which the memory keeps.
    """

    def __init__(
        self,
        real,
        regenerated=None,
        labels=None,
        encoder=None,
        memory=None,
        last=True,
    ):
        self.real = real
        self.regenerated = regenerated
        self._labels = labels
        self._encoder = encoder
        self._memory = memory
        self._last = last
        self._weight = None

    @property
    def z(self):
        """Rows `Z` `(n, d)`: the features of the images, or of all places."""
        return _rows(self.real.features)

    @property
    def z_hat(self):
        """Rows `Ẑ` `(n, d)`: the features of the regenerated images."""
        return _rows(self.regenerated.features)

    @property
    def labels(self):
        """Label of every row: int tensor `(n,)`.

        Raises:
            ValueError: if there are none.
        """
        if self._labels is None:
            raise ValueError(
                "This game needs `labels`: train on batches of (images, "
                "labels)."
            )
        if len(self.real.features.shape) == 2:
            return self._labels
        places = ops.shape(self.z)[0] // ops.shape(self._labels)[0]
        return ops.repeat(self._labels, places)

    def sums(self, moments):
        """Moments of the global batch; with a memory, of more batches.

        Args:
            moments: of this replica: tensors that add up over images, as a
                dict whose names are in the game's `moment_shapes`. Without a
                memory, any structure of tensors.
        """
        moments = replica_sum(moments)
        if self._memory is None:
            return moments
        return self._memory(moments, training=self._last)

    def residuals(self):
        """List of `E_l`, scalars: what every stage's codes leave of its input.

        See `Encoder.residuals`.
        """
        return self._encoder.residuals(self.real)

    def weigh(self, mean):
        """Weighs a mean over this replica's images by their number.

        The replicas' mean of what it returns is the mean over the global batch.
        """
        # No `functools.cached_property`: it holds a lock, for which the other
        # replicas' threads would wait while this one waits for their sum.
        if self._weight is None:
            features = self.real.features
            count = ops.shape(features)[0]
            self._weight = shard_weight(count, features.dtype)
        return self._weight * mean


def _rows(features):
    if len(features.shape) == 2:
        return features
    return ops.reshape(features, (-1, features.shape[-1]))


class Term(typing.NamedTuple):
    """A term of a game.

    Args:
        names: tuple of the names of its scalars, as they are logged. The first
            is weighed; the others only tell of it.
        measure: function of a `Loop`, which returns a tuple of these scalars.
        encoder: float, weight of the first in what the encoder descends.
        decoder: float, weight of the first in what the decoder descends.
    """

    names: tuple
    measure: typing.Callable
    encoder: float = 0.0
    decoder: float = 0.0


class Game:
    """What encoder and decoder play for: each descends a sum of terms.

    A subclass returns its `terms`. All arguments of its constructor are
    attributes.

    Attributes:
        num_classes: int, or `None` for a game without labels.
        needs_labels: bool.
        shared_statistics: bool, whether regenerated images are normalised, in
            the encoder, with the batch statistics of the images.
        inner_step: bool, whether the encoder takes a step for `inner_loss`
            before each alternating step.
        memory: float in `[0, 1)`, momentum of the `MomentMemory`; 0 for none.
    """

    num_classes = None
    needs_labels = False
    shared_statistics = False
    inner_step = False
    memory = 0.0

    def terms(self):
        """List of `Term`, of the game."""
        raise NotImplementedError

    @property
    def term_names(self):
        """Names of the scalars that `losses` returns."""
        return [name for term in self.terms() for name in term.names]

    def losses(self, loop):
        """What this replica's encoder and decoder descend.

        The losses are divided by the number of replicas: sum their gradients
        over the replicas.

        Args:
            loop: `Loop`.

        Returns:
            `(encoder_loss, decoder_loss, scalars)`; `scalars` is a dict by
            `term_names`, whose means over the replicas are of the global batch.
        """
        scalars, weighed = {}, []
        for term in self.terms():
            values, names = term.measure(loop), term.names
            if not (
                isinstance(names, tuple)
                and isinstance(values, tuple)
                and len(names) == len(values)
            ):
                raise ValueError(
                    "A `Term` must have a tuple of names, and its function "
                    "return a tuple of as many scalars. "
                    f"Received: {shown(names)} and {shown(values)}"
                )
            scalars.update(zip(names, values))
            weighed.append(((term.encoder, term.decoder), values[0]))
        replicas = num_replicas()
        encoder_loss, decoder_loss = (
            sum(weights[player] * value for weights, value in weighed)
            / replicas
            for player in (0, 1)
        )
        return encoder_loss, decoder_loss, scalars

    def moment_shapes(self, feature_dim):
        """Shapes of the moments that the `memory` keeps: a dict by name.

        They are the dicts that the terms give to `Loop.sums`.
        """
        return {}

    def inner_loss(self, loop):
        """What the encoder descends in an inner step, of this replica."""
        raise NotImplementedError

    def get_config(self):
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class MomentMemory:
    """Second moments of more images than a batch holds.

    `M ← m · M + B`, with the moments `B` of a batch; counts likewise. Former
    batches are constants. The gradient of the batch's own part is scaled by
    `1/(1 - m)`. So it has the size that the gradient of all batches would
    have, once the memory is full. After `t` steps it is `1/(1 - mᵗ)` times as
    large.

    `M` has the rates of about `1/(1 - m)` batches, as the encoders of former
    steps saw them. `B` is of the global batch, so every replica has the same
    memory.

    Args:
        shapes: dict of shapes, `Game.moment_shapes`.
        momentum: float in `[0, 1)`, `m`, of the game.
        dtype: of the memory.

    Call arguments:
        moments: dict of tensors of these shapes, of the global batch.
        training: bool, whether the batch is remembered.

    Output: dict of tensors of these shapes.
    """

    def __init__(self, shapes, momentum, dtype="float32"):
        check_number("[0, 1)", momentum=momentum)
        self.momentum = momentum
        self.variables = {
            name: keras.Variable(
                keras.initializers.Zeros(),
                shape=shape,
                dtype=dtype,
                trainable=False,
                aggregation="none",  # every replica's is the same
                name=f"memory_{name}",
            )
            for name, shape in shapes.items()
        }

    def __call__(self, moments, training=False):
        if not moments.keys() <= self.variables.keys():
            raise ValueError(
                "`moment_shapes` of a game with a memory must have the shapes "
                f"of all moments: {', '.join(moments)}. "
                f"Received: {', '.join(self.variables) or 'none'}"
            )
        scale = 1 / (1 - self.momentum)
        remembered = {}
        for name, batch in moments.items():
            variable, constant = self.variables[name], ops.stop_gradient(batch)
            value = self.momentum * ops.convert_to_tensor(variable)
            value += ops.cast(constant, value.dtype)
            if training:
                variable.assign(value)
            # 0, with the gradient of the batch.
            change = scale * (batch - constant)
            remembered[name] = ops.cast(value, batch.dtype) + change
        return remembered

    def save_own_variables(self, store):
        for name, variable in self.variables.items():
            store[name] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Takes the moments of a store, if they are of the same shapes.

        A store of a model that was not in training has none, and changes
        nothing. With moments of another game the memory starts anew.
        """
        variables = self.variables
        stored = {n: store[n] for n in variables if n in store.keys()}
        if not stored:
            return
        shapes = {name: array.shape for name, array in stored.items()}
        fits = shapes == {n: tuple(v.shape) for n, v in variables.items()}
        for name, variable in variables.items():
            variable.assign(stored[name] if fits else ops.zeros_like(variable))


def finite_loss(terms):
    """The first term if all terms are finite, NaN if not."""
    first, *others = [ops.cast(term, "float32") for term in terms.values()]
    return first + 0.0 * sum(others, first)
