"""Gradients of a solution, by differentiating its optimality conditions."""

import keras
from keras import ops

from keras_csc.ops.convolution import filter_gradient
from keras_csc.ops.program import AXES


def implicit_gradient(codes, program, iterations):
    """Gives codes the gradient that the solution of the program has.

    On the support of a solution, `Aᵀ(x - A z) - λ sign(z) = 0`. The support
    does not move with small changes of `x`, `W` and `λ`. With a `λ` of 0 it
    holds all signed codes.

    Let `y` be the incoming gradient, and `P` the restriction to the support.
    Conjugate residuals solve `P AᵀA P v = P y`. If active atoms are linearly
    dependent, there may be no solution: then `v` is of least squares. The
    outgoing gradients are the gradients of `<v, Aᵀ(x - A z) - λ sign(z)>` with
    respect to `x`, `W` and `λ`. They have gradients of their own.

    Args:
        codes: tensor, a solution. No gradient flows through how it was found.
        program: `SparseCodingProgram`. Gradients flow to its images, kernel
            and sparsity, which are tensors.
        iterations: int, the most steps of conjugate residuals.

    References:
        Bertrand et al., Implicit differentiation for fast hyperparameter
        selection in non-smooth convex learning, JMLR 2022, section 3;
        Luenberger, The conjugate residual method for constrained minimization
        problems, SIAM J. Numerical Analysis 1970.
    """

    @ops.custom_gradient
    def solution(codes, images, kernel, sparsity):
        inputs = program._replace(
            images=images, kernel=kernel, sparsity=sparsity
        )

        def gradient(*args, upstream=None):
            # Torch gives the upstream gradient by name, the others last.
            upstream = args[-1] if upstream is None else upstream
            # So that the gradient has gradients.
            solved = implicit_gradient(codes, inputs, iterations)
            gradients = _gradients(upstream, solved, inputs, iterations)
            return (ops.zeros_like(codes), *gradients)

        return ops.copy(codes), gradient

    return solution(ops.stop_gradient(codes), *program[:3])


def _gradients(upstream, codes, program, iterations):
    """Gradients of the images, the kernel and the sparsity."""
    support = ops.not_equal(codes, 0)
    if not program.nonnegative:
        support = ops.logical_or(support, ops.equal(program.sparsity, 0))

    def restrict(values):
        return ops.where(support, values, ops.zeros_like(values))

    def curvature(values):
        return restrict(program.analysis(program.prediction(values)))

    adjoint = conjugate_residuals(curvature, restrict(upstream), iterations)
    # No product with NaN is above 0: the loop would take it for solved.
    finite = ops.all(ops.isfinite(upstream), AXES, keepdims=True)
    adjoint = ops.where(finite, adjoint, float("nan"))
    image = program.prediction(adjoint)
    by_kernel = filter_gradient(
        ops.concatenate([program.residual(codes), -image], 0),
        ops.concatenate([adjoint, codes], 0),
        program.kernel.shape,
        program.strides,
        program.padding,
    )
    return (
        image,
        by_kernel,
        _unbroadcast(-ops.sign(codes) * adjoint, program.sparsity),
    )


def conjugate_residuals(operator, right, iterations):
    """Solves `H v = b` for every example, or `min_v ‖b - H v‖`.

    `H` is a function, positive semi-definite for every example. An example is
    done when `H` times its residual is as small as the precision allows. It
    does not depend on the other examples. Where `b` is not in the range of
    `H`, conjugate gradients would grow without end.
    """
    image = operator(right)
    goal = _precision(right) ** 2 * _squared_norm(image)
    product = _products(right, image)

    def advance(solution, residual, direction, image, product, active):
        square = _squared_norm(image)
        active = ops.logical_and(active, square > 0)
        step = ops.where(active, product, 0) / ops.where(active, square, 1)
        solution = solution + step * direction
        residual = residual - step * image
        following = operator(residual)
        square = _squared_norm(following)
        last, product = product, _products(residual, following)
        ratio = ops.where(active, product, 0) / ops.where(active, last, 1)
        active = ops.logical_and(active, square > goal)
        active = ops.logical_and(active, product > 0)
        direction = residual + ratio * direction
        image = following + ratio * image
        return solution, residual, direction, image, product, active

    return ops.while_loop(
        lambda *state: ops.any(state[-1]),
        advance,
        (ops.zeros_like(right), right, right, image, product, product > 0),
        maximum_iterations=iterations,
    )[0]


def _precision(values):
    dtype = keras.backend.standardize_dtype(values.dtype)
    return 2e-15 if dtype == "float64" else 1e-6


def _products(values, others):
    return ops.sum(values * others, AXES, keepdims=True)


def _squared_norm(values):
    return ops.sum(ops.square(values), AXES, keepdims=True)


def _unbroadcast(gradient, like):
    """Sums a gradient over the axes that `like` was broadcast along."""
    missing = len(gradient.shape) - len(like.shape)
    if missing:
        gradient = ops.sum(gradient, tuple(range(missing)))
    axes = [axis for axis, size in enumerate(like.shape) if size == 1]
    return ops.sum(gradient, tuple(axes), keepdims=True) if axes else gradient
