"""The first steps of `digits.flags` log what they once logged."""

import json

import pytest

from tests.helpers import golden

TOLERANCE = 1e-4  # relative
# Of shares of zeros: codes appear and vanish by the rounding of a processor.
OF_SHARES = 1e-3


def test_terms_are_the_stored_ones(eager, tmp_path):
    """If they are meant to change: `python -m tests.helpers.golden`."""
    expected = json.loads(golden.PATH.read_text())
    found = golden.logged(tmp_path / "run")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        share = name.startswith("zero_fraction/")
        most = {"abs": OF_SHARES} if share else {"rel": TOLERANCE}
        assert found[name] == pytest.approx(value, **most), name
