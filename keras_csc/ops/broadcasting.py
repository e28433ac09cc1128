"""The adjoint of broadcasting."""

from keras import ops


def unbroadcast(gradient, like):
    """Sums a gradient over the axes that `like` was broadcast along."""
    missing = len(gradient.shape) - len(like.shape)
    if missing:
        gradient = ops.sum(gradient, tuple(range(missing)))
    axes = [axis for axis, size in enumerate(like.shape) if size == 1]
    return ops.sum(gradient, tuple(axes), keepdims=True) if axes else gradient
