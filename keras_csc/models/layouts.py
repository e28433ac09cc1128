"""One feature vector for an image, or a map of vectors: the shapes of both."""

from keras import ops

from keras_csc.models.tiles import reflected


class FeatureVector:
    """One vector for an image: the head has a weight for every place.

    Args:
        image_shape: `(height, width, channels)`, of training images.
        stride: int, product of the stages' strides.
        feature_dim: int.

    Attributes:
        head_size: int, height and width of the head's kernel.
        images: shape of the images that an encoder takes; `None` for any size.
        features: shape of the features that a decoder takes, likewise.
        map_shape: shape of the features of an image, as a map of one place or
            more.
        head_parts: int, how many channels the head is given for a signed code:
            2 for its positive and its negative part, 1 for the code.

    Raises:
        ValueError: for sides that are not divisible by the stride, or that are
            not equal if an image has one vector.
    """

    head_parts = 2

    def __init__(self, image_shape, stride, feature_dim):
        height, width, _ = self.images = tuple(image_shape)
        if height != width or height % stride:
            raise _indivisible(image_shape, stride, "square, ")
        self.head_size = height // stride
        self.features = (feature_dim,)
        self.map_shape = (1, 1, feature_dim)

    def features_of(self, images_shape):
        """Shape of the features of a batch of images."""
        return (images_shape[0], *self.features)

    def images_of(self, features_shape):
        """Shape of the images of a batch of features."""
        return (features_shape[0], *self.images)

    def to_places(self, images):
        """Images whose sides are divisible by the stride."""
        return images

    def from_map(self, features):
        """Features of the shape that users are given, from a map of them."""
        return ops.reshape(features, (-1, *self.features))

    def to_map(self, features):
        """Undoes `from_map`."""
        return ops.reshape(features, (-1, *self.map_shape))


class FeatureMap:
    """A vector at every place of the last codes: the head has 1×1 places.

    Arguments and methods are as in `FeatureVector`.
    """

    head_size = 1
    # Drawn parts would need twice as many features a place.
    head_parts = 1

    def __init__(self, image_shape, stride, feature_dim):
        *size, channels = image_shape
        if any(n % stride for n in size):
            raise _indivisible(image_shape, stride)
        self.stride = stride
        self.images = (None, None, channels)
        self.features = (None, None, feature_dim)
        self.map_shape = (*(n // stride for n in size), feature_dim)

    def features_of(self, images_shape):
        sizes = [n and -(-n // self.stride) for n in images_shape[1:3]]
        return (images_shape[0], *sizes, self.features[-1])

    def images_of(self, features_shape):
        sizes = [n and n * self.stride for n in features_shape[1:3]]
        return (features_shape[0], *sizes, self.images[-1])

    def to_places(self, images):
        return reflected(images, self.stride)

    def from_map(self, features):
        return features

    to_map = from_map


LAYOUTS = {"vector": FeatureVector, "map": FeatureMap}


def _indivisible(image_shape, stride, square=""):
    return ValueError(
        f"`image_shape` must be {square}with sides divisible by {stride}, the "
        "product of the stages' strides. Received: "
        f"{tuple(image_shape)}"
    )
