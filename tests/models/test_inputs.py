"""Images, features and sparsities that are not what they must be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from keras_csc.models import training_data
from keras_csc.models.inputs import as_labels
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch

WRONG_IMAGES = [
    (),
    (8,),
    (8, 8),
    (8, 8, 1),
    (4, 4, 4, 1),
    (1, 16, 16, 1),
    (2, 8, 8, 3),
    (2, 8, 16, 1),
    (1, 2, 8, 8, 1),
    (0, 8, 8, 1),
]
WRONG_FEATURES = [(), (5,), (2, 4), (2, 10), (1, 2, 5), (1, 1, 1, 5), (0, 5)]


@pytest.fixture(scope="module")
def model():
    model = small_autoencoder()
    model.compile(sgd(), run_eagerly=True)
    return model


def images(n=4):
    return small_batch(n=n)[0]


def zeros(shape):
    return np.zeros(shape, "float32")


@pytest.mark.parametrize("shape", WRONG_IMAGES, ids=str)
def test_images_of_wrong_shapes_are_refused(model, shape):
    wrong = zeros(shape)
    for function in (
        model,
        model.encode,
        model.reconstruct,
        model.encoder,
        model.encoder.activations,
        lambda images: model.denoise(images, 0.1),
        lambda images: model.train_step((images,)),
        lambda images: model.test_step((images,)),
        lambda images: model.predict_step(images),
    ):
        with pytest.raises(ValueError, match="`images` must h.*Received"):
            function(wrong)


@pytest.mark.parametrize("shape", WRONG_FEATURES, ids=str)
def test_features_of_wrong_shapes_are_refused(model, shape):
    for function in (model.decode, model.decoder):
        with pytest.raises(ValueError, match="`features` must h.*Received"):
            function(zeros(shape))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("shape", [(4, 4, 4, 1), (4, 8, 8, 3), (8, 8, 1)])
@pytest.mark.parametrize("kind", ["array", "dataset", "generator"])
def test_keras_methods_refuse_wrong_shapes(model, method, shape, kind):
    data = zeros(shape)
    if kind == "dataset":
        data = tf.data.Dataset.from_tensors(data)
    elif kind == "generator":
        data = (batch for batch in [data])
    with pytest.raises(ValueError, match="`images` must have the shape"):
        getattr(model, method)(data, verbose=0)


def test_one_image_alone_is_told_what_it_lacks(model):
    with pytest.raises(ValueError, match=r"axis for the batch: images\[None\]"):
        model.encode(zeros((8, 8, 1)))


def test_shapes_that_only_a_running_graph_knows_are_refused(model):
    encode = tf.function(
        model.encode, input_signature=[tf.TensorSpec(None, tf.float32)]
    )
    decode = tf.function(
        model.decode, input_signature=[tf.TensorSpec(None, tf.float32)]
    )
    given = images()
    features = encode(given)
    np.testing.assert_allclose(features, model.encode(given), atol=1e-6)
    np.testing.assert_allclose(
        decode(features), model.decode(features), atol=1e-6
    )
    for shape in WRONG_IMAGES:
        with pytest.raises(tf.errors.InvalidArgumentError, match="8,8,1|empty"):
            encode(zeros(shape))
    for shape in WRONG_FEATURES:
        with pytest.raises(tf.errors.InvalidArgumentError, match=",5|empty"):
            decode(zeros(shape))


def test_pixels_of_8_bits_are_scaled(model):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), "uint8")
    scaled = (pixels / 127.5 - 1).astype("float32")
    for function in (model, model.encode, model.encoder, model.predict_step):
        np.testing.assert_allclose(
            function(pixels), function(scaled), atol=1e-5
        )
    scores = [model.test_step((each,)) for each in (pixels, scaled)]
    for name, value in scores[0].items():
        np.testing.assert_allclose(value, scores[1][name], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "complex64"])
def test_other_types_are_refused(model, dtype):
    wrong = np.ones((2, 8, 8, 1), dtype)
    for function in (model.encode, model.encoder):
        with pytest.raises(ValueError, match="`images` must be floats.*uint8"):
            function(wrong)


def test_dictionaries_are_told_what_to_be(model):
    with pytest.raises(ValueError, match=r"dict of \['image'\].*\(images, lab"):
        model.fit(tf.data.Dataset.from_tensors({"image": images()}))


@pytest.mark.parametrize("value", [np.nan, np.inf, 200.0, 1e30])
def test_values_that_no_image_has_are_refused_by_row(model, value):
    wrong = images()
    wrong[2, 0, 0, 0] = value
    for function in (
        model,
        model.encode,
        model.reconstruct,
        lambda images: model.denoise(images, 0.1),
    ):
        with pytest.raises(ValueError, match=r"`images` must be .* Row \[2\]"):
            function(wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_by_row(model, value):
    features = model.encode(images()).numpy()
    features[1, 3] = features[3, 0] = value
    message = r"`features` must be finite.* Row \[1, 3\]"
    with pytest.raises(ValueError, match=message):
        model.decode(features)
    decode = tf.function(model.decode)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Row\] \[1 3\]"):
        decode(tf.constant(features))


@pytest.mark.parametrize(
    "sparsity, message",
    [
        (-0.1, "at least 0. Received: -0.1"),
        (np.nan, "at least 0. Received: nan"),
        ("0.1", "Received: '0.1'"),
        (None, "Received: None"),
        (np.float32(-1), "at least 0"),
        ([0.1, np.inf, 0.1, np.nan], r"Row \[1, 3\]"),
        ([0.1, 0.1], r"one for every image.* 2 for 4 images"),
        ([], r"one for every image.* 0 for 4 images"),
        ([[0.1]], r"one for every image.*\(1, 1\)"),
        ([True] * 4, "must be numbers"),
    ],
    ids=str,
)
def test_sparsities_that_make_no_sense_are_refused(model, sparsity, message):
    with pytest.raises(ValueError, match=f"`sparsity` .*{message}"):
        model.denoise(images(), sparsity)


def test_sparsities_of_every_kind(model):
    expected = model.denoise(images(), 0.2)
    for sparsity in (
        np.float32(0.2),
        tf.constant(0.2),
        [0.2],
        [0.2] * 4,
        np.full(4, 0.2),
    ):
        found = model.denoise(images(), sparsity)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(
        model.denoise(images(), 0), model.denoise(images(), [0, 0, 0, 0])
    )


class Batches(keras.utils.PyDataset):
    """Batches of a list."""

    def __init__(self, batches, **kwargs):
        super().__init__(**kwargs)
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class Elsewhere:
    """An array of another library."""

    def __init__(self, array):
        self.array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, places):
        return Elsewhere(self.array[places])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


def sources(given, labels=None):
    """The same data as Keras takes it."""
    pair = given if labels is None else (given, labels)
    yield "arrays", (given,) if labels is None else (given, labels)
    dataset = tf.data.Dataset.from_tensor_slices(pair)
    yield "dataset", (dataset.batch(4),)
    yield "generator", ((batch for batch in [pair]),)
    yield "PyDataset", (Batches([pair]),)
    others = [given] if labels is None else [given, labels]
    yield "others", tuple(Elsewhere(array) for array in others)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_pixels_of_another_range_are_refused(model, method):
    for _, data in sources(127.5 * images() + 127.5):
        with pytest.raises(ValueError, match="`images` must be .*127.5 - 1"):
            getattr(model, method)(*data, verbose=0)
    noisy = 1.5 * images()
    if method == "predict":
        model.predict(noisy, verbose=0)
    else:
        with pytest.raises(ValueError, match="Beyond 1.001"):
            getattr(model, method)(noisy, verbose=0)


@pytest.mark.parametrize("value", [np.nan, 200.0])
@pytest.mark.parametrize(
    "method",
    ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch"],
)
def test_every_image_of_an_array_is_looked_at(model, method, value):
    wrong, before = np.tile(images(), (40, 1, 1, 1)), model.get_weights()
    wrong[150, 3, 3, 0] = value
    with pytest.raises(ValueError, match=r"^`images` must be .*Row \[150\]$"):
        getattr(model, method)(wrong)
    for weight, after in zip(before, model.get_weights()):
        np.testing.assert_array_equal(weight, after)


LATE = [images(), images(), images(), images() + 300]
LATE_SOURCES = {
    "dataset": lambda: tf.data.Dataset.from_tensor_slices(LATE),
    "generator": lambda: ((batch,) for batch in LATE),
    "PyDataset": lambda: Batches(LATE),
    "threads": lambda: Batches(LATE, workers=2),
}


@pytest.mark.parametrize("kind", LATE_SOURCES)
def test_a_later_batch_of_a_data_set_is_looked_at_too(model, kind):
    data = LATE_SOURCES[kind]()
    with pytest.raises(ValueError, match=r"^`images` must .*Row .*0.*3\]?$"):
        model.evaluate(data, verbose=0)


def test_rounding_is_no_other_range(model):
    rounded = np.sign(images()) * np.float32(1.0004)
    model.evaluate(rounded, verbose=0)


WRONG_LABELS = {
    "negative": np.array([0, 1, -1, 2]),
    "out of range": np.array([0, 1, 3, 2]),
    "one-hot": np.eye(4, dtype="int64")[:, :3],
    "floats": np.array([0.0, 1.0, 2.0, 1.0]),
    "a column": np.array([[0], [1], [2], [1]]),
    "truth": np.array([True, False, True, True]),
}


@pytest.mark.parametrize("kind", WRONG_LABELS)
def test_wrong_labels_are_one_error_before_training(kind):
    model = small_autoencoder()
    game = TranscriptionGame("multi", num_classes=3)
    model.compile(sgd(), None, game, run_eagerly=True)
    before = model.get_weights()
    for _, data in sources(images(), WRONG_LABELS[kind]):
        with pytest.raises(ValueError, match=r"`labels` must .*\[0, 3\)"):
            model.fit(*data, verbose=0)
    with pytest.raises(ValueError, match=r"`labels` must .*\[0, 3\)"):
        model.train_on_batch(images(), WRONG_LABELS[kind])
    for weight, after in zip(before, model.get_weights()):
        np.testing.assert_array_equal(weight, after)


@pytest.mark.parametrize("num_classes", [256, 300])
def test_labels_of_bytes_are_of_as_many_classes_as_there_are(num_classes):
    labels = tf.constant([0, 44, 255], "uint8")
    found = as_labels(labels, num_classes)
    np.testing.assert_array_equal(found, labels)


def test_a_game_without_classes_does_not_look_at_labels(model):
    model.fit(images(), WRONG_LABELS["one-hot"], verbose=0)


def test_graphs_say_what_arrays_do():
    """Errors of a running graph become the same `ValueError`s."""

    @tf.function
    def fail():
        tf.raw_ops.Assert(
            condition=tf.constant(False), data=["`x` is wrong. Row", [3, 7]]
        )
        return 1

    with pytest.raises(ValueError, match=r"^`x` is wrong. Row 3 7$"):
        with training_data.value_errors():
            fail()
