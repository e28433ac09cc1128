"""The unrolled solver on TensorFlow: the same steps, a faster gradient.

The gradient is that of the unrolled iterations, written out: the proximal
maps are one masking each, and what is element-wise can be fused.
"""

import collections

import tensorflow as tf

from keras_csc.ops.broadcasting import unbroadcast
from keras_csc.ops.tensorflow import choose
from keras_csc.ops.tensorflow.choose import fusable


def unrolled(program, step_size, momenta):
    """Runs iterations from 0; see `portable.unrolled`.

    Args:
        program: `SparseCodingProgram`.
        step_size: scalar tensor `η`; no gradient flows to it.
        momenta: list of floats, the extrapolation before every iteration but
            the first.

    Returns:
        Codes `(batch, code_height, code_width, filters)`.
    """
    images = program.images
    size = images.shape[1:3]
    if None in size:
        size = tf.unstack(tf.shape(images)[1:3])
    iterations = _Iterations(
        size,
        (program.strides, program.padding),
        program.nonnegative,
        step_size,
        [tf.constant(m, images.dtype) if m else None for m in momenta],
    )

    @tf.custom_gradient
    def solve(images, *inputs):
        codes, residuals = iterations.run(images, *inputs)

        def gradient(upstream):
            return iterations.gradient(upstream, inputs, codes, residuals)

        return codes[-1], gradient

    factors = program.proximal_factors(step_size)
    factors = [factor for factor in factors if factor is not None]
    return solve(images, tf.convert_to_tensor(program.kernel), *factors)


class _Iterations(
    collections.namedtuple(
        "_Iterations",
        ["size", "geometry", "nonnegative", "step_size", "momenta"],
    )
):
    """The iterations and their gradient.

    Fields:
        size: `(height, width)` of the images.
        geometry: `(strides, padding)`.
        nonnegative: bool.
        step_size: scalar tensor `η`.
        momenta: list of scalar tensors, or `None` for 0.
    """

    __slots__ = ()

    def run(self, images, kernel, threshold, *shrinkage):
        """Returns the codes and the residuals of all iterations, two lists."""
        step_kernel = kernel * self.step_size

        def step(residual, *point):
            update = choose.analysis(residual, step_kernel, *self.geometry)
            return _proximal(
                update,
                point,
                threshold,
                *shrinkage,
                nonnegative=self.nonnegative,
            )

        codes, residuals, image = [step(images)], [images], None
        for momentum in self.momenta:
            before, image = image, self._synthesis(codes[-1], kernel)
            if momentum is None:
                residual = images - image
                code = step(residual, codes[-1])
            else:
                residual = _residual(images, image, before, momentum)
                code = step(residual, codes[-1], codes[-2], momentum)
            codes.append(code)
            residuals.append(residual)
        return codes, residuals

    def gradient(self, upstream, inputs, codes, residuals):
        """Gradients of the images, and of the `inputs` of `run`.

        What a code receives from the two points that it is a part of is added
        up as images, so that one analysis and one filter gradient serve both.
        """
        kernel, *factors = inputs
        step_kernel = kernel * self.step_size
        by_images, by_kernel, by_step_kernel = 0.0, 0.0, 0.0
        by_factors = [0.0 for _ in factors]
        active = _active(upstream, codes[-1], factors[0], self.nonnegative)
        later = None, None, None
        for index in range(len(codes) - 1, -1, -1):
            active, terms = _through_proximal(active, codes[index], *factors)
            by_factors = [a + b for a, b in zip(by_factors, terms)]
            image = self._synthesis(active, step_kernel)
            by_images += image
            by_step_kernel += self._by_kernel(residuals[index], active, kernel)
            if index == 0:
                break
            code, momentum = codes[index - 1], self.momenta[index - 1]
            later_active, later_image, later_momentum = later
            later = active, image, momentum
            image = _mixed(image, momentum, later_image, later_momentum)
            by_kernel -= self._by_kernel(image, code, kernel)
            active = _active_before(
                choose.analysis(image, kernel, *self.geometry),
                code,
                factors[0],
                (active, momentum, later_active, later_momentum),
                nonnegative=self.nonnegative,
            )
        by_kernel += self.step_size * by_step_kernel
        return by_images, by_kernel, *by_factors

    def _synthesis(self, codes, kernel):
        return choose.synthesis(codes, kernel, self.size, *self.geometry)

    def _by_kernel(self, images, codes, kernel):
        return choose.filter_gradient(
            images, codes, kernel.shape, *self.geometry
        )


@fusable
def _residual(images, image, before, momentum):
    """`x - A y` at an extrapolated point `y`, from `A z` and `A z'`."""
    return images - image - momentum * (image - before)


@fusable
def _proximal(update, point, threshold, *shrinkage, nonnegative):
    """The proximal map at `y + update`.

    The point `y` is given by `()` for 0, by `(z,)`, or by `(z, z', momentum)`.
    """
    values = update
    if point:
        values = values + point[0]
    if len(point) > 1:
        code, before, momentum = point
        values = values + momentum * (code - before)
    for factor in shrinkage:
        values = values * factor
    if nonnegative:
        return tf.nn.relu(values - threshold)
    # LiteRT has no `ClipByValue`.
    clipped = tf.maximum(tf.minimum(values, threshold), -threshold)
    return values - clipped


def _through_proximal(active, code, threshold, *shrinkage):
    """Carries a masked gradient through the proximal map with result `code`.

    Returns:
        `(active, terms)`: the gradient at what the shrinkage multiplies, and
        those of the threshold and of the shrinkage, if there is one.
    """
    terms = [-unbroadcast(active * tf.sign(code), threshold)]
    for factor in shrinkage:
        values = (code + threshold * tf.sign(code)) / factor
        terms.append(unbroadcast(active * values, factor))
        active = active * factor
    return active, terms


@fusable
def _active(upstream, code, threshold, nonnegative):
    """Gradient at the argument of the proximal map whose result is `code`.

    Codes of 0 have none, but signed ones without a threshold: there the map is
    the identity.
    """
    passed = tf.not_equal(code, 0)
    if not nonnegative:
        passed = tf.logical_or(passed, tf.equal(threshold, 0))
    return tf.where(passed, upstream, tf.zeros((), code.dtype))


@fusable
def _active_before(blurred, code, threshold, terms, nonnegative):
    """`_active` of a code, from what it receives: `_mixed(*terms)`."""
    upstream = _weighted(*terms) - blurred
    return _active(upstream, code, threshold, nonnegative)


def _mixed(image, momentum, later, later_momentum):
    """`_weighted`, without a copy where there is no weight."""
    if momentum is None and later_momentum is None:
        return image
    return _weighted(image, momentum, later, later_momentum)


@fusable
def _weighted(value, momentum, later, later_momentum):
    """Adds up what comes from two points to a code that is a part of both.

    Args:
        value: tensor, from the point that the code is extrapolated to.
        momentum: scalar tensor, how far; `None` for 0.
        later: tensor, from the point after, extrapolated away from the code.
        later_momentum: scalar tensor, how far; `None` for 0.
    """
    if momentum is not None:
        value = value + momentum * value
    if later_momentum is not None:
        value = value - later_momentum * later
    return value
