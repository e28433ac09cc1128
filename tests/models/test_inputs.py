"""Images, features and sparsities that are not what they must be."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from keras_csc.models.inputs import as_labels
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch

WRONG_IMAGES = [(), (8, 8, 1), (4, 4, 4, 1), (2, 8, 8, 3), (0, 8, 8, 1)]
WRONG_FEATURES = [(), (5,), (2, 4), (1, 2, 5), (0, 5)]


@pytest.fixture(scope="module")
def model():
    model = small_autoencoder()
    model.compile(sgd(), run_eagerly=True)
    return model


def images(n=4):
    return small_batch(n=n)[0]


def zeros(shape):
    return np.zeros(shape, "float32")


def with_pixel(value):
    wrong = images()
    wrong[2, 0, 0, 0] = value
    return wrong


@pytest.mark.parametrize(
    "wrong, message",
    [
        *((zeros(shape), "must h") for shape in WRONG_IMAGES),
        (zeros((8, 8, 1)), r".*axis for the batch: images\[None\]"),
        (np.ones((2, 8, 8, 1), "int32"), "must be floats.*uint8"),
        (with_pixel(np.nan), r"must be .* Row \[2\]"),
        (with_pixel(200.0), r"must be .* Row \[2\]"),
    ],
)
def test_wrong_images_are_refused(model, wrong, message):
    for function in (
        model,
        model.encode,
        model.reconstruct,
        lambda images: model.denoise(images, 0.1),
        lambda images: model.predict(images, verbose=0),
        model.train_on_batch,
        model.test_on_batch,
    ):
        with pytest.raises(ValueError, match=f"`images` {message}"):
            function(wrong)
    if "Row" not in message:  # The encoder alone looks at no values.
        with pytest.raises(ValueError, match=f"`images` {message}"):
            model.encoder(wrong)


def test_wrong_features_are_refused(model):
    for shape in WRONG_FEATURES:
        with pytest.raises(ValueError, match="`features` must h"):
            model.decode(zeros(shape))
    features = model.encode(images()).numpy()
    features[1, 3] = features[3, 0] = np.nan
    message = r"`features` must be finite.* Row \[1, 3\]"
    with pytest.raises(ValueError, match=message):
        model.decode(features)


def test_shapes_that_only_a_running_graph_knows_are_refused(model):
    signature = [tf.TensorSpec(None, tf.float32)]
    encode = tf.function(model.encode, input_signature=signature)
    decode = tf.function(model.decode, input_signature=signature)
    features = encode(images())
    np.testing.assert_allclose(features, model.encode(images()), atol=1e-6)
    np.testing.assert_allclose(
        decode(features), model.decode(features), atol=1e-6
    )
    for shape in WRONG_IMAGES:
        with pytest.raises(tf.errors.InvalidArgumentError, match="8,8,1|empty"):
            encode(zeros(shape))
    for shape in WRONG_FEATURES:
        with pytest.raises(tf.errors.InvalidArgumentError, match=",5|empty"):
            decode(zeros(shape))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Row\] \[1\]"):
        decode(zeros((2, 5)) + [[0.0], [np.nan]])


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


@pytest.mark.parametrize(
    "sparsity, message",
    [
        (-0.1, r"at least 0.* Row \[0, 1, 2, 3\]"),
        ([0.1, np.inf, 0.1, np.nan], r"Row \[1, 3\]"),
        ([0.1, 0.1], r"one for every image.* 2 for 4 images"),
    ],
    ids=str,
)
def test_sparsities_that_make_no_sense_are_refused(model, sparsity, message):
    with pytest.raises(ValueError, match=message):
        model.denoise(images(), sparsity)


def test_sparsities_of_every_kind(model):
    expected = model.denoise(images(), 0.2)
    for sparsity in (tf.constant(0.2), [0.2], np.full(4, 0.2), [[0.2]] * 4):
        found = model.denoise(images(), sparsity)
        np.testing.assert_allclose(found, expected, atol=1e-6)


class Batches(keras.utils.PyDataset):
    def __init__(self, *batches, **kwargs):
        super().__init__(**kwargs)
        self.batches, self.epochs = batches, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_end(self):
        self.epochs += 1


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


def sources(*given):
    """Images, or images and labels, as Keras takes them."""
    yield given
    yield (tf.data.Dataset.from_tensor_slices(given).batch(4),)
    yield ((batch for batch in [given]),)
    yield (Batches(given),)
    yield tuple(Elsewhere(array) for array in given)


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_pixels_of_another_range_are_refused(model, method):
    for data in sources(127.5 * images() + 127.5):
        with pytest.raises(ValueError, match="`images` must be .*127.5 - 1"):
            getattr(model, method)(*data, verbose=0)
    noisy, rounded = 1.5 * images(), 1.0004 * np.sign(images())
    getattr(model, method)(rounded, verbose=0)
    if method == "predict":
        model.predict(noisy, verbose=0)
    else:
        with pytest.raises(ValueError, match="Beyond 1.001"):
            model.fit(noisy, verbose=0)


@pytest.mark.parametrize("method", ["fit", "predict", "train_on_batch"])
def test_every_image_of_an_array_is_looked_at(model, method):
    wrong, before = np.tile(images(), (40, 1, 1, 1)), model.get_weights()
    wrong[150, 3, 3, 0] = np.nan
    with pytest.raises(ValueError, match=r"^`images` must be .*Row \[150\]$"):
        getattr(model, method)(wrong)
    for weight, after in zip(before, model.get_weights()):
        np.testing.assert_array_equal(weight, after)


def test_images_scaled_to_0_and_1_are_a_warning_once(model):
    wrong = 0.5 * images(8) + 0.5
    functions = model.encode, model.fit, model
    for function in functions:
        with pytest.warns(UserWarning, match=r"in \[-1, 1\].*2 \* images - 1"):
            function(wrong)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for function in functions:
            function(wrong)
    assert len(caught) == 1
    bright = np.full((8, 8, 8, 1), 200, "uint8")
    bright[0] = 255
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for right in (wrong[:7], images(8), zeros((8, 8, 8, 1)), bright):
            model.encode(right)


LATE = {
    "data set": tf.data.Dataset.from_tensor_slices,
    "generator": lambda late: ((batch,) for batch in late),
    "iterator": iter,
    "PyDataset": lambda late: Batches(*late),
    "threads": lambda late: Batches(*late, workers=2),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's, of generators
@pytest.mark.parametrize(
    "method, kind",
    [("evaluate", "data set"), *(("fit", kind) for kind in LATE)],
)
def test_a_later_batch_is_looked_at_too(method, kind):
    """The message is of one line, without a graph and its trace."""
    model = small_autoencoder(filters=(3,), iterations=1)
    model.compile(sgd())
    late = [*(images() for _ in range(5)), with_pixel(np.nan)]
    arguments = {"shuffle": False} if method == "fit" else {}
    with pytest.raises(ValueError, match=r"^`images` must be.*Row \[?2\]?$"):
        getattr(model, method)(LATE[kind](late), verbose=0, **arguments)
    for weight in model.get_weights():
        assert np.all(np.isfinite(weight))


def test_a_data_set_of_keras_is_told_of_its_epochs(model):
    dataset = Batches(images(), images())
    model.fit(dataset, epochs=3, verbose=0)
    assert dataset.epochs >= 3


def test_wrong_labels_are_one_error_before_training(model):
    one_hot = np.eye(4, 3, dtype="int64")
    model.fit(images(), one_hot, verbose=0)  # A game without classes.
    multi = small_autoencoder()
    game = TranscriptionGame("multi", num_classes=3)
    multi.compile(sgd(), None, game, run_eagerly=True)
    before = multi.get_weights()
    for labels in ([0, 1, -1, 2], [0, 1, 3, 2], one_hot, [0.0, 1, 2, 1]):
        labels = np.array(labels)
        for data in sources(images(), labels):
            with pytest.raises(ValueError, match=r"`labels` must .*\[0, 3\)"):
                multi.fit(*data, verbose=0)
        with pytest.raises(ValueError, match=r"`labels` must .*\[0, 3\)"):
            multi.train_on_batch(images(), labels)
    for weight, after in zip(before, multi.get_weights()):
        np.testing.assert_array_equal(weight, after)


def test_labels_of_bytes_are_of_as_many_classes_as_there_are():
    labels = tf.constant([0, 44, 255], "uint8")
    np.testing.assert_array_equal(as_labels(labels, 256), labels)
