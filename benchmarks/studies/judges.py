"""Fréchet distances in the features of classifiers that are trained here.

A judge is trained once for a data set, on its training images, and is the same
for all contenders. Its distances compare with no others.
"""

import fcntl
import sys

import keras
import numpy as np

from benchmarks.studies import data as sets
from keras_csc import data
from keras_csc import metrics

BATCH = 128


class Judges:
    """Classifiers by data set, `FOLDER/SET.keras`.

    Args:
        folder: where they are.
        library: `data.Library`.
        steps: int, of their training.
    """

    def __init__(self, folder, library, steps):
        self.folder = folder
        self.library = library
        self.steps = steps
        self._extractors = {}

    def distance(self, name, images, others):
        """Fréchet distance of two arrays of images of a set."""
        if name not in self._extractors:
            path = self.folder / f"{name}.keras"
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(path.with_suffix(".lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.exists():
                    self._train(name, path)
            self._extractors[name] = metrics.classifier_extractor(path)
        extract = self._extractors[name]
        return metrics.frechet_distance(
            *(
                metrics.FeatureStatistics().update(extract(part)[0])
                for part in (images, np.clip(others, -1, 1))
            )
        )

    def _train(self, name, path):
        print(f"Training the judge of {name}.", file=sys.stderr, flush=True)
        arguments = (
            sets.SETS[name].dataset,
            (32, 32, sets.channels(name)),
            self.library.folder(name),
        )
        train, test = (
            data.open_dataset(arguments[0], split, *arguments[1:])
            for split in ("train", "test")
        )
        keras.utils.set_random_seed(0)
        classifier = metrics.ImageClassifier(
            train.image_shape, train.num_classes
        )
        metrics.fit_classifier(
            classifier,
            data.batches(data.cached(train, 2**32), BATCH, seed=0),
            self.steps,
        )
        classifier.record = {
            "dataset": name,
            "steps": self.steps,
            "test_accuracy": metrics.classifier_accuracy(
                classifier, data.evaluation_batches(test, 250)
            ),
        }
        new = path.with_name(f".new-{path.name}")
        classifier.save(new)
        new.rename(path)
