"""Who may ask the explorer's server: its own page alone."""

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse


class OwnPages:
    """An ASGI application that refuses what another page asks."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        app = self._app
        if scope["type"] != "lifespan":
            headers = Headers(scope=scope)
            own = f"http://{headers.get('host')}"
            if headers.get("origin", own) != own:
                app = PlainTextResponse("Only its own page may ask.\n", 403)
        await app(scope, receive, send)
