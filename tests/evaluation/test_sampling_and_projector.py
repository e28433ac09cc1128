"""What is measured of images that a density makes, against its parts."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector import projector_plugin
from werkzeug import test
from werkzeug import wrappers

from keras_csc import evaluation
from keras_csc import metrics
from keras_csc.evaluation import drawing
from keras_csc.evaluation import evaluating
from keras_csc.generation import FeatureDensity
from keras_csc.pixels import from_pixels
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


def images_and_labels(count=40, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 1), np.uint8)
    return images, np.arange(count, dtype=np.int32) % 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = small_autoencoder()
    spread_weights(model)
    model.fit_density(*images_and_labels(90, 1))
    return model


@pytest.fixture(scope="module")
def judge():
    """Says of an image how bright its quarters are, and a class by that."""

    def describe(images):
        features = keras.ops.average_pool(images, 4, 4)
        features = keras.ops.reshape(features, (-1, 4))
        return features, keras.ops.softmax(20 * features[:, :3])

    return evaluation.FeatureExtractor(describe, "judge", {})


def measured(model, judge=None, labels=None, own_classes=True):
    images, own = images_and_labels()
    return evaluating.sampling_figures(
        model,
        images,
        own if labels is None else labels,
        model.predict(from_pixels(images), verbose=0),
        images_and_labels(90, 1)[0],
        judge,
        own_classes,
    )


@pytest.mark.parametrize(
    "arguments",
    [{"own_classes": False}, {"labels": images_and_labels()[1] + 1}],
    ids=["classes", "labels"],
)
def test_those_of_other_data_are_not_asked_for(model, judge, arguments):
    found = measured(model, judge, **arguments)
    assert found.figures["same_class"] is None
    assert found.figures["same_class_of_images"] is None
    assert found.figures["distribution"]["frechet_distance"] > 0
    made = model.sample(40, np.full(40, -1), seed=0)
    np.testing.assert_allclose(found.images, made, atol=1e-6)


def test_figures_are_those_of_the_samples(model, judge):
    found = measured(model, judge)
    images, labels = images_and_labels()
    train = images_and_labels(90, 1)[0]
    made = model.sample(40, labels, seed=0)
    np.testing.assert_allclose(found.images, made, atol=1e-6)
    same = np.argmax(judge(np.array(made))[1], 1) == labels
    assert found.figures["same_class"] == pytest.approx(np.mean(same))
    for each, name in ((made, "samples"), (from_pixels(images), "images")):
        distances, indices = metrics.nearest_images(each, from_pixels(train))
        expected = pytest.approx(np.mean(distances), abs=1e-5)
        assert found.figures["nearest"][name] == expected
        if name == "samples":
            np.testing.assert_array_equal(found.nearest, train[indices])
    features = [judge(each)[0] for each in (images, np.array(made), train[:40])]
    distribution = found.figures["distribution"]
    for other, received in (
        (features[1], distribution),
        (features[2], distribution["of_training_images"]),
    ):
        expected = metrics.frechet_distance(features[0], other)
        assert received["frechet_distance"] == pytest.approx(expected, rel=1e-3)
        assert received["network"]["name"] == "judge"


@pytest.mark.parametrize("labelled", [True, False])
def test_pictures(model, labelled):
    images, labels = images_and_labels()
    before = model.density
    if not labelled:
        model.density = FeatureDensity.fit(model.encode(images))
    samples = measured(model)
    assert samples.figures["distribution"] is None
    found = drawing.sample_pictures(model, samples, images)
    model.density = before
    assert set(found) == {"samples", "interpolation", "samples_nearest"}
    rows = 3 if labelled else 4
    assert len(found["samples"]) == rows * 48 + (rows + 1) * 2
    assert len(found["interpolation"]) == 8 * 48 + 9 * 2


RUN = "projector"


def written(folder, shape=(8, 8, 1), features=(5,), count=7):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *shape), np.uint8)
    labels = np.arange(count) % 3 - 1
    rows = rng.normal(size=(count, *features)).astype("float32")
    made = images / 127.5 - 1.0
    made[1] += 0.1
    for _ in range(2):  # Again into the same folder.
        evaluation.write_projector(
            folder / RUN,
            evaluation.Evaluation({}, rows, made, None),
            images,
            labels,
            ["a\tb", "c"],
        )
    return images, rows


def served(folder):
    """A function of a route, which returns what TensorBoard answers."""
    runs = event_multiplexer.EventMultiplexer()
    runs.AddRunsFromDirectory(str(folder))
    runs.Reload()
    provider = data_provider.MultiplexerDataProvider(runs, str(folder))
    plugin = projector_plugin.ProjectorPlugin(
        base_plugin.TBContext(data_provider=provider, logdir=str(folder))
    )
    apps = plugin.get_plugin_apps()

    def get(route):
        client = test.Client(apps[route], wrappers.Response)
        answer = client.get(f"{route}?run={RUN}&name=features")
        assert answer.status_code == 200, answer.data
        return answer

    return get


def test_features_thumbnails_and_labels_are_served(tmp_path):
    images, rows = written(tmp_path)
    get = served(tmp_path)
    found = np.frombuffer(get("/tensor").data, "float32").reshape(rows.shape)
    np.testing.assert_allclose(found, rows, rtol=1e-5)
    header, *lines = get("/metadata").data.decode().splitlines()
    assert header.split("\t") == ["class", "image", "PSNR"]
    names = ["unlabelled", "a b", "c"]
    assert [line.split("\t")[0] for line in lines] == [
        names[number % 3] for number in range(len(rows))
    ]
    assert lines[1].split("\t")[1] == "1"
    assert float(lines[1].split("\t")[2]) == pytest.approx(26.02, abs=0.5)
    (embedding,) = get("/info").json["embeddings"]
    width, height = embedding["sprite"]["singleImageDim"]
    assert (width, height) == (48, 48)
    sprite = np.asarray(Image.open(io.BytesIO(get("/sprite_image").data)))
    for number, image in enumerate(images):
        row, column = divmod(number, sprite.shape[1] // width)
        tile = sprite[row * height :, column * width :][:height, :width]
        np.testing.assert_array_equal(tile[::6, ::6, :1], image)


def test_maps_are_means_of_their_places(tmp_path):
    _, rows = written(tmp_path, (6, 12, 3), (2, 3, 4))
    get = served(tmp_path)
    found = np.frombuffer(get("/tensor").data, "float32").reshape(-1, 4)
    np.testing.assert_allclose(found, rows.mean((1, 2)), rtol=1e-4)
    (embedding,) = get("/info").json["embeddings"]
    assert embedding["sprite"]["singleImageDim"] == [48, 24]
