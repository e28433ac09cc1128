"""Training of the denoiser that `keras-csc restore` uses."""

from keras_csc_cli import records
from keras_csc_cli import running
from keras_csc_cli.picture_options import DENOISER

import keras
import tensorflow as tf
from keras import ops

from keras_csc import data
from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration.geometry import BORDER

# Side of the images, crops or halved ones.
SIDE, BATCH = 64, 8
# The range of noise, of 255, and the noise of the images for validation.
LEVELS, SHOWN = (3, 55), 25
# Steps between lines of progress, which come with a checkpoint.
EPOCH = 500
HELD_OUT = 64


def main(options, make=SparseDenoiser):
    """Trains in `--workdir`, from its last checkpoint if there is one.

    Args:
        options: of the command.
        make: function of a `dtype` policy that makes a model with the calls
            of `SparseDenoiser`.
    """
    running.run(options, Recipe(options, make))


class Recipe:
    """How a denoiser is trained; see `running.run`."""

    command = DENOISER

    def __init__(self, options, make):
        self.options, self.make = options, make
        self.batch_size, self.log_every, self.save_every = BATCH, EPOCH, EPOCH

    def convolutions(self):
        # An iteration: blocks of 4x4 pixels, 64 atoms at 2x2 places of each.
        return [((BATCH, SIDE // 4, SIDE // 4, 16), (3, 3, 16, 256), 1)]

    def open(self, replicas, chief):
        others = opened(self.options, "validation")
        pixels, _ = data.load_arrays(others, HELD_OUT)
        self.held_out = _with_noise(pixels)
        return opened(self.options, "train")

    def model(self):
        model = self.make(dtype=self.options.dtype_policy)
        compile_denoiser(model, self.options)
        return model

    def start(self, model, source, strategy, tell):
        """A new denoiser has first weights: the discrete cosines."""

    def batches(self, strategy, source, first_step):
        return noisy_batches(source, BATCH, self.options.seed, first_step)

    def followers(self, workdir):
        events = keras.callbacks.TensorBoard(workdir.path / "tensorboard")
        return [ShownPSNR(self.held_out), events]

    def finish(self, workdir, model):
        model.optimizer.finalize_variable_values(model.trainable_variables)
        trained = model.without_training()
        workdir.save(trained)
        trained.compile(loss="mse", metrics=[psnr])
        _, mean = trained.evaluate(*self.held_out, verbose=0)
        figures = {
            "psnr": mean,
            "noise": SHOWN,
            "weights": trained.count_params(),
        }
        records.write_evaluation(workdir.path, figures)
        print(f"Trained denoiser: {workdir.model}")


def opened(options, split):
    """Crops twice as wide as the images: some of them are halved."""
    return data.open_dataset(
        "image_folder",
        split,
        (2 * SIDE, 2 * SIDE, 1),
        options.data_dir,
        random_crop=True,
        resize=False,
    )


class ShownPSNR(keras.callbacks.Callback):
    """Adds the PSNR of crops that are not trained on, by the mean weights."""

    def __init__(self, held_out):
        super().__init__()
        self.held_out = held_out

    def on_epoch_end(self, epoch, logs=None):
        swapped = [keras.callbacks.SwapEMAWeights()]
        _, logs["shown_psnr"] = self.model.evaluate(
            *self.held_out, verbose=0, callbacks=swapped
        )


def compile_denoiser(model, options):
    """Compiles with Adam: a rate that falls as a cosine, a mean of weights."""
    rate = options.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        0.01 * rate,
        options.steps,
        alpha=0.01,
        warmup_target=rate,
        warmup_steps=min(100, options.steps // 2),
    )
    optimizer = keras.optimizers.Adam(
        schedule, global_clipnorm=0.01, use_ema=True, ema_momentum=0.999
    )
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "mse", metrics=[psnr])


def psnr(images, others):
    """PSNR of every image in [0, 1], in decibels."""
    errors = ops.mean(ops.square(images - others), (1, 2, 3))
    return -10 * ops.log10(errors)


def noisy_batches(source, batch_size, seed=0, first_step=0):
    """Infinite batches of noisy images, a pure function of seed and step.

    One half of a batch of crops is cut to the middle parts. The sides of the
    other half are halved, by means of four pixels. All are turned by a random
    number of right angles. The noise has a deviation `σ` that is uniform in
    `LEVELS`.

    Args:
        source: of crops, as `data.open_dataset` opens.
        batch_size: int.
        seed: int.
        first_step: int, the step to begin with.

    Returns:
        `tf.data.Dataset` of `((noisy, σ), images, weights)`. `images` are in
        [0, 1], without a border of `BORDER` pixels. `weights` are in inverse
        proportion to `σ`.
    """
    crops = data.batches(
        source, batch_size, seed, first_step, horizontal_flip=True
    )

    def finish(count, batch):
        crops, key = batch[0] / 2 + 0.5, (seed, first_step + count)
        whole = crops[batch_size // 2 :]
        middle = crops[: batch_size // 2, SIDE // 2 :, SIDE // 2 :]
        images = tf.concat(
            [middle[:, :SIDE, :SIDE], tf.nn.avg_pool2d(whole, 2, 2, "VALID")], 0
        )
        turns = tf.random.stateless_uniform([], key, 0, 4, tf.int32)
        images = tf.image.rot90(images, turns)
        low, high = (level / 255 for level in LEVELS)
        noise = tf.random.stateless_uniform([batch_size], key, low, high)
        deviations = noise[:, None, None, None]
        noisy = images + deviations * tf.random.stateless_normal(
            tf.shape(images), key
        )
        inner = images[:, BORDER:-BORDER, BORDER:-BORDER]
        return (noisy, noise), inner, SHOWN / 255 / deviations[..., 0]

    finished = crops.enumerate().map(finish, tf.data.AUTOTUNE)
    return finished.prefetch(tf.data.AUTOTUNE)


def _with_noise(pixels):
    """Crops with noise of `SHOWN`, always the same: `((noisy, σ), images)`."""
    images = pixels.astype("float32") / 255
    noise = tf.random.stateless_normal(images.shape, (0, 0)).numpy()
    levels = images[:, 0, 0, 0] * 0 + SHOWN / 255
    return (images + SHOWN / 255 * noise, levels), images
