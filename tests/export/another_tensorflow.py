"""What another TensorFlow makes of a SavedModel, beside what this one does.

    python3.11 -m venv old && old/bin/pip install tensorflow-cpu==2.18.0
    python tests/export/another_tensorflow.py old/bin/python \
        saved_models/csc_ctrl_cifar10/1 saved_models/csc_ctrl_photographs/1

Both interpreters load the model and are asked by every signature the example
of its card, a grey image, and random ones, as numbers and as PNG files. Prints
the largest difference of every output: of numbers, of the pixels of PNG files
in levels of 255, and of truths and texts 0 if they are equal, else 1. Fails for
one above 1e-4, or a level. Neither interpreter needs this package.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

BATCH, SIDES = 3, (40, 56)  # The sides are of images for a model of maps.
FEATURE_SIDES = (5, 7)
TOLERANCE = 1e-4
PICTURES = "reconstruction_bytes"  # PNG files.


def asked(specs):
    """Inputs of a signature, by their names."""
    import tensorflow as tf

    found = {}
    for name, spec in specs.items():
        # Versions differ in the order of the inputs.
        rng = np.random.default_rng(0)
        sides = iter(FEATURE_SIDES if name == "features" else SIDES)
        shape = [n or next(sides) for n in spec.shape[1:]]
        values = rng.uniform(-1, 1, (BATCH, *shape)).astype("float32")
        if name == "image":
            values[0] = 0
        elif name == "features":
            values /= np.linalg.norm(values, axis=-1, keepdims=True)
        elif name == "sparsity":
            values = np.float32([0.1, 0, 0.3])
        elif name == "label":
            values = np.int32([-1, 0, 3])
        elif name == "seed":
            values = np.int32([7, 7, 0])
        elif name == "image_bytes":
            pixels = rng.integers(0, 256, (BATCH - 1, *SIDES, 3), "uint8")
            files = [tf.io.encode_png(each).numpy() for each in pixels]
            values = np.array([b"no picture", *files], object)
        found[name] = tf.constant(values)
    return found


def answer(model, path):
    """Writes what this interpreter's TensorFlow answers, as a `.npz` file."""
    import tensorflow as tf

    print(tf.__version__)
    found = {}
    for signature, call in tf.saved_model.load(model).signatures.items():
        inputs = asked(call.structured_input_signature[1])
        for name, value in call(**inputs).items():
            value = value.numpy()
            if name == PICTURES:
                decoded = [tf.io.decode_png(each) for each in value if each]
                value = np.stack(decoded).astype("float32")
            elif value.dtype == object:
                value = value.astype("S")
            found[f"{signature}: {name}"] = value
    np.savez(path, **found)


def answers(python, model, path):
    """The version of an interpreter's TensorFlow, and what it answers."""
    script = str(pathlib.Path(__file__).absolute())
    finished = subprocess.run(
        [python, script, "--answer", model, str(path)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": ""},
    )
    return finished.stdout.split()[-1], dict(np.load(path))


def difference(ours, theirs):
    """The largest of two outputs; infinite for other shapes, or NaN."""
    if ours.shape != theirs.shape:
        return np.inf
    if ours.dtype.kind != "f":
        return float(np.any(ours != theirs))
    return float(np.nan_to_num(np.max(np.abs(ours - theirs)), nan=np.inf))


def main(other, *models):
    good = []
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            here, ours = answers(sys.executable, model, folder / "ours.npz")
            there, theirs = answers(other, model, folder / "theirs.npz")
        print(f"{model} in TensorFlow {there} and {here}")
        for name in sorted({*ours, *theirs}):
            found = difference(ours[name], theirs[name])
            print(f"{found:10.2g}  {name}, {ours[name].shape}")
            good.append(found <= (1 if name.endswith(PICTURES) else TOLERANCE))
    return not all(good)


if __name__ == "__main__":
    if sys.argv[1] == "--answer":
        answer(*sys.argv[2:])
    else:
        sys.exit(main(*sys.argv[1:]))
