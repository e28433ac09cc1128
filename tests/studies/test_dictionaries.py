import numpy as np

from studies import dictionaries


def test_planted_atoms_are_found():
    """The first dictionary is windows, which are them and a fifth of others."""
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(4, 4, 3, 6))
    atoms -= atoms.mean((0, 1))
    atoms /= np.sqrt(np.sum(atoms**2, (0, 1, 2)))
    windows = np.empty((900, 4, 4, 3), "float32")
    for window in windows:
        chosen = rng.choice(6, 2, replace=False)
        weights = rng.choice([-1, 1], 2) * rng.uniform(0.5, 1.5, 2)
        window[:] = atoms[..., chosen] @ (weights * [1, 0.2])
    found = list(dictionaries.learn(windows, 24, 0.05, 4, batch=300))
    kernel, values = found[-1][0], [value for _, value in found]
    np.testing.assert_allclose(np.sum(kernel**2, (0, 1, 2)), 1, rtol=1e-5)
    cosines = np.abs(np.tensordot(atoms, kernel, ([0, 1, 2], [0, 1, 2])))
    assert cosines.max(1).min() > 0.98
    assert values[0] > values[1] > values[2]
