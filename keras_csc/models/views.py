"""Random views of images, for what the game asks of an image's views."""

import math

import tensorflow as tf

SMALLEST_AREA = 0.25
MOST_ELONGATED = 4 / 3
JITTER_PROBABILITY = 0.8
GREY_PROBABILITY = 0.2
FACTORS = (0.6, 1.4)  # of contrast and of saturation
BRIGHTNESS = 0.4


def random_views(images, step, seed=0):
    """A random view of every image: a crop, mirrored or not, in other colours.

    A crop has ¼ to all of the area and sides of ratios up to 4:3, and is
    brought back to the image's size. Half of the crops are mirrored. Four of
    five have another contrast, brightness and, in colour, saturation. One of
    five is grey.

    A view is a function of the seed, the step and the image's number in the
    global batch, where the replicas' images follow one another. So views do not
    depend on the number of replicas, if a batch divides evenly among them. XLA
    draws other numbers.

    Reference:
        Chen et al., A simple framework for contrastive learning of visual
        representations, ICML 2020, appendix A.
    """
    draw = _draws(tf.shape(images)[0], step, seed)
    views = _crops(images, draw)
    jittered = _clip(_jittered(views, draw))
    views = tf.where(draw() < JITTER_PROBABILITY, jittered, views)
    if views.shape[-1] == 3:
        views = tf.where(draw() < GREY_PROBABILITY, _grey(views), views)
    return views


def _draws(count, step, seed):
    """A function that draws numbers `(count, 1, 1, 1)`, others at each call."""
    context = tf.distribute.get_replica_context()
    number, replicas = 0, 1
    if context is not None:
        number = context.replica_id_in_sync_group
        replicas = context.num_replicas_in_sync
    calls = iter(range(100 * seed, 100 * (seed + 1)))

    def draw(low=0.0, high=1.0):
        own = tf.stack([next(calls), tf.cast(step, tf.int64)])
        drawn = tf.random.stateless_uniform(
            (replicas * count, 1, 1, 1), own, low, high
        )
        return drawn[number * count :][:count]

    return draw


def _crops(images, draw):
    """Parts of the images at the images' size, half of them mirrored."""
    area, flipped = draw(SMALLEST_AREA, 1.0), draw() < 0.5
    most = math.log(MOST_ELONGATED) / 2
    stretch = tf.exp(draw(-most, most))
    height = tf.minimum(tf.sqrt(area) * stretch, 1.0)
    width = tf.minimum(tf.sqrt(area) / stretch, 1.0)
    top, left = draw() * (1.0 - height), draw() * (1.0 - width)
    right = left + width
    left, right = (
        tf.where(flipped, right, left),
        tf.where(flipped, left, right),
    )
    _, rows, columns, _ = images.shape
    views = tf.einsum(
        "nyi,nxj,nijc->nyxc",
        _interpolation(top, top + height, rows),
        _interpolation(left, right, columns),
        tf.cast(images, top.dtype),
    )
    return tf.cast(_clip(views), images.dtype)


def _interpolation(start, stop, size):
    """Weights `(n, size, size)` of pixels, at places from `start` to `stop`.

    Places are in [0, 1], as many as there are pixels. XLA can't compile
    `tf.image.crop_and_resize`.
    """
    start, stop = start[..., 0], stop[..., 0]
    places = start + (stop - start) * tf.linspace(0.0, 1.0, size)[:, None]
    places = tf.clip_by_value((size - 1.0) * places, 0.0, size - 1.0)
    return tf.nn.relu(1.0 - tf.abs(places - tf.range(float(size))))


def _jittered(images, draw):
    """Images of another contrast, brightness and saturation."""
    mean = tf.reduce_mean(images, (1, 2, 3), keepdims=True)

    def factor(*limits):
        return tf.cast(draw(*limits), images.dtype)

    jittered = mean + factor(*FACTORS) * (images - mean)
    jittered += factor(-BRIGHTNESS, BRIGHTNESS)
    if images.shape[-1] == 3:
        grey = _grey(jittered)
        jittered = grey + factor(*FACTORS) * (jittered - grey)
    return jittered


def _grey(images):
    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(images))


def _clip(images):
    return tf.clip_by_value(images, -1.0, 1.0)
