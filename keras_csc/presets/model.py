"""What all models of ours share: they come from presets, and go to them."""

import keras

from keras_csc.presets import folder as folders
from keras_csc.presets import places
from keras_csc.validation import not_quantized

# What a preset does not say: it is chosen when a model is loaded.
CHOSEN = ("name", "trainable", "dtype")


class PresetModel(keras.Model):
    """A Keras model that presets hold.

    A subclass is registered with Keras. If its constructor does not make the
    model of `get_config`, it also has the three methods below the line.
    """

    quantize = not_quantized

    @classmethod
    def from_preset(cls, preset, dtype=None):
        """Makes a model from a preset, with its weights.

        Nothing that a folder or a hub holds is run as code. Files must have
        the SHA-256 that `metadata.json` says.

        Args:
            preset: name of a trained model that comes with the package. Or a
                folder that `save_to_preset` wrote. Or the URI of such a folder
                on a hub: `"hf://OWNER/NAME[@REVISION]"` or
                `"kaggle://OWNER/MODEL/keras/VARIANT[/VERSION]"`.
            dtype: of the model, by default Keras's.

        Raises:
            ValueError: for an unknown preset, or a folder that is not complete,
                is damaged or holds something else.
            OSError: if a hub can't be reached, has no such model, or refuses.
            ImportError: for a URI, without the package's extra `hub`.
        """
        stored = places.find(preset, cls, places.trained_names(cls))
        model = cls.of_preset(stored.config, dtype)
        folders.load_weights(model, places.with_weights(preset, stored))
        return model

    def save_to_preset(self, folder, about=None, card=None):
        """Writes a folder for `from_preset`, laid out as in KerasHub.

        The folder appears complete or not at all. `config.json` has the
        architecture, and `model.weights.h5` the weights. `metadata.json` has
        versions, the date, the number of weights and the SHA-256 of the other
        two.

        Args:
            folder: path of a folder that does not exist yet.
            about: dict, more entries of `metadata.json`.
            card: str, text of a `README.md`.

        Raises:
            ValueError: if the folder exists, or for a model of classes of your
                own.
            OSError: if it can't be written.
        """
        folders.save(self, folder, about, card)

    # === What a subclass may replace ===

    def preset_config(self):
        """Dict of what `of_preset` makes the model of, for JSON."""
        config = self.get_config()
        return {key: config[key] for key in config if key not in CHOSEN}

    @classmethod
    def of_preset(cls, config, dtype=None):
        """The model of a `preset_config`, with its first weights or none."""
        return cls(**config, dtype=dtype)

    def without_training(self):
        """The model without its optimizer and all else that training keeps."""
        model = self.of_preset(self.preset_config())
        model.set_weights(self.get_weights())
        return model


def load_preset(preset):
    """The model of a preset's folder or URI, of any class of ours."""
    stored = places.find(preset, PresetModel, places.trained_names())
    return stored.kind.from_preset(preset)
