"""The encoder: from an image to its features, stage by stage."""

import math

import keras
from keras import ops

from keras_csc import constraints
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import SharedBatchNormalization
from keras_csc.models.architecture import check_architecture
from keras_csc.models.architecture import of_every_stage
from keras_csc.models.inputs import as_images
from keras_csc.models.inputs import check_shape
from keras_csc.models.layouts import LAYOUTS
from keras_csc.models.player import EncoderOutput
from keras_csc.models.player import Player
from keras_csc.models.player import defaults_of
from keras_csc.ops import analysis
from keras_csc.ops import postfilter
from keras_csc.ops import prefilter
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import at_least_float32
from keras_csc.ops.tensors import at_least_float32_of
from keras_csc.ops.tensors import to_sphere
from keras_csc.validation import check_bool


@keras.saving.register_keras_serializable(package="keras_csc")
class Encoder(Player):
    """Stack of convolutional sparse coding layers with features on the sphere.

    Every stage is a `ConvSparseCoding2D`, whose output solves a sparse coding
    program, and a batch normalisation of its codes:

    `z^l = argmin_z  λ/L ‖z‖₁ + ½‖x^{l-1} - D^l z‖₂²`, `D^l = A^l / L`.

    The next stage is given the positive and the negative parts of signed codes
    as channels of their own, `[max(z, 0), max(-z, 0)]`. These are non-negative
    codes of a dictionary that holds every atom in both signs. The head is the
    analysis `Aᵀ x` of all that is left of the image. Its `feature_dim` numbers
    are scaled to unit norm. (The head of maps is given the signed codes of the
    last stage: drawn parts would need twice as many features a place.)

    The normalisation of tight frames is isotropic: it shifts the codes and
    divides all channels by one deviation. Then only the thresholds of a stage
    change distances much. The finest details of an image are
    mostly noise, and stay as small in the features as they are in the image.
    It has an offset `β` in the last stage alone. Offsets below would grow until
    the codes above are large constants, which no threshold and no sign changes.
    `λ` is absolute, in the units of the stage's input: crops and tiles of an
    image have its codes. Above the first stage the unit is the deviation of
    this input.

    Files hold these arguments. A change of a layer, as
    `encoder.coding_layers[0].iterations = 10`, is not saved with a model.

    Args:
        image_shape: `(height, width, channels)`; height and width divisible
            by the product of the strides, `stride`. With `features="map"` the
            shape of the images to train on.
        filters: ints, the number of atoms of every stage.
        feature_dim: int, `d`.
        kernel_size: int, height and width of the atoms, or a list with one
            for each stage.
        strides: int, or a list with one for each stage.
        sparsity: float, `λ` of every stage, or a list with one for each.
        zeros: float in (0, 1), the share of a stage's codes that are to be 0,
            or a list with one for each stage. `λ` then begins at `sparsity`,
            and every training step moves it so that the share comes nearer.
            `None` for a fixed `λ`.
        nonnegative: bool, whether the codes of the stages are `≥ 0`, as in the
            published network.
        iterations: int, solver steps of every layer.
        tight_frame: bool, whether the atoms of every layer are kept a tight
            frame, and the normalisation is isotropic. If not, atoms have norm
            1. Then every channel of codes is normalised by its own deviation
            and has a scale `γ`, as in the published network. But the atoms of
            the first stages can become blind to details that the decoder draws
            badly.
        lapped: bool, whether the first stage codes `ops.prefilter` of the
            images. Its atoms, as large as its stride, then draw as atoms twice
            as wide, which overlap. So images of maps have no seams.
        features: `"vector"`, one for an image, or `"map"`, one at every place
            of the last codes. With maps the head has 1×1 places and the encoder
            is convolutional throughout: it takes images of any height and
            width of 8 and more. Sides that are not divisible by `stride` are
            continued by reflection, below and to the right.

    Call arguments:
        images: tensor `(batch, height, width, channels)` in [-1, 1].
        training: bool.

    Output shape: `(batch, feature_dim)`, or `(batch, map_height, map_width,
        feature_dim)` with `map_height = ⌈height / stride⌉`: float32 vectors of
        unit norm.

    Attributes:
        layout: `FeatureVector` or `FeatureMap`, the shapes of images and
            features.
        parts_per_code: ints, how many channels every stage hands on for a code.
        block: int, side in pixels of the blocks of a lapped first stage, or 0.

    Raises:
        ValueError: for an argument that is not as above, or images of another
            shape.

    Reference:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024. The widths are as in the DCGAN encoder of Dai et al., CTRL,
        Entropy 2022, appendix A.
    """

    def __init__(
        self,
        image_shape=(32, 32, 3),
        filters=(64, 128, 256),
        feature_dim=128,
        kernel_size=4,
        strides=2,
        sparsity=0.1,
        zeros=None,
        nonnegative=False,
        iterations=2,
        tight_frame=True,
        lapped=False,
        features="vector",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_bool(tight_frame=tight_frame, lapped=lapped)
        network = image_shape, filters, feature_dim, kernel_size, strides
        self.kernel_sizes, self.stage_strides = check_architecture(
            *network, features, lapped
        )
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.feature_dim = feature_dim
        self.kernel_size = kernel_size
        self.strides = strides
        self._sparsity = sparsity
        self.zeros = zeros
        self.nonnegative = nonnegative
        self.iterations = iterations
        self.tight_frame = tight_frame
        self.lapped = lapped
        self.features = features
        self.stride = math.prod(self.stage_strides)
        self.block = self.stage_strides[0] if lapped else 0
        self.layout = LAYOUTS[features](image_shape, self.stride, feature_dim)
        self.accepted_shape = self.layout.images
        below, last = (1, 1) if nonnegative else (2, self.layout.head_parts)
        self.parts_per_code = (*(below,) * (len(self.filters) - 1), last)
        self._make_layers()

    def _make_layers(self):
        stages = range(len(self.filters))
        constraint = "tight_frame" if self.tight_frame else "unit_atoms"
        last = stages[-1]
        sparsity = of_every_stage(len(stages), sparsity=self._sparsity)
        zeros = of_every_stage(len(stages), zeros=self.zeros)
        self.coding_layers = [
            ConvSparseCoding2D(
                self.filters[stage],
                self.kernel_sizes[stage],
                self.stage_strides[stage],
                sparsity=sparsity[stage],
                relative=False,
                zeros=zeros[stage],
                nonnegative=self.nonnegative,
                iterations=self.iterations,
                kernel_constraint=constraint,
                dtype=self.dtype_policy,
                name=f"stage_{stage + 1}",
            )
            for stage in stages
        ]
        self.normalizations = [
            SharedBatchNormalization(
                isotropic=self.tight_frame,
                center=stage == last or not self.tight_frame,
                scale=not self.tight_frame,
                dtype=self.dtype_policy,
                name=f"normalization_{stage + 1}",
            )
            for stage in stages
        ]
        self.head = keras.layers.Conv2D(
            self.feature_dim,
            self.layout.head_size,
            data_format="channels_last",
            use_bias=False,
            kernel_initializer=_orthonormal,
            kernel_constraint=constraints.get(constraint),
            dtype=self.dtype_policy,
            name="head",
        )

    @property
    def sparsity(self):
        """`λ` as it is now: with `zeros`, a list with one for each stage."""
        if self.zeros is None or not self.built:
            return self._sparsity
        return [layer.sparsity for layer in self.coding_layers]

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for layer, count, normalization in zip(
            self.coding_layers, self.parts_per_code, self.normalizations
        ):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            shape = (*shape[:-1], count * shape[-1])
            normalization.build(shape)
        self.head.build(shape)
        self.built = True

    def call(self, images, training=None):
        output = self.activations(images, training=training)
        if training:
            self.update_statistics(output)
        return output.features

    def activations(self, images, training=None, sparsity=None):
        """Encodes images and returns what every stage made of them.

        It changes no state: in training, call `update_statistics`, too.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].
            training: bool, whether to normalise with statistics of the batch.
            sparsity: `λ` of the first stage for this call, a number or a
                tensor `(batch,)`.

        Returns:
            `EncoderOutput`.
        """
        images = as_images(images, self.accepted_shape)
        return self.run_stages(images, training, sparsity=sparsity)

    def run_stages(self, signal, training=None, statistics=None, sparsity=None):
        """`activations` of float images that are known to fit.

        `statistics`, from the `EncoderOutput` of another batch, normalise
        instead of the batch's own.
        """
        if not self.built:
            self.build(None)
        codes, used, inputs = [], [], []
        signal = self.to_blocks(self.layout.to_places(signal))
        for number, layer in enumerate(self.coding_layers):
            inputs.append(signal)
            given = {"sparsity": sparsity, "training": bool(training)}
            codes.append(layer(signal, **given))
            signal, sparsity = self.parts(number, codes[-1]), None
            moments = statistics[number] if statistics else None
            if training and moments is None:
                signal, moments = self.normalizations[number].normalize(signal)
            else:
                signal = self.normalizations[number](signal, statistics=moments)
            used.append(moments)
        inputs.append(signal)
        return EncoderOutput(self._features(signal), codes, used, inputs)

    def features_of(self, number, codes):
        """Features of a stage's codes, which the stages above code in turn.

        As in inference: from the codes of `activations` it makes the same
        features.

        Args:
            number: int, of the stage, from 0.
            codes: tensor, of the shape of `EncoderOutput.codes[number]`.
        """
        signal = self.normalizations[number](self.parts(number, codes))
        for stage in range(number + 1, len(self.coding_layers)):
            codes = self.coding_layers[stage](signal, training=False)
            signal = self.normalizations[stage](self.parts(stage, codes))
        return self._features(signal)

    def _features(self, signal):
        # As a matrix product, where the layer itself would convolve.
        signal = ops.cast(signal, self.compute_dtype)
        kernel = as_dtype_of(self.head.kernel, signal)
        features = at_least_float32(analysis(signal, kernel, padding="valid"))
        return to_sphere(self.layout.from_map(features))

    def to_blocks(self, images):
        """What the first stage is given; a lapped encoder prefilters images."""
        return prefilter(images, self.block) if self.block else images

    def from_blocks(self, signal):
        """Undoes `to_blocks`: pixels of a signal like the first stage's."""
        return postfilter(signal, self.block) if self.block else signal

    def parts(self, number, codes):
        """What a stage normalises: its codes, or `[max(z, 0), max(-z, 0)]`."""
        if self.parts_per_code[number] == 1:
            return codes
        return ops.concatenate([ops.relu(codes), ops.relu(-codes)], axis=-1)

    def residuals(self, output):
        """`mean (x^{l-1} - D^l z^l)²`: what every stage's codes leave over.

        Scalars of an `EncoderOutput`, from the image up. Input and codes are
        constants: the gradient is the dictionary's.
        """
        errors = []
        for layer, *tensors in zip(
            self.coding_layers, output.inputs, output.codes
        ):
            signal, codes = map(ops.stop_gradient, tensors)
            drawn = at_least_float32(layer.synthesize(codes))
            signal = as_dtype_of(signal, drawn)
            errors.append(ops.mean(ops.square(signal - drawn)))
        return errors

    def update_statistics(self, output):
        """Updates what moves with the images, not with gradients."""
        for normalization, (mean, variance) in zip(
            self.normalizations, output.statistics
        ):
            normalization.update(mean, variance)
        for layer, codes in zip(self.coding_layers, output.codes):
            layer.update_sparsity(codes)

    def update_operator_norms(self):
        """Stores the bounds `L` of the atoms as they are."""
        for layer in self.coding_layers:
            layer.update_operator_norm()

    def compute_output_spec(self, images, training=None):
        check_shape("images", images.shape, self.accepted_shape)
        return self.output_spec(images)

    def compute_output_shape(self, input_shape):
        return self.layout.features_of(input_shape)

    def get_config(self):
        arguments = {name: getattr(self, name) for name in defaults_of(Encoder)}
        return {**super().get_config(), **arguments}


def _orthonormal(shape, dtype=None):
    """Orthonormal atoms; half precision has no decomposition for them."""
    precise = at_least_float32_of(dtype)
    atoms = keras.initializers.Orthogonal()(shape, dtype=precise)
    return ops.cast(atoms, dtype)
