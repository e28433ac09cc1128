"""What TensorBoard's projector serves of what was written for it."""

import io

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
