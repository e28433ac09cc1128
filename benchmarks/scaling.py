"""Training on 1 to 256 GPUs, on paper.

    python benchmarks/scaling.py --flagfile=imagenet.flags

Of the model of a run's options: the floating-point operations of a training
step, counted in its graph, and what it sums over the replicas. Of the
assumptions, which are flags: how fast a GPU computes, how fast they exchange.
Nothing overlaps: a step is its computation and then, one after the other, its
sums over the replicas, by rings. Nothing here was measured on a GPU.
"""

import functools
import math

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options

import tensorflow as tf
from absl import flags
from tensorflow.python.distribute.collective_all_reduce_strategy import (
    CollectiveAllReduceStrategy,
)

from benchmarks import measuring
from keras_csc.models import presets

CLASSES = 1000  # of ImageNet; a game without labels takes no notice
GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
COLUMNS = (
    "gpus",
    "batch",
    "compute_ms",
    "sums_ms",
    "images_per_second",
    "efficiency",
    "input_mb_per_second",
)


def define(flag_values):
    """Defines the assumptions."""
    for name, default, text in (
        ("images_per_gpu", 256, "Images of a step on every GPU."),
        ("teraflops", 312.0, "Peak of a GPU, here an A100 in bfloat16."),
        ("utilisation", 0.2, "Part of the peak that is reached."),
        ("machine_gpus", 8, "GPUs of a machine."),
        ("inside", 200.0, "GB/s of a ring of GPUs inside a machine."),
        ("between", 20.0, "GB/s of a ring of GPUs of several machines."),
        ("latency_us", 20.0, "Microseconds of a sum, times log2 of the GPUs."),
        ("image_kb", 110.0, "kB of an encoded image."),
    ):
        one = flags.DEFINE_integer
        if isinstance(default, float):
            one = flags.DEFINE_float
        one(name, default, text, flag_values=flag_values)


def floating_point_operations(model, images):
    """Operations of a training step on so many images, in its convolutions
    and matrix products.

    Counted in the graphs of steps for few images and twice as many: the rest,
    such as what the optimizer takes, does not grow with the images.
    """
    one, two = (_counted(model, count) for count in (8, 16))
    return one + (two - one) / 8 * (images - 8)


@functools.cache
def _counted(model, images):
    shape = (images, *model.encoder.image_shape)
    graph = (
        tf.function(model.train_step, autograph=False)
        .get_concrete_function((tf.zeros(shape), tf.zeros(images, "int32")))
        .graph
    )
    return sum(map(_operations, _needed(graph)))


def _needed(graph):
    """The operations that run: of a gradient, some are of no use to anyone."""
    todo = [*(output.op for output in graph.outputs), *graph.control_outputs]
    found = set()
    while todo:
        operation = todo.pop()
        if operation not in found:
            found.add(operation)
            todo += [each.op for each in operation.inputs]
            todo += operation.control_inputs
    return found


def _operations(operation):
    inputs = [each.shape for each in operation.inputs]
    if operation.type == "Conv2D":
        kernel, codes = inputs[1], operation.outputs[0].shape
    elif operation.type == "Conv2DBackpropInput":
        kernel, codes = inputs[1], inputs[2]
    elif operation.type == "Conv2DBackpropFilter":
        kernel, codes = operation.outputs[0].shape, inputs[2]
    elif operation.type in ("MatMul", "BatchMatMulV2"):
        product = operation.outputs[0].shape
        inner = inputs[0].num_elements() // math.prod(product[:-1])
        return 2 * product.num_elements() * inner
    else:
        return 0
    return 2 * codes.num_elements() * math.prod(kernel[:3])


def summed_bytes(options):
    """Bytes of every sum over replicas in the graph of a step of two."""
    # What several workers use, here for two devices of one.
    strategy = CollectiveAllReduceStrategy._from_local_devices(
        ["/cpu:0", "/cpu:1"]
    )
    with strategy.scope():
        model = building.model(options, CLASSES)
    size = model.encoder.image_shape

    @tf.function(autograph=False)
    def step(images, labels):
        strategy.run(model.train_step, ((images, labels),))

    graph = step.get_concrete_function(
        tf.zeros((2, *size)), tf.zeros(2, "int32")
    ).graph
    found = [
        operation.inputs[0].shape.num_elements()
        * operation.inputs[0].dtype.size
        for operation in graph.get_operations()
        if operation.type.startswith("CollectiveReduce")
    ]
    return sorted(found)[:: strategy.num_replicas_in_sync]


def row(gpus, operations, sums, assumed):
    """What a step takes on so many GPUs."""
    compute = operations / (assumed.teraflops * 1e12 * assumed.utilisation)
    ring = assumed.inside if gpus <= assumed.machine_gpus else assumed.between
    exchange = (
        2 * (gpus - 1) / gpus * sum(sums) / (ring * 1e9)
        + math.log2(gpus) * len(sums) * assumed.latency_us * 1e-6
    )
    batch = gpus * assumed.images_per_gpu
    rate = batch / (compute + exchange)
    return {
        "gpus": gpus,
        "batch": batch,
        "compute_ms": compute * 1e3,
        "sums_ms": exchange * 1e3,
        "images_per_second": round(rate),
        "efficiency": compute / (compute + exchange),
        "input_mb_per_second": rate * assumed.image_kb / 1e3,
    }


def main():
    assumed = flags.FLAGS
    options = command_line.values(train_options.SECTIONS, assumed)
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, two)
    model = building.model(options, CLASSES)
    operations = floating_point_operations(model, assumed.images_per_gpu)
    sums = summed_bytes(options)
    print(presets.model_config(model))
    more = floating_point_operations(model, assumed.images_per_gpu + 1)
    print(f"{(more - operations) / 1e9:.2f} GFLOP an image")
    print(f"{operations / 1e9:.1f} GFLOP a step of {assumed.images_per_gpu}")
    print(f"{sum(sums) / 1e6:.3f} MB a step in {len(sums)} sums")
    rows = [row(gpus, operations, sums, assumed) for gpus in GPUS]
    measuring.report("scaling", rows, COLUMNS, bytes_per_step=sum(sums))


if __name__ == "__main__":
    command_line.define(train_options.SECTIONS, flags.FLAGS)
    define(flags.FLAGS)
    command_line.run(main)
