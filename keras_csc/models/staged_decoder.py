"""What decoders have in common: the shapes of features and images."""

import keras

from keras_csc.models.inputs import check_shape
from keras_csc.ops.tensors import at_least_float32_of


class StagedDecoder(keras.Model):
    """A decoder of stages: what features it takes, and how large it draws.

    A subclass has the attributes `image_shape`, `stride`, `feature_dim` and
    `features` of its encoder.
    """

    @property
    def map_shape(self):
        """Shape of the features of an image, as a map of one place or more."""
        size = [n // self.stride for n in self.image_shape[:2]]
        size = (1, 1) if self.features == "vector" else size
        return (*size, self.feature_dim)

    @property
    def features_shape(self):
        """Shape of the features that it takes; `None` for any size."""
        size = () if self.features == "vector" else (None, None)
        return (*size, self.feature_dim)

    def compute_output_spec(self, features, training=None, moments=None):
        check_shape("features", features.shape, self.features_shape)
        shape = self.compute_output_shape(features.shape)
        return keras.KerasTensor(shape, at_least_float32_of(self.compute_dtype))

    def compute_output_shape(self, input_shape):
        if self.features == "vector":
            return (input_shape[0], *self.image_shape)
        sizes = [n and n * self.stride for n in input_shape[1:3]]
        return (input_shape[0], *sizes, self.image_shape[-1])
