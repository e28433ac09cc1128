import keras
from keras import ops

from keras_csc import constraints
from keras_csc.layers.dictionary import add_dictionary
from keras_csc.ops import analysis_size
from keras_csc.ops import lasso_objective
from keras_csc.ops import power_iteration
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import sparse_code
from keras_csc.ops import spectral_bound
from keras_csc.ops import synthesis
from keras_csc.ops.operator_norm import least_image_size
from keras_csc.ops.precision import at_least_float32
from keras_csc.validation import check_at_least
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import check_finite
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

# FISTA diverges in the end with steps above `1/LEAST_ESTIMATE` times `1/λmax`.
LEAST_ESTIMATE = 0.75
STEP_FRACTION = 0.9
# Power iterations for a dictionary that is new.
FIRST_ITERATIONS = 50
# In a file the kernel is "0".
PLACE_OF_VECTOR = "1"
MOST_ITERATIONS = {
    "unrolled": (
        1000,
        'each of which is a part of the graph; gradient="implicit" has no such '
        "limit",
    ),
    "implicit": (
        100_000,
        "more than which no program that converges needs",
    ),
}


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvSparseCoding2D(keras.layers.Layer):
    """Convolutional sparse coding: the output solves a convex program.

    `z* = argmin_z  λ‖z‖₁ + (μ/2)‖z‖₂² + ½‖x - A z‖₂²`, optionally `z ≥ 0`,

    where `A z` is the transposed convolution of the codes `z` with the
    layer's dictionary, one atom per filter. The layer unrolls `iterations`
    steps of FISTA (or ISTA) from `z = 0`:

    `z ← prox(y + η Aᵀ(x - A y))`,  `η = step_fraction / λmax(AᵀA)`.

    `λmax` is stored with the weights, so that in inference the layer is a
    pure function of its input. By default it is tracked by a power iteration,
    one warm-started iteration for every call in training, for images of the
    size that the layer was built with, or of some atoms a side where that is
    `None`. That is a lower bound of `λmax`, which `step_fraction` makes up
    for: ISTA converges up to `η = 2/λmax`, that is as long as the estimate is
    above `step_fraction/2` times `λmax`. The tests find it above 0.7 times
    `λmax` of the built size for atoms that move by a tenth of their norm
    between two iterations, and above 0.6 times while a dictionary is trained
    fast, by Adam at a rate of 0.02. FISTA diverges in the end above
    `η = 4/(3 λmax)`, with an estimate below 0.675 times `λmax`: a few steps do
    not mind, but for more than some ten, while a dictionary changes fast,
    `step_rule="spectral_bound"` is the safe one.

    With `gradient="implicit"` the layer solves the program, by up to
    `iterations` steps with adaptive restart, and differentiates the
    optimality conditions of the solution: it needs no more memory for more
    iterations. The fewer they are, the less the gradient is that of the
    codes.

    Args:
        filters: int, number of atoms.
        kernel_size: int, height and width of the atoms.
        strides: int.
        padding: `"same"` or `"valid"`.
        sparsity: float, `λ ≥ 0`, in the units of the input.
        ridge: float, `μ ≥ 0`.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        iterations: int, at least 1; at most 1000 unrolled ones.
        algorithm: `"fista"` or `"ista"`; their first two steps are the same.
        step_fraction: float in `(0, 1]`, the step size in units of `1/λmax`.
        step_rule: `"power_iteration"`, or `"spectral_bound"` for an upper
            bound that holds for every image size; see `ops.spectral_bound`
            for what it costs each call in training.
        gradient: `"unrolled"` or `"implicit"`.
        tolerance: relative duality gap at which an image is done, for
            `"implicit"` only; `None` for all `iterations`.
        kernel_initializer: initialiser of the dictionary.
        kernel_constraint: constraint of the dictionary: `"unit_atoms"`,
            `"tight_frame"`, one of Keras, or `None`; see `constraints`.

    Call arguments:
        images: tensor `(batch, height, width, channels)`.
        sparsity: `λ` for this call, instead of the layer's: a number, or a
            tensor `(batch,)` with one for every example.
        training: bool, whether to update the estimate of `λmax`.

    Input shape: `(batch, height, width, channels)`.
    Output shape: `(batch, code_height, code_width, filters)`, sizes as of a
    convolution.

    Raises:
        ValueError: for an argument that is not as above, a `tolerance` without
            implicit gradients, a `sparsity` of a call that is below 0, or
            images larger than those that the layer was built with, if those
            were so small that FISTA may diverge: of less than an atom a side
            or, for a `step_fraction` of 0.9, than `4 s (⌈k/s⌉ - 1)` pixels,
            with `k` the kernel size and `s` the strides. Tensors, and NumPy's
            numbers, of which Keras makes them, are not looked at.

    References:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024; Dai et al., Revisiting sparse convolutional model for
        visual recognition, NeurIPS 2022, section 3.

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
        sparsity=0.1,
        ridge=0.0,
        nonnegative=False,
        iterations=2,
        algorithm="fista",
        step_fraction=STEP_FRACTION,
        step_rule="power_iteration",
        gradient="unrolled",
        tolerance=None,
        kernel_initializer="random_normal",
        kernel_constraint="unit_atoms",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_integer(1, filters=filters, kernel_size=kernel_size)
        check_integer(1, strides=strides)
        check_at_least(0, sparsity=sparsity, ridge=ridge)
        check_bool(nonnegative=nonnegative)
        check_choice(("same", "valid"), padding=padding)
        check_choice(("fista", "ista"), algorithm=algorithm)
        check_number("(0, 1]", step_fraction=step_fraction)
        check_choice(("power_iteration", "spectral_bound"), step_rule=step_rule)
        check_choice(("unrolled", "implicit"), gradient=gradient)
        check_integer(1, *MOST_ITERATIONS[gradient], iterations=iterations)
        if tolerance is not None:
            check_at_least(0, tolerance=tolerance)
            if gradient == "unrolled":
                raise ValueError(
                    '`tolerance` needs gradient="implicit". '
                    f"Received: tolerance={tolerance}"
                )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.sparsity = sparsity
        self.ridge = ridge
        self.nonnegative = nonnegative
        self.iterations = iterations
        self.algorithm = algorithm
        self.step_fraction = step_fraction
        self.step_rule = step_rule
        self.gradient = gradient
        self.tolerance = tolerance
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        channels = input_shape[-1]
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: channels})
        self.kernel = add_dictionary(self, channels, self.filters)
        if self.step_rule == "power_iteration":
            size = [n or self._default_size() for n in input_shape[1:3]]
            self._built_size = tuple(size)
            shape = (1, *size, channels)
            self.power_vector = self._add_state(
                "power_vector",
                shape,
                lambda dtype: self._first_power_iterations(shape, dtype),
            )
        self.operator_norm = self._add_state(
            "operator_norm",
            (),
            lambda dtype: (
                self._spectral_bound(dtype)
                if self.step_rule == "spectral_bound"
                else self._power_iterations(1)[0]
            ),
        )

    def _add_state(self, name, shape, initial):
        """Adds what follows from the dictionary: `initial(dtype)` of it."""
        return self.add_weight(
            shape,
            lambda shape, dtype=None: initial(dtype),
            name=name,
            trainable=False,
            autocast=False,
            aggregation="mean",
        )

    def _first_power_iterations(self, shape, dtype):
        """A vector for the first dictionary, by 20 iterations."""
        vector = keras.initializers.RandomNormal(seed=0)(shape, dtype=dtype)
        return self._power_iterations(20, vector)[1]

    def _power_iterations(self, iterations, vector=None):
        """`(λmax, vector)`, by default from the vector that there is."""
        if vector is None:
            vector = ops.convert_to_tensor(self.power_vector)
        return power_iteration(
            ops.cast(self.kernel, vector.dtype),
            vector / ops.sqrt(ops.sum(ops.square(vector))),
            self.strides,
            self.padding,
            iterations,
        )

    def _spectral_bound(self, dtype):
        kernel = at_least_float32(self.kernel)
        return ops.cast(spectral_bound(kernel, self.strides), dtype)

    def _default_size(self):
        """Height of the power iteration's image where none is known."""
        size = max(8 * self.strides + self.kernel_size, 4 * self.kernel_size)
        return max(size, self._least_size())

    def _least_size(self):
        """Height of images of which the step size holds for larger ones."""
        ratio = LEAST_ESTIMATE * self.step_fraction
        return least_image_size(self.kernel_size, self.strides, ratio)

    def update_operator_norm(self, iterations=1):
        """Stores `λmax(AᵀA)` of the dictionary, as `step_rule` says.

        Args:
            iterations: int, how many power iterations to run.
        """
        if self.step_rule == "spectral_bound":
            bound = self._spectral_bound(self.operator_norm.dtype)
            self.operator_norm.assign(bound)
            return
        eigenvalue, vector = self._power_iterations(iterations)
        self.operator_norm.assign(eigenvalue)
        self.power_vector.assign(vector)

    def load_own_variables(self, store):
        """Loads the weights, also of a layer for images of another size.

        Its vector of the power iteration is then not loaded, and `λmax` is
        estimated anew.
        """
        resized = (
            self.step_rule == "power_iteration"
            and PLACE_OF_VECTOR in store.keys()
            and tuple(store[PLACE_OF_VECTOR].shape) != self.power_vector.shape
        )
        if resized:
            store = {name: store[name] for name in store.keys()}
            store[PLACE_OF_VECTOR] = self.power_vector
        super().load_own_variables(store)
        if resized:
            self.update_operator_norm(FIRST_ITERATIONS)

    @property
    def step_size(self):
        """`η`, in units of the objective's inverse curvature.

        A dictionary of zeros, for which every step will do, has the step of
        an orthonormal one.
        """
        norm = ops.convert_to_tensor(self.operator_norm)
        return self.step_fraction / ops.where(norm > 0, norm, 1)

    def set_dictionary(self, atoms):
        """Replaces the dictionary, and estimates `λmax` of the new one.

        The step size is that of a dictionary: what is assigned to `kernel`
        directly has that of the one before.

        Args:
            atoms: array `(kernel_size, kernel_size, channels, filters)`. The
                dictionary is one near them that satisfies the constraint.

        Raises:
            ValueError: for atoms of another shape, or with NaN or infinity.
        """
        atoms = ops.convert_to_tensor(atoms, self.kernel.dtype)
        if tuple(atoms.shape) != tuple(self.kernel.shape):
            raise ValueError(
                f"`atoms` must have the shape {tuple(self.kernel.shape)}. "
                f"Received: {tuple(atoms.shape)}"
            )
        check_finite("atoms", ops.convert_to_numpy(atoms))
        atoms = constraints.satisfied(self.kernel_constraint, atoms)
        self.kernel.assign(atoms)
        self.update_operator_norm(FIRST_ITERATIONS)

    def call(self, images, sparsity=None, training=None):
        self._check_size(images.shape[1:3])
        if training and self.trainable:
            self.update_operator_norm()
        return self.solve(images, sparsity)

    def solve(self, images, sparsity=None, iterations=None):
        """Returns the codes of images, as in inference.

        Args:
            images: tensor `(batch, height, width, channels)`.
            sparsity: as in a call.
            iterations: int, by default the layer's.

        Raises:
            ValueError: as of a call.
        """
        self._check_size(images.shape[1:3])
        images = ops.cast(images, self.compute_dtype)
        arguments = {
            "ridge": self.ridge,
            "nonnegative": self.nonnegative,
            "strides": self.strides,
            "padding": self.padding,
            "iterations": self.iterations if iterations is None else iterations,
            "algorithm": self.algorithm,
        }
        solver = sparse_code
        if self.gradient == "implicit":
            solver = solve_sparse_code
            arguments["tolerance"] = self.tolerance
        return solver(
            images,
            ops.cast(self.kernel, images.dtype),
            self._sparsity(sparsity),
            self.step_size,
            **arguments,
        )

    def _check_size(self, image_size):
        """Raises `ValueError` for images for which the step may be too long."""
        if self.step_rule != "power_iteration":
            return
        least = self._least_size()
        for size, built in zip(image_size, self._built_size):
            if size and size > built and built < least:
                raise ValueError(
                    f"{self.name} knows the step size for images of "
                    f"{self._built_size} pixels, with which it was "
                    f"built, and that of images of {tuple(image_size)} is "
                    f"another. Build it with sizes of {least} and more, or of "
                    'None, or with step_rule="spectral_bound", which holds for '
                    "every size."
                )

    def _sparsity(self, sparsity):
        if sparsity is None:
            return self.sparsity
        if isinstance(sparsity, (int, float)):
            check_at_least(0, sparsity=sparsity)
            return sparsity
        sparsity = ops.convert_to_tensor(sparsity)
        if len(sparsity.shape) == 0:
            return sparsity
        return ops.reshape(sparsity, (-1, 1, 1, 1))

    def synthesize(self, codes, image_size=None):
        """Returns `A z`, images of the codes.

        Args:
            codes: tensor `(batch, code_height, code_width, filters)`.
            image_size: `(height, width)`, by default that of
                `ops.synthesis_size`.
        """
        return synthesis(
            codes,
            ops.cast(self.kernel, codes.dtype),
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
        """
        return lasso_objective(
            images,
            codes,
            ops.convert_to_tensor(self.kernel),
            self._sparsity(sparsity),
            self.ridge,
            self.strides,
            self.padding,
        )

    def compute_output_shape(self, input_shape):
        sizes = [
            analysis_size(n, self.kernel_size, self.strides, self.padding)
            for n in input_shape[1:3]
        ]
        if any(n is not None and n < 1 for n in sizes):
            least = self.kernel_size if self.padding == "valid" else 1
            raise ValueError(
                f"Images must be of at least {least}×{least} pixels. "
                f"Received: {tuple(input_shape)}"
            )
        return (input_shape[0], *sizes, self.filters)

    def compute_output_spec(self, images, sparsity=None, training=None):
        shape = self.compute_output_shape(images.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "sparsity": self.sparsity,
            "ridge": self.ridge,
            "nonnegative": self.nonnegative,
            "iterations": self.iterations,
            "algorithm": self.algorithm,
            "step_fraction": self.step_fraction,
            "step_rule": self.step_rule,
            "gradient": self.gradient,
            "tolerance": self.tolerance,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "kernel_constraint": keras.constraints.serialize(
                self.kernel_constraint
            ),
        }
