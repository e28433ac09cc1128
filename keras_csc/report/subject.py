"""What a page is about."""

import dataclasses
import functools
import typing

from keras_csc.report.looking import Look


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A model, and what is known of it.

    Fields:
        name: str.
        model: `ClosedLoopAutoencoder`.
        found: `Look`, or `None` without images.
        card: dict with what there is of `training`, `recipe` and
            `evaluation`, dicts as of `run.json`, `flags.json` and
            `evaluation.json`.
        log: list of dicts with a `step` and numbers, as of `log.jsonl`.
        about: str, which images these are, or how to get some.
        own_classes: bool, whether the images' classes are the model's.
    """

    name: str
    model: typing.Any
    found: Look | None
    card: dict
    log: list
    about: str
    own_classes: bool = True

    @property
    def encoder(self):
        return self.model.encoder

    @property
    def maps(self):
        """Whether there is a feature vector at every place."""
        return self.encoder.features == "map"

    @property
    def figures(self):
        """What an evaluation has measured, or an empty dict."""
        return _dict(self.card.get("evaluation"))

    def class_name(self, label):
        """Name of one of the model's classes, as far as it is known."""
        names = _dict(self.card.get("training")).get("class_names")
        if isinstance(names, (list, tuple)) and label < len(names):
            return str(names[label])
        if self.found and self.own_classes:
            return self.found.name(label)
        return f"class {label}"

    @property
    def class_features(self):
        """How many features the training gave to the classes."""
        game = _dict(_dict(self.card.get("recipe")).get("game"))
        size = game.get("class_features")
        fits = isinstance(size, int) and 0 < size <= self.encoder.feature_dim
        return size if fits else 0

    @functools.cached_property
    def noun(self):
        """`16×16 grey`, of its images."""
        height, width, channels = self.encoder.image_shape
        colour = "grey" if channels == 1 else "colour"
        return colour if self.maps else f"{height}×{width} {colour}"


def _dict(value):
    return value if isinstance(value, dict) else {}
