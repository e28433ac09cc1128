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
        {"host": "LOCALHOST"},
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
        {"host": ""},
        {"host": "evil.example:7860"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "evil.example@[::1"},
        {"host": "localhost:7860", "origin": "http://evil.example"},
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


@pytest.mark.parametrize("begun", [False, True])
def test_what_the_application_fails_at_is_one_line(capsys, begun):
    sent = []

    async def app(scope, receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200})
        raise KeyError("no\nsuch")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": "/a\n", "headers": [(b"host", b"[::1]")]}
    asyncio.run(Guard(app)(scope, None, send))
    assert sent[0]["status"] == (200 if begun else 400)
    assert len(sent) == (1 if begun else 2)
    assert capsys.readouterr().err == "'/a\\n': KeyError: 'no\\nsuch'\n"
