"""Coding layers beside convolutions, as docs/classify.md tells.

    python studies/classify.py --part=digits
    python studies/classify.py --part=autoencoder
    python studies/classify.py --part=cifar10 --data_dir=DATA
        [--only=two_steps,convolutions] [--seeds=0,1,2] [--minutes=10]

Rows are kept in studies/classify.json; a row that is there is not measured
again. Prints the table of the part.
"""

import importlib.util
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from absl import logging

import keras_csc
from studies import tables

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "classify.json"
KEYS = ("part", "name", "layers", "seed", "minutes")
EPOCHS = 8  # of digits
BATCH, RATE = 64, 1e-3  # of CIFAR-10
NOISE = (0.05, 0.1, 0.2)  # deviations, of images in [0, 1]
# What the first layer's threshold is raised by: a factor of λ, or so many
# deviations of what a normalised convolution is.
FACTORS = (1, 1.5, 2, 3, 5)
THRESHOLDS = (0, 0.25, 0.5, 1, 1.5)


def unit_filters(shape, dtype=None):
    """Random filters of norm 1, as large as the first atoms are."""
    atoms = keras.random.normal(shape, dtype=dtype)
    return keras_csc.constraints.UnitAtoms()(atoms)


# Whether it has coding layers, and the layers' arguments.
NETWORKS = {
    "convolutions": (False, {}),
    "convolutions of norm 1": (
        False,
        {"kernel_initializer": unit_filters},
    ),
    "one step": (True, {"iterations": 1}),
    "two steps": (True, {}),
    "five steps": (True, {"iterations": 5}),
    "one step at λ = 0": (True, {"iterations": 1, "sparsity": 0.0}),
    "two steps at λ = 0": (True, {"sparsity": 0.0}),
}


def example():
    """`examples/classify.py`, the networks and the images."""
    path = HERE.parent / "examples" / "classify.py"
    spec = importlib.util.spec_from_file_location("classify", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def layer_figures(model, images):
    """Of every layer, from the image up, as lists.

    `zeros`, and for coding layers: `thresholded`, the share of zeros among the
    codes that `Aᵀx > 0` would let be; `excess`, the objective over its minimum,
    less 1; `explained`, the share of the input that the codes draw.
    """
    figures, signal = [], tf.constant(images)
    for layer in model.layers:
        inputs, signal = signal, layer(signal, training=False)
        if isinstance(layer, keras.layers.ReLU):
            figures.append({"zeros": share(signal == 0)})
        if not isinstance(layer, keras_csc.layers.ConvSparseCoding2D):
            continue
        seen = keras_csc.ops.analysis(inputs, layer.kernel.value, layer.strides)
        best = layer.solve(inputs, iterations=500, tolerance=1e-5)
        values = [
            float(tf.reduce_sum(layer.objective(inputs, codes)))
            for codes in (signal, best)
        ]
        left = inputs - layer.synthesize(signal, inputs.shape[1:3])
        figures.append(
            {
                "zeros": share(signal == 0),
                "thresholded": share(tf.boolean_mask(signal == 0, seen > 0)),
                "excess": values[0] / values[1] - 1,
                "explained": 1
                - float(tf.reduce_mean(left**2) / tf.reduce_mean(inputs**2)),
            }
        )
    return {key: [row[key] for row in figures] for key in figures[0]}


def share(mask):
    return float(tf.reduce_mean(tf.cast(mask, "float32")))


def digits(name, layers, seed):
    """Validation accuracy after 8 epochs, and figures of the layers."""
    module, (coding, arguments) = example(), NETWORKS[name]
    train, test = module.digits(seed)
    keras.utils.set_random_seed(seed)
    # "2n" is two layers with batch normalisation.
    normalize = layers == "2n"
    stack = {"2": module.DIGITS, "2n": module.DIGITS}.get(
        layers, (*module.DIGITS, (32, 1))
    )
    model = module.classifier((8, 8, 1), stack, coding, normalize, **arguments)
    module.compiled(model).fit(*train, epochs=EPOCHS, verbose=0)
    accuracy = model.evaluate(*test, verbose=0)[1]
    return {"accuracy": accuracy, **layer_figures(model, test[0][:20])}


class Autoencoder(keras.Model):
    """`synthesize(layer(x))`."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, images, training=None):
        return self.layer.synthesize(self.layer(images, training=training))


# λ, and whether it is relative to what the atoms see.
PENALTIES = {"λ = 0.02": (0.02, False), "as default": (0.4, True)}


def autoencoder(name, layers, seed):
    """Training errors of digits of 16×16, over their variance."""
    source = keras_csc.data.open_dataset("digits", "train", (16, 16, 1))
    images = keras_csc.data.load_arrays(source)[0].astype("float32") / 255
    sparsity, relative = PENALTIES[name]
    keras.utils.set_random_seed(seed)
    layer = keras_csc.layers.ConvSparseCoding2D(
        32, 4, 2, sparsity=sparsity, relative=relative
    )
    model = Autoencoder(layer)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    history = model.fit(images, images, epochs=20, verbose=0).history["loss"]
    losses = np.array(history) / images.var()
    return {
        "losses": losses.tolist(),
        "rises": int(np.sum(np.diff(losses) > 0)),
        "zeros": share(layer(images) == 0),
        "bound": float(layer.operator_norm),
    }


def cifar10(name, layers, seed):
    """Test accuracies after some minutes of one core, clean and with noise."""
    options = flags.FLAGS
    module, (coding, arguments) = example(), NETWORKS[name]
    (images, labels), (tests, truth) = module.cifar10(options.data_dir)
    keras.utils.set_random_seed(seed)
    data = (
        tf.data.Dataset.from_tensor_slices((images, labels))
        .shuffle(len(images), seed)
        .repeat()
        .batch(BATCH)
    )

    def network(steps):
        keras.utils.set_random_seed(seed)
        model = module.classifier(
            images.shape[1:], module.CIFAR10, coding, True, **arguments
        )
        rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
        return module.compiled(model, rate)

    # How fast it is, without the seconds in which the step is traced.
    model = network(100)
    model.fit(data, steps_per_epoch=5, verbose=0)
    begun = time.process_time()
    model.fit(data, steps_per_epoch=40, verbose=0)
    seconds = (time.process_time() - begun) / 40
    steps = round(60 * options.minutes / seconds)
    model = network(steps)
    begun = time.process_time()
    model.fit(data, steps_per_epoch=steps, verbose=0)
    row = {"steps": steps, "seconds": time.process_time() - begun}
    row["accuracy"] = model.evaluate(tests, truth, verbose=0)[1]
    row["weights"] = model.count_params()
    row["noise"] = {}
    for deviation in NOISE:
        random = np.random.default_rng(0)
        noisy = tests + 2 * deviation * random.normal(size=tests.shape)
        row["noise"][str(deviation)] = thresholds(
            model, coding, noisy.astype("float32"), truth
        )
    return {**row, **layer_figures(model, tests[:100])}


def thresholds(model, coding, images, truth):
    """Accuracies on one half of the images, by the first threshold.

    `own` is the accuracy with the network's own threshold, `chosen` with the
    one that is best on the other half, `raised` what the threshold is.
    """
    first = model.layers[0 if coding else 2]

    @tf.function
    def logits(signal, value):
        for layer in model.layers:
            if layer is first and coding:
                signal = layer(signal, sparsity=value * layer.sparsity)
            else:
                signal = layer(signal - value if layer is first else signal)
        return signal

    found = []
    values = FACTORS if coding else THRESHOLDS
    for value in values:
        parts = [
            logits(images[start : start + 500], tf.constant(value, "float32"))
            for start in range(0, len(images), 500)
        ]
        right = np.argmax(np.concatenate(parts), -1) == truth
        found.append([float(right[half::2].mean()) for half in (0, 1)])
    best = int(np.argmax([half for half, _ in found]))
    return {
        "own": found[0][1],
        "chosen": found[best][1],
        "raised": values[best],
    }


def table(part):
    """The rows of a part, means over seeds, as text."""
    groups = {}
    for row in tables.rows_of(TABLE):
        if row["part"] == part:
            group = row["layers"], row["name"]
            groups.setdefault(group, []).append(row)
    if part == "autoencoder":
        return tables.markdown(
            ["λ", "seeds", "first epoch", "last", "rises", "zeros", "L"],
            [
                [
                    *(name, str(len(rows))),
                    several([row["losses"][0] for row in rows]),
                    several([row["losses"][-1] for row in rows]),
                    str(max(row["rises"] for row in rows)),
                    several([row["zeros"] for row in rows]),
                    several([row["bound"] for row in rows]),
                ]
                for (_, name), rows in groups.items()
            ],
        )
    head = ["layers", "network", "accuracy", "seeds"]
    figures = ["zeros", "thresholded", "excess", "explained"]
    noise = [str(n) for n in NOISE] if part == "cifar10" else []
    lines = []
    for (layers, name), rows in sorted(groups.items()):
        line = [layers, name, several([row["accuracy"] for row in rows])]
        line.append(str(len(rows)))
        if noise:
            line.append(f"{np.mean([row['steps'] for row in rows]):.0f}")
        for n in noise:
            of_noise = [row["noise"][n] for row in rows]
            line += [
                f"{np.mean([each[key] for each in of_noise]):.3f}"
                for key in ("own", "chosen")
            ]
        for key in figures:
            values = np.mean([row.get(key, []) for row in rows], 0)
            # Without λ the minimum is nearly 0, and no measure.
            texts = [f"{x:.2f}" if x < 1e3 else "–" for x in values]
            line.append(", ".join(texts))
        lines.append(line)
    noise = [f"σ {n}{how}" for n in noise for how in ("", ", raised")]
    head += (["steps"] if noise else []) + noise + figures
    return tables.markdown(head, lines)


def several(values):
    """Mean and, of several, standard deviation."""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


PARTS = {
    "digits": (digits, NETWORKS, ("2", "3", "2n")),
    "autoencoder": (autoencoder, PENALTIES, ("1",)),
    "cifar10": (cifar10, NETWORKS, ("4",)),
}


def main(argv):
    options = flags.FLAGS
    logging.set_verbosity(logging.WARNING)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    measure, names, sizes = PARTS[options.part]
    for seed in map(int, options.seeds):
        for layers in sizes:
            for name in options.only or names:
                row = {"part": options.part, "name": name, "layers": layers}
                row["seed"] = seed
                if options.part == "cifar10":
                    row["minutes"] = options.minutes
                key = [row.get(each) for each in KEYS]
                rows = tables.rows_of(TABLE)
                if key in [[x.get(each) for each in KEYS] for x in rows]:
                    continue
                row |= measure(name, layers, seed)
                tables.put(TABLE, [row], KEYS)
                print(f"{name}, {layers}, seed {seed}", flush=True)
    print(table(options.part))


if __name__ == "__main__":
    flags.DEFINE_enum("part", "digits", list(PARTS), "What to measure.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_list("only", None, "Networks, by their names; else all.")
    flags.DEFINE_list("seeds", "0,1,2,3,4", "Seeds.")
    flags.DEFINE_float("minutes", 10, "Of one core, a training of CIFAR-10.")
    app.run(main)
