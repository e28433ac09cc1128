"""What every backend must compute alike: values, and gradients of a sum.

`python cases.py FILE` writes what the backend of `KERAS_BACKEND` computes.
"""

import sys
import types

import keras
import numpy as np
from keras import ops

import keras_csc
from keras_csc.losses import Loop
from keras_csc.losses import TranscriptionGame


def rng(seed=0):
    return np.random.default_rng(seed)


def dictionary(size, channels, filters):
    kernel = rng(1).normal(size=(size, size, channels, filters))
    norm = np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    return (kernel / norm).astype("float32")


def pictures(*size):
    return rng(2).normal(size=(2, *size)).astype("float32")


def black_above(images):
    """Images with a black part, whose codes are 0."""
    images[:, :5] = 0
    return images


def operators():
    for k, s, padding in (
        (3, 1, "same"),
        (4, 2, "same"),
        (2, 3, "same"),
        (3, 2, "valid"),
        (4, 1, "valid"),
    ):
        x, w = pictures(9, 8, 2), dictionary(k, 2, 4)

        def roundtrip(x, w, s=s, padding=padding):
            z = keras_csc.ops.analysis(x, w, s, padding)
            return z, keras_csc.ops.synthesis(z, w, (9, 8), s, padding)

        yield f"operators {k} {s} {padding}", roundtrip, (x, w)
        yield (
            f"frame bound {k} {s} {padding}",
            lambda w, s=s: keras_csc.ops.frame_bound(w, s),
            (w,),
        )


def solvers():
    sparsities = {
        "number": np.float32(0.2),
        "none": np.float32(0),
        "per filter": np.float32([0.1, 0.2, 0.3, 0.4]),
        "per example": np.float32([0.1, 0.3]).reshape(2, 1, 1, 1),
    }
    for name, sparsity in sparsities.items():
        for k, *at in ((4, True, 2, "same"), (3, False, 2, "valid")):
            inputs = (
                black_above(pictures(9, 8, 2)),
                dictionary(k, 2, 4),
                sparsity,
            )

            def unrolled(x, w, sparsity, at=at):
                return keras_csc.ops.sparse_code(
                    *(x, w, sparsity, 0.15, *at), iterations=4
                )

            yield f"unrolled {name} {k} {at}", unrolled, inputs

            def solved(x, w, sparsity, at=at):
                return keras_csc.ops.solve_sparse_code(
                    x, w, sparsity, 0.15, *at, tolerance=1e-6, iterations=300
                )

            yield f"solved {name} {k} {at}", solved, inputs
    z = rng(4).normal(size=(2, 9, 8, 4)).astype("float32")

    def program(x, w, z):
        problem = keras_csc.ops.SparseCodingProgram(x, w, 0.2)
        rest = problem.residual(z)
        gap = problem.gap(z, rest, problem.analysis(rest))
        return problem.value(z, rest), gap

    yield "program", program, (pictures(9, 8, 2), dictionary(3, 2, 4), z)


def restorations():
    levels = keras_csc.restoration.tasks.LEVELS
    levels.update(dict.fromkeys(levels, (20, 9, 2)))
    blur = np.full((3, 3), 1 / 9, "float32")
    image = 0.5 + 0.1 * rng(6).normal(size=(14, 11)).astype("float32")
    known = rng(7).integers(0, 2, size=(14, 11))
    tasks = {
        "denoise": (image, 0.1),
        "inpaint": (image, known),
        "deblur": (image, blur, 0.05),
        "enlarge": (image, 2),
    }
    for name, arguments in tasks.items():

        def restored(unused, name=name, arguments=arguments):
            function = getattr(keras_csc.restoration, name)
            made = function(*arguments)
            return 0 * unused[0, 0, 0, 0] + ops.convert_to_tensor(made)

        yield name, restored, (pictures(9, 8, 2),)


def layers():
    coding = keras_csc.layers.ConvSparseCoding2D
    for name, layer in (
        ("coding", coding(4, 3, strides=2)),
        ("decoding", keras_csc.layers.ConvSparseDecoding2D(3, 4, strides=2)),
        ("normalization", keras_csc.layers.SharedBatchNormalization()),
    ):
        x = pictures(8, 8, 4)
        layer.build(x.shape)
        weights = []
        for seed, variable in enumerate(layer.variables):
            value = rng(10 + seed).uniform(0.1, 0.9, variable.shape)
            if variable.name == "kernel":
                value = dictionary(*variable.shape[1:])
            if variable.name == "operator_norm":
                value = 5.0
            variable.assign(np.asarray(value, "float32"))
            weights.append(keras.ops.convert_to_numpy(variable.value))
        count = len(layer.trainable_variables)
        by_path = dict(zip([v.path for v in layer.variables], weights))
        trainable = [by_path[v.path] for v in layer.trainable_variables]
        fixed = [by_path[v.path] for v in layer.non_trainable_variables]
        for training in (False, True):

            def call(x, *weights, layer=layer, fixed=fixed, training=training):
                arguments = {"training": training}
                if "Decoding" in type(layer).__name__:
                    arguments = {}
                outputs, state = layer.stateless_call(
                    list(weights), fixed, x, **arguments
                )
                return (outputs, *map(ops.stop_gradient, state))

            title = f"layer {name} {'training' * training}"
            yield title, call, (x, *trainable[:count])


def rates():
    z, z_hat = rng(5).normal(size=(2, 12, 5)).astype("float32")
    labels = rng(6).integers(0, 3, 12).astype("int32")
    yield "rate", lambda z: keras_csc.ops.coding_rate(z), (z,)
    yield "distance", keras_csc.ops.rate_distance, (z, z_hat)

    def reduction(z):
        return keras_csc.ops.rate_reduction(z, ops.convert_to_tensor(labels), 3)

    yield "reduction", reduction, (z,)
    for objective in ("binary", "multi"):
        alone = dict.fromkeys(("residual", "multistage", "memory"), 0.0)
        game = TranscriptionGame(objective, 3, **alone)

        def played(z, z_hat, game=game):
            sides = [types.SimpleNamespace(features=x) for x in (z, z_hat)]
            loop = Loop(*sides, ops.convert_to_tensor(labels))
            terms = game.losses(loop)[2]
            return tuple(terms[key] for key in sorted(terms))

        yield f"game {objective}", played, (z, z_hat)


def optimizers():
    """Two steps of Muon, of a dictionary with few atoms, with many, a scale."""
    for shape in ((3, 3, 2, 5), (2, 2, 2, 12), (7,)):
        start, *gradients = rng(7).normal(size=(3, *shape)).astype("float32")

        def moved(*gradients, start=start):
            variable = keras.Variable(start)
            optimizer = keras_csc.optimizers.DictionaryMuon(0.1)
            optimizer.build([variable])
            for gradient in gradients:
                optimizer.apply([ops.stop_gradient(gradient)], [variable])
            return ops.stop_gradient(variable.value)

        yield f"muon {len(shape)} {shape[-1]}", moved, tuple(gradients)


def constraints():
    for constraint in (
        keras_csc.constraints.UnitAtoms(),
        keras_csc.constraints.TightFrame(),
    ):
        for filters in (4, 48):
            name = f"{type(constraint).__name__} {filters}"
            yield name, constraint, (2 * dictionary(4, 2, filters),)


def cases():
    for group in (
        operators,
        solvers,
        restorations,
        layers,
        rates,
        optimizers,
        constraints,
    ):
        yield from group()


def weighted_sum(outputs):
    """A scalar that all entries of all outputs matter for."""
    total = 0.0
    for number, output in enumerate(outputs):
        weights = rng(20 + number).normal(size=tuple(output.shape))
        weights = ops.convert_to_tensor(weights.astype("float32"))
        total = total + ops.sum(output * weights)
    return total


def evaluate(function, inputs):
    """Returns the outputs and the gradients by the inputs, NumPy arrays."""

    def outputs_of(*tensors):
        result = function(*tensors)
        return result if isinstance(result, tuple) else (result,)

    def loss(*tensors):
        return weighted_sum(outputs_of(*tensors))

    tensors = [ops.convert_to_tensor(value) for value in inputs]
    outputs = [ops.convert_to_numpy(value) for value in outputs_of(*tensors)]
    gradients = GRADIENTS[keras.backend.backend()](loss, tensors)
    return outputs, [
        np.zeros_like(value) if gradient is None else np.asarray(gradient)
        for value, gradient in zip(inputs, gradients)
    ]


def tensorflow_gradients(loss, tensors):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = loss(*tensors)
    return tape.gradient(value, tensors)


def jax_gradients(loss, tensors):
    import jax

    return jax.grad(loss, range(len(tensors)))(*tensors)


def torch_gradients(loss, tensors):
    import torch

    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    value = loss(*tensors)
    if not value.requires_grad:
        return [None] * len(tensors)
    return torch.autograd.grad(value, tensors, allow_unused=True)


GRADIENTS = {
    "tensorflow": tensorflow_gradients,
    "jax": jax_gradients,
    "torch": torch_gradients,
}


def all_results():
    """Returns all arrays, by `CASE/value NUMBER` or `CASE/gradient NUMBER`."""
    results = {}
    for name, function, inputs in cases():
        outputs, gradients = evaluate(function, inputs)
        for kind, arrays in (("value", outputs), ("gradient", gradients)):
            for number, array in enumerate(arrays):
                results[f"{name}/{kind} {number}"] = array
    return results


if __name__ == "__main__":
    np.savez(sys.argv[1], **all_results())
