"""The first steps of `digits.flags` log what they once logged."""

import json

import pytest

from tests.helpers import golden

TOLERANCE = 1e-4  # relative
# Of shares of zeros: codes appear and vanish by the rounding of a processor.
OF_SHARES = 1e-3


@pytest.fixture(scope="module")
def logged(run_script, tmp_path_factory):
    """What is logged now; in a process, which determinism is for as a whole."""
    folder = tmp_path_factory.mktemp("golden") / "run"
    finished = run_script("train.py", *golden.flags(folder))
    assert finished.returncode == 0, finished.stderr
    return golden.logged(folder)


EXPECTED = json.loads(golden.PATH.read_text())


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_terms_are_the_stored_ones(logged, number):
    """If they are meant to change: `python -m tests.helpers.golden`."""
    expected = EXPECTED[number]
    shares = {name for name in expected if name.startswith("zero_fraction/")}
    for names, most in (
        (shares, {"abs": OF_SHARES}),
        (expected.keys() - shares, {"rel": TOLERANCE}),
    ):
        stored = {name: expected[name] for name in names}
        found = {name: logged[number][name] for name in names}
        assert found == pytest.approx(stored, **most)
    assert logged[number].keys() == expected.keys()


def test_every_interval_is_stored(logged):
    assert [record["step"] for record in logged] == [5, 10, 15, 20]
    assert len(EXPECTED) == len(logged)
