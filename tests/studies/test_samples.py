"""The generators that samples are compared with, and their equal time."""

import numpy as np
import pytest
import tensorflow as tf

from studies import contenders
from studies import dcgan
from studies import diffusion
from studies import measure
from studies import samples
from studies import tables

RANDOM = np.random.default_rng(0)
SHAPE = (8, 8, 1)
STEPS = 50
ALPHAS = diffusion.alphas(diffusion.betas(STEPS, last=0.3))


def images(count=4):
    return RANDOM.uniform(-1, 1, (count, *SHAPE)).astype("float32")


# === Diffusion ===


def test_forward_process_has_the_moments_of_its_chain():
    """`x_t = √(1 - β_t) x_{t-1} + √β_t ε`, from a point, step by step."""
    mean, variance = 1.0, 0.0
    for step, beta in enumerate(diffusion.betas(STEPS, last=0.3), start=1):
        mean = np.sqrt(1 - beta) * mean
        variance = (1 - beta) * variance + beta
        one, zero = np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1))
        alpha = ALPHAS[step]
        found = np.asarray(diffusion.diffuse(one, zero, alpha)).item()
        assert found == pytest.approx(mean, rel=1e-6)
        found = np.asarray(diffusion.diffuse(zero, one, alpha)).item()
        assert found**2 == pytest.approx(variance, rel=1e-5)


def test_what_a_denoiser_is_trained_on():
    """Its noisy images are those of its noise and times, in every batch."""
    given, labels = images(256), np.arange(256, dtype="int32") % 3
    batches = tf.data.Dataset.from_tensors((given, labels)).repeat(2)
    found = list(diffusion.noised(batches, ALPHAS).as_numpy_iterator())
    for (noisy, times, classes), noise in found:
        assert times.min() >= 1 and times.max() <= STEPS
        assert len(set(times)) > STEPS / 2
        alpha = ALPHAS[times].reshape(-1, 1, 1, 1)
        expected = np.sqrt(alpha) * given + np.sqrt(1 - alpha) * noise
        np.testing.assert_allclose(noisy, expected, atol=1e-5)
        np.testing.assert_array_equal(classes, labels)
        assert np.mean(noise) == pytest.approx(0, abs=0.04)
        assert np.std(noise) == pytest.approx(1, abs=0.03)
    assert np.abs(found[0][1] - found[1][1]).max() > 1
    again = next(diffusion.noised(batches, ALPHAS).as_numpy_iterator())
    np.testing.assert_array_equal(again[1], found[0][1])


@pytest.mark.parametrize("steps", [1, 7])
def test_ddim_with_a_perfect_denoiser_recovers_the_image(steps):
    image, asked = images(), []

    def predict(noisy, time):
        asked.append(time)
        alpha = ALPHAS[time]
        return (noisy - np.sqrt(alpha) * image) / np.sqrt(1 - alpha)

    noise = RANDOM.standard_normal(image.shape)
    found = diffusion.ddim(predict, noise, ALPHAS, steps)
    np.testing.assert_allclose(found, image, atol=1e-4)
    assert len(asked) == steps and asked[0] == STEPS
    assert asked == sorted(set(asked), reverse=True) and asked[-1] >= 1


def test_denoiser_learns_and_makes_images_of_its_classes():
    model = diffusion.denoiser(SHAPE, (8,), 2)
    diffusion.compile_denoiser(model, 120, learning_rate=0.02)
    batches = tf.data.Dataset.from_tensors(
        (np.full((16, *SHAPE), 0.5, "float32"), np.arange(16) % 2)
    )
    batches = diffusion.noised(batches.repeat(), ALPHAS)
    losses = model.fit(batches, epochs=3, steps_per_epoch=40, verbose=0)
    losses = losses.history["loss"]
    assert losses[2] < losses[1] < losses[0]
    made = [
        diffusion.denoised_samples(model, labels, ALPHAS, 1, 5, 2)
        for labels in ([0, 1, 0, 1], [0, 1, 1, 1])
    ]
    assert made[0].shape == (4, *SHAPE) and np.abs(made[0]).max() <= 1
    # Its averaged weights have learned the images, all of one grey.
    assert np.mean(np.abs(made[0] - 0.5)) < 0.2
    same = np.all(made[0] == made[1], axis=(1, 2, 3))
    np.testing.assert_array_equal(same, [True, True, False, True])


# === DCGAN ===


def test_a_step_moves_both_players():
    """Adam's first step is of its rate in every weight: one for each."""
    model = dcgan.DCGAN(SHAPE, (8, 8), 4)
    model.compile()
    players = model.generator, model.discriminator
    before = [player.get_weights() for player in players]
    noise = np.ones((2, 4), "float32")
    assert model.decode(noise).shape == (2, *SHAPE)
    batches = tf.data.Dataset.from_tensors(images(16)).repeat()
    logs = model.fit(batches, steps_per_epoch=1, verbose=0).history
    assert set(logs) == {"generator_loss", "discriminator_loss"}
    for player, weights in zip(players, before):
        move = np.abs(player.get_weights()[0] - weights[0])
        assert np.median(move) == pytest.approx(2e-4, rel=0.01)
        assert move.max() <= 2.01e-4


# === Equal time ===


def test_rate_is_that_of_the_usual_step():
    """The first steps, and one that something else held up, don't count."""
    seconds = [0, 9, 10, 10.5, 11, 11.5, 12, 12.25, 12.5, 20, 20.25, 20.5]
    ticks = iter(seconds)
    times = contenders.StepTimes(clock=lambda: next(ticks))
    for number in range(len(seconds)):
        times.on_train_batch_end(number)
    assert times.images_per_second(32) == pytest.approx(32 / 0.25)


@pytest.mark.parametrize("name", contenders.CONTENDERS)
def test_every_contender_has_flags_that_parse(name, tmp_path):
    run = contenders.run_of(name, "cifar10", 7)
    options = measure.options_of(run, tmp_path, tmp_path)
    assert (options.dataset, options.steps) == ("cifar10", 7)
    published = len(options.learning_rate) > 1
    assert published == (name == "csc_ctrl_published")


def test_page_is_that_of_its_rows():
    text = samples.page(tables.rows_of(samples.TABLE))
    lines = [line for line in text.splitlines() if line.startswith(("|", "!"))]
    written = samples.PAGE.read_text().splitlines()
    assert lines == [line for line in written if line.startswith(("|", "!"))]
    assert len(lines) > 6
