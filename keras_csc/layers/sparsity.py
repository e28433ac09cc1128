import math

import keras
from keras import ops

from keras_csc.replicas import replica_sum
from keras_csc.validation import check_number

# By how much `log λ` moves in a training step, for each share of codes that
# are too few zeros.
RATE = 0.2


class Sparsity:
    """The `λ` of a layer: a number, or a weight that follows the codes.

    Args:
        value: float, at least 0, the number or the initial value.
        zeros: float in (0, 1), the share of codes that are to be 0, or `None`
            for a number. With it, `value` must be above 0.
    """

    def __init__(self, value, zeros=None):
        if zeros is not None:
            check_number("(0, 1)", zeros=zeros)
        interval = "[0, inf)" if zeros is None else "(0, inf)"
        check_number(interval, sparsity=value)
        self._number = value
        self.zeros = zeros
        self.logarithm = None

    def add_weight(self, layer):
        """Adds `log λ` to the weights of a layer, if `λ` is to move."""
        if self.zeros is not None:
            self.logarithm = layer.add_weight(
                (),
                keras.initializers.Constant(math.log(self._number)),
                name="log_sparsity",
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",
            )

    def tensor(self, given=None):
        """`λ`, or a given one: a number or tensor that broadcasts to codes.

        Args:
            given: number, or tensor with one for all examples or for every one.
        """
        if isinstance(given, (int, float)):
            check_number("[0, inf)", sparsity=given)
            return given
        if given is not None:
            given = ops.convert_to_tensor(given)
            every = len(given.shape) > 0
            return ops.reshape(given, (-1, 1, 1, 1)) if every else given
        if self.logarithm is not None:
            return ops.exp(self.logarithm)
        return self._number

    def update(self, codes):
        """Moves `λ` so that the share of zeros comes nearer to `zeros`.

        `log λ ← log λ + 0.2 (zeros - share of zeros among the codes)`, of the
        codes of all replicas. A number stays.
        """
        if self.logarithm is None:
            return
        dtype = self.logarithm.dtype
        zeros, count = replica_sum(
            (
                ops.sum(ops.cast(ops.equal(codes, 0), dtype)),
                ops.cast(ops.size(codes), dtype),
            )
        )
        change = RATE * (self.zeros - zeros / count)
        self.logarithm.assign(self.logarithm + change)
