"""The server of the app: Streamlit's, on this machine's own address, for requests that name this machine alone.

Pages show what was measured here and let the reader load models, so nobody else may open them: the server listens on
the loopback address. A page of another site can still make a browser send requests there, and can have its own name
point at that address. So every request whose Host is not this machine's is refused, and the browser is told to load
nothing from elsewhere.
"""

import base64
import hashlib
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.app.served import Served, serve_these

ADDRESS = "127.0.0.1"
HOSTS = (ADDRESS, "localhost")
PORT = 8501
HIGHEST_PORT = 65_535
NEEDED = ("streamlit", "plotly")  # packages of the extra
SCRIPT = Path(__file__).with_name("script.py")
SETTINGS: dict[str, Any] = {  # they take precedence over a person's own of Streamlit
    "server.address": ADDRESS,
    "server.headless": True,  # open no browser, ask for no e-mail address
    "server.allowedHosts": list(HOSTS),
    "server.enableCORS": True,
    "server.corsAllowedOrigins": [],
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.maxUploadSize": 1,  # MB; no page takes a file
    "client.allowedOrigins": [],
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "browser.gatherUsageStats": False,
    "global.developmentMode": False,
    "runner.magicEnabled": False,
    "logger.hideWelcomeMessage": True,
}
# Streamlit's pages build styles as they go, and its charts make pictures of themselves. Its one script that stands in
# the page itself is known by its digest.
POLICY = (
    "default-src 'self'; script-src 'self' {digests} 'unsafe-eval' 'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A browser keeps a page that is left, to come back to it, and with it the connection: it would go on to be answered.
NOT_KEPT = (b"cache-control", b"no-store")
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class NotInstalled(RuntimeError):
    """A package that the app needs is missing; the message names the extra."""


class CannotServe(ValueError):
    """The port is in use or is none; the message is one sentence."""


class AddHeaders:
    """ASGI middleware that adds these headers to every response, and NOT_KEPT to pages."""

    def __init__(self, app: Callable[..., Awaitable[None]], headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                if any(value.startswith(b"text/html") for name, value in given if name == b"content-type"):
                    given = [(name, value) for name, value in given if name != b"cache-control"] + [NOT_KEPT]
                message["headers"] = [*given, *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def require_packages() -> None:
    """Raise NotInstalled if streamlit or plotly is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise NotInstalled(f'the app needs {" and ".join(missing)}; pip install "lorabench[app]"')


def check_port(port: int) -> None:
    """Raise CannotServe for a port that is none or that another program listens on."""
    if not 1 <= port <= HIGHEST_PORT:
        raise CannotServe(f"--port {port} must be between 1 and {HIGHEST_PORT}")
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            found.bind((ADDRESS, port))
        except OSError as error:
            raise CannotServe(
                f"--port {port} cannot be used ({error.strerror}); another app may be running, give another port"
            ) from None


def serve(served: Served, port: int, ready: Callable[[str], None]) -> None:
    """Serve the pages until Ctrl-C; ready(address) is called before the server starts.

    Raises NotInstalled, CannotServe.
    """
    require_packages()
    check_port(port)
    serve_these(served)
    ready(f"http://{ADDRESS}:{port}")
    try:
        with suppress(KeyboardInterrupt):
            make_app().run(config={**SETTINGS, "server.port": port})
    finally:
        served.asking.stop()


def headers() -> list[tuple[bytes, bytes]]:
    """What every response tells the browser."""
    return [
        (b"content-security-policy", POLICY.format(digests=" ".join(digests_of_scripts())).encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]


def digests_of_scripts() -> list[str]:
    """The digests, as a policy writes them, of the scripts inside the one page that Streamlit serves."""
    page = files("streamlit").joinpath("static", "index.html").read_text(encoding="utf-8")
    digests = (hashlib.sha256(script.encode()).digest() for script in INLINE.findall(page))
    return [f"'sha256-{base64.b64encode(one).decode()}'" for one in digests]


def make_app(hosts: Sequence[str] = HOSTS) -> Any:
    """The ASGI app, which answers requests to these hosts alone."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from streamlit.starlette import App

    guards = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        Middleware(AddHeaders, headers=headers()),
    ]
    return App(SCRIPT, middleware=guards)
