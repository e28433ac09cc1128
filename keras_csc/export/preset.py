"""Writing a preset that others are to take."""

import pathlib

from keras_csc.export.card import preset_card
from keras_csc.models import presets

CARD = "card"


def export_preset(model, folder, card=None):
    """Writes an autoencoder as a folder for `from_preset`, to be shared.

    As `save_to_preset`, with dictionaries in float16, and a `README.md` that
    says what the model is. `metadata.json` has what the card says as data, so
    that a SavedModel of the preset can say it again.

    Args:
        model: `ClosedLoopAutoencoder`.
        folder: path of a folder that does not exist; its name is the model's.
        card: dict from section titles to what the card is to say there, as of
            `export_saved_model`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: as of `save_to_preset`.
        OSError: if it can't be written.
    """
    folder = pathlib.Path(folder).absolute()
    card = card or {}
    text = preset_card(model, folder.name, card)
    presets.save(model, folder, half=True, about={CARD: card}, card=text)
    return folder


def card_of(preset):
    """What the card of a preset says, a dict; see `export_preset`."""
    found = presets.find(preset).metadata.get(CARD)
    return found if isinstance(found, dict) else {}
