"""Files of model hubs, Hugging Face and Kaggle, through their own libraries.

Of a hub only files that are asked for by name are read, into the cache of the
hub's library. `huggingface_hub` compares sizes, `kagglehub` MD5; what a preset
says of its files is compared by `preset_folder`.
"""

import contextlib
import pathlib
import re
import tempfile
import textwrap

from keras_csc.validation import shown
from keras_csc.version import __version__

PART = r"\w[\w.-]*"
# What a URI names, and of which of its versions.
URIS = {
    "hf://OWNER/NAME[@REVISION]": (
        rf"hf://({PART}/{PART})(?:@({PART}(?:/{PART})*))?"
    ),
    "kaggle://OWNER/MODEL/keras/VARIANT[/VERSION]": (
        rf"kaggle://({PART}/{PART}/keras/{PART})(?:/([1-9]\d*))?"
    ),
}
SCHEMES = ("hf://", "kaggle://")
ADVICE = {
    401: "Check the name; for what is private, log in with the hub's library.",
    403: "Log in with the hub's library, and ask the owner for access.",
    404: "Check the name and the version.",
    None: "Check the name and the network.",
}
HINT = "Try again later."


def is_uri(preset):
    """Whether `preset` is the URI of a hub."""
    return isinstance(preset, str) and preset.startswith(SCHEMES)


def parse(uri):
    """What a URI names.

    Returns:
        `(scheme, name, version)`: `"hf"` or `"kaggle"`, the hub's name of the
        model, and text, or `None` for the newest version.

    Raises:
        ValueError: if it is not of a form of `URIS`.
    """
    for form in URIS.values():
        if found := re.fullmatch(form, uri, re.ASCII):
            return (uri.partition(":")[0], *found.groups())
    raise ValueError(
        f"The URI of a hub must be {' or '.join(URIS)}. Received: {shown(uri)}"
    )


def download(uri, sizes, folder=None):
    """Downloads files into the cache of a hub's library.

    Args:
        uri: text; see `URIS`.
        sizes: dict from names of files to the most bytes that each may have.
        folder: `pathlib.Path` of what was downloaded of the same version.

    Returns:
        `pathlib.Path` of the folder that holds them, and maybe others.

    Raises:
        ImportError: if the hub's library is missing.
        ValueError: for another URI, or a file that is too large.
        OSError: if they can't be downloaded.
    """
    scheme, name, version = parse(uri)
    fetch = _fetch_from_hugging_face if scheme == "hf" else _fetch_from_kaggle
    for file, most in sizes.items():
        found = fetch(uri, name, version, file, most).parent
        if folder not in (None, found):
            raise OSError(
                f"{uri!r} was changed while it was downloaded. Try again."
            )
        folder = found
    return folder


def _fetch_from_hugging_face(uri, name, revision, file, most):
    api, _ = _hugging_face()
    arguments = {"repo_id": name, "filename": file, "revision": revision}
    with _errors(uri, f"{file} could not be downloaded"):
        size = api.hf_hub_download(**arguments, dry_run=True).file_size
    if size and size > most:
        raise ValueError(
            f"{file} of {uri!r} must have at most {most} bytes. "
            f"Received: {size}"
        )
    with _errors(uri, f"{file} could not be downloaded"):
        return pathlib.Path(api.hf_hub_download(**arguments))


def _fetch_from_kaggle(uri, name, version, file, most):
    del most  # Of a file alone, the hub does not tell it before.
    handle = f"{name}/{version}" if version else name
    kaggle = _kaggle()
    with _errors(uri, f"{file} could not be downloaded"):
        return pathlib.Path(kaggle.model_download(handle, file))


def upload(uri, files, card):
    """Makes a new version of a model on a hub, and the model if need be.

    What the hub has of other files stays in the new version on Hugging Face,
    and not on Kaggle.

    Args:
        uri: text; see `URIS`, without a version.
        files: dict from names to `pathlib.Path`.
        card: `(name, text)` of a model card, for a model that has none.

    Raises:
        ImportError: if the hub's library is missing.
        ValueError: for another URI.
        OSError: if they can't be uploaded.
    """
    scheme, name, version = parse(uri)
    if version:
        raise ValueError(
            "The hub numbers versions itself: the URI must be without one. "
            f"Received: {shown(uri)}"
        )
    send = _send_to_hugging_face if scheme == "hf" else _send_to_kaggle
    send(uri, name, files, card)


def _send_to_hugging_face(uri, name, files, card):
    api, addition = _hugging_face()
    with _errors(uri, "the preset could not be uploaded"):
        api.create_repo(name, exist_ok=True)
        if card[0] not in files and not api.file_exists(name, card[0]):
            files = {**files, card[0]: card[1].encode()}
        api.create_commit(
            name,
            [addition(file, content) for file, content in files.items()],
            commit_message=f"Preset of keras_csc {__version__}",
        )


def _send_to_kaggle(uri, name, files, card):
    kaggle = _kaggle()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / card[0]).write_text(card[1])
        for file, path in files.items():
            (folder / file).unlink(missing_ok=True)
            (folder / file).symlink_to(path.resolve())
        with _errors(uri, "the preset could not be uploaded"):
            kaggle.model_upload(
                name,
                str(folder),
                version_notes=f"Preset of keras_csc {__version__}",
            )


def _hugging_face():
    with _installed("huggingface_hub"):
        import huggingface_hub
    api = huggingface_hub.HfApi(
        library_name="keras_csc", library_version=__version__
    )
    return api, huggingface_hub.CommitOperationAdd


def _kaggle():
    with _installed("kagglehub"):
        import kagglehub
    return kagglehub


@contextlib.contextmanager
def _installed(name):
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"Presets of this hub need {name}: pip install 'keras-csc[hub]'"
        ) from error


@contextlib.contextmanager
def _errors(uri, what):
    """Errors of the hubs' libraries, which have no class in common.

    Those of this machine's files stay what they are.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        reason = textwrap.shorten(str(error), 300) or type(error).__name__
        raise OSError(
            f"{uri!r}: {what}: {reason} {ADVICE.get(_status(error), HINT)}"
        ) from error


def _status(error):
    """The HTTP status that an error or its cause has, or `None`."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return response.status_code
        error = error.__cause__
    return None
