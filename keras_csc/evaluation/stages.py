"""What the stages of an encoder explain, and how they use their atoms."""

import numpy as np
import tensorflow as tf
from scipy.stats import entropy

from keras_csc import metrics
from keras_csc.evaluation.passes import BATCH
from keras_csc.evaluation.passes import batches
from keras_csc.evaluation.passes import by_batches
from keras_csc.ops import solve_sparse_code

QUANTILES = (0, 0.25, 0.5, 0.75, 1)
MOST_SOLVED = 250
SOLVED, TOLERANCE = 600, 1e-5  # most steps of a solution, and its gap
STOPS = (1, 2, 3, 5, 10, 20, 50)


def dictionary_figures(model, images, batch_size=BATCH):
    """Dead and rare atoms, densities, energy and coherence of every stage.

    Returns:
        Dict of lists, by stage; `None` for an encoder without sparse codes.
        `dead_atoms` and `rare_atoms` are shares of the atoms, as of
        `metrics.dead_atoms` and `metrics.rare_atoms`. `density` and
        `image_density` are quantiles over the atoms (least, lower quartile,
        median, upper quartile, largest) of the shares of places and of images.
        `effective_atoms` is `exp(H(p))` of the atoms' shares of the energy,
        as of an effective rank. `coherence` is the one of non-negative codes
        where the codes are.
    """
    if not model.encoder.sparse:
        return None
    layers = model.encoder.coding_layers
    kernels = [np.asarray(layer.kernel) for layer in layers]

    def codes_of(images):
        codes = model.encoder.activations(images).codes
        return [tf.cast(code, tf.float32) for code in codes]

    uses = [np.zeros((3, kernel.shape[-1])) for kernel in kernels]
    for codes in batches(codes_of, images, batch_size):
        for use, code, kernel in zip(uses, codes, kernels):
            density = metrics.code_density(code)
            of_images = metrics.code_density(code, of="images")
            energies = metrics.atom_energies(code, kernel)
            use += np.stack([density, of_images, energies]) * len(code)
    parts = [
        {
            **_figures(*(use / len(images))),
            "coherence": metrics.mutual_coherence(
                kernel, layer.strides, layer.nonnegative
            ),
        }
        for use, kernel, layer in zip(uses, kernels, layers)
    ]
    return {name: [part[name] for part in parts] for name in parts[0]}


def _figures(density, of_images, energies):
    return {
        "atoms": len(density),
        "dead_atoms": len(metrics.dead_atoms(density)) / len(density),
        "rare_atoms": len(metrics.rare_atoms(density)) / len(density),
        "density": np.quantile(density, QUANTILES).tolist(),
        "image_density": np.quantile(of_images, QUANTILES).tolist(),
        "effective_atoms": (
            float(np.exp(entropy(energies))) if energies.any() else 0.0
        ),
    }


def stage_sums(model, output):
    """Of every image and stage, what `stage_figures` divides.

    Returns:
        Tensor `(n, stages, numbers)`; no numbers without sparse codes.
    """
    encoder = model.encoder
    if not encoder.sparse:
        images = tf.shape(output.features)[0]
        return tf.zeros((images, len(encoder.filters), 0))
    stages = zip(encoder.coding_layers, output.inputs, output.codes)
    drawn = model.decoder.codes(output.features)
    sums = []
    for number, (layer, signal, codes) in enumerate(stages):
        signal, codes = (tf.cast(x, tf.float32) for x in (signal, codes))
        numbers = [
            tf.square(signal - layer.synthesize(codes)),
            tf.square(signal),
            tf.cast(codes != 0, tf.float32),
            tf.ones_like(signal),
            tf.square(tf.cast(drawn[number], tf.float32) - codes),
            tf.square(codes),
        ]
        sums.append([tf.reduce_sum(each, (1, 2, 3)) for each in numbers])
    return tf.transpose(tf.stack(sums), (2, 0, 1))


def stage_figures(sums):
    """What codes say of their stage's input, and what is drawn beside them.

    `x` is the input of a stage, `z` its codes, `ẑ` the codes that the decoder
    draws with. All sums are over all images.

    Returns:
        Dict of lists by stage: `explained`, `1 - Σ(x - A z)² / Σx²`;
        `nonzeros`, for every number of `x`; and `drawn_error`,
        `Σ(ẑ - z)² / Σz²`. An encoder without sparse codes has `None`.
    """
    figures = dict.fromkeys(("explained", "nonzeros", "drawn_error"))
    shares = sums[:, ::2] / np.where(sums[:, 1::2] > 0, sums[:, 1::2], 1)
    if shares.shape[1]:
        shares[:, 0] = 1 - shares[:, 0]
    return {**figures, **dict(zip(figures, shares.T.tolist()))}


def code_figures(model, images):
    """How few the codes of every stage are, and how near to their minimum.

    Of at most `MOST_SOLVED` images. `F` is the objective of a stage's program
    for the input that the stage is given, `z` its codes and `z*` a
    solution, whose duality gap is 1e-5 of `F` or that took 600 solver steps.

    Returns:
        Dict, of `None` for an encoder without sparse codes, with

        - `codes`: list of dicts, by stage: `nonzeros`, for every number of the
          stage's input; `zeros`, the share of its codes; `explained`, as of
          `stage_figures`; `excess`, `Σ F(z) / Σ F(z*) - 1`;
        - `psnr_by_solver_steps`: dict from the number of solver steps of all
          stages to the PSNR of the decoded images, dB. The trained number is
          among them.
    """
    if not model.encoder.sparse:
        return {"codes": None, "psnr_by_solver_steps": None}
    layers = model.encoder.coding_layers
    stops = sorted({*STOPS, *(layer.iterations for layer in layers)})

    def measure(images):
        output = model.encoder.activations(images)
        solved = []
        for layer, signal, codes in zip(layers, output.inputs, output.codes):
            best = solve_sparse_code(
                signal,
                tf.cast(layer.kernel, signal.dtype),
                layer.sparsity,
                layer.step_size,
                layer.nonnegative,
                layer.strides,
                iterations=SOLVED,
                tolerance=TOLERANCE,
            )
            values = [
                layer.objective(signal, codes),
                layer.objective(signal, best),
                tf.reduce_mean(tf.cast(codes == 0, "float32"), (1, 2, 3)),
            ]
            solved.append(tf.stack([tf.cast(v, "float32") for v in values]))
        quality = [
            metrics.peak_signal_to_noise_ratio(
                images, _reconstructed(model, images, steps)
            )
            for steps in stops
        ]
        return (
            stage_sums(model, output),
            tf.transpose(tf.stack(solved), (2, 0, 1)),
            tf.stack(quality, 1),
        )

    sums, solved, quality = by_batches(measure, images[:MOST_SOLVED])
    figures = stage_figures(sums.sum(axis=0, dtype="float64"))
    values, minima, zeros = solved.mean(axis=0, dtype="float64").T
    columns = {
        "nonzeros": figures["nonzeros"],
        "zeros": zeros.tolist(),
        "explained": figures["explained"],
        "excess": (values / minima - 1).tolist(),
    }
    return {
        "codes": [dict(zip(columns, row)) for row in zip(*columns.values())],
        "psnr_by_solver_steps": {
            str(steps): float(psnr)
            for steps, psnr in zip(stops, quality.mean(axis=0))
        },
    }


def _reconstructed(model, images, steps):
    """Reconstructions with so many solver steps in every stage."""
    layers = model.encoder.coding_layers
    own = [layer.iterations for layer in layers]
    try:
        for layer in layers:
            layer.iterations = steps
        return model.reconstruct(images)
    finally:
        for layer, each in zip(layers, own):
            layer.iterations = each
