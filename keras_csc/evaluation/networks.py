"""The networks whose features measure images, and the names they give."""

import zipfile

import keras
import tensorflow as tf
from keras import initializers
from keras import layers
from keras import ops

from keras_csc.evaluation.passes import by_batches
from keras_csc.files import check_archive
from keras_csc.files import digest


@keras.saving.register_keras_serializable(package="keras_csc")
class ImageClassifier(keras.Model):
    """Small convolutional classifier of the images of one data set.

    It has 3x3 convolutions, each with batch normalisation, ReLU and a 2x2
    maximum. The mean over places is the feature, which a linear layer
    classifies. It is an instrument: its features measure images where there is
    no ImageNet network. Figures from it carry its name.

    Args:
        image_shape: `(height, width, channels)`, at least `2 ** len(filters)`
            pixels a side.
        num_classes: int, at least 2.
        filters: ints, channels of every convolution.
        record: dict of strings and numbers that is kept with the weights, such
            as its training data and its accuracy.
        seed: int, of the weights.

    Call arguments:
        images: tensor `(batch, height, width, channels)` in [-1, 1].
        training: bool.

    Output shape: `(batch, num_classes)` logits.

    Example:

    >>> classifier = ImageClassifier((32, 32, 3), 10)
    >>> fit_classifier(classifier, batches, steps=2000)
    >>> features, probabilities = classifier.describe(images)
    """

    def __init__(
        self,
        image_shape,
        num_classes,
        filters=(32, 64, 128),
        record=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.filters = tuple(filters)
        self.record = dict(record or {})
        self.seed = seed
        self.body = keras.Sequential(name="body")
        for number, width in enumerate(self.filters):
            convolution = layers.Conv2D(
                width,
                3,
                padding="same",
                use_bias=False,
                data_format="channels_last",
                kernel_initializer=initializers.HeNormal(seed + number),
            )
            self.body.add(convolution)
            self.body.add(layers.BatchNormalization(momentum=0.9))
            self.body.add(layers.ReLU())
            self.body.add(layers.MaxPooling2D(data_format="channels_last"))
        self.body.add(layers.GlobalAveragePooling2D("channels_last"))
        self.head = layers.Dense(
            num_classes,
            kernel_initializer=initializers.GlorotUniform(seed),
            name="head",
        )
        self(keras.Input(image_shape))

    def call(self, images, training=None):
        return self.head(self.body(images, training=training))

    def describe(self, images):
        """Features and class probabilities of images, in one pass.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].

        Returns:
            `(features, probabilities)` of shapes `(batch, filters[-1])` and
            `(batch, num_classes)`.
        """
        features = self.body(images, training=False)
        return features, ops.softmax(self.head(features))

    def get_config(self):
        return {
            "name": self.name,
            "image_shape": self.image_shape,
            "num_classes": self.num_classes,
            "filters": self.filters,
            "record": self.record,
            "seed": self.seed,
        }


def fit_classifier(classifier, batches, steps):
    """Trains a classifier with cross-entropy.

    Adam has the rate 0.003, which falls to 0 along a cosine.

    Args:
        classifier: `ImageClassifier`.
        batches: endless `tf.data.Dataset` of `(images, labels)`, images in
            [-1, 1] and labels in `[0, num_classes)`.
        steps: int, batches to train for.
    """
    classifier.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(3e-3, steps)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    classifier.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)


class FeatureExtractor:
    """Features and class probabilities of images, from a named network.

    Args:
        describe: function from a tensor of images `(batch, height, width,
            channels)` in [-1, 1] to `(features, probabilities)`, or to
            `(features,)`. It may call any network, such as DINOv2.
        name: str, to be named with every figure.
        about: dict of what identifies the network and its input.

    Call arguments:
        images: uint8 array `(n, height, width, channels)`, or floats in
            [-1, 1], which are clipped to that range.
        batch_size: int.

    Returns:
        `(features, probabilities)`, float32 arrays of shapes `(n, d)` and
        `(n, classes)`; without probabilities `(features,)`.
    """

    def __init__(self, describe, name, about):
        self.name = name
        self.about = {"name": name, **about}
        self._describe = tf.function(
            lambda images: describe(tf.clip_by_value(images, -1.0, 1.0)),
            autograph=False,
            reduce_retracing=True,
        )

    def __call__(self, images, batch_size=100):
        return by_batches(self._describe, images, batch_size)


def classifier_extractor(path):
    """The extractor of an `ImageClassifier` in a file.

    Args:
        path: `.keras` file.

    Returns:
        `FeatureExtractor`, named after the classifier's record: its data set
        and test accuracy.

    Raises:
        ValueError: if the file does not hold an `ImageClassifier`.
    """
    try:
        check_archive(path)
        classifier = keras.saving.load_model(path, compile=False)
    except (
        *(OSError, KeyError, TypeError, ValueError),
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"{path} is not the file of an `ImageClassifier`: {error}"
        ) from error
    if not isinstance(classifier, ImageClassifier):
        raise ValueError(
            f"{path} must hold an `ImageClassifier`. Received: "
            f"{type(classifier).__name__}"
        )
    record = classifier.record
    accuracy = record.get("test_accuracy")
    return FeatureExtractor(
        classifier.describe,
        f"classifier of {record.get('dataset', 'unnamed data')}, test accuracy "
        f"{'unknown' if accuracy is None else format(accuracy, '.3f')}",
        {"file": str(path), "sha256": digest(path), **record},
    )
