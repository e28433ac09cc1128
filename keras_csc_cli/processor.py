"""The processor that a command runs on."""

import os
import pathlib
import platform

import tensorflow as tf

# Of Linux; others have no such file.
CPUINFO = pathlib.Path("/proc/cpuinfo")
INSTRUCTIONS = ("flags", "Features")  # of x86, of ARM


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


def hint(dtype_policy):
    """A sentence for whom this policy costs time here; `None` for others.

    Without instructions for it, bfloat16 is emulated on a processor.
    """
    found = dict(_entries())
    known = [found[key] for key in INSTRUCTIONS if key in found]
    if (
        dtype_policy == "mixed_bfloat16"
        and known
        and "bf16" not in known[0]
        and not tf.config.list_physical_devices("GPU")
    ):
        return (
            "This processor has no instructions for bfloat16, and emulates "
            "them: --dtype_policy=float32 is faster here."
        )
    return None


def _entries():
    """Names and values that the system tells of its processors."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return []
    pairs = (line.partition(":")[::2] for line in lines)
    return [(key.strip(), value.strip()) for key, value in pairs]
