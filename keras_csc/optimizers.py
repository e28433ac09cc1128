"""Muon for dictionaries."""

import keras
from keras import ops

from keras_csc.validation import check_number

# Arguments of Keras's Muon that have no effect here, or are fixed.
OF_MUON_ALONE = {
    *("adam_weight_decay", "epsilon", "exclude_embeddings", "exclude_layers"),
    *("muon_a", "muon_b", "muon_c", "nesterov", "ns_steps", "rms_rate"),
}


@keras.saving.register_keras_serializable(package="keras_csc")
class DictionaryMuon(keras.optimizers.Muon):
    """Muon, with a kernel `(k, k, channels, filters)` as a matrix of atoms.

    A dictionary is a matrix `(k·k·channels, filters)` with atoms as columns.
    Its momentum `M` is replaced by an orthogonal matrix near its polar factor,
    which moves all atoms about equally far:

    `W ← W - η U Vᵀ`,  `M = U Σ Vᵀ`.

    Five Newton-Schulz iterations bring the singular values of the step, but
    for the smallest, between about 0.7 and 1.2. The step changes the inner
    products of a patch with the atoms by at most `η` times its norm. To first
    order, no other such step lowers the loss more. Atoms of norm 1 turn by at
    most about `η` radians.

    Adam updates other variables, offsets and scales, at `adam_lr_ratio` times
    the learning rate. Keras's `Muon`, the base class, does that to kernels too.

    Args:
        learning_rate: float or schedule, `η`.
        momentum: float in `[0, 1)`.
        adam_lr_ratio: float.
        beta_1, beta_2: floats in `[0, 1)`, of Adam.
        **kwargs: of `keras.optimizers.Optimizer`. `weight_decay` is for the
            dictionaries alone.

    Raises:
        ValueError: for an argument that is not as above.
        TypeError: for an argument that only Keras's `Muon` has.

    References:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks,
        2024; Bernstein & Newhouse, Old optimizer, new norm, 2024, section 3.
    """

    def __init__(
        self,
        learning_rate=0.03,
        momentum=0.95,
        adam_lr_ratio=0.3,
        beta_1=0.9,
        beta_2=0.999,
        **kwargs,
    ):
        unknown = OF_MUON_ALONE & set(kwargs)
        if unknown:
            raise TypeError(f"DictionaryMuon takes no {sorted(unknown)}.")
        if isinstance(learning_rate, (int, float)):
            check_number("[0, inf)", learning_rate=learning_rate)
        check_number("[0, inf)", adam_lr_ratio=adam_lr_ratio)
        check_number("[0, 1)", momentum=momentum, beta_1=beta_1, beta_2=beta_2)
        if kwargs.setdefault("weight_decay", None) is not None:
            check_number("[0, inf)", weight_decay=kwargs["weight_decay"])
        super().__init__(
            learning_rate,
            momentum=momentum,
            adam_lr_ratio=adam_lr_ratio,
            adam_beta_1=beta_1,
            adam_beta_2=beta_2,
            adam_weight_decay=None,
            rms_rate=None,
            **kwargs,
        )

    def _should_use_adamw(self, variable):
        return len(variable.shape) < 2

    def update_step(self, gradient, variable, learning_rate):
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        super().update_step(gradient, variable, rate)

    def zeropower_via_newtonschulz5(self, x, steps):
        """Nearly the polar factor `U Vᵀ` of a matrix of atoms `x = U Σ Vᵀ`.

        All iterates are `x` times polynomials in `xᵀx`. So only the first and
        the last product are of the size of `x`, not two in each iteration.
        """
        if len(x.shape) > 2:
            matrix = ops.reshape(x, (-1, x.shape[-1]))
            matrix = self.zeropower_via_newtonschulz5(matrix, steps)
            return ops.reshape(matrix, x.shape)
        if x.shape[0] < x.shape[1]:
            wide = self.zeropower_via_newtonschulz5(ops.transpose(x), steps)
            return ops.transpose(wide)
        x = x / (ops.norm(x) + 1e-7)
        gram = ops.matmul(ops.transpose(x), x)
        identity = ops.eye(x.shape[1], dtype=x.dtype)
        factor = identity
        for _ in range(steps):
            square = ops.matmul(factor, ops.matmul(gram, factor))
            factor = ops.matmul(
                factor,
                self.muon_a * identity
                + self.muon_b * square
                + self.muon_c * ops.matmul(square, square),
            )
        return ops.matmul(x, factor)

    def get_config(self):
        return {
            **keras.optimizers.Optimizer.get_config(self),
            "momentum": self.momentum,
            "adam_lr_ratio": self.adam_lr_ratio,
            "beta_1": self.adam_beta_1,
            "beta_2": self.adam_beta_2,
        }
