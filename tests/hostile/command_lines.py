"""Flags, flag files, working directories, records, checkpoints, signals."""

from tests.hostile.case import Case
from tests.hostile.case import either
from tests.hostile.case import refused
from tests.hostile.case import stopped
from tests.hostile.case import works
from tests.hostile.material import TINY

TRAIN = f"train.py {TINY} --workdir=run"
SHELL = f"python $TRAINING/train.py {TINY} --workdir=run"
HUGE = "1000000000"
TRAINED = "pathlib.Path('run/model/model.weights.h5').is_file()"

# === Numbers ===

# What no number may be, besides NaN and infinity.
FLOATS = {
    "architecture=sparsity": "-1",
    "architecture=ridge": "-1",
    "game=epsilon": "0",
    "game=encoder_rate": "-1",
    "game=decoder_rate": "-1",
    "game=encoder_consistency": "-1",
    "game=decoder_consistency": "-1",
    "game=multistage": "-1",
    "game=multistage_decay": "-1",
    "game=dictionary": "-1",
    "game=view_rate": "-1",
    "game=view_consistency": "-1",
    "learning_rate": "-0.1",
    "decoder_learning_rate": "-0.1",
    "validation_fraction": "0.9",
}
INTEGERS = {
    "steps": "0",
    "batch_size": "0",
    "architecture=filters": "0",
    "architecture=feature_dim": "0",
    "architecture=kernel_size": "0",
    "architecture=iterations": "0",
    "architecture=frozen_stages": "-1",
    "principal_images": "-1",
    "seed": "-1",
    "log_every": "0",
    "save_every": "0",
    "evaluation_limit": "0",
    "density_components": "0",
    "cache_mib": "-1",
}
WORST_NUMBERS = (
    "--architecture=sparsity=nan",
    "--learning_rate=-0.1",
    "--seed=-1",
    f"--architecture=iterations={HUGE}",
    f"--architecture=feature_dim={HUGE}",
)


def number(name, value):
    flag = f"--{name}={value}"
    return Case(
        f"number: {flag}",
        refused(name.rpartition("=")[2]),
        command=f"{TRAIN} {flag}",
        worst=flag in WORST_NUMBERS,
    )


NUMBERS = [
    *(
        number(name, value)
        for name, wrong in FLOATS.items()
        for value in ("nan", "inf", wrong)
    ),
    *(
        number(name, value)
        for name, wrong in INTEGERS.items()
        for value in (wrong,)
    ),
    *(
        number("architecture=sparsity", value)
        for value in ("-inf", "much", "1e400")
    ),
    *(number("architecture=ridge", value) for value in ("-inf", "much")),
    *(
        number("architecture=iterations", value)
        for value in ("nan", "1.5", "much")
    ),
    *(
        number(name, HUGE)
        for name in (
            "batch_size",
            "architecture=filters",
            "architecture=feature_dim",
            "architecture=kernel_size",
        )
    ),
    *(
        number("architecture=iterations", value)
        for value in (HUGE, "1" + "0" * 30)
    ),
    number("architecture=sparsity", "0.1,nan"),
    number("architecture=filters", ""),
    number("architecture=filters", "4,,4"),
    number("architecture=sparsity", ""),
    Case(
        "number: a rate beyond all reason",
        refused("learning_rate"),
        command=f"{TRAIN} --learning_rate=1e9 --noevaluate",
    ),
    Case(
        "number: a seed above 32 bits",
        either("seed|Trained"),
        command=f"{TRAIN} --seed=99999999999 --noevaluate",
    ),
    Case(
        "number: a million million images for principal components",
        refused("principal_images"),
        command=f"{TRAIN} --principal_images=1000000000000 --noevaluate",
    ),
    Case(
        "number: a cache of a million million MiB",
        refused("cache_mib"),
        command=f"{TRAIN} --cache_mib=1000000000000 --noevaluate",
    ),
]

# === Flags ===


def flag(name, expected, arguments, script="train.py", **kwargs):
    command = f"{script} {arguments}".strip()
    return Case(f"flag: {name}", expected, command, **kwargs)


FLAGS = [
    flag("none at all", refused("missing"), "--workdir=run"),
    flag("no workdir and no flag file", refused("workdir"), TINY),
    flag("misspelt", refused("step"), f"{TINY} --step=3 --workdir=run"),
    flag(
        "misspelt value",
        refused("digits"),
        f"{TINY} --dataset=digts --workdir=run",
    ),
    flag("without its value", refused("workdir"), f"{TINY} --workdir"),
    flag("a word", refused("more"), f"{TINY} --workdir=run more"),
    flag("twice", works(TRAINED), f"{TINY} --workdir=run --seed=1 --seed=2"),
    flag(
        "an enum's",
        refused("ternary"),
        f"{TINY} --game=objective=ternary --workdir=run",
    ),
    flag(
        "a bool's",
        refused("isotropic"),
        f"{TINY} --architecture=isotropic=maybe --workdir=run",
    ),
    flag(
        "unknown data set",
        refused("nope"),
        f"{TINY} --dataset=nope --workdir=run",
    ),
    flag(
        "data set that is a path",
        refused("dataset|data set|secret"),
        f"{TINY} --dataset=../../secret --workdir=run",
    ),
    flag(
        "preset that is a file",
        refused("notes.txt"),
        f"{TINY} --preset=notes.txt --workdir=run",
    ),
    flag("empty preset", refused("preset"), f"{TINY} --preset= --workdir=run"),
    flag("empty data set", refused("data ?set"), f"{TINY} --dataset="),
    flag(
        "grey data for a preset in colour",
        works(TRAINED),
        f"{TINY} --preset=cifar10 --workdir=run --noevaluate",
    ),
    flag(
        "data in colour for a grey preset",
        refused("channels"),
        f"{TINY} --dataset=photographs --workdir=run",
    ),
    flag(
        "crops of a set that is resized",
        refused("resize"),
        f"{TINY} --noresize --workdir=run",
    ),
    flag(
        "an unknown kind of features",
        refused("features"),
        f"{TINY} --architecture=features=maps --workdir=run",
    ),
    flag("evaluate without a run", refused("workdir"), "", "evaluate.py"),
    flag("export without a run", refused("workdir"), "", "export.py"),
    flag(
        "an unknown metric",
        refused("fid"),
        "--workdir=run --metrics=fid",
        "evaluate.py",
        setup="run()",
    ),
    flag(
        "weights that are no file",
        refused("weights"),
        "--workdir=run --metrics=inception --inception_weights=notes.txt",
        "evaluate.py",
        setup="run()",
    ),
    flag(
        "a classifier that is no file of ours",
        refused("notes.keras"),
        "--workdir=run --metrics=classifier --classifier=notes.keras",
        "evaluate.py",
        setup="run()\nwrite('notes.keras', 'mine')",
    ),
    *(
        flag(
            f"a name {name!r} to export",
            refused("name"),
            f"--workdir=run --name={name}",
            "export.py",
            setup="run()",
        )
        for name in ("", "..", "../evil", "/tmp/evil", ".git", "1", "a/b")
    ),
]

# === Flag files ===

FLAG_FILES = [
    Case(
        f"flag file: {name}",
        # Of a loop absl says that it leaves it.
        refused(says, notices=int("itself" in name)),
        f"train.py --flagfile={path} --workdir=run",
        setup=setup,
        seconds=20,
        worst=name == "binary",
    )
    for name, path, setup, says in (
        ("missing", "nope.flags", "", "nope.flags"),
        ("a folder", "pictures", "", "pictures"),
        ("empty name", "", "", "flag file"),
        ("binary", "x.flags", "write('x.flags', bytes(range(256)))", "x.flags"),
        ("not UTF-8", "x", "write('x', b'--seed=\\xff\\n')", "x|seed"),
        ("an image", "x.flags", "image('x.flags')", "x.flags"),
        ("that names itself", "x", "write('x', '--flagfile=x')", "missing|x"),
        ("a FIFO", "x.flags", "fifo('x.flags')", "x.flags"),
        ("a device", "x.flags", "link('x.flags', '/dev/zero')", "x.flags"),
        ("empty", "x.flags", "write('x.flags')", "missing"),
        (
            "that names a missing one",
            "x.flags",
            "write('x.flags', '--flagfile=nope.flags')",
            "nope.flags",
        ),
    )
]

# === Working directories ===

KEEP = either("run|work|--batch|Trained|stopped")


def workdir(name, path, expected=KEEP, setup="", more="", **kwargs):
    return Case(
        f"workdir: {name}",
        expected,
        f"train.py {TINY} --noevaluate --workdir={path} {more}".strip(),
        setup=setup,
        **kwargs,
    )


OTHERS = ("evaluate.py", "export.py")
WORKDIRS = [
    workdir(
        "the user's folder, and a mistake",
        ".",
        refused("batch_size|workdir|working"),
        more="--batch_size=9999",
        writes=("run", ".lock"),
        worst=True,
    ),
    workdir("empty", "", refused("workdir"), worst=True),
    workdir("a file", "notes.txt", refused("notes.txt")),
    workdir("below a file", "notes.txt/run", refused("notes.txt")),
    workdir("below a device", "/dev/null/run", refused("/dev/null")),
    workdir("the user's .git", ".git", KEEP, writes=(".git",)),
    workdir("a long name", "a" * 300, refused("a{100}")),
    workdir("dangling", "x", refused("x"), "link('x', 'nope/nope')"),
    workdir("a loop of links", "x", refused("x"), "link('x', 'x')"),
    workdir(
        "a link to a folder",
        "x",
        works("pathlib.Path('out/model').is_dir()"),
        "os.mkdir('out'); link('x', 'out')",
    ),
    workdir(
        "a run with files of the user's",
        "run",
        works(TRAINED),
        "run(); os.remove('run/checkpoints/step-00000004/checkpoint.index')",
        worst=True,
    ),
    workdir(
        "a run with a hidden link",
        "run",
        works(TRAINED),
        "run(); link('run/.mine-too', '/nowhere')",
    ),
    workdir("a run whose lock is a folder", "run", refused("lock|run"),
            "os.makedirs('run/.lock')"),
    workdir("a run whose lock is a FIFO", "run", either("lock|run"),
            "os.mkdir('run'); fifo('run/.lock')", seconds=30),
    workdir("a run whose lock is a link to the user's file", "run",
            either("lock|run"),
            "os.mkdir('run'); link('run/.lock', '../.env')"),
    workdir("a run whose log is a link to the user's file", "run",
            either("log|run"),
            "os.mkdir('run'); link('run/log.jsonl', '../notes.txt')"),
    workdir("a run whose log is a folder", "run", refused("log|run", notices=2),
            "os.makedirs('run/log.jsonl')"),
    workdir("a run whose pictures are a file", "run",
            refused("pictures|run", notices=2), "write('run/pictures')"),
    workdir("a run whose scalars are a file", "run",
            refused("tensorboard|run", notices=2), "write('run/tensorboard')"),
    workdir("a run whose model is a file", "run", either("model|run"),
            "write('run/model')"),
    *(
        Case(
            f"workdir: {script} in the user's folder",
            refused("run|flags.json|model"),
            f"{script} --workdir=.",
            writes=(),
            worst=script == "evaluate.py",
        )
        for script in OTHERS
    ),
    *(
        Case(
            f"workdir: {script} of an empty name",
            refused("workdir"),
            f"{script} --workdir=",
            writes=(),
            worst=script == "evaluate.py",
        )
        for script in OTHERS
    ),
    *(
        Case(
            f"workdir: {script} of a run with files of the user's",
            works(),
            f"{script} --workdir=run",
            setup="run()",
        )
        for script in OTHERS
    ),
    *(
        Case(
            f"workdir: {script} of a missing one",
            refused("nope"),
            f"{script} --workdir=nope",
            writes=(),
        )
        for script in OTHERS
    ),
    Case(
        "workdir: evaluation of other data",
        works("read('run/evaluation.json') == read('before.json')"),
        "evaluate.py --workdir=run --dataset=image_folder --data_dir=photos",
        setup="run(); shutil.copy('run/evaluation.json', 'before.json')\n"
        "for name in ('train', 'test'): images(f'photos/{name}', mode='L')",
    ),
    Case(
        "workdir: evaluation of another split",
        works("read('run/evaluation.json') == read('before.json')"),
        "evaluate.py --workdir=run --split=train",
        setup="run(); shutil.copy('run/evaluation.json', 'before.json')",
    ),
    Case(
        "workdir: evaluation of a checkpoint of a run without a model",
        works("pathlib.Path('run/evaluation.json').is_file()"),
        "evaluate.py --workdir=run --checkpoint",
        setup="run(); shutil.rmtree('run/model')",
    ),
    Case(
        "workdir: saved_models is a file",
        refused("notes.txt"),
        "export.py --workdir=run --saved_models=notes.txt",
        setup="run()",
    ),
    Case(
        "workdir: versions of another's",
        works("pathlib.Path('saved_models/run/8/saved_model.pb').is_file()"),
        "export.py --workdir=run",
        setup="run(); write('saved_models/run/7/mine', 'mine'); "
        "write('saved_models/run/.mine', 'mine')",
    ),
    Case(
        "workdir: two processes in one",
        refused("in use"),
        TRAIN,
        setup="os.mkdir('run'); lock = open('run/.lock', 'w'); "
        "import fcntl; fcntl.flock(lock, fcntl.LOCK_EX); held.append(lock)",
    ),
]  # fmt: skip

# === Records ===

KINDS = {
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "of other entries": '{"steps": {"a": 1}, "sessions": 3}',
    "cut": '{"steps": 3, "ses',
    "binary": bytes(range(256)),
    "deep": "[" * 100_000,
}


def record(file, kind, content, script, expected):
    return Case(
        f"record: {file} {kind}, {script.partition(' ')[0]}",
        expected,
        script,
        setup=f"run(); write('run/{file}', {content!r})"
        if len(content) < 1000
        else f"run(); write('run/{file}', '[' * 100_000)",
        worst=(file, kind, script[:4]) == ("flags.json", "a list", "eval"),
    )


RECORDS = [
    *(
        record("flags.json", kind, content, script, refused("flags.json"))
        for kind, content in KINDS.items()
        for script in (TRAIN, "evaluate.py --workdir=run")
    ),
    *(
        record("run.json", kind, content, script, refused("run.json"))
        for kind, content in KINDS.items()
        for script in (
            f"{TRAIN} --noevaluate",
            "export.py --workdir=run",
        )
        if script.startswith("export")
    ),
    *(
        record(
            "evaluation.json",
            kind,
            content,
            "export.py --workdir=run",
            refused("evaluation.json"),
        )
        for kind, content in KINDS.items()
    ),
    *(
        Case(
            f"record: run.json {kind}, gone on with",
            refused("run.json", notices=2),
            TRAIN,
            setup="run(); shutil.rmtree('run/checkpoints/step-00000004')\n"
            + (
                f"write('run/run.json', {content!r})"
                if len(content) < 1000
                else "write('run/run.json', '[' * 100_000)"
            ),
        )
        for kind, content in KINDS.items()
    ),
    Case(
        "record: flags.json is a folder",
        refused("flags.json"),
        TRAIN,
        setup="run(); os.remove('run/flags.json'); os.mkdir('run/flags.json')",
    ),
    Case(
        "record: flags.json is a FIFO",
        refused("flags.json"),
        TRAIN,
        setup="run(); os.remove('run/flags.json'); fifo('run/flags.json')",
        seconds=20,
    ),
    Case(
        "record: log.jsonl holds bytes",
        works(TRAINED),
        f"{TRAIN} --noevaluate",
        setup="run(); shutil.rmtree('run/checkpoints/step-00000004'); "
        "write('run/log.jsonl', bytes(range(256)))",
    ),
]

# === Checkpoints ===

LAST = "run/checkpoints/step-00000004"
ON = works(TRAINED, "checkpoint|Going on from step 2")


def checkpoint(name, setup, expected=ON, **kwargs):
    return Case(
        f"checkpoint: {name}",
        expected,
        f"{TRAIN} --noevaluate",
        setup=f"run(); {setup}",
        **kwargs,
    )


CHECKPOINTS = [
    checkpoint("index cut", f"cut('{LAST}/checkpoint.index')"),
    checkpoint("data cut", f"cut('{LAST}/checkpoint.data-00000-of-00001')"),
    checkpoint(
        "data changed", f"flip('{LAST}/checkpoint.data-00000-of-00001')"
    ),
    checkpoint("index changed", f"flip('{LAST}/checkpoint.index')"),
    checkpoint("folder empty", f"shutil.rmtree('{LAST}'); os.mkdir('{LAST}')"),
    checkpoint("a file", f"shutil.rmtree('{LAST}'); write('{LAST}', 'x')"),
    checkpoint(
        "a dangling link", f"shutil.rmtree('{LAST}'); link('{LAST}', 'nope')"
    ),
    checkpoint(
        "renamed to another step",
        f"os.rename('{LAST}', 'run/checkpoints/step-00000009')",
        either("step-00000009"),
    ),
    checkpoint(
        "an earlier one under a later name",
        f"shutil.rmtree('{LAST}'); "
        f"os.rename('run/checkpoints/step-00000002', '{LAST}')",
        either("step-00000004"),
        worst=True,
    ),
    checkpoint(
        "a step that is no number",
        "os.mkdir('run/checkpoints/step-last')",
        works(TRAINED),
    ),
    checkpoint(
        "a step of digits of another script",
        "os.mkdir('run/checkpoints/step-٣')",
        works(TRAINED),
    ),
    checkpoint(
        "all of them cut",
        f"cut('{LAST}/checkpoint.index'); "
        "cut('run/checkpoints/step-00000002/checkpoint.index')",
        refused("None of the 2", notices=2),
    ),
    checkpoint(
        "the folder is a file",
        "shutil.rmtree('run/checkpoints'); write('run/checkpoints', 'x')",
        refused("checkpoints"),
    ),
    checkpoint(
        "best of another kind",
        f"shutil.copytree('{LAST}', 'run/checkpoints/best-00000004'); "
        "write('run/checkpoints/best-00000004/best.json', '[]')",
        works(TRAINED),
    ),
    Case(
        "checkpoint: the model's weights are cut, to evaluate",
        refused("model.weights.h5"),
        "evaluate.py --workdir=run",
        setup="run(); cut('run/model/model.weights.h5')",
    ),
    Case(
        "checkpoint: the model's weights are cut, to export",
        refused("model.weights.h5"),
        "export.py --workdir=run",
        setup="run(); cut('run/model/model.weights.h5')",
    ),
    Case(
        "checkpoint: other hyper-parameters",
        refused("batch_size was 16, is 32"),
        f"{TRAIN} --batch_size=32",
        setup="run()",
    ),
]

# === The process ===


def process(name, expected, shell, **kwargs):
    return Case(f"process: {name}", expected, shell=shell, **kwargs)


# Sends a signal when so many seconds have gone by, to a run without an end.
SIGNAL = (
    "{command} --steps=100000000 & sleep {seconds}; kill -{signal} $!; wait $!"
)
PROCESSES = [
    process("--help", works("True"), "python $TRAINING/train.py --help"),
    process(
        "--help to a reader that leaves",
        works(),
        # 141 is how a program ends whose reader has left.
        "python $TRAINING/train.py --help | head -1; code=${PIPESTATUS[0]}; "
        "[ $code = 141 ] && code=0; exit $code",
    ),
    process(
        "another backend",
        refused("KERAS_BACKEND|backend"),
        SHELL,
        environment={"KERAS_BACKEND": "jax"},
    ),
    process(
        "keras.json of another precision",
        works(TRAINED),
        f"{SHELL} --noevaluate",
        setup="""write('keras/keras.json', '{"floatx": "float16"}')""",
        environment={"KERAS_HOME": "keras"},
        writes=("run", "keras"),
    ),
    process(
        "closed standard error",
        works(TRAINED),
        f"{SHELL} --noevaluate 2>&-",
    ),
    process(
        "closed standard output",
        works(TRAINED),
        f"{SHELL} --noevaluate >&-",
    ),
    process(
        "a mistake, and closed standard error",
        works(),
        f"{SHELL} --steps=0 2>&-; test $? = 2",
    ),
    process(
        "standard error that nobody reads",
        works(TRAINED),
        f"{SHELL} --noevaluate 2> >(exec sleep 0.1)",
    ),
    process(
        "a full disk for what is printed",
        works(TRAINED),
        f"{SHELL} --noevaluate 2>/dev/full",
    ),
    process(
        "no file may grow",
        refused("room|can't be written", notices=2),
        f"ulimit -f 8; {SHELL}",
        cpu_seconds=60.0,
    ),
    process(
        "few open files",
        either("files|room|Trained"),
        f"ulimit -n 40; {SHELL} --noevaluate",
    ),
    process(
        "a locale of ASCII",
        works(TRAINED),
        f"{SHELL} --noevaluate",
        environment={"LC_ALL": "C", "PYTHONUTF8": "0"},
    ),
    *(
        process(
            f"SIG{name} after {seconds} s",
            stopped(code, f"SIG{name}"),
            SIGNAL.format(command=SHELL, seconds=seconds, signal=name),
            seconds=120,
        )
        for name, code in (("TERM", 143), ("INT", 130))
        for seconds in (0.3, 2, 4, 6, 12)
        if name == "TERM"
    ),
]

CASES = [
    *NUMBERS,
    *FLAGS,
    *FLAG_FILES,
    *WORKDIRS,
    *RECORDS,
    *CHECKPOINTS,
    *PROCESSES,
]
