"""The playground's local server: the page, and one session for each of its tabs.

It listens on 127.0.0.1 only. Every address begins with a random token, so other pages and other
users of the machine cannot use it; a request that names another host or comes from another site's
page is refused. It reads no file but those of the page, once, at the start.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import socket
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from nnreg.playground.session import Session

MAX_BODY = 5_000_000  # bytes of a message: more than the characters of the largest CSV file
MAX_SESSIONS = 16
MAX_CONNECTIONS = 32
TIMEOUT = 60  # seconds without data, after which a connection is closed

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FIRST = ("hello", "preset", "restore")  # messages that may create a session


def read_page() -> dict[str, bytes]:
    """Return the files of the page by name."""
    page = files("nnreg.playground") / "page"
    return {
        file.name: file.read_bytes() for file in page.iterdir() if file.name.endswith(tuple(TYPES))
    }


class Server(ThreadingHTTPServer):
    """The server of one user on this machine.

    Parameters
    ----------
    port : int, default 0
        0 selects a free port.

    Attributes
    ----------
    token : str
    address : str
        Of the page.
    """

    daemon_threads = True
    request_queue_size = 128  # connections that wait to be accepted
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, port: int = 0) -> None:
        self.page, self.token = read_page(), secrets.token_urlsafe(16)
        self.sessions: OrderedDict[str, tuple[Session, Any]] = OrderedDict()
        self.connections: OrderedDict[int, socket.socket] = OrderedDict()
        self.lock = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            text = f"port {port} cannot be used ({error.strerror}): give another --port, or none, "
            raise OSError(f"{text}and a free one is selected") from None
        self.port = int(self.server_address[1])
        self.address = f"http://127.0.0.1:{self.port}/{self.token}/"

    def handle(self, key: str, message: Any) -> dict[str, Any]:
        """Return the reply of the tab's session; the one unused for longest makes room."""
        do = message.get("do") if isinstance(message, dict) else None
        with self.lock:
            if key not in self.sessions and do not in FIRST:
                text = f"this session was closed, since {MAX_SESSIONS} newer ones are open"
                return {"error": {"message": f"{text}: reload the page", "gone": True}}
            if key not in self.sessions:
                self.sessions[key] = Session(), threading.Lock()
            self.sessions.move_to_end(key)
            if len(self.sessions) > MAX_SESSIONS:
                self.sessions.popitem(last=False)
            session, lock = self.sessions[key]
        with lock:
            return session.handle(message)

    # A connection that waits for its next request has a thread. If there are too many, the one
    # unused for longest is closed.

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a new connection in a new thread."""
        self.use(request)
        super().process_request(request, client_address)

    def use(self, connection: socket.socket) -> None:
        """Note that a connection is in use, and close the oldest if there are too many."""
        with self.lock:
            self.connections[id(connection)] = connection
            self.connections.move_to_end(id(connection))
            if len(self.connections) > MAX_CONNECTIONS:
                _, oldest = self.connections.popitem(last=False)
                _close(oldest)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that has ended."""
        with self.lock:
            self.connections.pop(id(request), None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that leave; print other errors."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):  # it may have been closed
        connection.shutdown(socket.SHUT_RDWR)


class _Refused(Exception):  # noqa: N818  # a reply
    """A request that is not answered: status and reason."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "nnreg", ""
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    wbufsize = -1  # headers and body in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # the name that the base class calls
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, method: Callable[[], tuple[str, bytes]]) -> None:
        self.server.use(self.connection)
        status = 200
        try:
            self._check()
            kind, body = method()
        except _Refused as refused:
            status, reason = refused.args
            kind, body = "text/plain", reason.encode()
            self.close_connection = True  # the rest of the request is not read
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _check(self) -> None:
        """Refuse a wrong host, a wrong origin or a wrong token."""
        hosts = [f"{name}:{self.server.port}" for name in ("127.0.0.1", "localhost")]
        if self.headers.get_all("Host", []) not in [[host] for host in hosts]:
            raise _Refused(403, "wrong host")
        origins = self.headers.get_all("Origin", [])
        if any(origin not in [f"http://{host}" for host in hosts] for origin in origins):
            raise _Refused(403, "wrong origin")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise _Refused(403, "wrong origin")
        _, token, *name = self.path.partition("?")[0].split("/", 2)
        if not name or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _Refused(404, "not found: use the address that nnreg playground printed")
        self.name = name[0]

    def _get(self) -> tuple[str, bytes]:
        name = self.name or "index.html"
        if name not in self.server.page:
            raise _Refused(404, "not found")
        return TYPES[name[name.rindex(".") :]], self.server.page[name]

    def _post(self) -> tuple[str, bytes]:
        length = self.headers.get("Content-Length", "")
        if self.name != "api" or self.headers.get_content_type() != "application/json":
            raise _Refused(404, "not found")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY:
            raise _Refused(413, f"a message must have a length of at most {MAX_BODY:,} bytes")
        key = self.headers.get("X-Session", "")
        if not re.fullmatch("[0-9A-Za-z-]{8,64}", key):
            raise _Refused(400, "X-Session must be 8 to 64 letters and digits")
        body = self.rfile.read(int(length))
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise _Refused(400, "a message must be JSON") from None
        try:
            reply = self.server.handle(key, message)
        except Exception as error:
            traceback.print_exc()
            text = f"{type(error).__name__}: {error} (a fault of nnreg)"
            reply = {"error": {"message": text}}
        return "application/json", json.dumps(reply, allow_nan=False).encode()

    def log_message(self, format: str, *args: Any) -> None:  # as in the base class
        """Print nothing."""
