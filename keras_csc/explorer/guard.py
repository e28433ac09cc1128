"""Who may ask a page that is for one machine; without Gradio, by ASGI alone."""

from urllib.parse import urlsplit

HOST = "127.0.0.1"
HOSTS = (HOST, "localhost", "::1")
SAID = b"This page is for the machine that serves it.\n"


class Guard:
    """An ASGI application that only pages of this machine reach.

    A request must name the machine as its host by one of `HOSTS`: a foreign
    name that leads here is a DNS rebinding. If a request says which page it
    comes from, it must be a page of the application itself.

    Args:
        app: the application.
    """

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan" or _is_own(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain")]
            start = {"type": "http.response.start", "status": 403}
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": SAID})


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
