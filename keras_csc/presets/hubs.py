"""Presets on model hubs, Hugging Face and Kaggle, by the hubs' own libraries.

Only files that are asked for by name are read, into the cache of a hub's
library. `folder` compares them with what a preset says of its files.
"""

import pathlib
import textwrap


def is_uri(preset):
    """Whether `preset` is the URI of a hub."""
    return isinstance(preset, str) and preset.startswith(("hf://", "kaggle://"))


def download(uri, files):
    """Downloads files; returns a folder of them, maybe with others.

    Errors of the hubs' libraries, which have no class in common, become an
    `OSError`. Errors of this machine's files stay what they are.
    """
    try:
        paths = _downloaded(uri, files)
    except ImportError as error:
        raise ImportError(
            f"Presets of this hub need {error.name}: "
            "pip install '.[hub]' in a copy of the repository"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = textwrap.shorten(str(error), 300) or type(error).__name__
        raise OSError(
            f"{uri!r}: {', '.join(files)} could not be downloaded: {reason} "
            "Check the name, the version, the network, and whether the hub's "
            "library is logged in."
        ) from error
    return pathlib.Path(paths[0]).parent


def _downloaded(uri, files):
    """Paths of files in the cache; Kaggle's names hold their version."""
    scheme, _, name = uri.partition("://")
    if scheme == "kaggle":
        import kagglehub

        return [kagglehub.model_download(name, file) for file in files]
    import huggingface_hub

    name, _, revision = name.partition("@")
    return [
        huggingface_hub.hf_hub_download(name, file, revision=revision or None)
        for file in files
    ]
