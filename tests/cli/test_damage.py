"""Damage, full disks and numbers that are not finite."""

import contextlib
import functools
import json
import re
import resource
import shutil

from keras_csc_cli import building
from keras_csc_cli import export
from keras_csc_cli import loop
from keras_csc_cli import sessions
from keras_csc_cli import strategies
from keras_csc_cli import train
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.splits import Splits

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc import callbacks
from keras_csc import data
from keras_csc.callbacks.best import best_facts
from keras_csc.evaluation.reconstruction import reconstruction_figures
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

TINY = [
    *runs.TINY,
    "--steps=4",
    "--log_every=4",
    "--save_every=2",
    "--noevaluate",
    "--evaluation_limit=40",
]
options = functools.partial(runs.options, TINY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was trained to its end, with checkpoints at 2 and 4."""
    workdir = tmp_path_factory.mktemp("run") / "tiny"
    train.train(options(workdir))
    return workdir


@pytest.fixture
def workdir(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "tiny")


@pytest.fixture(scope="module")
def model(finished):
    return building.model(options(finished), 10)


@contextlib.contextmanager
def full_disk(size=1000):
    """Within the context, no file can grow past so many bytes.

    Not even the one that pytest writes to, if its output goes to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def state(model):
    return [
        np.array(variable.value)
        for holder in (model, *model.optimizers)
        for variable in holder.variables
    ]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
def test_flipped_bits_and_cuts_of_a_checkpoint_are_found(workdir, model, file):
    """Or they are in bytes that nothing depends on."""
    checkpoint = callbacks.TrainingCheckpoint(workdir / "checkpoints")
    assert checkpoint.restore(model) == 4
    expected = state(model)
    folder = checkpoint.path(4)
    path = folder / f"checkpoint.{file}"
    content = path.read_bytes()
    rng, found = np.random.default_rng(0), 0
    damages = [content[:-1], content[: len(content) // 2], b""]
    for place in rng.integers(len(content), size=60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        damages.append(bytes(flipped))
    for damage in damages:
        path.write_bytes(damage)
        try:
            checkpoint.read(folder)
        except callbacks.CheckpointError as error:
            assert str(folder) in str(error)
            found += 1
        else:
            for value, other in zip(expected, state(model)):
                np.testing.assert_array_equal(value, other)
    assert found >= 0.9 * len(damages)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_in_a_checkpoints_place_is_set_aside(workdir, kind):
    folder = workdir / "checkpoints" / "step-00000004"
    shutil.rmtree(folder)
    if kind == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to("nowhere")
    train.train(options(workdir))
    aside = folder.with_name("damaged-step-00000004")
    assert (folder / "checkpoint.index").is_file()
    assert aside.is_symlink() if kind == "link" else aside.read_text() == "mine"


def spoil(folder, model):
    """Overwrites a checkpoint with one whose weights are not finite."""
    callbacks.TrainingCheckpoint(folder.parent).restore(model)
    kernel = model.decoder.decoding_layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    shutil.rmtree(folder)
    folder.mkdir()
    holders = {"model": model, "optimizers": model.optimizer}
    tf.train.Checkpoint(
        memory=[],
        **{
            name: [variable.value for variable in holder.variables]
            for name, holder in holders.items()
        },
    ).write(str(folder / "checkpoint"))


def test_checkpoint_that_is_not_finite_is_passed_over(workdir, model, capsys):
    spoil(workdir / "checkpoints" / "step-00000004", model)
    train.train(options(workdir))
    errors = capsys.readouterr().err
    assert "step-00000004 holds a weight that is not finite: " in errors
    assert "Going on from step 2 of 4" in errors
    assert names(workdir / "checkpoints") == [
        "damaged-step-00000004",
        "step-00000002",
        "step-00000004",
    ]
    capsys.readouterr()
    train.train(options(workdir))
    assert "passed over" not in capsys.readouterr().err


def test_damaged_checkpoints_do_not_push_out_good_ones(workdir, capsys):
    checkpoints = workdir / "checkpoints"
    for step in (5, 6, 7):
        (checkpoints / f"step-{step:08d}").mkdir()
    shutil.rmtree(checkpoints / "step-00000004")
    train.train(options(workdir))
    errors = capsys.readouterr().err
    assert f"{checkpoints}/step-00000007 can't be read: " in errors
    assert "Going on from step 2 of 4" in errors
    assert {"step-00000002", "step-00000004"} <= set(names(checkpoints))


def infinite(model):
    kernel = model.decoder.decoding_layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.inf))


def long_interval(workdir):
    """Options of a run whose checkpoints are due long before its logs."""
    arguments = ["--steps=100", "--log_every=50", "--save_every=1"]
    return options(workdir, *arguments)


def test_weights_that_are_not_finite_are_never_saved(tmp_path, after_step):
    after_step(3, infinite)
    with pytest.raises(
        callbacks.NonFiniteError, match="weight '.*kernel' is not .* step 3"
    ):
        train.train(long_interval(tmp_path))
    assert names(tmp_path / "checkpoints") == ["step-00000001", "step-00000002"]
    assert not (tmp_path / "model").exists()


def test_term_that_is_not_finite_is_named(tmp_path, after_step):
    after_step(2, infinite, last=True)
    with pytest.raises(
        callbacks.NonFiniteError, match="The term '.*' is (nan|inf) at step 3"
    ):
        train.train(long_interval(tmp_path))
    assert names(tmp_path / "checkpoints") == ["step-00000001", "step-00000002"]


def test_checkpoint_on_a_full_disk(workdir, model):
    checkpoint = callbacks.TrainingCheckpoint(workdir / "checkpoints")
    checkpoint.restore(model)
    error = pytest.raises(callbacks.CheckpointError, match="Make room")
    with error, full_disk():
        checkpoint.save(5)
    assert names(workdir / "checkpoints") == ["step-00000002", "step-00000004"]
    assert checkpoint.restore(model) == 4


def test_trained_model_on_a_full_disk(workdir, model):
    before = (workdir / "model" / "model.weights.h5").read_bytes()
    error = pytest.raises(UsageError, match="no room for .*tiny.* Make room")
    with error, full_disk():
        train.train(options(workdir))
    assert (workdir / "model" / "model.weights.h5").read_bytes() == before


def test_export_on_a_full_disk(workdir, short_export):
    (workdir / "saved_models" / "tiny" / "1").mkdir(parents=True)
    error = pytest.raises(UsageError, match="can't be written: .*Make room")
    with error, full_disk():
        export.run(workdir, saved_models=workdir / "saved_models")
    assert names(workdir / "saved_models" / "tiny") == [".lock", "1"]


def test_damage_within_streamed_images_is_named(tmp_path):
    """Images that are too many for memory are read as they are needed."""
    root, rng = tmp_path / "images", np.random.default_rng(0)
    for folder in ("train/all", "test/all"):
        (root / folder).mkdir(parents=True)
        for index in range(16):
            image = Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8))
            image.save(root / folder / f"{index}.png")
    bad = root / "train" / "all" / "7.png"
    content = bytearray(bad.read_bytes())
    content[len(content) // 2] ^= 0xFF
    bad.write_bytes(content)
    arguments = [f"--data_dir={root}", "--cache_mib=0", "--batch_size=8"]
    arguments += ["--dataset=image_folder", "--validation_fraction=0"]
    with pytest.raises(data.DataError, match=re.escape(f"damaged at {bad}")):
        train.train(options(tmp_path / "run", *arguments))


def test_input_that_fails_once_is_an_error_of_its_own(tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise tf.errors.UnavailableError(None, None, "the network is down")
        yield

    monkeypatch.setattr(strategies, "batches", failing)
    with pytest.raises(loop.InputError, match="read: the network is down"):
        train.train(options(tmp_path))


def test_a_run_that_died_in_its_first_interval_checks_its_images(
    tmp_path, after_step
):
    def die(model):
        raise RuntimeError

    after_step(3, die)
    with pytest.raises(RuntimeError):
        train.train(options(tmp_path / "run"))
    assert names(tmp_path / "run" / "checkpoints") == ["step-00000002"]
    path = tmp_path / "run" / "run.json"
    (session,) = sessions.recorded(path)
    assert session["steps"] == 0
    images = session["training_images"]
    sessions.check_images(path, images)
    with pytest.raises(UsageError, match="are not those"):
        sessions.check_images(path, {**images, "images": 3})


def test_a_run_that_began_anew_goes_on_with_the_images_of_then(tmp_path):
    """Its first session left no checkpoint, and was of other images."""
    first, images = [
        {"images": count, "classes": None, "digest": ""} for count in (1, 2)
    ]
    recorded = [{"seconds": 1, "training_images": e} for e in (first, images)]
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"sessions": recorded}))
    for known in (images, {**images, "bytes": 5}):
        sessions.check_images(path, known)
    with pytest.raises(UsageError, match="are not those"):
        sessions.check_images(path, first)


def test_a_worker_lost_after_all_is_written_is_no_error(tmp_path, monkeypatch):
    mean, done = strategies.mean, []

    def lost(*arguments):
        if done:
            raise tf.errors.UnavailableError(None, None, "it is gone")
        return mean(*arguments)

    monkeypatch.setattr(strategies, "mean", lost)
    monkeypatch.setattr(train, "finish", lambda *arguments: done.append(1))
    train.train(options(tmp_path))
    assert done


class Dies(callbacks.TrainingCheckpoint):
    """Dies before it saves step 4."""

    def save(self, step):
        if step == 4:
            raise KeyboardInterrupt
        super().save(step)


def test_best_checkpoint_is_the_trained_model(tmp_path, monkeypatch, capsys):
    """Of a run that died between the best and the next checkpoint."""
    values = {2: 1.0, 4: 3.0, 6: 2.0}
    monkeypatch.setattr(
        callbacks.KeepBest, "measure", lambda self: values[self.model.step]
    )
    run = options(tmp_path, "--keep_best=psnr", "--steps=6", "--evaluate")
    with monkeypatch.context() as context:
        context.setattr(callbacks, "TrainingCheckpoint", Dies)
        with pytest.raises(KeyboardInterrupt):
            train.train(run)
    expected = ["best-00000004", "step-00000002"]
    assert names(tmp_path / "checkpoints") == expected
    train.train(run)
    errors = capsys.readouterr().err
    assert "Going on from step 2 of 6" in errors
    assert "The best is of step 4." in errors
    (best,) = (tmp_path / "checkpoints").glob("best-*")
    assert json.loads((best / "best.json").read_text()) == {
        "metric": "psnr",
        "value": 3.0,
        "step": 4,
        "images": 70,
    }
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["step"] == 4


def flip_a_bit(folder):
    path = folder / "checkpoint.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [flip_a_bit, lambda f: (f / "best.json").write_text("{}"), shutil.rmtree],
    ids=["weights", "facts", "all"],
)
def test_without_the_best_checkpoint_a_run_ends_with_the_last(
    workdir, capsys, damage
):
    expected = building.trained_model(workdir).get_weights()
    shutil.rmtree(workdir / "model")
    checkpoints = workdir / "checkpoints"
    best = checkpoints / "best-00000002"
    shutil.copytree(checkpoints / "step-00000002", best)
    facts = {"metric": "psnr", "value": 2.0, "step": 2, "images": 70}
    (best / "best.json").write_text(json.dumps(facts))
    recorded = json.loads((workdir / "flags.json").read_text())
    recorded["keep_best"] = "psnr"
    (workdir / "flags.json").write_text(json.dumps(recorded))
    damage(best)
    aside = [f"damaged-{best.name}"] if best.exists() else []
    for damaged in (aside, []):
        run = options(workdir, "--keep_best=psnr")
        train.train(run)
        assert run.step == 4
        errors = capsys.readouterr().err
        said = f"{best} can't be read: .* It is set aside"
        assert len(re.findall(said, errors)) == len(damaged)
        assert "There is no best checkpoint: the last is of step 4." in errors
        kept = [*aside, "step-00000002", "step-00000004"]
        assert names(checkpoints) == kept
    found = building.trained_model(workdir).get_weights()
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        '{"step": 4}',
        '{"step": 4, "value": "12"}',
        '{"step": 4, "value": NaN}',
        '{"step": 2, "value": 12.5}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:30],
)
def test_facts_of_another_kind_are_refused(tmp_path, text):
    path = tmp_path / "best-00000004"
    path.mkdir()
    (path / "best.json").write_text(text)
    with pytest.raises(callbacks.CheckpointError, match=re.escape(str(path))):
        best_facts(tmp_path)


def test_metrics_of_the_best_are_those_of_the_evaluation(finished, model):
    source = Splits(options(finished))["validation"]
    callbacks.TrainingCheckpoint(finished / "checkpoints").restore(model)
    *_, figures = reconstruction_figures(model, data.load_arrays(source)[0])
    images = train.float_images(source, None)
    for metric in ("psnr", "ssim", "cosine"):
        keeper = callbacks.KeepBest(None, metric, images, 2, 6)
        keeper.set_model(model)
        assert keeper.measure(30) == pytest.approx(figures[metric], abs=1e-4)


def test_checkpoint_of_another_step_than_its_name_is_passed_over(
    workdir, model, capsys
):
    checkpoints = workdir / "checkpoints"
    shutil.copytree(
        checkpoints / "step-00000004", checkpoints / "step-00000009"
    )
    checkpoint = callbacks.TrainingCheckpoint(checkpoints)
    assert checkpoint.restore(model) == model.step == 4
    assert "step-00000009 is of step 4, not of" in capsys.readouterr().err


def test_folders_of_the_users_among_checkpoints_stay(workdir, model):
    mine = ["step-1", "step-00000002-mine", "best-1", "step-000000003"]
    for name in mine:
        (workdir / "checkpoints" / name).mkdir()
    checkpoint = callbacks.TrainingCheckpoint(workdir / "checkpoints", keep=1)
    checkpoint.restore(model)
    assert checkpoint.steps() == [2, 4]
    shutil.rmtree(checkpoint.path(4))
    checkpoint.save(4)
    assert checkpoint.steps() == [4]
    assert set(mine) <= set(names(workdir / "checkpoints"))


@pytest.mark.parametrize(
    "value", [[], {}, {"sessions": {}}, {"sessions": [1]}, "text"]
)
def test_record_of_another_kind_is_named(tmp_path, value):
    (tmp_path / "run.json").write_text(json.dumps(value))
    with pytest.raises(UsageError, match="run.json .*Remove it"):
        sessions.recorded(tmp_path / "run.json")


@pytest.mark.parametrize("name", ["flags", "run", "evaluation"])
def test_export_names_json_of_another_kind(workdir, tmp_path, name):
    (workdir / f"{name}.json").write_text("[1]")
    with pytest.raises(UsageError, match=f"{name}.json must hold an object"):
        export.run(workdir, saved_models=tmp_path / "saved_models")
    assert not (tmp_path / "saved_models").exists()


def test_export_does_not_replace_what_no_export_wrote(workdir, tmp_path):
    mine = tmp_path / "saved_models" / "tiny" / ".incomplete" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match=".incomplete.*Move it away"):
        export.run(workdir, saved_models=tmp_path / "saved_models")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[]",
        "1",
        "[" * 100_000,
        '{"cluster": {"worker": "host:1"}, "task": {"type": "worker", '
        '"index": 0}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", '
        '"index": 0}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", '
        '"index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", '
        '"index": Infinity}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": [], "index": 0}}',
        '{"cluster": [["worker"]], "task": {"type": "worker", "index": 0}}',
    ],
)
def test_tf_config_of_another_kind_is_named(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match="needs the environment variable"):
        strategies.worker_index("multi_worker")
