import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import data
from keras_csc.data.sources import ArraySource

SHAPE = (32, 32, 3)
OPTIONS = dict(batch_size=12, seed=3, horizontal_flip=True, random_shift=2)


def numbers(images):
    """The indices written into numbered images."""
    pixels = np.round((np.asarray(images)[:, 0, :2, 0] + 1) * 127.5)
    return (pixels[:, 0] + 256 * pixels[:, 1]).astype(int)


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


@pytest.fixture(scope="module")
def arrays(make):
    images = np.stack([make.numbered(i, 8, 8) for i in range(50)])
    images[:, 4:, 4:] = make.noise(4, 4)
    labels = np.arange(50, dtype=np.int32)
    return ArraySource("numbers", "train", images, labels, list("ab"))


@pytest.fixture(scope="module", params=["arrays", "tfds", "folder"])
def source(request, arrays, cifar_dir, make, tmp_path_factory):
    if request.param == "arrays":
        return arrays
    if request.param == "tfds":
        return data.open_dataset("cifar10", "train", SHAPE, cifar_dir, 0.5)
    folder = tmp_path_factory.mktemp("folder")
    for i in range(40):
        path = folder / "train" / "ab"[i % 2] / f"{i}.png"
        make.write_image(str(path), make.numbered(i, 9, 12))
    return data.open_dataset(
        "image_folder",
        "train",
        (8, 8, 3),
        str(folder),
        validation_fraction=0,
        random_crop=True,
    )


@pytest.fixture(scope="module")
def dataset(source):
    return data.batches(source, **OPTIONS)


@pytest.fixture(scope="module")
def whole(dataset):
    """Its first batches."""
    tf.random.set_seed(1)
    return take(dataset, 12)


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_resumed_batches_equal_uninterrupted_ones(source, whole):
    """Whatever the global seed is."""
    tf.random.set_seed(2)
    resumed = data.batches(source, first_step=9, **OPTIONS)
    assert_same(take(resumed, 3), whole[9:])


def test_batches_have_range_types_and_static_shapes(source, dataset, whole):
    images, labels = dataset.element_spec
    assert images.shape == (12, *source.image_shape)
    assert labels.shape == (12,)
    batch = whole[0]
    assert batch[0].dtype == np.float32
    assert batch[1].dtype == np.int32
    assert batch[0].min() == -1.0
    assert batch[0].max() <= 1.0


@pytest.mark.parametrize("source", ["tfds"], indirect=True)
def test_an_epoch_holds_every_example_once(source):
    """But for those of a batch that would not be full."""
    found = take(data.batches(source, 16), 6)
    for images, labels in found:
        np.testing.assert_array_equal(numbers(images) % 10, labels)
    epochs = [
        np.concatenate([numbers(images) for images, _ in part])
        for part in (found[:3], found[3:])
    ]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == 48
    assert (epochs[0] != epochs[1]).any()
    other = take(data.batches(source, 16, seed=4), 1)
    assert (numbers(other[0][0]) != epochs[0][:16]).any()


def test_flips_mirror_about_half_of_the_images(arrays):
    plain = take(data.batches(arrays, 50), 8)
    flipped = take(data.batches(arrays, 50, horizontal_flip=True), 8)
    count = 0
    for (images, _), (mirrored, _) in zip(plain, flipped, strict=True):
        for one, other in zip(images, mirrored, strict=True):
            changed = (one != other).any()
            count += changed
            np.testing.assert_array_equal(
                other, one[:, ::-1] if changed else one
            )
    assert 150 < count < 250


def test_shifts_are_windows_of_the_reflected_images(arrays):
    plain = take(data.batches(arrays, 50), 8)
    moved = take(data.batches(arrays, 50, random_shift=2), 8)
    height, width = arrays.image_shape[:2]
    counts = np.zeros((5, 5), int)
    for (images, labels), (others, others_labels) in zip(plain, moved):
        np.testing.assert_array_equal(labels, others_labels)
        for image, other in zip(images, others):
            padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), "reflect")
            for top, left in np.ndindex(5, 5):
                window = padded[top : top + height, left : left + width]
                counts[top, left] += (window == other).all()
    assert counts.sum() >= 400
    assert counts.min() > 0


@pytest.mark.parametrize(
    ("source", "pipelines", "replicas"),
    [
        ("arrays", 1, 2),
        ("tfds", 2, 4),
        ("folder", 2, 4),
    ],
    indirect=["source"],
)
def test_replicas_share_the_same_global_batches(
    source, whole, pipelines, replicas
):
    local = replicas // pipelines
    parts = []
    for index in range(pipelines):
        context = tf.distribute.InputContext(pipelines, index, replicas)
        dataset = data.batches(
            source, first_step=2, input_context=context, **OPTIONS
        )
        parts.append(take(dataset, 4 * local))
    for step, expected in enumerate(whole[2:6]):
        pieces = [
            piece
            for part in parts
            for piece in part[step * local : (step + 1) * local]
        ]
        assert all(len(labels) == 12 // replicas for _, labels in pieces)
        found = tuple(np.concatenate(p) for p in zip(*pieces, strict=True))
        assert_same([found], [expected])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 0}, r"in \[1, 50\].*received 0"),
        ({"batch_size": 51}, r"in \[1, 50\].*received 51"),
        ({"batch_size": 6}, r"replicas \(4\); received 6"),
        ({"batch_size": 8, "random_shift": -1}, "random_shift.*received"),
        ({"batch_size": 8, "random_shift": 8}, "random_shift.*received"),
    ],
)
def test_what_batches_refuse(arrays, arguments, message):
    context = tf.distribute.InputContext(1, 0, 4)
    with pytest.raises(data.DataError, match=message):
        data.batches(arrays, input_context=context, **arguments)


@pytest.mark.parametrize("source", ["folder"], indirect=True)
def test_evaluation_batches_hold_every_example_once_in_order(source):
    images, labels = data.load_arrays(source)
    for limit in (20, 99):
        found = data.load_arrays(source, limit)
        for few, whole in zip(found, (images, labels)):
            np.testing.assert_array_equal(few, whole[:limit])
    assert len(labels) == source.size
    batches = take(data.evaluation_batches(source, 16), 10)
    assert [len(y) for _, y in batches[:-1]] == [16] * (len(batches) - 1)
    found = [np.concatenate(each) for each in zip(*batches)]
    np.testing.assert_array_equal(np.round((found[0] + 1) * 127.5), images)
    np.testing.assert_array_equal(found[1], labels)


def test_cached_holds_the_same_examples(cifar_dir):
    """Also where crops would be random, if the images left a choice."""
    source = data.open_dataset(
        "cifar10", "train", SHAPE, cifar_dir, 0.9, random_crop=True
    )
    size = 10 * 32 * 32 * 3
    assert data.cached(source, size - 1) is source
    held = data.cached(source, size)
    assert isinstance(held, ArraySource)
    assert data.cached(held, size) is held
    assert_same([data.load_arrays(held)], [data.load_arrays(source)])
    for name in ("name", "split", "size", "image_shape", "class_names"):
        assert getattr(held, name) == getattr(source, name)
    assert sorted(numbers(take(data.batches(held, 10), 1)[0][0])) == list(
        range(10)
    )
