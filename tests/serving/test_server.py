"""The small server under load, where `make serving` has installed KServe."""

import pytest

from benchmarks import serving


@pytest.mark.skipif(not serving.PYTHON.exists(), reason="needs make serving")
def test_bad_requests_are_refused_and_fail_no_others(unused_port):
    parts = [(8, 160)]
    (row,) = serving.measure(unused_port, parts, modes=[True])
    assert (row["right"], row["refused"]) == (144, 16)
    assert not row["crashed"]
