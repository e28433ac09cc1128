"""TensorBoard's files of events, and the names under which it shows them."""

import collections
import contextlib
import errno
import os

import tensorflow as tf

Tag = collections.namedtuple("Tag", "group description")

TAGS = {
    "objective": Tag("game", "T, which the encoder raises and the decoder "
                     "lowers"),
    "loss": Tag("game", "The objective of the last batch, NaN if a term is not "
                "finite; for Keras's callbacks"),
    "consistency": Tag("game", "Mean square distance of features of images "
                       "and of their regenerations"),
    "multistage": Tag("game", "S, distance of codes of images and of their "
                  "regenerations, over all stages"),
    "residual": Tag("game", "E, mean square of what the codes of every stage "
                    "leave of its input"),
    "encoder_gradient_norm": Tag("game", "Norm of the encoder's gradient"),
    "decoder_gradient_norm": Tag("game", "Norm of the decoder's gradient"),
    "learning_rate": Tag("game", "Rate of the optimizer, or the encoder's"),
    "decoder_learning_rate": Tag("game", "Rate of the decoder's optimizer"),
    "features_rate": Tag("rates", "R(Z), coding rate of the features, in nats"),
    "reconstructed_rate": Tag("rates", "R(Ẑ), coding rate of the features of "
                              "regenerated images, in nats"),
    "rate_reduction": Tag("rates", "ΔR(Z|y), of features over classes, in "
                          "nats"),
    "reconstructed_rate_reduction": Tag("rates", "ΔR(Ẑ|y), of features of "
                                        "regenerated images, in nats"),
    "class_rate_reduction": Tag("rates", "ΔR(P|y), of the part of the features "
                                "that carries the classes, in nats"),
    "class_distance": Tag("rates", "Σ_j ΔR(Z_j, Ẑ_j), between both sets of "
                          "features, class by class, in nats"),
    "view_coding_rate": Tag("rates", "R(Q), coding rate of the part of the "
                            "features that is alike for views, in nats"),
    "view_distance": Tag("game", "D, mean square distance of that part between "
                         "images and their random views"),
    "zero_fraction": Tag("codes", "Share of zeros among the codes of some "
                         "images that are not trained on"),
    "dead_atoms": Tag("codes", "Share of atoms that are active nowhere in some "
                      "images that are not trained on"),
    "operator_norm": Tag("codes", "λmax, largest eigenvalue of the layer's "
                         "AᵀA, which bounds the solver's steps"),
    "shown_psnr": Tag("quality", "PSNR of the reconstructions of some images "
                      "that are not trained on, in dB"),
    "images_per_second": Tag("time", "Training images a second"),
    "input_wait": Tag("time", "Share of the time in which training waits for "
                      "images"),
}  # fmt: skip


class EventWriter:
    """Writes TensorBoard's events to a folder.

    Nothing else may write to it at the same time: TensorBoard reads only the
    newest file of a folder. If events can't be written, an `OSError` has the
    number of the cause, which TensorFlow's own errors lack.
    """

    def __init__(self, folder):
        self.folder = folder
        with self._os_errors():
            self._writer = tf.summary.create_file_writer(str(folder))

    @contextlib.contextmanager
    def at(self, step):
        """Within the context, `tf.summary` writes events of a step."""
        with self._os_errors():
            with self._writer.as_default(step):
                yield
            self._writer.flush()

    def close(self):
        with self._os_errors():
            self._writer.close()

    @contextlib.contextmanager
    def _os_errors(self):
        try:
            yield
        except tf.errors.OpError as error:
            number = _number(error.message)
            text = os.strerror(number)
            raise OSError(number, text, str(self.folder)) from error


def _number(message):
    """The number of the system's error that a message holds, or `EIO`."""
    found = [n for n in errno.errorcode if os.strerror(n) in message]
    return max(found, key=lambda n: len(os.strerror(n)), default=errno.EIO)


def tag(name):
    """The grouped name of a scalar of the log, and its description.

    `shown_psnr` is `quality/shown_psnr`, `zero_fraction/stage_1` is
    `codes/zero_fraction/stage_1`. A term of a game that is not in `TAGS` is
    one of `game/`.
    """
    known = TAGS.get(
        name.partition("/")[0], Tag("game", f"{name}, a term of the game")
    )
    return f"{known.group}/{name}", known.description
