"""Other hosts and pages do not reach the explorer's page."""

import asyncio

import pytest

from keras_csc.explorer.guard import Guard


def asked(kind="http", **headers):
    """Whether a request reaches the application, and what is answered."""
    reached, sent = [], []

    async def app(scope, receive, send):
        reached.append(scope)

    async def send(message):
        sent.append(message)

    headers = [(k.encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": kind, "method": "POST", "headers": headers}
    asyncio.run(Guard(app)(scope, None, send))
    return bool(reached), sent


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:7860"},
        {"host": "[::1]:7860"},
        {"host": "localhost:7860", "origin": "http://localhost:7860"},
    ],
)
def test_the_page_itself_is_answered(headers):
    assert asked(**headers) == (True, [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "evil.example:7860"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "evil.example@[::1"},
        {"host": "localhost:7860", "origin": "http://localhost:8888"},
        {"host": "localhost:7860", "origin": "null"},
    ],
)
def test_others_are_refused(headers):
    reached, (start, body) = asked(**headers)
    assert not reached and start["status"] == 403
    assert b"this page" in body["body"].lower()
    reached, (closed,) = asked("websocket", **headers)
    assert not reached and closed["type"] == "websocket.close"
