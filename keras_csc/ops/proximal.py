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
    return values - ops.clip(values, -threshold, threshold)
