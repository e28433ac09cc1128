"""What the stages of an encoder explain, and how they use their atoms."""

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.evaluation.passes import by_batches

RARE = 0.01  # the largest share of places of a rare atom
MOST_SOLVED = 250
SOLVED, TOLERANCE = 600, 1e-5  # most steps of a solution, and its gap
STOPS = (1, 2, 3, 5, 10, 20, 50)


def stage_numbers(model, output):
    """By stage a dict of numbers of every image, for `stage_figures`."""
    stages = []
    drawn = model.decoder.codes(output.features)
    layers = model.encoder.coding_layers
    for layer, *tensors in zip(layers, output.inputs, output.codes, drawn):
        signal, codes, drawn = (tf.cast(x, tf.float32) for x in tensors)
        active = tf.cast(codes != 0, tf.float64)
        sums = {
            "error": tf.square(signal - layer.synthesize(codes)),
            "signal": tf.square(signal),
            "nonzeros": tf.cast(codes != 0, tf.float32),
            "numbers": tf.ones_like(signal),
            "drawn_error": tf.square(drawn - codes),
        }
        stages.append(
            {
                "density": tf.reduce_mean(active, (1, 2)),
                "squares": tf.reduce_sum(tf.square(codes), (1, 2)),
                **{n: tf.reduce_sum(x, (1, 2, 3)) for n, x in sums.items()},
            }
        )
    return stages


def stage_figures(model, stages):
    """What codes say of their stage's input, and how they use their atoms.

    `x` is the input of a stage, `z` its codes, `ẑ` the codes that the decoder
    draws with. All sums are over all images.

    Args:
        model: `ClosedLoopAutoencoder`.
        stages: list of dicts of arrays, of `stage_numbers`.

    Returns:
        Dict of lists by stage.

        - `zero_fraction`: share of the codes.
        - `explained`: `1 - Σ(x - D z)² / Σx²`.
        - `nonzeros`: codes that are not 0, for every number of `x`.
        - `drawn_error`: `Σ(ẑ - z)² / Σz²`.
        - `dictionaries`: a dict of such lists, as follows.

        `dead_atoms` and `rare_atoms` are shares of the `atoms`: of atoms that
        are active nowhere, and of others that are active at 1% of the places at
        most. `coherence` is `metrics.mutual_coherence`, with the layer's
        `nonnegative`.
    """
    zeros = [float(1 - numbers["density"].mean()) for numbers in stages]
    figures = {"zero_fraction": zeros}
    totals = [
        {name: array.sum(0, dtype="float64") for name, array in numbers.items()}
        for numbers in stages
    ]
    for total in totals:
        total["energy"] = total["squares"].sum()
    for name, part, whole in (
        ("explained", "error", "signal"),
        ("nonzeros", "nonzeros", "numbers"),
        ("drawn_error", "drawn_error", "energy"),
    ):
        figures[name] = [
            float(total[part] / (total[whole] or 1)) for total in totals
        ]
    figures["explained"] = [1 - share for share in figures["explained"]]
    densities = [numbers["density"].mean(0) for numbers in stages]
    figures["dictionaries"] = {
        "atoms": [len(density) for density in densities],
        "dead_atoms": [float(np.mean(density == 0)) for density in densities],
        "rare_atoms": [
            float(np.mean((density > 0) & (density <= RARE)))
            for density in densities
        ],
        "coherence": [
            metrics.mutual_coherence(
                layer.kernel, layer.strides, layer.nonnegative
            )
            for layer in model.encoder.coding_layers
        ],
    }
    return figures


def code_figures(model, images):
    """How few the codes of every stage are, and how near to the minimum.

    At most `MOST_SOLVED` images are taken. `F` is the objective of a stage's
    program for the input that the stage is given, and `z` are its codes. `z*`
    is a solution with a duality gap of 1e-5 of `F`, or after 600 solver steps.

    Returns:
        Dict.

        - `codes`: list of dicts, by stage. `nonzeros`, `zeros` and `explained`
          are `nonzeros`, `zero_fraction` and `explained` of `stage_figures`;
          `excess` is `Σ F(z) / Σ F(z*) - 1`.
        - `psnr_by_solver_steps`: dict from the number of solver steps of all
          stages to the PSNR of the decoded images, dB. The trained number is
          among them.
    """
    layers = model.encoder.coding_layers
    sparsities = [layer.sparsity for layer in layers]
    stops = sorted({*STOPS, *(layer.iterations for layer in layers)})

    def measure(images):
        output = model.encoder.activations(images)
        solved = []
        stages = zip(layers, sparsities, output.inputs, output.codes)
        for layer, sparsity, signal, codes in stages:
            best = layer.solve(signal, sparsity, SOLVED, TOLERANCE)
            solved.append(
                [
                    tf.cast(layer.objective(signal, solution), tf.float32)
                    for solution in (codes, best)
                ]
            )
        qualities = {
            str(steps): metrics.peak_signal_to_noise_ratio(
                images, _reconstructed(model, images, steps)
            )
            for steps in stops
        }
        return stage_numbers(model, output), solved, qualities

    stages, solved, qualities = by_batches(measure, images[:MOST_SOLVED])
    figures = stage_figures(model, stages)
    excess = [
        float(values.sum(dtype="float64") / minima.sum(dtype="float64") - 1)
        for values, minima in solved
    ]
    columns = {
        "nonzeros": figures["nonzeros"],
        "zeros": figures["zero_fraction"],
        "explained": figures["explained"],
        "excess": excess,
    }
    return {
        "codes": [dict(zip(columns, row)) for row in zip(*columns.values())],
        "psnr_by_solver_steps": {
            steps: float(psnr.mean()) for steps, psnr in qualities.items()
        },
    }


def _reconstructed(model, images, steps):
    """Reconstructions with so many solver steps in every stage."""
    layers = model.encoder.coding_layers
    trained = [layer.iterations for layer in layers]
    try:
        for layer in layers:
            layer.iterations = steps
        return model.reconstruct(images)
    finally:
        for layer, iterations in zip(layers, trained):
            layer.iterations = iterations
