"""Processors and GPUs: what they compute in, strategies over them."""

import contextlib
import json
import math
import os
import pathlib
import platform
import signal
import time
import zlib

from keras_csc_cli import interruption
from keras_csc_cli.command_line import UsageError

import tensorflow as tf

from keras_csc import data
from keras_csc.files import replacing
from keras_csc.ops import analysis

# Only Linux has this file.
CPUINFO = pathlib.Path("/proc/cpuinfo")
INSTRUCTIONS = ("flags", "Features")  # of x86, of ARM
GAIN = 1.1
TYPES = "float32", "bfloat16"
# So that the timing takes a second or two.
ROUNDS, MULTIPLY_ADDS = 10, 1e8
BFLOAT16_GPU = (8, 0)  # the first compute capability that has bfloat16
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)
EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


class WorkerLost(UsageError):
    """Another worker of the run has ended or can't be reached."""

    exit_code = 3


def processor():
    """What its maker calls the processor."""
    name = dict(_cpuinfo()).get("model name")
    return name or platform.processor() or platform.machine()


def gpus():
    """Names of the GPUs."""
    return [
        _details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]


def dtype_policy(name, timed=None):
    """The Keras dtype policy of a name, or of `"auto"`.

    `"auto"` is mixed_bfloat16 where the GPUs, or without any the processor,
    have instructions for bfloat16. Of a processor, the function `timed` gives
    the seconds in both types: float32 stays unless bfloat16 is `GAIN` times as
    fast.
    """
    if name != "auto":
        return name
    capabilities = [
        _details(device).get("compute_capability", (0, 0))
        for device in tf.config.list_physical_devices("GPU")
    ]
    if capabilities:
        faster = min(capabilities) >= BFLOAT16_GPU
    else:
        entries = dict(_cpuinfo())
        faster = any("bf16" in entries.get(key, "") for key in INSTRUCTIONS)
        if faster and timed:
            taken = timed()
            faster = taken["float32"] >= GAIN * taken["bfloat16"]
    return "mixed_bfloat16" if faster else "float32"


def _details(device):
    return tf.config.experimental.get_device_details(device)


def _cpuinfo():
    """Names and values that the system tells of its processors."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return []
    pairs = (line.partition(":")[::2] for line in lines)
    return [(key.strip(), value.strip()) for key, value in pairs]


# === How fast this machine convolves in float32 and in bfloat16 ===


def multiply_adds(convolution):
    """Of a convolution's forward pass."""
    images, kernel, strides = convolution
    return math.prod(images[:3]) // strides**2 * math.prod(kernel)


def seconds(convolutions):
    """Seconds of the two largest convolutions, by type; kept once measured."""
    largest = sorted(convolutions, key=multiply_adds)[-2:]
    machine = f"{processor()}, {len(os.sched_getaffinity(0))} cores"
    name = f"{machine}, TensorFlow {tf.__version__}: {largest}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path, kept = pathlib.Path(home, "keras_csc", "precision.json"), {}
    damaged = KeyError, TypeError, ValueError
    with contextlib.suppress(OSError, *damaged):
        kept = dict(json.loads(path.read_text()))
        return {kind: float(kept[name][kind]) for kind in TYPES}
    kept[name] = timed(largest)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(kept, indent=2))
    return kept[name]


def timed(convolutions):
    """Least seconds of forward passes with their gradients, in turns."""
    share = min(MULTIPLY_ADDS / sum(map(multiply_adds, convolutions)), 1.0)
    passes = [(kind, _passes(convolutions, share, kind)) for kind in TYPES]
    least = dict.fromkeys(TYPES, math.inf)
    for kind, run in passes * ROUNDS:
        began = time.monotonic()
        run().numpy()
        least[kind] = min(least[kind], time.monotonic() - began)
    return least


def _passes(convolutions, share, kind):
    @tf.function(autograph=False)
    def run(half):
        gradients = []
        for (count, *shape), size, strides in convolutions:
            images = tf.fill((math.ceil(share * count), *shape), half)
            kernel = tf.fill(size, half)
            with tf.GradientTape() as tape:
                tape.watch((images, kernel))
                codes = analysis(images, kernel, strides)
            gradients += tape.gradient(codes, (images, kernel), codes)
        return tf.add_n(list(map(tf.reduce_max, gradients)))

    return lambda: run(tf.constant(0.5, kind))


# === Strategies ===


def make(name, logical=1):
    """Makes a strategy.

    Args:
        name: `"none"`, `"mirrored"` or `"multi_worker"`. `"mirrored"` is over
            the GPUs or else the logical CPUs of this machine. `"multi_worker"`
            is over the processes that the environment variable `TF_CONFIG`
            names. It must be made before TensorFlow runs any operation.
        logical: int, devices that the processor is divided into. Of more than
            one, `"mirrored"` is over these, and not over GPUs.

    Raises:
        UsageError: if `TF_CONFIG` is missing or wrong.
    """
    if logical > 1 and name != "mirrored":
        raise UsageError("--logical_devices goes with --strategy=mirrored.")
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "multi_worker":
        worker_index(name)
        with _interruptible():
            return tf.distribute.MultiWorkerMirroredStrategy()
    if logical > 1:
        tf.config.set_visible_devices([], "GPU")
        divide(logical)
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([d.name for d in devices])


def divide(logical):
    """Divides the processor, before any operation, into logical devices."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * logical,
    )


@contextlib.contextmanager
def _interruptible():
    """Within the context, signals end a wait that is not Python's.

    A signal that is ignored stays so, such as SIGHUP under `nohup`.
    """
    handlers = {
        number: signal.signal(number, signal.SIG_DFL)
        for number in interruption.NUMBERS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def worker_index(name):
    """Number of this process among the workers of a strategy.

    Worker 0 is the chief, the one that writes.

    Raises:
        UsageError: if `TF_CONFIG` is missing or wrong.
    """
    if name != "multi_worker":
        return 0
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        workers = [*cluster.get("chief", ()), *cluster["worker"]]
        if len(set(workers)) < len(workers):
            raise ValueError("an address is there twice")
        return workers.index(cluster[task["type"]][int(task["index"])])
    except Exception:  # of what JSON may hold
        raise UsageError(
            "--strategy=multi_worker needs the environment variable TF_CONFIG "
            f"on every worker, as {EXAMPLE}, with its own index. "
            f"Received: {text[:500] or 'nothing'}"
        ) from None


@contextlib.contextmanager
def lost_workers(name):
    """Within the context, a failed collective is a `WorkerLost`."""
    try:
        yield
    except LOST as error:
        if name != "multi_worker":
            raise
        raise WorkerLost(
            f"another worker has ended or can't be reached "
            f"({type(error).__name__}). Start all workers again with the same "
            "commands: they go on from the last checkpoint."
        ) from error


def mean(strategy, value):
    """Mean of a number over the workers; each waits for all the others."""
    value = tf.constant(value, tf.float64)
    return strategy.reduce("MEAN", value, axis=None).numpy()


def copy_from_chief(strategy, source, target, chief):
    """Gives all workers' `target` the weights of the chief's `source`."""
    share = mean(strategy, float(chief))
    for weight, variable in zip(source.weights, target.weights):
        value = tf.convert_to_tensor(weight) * float(chief)
        value = strategy.reduce("MEAN", value, axis=None)
        variable.assign(value / tf.cast(share, value.dtype))


def differing(strategy, values):
    """Names of values that differ between workers; each waits for the others.

    `values` is a dict of what JSON can hold, by the same names on all workers.
    """
    numbers = [
        zlib.crc32(json.dumps(value, sort_keys=True).encode())
        for value in values.values()
    ]
    spread = mean(strategy, (numbers - mean(strategy, numbers)) ** 2)
    # A mean is off by its rounding, other numbers by 1 and more.
    return [name for name, square in zip(values, spread) if square > 1e-6]


def check_same(strategy, values, advice):
    """Checks that all workers have the same values; see `differing`."""
    names = differing(strategy, values)
    if names:
        here = "; ".join(f"{name} is {values[name]}" for name in names)
        raise UsageError(f"the workers differ: here {here}. {advice}")


def batches(strategy, source, first_step, **arguments):
    """Distributes the batches of a source over a strategy's replicas.

    The global batches do not depend on the number of replicas. Other arguments
    are as in `data.batches`.
    """

    def pipeline(context):
        dataset = data.batches(
            source, first_step=first_step, input_context=context, **arguments
        )
        # Else workers ask one another at every step whether that was all.
        return dataset.apply(
            tf.data.experimental.assert_cardinality(
                tf.data.experimental.INFINITE_CARDINALITY
            )
        )

    return strategy.distribute_datasets_from_function(pipeline)
