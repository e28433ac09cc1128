"""Presets that are given to others."""

import os
import pathlib

from keras_csc.models import hub
from keras_csc.models import presets
from keras_csc.models.closed_loop_autoencoder import ClosedLoopAutoencoder
from keras_csc.models.preset_folder import CARD_FILE
from keras_csc.models.preset_folder import FILES
from keras_csc.validation import shown

CARD = """\
---
library_name: keras_csc
---

# {title}

An autoencoder of images, with the architecture of CSC-CTRL: convolutional
sparse coding, and closed-loop transcription.

```python
import keras_csc

model = keras_csc.models.ClosedLoopAutoencoder.from_preset(
    "{uri}"
)
```

| | |
|-|-|
{rows}
"""


def upload_preset(uri, folder):
    """Uploads a preset folder to Hugging Face or Kaggle.

    The folder is loaded first, and nothing is written into it. The hub gets
    `config.json`, `metadata.json` and `model.weights.h5` as one new version;
    earlier ones stay there. A `README.md` of the folder is the model card.
    Without one, a short card is written for a model that has none.

    Logging in is up to the hub's library: `hf auth login` or `HF_TOKEN`,
    `kagglehub.login()` or `KAGGLE_API_TOKEN`. A model that is new is public on
    Hugging Face, and private on Kaggle.

    Args:
        uri: `"hf://OWNER/NAME"` or `"kaggle://OWNER/MODEL/keras/VARIANT"`.
        folder: a folder that `save_to_preset` wrote.

    Raises:
        ImportError: without `pip install 'keras-csc[hub]'`.
        ValueError: for another URI, or a folder that does not load.
        OSError: if the hub can't be reached, or refuses.
    """
    hub.parse(str(uri))
    if not (isinstance(folder, (str, os.PathLike)) and os.path.isdir(folder)):
        raise ValueError(
            "`folder` must be a folder that `save_to_preset` wrote. "
            f"Received: {shown(folder)}"
        )
    folder = pathlib.Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"The folder {str(folder)!r} lacks {', '.join(missing)}. Load it "
            "and write another with `save_to_preset`."
        )
    ClosedLoopAutoencoder.from_preset(folder.absolute())
    files = {name: folder / name for name in FILES}
    if (folder / CARD_FILE).is_file():
        files[CARD_FILE] = folder / CARD_FILE
    hub.upload(uri, files, (CARD_FILE, _card(uri, folder)))


def _card(uri, folder):
    config = presets.config(folder.absolute())
    rows = [f"| `{name}` | {value} |" for name, value in config.items()]
    title = uri.rpartition("/")[2]
    return CARD.format(title=title, uri=uri, rows="\n".join(rows))
