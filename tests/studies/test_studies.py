"""The studies against independent statements."""

import shutil
import types

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

import numpy as np
import pytest
import tensorflow as tf

from studies import baselines
from studies import measure
from studies import page
from studies import plan
from studies import regenerations
from studies import run as running
from studies import tables
from studies import verdicts
from studies.run import TABLE
from studies.run import collect
from studies.tables import rows_of as stored_rows

FLAGS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,8,feature_dim=6",
    "--steps=8",
    "--batch_size=16",
    "--optimizer=adam",
    "--learning_rate=1e-3",
]
IMAGES = np.random.default_rng(0).uniform(-1, 1, (16, 16, 16, 1))
IMAGES = IMAGES.astype("float32")
FEATURES = np.eye(6, dtype="float32")


def make(kind, *flags):
    options = train_options.parse([*FLAGS, "--game=dictionary=0", *flags])
    return building.model(options, 10, baselines.MAKERS[kind])


# === Baselines ===


def test_variational_loss_is_its_definition():
    model = make("vae")
    mean, log_variance, _ = model.encoder.distribution(IMAGES, True)
    drawn = tf.random.stateless_normal(mean.shape, (0, 0))
    features = mean + np.exp(log_variance / 2) * drawn
    others = np.asarray(model.decode(features, training=True), "float64")
    mean, variance = np.float64(mean), np.exp(np.float64(log_variance))
    divergence = np.sum(mean**2 + variance - np.log(variance) - 1, -1) / 2
    error = np.mean((IMAGES - others) ** 2)
    expected = 128 * np.log(error) + np.mean(divergence)
    assert float(model.loss_of(IMAGES)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("tight", ["true", "false"])
def test_own_dictionaries_begin_as_the_encoders(tight):
    """With them the loop begins as with shared ones, and moves both."""
    flag = f"--architecture=tight_frame={tight}"
    own, shared = make("own", flag), make("closed_loop", flag)
    shared.encoder.set_weights(own.encoder.get_weights())
    for model in (own, shared):
        model.decoder.calibrate(IMAGES)
    pair = [model.reconstruct(IMAGES) for model in (own, shared)]
    np.testing.assert_allclose(*pair, atol=1e-5)
    assert own.count_params() > 1.8 * shared.count_params()
    own.train_step((IMAGES, np.arange(16) % 10))
    layers = own.encoder.coding_layers[0], own.decoder.decoding_layers[-1]
    encoding, drawing = (np.asarray(layer.kernel) for layer in layers)
    assert np.abs(encoding - drawing).max() > 1e-5
    before = own.decode(FEATURES)
    layers[1]._coding_layer().update_operator_norm()
    np.testing.assert_allclose(own.decode(FEATURES), before, atol=1e-6)


@pytest.mark.parametrize("kind", ["pixel", "vae"])
def test_loss_falls_in_training(kind):
    model = make(kind)
    losses = []
    for _ in range(5):
        model.loss_metric.reset_state()
        losses.append(float(model.train_step((IMAGES,))["objective"]))
    assert losses[-1] < losses[0] and model.step == 5


# === Noise ===


def test_parameter_is_chosen_on_validation_images():
    """A method that scales noisy images: the best scale is Wiener's."""
    random = np.random.default_rng(0)
    clean = {
        split: random.choice([-0.5, 0.5], (20, 8, 8, 1)).astype("float32")
        for split in ("validation", "test")
    }
    scales = (0.2, 0.5, 0.8, 1.0)
    methods = {"scaling": (lambda images, scale: images * scale, scales)}
    for level, found in measure.denoising(methods, clean).items():
        wiener = 0.25 / (0.25 + (2 * float(level)) ** 2)
        nearest = min(scales, key=lambda scale: abs(scale - wiener))
        assert found["scaling"]["parameter"] == nearest
        assert found["scaling"]["psnr"] >= found["noisy"] - 1e-6


# === Plan ===


def test_every_run_has_its_own_key_and_flags_that_train_py_knows(tmp_path):
    runs = plan.runs()
    assert len({run.key for run in runs}) == len(runs) > 50
    for run in runs:
        options = measure.options_of(run, tmp_path / "run", "DATA")
        assert options.seed == run.seed
        assert options.workdir == str(tmp_path / "run")
        assert len(run.key) < 200 and "/" not in run.key
        building.check(options)


def test_contenders_have_the_same_time():
    rates = plan.rates_found()
    for data in plan.SETS:
        for name in plan.CONTENDERS:
            options = measure.options_of(plan.contender(name, data), "x", "y")
            images = options.steps * options.batch_size
            own = plan.OURS if name == plan.UNLABELLED else name
            rate = rates[f"{own} on {data}"]["images_per_second"]
            assert images / rate == pytest.approx(60 * plan.MINUTES, rel=0.02)


# === A run, measured ===


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run, the folder of all runs, and its row."""
    flags = (*FLAGS, "--game=class_features=4", "--steps=2")
    run = plan.Run("tiny", "digits", "closed_loop", flags, more=("noise",))
    runs = tmp_path_factory.mktemp("runs")
    patched = pytest.MonkeyPatch()
    patched.setattr("keras_csc_cli.results.STEPS", 2)
    patched.setattr(measure, "LIMIT", 60)
    patched.setattr(measure, "LEVELS", (0.1,))
    patched.setattr(measure, "SPARSITIES", (0.0, 0.4))
    # Tracing takes longer than two steps.
    tf.config.run_functions_eagerly(True)
    try:
        return run, runs, measure.measure(run, runs / run.key, None)
    finally:
        tf.config.run_functions_eagerly(False)
        patched.undo()


@pytest.fixture(scope="module")
def row(measured):
    return measured[2]


def test_picture_has_a_row_of_images_and_a_row_a_run(measured):
    run, runs, _ = measured
    picture = regenerations.draw([run], runs)
    height, width, _ = picture.shape
    # Of 16×16 pixels, twice as large; ten classes.
    assert 2 * 32 < height < 3 * 32 and 10 * 32 < width < 20 * 32
    images, made = picture[: height // 2], picture[height // 2 :]
    assert np.ptp(images) > 200 and not np.array_equal(images, made)


def test_row_holds_what_the_page_shows(row):
    for path, _ in page.FIGURES.values():
        assert verdicts.look_up(row, path) is not None, path
    assert row["steps"] == 2
    gained = row["noise"]["0.1"]["chosen sparsity"]
    assert gained["parameter"] in (0.0, 0.4)


def test_a_run_that_fails_ends_the_study(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "HERE", tmp_path)
    run = types.SimpleNamespace(key="tiny", more=())

    def measured(script):
        (tmp_path / "measure.py").write_text(script)
        running.work(run, tmp_path / "runs", "DATA")

    measured("")
    with pytest.raises(SystemExit) as exit_code:
        measured("raise SystemExit(2)")
    assert exit_code.value.code == 2
    with pytest.raises(UsageError, match="tiny.* was ended by signal 9"):
        measured("import os; os.kill(os.getpid(), 9)")


# === Verdicts and page ===


def test_rows_take_the_place_of_the_same_ones(tmp_path):
    path = tmp_path / "rows.json"
    assert tables.rows_of(path) == []
    first = {"name": "a", "size": 1, "psnr": 20.0}
    without_size = {"name": "a", "psnr": 21.0}
    second = {"name": "b", "size": 1, "psnr": 22.0}
    tables.put(path, [first, without_size, second], ["name", "size"])
    again = {**first, "psnr": 23.0}
    expected = [without_size, second, again]
    assert tables.put(path, [again], ["name", "size"]) == expected
    assert tables.rows_of(path) == expected


def rows_of(figures):
    """Rows of runs: `{(data, name): [dict of figures, one for each seed]}`."""
    return verdicts.Table(
        [
            {"data": data, "name": name, "failed": None, **each}
            for (data, name), seeds in figures.items()
            for each in seeds
        ]
    )


def claim(text):
    return next(each for each in verdicts.CLAIMS if text in each.text)


def quality(name, values, accuracy):
    part = {"centered_knn_accuracy": accuracy}
    seeds = [{"psnr": value, "class_part": part} for value in values]
    return {(data, name): seeds for data in plan.SETS}


@pytest.mark.parametrize(
    "ours, verdict",
    [
        ((25.0, 25.2, 25.1), verdicts.SHOWN),
        ((23.0, 27.0, 25.0), verdicts.NOT_SHOWN),  # the seeds differ by more
    ],
)
def test_better_means_by_two_standard_errors(ours, verdict):
    convolutions = quality(plan.CONV, (24.1, 24.2, 24.3), 0.5)
    table = rows_of({**quality(plan.OURS, ours, 0.6), **convolutions})
    found = verdicts.verdict(claim("convolutions as wide as"), table)
    assert found[0] == verdict


@pytest.mark.parametrize(
    "same, nearest, verdict",
    [
        (0.78, 0.82, verdicts.SHOWN),
        (0.77, 0.9, verdicts.NOT_SHOWN),
        (0.9, 0.81, verdicts.NOT_SHOWN),
    ],
)
def test_published_game_is_judged_by_both_figures(same, nearest, verdict):
    name = plan.AS_IN_THE_FILE
    row = {"same_class": same, verdicts.NEAREST: nearest}
    table = rows_of({("fashion_mnist", name): [row]})
    assert verdicts.verdict(claim("clothes"), table)[0] == verdict
    assert verdicts.verdict(claim("digits"), table)[0] == verdicts.MISSING


@pytest.mark.parametrize(
    "gain, verdict", [(0.3, verdicts.SHOWN), (0.1, verdicts.NOT_SHOWN)]
)
def test_other_sets_are_judged_by_the_first_seed(gain, verdict):
    """The only one that was asked for them."""

    def seeds(psnr):
        return [{"unseen": dict.fromkeys(plan.UNSEEN["cifar10"], psnr)}, {}]

    figures = {plan.OURS: 20 + gain, plan.CONV: 20.0}
    table = rows_of(
        {
            (data, name): seeds(psnr)
            for data in plan.SETS
            for name, psnr in figures.items()
        }
    )
    assert verdicts.verdict(claim("other sets"), table)[0] == verdict


def test_claims_of_runs_that_are_missing_are_not_judged():
    for each in verdicts.CLAIMS:
        assert verdicts.verdict(each, rows_of({}))[0] == verdicts.MISSING


def test_page_is_that_of_its_rows():
    text = page.page(verdicts.Table(stored_rows(TABLE)))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    written = page.PAGE.read_text().splitlines()
    assert lines == [line for line in written if line.startswith("|")]
    assert len(lines) > 20


@pytest.mark.parametrize(
    ("changed", "same", "name"),
    [
        ("--optimizer=adam", False, plan.OURS),
        ("--steps=7", True, plan.OURS),  # which the run overrules
        ("--game=memory=0.5", True, plan.OURS),  # and which the set's file
        # An argument of a part that there is not.
        ("--game=class_epsilon=9", True, plan.UNLABELLED),
    ],
)
def test_a_run_of_another_flag_file_is_another_run(
    tmp_path, monkeypatch, changed, same, name
):
    key = plan.contender(name, "cifar10").key
    flag_files = shutil.copytree(command_line.FLAG_FILES, tmp_path / "flags")
    with open(flag_files / "recipe.flags", "a") as file:
        file.write(f"{changed}\n")
    monkeypatch.setattr(command_line, "FLAG_FILES", flag_files)
    after = plan.contender(name, "cifar10").key
    assert (after == key) == same


def test_former_rows_stay_and_are_marked(tmp_path, row):
    """But not beside rows of today of the same run, with which means are."""
    runs = plan.study("published").runs
    of_digits = "digits", plan.AS_IN_THE_FILE
    first, second, _ = (r for r in runs if (r.data, r.name) == of_digits)
    other = next(run for run in runs if run.name == "clipped")
    own = {**row, "data": first.data}
    table = tmp_path / "results.json"
    write_json(
        table,
        [
            {**own, "key": "mixed", "name": first.name, "seed": first.seed},
            {**own, "key": "before", "name": other.name, "seed": other.seed},
            {**own, "key": "of no plan", "name": other.name, "seed": 77},
        ],
    )
    (tmp_path / second.key).mkdir()
    row_file = tmp_path / second.key / "row.json"
    write_json(row_file, {**own, "name": "once", "seed": second.seed})
    collect(tmp_path, table)
    kept = read_json(table, list)
    assert [each["name"] for each in kept] == [second.name, other.name]
    assert [each["key"] for each in kept] == [second.key, "before"]
    text = page.page(verdicts.Table(kept))
    assert rf"| {other.name}\* |" in text
    assert "1 of the 2 rows, those with an asterisk" in text
