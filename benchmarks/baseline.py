"""Our training step against that of the generic convolutional baseline.

    python benchmarks/baseline.py

The same game, update, widths and batch; only the network differs. Writes
benchmarks/results/baseline.json.
"""

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options

import tensorflow as tf

from benchmarks import measuring
from keras_csc.models import presets

BATCH = 256
GAMES = {
    "CTRL-Binary": measuring.PUBLISHED_GAME,
    "cifar10.flags": ["--flagfile=training/flags/cifar10.flags"],
}


def contender(game, dtype, network, images):
    """A function of no argument, that takes a step, and its row."""
    options = train_options.parse(
        [
            *GAMES[game],
            f"--dtype_policy={dtype}",
            f"--architecture=network={network}",
            *(["--game=dictionary=0"] if network == "conv" else []),
        ]
    )
    model = building.model(options, num_classes=10)
    step = tf.function(model.train_step)
    config = presets.model_config(model)
    labels = tf.range(BATCH) % 10
    return lambda: float(step((images, labels))["objective"]), {
        "game": game,
        "filters": config["filters"],
        "dtype": dtype,
        "network": network,
    }


def measure(images):
    """Rows of the pairs of networks."""
    for game in GAMES:
        for dtype in ("float32", "mixed_bfloat16"):
            functions, rows = {}, []
            for network in ("csc", "conv"):
                functions[network], row = contender(
                    game, dtype, network, images
                )
                rows.append(row)
            times = measuring.seconds(functions, repetitions=3, warmups=1)
            for row in rows:
                row["ms"] = 1000 * times[row["network"]]
            for row in rows:
                row["time_ratio"] = row["ms"] / rows[1]["ms"]
                yield row


def main():
    tf.get_logger().setLevel("ERROR")  # Several functions are no retracing.
    images = tf.tanh(tf.random.stateless_normal((BATCH, 32, 32, 3), (0, 1)))
    rows = list(measure(images))
    columns = [name for name in rows[0] if name != "filters"]
    measuring.report("baseline", rows, columns, batch=BATCH)


if __name__ == "__main__":
    command_line.run(main)
