"""What a game is: a pass through the loop, and a sum of terms over it."""

import inspect
import typing

from keras import ops

from keras_csc.replicas import num_replicas
from keras_csc.replicas import replica_sum
from keras_csc.replicas import shard_weight
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
        self._remembered = {}

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
                memory, any structure of tensors. A memory takes a name once
                a step: the second term that asks for it gets the same sums.
        """
        if self._memory is None:
            return replica_sum(moments)
        new = {n: m for n, m in moments.items() if n not in self._remembered}
        if new:
            self._remembered |= self._memory(
                replica_sum(new), training=self._last
            )
        return {name: self._remembered[name] for name in moments}

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
        """The constructor's arguments, from attributes of the same names."""
        names = {}
        for kind in type(self).__mro__:
            parameters = inspect.signature(kind).parameters.values()
            named = [p.name for p in parameters if "VAR" not in p.kind.name]
            names.update(dict.fromkeys(named))
            if len(named) == len(parameters):  # nothing is for a base class
                break
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
