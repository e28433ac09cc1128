"""Sums over the replicas of a `tf.distribute` strategy."""

import keras


def num_replicas():
    """Number of replicas of the current strategy, 1 where there is none."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_sum(tensors):
    """Sums a nested structure of tensors over the replicas in sync.

    One collective for the whole structure. Outside a replica of a strategy it
    returns its argument. Its gradient is the sum over replicas of the incoming
    ones: a loss that all compute is to be divided by their number.
    """
    if num_replicas() == 1:
        return tensors
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    flat = tf.nest.flatten(tensors)
    if context is None or not flat:
        return tensors
    sums = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
    return tf.nest.pack_sequence_as(tensors, sums)


def shard_weight(count, dtype):
    """A replica's number of examples in units of the mean over replicas.

    A mean over a replica's examples times this, averaged over the replicas, is
    the mean over the global batch.
    """
    replicas = num_replicas()
    if replicas == 1:
        return 1.0
    count = keras.ops.cast(count, dtype)
    return replicas * count / replica_sum([count])[0]
