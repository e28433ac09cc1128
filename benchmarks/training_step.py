"""Our training step at the widths of mini-DCGAN against it in PyTorch.

The published games, CTRL-Binary and CTRL-Multi, and for ours the recipe of
cifar10.flags.

    pip install torch
    python benchmarks/training_step.py

PyTorch's is `peer_torch.Game`, which says what it does and leaves out. Before
anything is timed, both take the same step of gradient descent from the same
weights, and the script stops if they differ (agreement.py looks closer).
TensorFlow and PyTorch run in one process, in turns, each on all cores.
Compiling PyTorch's networks takes minutes the first time, and a C++ compiler:
`--nocompile` leaves it out. Writes
benchmarks/results/training_step.json.
"""

import os

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options

import tensorflow as tf
from absl import flags

from benchmarks import measuring
from benchmarks.measuring import PUBLISHED_GAME
from keras_csc.models import presets

try:
    import torch

    from benchmarks import pairs
except ImportError:
    command_line.fail("PyTorch is missing. Run: pip install torch")

_COMPILE = flags.DEFINE_bool("compile", True, "Whether to time torch.compile.")

BATCH = 256
# Of relative differences; our objective is logged in float32.
TOLERANCES = {
    "rate_reduction": 1e-5,
    "float64": 1e-10,
    "float32": 5e-3,
}
# Of the step checked, exact in every precision.
CHECKED_SPARSITY = {"float64": 0.0625, "float32": 0.0}
CONFIG = presets.config(
    "cifar10", **train_options.parse(PUBLISHED_GAME).architecture
)
BEST = {"bfloat16": True, "channels_last": True}
# Name, and arguments of `peer_torch.Game`.
THEIRS = {
    "PyTorch float32": {},
    "PyTorch float32, channels last": {"channels_last": True},
    "PyTorch float32, channels last, one pass": {
        "channels_last": True,
        "one_pass": True,
    },
    "PyTorch bfloat16, channels last": BEST,
    "PyTorch bfloat16, channels last, CTRL-Multi": {**BEST, "multi": True},
    "PyTorch bfloat16, channels last, one pass": {
        **BEST,
        "one_pass": True,
    },
}
THEIRS_COMPILED = {
    "PyTorch float32, compiled": {"channels_last": True, "compiled": True},
    "PyTorch bfloat16, compiled": {**BEST, "compiled": True},
    "PyTorch bfloat16, compiled, CTRL-Multi": {
        **BEST,
        "multi": True,
        "compiled": True,
    },
    "PyTorch bfloat16, compiled, one pass": {
        **BEST,
        "one_pass": True,
        "compiled": True,
    },
}
ALTERNATING = [*PUBLISHED_GAME, "--learning_rate=1.5e-4,1.5e-4"]
# Name, flags of training/train.py.
OURS = {
    "ours float32": ALTERNATING,
    "ours float32, one pass": PUBLISHED_GAME,
    "ours bfloat16": [
        *ALTERNATING,
        "--dtype_policy=mixed_bfloat16",
    ],
    "ours bfloat16, one pass": [
        *PUBLISHED_GAME,
        "--dtype_policy=mixed_bfloat16",
    ],
    "ours bfloat16, CTRL-Multi": [
        *ALTERNATING,
        "--game=objective=multi",
        "--dtype_policy=mixed_bfloat16",
    ],
    "the recipe": [
        "--flagfile=cifar10.flags",
        "--dtype_policy=mixed_bfloat16",
    ],
}


def our_step(arguments):
    """A function of images and labels: our step with flags of `train.py`.

    Returns:
        `(step, about)`; `about` is what the row says of it.
    """
    options = train_options.parse(arguments)
    model = building.model(options, num_classes=10)
    step = tf.function(model.train_step)
    alternating = len(options.learning_rate) > 1

    def run(images, labels):
        return float(step((images, labels))["objective"])

    return run, {
        "game": "recipe" if model.game.multistage else model.game.objective,
        "dtype": options.dtype_policy,
        "one_pass": not alternating,
    }


def their_step(multi=False, **arguments):
    """A function of images and labels: PyTorch's step; see `our_step`."""
    objective = "multi" if multi else "binary"
    game = pairs.peer_game(
        train_options.parse([*PUBLISHED_GAME, f"--game=objective={objective}"]),
        lambda weights: torch.optim.Adam(
            weights, lr=1.5e-4, betas=(0.5, 0.999), fused=True
        ),
        **arguments,
    )
    return game.step, {
        "game": objective,
        "dtype": "autocast bfloat16" if game.bfloat16 else "float32",
        "one_pass": game.one_pass,
    }


def check(images, dtype):
    """Takes one step of gradient descent with both, from the same weights.

    With the same step sizes of ISTA, whose estimates are compared alone. In
    float64 with thresholds; in float32 with none but 0, as every code that
    rounding takes across one changes the gradients by more than it is itself.

    Returns:
        Dict of relative differences: of the features, the rate reduction and
        of how the weights moved.

    Raises:
        ValueError: if one is above its tolerance.
    """
    model, game = pairs.players(
        train_options.parse(
            [
                *PUBLISHED_GAME,
                "--architecture=tight_frame=false",
                f"--architecture=sparsity={CHECKED_SPARSITY[dtype]}",
                f"--dtype_policy={dtype}",
            ]
        )
    )
    images = tf.cast(images, dtype)
    model.decoder.calibrate(images)
    found = pairs.pairs(model, game)
    pairs.copy(found)
    pairs.share_step_sizes(model, game)
    with torch.no_grad():
        features, _ = game.encode(pairs.images(images))
    differences = {
        "features": pairs.difference(
            model.encoder.activations(images, training=True).features, features
        )
    }
    before = [pairs.weight(ours) for ours, _ in found]
    logs = model.train_on_batch(images, return_dict=True)
    distance = game.step(pairs.images(images))
    differences["rate_reduction"] = pairs.difference(
        logs["objective"], distance
    )
    moves = [
        (pairs.weight(ours) - start, theirs.detach() - start)
        for (ours, theirs), start in zip(found, before)
    ]
    differences["step"] = pairs.difference(
        *(torch.cat([m.flatten() for m in side]) for side in zip(*moves))
    )
    for name, difference in differences.items():
        if not difference < TOLERANCES.get(name, TOLERANCES[dtype]):
            raise ValueError(
                f"The {name} of one step in {dtype} differ: {differences}"
            )
    return differences


def measure(images, labels):
    """Rows of every contender."""
    theirs = dict(THEIRS)
    if _COMPILE.value:
        theirs.update(THEIRS_COMPILED)
    for_torch = pairs.images(images), torch.tensor(labels.numpy())
    functions, rows = {}, []
    for name, arguments in theirs.items():
        step, about = their_step(**arguments)
        functions[name] = lambda step=step: step(*for_torch)
        rows.append({"step": name, **about})
    for name, arguments in OURS.items():
        step, about = our_step(arguments)
        functions[name] = lambda step=step: step(images, labels)
        rows.append({"step": name, **about})
    times = measuring.seconds(functions, repetitions=3, warmups=1)
    for row in rows:
        row["ms"] = 1000 * times[row["step"]]
    return compare(rows)


def compare(rows):
    """Adds how many times as long PyTorch takes for the same game.

    In its fastest row, and in the fastest of its rows with the same precision
    and order. The recipe, which nobody else has, is not compared.
    """
    peers = [row for row in rows if row["step"].startswith("PyTorch")]
    for row in rows:
        theirs = [peer for peer in peers if peer["game"] == row["game"]]
        if not theirs:
            continue
        alike = [
            other["ms"]
            for other in theirs
            if other["one_pass"] == row["one_pass"]
            and ("bfloat16" in other["dtype"]) == ("bfloat16" in row["dtype"])
        ]
        row["times_best"] = min(other["ms"] for other in theirs) / row["ms"]
        row["times_best_alike"] = min(alike) / row["ms"]
    return rows


def main():
    tf.get_logger().setLevel("ERROR")  # Several functions are no retracing.
    torch.set_num_threads(os.cpu_count())
    torch._dynamo.config.recompile_limit = 64  # Several players are compiled.
    images = tf.tanh(tf.random.stateless_normal((BATCH, 32, 32, 3), (0, 1)))
    labels = tf.range(BATCH) % 10
    differences = {
        dtype: check(images[:16], dtype) for dtype in CHECKED_SPARSITY
    }
    print("relative differences of one step:", differences)
    measuring.report(
        "training_step",
        measure(images, labels),
        [
            "step",
            "ms",
            "times_best",
            "times_best_alike",
        ],
        torch=torch.__version__,
        batch=BATCH,
        differences=differences,
    )


if __name__ == "__main__":
    command_line.run(main)
