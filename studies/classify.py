"""Coding layers beside convolutions, as docs/classify.md tells.

    python studies/classify.py --part=digits
    python studies/classify.py --part=cifar10 --data_dir=DATA
        [--only="two steps,convolutions"] [--seeds=0,1,2] [--minutes=10]

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

import keras_csc
from studies import tables

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "classify.json"
KEYS = ("part", "name", "layers", "seed", "minutes")
EPOCHS = 8  # of digits
BATCH, RATE = 64, 1e-3  # of CIFAR-10
TIMED = 40  # steps


def unit_filters(shape, dtype=None):
    """Random filters of norm 1, as large as the first atoms are."""
    atoms = keras.random.normal(shape, dtype=dtype)
    return keras_csc.constraints.UnitAtoms()(atoms)


# Whether it has coding layers, and the layers' arguments.
NETWORKS = {
    "convolutions": (False, {}),
    "convolutions of norm 1": (False, {"kernel_initializer": unit_filters}),
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


def digits(name, layers, seed):
    """Accuracy on other digits after 8 epochs."""
    module, (coding, arguments) = example(), NETWORKS[name]
    train, test = module.digits(seed)
    keras.utils.set_random_seed(seed)
    # "2n" is two layers with batch normalisation. The moving statistics of
    # Keras's default momentum, 0.99, lag behind in so few steps.
    momentum = 0.9 if layers == "2n" else None
    stack = module.DIGITS if layers != "3" else (*module.DIGITS, (32, 1))
    shape = (8, 8, 1)
    model = module.classifier(shape, stack, coding, momentum, **arguments)
    module.compiled(model).fit(*train, epochs=EPOCHS, verbose=0)
    return {"accuracy": model.evaluate(*test, verbose=0)[1]}


def cifar10(name, layers, seed):
    """Test accuracy after some minutes of one core."""
    module, (coding, arguments) = example(), NETWORKS[name]
    train, test = module.cifar10(flags.FLAGS.data_dir)
    data = tf.data.Dataset.from_tensor_slices(train)
    data = data.shuffle(len(train[0]), seed).repeat().batch(BATCH)

    def network(steps):
        keras.utils.set_random_seed(seed)
        model = module.classifier(
            train[0].shape[1:], module.CIFAR10, coding, 0.99, **arguments
        )
        rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
        return module.compiled(model, rate)

    # How fast it is, without the seconds in which the step is traced.
    model = network(100)
    model.fit(data, steps_per_epoch=5, verbose=0)
    began = time.process_time()
    model.fit(data, steps_per_epoch=TIMED, verbose=0)
    seconds = (time.process_time() - began) / TIMED
    steps = round(60 * flags.FLAGS.minutes / seconds)
    model = network(steps)
    model.fit(data, steps_per_epoch=steps, verbose=0)
    accuracy = model.evaluate(*test, verbose=0)[1]
    return {"steps": steps, "accuracy": accuracy}


def table(part):
    """The rows of a part, means over seeds, as text."""
    groups = {}
    for row in tables.rows_of(TABLE):
        if row["part"] == part:
            group = row["layers"], row["name"]
            groups.setdefault(group, []).append(row)
    lines = []
    for (layers, name), rows in sorted(groups.items()):
        values = [row["accuracy"] for row in rows]
        text = f"{np.mean(values):.3f}"
        if len(values) > 1:
            text += f" ± {np.std(values, ddof=1):.3f}"
        steps = [row.get("steps", np.nan) for row in rows]
        count = "" if part == "digits" else f"{np.mean(steps):.0f}"
        lines.append([layers, name, text, str(len(rows)), count])
    head = ["layers", "network", "accuracy", "seeds", "steps"]
    return tables.markdown(head, lines)


PARTS = {"digits": (digits, ("2", "3", "2n")), "cifar10": (cifar10, ("4",))}


def main(argv):
    options = flags.FLAGS
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    measure, sizes = PARTS[options.part]
    for seed in map(int, options.seeds):
        for layers in sizes:
            for name in options.only or NETWORKS:
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
