"""The small server under load, where `make serving` has installed KServe."""

import pytest

from benchmarks import serving


@pytest.mark.skipif(not serving.PYTHON.exists(), reason="needs make serving")
def test_bad_requests_are_refused_and_fail_no_others(unused_port):
    rows = list(serving.measure(unused_port, [(8, 160)]))
    assert [row["batching"] for row in rows] == [False, True]
    for row in rows:
        assert (row["right"], row["refused"]) == (144, 16)
        assert not row["crashed"]
