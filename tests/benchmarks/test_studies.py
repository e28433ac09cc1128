"""The parts of the studies against independent statements."""

import types

from training import building
from training import options as run_options

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.studies import drawing
from benchmarks.studies import models
from benchmarks.studies import noise
from benchmarks.studies import results as tables
from benchmarks.studies import runs
from benchmarks.studies import verdicts
from benchmarks.studies.pieces import Piece
from benchmarks.studies.pieces import Rows
from benchmarks.studies.pieces import Run

FLAGS = {
    "dataset": "digits",
    "preset": "digits",
    "filters": "4,8",
    "feature_dim": 6,
    "steps": 8,
    "batch_size": 16,
    "optimizer": "adam",
    "encoder_learning_rate": 1e-3,
    "decoder_learning_rate": 1e-3,
}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (16, 16, 16, 1))
IMAGES = IMAGES.astype("float32")


def make(kind, **flags):
    options = run_options.parse(runs.arguments({**FLAGS, **flags}))
    return building.model(options, 10, models.MAKERS[kind])


def test_variational_loss_is_its_definition():
    model = make("vae")
    mean, log_variance, _ = model.encoder.distribution(IMAGES, True)
    noise = tf.random.stateless_normal(mean.shape, (0, 0))
    features = mean + np.exp(log_variance / 2) * noise
    others = np.asarray(model.decode(features, training=True), "float64")
    mean, variance = np.float64(mean), np.exp(np.float64(log_variance))
    divergence = np.sum(mean**2 + variance - np.log(variance) - 1, -1) / 2
    error = np.mean((IMAGES - others) ** 2)
    expected = 128 * np.log(error) + np.mean(divergence)
    assert float(model.loss_of(IMAGES)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["pixel", "vae"])
def test_loss_falls_in_training(kind):
    model = make(kind)
    step = tf.function(model.train_step)
    losses = [float(step((IMAGES,))["objective"]) for _ in range(20)]
    model.loss_metric.reset_state()
    assert float(step((IMAGES,))["objective"]) < losses[0]
    assert model.step == 21


def test_solving_encoder_reaches_the_optimum():
    few, many = (
        make("solved", iterations=iterations).encoder for iterations in (2, 200)
    )
    many.set_weights(few.get_weights())
    layer = many.coding_layers[0]
    solved = layer(IMAGES)
    best = np.asarray(layer.objective(IMAGES, solved))
    other = np.asarray(layer.objective(IMAGES, few.coding_layers[0](IMAGES)))
    assert (best < other).all()
    # The optimality condition |Aᵀ(x - A z)| ≤ λ.
    residual = IMAGES - layer.synthesize(solved, IMAGES.shape[1:3])
    correlation = tf.nn.conv2d(residual, layer.kernel, 2, "SAME")
    assert np.max(np.abs(correlation)) < layer.sparsity * 1.02


def test_multiply_adds_are_those_of_the_convolutions():
    size = runs.Network(make("closed_loop", iterations=3)).size()
    convolutions = (8 * 8 * 4 * 4 * 1 * 4, 4 * 4 * 4 * 4 * 4 * 8, 4 * 4 * 8 * 6)
    assert size["encoder_multiply_adds"] == 5 * sum(convolutions)
    assert size["decoder_multiply_adds"] == sum(convolutions)
    size = runs.Network(make("closed_loop", network="conv")).size()
    assert size["encoder_multiply_adds"] == sum(convolutions)


def test_flags_are_the_arguments_of_train_py():
    flags = {**FLAGS, "cooperation": True, "tight_frame": False, "ridge": None}
    options = run_options.parse(runs.arguments(flags))
    assert options.cooperation is True
    assert options.tight_frame is False
    assert options.ridge is None
    assert options.filters == ["4", "8"]


def test_projection_is_the_best_linear_one():
    images = np.concatenate([IMAGES, IMAGES[:, ::-1]])
    projection = runs.Projection(images, 5)
    flat = images.reshape(len(images), -1).astype("float64")
    mean = flat.mean(0)
    values = np.linalg.svd(flat - mean, compute_uv=False)
    others = projection.decode(projection.encode(images))
    assert np.abs(others).max() <= 1
    error = np.sum((images - others) ** 2)
    assert error == pytest.approx(np.sum(values[5:] ** 2), rel=1e-2)


def test_noise_is_what_it_says():
    images = np.zeros((50, 32, 32, 3), "float32")
    noisy = noise.add(images, "gaussian", 0.1)
    assert np.std(noisy) == pytest.approx(0.2, rel=0.02)
    noisy = noise.add(images, "salt_and_pepper", 0.2)
    assert set(np.unique(noisy)) == {-1.0, 0.0, 1.0}
    hit = np.any(noisy != 0, -1)
    assert np.mean(hit) == pytest.approx(0.2, rel=0.05)
    assert np.mean(noisy[hit]) == pytest.approx(0, abs=0.03)
    noisy = noise.add(images + 1, "missing", 0.3)
    assert np.mean(noisy == 0) == pytest.approx(0.3, rel=0.05)


def test_parameter_is_chosen_on_validation_images():
    """A method that scales noisy images: the best scale is Wiener's."""
    random = np.random.default_rng(0)
    clean = {
        split: random.choice([-0.5, 0.5], (20, 8, 8, 1)).astype("float32")
        for split in ("validation", "test")
    }
    scales = (0.2, 0.5, 0.8, 1.0)
    methods = {"scaling": (lambda images, scale: images * scale, scales)}
    figures = noise.denoising(methods, clean, "gaussian")
    for level, found in figures.items():
        wiener = 0.25 / (0.25 + (2 * float(level)) ** 2)
        nearest = min(scales, key=lambda scale: abs(scale - wiener))
        assert found["scaling"]["parameter"] == nearest
        assert found["scaling"]["psnr"] >= found["noisy"] - 1e-6


def test_peers_denoise():
    ramp = np.linspace(-0.8, 0.8, 32, dtype="float32")
    images = np.broadcast_to(ramp[:, None, None], (2, 32, 32, 1))
    clean = {"validation": images, "test": images}
    figures = noise.denoising(noise.peers(), clean, "gaussian")["0.1"]
    for method in ("total variation", "non-local means"):
        assert figures[method]["psnr"] > figures["noisy"] + 5


def test_strips_come_back(tmp_path):
    images = np.round((IMAGES[:4, :, :] + 1) * 127.5) / 127.5 - 1
    drawing.save_strips(tmp_path / "x.png", [images, -images])
    first, second = drawing.load_strips(tmp_path / "x.png", side=16)
    np.testing.assert_allclose(first[..., :1], images, atol=1e-6)
    np.testing.assert_allclose(second[..., :1], -images, atol=1 / 127)


def test_rows_are_found_by_what_they_describe(tmp_path):
    rows = Rows(tmp_path)
    piece = Piece("rate", Run("pixel", "digits", {"steps": 2, "seed": 1}), {})
    same = Piece("rate", Run("pixel", "digits", {"seed": 1, "steps": 2}), {})
    other = Piece("rate", Run("pixel", "digits", {"steps": 3, "seed": 1}), {})
    rows.put(piece, {"psnr": 1.5}, seconds=2)
    assert rows.figures(same) == {"psnr": 1.5}
    assert rows.get(other) is None


# === Verdicts ===


class Figures(tables.Results):
    """Results that are written down: `(study, labels, figures)`."""

    def __init__(self, *rows):
        self.scale = types.SimpleNamespace(
            sets=("digits",), tested=("digits", "fashion_mnist"), longer=4
        )
        self.studies = {}
        for study, labels, figures in rows:
            measure = "unseen" if study == "2" else "evaluation"
            self.studies.setdefault(study, []).append(
                tables.Result(
                    labels, Piece(measure, None, {}), {"figures": figures}
                )
            )


def quality_rows(**values):
    return [
        (
            "1",
            {"data": "digits", "budget": "equal images", "contender": key},
            {"psnr": value},
        )
        for key, seeds in values.items()
        for value in seeds
    ]


@pytest.mark.parametrize(
    "ours, verdict",
    [
        ((25.0, 25.2), verdicts.HOLDS),
        ((20.5, 23.5), verdicts.PARTLY),  # within two deviations of conv
        ((15.0, 15.2), verdicts.NOT_SHOWN),
    ],
)
def test_quality_needs_more_than_two_deviations(ours, verdict):
    results = Figures(
        *quality_rows(ours=ours, conv=(20.9, 21.1), vae=(16.0, 16.1))
    )
    assert verdicts.quality(results, "ours")[0] == verdict


def batch_rows(values, key="ours"):
    return [
        ("3", {"contender": key, "batch": batch}, {"psnr": value})
        for batch, value in values.items()
    ]


@pytest.mark.parametrize(
    "values, verdict",
    [
        ({16: 24.2, 64: 25.0, 256: 24.9}, verdicts.HOLDS),
        ({16: 20.0, 64: 24.5, 256: 25.0}, verdicts.PARTLY),
        ({16: 20.0, 64: 21.0, 256: 25.0}, verdicts.NOT_SHOWN),
        ({}, verdicts.MISSING),
    ],
)
def test_small_batches(values, verdict):
    results = Figures(*batch_rows(values))
    assert verdicts.small_batches(results, "ours")[0] == verdict


def test_small_losses_are_no_merit_of_images_that_do_not_come_back():
    rows = batch_rows({16: 5.2, 64: 5.5})
    for share, verdict in ((1.0, verdicts.HOLDS), (0.1, verdicts.NOT_SHOWN)):
        labels = {"data": "digits", "budget": "equal images"}
        own = ("1", {**labels, "contender": "ours"}, {"retrieval": share})
        results = Figures(own, *rows)
        assert verdicts.small_batches(results, "ours")[0] == verdict


def test_table_of_some_values_of_a_label():
    """Results without the label are in no such table."""
    rows = batch_rows({16: 20.0, 64: 21.0, 256: 25.0})
    results = Figures(*rows, ("3", {"contender": "ours"}, {"psnr": 1.0}))
    columns = [("PSNR", "psnr", "{:.1f}")]
    table = tables.table(
        results, "3", {"batch": "batch"}, columns, batch=(16, 256)
    )
    assert table.splitlines()[2:] == ["| 16 | 20.0 |", "| 256 | 25.0 |"]


@pytest.mark.parametrize(
    "figures, longer, verdict",
    [
        (({"psnr": 24.0}, {"psnr": 23.0}), 24.5, verdicts.HOLDS),
        (({"psnr": 24.0}, {"psnr": 20.0}), 24.5, verdicts.PARTLY),
        (({"psnr": 24.0}, {"failed": "NaN"}), 24.5, verdicts.NOT_SHOWN),
        (({"psnr": 24.0}, {"psnr": 23.0}), 20.0, verdicts.NOT_SHOWN),
    ],
)
def test_stability(figures, longer, verdict):
    rows = [
        ("4", {"contender": "ours", "rate": rate, "longer": 1}, each)
        for rate, each in zip((1, 10), figures)
    ]
    rows.append(
        ("4", {"contender": "ours", "rate": 1, "longer": 4}, {"psnr": longer})
    )
    assert verdicts.stability(Figures(*rows), "ours")[0] == verdict


def test_every_claim_bears_results_that_are_missing():
    for claim in verdicts.CLAIMS:
        assert claim.judge(Figures(), "ours")[0] == verdicts.MISSING
