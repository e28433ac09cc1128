"""Preset folders that are not what they were, or were made to do harm."""

from tests.hostile.case import Case
from tests.hostile.case import refused
from tests.hostile.case import works

WEIGHTS = "preset/model.weights.h5"
CONFIG = "preset/config.json"
METADATA = "preset/metadata.json"


def preset(name, setup, says="preset", snippet="load()", **kwargs):
    return Case(
        f"preset: {name}",
        kwargs.pop("expected", None) or refused(says),
        snippet=snippet,
        setup=setup,
        seconds=30,
        **kwargs,
    )


# Entries of `config.json` that no model has.
ENTRIES = {
    "image_shape": (
        "[16384, 16384, 1]",
        "[16, 16]",
        "[16, 16, 1, 1]",
        "[0, 0, 1]",
        "[17, 17, 1]",
        "[16, 16, 10**9]",
        "[-16, -16, 1]",
        "'16'",
        "None",
    ),
    "filters": ("[]", "[0]", "[10**9]", "[-4]", "['4']", "[4.5]", "4", "None"),
    "feature_dim": ("0", "-8", "10**9", "8.5", "'8'", "None", "float('nan')"),
    "kernel_size": ("0", "-4", "10**9", "'4'", "[4, 4]", "None"),
    "sparsity": (
        "float('nan')",
        "float('inf')",
        "-0.1",
        "[0.1, 0.1, 0.1]",
        "'much'",
        "None",
        "[float('nan')]",
    ),
    "ridge": ("float('nan')", "float('inf')", "-1", "'x'", "None"),
    "iterations": ("0", "-1", "10**9", "1.5", "'2'", "None"),
    "frozen_stages": ("-1", "9", "'1'", "0.5"),
    "network": ("'evil'", "3", "['csc']", "None"),
    "algorithm": ("'evil'", "None", "3"),
    "gradient": ("'evil'", "None"),
}
WORST = (
    ("image_shape", "[16384, 16384, 1]"),
    ("sparsity", "float('nan')"),
)
EVIL = '{"class_name": "Lambda", "config": {"function": "os.system"}}'

CASES = [
    preset("as it was", "preset()", expected=works()),
    *(
        preset(
            f"{name} is {value}",
            f"preset({name}={value})",
            name,
            worst=(name, value) in WORST,
        )
        for name, values in ENTRIES.items()
        for value in values
    ),
    preset("an unknown entry", "preset(evil=1)", "evil"),
    preset("code for an entry", f"preset(network={EVIL!r})", "network"),
    preset("no config", f"preset(); os.remove('{CONFIG}')", "config.json"),
    preset("config is a list", f"preset(); write('{CONFIG}', '[]')", "object"),
    preset("config is cut", f"preset(); cut('{CONFIG}')", "config.json"),
    preset("config is empty", f"preset(); write('{CONFIG}', '')", "config"),
    preset(
        "config is binary",
        f"preset(); write('{CONFIG}', bytes(range(256)))",
        "config.json",
    ),
    preset(
        "config is deep",
        f"preset(); write('{CONFIG}', '[' * 100_000)",
        "config.json",
        worst=True,
    ),
    preset(
        "config is a FIFO",
        f"preset(); os.remove('{CONFIG}'); fifo('{CONFIG}')",
        "config.json",
        worst=True,
    ),
    preset(
        "config is a device",
        f"preset(); os.remove('{CONFIG}'); link('{CONFIG}', '/dev/zero')",
        "config.json",
    ),
    preset(
        "config is a folder",
        f"preset(); os.remove('{CONFIG}'); os.mkdir('{CONFIG}')",
        "config.json",
    ),
    preset(
        "config of 100 MB",
        f"preset(); write('{CONFIG}', '[' + ' ' * 100_000_000)",
        "config.json",
    ),
    preset("config changed", f"preset(); flip('{CONFIG}')", "config.json"),
    preset(
        "config of another class",
        f"preset(trusted=True); edit('{CONFIG}', registered_name='Lambda')",
        "keras_csc>ClosedLoopAutoencoder",
    ),
    preset(
        "no metadata", f"preset(); os.remove('{METADATA}')", "metadata.json"
    ),
    preset(
        "metadata is deep",
        f"preset(); write('{METADATA}', '[' * 100_000)",
        "metadata.json",
    ),
    preset(
        "metadata of other files",
        f"preset(); edit('{METADATA}', sha256={{'config.json': 'x'}})",
        "config.json",
    ),
    preset("no weights", f"preset(); os.remove('{WEIGHTS}')", "weights.h5"),
    preset("weights are cut", f"preset(); cut('{WEIGHTS}')", "weights.h5"),
    preset("weights changed", f"preset(); flip('{WEIGHTS}')", "weights.h5"),
    preset("weights empty", f"preset(); write('{WEIGHTS}', '')", "weights.h5"),
    preset(
        "weights are a folder",
        f"preset(); os.remove('{WEIGHTS}'); os.mkdir('{WEIGHTS}')",
        "weights.h5",
    ),
    preset(
        "weights are a FIFO",
        f"preset(); os.remove('{WEIGHTS}'); fifo('{WEIGHTS}')",
        "weights.h5",
    ),
    preset(
        "weights are a device",
        f"preset(); os.remove('{WEIGHTS}'); link('{WEIGHTS}', '/dev/zero')",
        "weights.h5",
    ),
    preset(
        "weights are text, without a digest",
        f"preset(trusted=True); write('{WEIGHTS}', 'no HDF5')",
        "weights",
    ),
    preset(
        "weights of NaN",
        f"""preset(trusted=True)
import h5py
def spoil(name, item):
    if isinstance(item, h5py.Dataset) and item.dtype.kind == 'f':
        item[...] = np.nan
with h5py.File('{WEIGHTS}', 'r+') as file:
    file.visititems(spoil)""",
        "finite",
    ),
    preset(
        "weights of a terabyte that is not there",
        f"""preset(trusted=True)
import h5py
with h5py.File('{WEIGHTS}', 'w') as file:
    shape = (2**20, 2**18)
    file.create_dataset('layers/x/vars/0', shape, 'f', chunks=(1024, 1024))""",
        "weights",
    ),
    preset(
        "weights that lie in another file",
        f"""preset(trusted=True)
import h5py
with h5py.File('{WEIGHTS}', 'w') as file:
    file['encoder'] = h5py.ExternalLink('/etc/passwd', '/')""",
        "weights",
    ),
    preset("weights of another architecture", "preset(filters=[8])", "archit"),
    preset("a pickle beside them", "preset(); write('preset/a.pkl')", "a.pkl"),
    preset("a script beside them", "preset(); write('preset/a.py')", "a.py"),
    preset("empty folder", "os.mkdir('preset')", "config.json"),
    preset("a file", "write('preset', 'x')", "preset"),
    preset("nothing", "", "preset"),
    preset("a misspelt name", "", "digits", "load('digit')"),
    preset("an empty name", "", "preset", "load('')"),
    preset("a number for a name", "", "preset", "load(3)"),
    preset("a URI without a name", "", "OWNER/NAME", "load('hf://')"),
    preset("a URI that leaves", "", "OWNER/NAME", "load('hf://../../etc')"),
    preset(
        "a revision that leaves", "", "OWNER/NAME", "load('hf://a/b@../../c')"
    ),
    preset(
        "a URI that leaves, of Kaggle",
        "",
        "OWNER/MODEL",
        "load('kaggle://../../keras/etc')",
    ),
    preset("a URI of elsewhere", "", "URI", "load('gs://a/b')"),
    preset("None for a name", "", "preset", "load(None)"),
    preset("NUL in a name", "", "preset", "load('a\\0b')"),
    preset("an unknown argument", "", "colour", "load('digits', colour=1)"),
    preset(
        "to save where something is",
        "preset('other')",
        "exists",
        "load('other').save_to_preset('other')",
    ),
    preset(
        "to save below a file",
        "preset('other')",
        "notes.txt",
        "load('other').save_to_preset('notes.txt/x')",
        expected=refused("notes.txt", ("ValueError", "OSError")),
    ),
    *(
        Case(
            f"preset: {name}, to {script}",
            refused("config.json|image_shape|preset"),
            f"{script} --workdir=run",
            setup=f"run(); {setup}",
            seconds=30,
        )
        for name, setup in (
            ("a huge image", "rebuild('run/model', "
             "image_shape=[16384, 16384, 1])"),
            ("a FIFO", "os.remove('run/model/config.json'); "
             "fifo('run/model/config.json')"),
            ("deep", "write('run/model/config.json', '[' * 100_000)"),
        )
        for script in ("evaluate.py", "export.py")
    ),
]  # fmt: skip
