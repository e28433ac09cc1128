"""Figures with axes: feature similarity and curves.

Figures are `matplotlib.figure.Figure` objects, free of pyplot and of its
global state. Write them with `save_figure`.
"""

import numpy as np

INK = "#333333"
COLORS = ("#1f6fb4", "#d1495b", "#2a9d6f", "#e09f3e", "#7a5ba6", "#555555")
MOST_CLASS_TICKS = 20


def similarity_matrix(features, labels):
    """Magnitudes of the cosines between features, sorted by class.

    `S_ik = |<z_i, z_k>| / (‖z_i‖ ‖z_k‖)`. Features whose classes span
    orthogonal subspaces give a block-diagonal matrix. Within a class the order
    is kept.

    Args:
        features: Array of shape `(n, d)`; a zero row has similarity 0.
        labels: Array of shape `(n,)`.

    Returns:
        A tuple of the float32 array `(n, n)` in `[0, 1]` and the sorted
        labels `(n,)`.

    Raises:
        ValueError: If the shapes do not match.

    Reference:
        - [Yu et al., 2020, MCR²](https://arxiv.org/abs/2006.08558)
    """
    features = np.asarray(features, dtype="float32")
    labels = np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            "`features` and `labels` should have shapes (n, d) and (n,). "
            f"Received: {features.shape} and {labels.shape}"
        )
    order = np.argsort(labels, kind="stable")
    features = features[order]
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    features = features / np.where(norms > 0, norms, 1)
    return np.minimum(np.abs(features @ features.T), 1), labels[order]


def similarity_figure(features, labels):
    """`similarity_matrix` as a figure with class boundaries and colour bar.

    Args:
        features: Array of shape `(n, d)`; a few thousand rows show well.
        labels: Array of shape `(n,)`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the shapes do not match.

    Example:

    >>> save_figure("similarity.png", similarity_figure(features, labels))
    """
    from matplotlib.figure import Figure

    matrix, labels = similarity_matrix(features, labels)
    figure = Figure(figsize=(5.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    classes, starts, counts = np.unique(
        labels, return_index=True, return_counts=True
    )
    for edge in starts[1:] - 0.5:
        axes.axhline(edge, color=INK, linewidth=0.5)
        axes.axvline(edge, color=INK, linewidth=0.5)
    step = -(-len(classes) // MOST_CLASS_TICKS)
    centers = (starts + (counts - 1) / 2)[::step]
    axes.set_xticks(centers, classes[::step])
    axes.set_yticks(centers, classes[::step])
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[:].set(color=INK, linewidth=0.6)
    axes.set_xlabel("class", color=INK)
    bar = figure.colorbar(picture, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label("|cosine|", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9, colors=INK)
    return figure


def curve_figure(series, xlabel, ylabel):
    """Line chart of one or several curves.

    Args:
        series: Dictionary from the name of a curve to `(x, y)`, two sequences
            of the same length. A legend is drawn for two curves or more.
        xlabel: String.
        ylabel: String.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If `series` is empty or a curve has sequences of different
            lengths.

    Example:

    >>> curves = {"encoder": (steps, losses)}
    >>> save_figure("loss.png", curve_figure(curves, "step", "ΔR"))
    """
    from matplotlib.figure import Figure

    if not series:
        raise ValueError("`series` should hold a curve. Received: none")
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=COLORS)
    for name, (x, y) in series.items():
        if len(x) != len(y):
            raise ValueError(
                "Every curve should have as many x as y. Received: "
                f"{len(x)} and {len(y)} for {name!r}"
            )
        axes.plot(x, y, label=name, linewidth=1.3)
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#bbbbbb")
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    if len(series) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure
