"""A training step of a flag file: of this tree, and of another commit's.

    git worktree add ../before COMMIT
    python benchmarks/steps.py --against=../before cifar10 cifar10,iterations=2

A name is of a flag file; what follows it are arguments of --architecture, of
this tree's step alone. Every step is measured in a process of its own, in
turns, on one core. Writes benchmarks/results.json.
"""

import json
import os
import statistics
import subprocess
import sys

from absl import app
from absl import flags

from benchmarks import measuring

_AGAINST = flags.DEFINE_string("against", None, "Another working tree.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.")

STEP = """
import json, sys, time
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
from keras_csc_cli import building, train_options
options = train_options.parse(json.loads(sys.argv[1]))
model = building.model(options, 10)
shape = (options.batch_size, *model.encoder.image_shape)
images = tf.tanh(tf.random.stateless_normal(shape, (0, 1)))
labels = tf.range(len(images)) % 10
step = tf.function(model.train_step)
seconds = []
for _ in range(7):
    began = time.perf_counter()
    float(step((images, labels))["loss"])
    seconds.append(time.perf_counter() - began)
print(json.dumps(sorted(seconds[2:])[2]))
"""


def seconds(tree, arguments):
    """Median seconds of a step, by the code of a working tree."""
    found = subprocess.run(
        [sys.executable, "-c", STEP, json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": tree},
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(found.stdout.splitlines()[-1])


def _commit(tree):
    found = ["git", "-C", tree, "rev-parse", "--short=12", "HEAD"]
    return subprocess.check_output(found, text=True).strip()


def main(argv):
    trees = {"here": os.getcwd()}
    if _AGAINST.value:
        trees["before"] = os.path.abspath(_AGAINST.value)
    rows = []
    for name in argv[1:]:
        file, _, changes = name.partition(",")
        arguments = [f"--flagfile={file}.flags", "--dtype_policy=float32"]
        times = {tree: [] for tree in trees}
        for _ in range(_ROUNDS.value):
            for tree, path in trees.items():
                own = [f"--architecture={changes}"] if changes else []
                given = [*arguments, *(own if tree == "here" else [])]
                times[tree].append(seconds(path, given))
        row = {"step": name}
        for tree, values in times.items():
            row[f"{tree}_ms"] = 1000 * statistics.median(values)
        if _AGAINST.value:
            row["ratio"] = row["here_ms"] / row["before_ms"]
        rows.append(row)
    columns = list(rows[0])
    for row in rows:
        row["against"] = _commit(trees["before"]) if "before" in trees else None
    measuring.report("steps", rows, columns)


if __name__ == "__main__":
    app.run(main)
