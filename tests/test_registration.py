"""Every class that Keras saves has a name of its own, in our package."""

import importlib
import inspect
import pkgutil

import keras

import keras_csc
from keras_csc.models import staged

SAVED = (
    keras.layers.Layer,
    keras.metrics.Metric,
    keras.losses.Loss,
    keras.constraints.Constraint,
    keras.optimizers.Optimizer,
    keras_csc.generation.FeatureDensity,
    keras_csc.losses.RecipeGame,
    keras_csc.losses.TranscriptionGame,
)


def saved_classes():
    found = set()
    for module in pkgutil.walk_packages(keras_csc.__path__, "keras_csc."):
        if module.name.endswith(("explorer.controls", "explorer.page")):
            continue  # They need Gradio.
        module = importlib.import_module(module.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            if value.__module__.startswith("keras_csc") and issubclass(
                value, SAVED
            ):
                found.add(value)
    # Which nobody makes.
    return found - {staged.Player, staged.StagedDecoder, staged.StagedEncoder}


def test_names_are_unique_and_lead_to_their_class():
    classes = saved_classes()
    assert keras_csc.layers.ConvSparseCoding2D in classes
    names = [keras.saving.get_registered_name(cls) for cls in classes]
    assert len(set(names)) == len(classes)
    for name, cls in zip(names, classes):
        assert name == f"keras_csc>{cls.__name__}"
        assert keras.saving.get_registered_object(name) is cls
