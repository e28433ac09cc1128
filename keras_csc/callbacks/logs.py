"""What a training run says of itself: a line, scalars and pictures."""

import contextlib
import errno
import json
import pathlib
import re
import time

import keras
import numpy as np
import tensorflow as tf

from keras_csc.callbacks.checkpoints import steps_taken
from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.terminal import LiveLine
from keras_csc.terminal import duration
from keras_csc.validation import plain
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import save_png
from keras_csc.visualization.atoms import draw_atoms

# Shown after the rate and the time left, as long as there is room.
TERMS = {
    "shown_psnr": "PSNR {:.1f} dB",
    "objective": "objective {:.3g}",
    "consistency": "consistency {:.3g}",
    "multistage": "multistage {:.3g}",
    "input_wait": "waiting for input {:.1%}",
}


class ProgressLine(keras.callbacks.Callback):
    """Prints one line with the step, rate, time left and the main terms.

    The terms include the PSNR of images that are not trained on, if `RunLog`
    comes earlier in the list of callbacks. On a terminal the line is rewritten
    and fits its width. Elsewhere a plain line is printed after the first two
    steps and for every epoch (logging interval), at most one in five seconds.

    Args:
        steps: int, the step at which training ends.
        batch_size: int, images in a step.
    """

    def __init__(self, steps, batch_size):
        super().__init__()
        self.steps = steps
        self.batch_size = batch_size
        self.line = LiveLine()

    def on_train_begin(self, logs=None):
        self._began_at, self._batches = None, 0
        self.line.show(["reading and tracing the first step"])

    def on_train_batch_end(self, batch, logs=None):
        self._batches += 1
        if self._batches > 2:  # To read the step is to wait for it.
            return
        step = steps_taken(self.model)
        if self._began_at is None:
            # The rate is without the first step, which traces the graph.
            self._began_at, self._first_step = time.monotonic(), step
        self.line.show(self._parts(step, {}))

    def on_epoch_end(self, epoch, logs=None):
        step = steps_taken(self.model)
        parts = self._parts(step, logs or {})
        self.line.show(parts, last=step >= self.steps)

    def on_train_end(self, logs=None):
        self.line.end()

    def _parts(self, step, logs):
        parts = [f"step {step}/{self.steps}"]
        taken = step - self._first_step
        if taken:
            rate = taken / max(time.monotonic() - self._began_at, 1e-9)
            left = (self.steps - step) / rate
            parts += [
                f"{duration(left)} left",
                f"{rate * self.batch_size:,.0f} images/s",
            ]
        return parts + [
            text.format(float(logs[name]))
            for name, text in TERMS.items()
            if name in logs
        ]


LOG_FILE = "log.jsonl"
# What the scalars are, by their groups in TensorBoard.
TAGS = {
    "game": {
        "objective": "T, which the encoder raises and the decoder lowers",
        "loss": "The last batch's first term, NaN if a term is not finite",
        "consistency": "Mean square distance of features, once regenerated",
        "multistage": "S, distance of the codes of all stages, regenerated",
        "residual": "E, mean square of what codes leave of a stage's input",
        "learning_rate": "Rate of the optimizer, or the encoder's",
        "decoder_learning_rate": "Rate of the decoder's optimizer",
    },
    "rates": {
        "features_rate": "R(Z), coding rate of the features, in nats",
        "reconstructed_rate": "R(Ẑ), of regenerated images, in nats",
        "rate_reduction": "ΔR(Z|y), of features over classes, in nats",
        "reconstructed_rate_reduction": "ΔR(Ẑ|y), regenerated, in nats",
        "class_distance": "Σ_j ΔR(Z_j, Ẑ_j), class by class, in nats",
    },
    "codes": {
        "zero_fraction": "Share of zeros of images that are not trained on",
        "dead_atoms": "Share of atoms that none of these images has",
        "operator_norm": "L, bound of the largest eigenvalue of AᵀA",
    },
    "quality": {"shown_psnr": "PSNR of images that are not trained on, in dB"},
    "time": {
        "images_per_second": "Training images a second",
        "input_wait": "Share of the time in which training waits for images",
    },
}


def tag(name):
    """The grouped name of a scalar of the log, and its description.

    A `/LAYER` at the end of the name is not looked up. A name that is not in
    `TAGS` is a term of a game.
    """
    for group, known in TAGS.items():
        if name.partition("/")[0] in known:
            return f"{group}/{name}", known[name.partition("/")[0]]
    return f"game/{name}", f"{name}, a term of the game"


class RunLog(keras.callbacks.Callback):
    """Logs scalars and draws pictures, as files and for TensorBoard.

    At the end of every epoch (logging interval) it logs the epoch's logs,
    images per second, the learning rates, and `shown_psnr`. That is the PSNR of
    the reconstructions of some images, and is also added to the logs. For every
    coding layer it logs `zero_fraction/LAYER`, the share of zero codes on these
    images. It also logs `dead_atoms/LAYER`, the share of atoms that none of
    these images has, and `operator_norm/LAYER`, `L`. When
    training begins, records of later steps leave the file: a killed run will
    take these steps again. Reconstructions and atoms are drawn now and then,
    and when training ends. TensorBoard has the scalars in the groups of `TAGS`.

    Args:
        folder: where to write `log.jsonl`, `pictures/` and `tensorboard/`.
        images: a few images, `(n, height, width, channels)` in [-1, 1].
        batch_size: int, images in a step.
        draw_every: int, least number of steps between two drawings.

    Raises:
        OSError: in training, if anything can't be written.
    """

    def __init__(self, folder, images, batch_size, draw_every=1000):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.images = images
        self.batch_size = batch_size
        self.draw_every = draw_every

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        _forget_later(self.folder / LOG_FILE, self.model.step)
        # TensorBoard reads only the newest file of a folder.
        folder = str(self.folder / "tensorboard" / "training")
        with _os_errors(folder):
            self._events = tf.summary.create_file_writer(folder)
        self._last = (time.monotonic(), self.model.step)
        self._drawn_at = self.model.step

    def on_epoch_end(self, epoch, logs=None):
        step = self.model.step
        made = keras.ops.convert_to_numpy(self.model.reconstruct(self.images))
        psnr = peak_signal_to_noise_ratio(self.images, made)
        scalars = {
            **{name: float(value) for name, value in (logs or {}).items()},
            **self._rates(step),
            "shown_psnr": float(np.mean(psnr)),
            **_layer_scalars(self.model, self.images),
        }
        if logs is not None:
            logs["shown_psnr"] = scalars["shown_psnr"]
        with open(self.folder / LOG_FILE, "a") as file:
            record = {"step": step, "time": round(time.time(), 3), **scalars}
            file.write(json.dumps(record) + "\n")
        with self._at(step):
            for name, value in scalars.items():
                grouped, description = tag(name)
                tf.summary.scalar(grouped, value, description=description)
        if step - self._drawn_at >= self.draw_every:
            self._draw()

    def on_train_end(self, logs=None):
        if self.model.step > self._drawn_at:
            self._draw()
        with _os_errors(self.folder):
            self._events.close()

    @contextlib.contextmanager
    def _at(self, step):
        """Within the context, `tf.summary` writes events of a step."""
        with _os_errors(self.folder):
            with self._events.as_default(step):
                yield
            self._events.flush()

    def _rates(self, step):
        (then, last_step), now = self._last, time.monotonic()
        self._last = (now, step)
        rate = (step - last_step) * self.batch_size / max(now - then, 1e-9)
        names = "learning_rate", "decoder_learning_rate"
        return {
            "images_per_second": rate,
            **{
                name: _number(optimizer.learning_rate)
                for name, optimizer in zip(names, self.model.optimizers)
            },
        }

    def _draw(self):
        self._drawn_at = self.model.step
        made = keras.ops.convert_to_numpy(self.model.reconstruct(self.images))
        scale = max(1, 48 // self.images.shape[1])
        grid = comparison_grid([self.images, made], scale=scale)
        pictures = {"reconstructions": grid, **draw_atoms(self.model)}
        with self._at(self._drawn_at):
            for name, picture in pictures.items():
                group = "quality" if name == "reconstructions" else "codes"
                tf.summary.image(f"{group}/{name}", picture[None])
                save_png(self.folder / "pictures" / f"{name}.png", picture)


@contextlib.contextmanager
def _os_errors(folder):
    """Raises TensorFlow's errors of files that it writes as `OSError`."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, plain(error), str(folder)) from error


def _forget_later(path, step):
    """Cuts the records after a step from a file of JSON lines."""
    if not path.exists():
        return
    length = 0
    with open(path, "rb+") as file:
        for line in file:
            match = re.match(rb'{"step": (\d+),.*}\n', line)
            if not match or int(match.group(1)) > step:
                break
            length += len(line)
        file.truncate(length)


def _layer_scalars(model, images):
    """Shares of zeros and of dead atoms, and `L`, of every coding layer."""
    scalars = {}
    codes = model.encoder.activations(images).codes
    for layer, code in zip(model.encoder.coding_layers, codes):
        code = np.asarray(keras.ops.cast(code, "float32"))
        scalars[f"zero_fraction/{layer.name}"] = float(np.mean(code == 0))
        active = np.any(np.not_equal(code, 0), axis=(0, 1, 2))
        scalars[f"dead_atoms/{layer.name}"] = float(np.mean(~active))
        scalars[f"operator_norm/{layer.name}"] = _number(layer.operator_norm)
    return scalars


def _number(value):
    return float(keras.ops.convert_to_numpy(value))
