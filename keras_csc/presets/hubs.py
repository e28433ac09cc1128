"""Presets on model hubs, Hugging Face and Kaggle, by the hubs' own libraries.

Only files that are asked for by name are read, into the cache of a hub's
library. `folder` compares them with what a preset says of its files.
"""

import contextlib
import pathlib
import textwrap

from keras_csc.validation import shown
from keras_csc.version import __version__


def is_uri(preset):
    """Whether `preset` is the URI of a hub."""
    return isinstance(preset, str) and preset.startswith(("hf://", "kaggle://"))


def _parse(uri):
    """`(scheme, name, revision)`; Kaggle's names hold their version."""
    scheme, _, name = uri.partition("://")
    name, _, revision = name.partition("@")
    return scheme, name, revision or None


def download(uri, files):
    """Downloads files; returns a folder of them, maybe with others."""
    scheme, name, revision = _parse(uri)
    with _errors(uri, f"{', '.join(files)} could not be downloaded"):
        if scheme == "kaggle":
            import kagglehub

            paths = [kagglehub.model_download(name, file) for file in files]
        else:
            import huggingface_hub

            paths = [
                huggingface_hub.hf_hub_download(name, file, revision=revision)
                for file in files
            ]
    return pathlib.Path(paths[0]).parent


def check_new_version(uri):
    """Raises `ValueError` for what no new version can be uploaded to."""
    if not is_uri(uri) or _parse(uri)[-1]:
        raise ValueError(
            "`uri` must be hf://OWNER/NAME or kaggle://OWNER/MODEL/keras/"
            "VARIANT; the hub numbers versions itself. "
            f"Received: {shown(uri)}"
        )


def upload(uri, folder):
    """Uploads a folder as a new version."""
    scheme, name, _ = _parse(uri)
    message = f"Preset of keras_csc {__version__}"
    with _errors(uri, "the preset could not be uploaded"):
        if scheme == "kaggle":
            import kagglehub

            kagglehub.model_upload(
                name, folder, version_notes=message, ignore_patterns=[".*"]
            )
            return
        import huggingface_hub

        huggingface_hub.create_repo(name, exist_ok=True)
        huggingface_hub.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message=message,
            ignore_patterns=[".*"],
        )


@contextlib.contextmanager
def _errors(uri, what):
    """Errors of the hubs' libraries, which have no class in common.

    Errors of this machine's files stay what they are.
    """
    try:
        yield
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
            f"{uri!r}: {what}: {reason} Check the name, the version, the "
            "network, and whether the hub's library is logged in."
        ) from error
