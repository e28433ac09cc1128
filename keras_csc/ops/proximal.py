"""Proximal maps."""

from keras import ops


def soft_threshold(values, threshold, nonnegative=False):
    """Proximal map of `threshold · ‖z‖₁`, optionally with `z ≥ 0`.

    `sign(v) · max(|v| - t, 0)`, or `max(v - t, 0)` if `nonnegative`.

    Args:
        values: float tensor.
        threshold: number or tensor that broadcasts to `values`, `≥ 0`.
        nonnegative: bool.

    Returns:
        Tensor of the shape of `values`, zero wherever `|v| ≤ t`.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, eq. 1.5.
    """
    if nonnegative:
        return ops.relu(values - threshold)
    # With a threshold of 0 this is the identity, at 0 as well.
    shrunk = values - threshold * ops.sign(values)
    return ops.where(ops.abs(values) < threshold, 0, shrunk)


def proximal_map(values, threshold, shrinkage=None, nonnegative=False):
    """Proximal map of `η (λ‖z‖₁ + (μ/2)‖z‖₂²)`, optionally with `z ≥ 0`.

    It is `soft_threshold(c v, t)` with the shrinkage `c = 1/(1 + ημ)` and the
    threshold `t = ηλ/(1 + ημ)`.

    Args:
        values: float tensor `v`.
        threshold: number or tensor `t` that broadcasts to `values`, `≥ 0`.
        shrinkage: number or tensor `c` that broadcasts to `values`; `None`
            for 1.
        nonnegative: bool.

    Returns:
        Tensor of the shape of `values`.

    Reference:
        Parikh & Boyd, Proximal algorithms, Foundations and Trends in
        Optimization 2014, section 2.2.
    """
    if shrinkage is not None:
        values = values * shrinkage
    return soft_threshold(values, threshold, nonnegative)
