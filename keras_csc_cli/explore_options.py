"""The flags of `explore.py`, with their help texts."""

from keras_csc_cli import checked_flags as flags

DESCRIPTION = """Opens a page on this machine to look inside a trained model.

    python training/explore.py csc_ctrl_digits
    keras-csc explore runs/digits

The model is the name of a trained one, a folder that save_to_preset wrote, the
folder of a run, or the URI of a hub. The page has an image's atoms and codes,
what becomes of it when these change, samples, and restored photographs. It
needs `pip install 'keras-csc[explore]'`, no network and no GPU, and only users
of this machine can open it. Ctrl-C ends it.
"""

FLAG_FILES = None
FIRST = ("preset", "dataset", "data_dir")
# What an argument without a name is.
UNNAMED = "preset"


def define(flag_values):
    """Defines every flag of `explore.py` on `flag_values`."""
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_string(
        "preset",
        "csc_ctrl_digits",
        "Name, folder or URI of a trained model, or folder of a run; the "
        "name of the flag may be left out.",
        **kwargs,
    )
    flags.DEFINE_string(
        "dataset",
        None,
        "Data set whose test images are to choose from. By default that of "
        "the run, or images that come with the package.",
        **kwargs,
    )
    flags.DEFINE_string(
        "data_dir", None, "Folder of the data set, as of train.", **kwargs
    )
    flags.DEFINE_integer(
        "port",
        None,
        "Port on this machine. By default the first free one from 7860 on.",
        lower_bound=1024,
        upper_bound=65535,
        **kwargs,
    )
    flags.DEFINE_bool(
        "browser", True, "Opens the page in the browser.", **kwargs
    )


def sections():
    """Functions that define flags, by what these are about."""
    return {"Explorer": define}
