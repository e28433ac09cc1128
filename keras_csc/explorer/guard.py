"""Who may ask a page that is for one machine; without Gradio, by ASGI alone."""

import sys
from urllib.parse import urlsplit

HOST = "127.0.0.1"
HOSTS = (HOST, "localhost", "::1")
SAID = b"This page is for the machine that serves it.\n"
UNKNOWN = b"The page makes no such request.\n"


class Guard:
    """An ASGI application that only pages of this machine reach.

    A request must name the machine as its host by one of `HOSTS`: a foreign
    name that leads here is one of DNS rebinding. If it says which page it
    comes from, that must be a page of the application itself. One that the
    application fails at is of no page: it is answered with 400.

    Args:
        app: the application.
    """

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan" or _is_own(scope["headers"]):
            await self._answered(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, 403, SAID)

    async def _answered(self, scope, receive, send):
        begun = False

        async def noted(message):
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if scope["type"] != "http":
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"{scope['path']!r}: {reason}", file=sys.stderr)
            if not begun:
                await _refuse(send, 400, UNKNOWN)


async def _refuse(send, status, text):
    headers = [(b"content-type", b"text/plain")]
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _is_own(headers):
    """Whether the hosts and origins of a request are this page's."""
    hosts = [value for name, value in headers if name == b"host"]
    origins = [value for name, value in headers if name == b"origin"]
    if len(hosts) != 1 or _name(b"//" + hosts[0]) not in HOSTS:
        return False
    return all(
        origin in (b"http://" + hosts[0], b"https://" + hosts[0])
        for origin in origins
    )


def _name(url):
    """The name of a URL's host, or `None`."""
    try:
        return urlsplit(url.decode("latin-1")).hostname
    except ValueError:
        return None
