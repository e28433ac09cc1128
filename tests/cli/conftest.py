import signal

from keras_csc_cli import building
from keras_csc_cli import interruption

import pytest

from keras_csc import callbacks
from keras_csc.callbacks.checkpoints import steps_taken
from keras_csc.export import saved_model
from tests.helpers.exporting import one_signature


@pytest.fixture(scope="module", autouse=True)
def few_images():
    """Evaluations and densities are of few images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "MOST_IMAGES", 60)
        yield


@pytest.fixture(autouse=True)
def handlers():
    """Signals are handled after a test as they were before."""
    numbers = interruption.NUMBERS
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)
    interruption.received.clear()


@pytest.fixture
def short_export(monkeypatch):
    """An export has one signature: to trace all of them takes seconds."""
    monkeypatch.setattr(saved_model, "signatures", one_signature)


@pytest.fixture
def after_step(monkeypatch):
    """Returns a function that has an action done in training.

    It is given a step, after which the action is called with the model: first
    of all that is done after this step, or last.
    """

    def arrange(step, action, last=False):
        name = "TrainingCheckpoint" if last else "StopOnNonFinite"
        base = getattr(callbacks, name)

        class Acting(base):
            def on_train_batch_end(self, batch, logs=None):
                if not last and steps_taken(self.model) == step:
                    action(self.model)
                super().on_train_batch_end(batch, logs)
                if last and steps_taken(self.model) == step:
                    action(self.model)

        monkeypatch.setattr(callbacks, name, Acting)

    return arrange
