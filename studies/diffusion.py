"""A denoising diffusion model, which samples are compared with.

It is plain Keras, takes images in [-1, 1], and has the widths of a preset's
networks: stages of stride 2 with `filters` channels, from the image upwards.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras import ops

DDIM_STEPS = 50


def betas(steps=1000, first=1e-4, last=0.02):
    """`β_1 ... β_T`, variances of the noise of every step, evenly spaced.

    Returns:
        Float64 array `(steps,)`.

    Reference:
        Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020,
        section 4.
    """
    return np.linspace(first, last, steps)


def alphas(variances):
    """`ᾱ_t = Π_{s ≤ t} (1 - β_s)`, with `ᾱ_0 = 1` for the image itself.

    Args:
        variances: array `(T,)`, `β_1 ... β_T`.

    Returns:
        Float64 array `(T + 1,)`, which falls from 1.
    """
    return np.cumprod(np.append(1.0, 1.0 - np.asarray(variances, "float64")))


def diffuse(images, noise, alpha):
    """`x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε`, of `q(x_t | x_0)` where `ε ~ N(0, I)`.

    Args:
        images: tensor `(batch, height, width, channels)`, `x_0` in [-1, 1].
        noise: tensor of the same shape, `ε`.
        alpha: `ᾱ_t`, a number or a tensor `(batch, 1, 1, 1)`.

    Returns:
        A tensor of the shape of the images.

    Reference:
        Ho et al., 2020, equation 4.
    """
    return ops.sqrt(alpha) * images + ops.sqrt(1.0 - alpha) * noise


def ddim_step(noisy, noise, alpha, next_alpha):
    """`x_s = √ᾱ_s x̂_0 + √(1 - ᾱ_s) ε̂`, a step without new noise.

    `x̂_0 = (x_t - √(1 - ᾱ_t) ε) / √ᾱ_t` is cut to [-1, 1], and `ε̂` is what
    the noise of `x_t` then is.

    Args:
        noisy: tensor `(batch, height, width, channels)`, `x_t`.
        noise: tensor of the same shape, `ε` as it is predicted.
        alpha: float, `ᾱ_t`, below 1.
        next_alpha: float, `ᾱ_s`; at 1 the step gives `x̂_0`.

    Returns:
        A tensor of the same shape.

    Reference:
        Song et al., Denoising diffusion implicit models, ICLR 2021, equation
        12 with σ = 0.
    """
    image = (noisy - (1.0 - alpha) ** 0.5 * noise) / alpha**0.5
    image = ops.clip(image, -1.0, 1.0)
    noise = (noisy - alpha**0.5 * image) / (1.0 - alpha) ** 0.5
    return diffuse(image, noise, next_alpha)


def ddim(predict, noise, alpha, steps=DDIM_STEPS):
    """Images of noise, in some of the steps of the diffusion.

    Args:
        predict: function of `x_t`, a tensor `(batch, height, width, channels)`,
            and `t`, an int in `[1, T]`; returns the noise `ε`.
        noise: tensor `(batch, height, width, channels)`, `x_T ~ N(0, I)`.
        alpha: array `(T + 1,)`, as `alphas` makes it.
        steps: int in `[1, T]`; their times are evenly spaced, down from `T`.

    Returns:
        A tensor of the same shape, in [-1, 1].
    """
    times = np.rint(np.linspace(len(alpha) - 1, 0, steps + 1)).astype(int)
    images = noise
    for time, following in zip(times, times[1:]):
        found = predict(images, time)
        images = ddim_step(images, found, alpha[time], alpha[following])
    return images


def noised(batches, alpha, seed=0):
    """What a denoiser is trained on.

    Args:
        batches: `tf.data.Dataset` of `(images, labels)`.
        alpha: array `(T + 1,)`, as `alphas` makes it.
        seed: int; a batch's times, uniform in `[1, T]`, and noise are a
            function of it and the batch's number.

    Returns:
        `tf.data.Dataset` of `((x_t, t, labels), ε)`.
    """
    table = tf.constant(alpha, "float32")

    def noisy(number, batch):
        images, labels = batch
        of_time, of_noise = tf.unstack(
            tf.random.split(tf.stack([tf.cast(seed, tf.int64), number]), 2)
        )
        times = tf.random.stateless_uniform(
            tf.shape(labels), of_time, 1, len(alpha), tf.int32
        )
        noise = tf.random.stateless_normal(tf.shape(images), of_noise)
        chosen = tf.gather(table, times)[:, None, None, None]
        return (diffuse(images, noise, chosen), times, labels), noise

    return batches.enumerate().map(noisy).prefetch(1)


def denoiser(
    image_shape, filters, num_classes, kernel_size=4, groups=8, dtype=None
):
    """A small U-Net `ε(x_t, t, y)` that predicts the noise of noisy images.

    Down the stages, of stride 2, and up again, with what was on the way down
    beside it. At every stage, on both ways, and in the middle is a residual
    block, `x + W * silu(n(x) + c)` with a 3×3 convolution `W`, a group
    normalisation `n`, and `c` a linear function of the condition: sinusoids of
    the time and a vector of the class, through a layer.

    Inputs: `(x_t, t, y)`, of shapes `(batch, height, width, channels)`,
        `(batch,)` in `[1, T]` and `(batch,)` in `[0, num_classes)`.

    Output shape: that of the images, float32.

    Args:
        image_shape: `(height, width, channels)`, divisible by
            `2 ** len(filters)`.
        filters: ints, channels of the stages, divisible by `groups`.
        num_classes: int.
        kernel_size: int, of the layers between stages.
        groups: int, of the normalisations.
        dtype: policy.

    Reference:
        Ho et al., 2020, appendix B. This is a smaller form: a block has two
        convolutions, without attention and dropout, and the largest size is
        half of the image's.
    """

    def block(signal):
        width = signal.shape[-1]
        inner = layers.GroupNormalization(groups, dtype=dtype)(signal)
        shift = layers.Dense(width, dtype=dtype)(condition)
        shift = layers.Reshape((1, 1, width), dtype=dtype)(shift)
        inner = layers.Add(dtype=dtype)([inner, shift])
        inner = layers.Activation("silu", dtype=dtype)(inner)
        inner = layers.Conv2D(width, 3, padding="same", dtype=dtype)(inner)
        return layers.Add(dtype=dtype)([signal, inner])

    how = {"strides": 2, "padding": "same", "dtype": dtype}
    images = keras.Input(image_shape)
    times = keras.Input((), dtype="int32")
    labels = keras.Input((), dtype="int32")
    condition = _condition(times, labels, num_classes, filters[-1], dtype)
    signal, passed = images, []
    for width in filters:
        signal = block(layers.Conv2D(width, kernel_size, **how)(signal))
        passed.append(signal)
    signal = block(signal)
    for number, width in reversed(list(enumerate(filters))):
        signal = layers.Concatenate(dtype=dtype)([signal, passed[number]])
        signal = block(layers.Conv2D(width, 1, dtype=dtype)(signal))
        if number:
            below = filters[number - 1]
            signal = layers.Conv2DTranspose(below, kernel_size, **how)(signal)
    how["dtype"] = "float32"  # the image is a small difference at high noise
    noise = layers.Conv2DTranspose(image_shape[-1], kernel_size, **how)(signal)
    return keras.Model([images, times, labels], noise, name="denoiser")


def _condition(times, labels, num_classes, width, dtype):
    """What the blocks know of time and class, `(batch, width)`."""
    frequencies = np.geomspace(1.0, 1e-4, width // 2).astype("float32")
    angles = ops.cast(times, "float32")[:, None] * frequencies[None]
    waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], -1)
    waves = layers.Dense(width, dtype=dtype)(waves)
    classes = layers.Embedding(num_classes, width, dtype=dtype)(labels)
    condition = layers.Add(dtype=dtype)([waves, classes])
    condition = layers.Activation("silu", dtype=dtype)(condition)
    return layers.Dense(width, activation="silu", dtype=dtype)(condition)


def compile_denoiser(model, steps, learning_rate=1e-3):
    """Compiles a denoiser with the loss `mean (ε - ε(x_t, t, y))²`.

    Adam, whose rate falls to 0 along a cosine; at the end of `fit` the weights
    are their moving averages, over a tenth of the steps: the momentum of 0.9999
    that is usual would, of some hundred steps, mostly remember the first
    weights.

    Reference:
        Ho et al., 2020, equation 14, and appendix B on moving averages.
    """
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, steps),
            use_ema=True,
            ema_momentum=max(0.0, 1 - 10 / steps),
        ),
        loss="mean_squared_error",
        jit_compile=False,
    )


def denoised_samples(
    model, labels, alpha, seed=0, steps=DDIM_STEPS, batch_size=250
):
    """Images of classes, by `ddim` with a denoiser.

    Args:
        model: as `denoiser` makes it, compiled.
        labels: ints `(n,)`.
        alpha: array `(T + 1,)`, as `alphas` makes it.
        seed: int, of the noise.
        steps: int, of `ddim`.
        batch_size: int, images that are made at a time.

    Returns:
        Float32 array `(n, height, width, channels)` in [-1, 1].
    """
    labels = np.asarray(labels, "int32")
    random = np.random.default_rng(seed)
    shape = model.output_shape[1:]
    made = []
    for start in range(0, len(labels), batch_size):
        part = labels[start : start + batch_size]

        def predict(images, time, part=part):
            times = np.full(len(part), time, "int32")
            return model.predict_on_batch((images, times, part))

        noise = random.standard_normal((len(part), *shape), "float32")
        images = ddim(predict, noise, alpha, steps)
        made.append(np.asarray(images, "float32"))
    return np.concatenate(made)
