"""Training of an autoencoder, from the options to the evaluated model."""

from keras_csc_cli import building
from keras_csc_cli import devices
from keras_csc_cli import interruption
from keras_csc_cli import results
from keras_csc_cli import running
from keras_csc_cli import train_options

import keras
import tensorflow as tf

from keras_csc import callbacks
from keras_csc import data
from keras_csc.terminal import say

LOG_EVERY = 50  # steps, or --save_every if that is less
SHOWN_IMAGES = 40  # in pictures of training


def train(options, make_model=building.model):
    """Trains, saves and evaluates the run that `options` describe."""
    building.check(options)
    running.run(options, Recipe(options, make_model))


class Recipe:
    """How an autoencoder is trained; see `running.run`."""

    command = train_options.TRAIN

    def __init__(self, options, make_model):
        self.options, self.make_model = options, make_model
        self.batch_size = options.batch_size
        self.save_every = options.save_every
        self.log_every = min(LOG_EVERY, options.save_every)
        self.splits = building.Splits(options)
        self.changes = {
            "batch_size": options.batch_size,
            "seed": options.seed,
            **building.augmentation(options),
        }

    def convolutions(self):
        return building.convolutions(self.options)

    def open(self, replicas, chief):
        together = tf.distribute.InputContext(num_replicas_in_sync=replicas)
        # Of no use, but that a `DataError` comes early.
        train = self.splits["train"]
        data.batches(train, input_context=together, **self.changes)
        if chief:
            # Images to show and measure are listed before any long work.
            self.splits["test"]
        return train

    def model(self):
        model = self.make_model(self.options, self.splits.num_classes)
        building.check_metrics(self.options.metrics, self.splits, model)
        return model

    def start(self, model, source, strategy, tell):
        first_atoms = self.options.first_atoms
        drawn = first_atoms in ("auto", "random")
        if drawn and model.decoder.calibrated:
            return
        if strategy.num_replicas_in_sync == 1:
            building.start_from_images(model, source, first_atoms, tell)
            return
        # The work is slow on a model that is mirrored, and a run on one device
        # is to have the same random numbers.
        keras.utils.set_random_seed(self.options.seed)
        start = self.make_model(self.options, self.splits.num_classes)
        building.start_from_images(start, source, first_atoms, tell)
        chief = devices.worker_index(self.options.strategy) == 0
        devices.copy_from_chief(strategy, start, model, chief)

    def batches(self, strategy, source, first_step):
        return devices.batches(strategy, source, first_step, **self.changes)

    def followers(self, workdir):
        shown = building.float_images(self.splits["test"], SHOWN_IMAGES)
        how = self.batch_size, self.save_every
        return [callbacks.RunLog(workdir.path, shown, *how)]

    def finish(self, workdir, model):
        options, splits = self.options, self.splits
        building.fit_density(model, splits, options)
        interruption.check()
        workdir.save(model)
        interruption.check()
        pictures = workdir.path / "pictures"
        say(f"Trained model: {workdir.model}. Pictures: {pictures}.")
        if options.metrics:
            say("Evaluating on the test split.")
            about = {"run": workdir.run_record()}
            figures = results.evaluate(
                model, options, workdir.path, splits, about=about
            )
            say("\n".join(results.lines(figures, workdir.path)))
