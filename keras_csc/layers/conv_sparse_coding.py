import functools

import keras
from keras import ops

from keras_csc import constraints
from keras_csc.layers.dictionary_layer import DictionaryLayer
from keras_csc.layers.dictionary_layer import check_built
from keras_csc.layers.sparsity import Sparsity
from keras_csc.ops import analysis_size
from keras_csc.ops import frame_bound
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import sparse_code
from keras_csc.ops import synthesis
from keras_csc.ops.program import precise_program
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import as_floats
from keras_csc.ops.tensors import at_least_float32
from keras_csc.validation import check_bool
from keras_csc.validation import check_integer

MOST_ITERATIONS = 1000


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvSparseCoding2D(DictionaryLayer):
    """Convolutional sparse coding: the output solves a convex program.

    `y* = argmin_y  (λ/L)‖y‖₁ + ½‖x - D y‖₂²`,  `D = A / L`,

    optionally with `y ≥ 0`. `A` is the transposed convolution with the layer's
    kernel `W`, one atom per filter, and `L ≥ λmax(AᵀA)` is
    `ops.frame_bound(W, strides)`, in closed form and for images of every size.
    `y = L z` are the codes `z` of `λ‖z‖₁ + ½‖x - A z‖₂²` in the units of the
    input. The layer takes `iterations` steps of FISTA from `y = 0`:

    `y ← prox(v + Aᵀ(x - D v); λ)`,  `v` the extrapolated codes.

    The first step is `prox(Aᵀx; λ)`: a convolution with a threshold. It may
    stand where a convolution with its activation stood.

    `λ` is `sparsity · rms(Aᵀx)` for every example, with the root of the mean
    square over places and filters. So `layer(c · x) = c · layer(x)` for
    `c > 0`. Or, with `relative=False`, `λ` is `sparsity`, in the units of
    the input; crops of an image then have the codes of the image.

    Gradients flow through `L`. (A constant `L` would align the atoms and rise.)
    The weight `operator_norm` stores `L` for calls with `training=False`, where
    the layer is a pure function of its input. Every other call computes and
    stores it. Frozen atoms and tight frames have a constant `L`. If you change
    atoms yourself, call `update_operator_norm`.

    After two steps the codes of unit atoms are about as large as the input.
    They are smaller after one, and larger after more: normalise them there.

    Args:
        filters: int, number of atoms.
        kernel_size: int, height and width of the atoms.
        strides: int.
        padding: `"same"` or `"valid"`.
        sparsity: float, at least 0, as above.
        relative: bool, whether `λ` is relative to `Aᵀx`, as above.
        zeros: float in (0, 1), the share of codes that are to be 0, or `None`.
            `sparsity > 0` is then a weight, which `update_sparsity` moves.
        nonnegative: bool, whether codes are constrained to `y ≥ 0`. `None`
            means `True` without a `prox`.
        iterations: int, from 1 to 1000.
        prox: function of values and a threshold, as in `ops.sparse_code`, for
            another penalty `(λ/L) p(y)` than the norm. It goes without
            `nonnegative`. Register it with Keras to save the layer.
        kernel_initializer: initialiser of the dictionary.
        kernel_constraint: constraint of the dictionary: `"unit_atoms"`,
            `"tight_frame"`, one of Keras, or `None`; see `constraints`.

    Call arguments:
        images: tensor `(batch, height, width, channels)`.
        sparsity: for this call, instead of the layer's: a number, or a tensor
            `(batch,)` with one for every example.
        training: bool; `False` takes the stored `L`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, code_height, code_width, filters)`; a
    convolution has the same sizes.

    Raises:
        ValueError: for an argument that is not as above, or a `sparsity` of a
            call that is below 0. A `sparsity` that is a tensor or a number of
            NumPy's is not checked.

    References:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024; Dai et al., Revisiting sparse convolutional model for
        visual recognition, NeurIPS 2022, section 3, where a batch
        normalisation takes the place of the factor `L`.

    Example:

    >>> layer = keras_csc.layers.ConvSparseCoding2D(16, 4, strides=2)
    >>> layer(np.zeros((1, 32, 32, 3))).shape
    TensorShape([1, 16, 16, 16])
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="same",
        sparsity=0.4,
        relative=True,
        zeros=None,
        nonnegative=None,
        iterations=2,
        prox=None,
        kernel_initializer="random_normal",
        kernel_constraint="unit_atoms",
        **kwargs,
    ):
        super().__init__(
            kernel_size,
            strides,
            padding,
            kernel_initializer,
            kernel_constraint,
            **kwargs,
        )
        check_integer(1, filters=filters)
        if nonnegative is None:
            nonnegative = prox is None
        check_bool(nonnegative=nonnegative, relative=relative)
        why = "as each is a part of the graph"
        check_integer(1, MOST_ITERATIONS, why, iterations=iterations)
        if isinstance(prox, dict):
            prox = keras.saving.deserialize_keras_object(prox)
        if prox and nonnegative:
            raise ValueError(
                "`prox` goes with nonnegative=False: it says itself which "
                "codes there may be."
            )
        self.filters = filters
        self.zeros = zeros
        self._sparsity = Sparsity(sparsity, zeros)
        self.relative = relative
        self.nonnegative = nonnegative
        self.iterations = iterations
        self.prox = prox

    def build(self, input_shape):
        channels = input_shape[-1]
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: channels})
        self.kernel = self.add_dictionary(channels, self.filters)
        self.operator_norm = self.add_weight(
            (),
            lambda shape, dtype=None: ops.cast(self._bound(), dtype),
            name="operator_norm",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
        self._sparsity.add_weight(self)

    @property
    def sparsity(self):
        """`λ` as it is, a float."""
        return float(self._sparsity.tensor())

    def update_sparsity(self, codes):
        """Moves `λ`, so that the share of zeros among codes nears `zeros`.

        Without `zeros`, and in a frozen layer, it changes nothing.
        """
        if self.trainable:
            self._sparsity.update(codes)

    def frame_bound(self, training=None):
        """`L`, a scalar tensor: of the atoms as they are, with its gradient.

        It is the stored `operator_norm`, a constant, for `training=False`, for
        frozen atoms, and for tight frames, which all have the same.

        Raises:
            ValueError: before the layer is built, as in all methods that use
                the atoms.
        """
        check_built(self)
        if self._is_stored(training):
            return at_least_float32(self.operator_norm)
        return self._bound()

    def _is_stored(self, training):
        tight = isinstance(self.kernel_constraint, constraints.TightFrame)
        inference = training is not None and not training
        return inference or tight or not self.trainable

    def _bound(self):
        bound = frame_bound(at_least_float32(self.kernel), self.strides)
        # Without atoms all codes are 0, and any step will do.
        return ops.where(ops.equal(bound, 0), 1, bound)

    def dictionary(self, training=None):
        """`D = A / L`, tensor of the kernel's shape, at least float32.

        Args:
            training: bool, as in `frame_bound`.
        """
        bound = self.frame_bound(training)
        return at_least_float32(self.kernel) / bound

    def update_operator_norm(self):
        """Stores the bound of `λmax(AᵀA)` of the dictionary as it is."""
        self.operator_norm.assign(self._bound())

    def set_dictionary(self, atoms):
        super().set_dictionary(atoms)
        self.update_operator_norm()

    def call(self, images, sparsity=None, training=None):
        bound = self.frame_bound(training)
        if not self._is_stored(training):
            self.operator_norm.assign(bound)
        return self._solve(images, sparsity, bound, self.iterations)

    def solve(self, images, sparsity=None, iterations=None, tolerance=None):
        """Returns the codes of images, as in inference.

        Args:
            images: tensor `(batch, height, width, channels)`.
            sparsity: as in a call.
            iterations: int, by default the layer's.
            tolerance: float, relative duality gap to solve the program to, as
                in `ops.solve_sparse_code`; by default none. Codes that are
                solved to a tolerance have no gradient.

        Raises:
            ValueError: for a `tolerance` and a `prox`, whose penalty is not
                known.
        """
        bound = self.frame_bound(training=False)
        iterations = self.iterations if iterations is None else iterations
        return self._solve(images, sparsity, bound, iterations, tolerance)

    def _solve(self, images, sparsity, bound, iterations, tolerance=None):
        solver = functools.partial(sparse_code, prox=self.prox)
        if tolerance is not None:
            self._check_penalty_is_known()
            solver = functools.partial(solve_sparse_code, tolerance=tolerance)
        return solver(
            ops.cast(images, self.compute_dtype),
            *self._program(sparsity, bound),
            bound,
            self.nonnegative,
            self.strides,
            self.padding,
            iterations,
            relative=self.relative,
        )

    def _program(self, sparsity, bound):
        """`(D, penalty)`: `A / L`, and `λ / L` or the `s` of `s · rms(Dᵀx)`."""
        sparsity = self._sparsity.tensor(sparsity)
        dictionary = at_least_float32(self.kernel) / bound
        if not self.relative:
            sparsity = as_dtype_of(sparsity, bound) / bound
        return dictionary, sparsity

    def synthesize(self, codes, image_size=None):
        """Returns `D y = A y / L`, images of the codes.

        A functional model draws by `ConvSparseDecoding2D(coding_layer=layer)`.

        Args:
            codes: tensor `(batch, code_height, code_width, filters)`.
            image_size: `(height, width)`, by default as in
                `ops.synthesis_size`.
        """
        codes = as_floats(codes)
        return synthesis(
            codes,
            as_dtype_of(self.dictionary(), codes),
            image_size,
            self.strides,
            self.padding,
        )

    def objective(self, images, codes, sparsity=None):
        """Value of the layer's convex program at `codes`, per example.

        Args:
            images: tensor `(batch, height, width, channels)`.
            codes: tensor `(batch, code_height, code_width, filters)`.
            sparsity: as in `call`.

        Returns:
            Tensor `(batch,)`, at least float32.

        Raises:
            ValueError: for a layer with a `prox`, whose penalty is not known.
        """
        self._check_penalty_is_known()
        program = precise_program(
            images,
            *self._program(sparsity, self.frame_bound()),
            self.nonnegative,
            self.strides,
            self.padding,
            relative=self.relative,
        )
        codes = as_dtype_of(codes, program.images)
        return program.value(codes, program.residual(codes))

    def _check_penalty_is_known(self):
        if self.prox:
            raise ValueError(
                "The penalty of a layer with a `prox` is not known."
            )

    def compute_output_shape(self, input_shape):
        sizes = [
            analysis_size(n, self.kernel_size, self.strides, self.padding)
            for n in input_shape[1:3]
        ]
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "sparsity": self.sparsity,
            "relative": self.relative,
            "zeros": self.zeros,
            "nonnegative": self.nonnegative,
            "iterations": self.iterations,
            "prox": self.prox
            and keras.saving.serialize_keras_object(self.prox),
        }
