"""The studies against independent statements."""

import re
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

from keras_csc.losses import Loop
from keras_csc.losses import TranscriptionGame
from keras_csc.models import EncoderOutput
from keras_csc.models import presets
from keras_csc.pixels import from_pixels
from studies import baselines
from studies import components
from studies import dcgan
from studies import diffusion
from studies import drawings
from studies import games
from studies import judging
from studies import measure
from studies import page
from studies import plan
from studies import run as running
from studies import runs
from studies import tables
from studies import unseen
from studies import verdicts
from studies.run import collect
from studies.runs import SETS
from studies.runs import TABLE
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


def features_alone(features):
    return EncoderOutput(features, [], [])


def make(kind, *flags):
    given = train_options.parse([*FLAGS, "--game=residual=0", *flags])
    return building.model(given, 10, baselines.MAKERS[kind])


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


SHAPE, STEPS = (8, 8, 1), 50
ALPHAS = diffusion.alphas(STEPS, last=0.3)


def test_forward_process_has_the_moments_of_its_chain():
    """`x_t = √(1 - β_t) x_{t-1} + √β_t ε`, from a point, step by step."""
    mean, variance = 1.0, 0.0
    for step, beta in enumerate(np.linspace(1e-4, 0.3, STEPS), start=1):
        mean = np.sqrt(1 - beta) * mean
        variance = (1 - beta) * variance + beta
        found = diffusion.diffuse(np.ones(1), np.zeros(1), ALPHAS[step])
        assert float(found[0]) == pytest.approx(mean, rel=1e-6)
        found = diffusion.diffuse(np.zeros(1), np.ones(1), ALPHAS[step])
        assert float(found[0]) ** 2 == pytest.approx(variance, rel=1e-5)


@pytest.mark.parametrize("steps", [1, 7])
def test_ddim_with_a_perfect_denoiser_recovers_the_image(steps):
    random, asked = np.random.default_rng(0), []
    image = random.uniform(-1, 1, (4, *SHAPE))

    def predict(noisy, time):
        asked.append(time)
        alpha = ALPHAS[time]
        return (noisy - np.sqrt(alpha) * image) / np.sqrt(1 - alpha)

    noise = random.standard_normal(image.shape)
    found = diffusion.ddim(predict, noise, ALPHAS, steps)
    np.testing.assert_allclose(found, image, atol=1e-4)
    assert len(asked) == steps and asked[0] == STEPS
    assert asked == sorted(set(asked), reverse=True) and asked[-1] >= 1


def test_denoiser_learns_and_draws_images_of_its_classes():
    model = diffusion.denoiser(SHAPE, (8,), 2)
    diffusion.compile_denoiser(model, 120, learning_rate=0.02)
    batches = tf.data.Dataset.from_tensors(
        (np.full((16, *SHAPE), 0.5, "float32"), np.arange(16) % 2)
    )
    batches = diffusion.noised(batches.repeat(), ALPHAS)
    losses = model.fit(batches, epochs=3, steps_per_epoch=40, verbose=0)
    losses = losses.history["loss"]
    assert losses[2] < losses[1] < losses[0]
    first, second = (
        diffusion.denoised_samples(model, labels, ALPHAS, 1, 5)
        for labels in ([0, 1, 0, 1], [0, 1, 1, 1])
    )
    assert first.shape == (4, *SHAPE) and np.abs(first).max() <= 1
    # Its averaged weights have learned the images, all of one grey.
    assert np.mean(np.abs(first - 0.5)) < 0.2
    same = np.all(first == second, axis=(1, 2, 3))
    np.testing.assert_array_equal(same, [True, True, False, True])


def test_a_step_moves_both_players_of_a_dcgan():
    """Adam's first step is of its rate in every weight: one for each."""
    model = dcgan.DCGAN(SHAPE, (8, 8), 4)
    model.compile()
    players = model.generator, model.discriminator
    before = [player.get_weights() for player in players]
    assert model.decode(np.ones((2, 4), "float32")).shape == (2, *SHAPE)
    images = np.random.default_rng(0).uniform(-1, 1, (16, *SHAPE))
    model.fit(images.astype("float32"), batch_size=16, verbose=0)
    for player, weights in zip(players, before):
        move = np.abs(player.get_weights()[0] - weights[0])
        assert np.median(move) == pytest.approx(2e-4, rel=0.01)
        assert move.max() <= 2.01e-4


# === Noise ===


def test_parameter_is_chosen_on_validation_images():
    """A method that scales noisy images: the best scale is Wiener's."""
    random = np.random.default_rng(0)
    clean = {
        split: random.choice([-0.5, 0.5], (20, 8, 8, 1)).astype("float32")
        for split in ("validation", "test")
    }
    scales = (0.2, 0.5, 0.8, 1.0)
    for level in unseen.LEVELS:
        given = {
            split: unseen.add(images, level, seed)
            for seed, (split, images) in enumerate(clean.items())
        }
        found = unseen.best(lambda x, s: x * s, scales, clean, given)
        wiener = 0.25 / (0.25 + (2 * level) ** 2)
        nearest = min(scales, key=lambda scale: abs(scale - wiener))
        assert found["parameter"] == nearest
        noisy = unseen.psnr(clean["test"], given["test"])
        assert found["psnr"] >= noisy - 1e-6


# === Plan ===


def test_every_run_has_its_own_key_and_flags_that_train_py_knows(tmp_path):
    planned = plan.runs()
    assert len({run.key for run in planned}) == len(planned) > 90
    for run in planned:
        found = measure.options_of(run, tmp_path / "run", "DATA")
        assert found.seed == run.seed
        assert found.workdir == str(tmp_path / "run")
        assert len(run.key) < 200 and "/" not in run.key
        building.check(found)
        building.game(found.game, 10, found.game_class)


def test_time_is_that_of_the_usual_step():
    """The first steps, and one that something else held up, don't count."""
    seconds = [0, 9, 10, 10.5, 11, 11.5, 12, 12.25, 12.5, 20, 20.25, 20.5]
    ticks = iter(seconds)
    times = measure.StepTimes(clock=lambda: next(ticks))
    for number in range(len(seconds)):
        times.on_train_batch_end(number)
    assert times.seconds() == pytest.approx(0.25)


@pytest.mark.parametrize("kind", ["conv", "dcgan"])
def test_a_run_of_minutes_has_the_steps_that_they_hold(
    tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(measure, "RATE_STEPS", 7)
    monkeypatch.setattr(measure.StepTimes, "seconds", lambda self: 0.5)
    network = "filters=8,8,kernel_size=4,strides=2"
    flags = *FLAGS, f"--architecture={network}", "--game=residual=0"
    run = runs.Run("tiny", "digits", kind, flags, minutes=2)
    folder = tmp_path / run.key
    assert measure.steps_of(run, folder, None) == 240
    monkeypatch.setattr(measure.StepTimes, "seconds", lambda self: 0.1)
    assert measure.steps_of(run, folder, None) == 240


def test_other_seeds_play_at_the_best_rate_of_the_first():
    for (data, name), best in plan.BEST_RATES.items():
        rates = plan.LEARNING_RATES[data]
        names = [plan.player(name, data, rate).name for rate in rates]
        firsts = {
            row["name"]: row["same_class"] or 0
            for row in stored_rows(TABLE)
            if row["data"] == data and not row["seed"] and row["name"] in names
        }
        # Rates fall: of equals the last one is the lowest.
        found = max(reversed(names), key=lambda name: firsts.get(name, 0))
        assert found == names[rates.index(best)]
        assert best not in (rates[0], rates[-1])
        others = [
            run
            for run in plan.players()
            if run.seed == 1 and run.data == data and run.name in names
        ]
        assert [run.name for run in others] == [plan.best_player(name, data)]


def test_equal_runs_are_one_which_has_all_that_is_measured():
    of_front = {run.key: run for run in plan.runs(["front"])}
    of_options = {run.key: run for run in plan.runs(["game"], seeds=[0])}
    both = of_front.keys() & of_options.keys()
    assert len(both) == 3 * len(SETS)
    assert all(of_options[key].more == ("samples",) for key in both)
    assert {run.seed for run in of_options.values()} == {0}


def test_parts_of_multi_are_those_of_the_game():
    """`ΔR(Z|y)`, `ΔR(Ẑ|y)` and the distances, alone and together."""
    random = np.random.default_rng(0)
    z, z_hat = random.normal(size=(2, 40, 6)).astype("float32")
    labels = np.arange(40) % 4
    loop = Loop(*map(features_alone, (z, z_hat)), labels=labels)
    given = {"num_classes": 4}

    def value(game):
        return float(game.terms()[0].measure(loop)[0])

    alone = [
        value(games.PartsOfMulti(parts=part, **given)) for part in games.PARTS
    ]
    whole = TranscriptionGame("multi", **given).terms()[0].measure(loop)
    np.testing.assert_allclose(alone, np.array(whole[-3:]), rtol=1e-5)
    everything = value(games.PartsOfMulti(**given))
    assert everything == pytest.approx(float(whole[0]), rel=1e-5)
    assert value(games.PartsOfMulti(parts="", **given)) == 0
    with pytest.raises(ValueError, match="`parts` some of real"):
        games.PartsOfMulti(parts="none", **given)


# === A run, measured ===


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run, the folder of all runs, and its row."""
    game = "--game_class=studies.games:PartsOfMulti", "--game=parts=real"
    flags, more = (*FLAGS, *game, "--steps=2"), ("noise", "samples")
    run = runs.Run("tiny", "digits", "closed_loop", flags, more=more)
    folder = tmp_path_factory.mktemp("runs")
    patched = pytest.MonkeyPatch()
    patched.setattr("keras_csc_cli.results.STEPS", 2)
    patched.setattr(measure, "LIMIT", 60)
    patched.setattr(unseen, "LEVELS", (0.1,))
    patched.setattr(unseen, "SPARSITIES", (0.0, 0.4))
    # Tracing takes longer than two steps.
    tf.config.run_functions_eagerly(True)
    try:
        return run, folder, measure.measure(run, folder / run.key, None)
    finally:
        tf.config.run_functions_eagerly(False)
        patched.undo()


@pytest.fixture(scope="module")
def row(measured):
    return measured[2]


def test_picture_has_a_row_of_images_and_a_row_a_run(measured):
    run, folder, _ = measured
    picture = drawings.draw([run], folder)
    height, width, _ = picture.shape
    # Of 16×16 pixels, twice as large; ten classes.
    assert 2 * 32 < height < 3 * 32 and 10 * 32 < width < 20 * 32
    images, made = picture[: height // 2], picture[height // 2 :]
    assert np.ptp(images) > 200 and not np.array_equal(images, made)


def test_row_holds_what_the_page_shows(row):
    for path, _ in page.FIGURES.values():
        assert judging.look_up(row, path) is not None, path
    assert row["steps"] == 2
    gained = row["noise"]["0.1"]["chosen sparsity"]
    assert gained["parameter"] in (0.0, 0.4)


def test_components_are_those_of_a_singular_value_decomposition(measured):
    run, folder, _ = measured
    options = measure.options_of(run, folder / run.key, None)
    splits = building.Splits(options)
    test, train = (splits.arrays(name, 100) for name in ("test", "train"))
    judge = measure.results.classifier(
        splits, measure.classifier(options, splits)
    )
    found = components.figures(8, *test, *train, judge)
    rows, known = (
        from_pixels(x).reshape(100, -1).astype("float64")
        for x in (test[0], train[0])
    )
    mean = known.mean(0)
    basis = np.linalg.svd(known - mean, full_matrices=False)[2][:8]
    drawn = np.clip(mean + (rows - mean) @ basis.T @ basis, -1, 1)
    errors = np.mean((rows - drawn) ** 2, axis=1)
    psnr = np.mean(10 * np.log10(4 / errors))
    assert found["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert found["weights"] == 8 * 256 and not found["labels"]
    assert 0 <= found["same_class"] <= 1 and found["samples"] > 0


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
    tables.put(path, [again], ["name", "size"])
    assert tables.rows_of(path) == expected
    assert tables.rows_of(path) == expected


def rows_of(figures):
    """Rows of runs: `{(data, name): [dict of figures, one for each seed]}`."""
    return judging.Table(
        [
            {"data": data, "name": name, "failed": None, **each}
            for (data, name), seeds in figures.items()
            for each in seeds
        ]
    )


def claim(text):
    return next(each for each in verdicts.CLAIMS if text in each.text)


@pytest.mark.parametrize(
    "ours, verdict",
    [
        ((0.50, 0.52, 0.51), verdicts.SHOWN),
        ((0.40, 0.62, 0.51), verdicts.NOT_SHOWN),  # the seeds differ by more
        ((0.50,), verdicts.MISSING),
    ],
)
def test_better_means_by_two_standard_errors_at_the_best_rates(ours, verdict):
    def seeds(name, *values):
        found = [{"same_class": value} for value in values]
        return {("cifar10", plan.best_player(name, "cifar10")): found}

    table = rows_of(
        {**seeds(plan.OURS, *ours), **seeds(plan.CONV, 0.45, 0.46, 0.44)}
    )
    found = verdicts.verdict(claim("CIFAR-10 as images of their class"), table)
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

    table = rows_of(
        {
            (data, name): seeds(psnr)
            for data in SETS
            for name, psnr in (
                (plan.OURS, 20 + gain),
                (plan.best_player(plan.CONV, data), 20.0),
            )
        }
    )
    assert verdicts.verdict(claim("other sets"), table)[0] == verdict


@pytest.mark.parametrize(
    "of_cifar, verdict",
    [(0.43, verdicts.SHOWN), (0.401, verdicts.NOT_SHOWN)],
)
def test_structure_and_consistency_are_of_all_sets(of_cifar, verdict):
    def seeds(figure, mean):
        return [{figure: mean + more} for more in (-0.01, 0.0, 0.01)]

    def verdict_of(text, figure, ours, conv):
        table = {}
        for data in plan.PLAYERS_MINUTES:
            least = ours if data == "cifar10" else 0.5
            for name, mean in ((plan.OURS, least), (plan.CONV, conv)):
                table[data, plan.best_player(name, data)] = seeds(figure, mean)
        return verdicts.verdict(claim(text), rows_of(table))[0]

    assert verdict_of("subspace", verdicts.NEAREST, of_cifar, 0.4) == verdict
    # By ours alone, at least 0.99 on each.
    assert verdict_of("itself", "retrieval", of_cifar, 0) == verdicts.NOT_SHOWN


def test_claims_of_runs_that_are_missing_are_not_judged():
    for each in verdicts.CLAIMS:
        assert verdicts.verdict(each, rows_of({}))[0] == verdicts.MISSING


@pytest.mark.parametrize("path", page.PAGES, ids=["studies", "options"])
def test_page_is_that_of_its_rows(path):
    """All that stands below its comments, which is most of its tables."""
    written = path.read_text()
    assert page.page(judging.Table(stored_rows(TABLE)), written) == written
    emptied = re.sub(r"(<!-- .+ -->\n)(?:.+\n)*", r"\1", written)
    text = page.page(judging.Table(stored_rows(TABLE)), emptied)
    assert text == written
    assert 2 * emptied.count("|\n") < written.count("|\n")


@pytest.mark.parametrize("name", page.CURVES)
def test_cards_have_curves_of_their_rows(name):
    """As data; tests/models/test_trained.py compares the text with the data."""
    card = presets.find(name).metadata["card"]
    assert card[page.LENGTHS] == page.lengths(
        name, judging.Table(stored_rows(TABLE))
    )
    # The training of the card itself is one of the rows.
    assert re.search(
        rf"\| ([^|]*, )?{card['recipe']['steps']:,} steps \|",
        card[page.LENGTHS],
    )


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ("--optimizer=adam", False),
        ("--steps=7", True),  # which the run's minutes overrule
        ("--game=objective=binary", True),  # and which the set's file
    ],
)
def test_a_run_of_another_flag_file_is_another_run(
    tmp_path, monkeypatch, changed, same
):
    key = plan.contender(plan.OURS, "cifar10").key
    flag_files = shutil.copytree(command_line.FLAG_FILES, tmp_path / "flags")
    with open(flag_files / "shared.flags", "a") as file:
        file.write(f"{changed}\n")
    monkeypatch.setattr(command_line, "FLAG_FILES", flag_files)
    after = plan.contender(plan.OURS, "cifar10").key
    assert (after == key) == same


def test_former_rows_stay_and_are_marked(tmp_path, row):
    """But not beside rows of today of the same run, with which means are."""
    planned = list(plan.published())
    of_digits = "digits", plan.AS_IN_THE_FILE
    first, second, _ = (r for r in planned if (r.data, r.name) == of_digits)
    other = next(plan.time())
    own = {**row, "data": first.data}
    others = {**row, "data": other.data}
    table = tmp_path / "results.json"
    write_json(
        table,
        [
            {**own, "key": "mixed", "name": first.name, "seed": first.seed},
            {**others, "key": "before", "name": other.name, "seed": 0},
            {**others, "key": "of no plan", "name": other.name, "seed": 77},
        ],
    )
    (tmp_path / second.key).mkdir()
    row_file = tmp_path / second.key / "row.json"
    write_json(row_file, {**own, "name": "once", "seed": second.seed})
    collect(tmp_path, table)
    kept = read_json(table, list)
    found = {each["name"]: each["key"] for each in kept}
    assert found == {second.name: second.key, other.name: "before"}
    text = page.page(judging.Table(kept), page.PAGES[0].read_text())
    assert rf"| {other.name}\* |" in text
    assert "1 of the 2 rows, those with an asterisk" in text
