"""Kills training and export at every moment, and compares what is left.

    python -m tests.helpers.kills --rounds=10

Trains and exports a tiny model, deterministically and with one signature: once
undisturbed, in the folder `whole`, and then in rounds. In a round a process
that runs `train` and `export` is ended by SIGKILL at each of the `MOMENTS`, and
both are run again, until they have come to their ends. Every file
of the last checkpoint, the weights of the trained model and the tensors of the
SavedModel must then be equal, byte by byte, to the undisturbed run's.

TensorFlow is imported once, and every process is a fork from before its first
operation: it has no state of another.
"""

import hashlib
import os
import pathlib
import random
import select
import signal
import sys
import time
import traceback

from keras_csc_cli import command_line
from keras_csc_cli import export
from keras_csc_cli import train
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

if __name__ == "__main__":  # not in tests that import a name from here
    os.environ["TF_DETERMINISTIC_OPS"] = "1"

import tensorflow as tf
from absl import flags

from keras_csc.export import saved_model
from tests.helpers import runs
from tests.helpers.exporting import one_signature

STEPS = 10
RUN = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8,iterations=2",
    "--batch_size=16",
    f"--steps={STEPS}",
    "--save_every=2",
    "--schedule=cosine",
    "--augment=flip",
    "--metrics=",
]

# What is killed when, in this order: the event of Python's audit hooks and a
# part of its path that the moment is counted from, and the longest time from
# it, in seconds; `None` holds the process there, so that it is killed there.
MOMENTS = {
    "before a checkpoint's renaming": ("os.rename", "/.step-", None),
    "removing a checkpoint": ("shutil.rmtree", "/step-", 0.002),
    "writing the trained model": ("os.mkdir", ".model-", 0.05),
    "before an export's renaming": ("os.rename", "/.1-", None),
}


def work(folder):
    """Trains and exports a round's run, as the scripts do."""
    train.CHECKPOINT_MINUTES = 0  # none by the clock
    saved_model.signatures = one_signature
    small = runs.QUICK if flags.FLAGS.small else []
    train.train(runs.options([*RUN, *small], folder / "run"))
    export.run(folder / "run", output=folder)


def process(folder, on_event=None):
    """Forks a process that works, and returns its id.

    Args:
        folder: `pathlib.Path` of the round.
        on_event: function that is given the name and arguments of what the
            process does with files, before it does it.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if on_event:
            sys.addaudithook(on_event)
        work(folder)
        write_json(folder / "digests.json", digests(folder))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def kill(moment, folder, rng):
    """Works, and is killed at a moment; returns whether it was."""
    reader, writer = os.pipe()
    awaited, part, delay = moment
    count = rng.randint(1, 2) if part == "/.step-" else 1
    seen = 0

    def on_event(event, arguments):
        nonlocal seen
        if event != awaited or part not in str(arguments[0]):
            return
        seen += 1
        if seen == count:
            os.write(writer, b".")
            if delay is None:
                time.sleep(600)

    child = process(folder, on_event)
    os.close(writer)
    select.select([reader], [], [])
    time.sleep(rng.uniform(0, delay or 0))
    os.kill(child, signal.SIGKILL)
    os.close(reader)
    return end(child, folder) == -signal.SIGKILL


def end(child, folder):
    """Waits for a process; returns its exit code, 0 or -9."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"A process failed: {(folder / 'log').read_text()}")
    return code


def unfinished(folder):
    """Files and folders under temporary names that a killed process left."""
    names = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return sorted(name for name in names if not name.endswith(".lock"))


def tell(folder, rng=None):
    """Trains and exports to the end, and digests what was left.

    Args:
        folder: `pathlib.Path` of the round, which is made.
        rng: `random.Random` of the moments of kills; none without it.
    """
    folder.mkdir(parents=True)
    kills = []
    for name in MOMENTS if rng else ():
        if kill(MOMENTS[name], folder, rng):
            kills.append({"moment": name, "left": unfinished(folder)})
    end(process(folder), folder)
    story = {"kills": kills, "unfinished": unfinished(folder)}
    story["result"] = read_json(folder / "digests.json")
    write_json(folder / "story.json", story)
    return story


def digests(folder):
    """Digests of what a run left, by name.

    Of the files of the last checkpoint and of the trained model, but for
    `metadata.json`, which has the date; and of the SavedModel's tensors, which
    Keras writes in an arbitrary order.
    """
    found = {
        str(path.relative_to(folder)): digest(path.read_bytes())
        for pattern in (f"run/checkpoints/step-{STEPS:08d}/*", "run/model/*")
        for path in folder.glob(pattern)
        if path.name != "metadata.json"
    }
    (version,) = folder.glob("saved_models/run/[0-9]*")
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    found["saved_model"] = sorted(
        digest(reader.get_tensor(name).tobytes())
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    )
    return found


def digest(content):
    return hashlib.sha256(content).hexdigest()


def main():
    values = flags.FLAGS
    tf.config.run_functions_eagerly(values.small)
    folder = pathlib.Path(values.workdir)
    whole = tell(folder / "whole")
    print("compared:", *sorted(whole["result"]))
    lost = 0
    for number in range(1, values.rounds + 1):
        rng = random.Random(f"{values.seed} {number}")
        story = tell(folder / f"round-{number}", rng)
        lost += story["result"] != whole["result"]
        for kill in story["kills"]:
            print(f"round {number}: killed {kill['moment']}")
    print(f"{values.rounds - lost} of {values.rounds} end in the same bits")
    sys.exit(lost > 0)


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 10, "Rounds of kills.")
    flags.DEFINE_bool("small", False, "A small network, and none is traced.")
    flags.DEFINE_integer("seed", 0, "Seed of the moments.")
    flags.DEFINE_string("workdir", "runs/kill", "Folder of the rounds.")
    command_line.run(main)
