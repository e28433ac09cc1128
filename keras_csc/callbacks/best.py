"""The best of the checkpoints, by a metric of images not trained on."""

import json

import keras
import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.callbacks.checkpoints import CheckpointError
from keras_csc.callbacks.checkpoints import check_state
from keras_csc.callbacks.checkpoints import found
from keras_csc.callbacks.checkpoints import set_aside
from keras_csc.callbacks.checkpoints import step_of
from keras_csc.files import remove
from keras_csc.terminal import say


def psnr(model, images):
    return metrics.peak_signal_to_noise_ratio(images, model.reconstruct(images))


def ssim(model, images):
    return metrics.structural_similarity(images, model.reconstruct(images))


def cosine(model, images):
    features = model.encode(images)
    again = model.encode(model.decode(features))
    return tf.reduce_sum(features * again, axis=-1)


METRICS = {"psnr": psnr, "ssim": ssim, "cosine": cosine}
FACTS = "best.json"


class KeepBest(keras.callbacks.Callback):
    """Keeps the checkpoint at which a metric of some images was highest.

    It is the folder `best-00001000` beside the other checkpoints, with
    `best.json`: the metric, its value, the step and the number of images. Put
    it before `TrainingCheckpoint` in the list of callbacks: each step is then
    measured before it is saved, and a run that is killed and continued keeps
    the same best.

    Args:
        checkpoint: `TrainingCheckpoint` of the same model.
        metric: `"psnr"` (dB) or `"ssim"` of the images and their
            reconstructions, or `"cosine"` of the features of both.
        images: array `(n, height, width, channels)` in [-1, 1], not trained
            on.
        last_step: int, a step that is measured besides the multiples of the
            checkpoint's `every_steps`.

    Raises:
        NonFiniteError: in training, if the model is not finite.
        CheckpointError: in training, if the best can't be read or written.
    """

    def __init__(self, checkpoint, metric, images, last_step):
        super().__init__()
        self.checkpoint = checkpoint
        self.metric = metric
        self.images = images
        self.last_step = last_step
        self._function = None

    def on_train_batch_end(self, batch, logs=None):
        step = self.model.step
        if not (self.checkpoint.is_due_by_steps() or step == self.last_step):
            return
        check_state(self.model)
        best, value = best_facts(self.checkpoint.folder), self.measure()
        if best and (value <= best["value"] or step == best["step"]):
            return
        facts = {
            "metric": self.metric,
            "value": value,
            "step": step,
            "images": len(self.images),
        }
        path = self.checkpoint.folder / f"best-{step:08d}"
        self.checkpoint.write_folder(path, {FACTS: json.dumps(facts) + "\n"})
        # A killed process may have left more than one.
        for old in found(self.checkpoint.folder, "best"):
            if old != path:
                remove(old)

    def measure(self, batch_size=50):
        """Mean of the metric over the images."""
        if self._function is None:
            function = METRICS[self.metric]
            self._function = tf.function(
                lambda images: function(self.model, images),
                autograph=False,
                reduce_retracing=True,
            )
        values = [
            self._function(self.images[start : start + batch_size])
            for start in range(0, len(self.images), batch_size)
        ]
        return float(np.concatenate(values).mean(dtype="float64"))


def best_facts(folder):
    """What `best.json` says of the best checkpoint; `None` without one.

    Raises:
        CheckpointError: if it can't be read, or is not of that checkpoint.
    """
    paths = found(folder, "best")
    if not paths:
        return None
    try:
        facts = json.loads((paths[-1] / FACTS).read_text())
        fits = isinstance(facts, dict) and facts.get("step") == step_of(
            paths[-1]
        )
        value = facts.get("value") if fits else None
        if not isinstance(value, float) or not np.isfinite(value):
            raise ValueError(f"{FACTS} holds {facts!s:.80}")
        return facts
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The checkpoint {paths[-1]} can't be read: {error}. Without it a "
            "run keeps the best of the steps to come."
        ) from error


def restore_best(checkpoint):
    """Restores the best checkpoint into the model of a `TrainingCheckpoint`.

    One that can't be read is renamed to `damaged-best-...`. Without any that
    can be read, the newest of the other checkpoints is restored.

    Returns:
        What its `best.json` says; `None` if it is not the best.

    Raises:
        CheckpointError: if there is none at all, or none can be read.
    """
    while paths := found(checkpoint.folder, "best"):
        try:
            checkpoint.read(paths[-1])
            return best_facts(checkpoint.folder)
        except CheckpointError as error:
            say(f"{error} It is set aside.")
            set_aside(paths[-1])
    if not checkpoint.restore():
        raise CheckpointError(f"{checkpoint.folder} has no checkpoint.")
    return None
