"""A training step of a flag file: of this tree, and of another commit's.

    git worktree add ../before COMMIT
    python benchmarks/steps.py --against=../before cifar10 cifar10,iterations=2
    python benchmarks/steps.py --peer=torch [--peer_python=PYTHON]

A name is of a flag file; what follows it are arguments of --architecture, of
this tree's step alone. Every step is measured in a process of its own, in
turns, on one core, and its operations are counted. Writes
benchmarks/results.json.

With --peer=torch it is the published game's step, CTRL-Multi of 96, 64 and 128
filters of 4x4, beside PyTorch's best of three: as it is, with channels last,
and compiled. Then the step of cifar10.flags, which the peer does not have. Of
both it says how large a part of the machine's peak they reach: how fast it
convolves 256 channels.
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
_PEER = flags.DEFINE_enum("peer", None, ["torch"], "What ours is beside.")
_PEER_PYTHON = flags.DEFINE_string(
    "peer_python", sys.executable, "The Python that has PyTorch."
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.")

# What every measured process begins with, and how it measures.
COMMON = """
import json, sys, time
def seconds(call, calls):
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return taken
"""
OURS = """
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
from keras_csc_cli import building, train_options
options = train_options.parse(json.loads(sys.argv[1]))
model = building.model(options, 10)
"""
STEP = f"""{COMMON}{OURS}
shape = (options.batch_size, *model.encoder.image_shape)
images = tf.tanh(tf.random.stateless_normal(shape, (0, 1)))
labels = tf.range(len(images)) % 10
step = tf.function(model.train_step)
taken = seconds(lambda: float(step((images, labels))["loss"]), 7)
print(json.dumps(sorted(taken[2:])[2]))
"""
# Operations of a step, and how many a second the machine's peak has.
PEAK = f"""{COMMON}{OURS}
from benchmarks import operations
one = tf.constant(1.0, model.encoder.compute_dtype)
images = tf.fill((32, 16, 16, 256), one)
kernel = tf.fill((3, 3, 256, 256), one)
run = tf.function(lambda: tf.nn.conv2d(images, kernel, 1, "SAME")[0, 0, 0, 0])
least = min(seconds(lambda: run().numpy(), 9))
total = operations.floating_point_operations(model, options.batch_size)
print(json.dumps([total, 2 * 32 * 16**2 * 9 * 256**2 / least]))
"""
TORCH = f"""{COMMON}
import torch
from torch.utils import _pytree
from benchmarks import peer_torch
torch.set_num_threads(1)
form, kind = json.loads(sys.argv[1])
torch.manual_seed(0)
encoder = peer_torch.Encoder((32, 32, 3), (96, 64, 128), 128, 0.1)
decoder = peer_torch.Decoder(encoder)
def in_half(forward):
    def run(*given):
        with torch.autocast("cpu", torch.bfloat16, kind == "mixed_bfloat16"):
            outputs = forward(*given)
        return _pytree.tree_map(lambda tensor: tensor.float(), outputs)
    return run
images = torch.tanh(torch.randn(128, 3, 32, 32))
for player in (encoder, decoder):
    if form != "default":
        player.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    player.forward = in_half(player.forward)
    if form == "compiled":
        player.forward = torch.compile(player.forward)
adam = lambda weights: torch.optim.Adam(weights, 5e-4, (0.5, 0.999))
game = peer_torch.Game(encoder, decoder, adam, peer_torch.multi)
labels = torch.arange(128) % 10
taken = seconds(lambda: float(game.step(images, labels)), 7)
print(json.dumps(sorted(taken[2:])[2]))
"""
FORMS = "default", "channels_last", "compiled"
PUBLISHED = [
    "--flagfile=published.flags",
    *("--dataset=cifar10", "--preset=cifar10", "--game=objective=multi"),
    "--architecture=filters=96,64,128,feature_dim=128",
    *("--steps=1000", "--batch_size=128"),
]


def printed(tree, arguments, script=STEP, python=sys.executable):
    """What a script prints, median seconds, by the code of a working tree."""
    process = subprocess.run(
        [python, "-c", script, json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": tree},
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def _commit(tree):
    command = ["git", "-C", tree, "rev-parse", "--short=12", "HEAD"]
    return subprocess.check_output(command, text=True).strip()


def beside_peer():
    """Rows of both games in both types, ours beside PyTorch's best."""
    here, rows = os.getcwd(), []
    for name, given in (
        ("published", PUBLISHED),
        ("cifar10", ["--flagfile=cifar10.flags"]),
    ):
        for kind in ("float32", "mixed_bfloat16"):
            arguments = [*given, f"--dtype_policy={kind}"]
            forms = FORMS if name == "published" else ()
            ours, theirs = [], {form: [] for form in forms}
            for _ in range(_ROUNDS.value):
                ours.append(printed(here, arguments))
                for form, times in theirs.items():
                    python = _PEER_PYTHON.value
                    times.append(printed(here, [form, kind], TORCH, python))
            operations, peak = printed(here, arguments, PEAK)
            middle = statistics.median(ours)
            row = {"step": name, "type": kind, "here_ms": 1000 * middle}
            row["peak_gflops"] = peak / 1e9
            row["of_peak"] = operations / middle / peak
            best = {f: 1000 * statistics.median(t) for f, t in theirs.items()}
            row |= {f"torch_{form}_ms": best.get(form) for form in FORMS}
            least = min(best.values(), default=None)
            row["ratio"] = least and row["here_ms"] / least
            rows.append(row)
    measuring.report("steps_beside_torch", rows, list(rows[0]))


def main(argv):
    if _PEER.value:
        beside_peer()
    if argv[1:]:
        beside_trees(argv[1:])


def beside_trees(names):
    trees = {"here": os.getcwd()}
    if _AGAINST.value:
        trees["before"] = os.path.abspath(_AGAINST.value)
    rows = []
    for name in names:
        file, _, changes = name.partition(",")
        arguments = [f"--flagfile={file}.flags", "--dtype_policy=float32"]
        own = [f"--architecture={changes}"] if changes else []
        given = {"here": [*arguments, *own], "before": arguments}
        times = {tree: [] for tree in trees}
        for _ in range(_ROUNDS.value):
            for tree, path in trees.items():
                times[tree].append(printed(path, given[tree]))
        operations, _ = printed(trees["here"], given["here"], PEAK)
        row = {"step": name, "gflop": operations / 1e9}
        for tree, values in times.items():
            row[f"{tree}_ms"] = 1000 * statistics.median(values)
        if _AGAINST.value:
            row["ratio"] = row["here_ms"] / row["before_ms"]
        rows.append(row)
    columns = list(rows[0])
    for row in rows:
        row["against"] = _commit(trees["before"]) if "before" in trees else None
    name = "steps" if _AGAINST.value else "steps_alone"
    measuring.report(name, rows, columns)


if __name__ == "__main__":
    app.run(main)
