"""A denoising diffusion model, which samples are compared with.

Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020. It is plain
Keras, takes images in [-1, 1], and has the widths of a preset's networks:
stages of stride 2 with `filters` channels, from the image upwards.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras import ops

DDIM_STEPS = 50
BATCH = 250  # images that are made at a time


def alphas(steps=1000, first=1e-4, last=0.02):
    """`ᾱ_t = Π_{s ≤ t} (1 - β_s)` of evenly spaced `β`; `ᾱ_0 = 1`.

    Returns:
        Float64 array `(steps + 1,)`, which falls from 1.
    """
    return np.cumprod(np.append(1.0, 1.0 - np.linspace(first, last, steps)))


def diffuse(images, noise, alpha):
    """`x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε`, of `q(x_t | x_0)` where `ε ~ N(0, I)`.

    Args:
        images: tensor `(batch, height, width, channels)`, `x_0` in [-1, 1].
        noise: tensor of the same shape, `ε`.
        alpha: `ᾱ_t`, a number or a tensor `(batch, 1, 1, 1)`.
    """
    return ops.sqrt(alpha) * images + ops.sqrt(1.0 - alpha) * noise


def ddim(predict, noise, alpha, steps=DDIM_STEPS):
    """Images of noise, in some of the steps of the diffusion.

    A step is `x_s = √ᾱ_s x̂_0 + √(1 - ᾱ_s) ε̂`, without new noise. `x̂_0 = (x_t -
    √(1 - ᾱ_t) ε) / √ᾱ_t` is cut to [-1, 1], and `ε̂` is the noise that `x_t`
    then has.

    Args:
        predict: function of `x_t`, a tensor `(batch, height, width, channels)`,
            and `t`, an int in `[1, T]`; returns the noise `ε`.
        noise: tensor `(batch, height, width, channels)`, `x_T ~ N(0, I)`.
        alpha: array `(T + 1,)`, as `alphas` makes it.
        steps: int in `[1, T]`; their times are evenly spaced, down from `T`.

    Reference:
        Song et al., Denoising diffusion implicit models, ICLR 2021, equation
        12 with σ = 0.
    """
    times = np.rint(np.linspace(len(alpha) - 1, 0, steps + 1)).astype(int)
    noisy = noise
    for time, following in zip(times, times[1:]):
        noise = predict(noisy, time)
        signal, spread = alpha[time] ** 0.5, (1.0 - alpha[time]) ** 0.5
        image = ops.clip((noisy - spread * noise) / signal, -1.0, 1.0)
        noise = (noisy - signal * image) / spread
        noisy = diffuse(image, noise, alpha[following])
    return noisy


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


def denoiser(image_shape, filters, num_classes, kernel_size=4, groups=8):
    """A small U-Net `ε(x_t, t, y)` that predicts the noise of noisy images.

    Down the stages, of stride 2, and up again, with what was on the way down
    beside it. At every stage, on both ways, and in the middle is a residual
    block, `x + W * silu(n(x) + c)` with a 3×3 convolution `W`, a group
    normalisation `n`, and `c` a linear function of the condition: sinusoids of
    the time and a vector of the class, through a layer. It has no attention
    and no dropout, and the largest size is half of the image's.

    Inputs: `(x_t, t, y)`, of shapes `(batch, height, width, channels)`,
        `(batch,)` in `[1, T]` and `(batch,)` in `[0, num_classes)`.

    Output shape: that of the images, float32.
    """

    def block(signal):
        width = signal.shape[-1]
        inner = layers.GroupNormalization(groups)(signal)
        shift = layers.Reshape((1, 1, width))(layers.Dense(width)(condition))
        inner = layers.Activation("silu")(layers.Add()([inner, shift]))
        inner = layers.Conv2D(width, 3, padding="same")(inner)
        return layers.Add()([signal, inner])

    how = {"strides": 2, "padding": "same"}
    images = keras.Input(image_shape)
    times = keras.Input((), dtype="int32")
    labels = keras.Input((), dtype="int32")
    condition = _condition(times, labels, num_classes, filters[-1])
    signal, passed = images, []
    for width in filters:
        signal = block(layers.Conv2D(width, kernel_size, **how)(signal))
        passed.append(signal)
    signal = block(signal)
    for number, width in reversed(list(enumerate(filters))):
        signal = layers.Concatenate()([signal, passed[number]])
        signal = block(layers.Conv2D(width, 1)(signal))
        if number:
            below = filters[number - 1]
            signal = layers.Conv2DTranspose(below, kernel_size, **how)(signal)
    how["dtype"] = "float32"  # the image is a small difference at high noise
    noise = layers.Conv2DTranspose(image_shape[-1], kernel_size, **how)(signal)
    return keras.Model([images, times, labels], noise, name="denoiser")


def _condition(times, labels, num_classes, width):
    """What the blocks know of time and class, `(batch, width)`."""
    frequencies = np.geomspace(1.0, 1e-4, width // 2).astype("float32")
    angles = ops.cast(times, "float32")[:, None] * frequencies[None]
    waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], -1)
    waves = layers.Dense(width)(waves)
    classes = layers.Embedding(num_classes, width)(labels)
    condition = layers.Activation("silu")(layers.Add()([waves, classes]))
    return layers.Dense(width, activation="silu")(condition)


def compile_denoiser(model, steps, learning_rate=1e-3):
    """Compiles a denoiser with the loss `mean (ε - ε(x_t, t, y))²`.

    Adam, whose rate falls to 0 along a cosine; at the end of `fit` the weights
    are their moving averages, over a tenth of the steps: the usual momentum of
    0.9999 would mostly remember the first weights.
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


def denoised_samples(model, labels, alpha, seed=0, steps=DDIM_STEPS):
    """Images `(n, height, width, channels)` of classes `(n,)`, by `ddim`."""
    labels = np.asarray(labels, "int32")
    random = np.random.default_rng(seed)
    made = []
    for start in range(0, len(labels), BATCH):
        part = labels[start : start + BATCH]

        def predict(images, time, part=part):
            times = np.full(len(part), time, "int32")
            return model.predict_on_batch((images, times, part))

        shape = len(part), *model.output_shape[1:]
        noise = random.standard_normal(shape, "float32")
        images = ddim(predict, noise, alpha, steps)
        made.append(np.asarray(images, "float32"))
    return np.concatenate(made)
