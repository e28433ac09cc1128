import collections

import keras
from keras import ops

from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import SharedBatchNormalization
from keras_csc.layers.shared_batch_normalization import batch_moments
from keras_csc.models.architecture import check_architecture
from keras_csc.models.inputs import as_images
from keras_csc.ops.precision import at_least_float32
from keras_csc.ops.sphere import to_sphere
from keras_csc.validation import check_at_least
from keras_csc.validation import check_bool
from keras_csc.validation import shown

EncoderOutput = collections.namedtuple(
    "EncoderOutput", ["features", "codes", "moments"]
)
EncoderOutput.__doc__ = """Features, and what came before them.

features: tensor `(batch, feature_dim)`, float32 rows of unit norm.
codes: list of tensors, the sparse codes of every stage.
moments: list of `(mean, variance)`, the batch statistics that normalised
    every stage, or `None` in inference.
"""


@keras.saving.register_keras_serializable(package="keras_csc")
class Encoder(keras.Model):
    """Stack of convolutional sparse coding layers with features on the sphere.

    Every stage is a `ConvSparseCoding2D` of stride 2, whose output solves a
    sparse coding program, and a batch normalisation of its codes. The last
    layer codes all that is left of the image at once, without sparsity, to
    `feature_dim` numbers, which are scaled to unit norm.

    The normalisation is isotropic: it shifts the codes and divides all
    channels by one deviation. With tight frames a stage then changes distances
    by little more than its thresholds do, and noise, which is most of what
    there is of the finest details, stays as small in the features as it is in
    the image. `λ` of the second stage and those above is in units of the
    deviation of their input.

    Args:
        image_shape: `(height, width, channels)`; height and width divisible
            by `2 ** len(filters)`.
        filters: ints, the number of atoms of every stage.
        feature_dim: int, `d`.
        kernel_size: int, height and width of the atoms.
        sparsity: float, `λ` of every stage, or a list with one for each.
        ridge: float, `μ` of every layer.
        nonnegative: bool, whether the codes of the stages are `≥ 0`.
        split: bool, whether the next stage is given the positive and the
            negative parts of signed codes as channels of their own,
            `[max(z, 0), max(-z, 0)]`: the non-negative codes of a dictionary
            that holds every atom in both signs. Signed soft thresholding is
            nearly linear, and so are networks of it; this is not.
        iterations: int, solver steps of every layer.
        algorithm: `"fista"` or `"ista"`.
        gradient: `"unrolled"`, through the solver's steps, or `"implicit"`,
            of the solution that they approach; see `ConvSparseCoding2D`.
        tight_frame: bool, whether the atoms of every layer are kept a tight
            frame; without it those of the first stages can become blind to
            details that the decoder does badly.
        isotropic: bool; if not, every channel of codes is normalised by its
            own deviation, and has a scale `γ`.
        frozen_stages: int, how many stages, from the image upwards, keep the
            dictionary that they begin with: training does not change it.

    Call arguments:
        images: tensor `(batch, height, width, channels)` in [-1, 1].
        training: bool.

    Output shape: `(batch, feature_dim)`, float32 rows of unit norm.

    Reference:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024; widths of the DCGAN encoder in Dai et al., CTRL, Entropy
        2022, appendix A.
    """

    # Whether `activate` is not the identity.
    rectifies = False

    @property
    def parts_per_code(self):
        """Channels of the next stage's input for every atom."""
        return 2 if self.split else 1

    def __init__(
        self,
        image_shape=(32, 32, 3),
        filters=(64, 128, 256),
        feature_dim=128,
        kernel_size=4,
        sparsity=0.1,
        ridge=0.0,
        nonnegative=False,
        split=False,
        iterations=2,
        algorithm="fista",
        gradient="unrolled",
        tight_frame=True,
        isotropic=True,
        frozen_stages=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_architecture(image_shape, filters, feature_dim, kernel_size)
        check_bool(tight_frame=tight_frame, isotropic=isotropic, split=split)
        if split and nonnegative:
            raise ValueError(
                "`split` is for signed codes: `nonnegative` must be False."
            )
        if frozen_stages not in range(len(filters) + 1):
            raise ValueError(
                "`frozen_stages` must be an integer from 0 to the number of "
                f"stages, {len(filters)}. Received: {frozen_stages}"
            )
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.feature_dim = feature_dim
        self.kernel_size = kernel_size
        self.sparsity = sparsity
        self.ridge = ridge
        self.nonnegative = nonnegative
        self.split = split
        self.iterations = iterations
        self.algorithm = algorithm
        self.gradient = gradient
        self.tight_frame = tight_frame
        self.isotropic = isotropic
        self.frozen_stages = frozen_stages
        self.code_size = final_size(self.image_shape, len(self.filters))
        sparsities = _of_every_stage(sparsity, len(self.filters))
        self.coding_layers = [
            self._stage(width, value, f"stage_{number}")
            for number, (width, value) in enumerate(
                zip(self.filters, sparsities), start=1
            )
        ]
        for layer in self.coding_layers[:frozen_stages]:
            layer.trainable = False
        self.normalizations = [
            self._normalization(f"normalization_{number}")
            for number in range(1, len(self.filters) + 1)
        ]
        self.head = self._head()

    def _coding_layer(self, filters, kernel_size, name, **arguments):
        return ConvSparseCoding2D(
            filters,
            kernel_size,
            ridge=self.ridge,
            iterations=self.iterations,
            algorithm=self.algorithm,
            gradient=self.gradient,
            tight_frame=self.tight_frame,
            dtype=self.dtype_policy,
            name=name,
            **arguments,
        )

    def _stage(self, filters, sparsity, name):
        return self._coding_layer(
            filters,
            self.kernel_size,
            name,
            strides=2,
            sparsity=sparsity,
            nonnegative=self.nonnegative,
        )

    def _normalization(self, name):
        return SharedBatchNormalization(
            isotropic=self.isotropic,
            scale=not self.isotropic,
            dtype=self.dtype_policy,
            name=name,
        )

    def _head(self):
        return self._coding_layer(
            self.feature_dim,
            self.code_size,
            "head",
            padding="valid",
            sparsity=0.0,
        )

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for layer, normalization in zip(
            self.coding_layers, self.normalizations
        ):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            shape = (*shape[:-1], self.parts_per_code * shape[-1])
            normalization.build(shape)
        self.head.build(shape)
        self.built = True

    def call(self, images, training=None):
        output = self.stages(images, training=training)
        if training:
            self.update_statistics(output.moments)
        return output.features

    def stages(self, images, training=None, moments=None, sparsity=None):
        """Encodes images and returns what every stage made of them.

        Changes no state: in training, `update_statistics` is to be called
        besides.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].
            training: bool, whether to normalise with statistics of the batch.
            moments: statistics to normalise with instead, of another batch's
                `EncoderOutput`.
            sparsity: `λ` of the first stage for this call, a number or a
                tensor `(batch,)`.

        Returns:
            `EncoderOutput`.
        """
        if not self.built:
            self.build(None)
        codes, used = [], []
        signal = as_images(images, self.image_shape)
        for number, normalization in enumerate(self.normalizations):
            signal = self.code(number, signal, None if number else sparsity)
            codes.append(signal)
            signal = self.parts(signal)
            if moments is None and training:
                signal, statistics = normalization.normalize(signal)
            else:
                statistics = moments[number] if moments else None
                signal = normalization(signal, moments=statistics)
            used.append(statistics)
            signal = self.activate(signal)
        return EncoderOutput(self._features(signal), codes, used)

    def _features(self, signal):
        features = at_least_float32(self.head(signal, training=False))
        return to_sphere(ops.reshape(features, (-1, self.feature_dim)))

    def code(self, number, signal, sparsity=None):
        """Codes of a stage for its input, before they are normalised."""
        layer = self.coding_layers[number]
        return layer(signal, sparsity=sparsity, training=False)

    def residual(self, images, codes):
        """`mean (x - A z)²`: what the codes of the first stage leave over.

        The codes are constants, so that its gradient is the dictionary's.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].
            codes: tensor, the first of `EncoderOutput.codes`.
        """
        made = self.coding_layers[0].synthesize(
            ops.stop_gradient(codes), self.image_shape[:2]
        )
        images = as_images(images, self.image_shape)
        difference = at_least_float32(images) - at_least_float32(made)
        return ops.mean(ops.square(difference))

    def parts(self, codes):
        """Positive and negative parts of codes, if the encoder splits them."""
        return split_signs(codes) if self.parts_per_code == 2 else codes

    def activate(self, signal):
        """What the next stage is given, of normalised codes: these."""
        return signal

    def update_statistics(self, moments):
        """Updates the moving statistics and the estimates of `λmax`.

        Args:
            moments: of an `EncoderOutput` in training.
        """
        for normalization, (mean, variance) in zip(
            self.normalizations, moments
        ):
            normalization.update(mean, variance)
        self.update_operator_norms()

    def update_operator_norms(self, iterations=1):
        """Runs power iterations for `λmax` of every layer."""
        for layer in (*self.coding_layers, self.head):
            layer.update_operator_norm(iterations)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.feature_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "filters": self.filters,
            "feature_dim": self.feature_dim,
            "kernel_size": self.kernel_size,
            "sparsity": self.sparsity,
            "ridge": self.ridge,
            "nonnegative": self.nonnegative,
            "split": self.split,
            "iterations": self.iterations,
            "algorithm": self.algorithm,
            "gradient": self.gradient,
            "tight_frame": self.tight_frame,
            "isotropic": self.isotropic,
            "frozen_stages": self.frozen_stages,
        }


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvEncoder(Encoder):
    """The generic convolutional encoder of the same widths: the baseline.

    Every stage is a convolution of stride 2, a batch normalisation, but for the
    first, and a leaky ReLU of slope 0.2; the head is a convolution. The initial
    values are the parents': kernels from `N(0, 0.02)`, `γ` from `N(1, 0.02)`.
    Takes the arguments of `Encoder`; those of the sparse coding program,
    `split` and `isotropic` have no effect.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A: DCGAN's discriminator.
    """

    rectifies = True
    parts_per_code = 1

    def _coding_layer(self, filters, kernel_size, name, **arguments):
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=arguments.get("strides", 1),
            padding=arguments.get("padding", "same"),
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name=name,
        )

    def _normalization(self, name):
        if name == "normalization_1":
            return Unnormalized(dtype=self.dtype_policy, name=name)
        return SharedBatchNormalization(
            gamma_initializer=dcgan_gamma(),
            dtype=self.dtype_policy,
            name=name,
        )

    def code(self, number, signal, sparsity=None):
        if sparsity is not None:
            raise ValueError(
                "A ConvEncoder has no sparse codes: `sparsity` must be None."
            )
        return self.coding_layers[number](signal)

    def activate(self, signal):
        return ops.leaky_relu(signal, 0.2)

    def update_operator_norms(self, iterations=1):
        """There are none."""
        return None


@keras.saving.register_keras_serializable(package="keras_csc")
class Unnormalized(SharedBatchNormalization):
    """Leaves its input as it is, and knows its moments."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "center": False, "scale": False})

    def _affine(self, inputs, mean, variance):
        return inputs

    def _scaled(self, inputs, mean, variance):
        return inputs

    def normalize(self, inputs):
        mean, variance = batch_moments(inputs)
        return inputs, (ops.stop_gradient(mean), ops.stop_gradient(variance))


def dcgan_gamma():
    """Initial scale of the parents' normalisations, `N(1, 0.02)`."""
    return keras.initializers.RandomNormal(mean=1.0, stddev=0.02)


def final_size(image_shape, stages):
    """Height of the codes after so many stages of stride 2.

    Raises:
        ValueError: for an image whose sides are not equal, or not divisible
            by `2 ** stages`.
    """
    height, width, _ = image_shape
    if height != width or height % 2**stages or height < 2**stages:
        raise ValueError(
            f"`image_shape` must be square, with sides divisible by "
            f"{2**stages} for {stages} stages of stride 2. "
            f"Received: {tuple(image_shape)}"
        )
    return height // 2**stages


def _of_every_stage(sparsity, stages):
    """A list of `λ`, one for each stage.

    Raises:
        ValueError: for a list of another length.
    """
    if not isinstance(sparsity, (list, tuple)):
        check_at_least(0, sparsity=sparsity)
        return [sparsity] * stages
    if len(sparsity) != stages:
        raise ValueError(
            f"`sparsity` must be one number, or one for each of the {stages} "
            f"stages. Received: {shown(sparsity)}"
        )
    return list(sparsity)


def split_signs(codes):
    """`[max(z, 0), max(-z, 0)]` along the last axis."""
    return ops.concatenate([ops.relu(codes), ops.relu(-codes)], axis=-1)
