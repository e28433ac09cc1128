"""Pictures of a training run."""

import pathlib

import keras
import tensorflow as tf

from keras_csc.callbacks.tensorboard import EventWriter
from keras_csc.callbacks.tensorboard import picture_tag
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import draw_atoms
from keras_csc.visualization import save_png


class PictureLog(keras.callbacks.Callback):
    """Draws reconstructions and atoms, as files and for TensorBoard.

    Args:
        folder: where to write `pictures/` and `tensorboard/pictures/`.
        images: images to reconstruct, `(n, height, width, channels)` in
            [-1, 1].
        every_steps: int, least number of steps between two drawings.
    """

    def __init__(self, folder, images, every_steps=1000):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.images = images
        self.every_steps = every_steps

    def on_train_begin(self, logs=None):
        self._drawn_at = self.model.step
        self._events = EventWriter(self.folder / "tensorboard" / "pictures")

    def on_epoch_end(self, epoch, logs=None):
        if self.model.step - self._drawn_at >= self.every_steps:
            self._draw()

    def on_train_end(self, logs=None):
        if self.model.step > self._drawn_at:
            self._draw()
        self._events.close()

    def _draw(self):
        self._drawn_at = self.model.step
        made = keras.ops.convert_to_numpy(self.model.reconstruct(self.images))
        scale = max(1, 48 // self.images.shape[1])
        grid = comparison_grid([self.images, made], scale=scale)
        pictures = {"reconstructions": grid, **draw_atoms(self.model)}
        with self._events.at(self._drawn_at):
            for name, picture in pictures.items():
                grouped, description = picture_tag(name)
                tf.summary.image(
                    grouped, picture[None], description=description
                )
                save_png(self.folder / "pictures" / f"{name}.png", picture)
