"""Kills training and export at random moments, and compares what is left.

    python -m tests.helpers.kills --rounds=10

Trains and exports a tiny model with `--deterministic` and one signature, once
undisturbed, and then in stories of some kills: a process that runs `train` or
`export` is ended by SIGKILL at a random moment, and the same command is run
again, until both have come to their ends. Every file of the last checkpoint,
the weights of the trained model and those of the SavedModel must then be equal,
byte by byte, to the undisturbed run's.

TensorFlow is imported once, and every process is a fork from before its first
operation: it has no state of another. Stories that are finished are not told
again.
"""

import collections
import hashlib
import json
import os
import pathlib
import random
import select
import shutil
import signal
import sys
import time
import traceback

from keras_csc_cli import command_line
from keras_csc_cli import export
from keras_csc_cli import provenance
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.json_files import read_json
from keras_csc_cli.json_files import write_json

import tensorflow as tf
from absl import flags

from keras_csc.export import saved_model
from tests.helpers import forks
from tests.helpers.exporting import one_signature

STEPS = 60
RUN = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8,iterations=2",
    "--batch_size=16",
    f"--steps={STEPS}",
    "--log_every=5",
    "--save_every=3",
    "--schedule=cosine",
    "--horizontal_flip",
    "--noevaluate",
    "--deterministic",
]

# What is killed when: the command, the event of Python's audit hooks and a
# part of its path that the moment is counted from, and the longest time from
# it, in seconds; `None` holds the process there, so that it is killed there.
Moment = collections.namedtuple("Moment", "command event path delay")
MOMENTS = {
    "at any time": Moment("train", None, None, 5.0),
    "between steps": Moment("train", "open", "log.jsonl", 0.3),
    "writing a checkpoint": Moment("train", "os.mkdir", ".partial", 0.02),
    "before a checkpoint's renaming": Moment(
        "train", "os.rename", ".partial", None
    ),
    "removing a checkpoint": Moment("train", "shutil.rmtree", "/step-", 0.002),
    "writing the trained model": Moment("train", "os.mkdir", ".model-", 0.05),
    "exporting": Moment("export", "os.mkdir", ".incomplete", 0.5),
    "before an export's renaming": Moment(
        "export", "os.rename", ".incomplete", None
    ),
}
# The moments of a story, which come in a random order; ten in a round. All
# stories but the last one have every moment.
STORIES = (
    ["at any time", "removing a checkpoint", "before a checkpoint's renaming"],
    ["between steps", "writing a checkpoint", "writing the trained model"],
    ["exporting", "before an export's renaming"],
    ["between steps", "writing a checkpoint"],
)


def work(command, folder):
    """Runs a command on a story's folder, as its script does."""
    if command == "train":
        train.train(train_options.parse([*RUN, f"--workdir={folder / 'run'}"]))
    elif command == "export":
        saved_model.signatures = one_signature
        export.run(folder / "run", saved_models=folder / "saved_models")
    else:
        write_json(folder / "digests.json", digests(folder))


def process(command, folder, on_event=None):
    """Forks a process that works.

    Args:
        command: `"train"`, `"export"`, or `"digest"`.
        folder: `pathlib.Path` of the story.
        on_event: function that is given the name and arguments of what the
            process does with files, before it does it.

    Returns:
        Its id.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if on_event:
            sys.addaudithook(on_event)
        work(command, folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def life(moment, folder, rng):
    """Starts a command and kills it at a moment.

    Returns:
        Whether it was killed; else it had come to its end before.

    Raises:
        RuntimeError: if it failed.
    """
    reader, writer = os.pipe()
    count = rng.randint(1, 3) if moment.command == "train" else 1
    seen = 0

    def on_event(event, arguments):
        nonlocal seen
        if event != moment.event or moment.path not in str(arguments[0]):
            return
        seen += 1
        if seen == count:
            os.write(writer, b".")
            if moment.delay is None:
                time.sleep(600)

    child = process(moment.command, folder, moment.event and on_event)
    os.close(writer)
    if moment.event:
        select.select([reader], [], [])
    time.sleep(rng.uniform(0, moment.delay or 0))
    os.kill(child, signal.SIGKILL)
    os.close(reader)
    return end(child, folder) == -signal.SIGKILL


def end(child, folder):
    """Waits for a process.

    Returns:
        Its exit code, 0 or -9.

    Raises:
        RuntimeError: for another one.
    """
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"A process failed; {folder / 'log'} says why.")
    return code


def unfinished(folder):
    """Files and folders under temporary names that a killed process left."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob(".*")
        if path.name != ".lock"
    )


def finish(folder, export=True):
    """Runs the commands to their ends, and digests what they left."""
    for command in ("train", "export", "digest"):
        if command == "export" and not export:
            continue
        end(process(command, folder), folder)


def tell(folder, number, seed):
    """Kills a run at the moments of a story, and lets it end.

    Returns:
        List of the kills: dicts of the moment, the step of the last
        checkpoint, and what was left `unfinished`.
    """
    rng = random.Random(f"{seed} {number}")
    moments = list(STORIES[(number - 1) % len(STORIES)])
    rng.shuffle(moments)
    moments.sort(key=lambda name: name == "writing the trained model")
    exported = any(MOMENTS[name].command == "export" for name in moments)
    if exported:
        end(process("train", folder), folder)
    kills = []
    for name in moments:
        while not life(MOMENTS[name], folder, rng):
            name, exported = "exporting", True  # training has ended
        steps = (folder / "run" / "checkpoints").glob("step-*")
        kills.append(
            {
                "moment": name,
                "step": max((int(p.name[5:]) for p in steps), default=0),
                "unfinished": unfinished(folder),
            }
        )
        print(f"{folder.name}: {name}", flush=True)
    finish(folder, exported)
    return kills


def digests(folder):
    """Digests of what a run left, by name.

    Those of the files of the last checkpoint and of the trained model, and of
    the SavedModel's tensors, which Keras writes in an arbitrary order.
    """
    found = {
        str(path.relative_to(folder)): digest(content(path))
        for pattern in (f"run/checkpoints/step-{STEPS:08d}/*", "run/model/*")
        for path in folder.glob(pattern)
    }
    versions = list(folder.glob("saved_models/run/[0-9]*"))
    if not versions:
        return found
    last = max(versions, key=lambda path: int(path.name))
    reader = tf.train.load_checkpoint(str(last / "variables" / "variables"))
    found["saved_model"] = sorted(
        digest(reader.get_tensor(name).tobytes())
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    )
    return found


def content(path):
    """What a file holds, but for the date in `metadata.json`."""
    found = path.read_bytes()
    if path.name != "metadata.json":
        return found
    return json.dumps({**json.loads(found), "date_saved": None}).encode()


def digest(content):
    return hashlib.sha256(content).hexdigest()


def tell_stories(folder, numbers, seed):
    """Tells the stories of these numbers that were not told to their ends.

    Story 0 is the undisturbed run. A story that has ended left `story.json`.
    """
    for number in numbers:
        path = folder / f"story-{number}"
        if (path / "story.json").exists():
            continue
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        if number:
            kills = tell(path, number, seed)
        else:
            kills = finish(path)
        story = {
            "kills": kills or [],
            "result": read_json(path / "digests.json"),
            "unfinished": unfinished(path),
        }
        write_json(path / "story.json", story)


def in_lanes(folder, count, seed, lanes):
    """Tells the stories 0 to `count` in processes side by side."""
    children = []
    for lane in range(lanes):
        child = os.fork()
        if not child:
            try:
                tell_stories(folder, range(lane, count + 1, lanes), seed)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    if any([os.waitpid(child, 0)[1] for child in children]):
        sys.exit(1)


def summary(folder, count):
    """What came of the kills: of each kind of moment, and of the stories."""
    whole, *stories = [
        read_json(folder / f"story-{number}" / "story.json")
        for number in range(count + 1)
    ]
    kills = [kill for story in stories for kill in story["kills"]]
    equal = sum(
        all(whole["result"][name] == found for name, found in result.items())
        for result in (story["result"] for story in stories)
    )
    return {
        "run": RUN,
        "compared": sorted(whole["result"]),
        "stories": count,
        "stories_equal_to_the_bit": equal,
        "kills": {
            name: {
                "kills": sum(kill["moment"] == name for kill in kills),
                "left_unfinished_files": sum(
                    kill["moment"] == name and bool(kill["unfinished"])
                    for kill in kills
                ),
            }
            for name in MOMENTS
        },
    }


def main():
    values = flags.FLAGS
    forks.settle()
    folder = pathlib.Path(values.workdir)
    count = values.stories or values.rounds * len(STORIES)
    in_lanes(folder, count, values.seed, values.lanes)
    found = summary(folder, count)
    print(json.dumps(found, indent=2))
    if values.results:
        found = {**provenance.identification(), "seed": values.seed, **found}
        write_json(values.results, found)
    sys.exit(found["stories_equal_to_the_bit"] != count)


if __name__ == "__main__":
    flags.DEFINE_integer("rounds", 10, "Rounds of ten kills.")
    flags.DEFINE_integer("stories", None, "Stories to tell, not whole rounds.")
    flags.DEFINE_integer("seed", 0, "Seed of the moments.")
    flags.DEFINE_integer("lanes", 2, "Stories that are told at a time.")
    flags.DEFINE_string("workdir", "runs/kill", "Folder of the stories.")
    flags.DEFINE_string("results", None, "File to write the results to, JSON.")
    command_line.run(main)
