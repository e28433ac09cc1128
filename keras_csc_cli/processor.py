"""The processor that a command runs on."""

import os
import pathlib
import platform

import tensorflow as tf

# Of Linux; others have no such file.
CPUINFO = pathlib.Path("/proc/cpuinfo")
INSTRUCTIONS = ("flags", "Features")  # of x86, of ARM
BFLOAT16_GPU = (8, 0)  # the first compute capability that has bfloat16


def name():
    """What its maker calls it."""
    names = dict(_entries()).get("model name")
    return names or platform.processor() or platform.machine()


def cores():
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only on Linux
        return os.cpu_count()


def dtype_policy(name):
    """The Keras dtype policy of a name, which `"auto"` is not.

    `"auto"` is bfloat16 where the GPUs, or without any the processor, have
    instructions for it: it is slower than float32 where they have not.
    """
    if name != "auto":
        return name
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = map(tf.config.experimental.get_device_details, gpus)
        found = all(
            each.get("compute_capability", (0, 0)) >= BFLOAT16_GPU
            for each in details
        )
    else:
        entries = dict(_entries())
        found = any("bf16" in entries.get(key, "") for key in INSTRUCTIONS)
    return "mixed_bfloat16" if found else "float32"


def _entries():
    """Names and values that the system tells of its processors."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return []
    pairs = (line.partition(":")[::2] for line in lines)
    return [(key.strip(), value.strip()) for key, value in pairs]
