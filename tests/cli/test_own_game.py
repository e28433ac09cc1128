"""A game of one's own: one function, in a class of `Game` alone."""

import json

from keras_csc_cli import building
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import Game
from keras_csc.losses import Term
from tests.helpers import runs
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_weights

pytestmark = pytest.mark.usefixtures("eager")
ONE_PASS = (0.03,)
IN_TURNS = (0.03, 0.05)
GAME_CLASS = f"--game_class={__name__}:MeansGame"


@keras.saving.register_keras_serializable()
class MeansGame(Game):
    """The encoder draws the means of `Z` and `Ẑ` apart, the decoder together.

    Args:
        weight: float.
        memory: float in `[0, 1)`.
        named: bool, whether `moment_shapes` names the moment that is kept.
    """

    def __init__(self, weight=1.0, memory=0.0, named=True):
        self.weight, self.memory, self.named = weight, memory, named

    def terms(self):
        weights = {"encoder": -self.weight, "decoder": self.weight}
        return [Term(("apart",), self.distance, **weights)]

    def moment_shapes(self, feature_dim):
        return {"apart" if self.named else "other": (feature_dim,)}

    def distance(self, loop):
        sums = loop.sums({"apart": tf.reduce_sum(loop.z - loop.z_hat, 0)})
        return (tf.reduce_sum(sums["apart"] ** 2),)


def compiled(game, rates):
    keras.utils.set_random_seed(0)
    model = small_autoencoder(filters=(3,))
    spread_weights(model)
    model.compile(*map(keras.optimizers.SGD, rates), game=game)
    return model


def apart(model, images):
    """Difference of the sums of features, in training."""
    real = model.encoder.run_stages(images, training=True)
    made = model.decoder(
        real.features, training=True, statistics=real.statistics
    )
    again = model.encoder.run_stages(made, training=True)
    return np.sum(real.features - again.features, 0)


@pytest.mark.parametrize("rates", [ONE_PASS, IN_TURNS], ids=str)
@pytest.mark.parametrize("memory", [0.0, 0.75])
def test_fit_trains_it(tmp_path, rates, memory):
    """And a file holds the game, its memory and its arguments."""
    model = compiled(MeansGame(0.5, memory), rates)
    images, _ = small_batch()
    before = model.encoder.get_weights() + model.decoder.get_weights()
    difference = apart(model, images)
    logs = model.fit(images, batch_size=8, verbose=0, shuffle=False).history
    assert set(logs) == {"apart", "loss"} and logs["loss"] == logs["apart"]
    if rates is ONE_PASS:
        assert logs["apart"][0] == pytest.approx(
            np.sum(difference**2), rel=1e-4
        )
        if memory:
            found = model.moment_memory.variables["apart"]
            np.testing.assert_allclose(found, difference, rtol=1e-3, atol=1e-5)
    after = model.encoder.get_weights() + model.decoder.get_weights()
    assert not any(map(np.array_equal, before, after))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.game.get_config() == model.game.get_config()
    for each in (model, loaded):
        each.train_step((images,))
    for one, other in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("memory", [0.0, 0.75])
@pytest.mark.parametrize(
    "rates, rises", [((3e-4, 0.0), True), ((0.0, 3e-4), False)]
)
def test_the_encoder_ascends_it_and_the_decoder_descends_it(
    memory, rates, rises
):
    model = compiled(MeansGame(memory=memory), rates)
    images, _ = small_batch()
    before = np.sum(apart(model, images) ** 2)
    model.train_step((images,))
    after = np.sum(apart(model, images) ** 2)
    assert after > before if rises else after < before


@pytest.mark.parametrize("rates", [ONE_PASS, IN_TURNS], ids=str)
def test_a_moment_without_a_shape_is_an_error(rates):
    model = compiled(MeansGame(memory=0.5, named=False), rates)
    with pytest.raises(ValueError, match="moment_shapes.*: apart. Received: o"):
        model.fit(small_batch()[0], verbose=0)


@pytest.mark.parametrize("rates", [ONE_PASS, IN_TURNS], ids=str)
def test_the_command_trains_it(tmp_path, rates):
    """Of a flag file it takes the arguments that it has."""
    flags = ["--flagfile=digits.flags", GAME_CLASS, "--game=weight=0.5"]
    rates = ",".join(map(str, rates))
    flags += ["--steps=2", "--batch_size=16", "--first_atoms=random"]
    flags += ["--game=memory=0.75", "--metrics=", f"--learning_rate={rates}"]
    train.train(runs.options([*runs.TINY, *flags], tmp_path))
    log = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert log["step"] == 2 and log["apart"] > 0
    assert "objective" not in log


def test_the_command_says_what_it_leaves_out(capsys):
    given = {"epsilon": 2.0, "multistage": 30.0}
    name = GAME_CLASS.split("=")[1]
    game = building.game({**given, "memory": 0.75}, 10, name)
    assert game.memory == 0.75
    assert "without epsilon, multistage" in capsys.readouterr().err
    parts = "studies.games:PartsOfMulti"
    game = building.game({**given, "parts": "real"}, 10, parts)
    assert (game.epsilon, game.multistage, game.parts) == (2, 30, ("real",))
    assert not capsys.readouterr().err


def test_the_command_names_an_argument_that_it_lacks():
    options = train_options.parse([GAME_CLASS, "--game=wieght=0.5"])
    with pytest.raises(UsageError, match="^--game: .*'wieght'"):
        building.game(options.game, 10, options.game_class)
