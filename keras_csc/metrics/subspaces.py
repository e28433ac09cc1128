"""The subspaces that the features of classes span."""

import numpy as np
from scipy import linalg

from keras_csc.metrics.checks import as_labelled
from keras_csc.metrics.features import effective_rank


def principal_directions(examples, components, mean=0.0):
    """First right singular vectors of features, of norm one.

    Args:
        examples: Float64 array of shape `(n, d)`.
        components: int, most directions to return.
        mean: array of shape `(d,)` to subtract from the rows. Defaults to 0.

    Returns:
        An array of shape `(k, d)` with orthonormal rows, where `k` is at most
        `components` and the rank of `examples - mean` to the precision that
        `examples` have in float32.
    """
    _, singular_values, directions = np.linalg.svd(
        examples - mean, full_matrices=False
    )
    tolerance = np.finfo("float32").eps * np.linalg.norm(examples)
    return directions[:components][singular_values[:components] > tolerance]


def subspace_angles(features, labels, components=10):
    """Principal angles between the subspaces of every two classes.

    `cos θ_ijk = σ_k(V_iᵀ V_j)`, with `V_j` the first `components` right
    singular vectors of the features of class `j`: subspaces through the
    origin, as in `nearest_subspace_accuracy`. Rate reduction drives the
    subspaces of different classes to be orthogonal, all angles to `π/2`.
    In `d` dimensions two subspaces of more than `d/2` must share directions,
    which are at angle 0.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.
        components: int in `[1, d]`, dimension of the subspaces. Defaults
            to 10.

    Returns:
        A float64 array of shape `(classes, classes, components)` of radians in
        `[0, π/2]`, largest angle first, classes in the order of their labels;
        symmetric, and 0 from a class to itself.

    Raises:
        ValueError: if shapes do not match, no row is labelled, features are
            not finite, `components` is out of range or a class spans fewer
            directions.

    References:
        - [Björck & Golub, 1973](https://doi.org/10.2307/2005662)
        - [Knyazev & Argentati, 2002](
          https://doi.org/10.1137/S1064827500377332), the algorithm of
          `scipy.linalg.subspace_angles`
    """
    features, labels = as_labelled(features, labels)
    if not 1 <= components <= features.shape[1]:
        raise ValueError(
            "`components` must be at least 1 and at most the number of "
            f"features. Received: components={components}, "
            f"features.shape={features.shape}"
        )
    bases = []
    for label in np.unique(labels):
        basis = principal_directions(features[labels == label], components)
        if len(basis) < components:
            raise ValueError(
                "The features of every class must span at least `components` "
                f"directions. Received: components={components}, and class "
                f"{label} of rank {len(basis)}"
            )
        bases.append(basis.T)
    angles = np.zeros((len(bases), len(bases), components))
    for i, basis in enumerate(bases):
        for j in range(i):
            angles[i, j] = linalg.subspace_angles(basis, bases[j])
            angles[j, i] = angles[i, j]
    return angles


def class_effective_ranks(features, labels):
    """Effective rank of the features of every class.

    `exp(H(p))` of each class's rows, as `effective_rank`: over how many
    directions its subspace spreads. Rate reduction wants each as large as the
    classes' orthogonality allows.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.

    Returns:
        A float64 array of shape `(classes,)` of numbers in `[1, d]`, classes
        in the order of their labels.

    Raises:
        ValueError: if shapes do not match, no row is labelled, features are
            not finite, or all those of a class are zero.

    Reference:
        - [Roy & Vetterli, 2007](
          https://www.eurasip.org/Proceedings/Eusipco/Eusipco2007/Papers/a5p-h05.pdf)
    """
    features, labels = as_labelled(features, labels)
    return np.array(
        [effective_rank(features[labels == k]) for k in np.unique(labels)]
    )
