"""The `tf.distribute` strategies of the scripts."""

import tensorflow as tf

from keras_csc import data


def make(name):
    """Makes a strategy.

    Args:
        name: `"none"` or `"mirrored"`, over the GPUs or else the logical CPUs.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([d.name for d in devices])


def batches(strategy, source, options, first_step):
    """Distributes the batches of a source over a strategy's replicas.

    The global batches do not depend on the number of replicas.
    """

    def pipeline(context):
        return data.batches(
            source,
            options.batch_size,
            seed=options.seed,
            first_step=first_step,
            horizontal_flip=options.horizontal_flip,
            input_context=context,
        )

    return strategy.distribute_datasets_from_function(pipeline)
