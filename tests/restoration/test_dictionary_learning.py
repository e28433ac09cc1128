import numpy as np
import pytest

from keras_csc import restoration
from keras_csc.restoration.dictionary_learning import best_atom


def planted(seed=0, channels=1, second=1.0):
    """Images that are sums of two of six atoms, and the atoms."""
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(4, 4, channels, 6))
    atoms -= atoms.mean((0, 1))
    atoms /= np.sqrt(np.sum(atoms**2, (0, 1, 2)))
    images = []
    for _ in range(300):
        chosen = rng.choice(6, 2, replace=False)
        weights = rng.choice([-1, 1], 2) * rng.uniform(0.5, 1.5, 2)
        weights[1] *= second
        images.append(0.5 + atoms[..., chosen] @ weights)
    return images, atoms


def learn(images, **arguments):
    settings = {
        "filters": 6,
        "kernel_size": 4,
        "sparsity": 0.05,
        "epochs": 4,
        "windows": 900,
        "batch_size": 300,
    }
    return restoration.learn_dictionary(images, **{**settings, **arguments})


def test_planted_atoms_are_found():
    """The first dictionary is windows, which are them and a fifth of others."""
    channels = 3
    images, atoms = planted(channels=channels, second=0.2)
    layer = learn(images, filters=24)
    kernel = np.asarray(layer.kernel)
    assert kernel.shape == (4, 4, channels, 24)
    np.testing.assert_allclose(np.sum(kernel**2, (0, 1, 2)), 1, rtol=1e-5)
    cosines = np.abs(np.tensordot(atoms, kernel, ([0, 1, 2], [0, 1, 2])))
    assert cosines.max(1).min() > 0.98


def test_the_objective_falls():
    reported = []
    learn(planted()[0], progress=lambda *each: reported.append(each))
    assert [each[:2] for each in reported] == [(n, 4) for n in range(1, 5)]
    values = [each[2] for each in reported]
    assert values[0] > values[1] > values[2] and values[3] < 0.7 * values[0]


def test_an_atom_is_the_best_for_what_the_others_leave():
    rng = np.random.default_rng(0)
    vectors, codes = rng.normal(size=(50, 12)), rng.normal(size=(50, 6))
    atoms = rng.normal(size=(12, 6))
    for index in range(6):
        others = np.delete(np.arange(6), index)
        rest = vectors - codes[:, others] @ atoms[:, others].T
        expected = np.linalg.lstsq(codes[:, [index]], rest)[0][0]
        found = best_atom(atoms, codes.T @ codes, vectors.T @ codes, index)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_dictionaries_are_files(tmp_path, grey):
    path = tmp_path / "grey.npz"
    restoration.save_dictionary(grey, path)
    loaded = restoration.load_dictionary(path)
    np.testing.assert_allclose(loaded.kernel, grey.kernel, atol=1e-3)
    assert (loaded.strides, loaded.sparsity) == (4, grey.sparsity)
    assert [each.name for each in tmp_path.iterdir()] == ["grey.npz"]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(ValueError, match="holds no dictionary"):
        restoration.load_dictionary(path)
    for place in (60, 150, -100, -40):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            again = restoration.load_dictionary(path)
        except ValueError as error:
            assert "holds no dictionary" in str(error)
        else:  # It was of what is not read.
            np.testing.assert_array_equal(again.kernel, loaded.kernel)
    np.savez(path, kernel=np.zeros((2, 2)), strides=1, sparsity=1.0)
    with pytest.raises(ValueError, match="holds no dictionary"):
        restoration.load_dictionary(path)


def test_dictionaries_ship():
    for channels in (1, 3):
        layer = restoration.default_dictionary(channels)
        kernel = np.asarray(layer.kernel)
        assert kernel.shape[2] == channels
        np.testing.assert_allclose(np.sum(kernel**2, (0, 1, 2)), 1, rtol=1e-5)
        np.testing.assert_allclose(kernel.mean((0, 1)), 0, atol=2e-3)


@pytest.mark.parametrize(
    "images, arguments, message",
    [
        ([], {}, "one or more images"),
        ([np.zeros((9, 9)), np.zeros((9, 9, 3))], {}, "all grey or all"),
        ([np.full((9, 9), np.nan)], {}, "must be finite"),
        ([np.zeros((9, 9))], {"kernel_size": 10}, "at most 9"),
        ([np.zeros((9, 9))], {"sparsity": 0}, "`sparsity`"),
    ],
)
def test_mistakes_are_named(images, arguments, message):
    with pytest.raises(ValueError, match=message):
        learn(images, **arguments)
