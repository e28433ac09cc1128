"""A classifier trained here, whose features measure images."""

import keras
from keras import initializers
from keras import layers
from keras import ops


@keras.saving.register_keras_serializable(package="keras_csc")
class ImageClassifier(keras.Model):
    """Small convolutional classifier of the images of one data set.

    3x3 convolutions, each with batch normalisation, ReLU and a 2x2 maximum;
    the mean over places is the feature, which a linear layer classifies. It is
    an instrument: its features measure images where there is no ImageNet
    network, and figures from it carry its name.

    Args:
        image_shape: `(height, width, channels)`, at least `2 ** len(filters)`
            pixels a side.
        num_classes: int, at least 2.
        filters: ints, channels of every convolution. Defaults to
            `(32, 64, 128)`.
        record: dict of strings and numbers that is kept with the weights: on
            what it was trained, its accuracy. Defaults to empty.
        seed: int, of the weights. Defaults to 0.

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
        if min(image_shape[:2]) < 2 ** len(filters):
            raise ValueError(
                f"`image_shape` must have at least {2 ** len(filters)} pixels "
                f"a side. Received: {image_shape}"
            )
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
                kernel_initializer=initializers.HeNormal(seed + number),
            )
            self.body.add(convolution)
            self.body.add(layers.BatchNormalization(momentum=0.9))
            self.body.add(layers.ReLU())
            self.body.add(layers.MaxPooling2D())
        self.body.add(layers.GlobalAveragePooling2D())
        self.head = layers.Dense(
            num_classes,
            kernel_initializer=initializers.GlorotUniform(seed),
            name="head",
        )
        self.build((None, *self.image_shape))

    def build(self, input_shape=None):
        if not self.built:
            self.body.build((None, *self.image_shape))
            self.head.build((None, self.filters[-1]))
            self.built = True

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


def fit_classifier(classifier, batches, steps, callbacks=()):
    """Trains a classifier with cross-entropy.

    Adam with rate 0.003, which falls to 0 along a cosine.

    Args:
        classifier: `ImageClassifier`.
        batches: endless `tf.data.Dataset` of `(images, labels)`, images in
            [-1, 1] and labels in `[0, num_classes)`.
        steps: int, batches to train for.
        callbacks: Keras callbacks.
    """
    classifier.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(3e-3, steps)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    classifier.fit(
        batches,
        epochs=1,
        steps_per_epoch=steps,
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    )


def classifier_accuracy(classifier, batches):
    """Share of examples whose largest logit is that of their label.

    Args:
        classifier: `ImageClassifier`, trained by `fit_classifier`.
        batches: finite `tf.data.Dataset` of `(images, labels)`.
    """
    return classifier.evaluate(batches, verbose=0, return_dict=True)["accuracy"]
