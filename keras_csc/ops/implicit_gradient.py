"""Gradients of a solution, by differentiating its optimality conditions."""

import keras
from keras import ops

from keras_csc.ops.broadcasting import unbroadcast
from keras_csc.ops.convolution import filter_gradient
from keras_csc.ops.precision import as_dtype_of
from keras_csc.ops.program import AXES


def implicit_gradient(codes, program, iterations):
    """Gives codes the gradient that the solution of the program has.

    On the support of a solution, `Aᵀ(x - A z) - λ sign(z) - μ z = 0`, and
    the support does not move with small changes of `x`, `W`, `λ` and `μ`. Of
    an incoming gradient `y`, restricted to the support by `P`, the outgoing
    ones are those of this equation's left-hand side times `v`, where
    `(P AᵀA P + μ) v = P y` is solved by conjugate gradients.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`, a solution;
            no gradient flows through how it was found.
        program: `SparseCodingProgram`; gradients flow to its images, kernel,
            sparsity and ridge, as far as they are tensors.
        iterations: int, the most steps of conjugate gradients.

    Returns:
        The codes.

    Reference:
        Bertrand et al., Implicit differentiation for fast hyperparameter
        selection in non-smooth convex learning, JMLR 2022, section 3.
    """

    @ops.custom_gradient
    def solution(codes, images, kernel, sparsity, ridge):
        inputs = program._replace(
            images=images, kernel=kernel, sparsity=sparsity, ridge=ridge
        )

        def gradient(*args, upstream=None):
            # Torch gives the upstream gradient by name, the others last.
            upstream = args[-1] if upstream is None else upstream
            gradients = _gradients(upstream, codes, inputs, iterations)
            return (ops.zeros_like(codes), *gradients)

        return ops.copy(codes), gradient

    ridge = as_dtype_of(program.ridge, codes)
    return solution(
        ops.stop_gradient(codes),
        program.images,
        program.kernel,
        program.sparsity,
        ridge,
    )


def _gradients(upstream, codes, program, iterations):
    """Gradients of the images, the kernel, the sparsity and the ridge."""
    support = ops.not_equal(codes, 0)

    def restrict(values):
        return ops.where(support, values, ops.zeros_like(values))

    def curvature(values):
        image = program.prediction(values)
        return restrict(program.analysis(image)) + program.ridge * values

    adjoint = conjugate_gradients(curvature, restrict(upstream), iterations)
    image = program.prediction(adjoint)
    by_kernel = filter_gradient(
        ops.concatenate(
            [
                program.back_projection(program.residual(codes)),
                program.back_projection(-image),
            ],
            0,
        ),
        ops.concatenate([adjoint, codes], 0),
        program.kernel.shape,
        program.strides,
        program.padding,
    )
    return (
        image,
        by_kernel,
        unbroadcast(-ops.sign(codes) * adjoint, program.sparsity),
        unbroadcast(-codes * adjoint, program.ridge),
    )


def conjugate_gradients(operator, right, iterations):
    """Solves `H v = b` for every example of a batch.

    An example is done when its residual is that of the precision, and does
    not depend on the others of its batch.

    Args:
        operator: function `v → H v`, positive semi-definite per example.
        right: tensor `b` `(batch, height, width, filters)`.
        iterations: int, the most steps.

    Returns:
        Tensor of the shape of `right`.
    """
    dtype = keras.backend.standardize_dtype(right.dtype)
    precision = 2e-15 if dtype == "float64" else 1e-6
    start = _squared_norm(right)
    goal = precision**2 * start

    def proceed(_solution, _residual, _direction, square):
        return ops.any(square > goal)

    def advance(solution, residual, direction, square):
        image = operator(direction)
        curvature = ops.sum(direction * image, AXES, keepdims=True)
        active = ops.logical_and(square > goal, curvature > 0)
        step = ops.where(active, square, 0) / ops.where(active, curvature, 1)
        solution = solution + step * direction
        residual = residual - step * image
        following = _squared_norm(residual)
        ratio = ops.where(active, following, 0) / ops.where(active, square, 1)
        square = ops.where(active, following, 0)
        return solution, residual, residual + ratio * direction, square

    return ops.while_loop(
        proceed,
        advance,
        (ops.zeros_like(right), right, right, start),
        maximum_iterations=iterations,
    )[0]


def _squared_norm(values):
    return ops.sum(ops.square(values), AXES, keepdims=True)
