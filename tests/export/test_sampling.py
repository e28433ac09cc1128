"""The signatures of a model that has a density of its features."""

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export.signatures import signatures
from tests.helpers.exporting import run_python
from tests.helpers.exporting import tiny_model

LABELS = [0, 3, 1, -1, -1, 3]
LOADER = """
import sys
for name in ("keras", "tf_keras", "keras_csc", "tensorflow_probability"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

path, labels, image, outputs = sys.argv[1:]
label = tf.constant(eval(labels))
image = tf.constant(np.load(image))
found = {}
loaded = tf.saved_model.load(path).signatures
sample = loaded["sample"]
for name, seed in (("one", [5]), ("each", [6, 5, 5, 9, 5, 7]), ("other", [6])):
    found[name] = sample(label=label, seed=tf.constant(seed))["sample"]
found["first"] = sample(label=label[:2], seed=tf.constant([5]))["sample"]
found["embedding"] = loaded["embed"](image=image)["embedding"]
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
    spec = graph.signature_def["sample"]
    feed = {"label": eval(labels), "seed": [5]}
    feed = {spec.inputs[name].name: value for name, value in feed.items()}
    found["tf1"] = session.run(spec.outputs["sample"].name, feed)
np.savez(outputs, **{name: np.asarray(value) for name, value in found.items()})
"""


@pytest.fixture(scope="module")
def loaded(exported_density):
    return tf.saved_model.load(exported_density.path).signatures


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(1)
    return rng.uniform(-1, 1, (4, 16, 16, 1)).astype("float32")


def test_only_models_with_a_density_sample_and_embed(exported, loaded):
    without = set(tf.saved_model.load(exported.path).signatures)
    assert set(loaded) - without == {"sample", "embed"}
    assert not {"sample", "embed"} & set(signatures(tiny_model()))


def test_without_any_package_it_makes_what_the_model_does(
    exported_density, images, tmp_path
):
    np.save(tmp_path / "image.npy", images)
    outputs = tmp_path / "outputs.npz"
    finished = run_python(
        [
            *("-c", LOADER, exported_density.path, LABELS),
            *(tmp_path / "image.npy", outputs),
        ]
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = dict(np.load(outputs))
    model = exported_density.model
    expected = model.sample(6, LABELS, seed=5).numpy()
    for name in ("one", "tf1"):
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    np.testing.assert_allclose(found["first"], expected[:2], atol=1e-5)
    for row, seed in enumerate([6, 5, 5, 9, 5, 7]):
        alone = model.sample(1, LABELS[row], seed=seed)[0]
        np.testing.assert_allclose(found["each"][row], alone, atol=1e-5)
    apart = np.abs(expected[:, None] - expected).max((2, 3, 4))
    assert np.min(apart[~np.eye(6, dtype=bool)]) > 1e-3
    assert np.min(np.abs(found["other"] - expected).max((1, 2, 3))) > 1e-3
    np.testing.assert_allclose(
        found["embedding"], model.embed(images), atol=1e-5
    )


@pytest.mark.parametrize("label", [2, 4, -2, 2**31 - 1])
def test_a_class_that_is_not_there(loaded, label):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="a class of the density, of 4"
    ):
        loaded["sample"](label=tf.constant([0, label]), seed=tf.constant([1]))


def test_seeds_of_another_number(loaded):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="one for every label"
    ):
        loaded["sample"](label=tf.constant([0, 1, 3]), seed=tf.constant([1, 2]))


def test_negative_seeds(loaded):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="`seed` must be at least 0"
    ):
        loaded["sample"](label=tf.constant([0, 1]), seed=tf.constant([1, -1]))


def test_no_labels(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="is empty"):
        loaded["sample"](label=tf.zeros([0], tf.int32), seed=tf.constant([1]))


def test_the_card_says_what_they_take(exported_density):
    card = (exported_density.path / "card.md").read_text(encoding="utf-8")
    for text in (
        "| `sample` | `label` (batch) int32<br>`seed` (batch) int32 | "
        "`sample` (batch, 16, 16, 1) float32 |",
        "| `embed` | `image` (batch, 16, 16, 1) float32 | "
        "`embedding` (batch, 8) float32 |",
        "- `label`: class of the image to make",
    ):
        assert text in card
