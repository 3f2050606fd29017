"""A server of one page to those who know its address: there is a random token in it.

Whatever comes without the token, by another host's name (as a page elsewhere would that had its own
name lead here) or by another method is refused before anything is looked at.
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TOKEN_BYTES = 24
MOST_BODY = 4096  # bytes of what a page sends
SECONDS = 30  # that a request may take to arrive
NAME = re.compile(r"\w[\w.-]*", re.ASCII)  # of all that is served; nothing in a path is decoded
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class Reply(NamedTuple):
    """What is answered."""

    content: bytes
    kind: str
    status: HTTPStatus = HTTPStatus.OK


def json_reply(data: Any, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    """Raises ValueError for numbers that JSON has not."""
    return Reply(json.dumps(data, allow_nan=False).encode(), JSON, status)


Get = Callable[[Sequence[str]], Reply | None]
Post = Callable[[Sequence[str], Mapping[str, Any]], Reply | None]


class PageServer(ThreadingHTTPServer):
    """Listens once it is made; answers once `serve_forever` runs.

    get, post: what is at a path, its parts after the token; of a POST with the object that came;
        None where there is nothing. They are called from several threads.
    port: 0 for a free one.
    Raises OSError, in one line, where it cannot listen.
    """

    daemon_threads = True
    address_family: int

    def __init__(self, host: str, port: int, get: Get, post: Post) -> None:
        self.get, self.post = get, post
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.address_family = found[0]
            super().__init__(found[4][:2], _Handler)  # type: ignore[arg-type]
        except OSError as error:
            raise OSError(_why(error, host, port)) from error
        self.named = host.lower()
        bound = ip_address(str(self.server_address[0]).partition("%")[0])
        self.everywhere, self.loopback = bound.is_unspecified, bound.is_loopback

    def server_bind(self) -> None:
        """As the standard library's, without its look-up of this machine's name."""
        TCPServer.server_bind(self)

    @property
    def address(self) -> str:
        """Where the page is."""
        name = socket.gethostname() if self.everywhere else self.named
        shown = f"[{name}]" if ":" in name else name
        return f"http://{shown}:{self.server_address[1]}/{self.token}/"

    def knows(self, host: str) -> bool:
        """Whether a request's Host is a name of this server: the one it was given, or this
        machine's; or an address, which unlike a name cannot be made to lead here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == self.named or (name == "localhost" and (self.loopback or self.everywhere)):
            return True
        if self.everywhere and name == socket.gethostname().lower():
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback if self.loopback else True


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = SECONDS

    def parse_request(self) -> bool:
        """Whether it is to be answered at all."""
        if not super().parse_request():
            return False
        refused = self._refused()
        if refused:
            self.send_error(refused)
        return not refused

    def _refused(self) -> HTTPStatus | None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.knows(hosts[0]):
            return HTTPStatus.FORBIDDEN
        token, *rest = self.path.removeprefix("/").split("/")
        given, own = token.encode(errors="replace"), self.server.token.encode()
        if not self.path.startswith("/") or not secrets.compare_digest(given, own):
            return HTTPStatus.FORBIDDEN
        if self.command not in ("GET", "POST"):
            return HTTPStatus.METHOD_NOT_ALLOWED
        origin = self.headers.get("Origin", f"http://{hosts[0]}")
        if self.command == "POST" and origin.lower() != f"http://{hosts[0]}".lower():
            return HTTPStatus.FORBIDDEN
        self.parts = rest if rest != [""] else ["index.html"]
        fitting = self.parts and all(NAME.fullmatch(part) for part in self.parts)
        return None if fitting else HTTPStatus.NOT_FOUND

    def do_GET(self) -> None:  # the library's name
        reply = self.server.get(self.parts)
        self._send(reply) if reply else self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        data = self._body()
        if not isinstance(data, dict):
            return self.send_error(data)
        reply = self.server.post(self.parts, data)
        self._send(reply) if reply else self.send_error(HTTPStatus.NOT_FOUND)

    def _body(self) -> dict[str, Any] | HTTPStatus:
        """The object that was sent, or why it is not taken."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            return HTTPStatus.LENGTH_REQUIRED
        if len(length) > len(str(MOST_BODY)) or int(length) > MOST_BODY:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        body = self.rfile.read(int(length))
        if self.headers.get_content_type() != JSON:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        try:
            data = json.loads(body.decode())
        except (ValueError, RecursionError):
            return HTTPStatus.BAD_REQUEST
        return data if isinstance(data, dict) else HTTPStatus.BAD_REQUEST

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """In words of its own: a request's are not repeated."""
        status = HTTPStatus(code)
        self.close_connection = True
        self._send(Reply(f"{status.phrase}\n".encode(), TEXT, status))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": reply.kind, "Content-Length": str(len(reply.content))}
        for name, value in (headers | HEADERS).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content)

    def version_string(self) -> str:
        """Of what is served alone."""
        return "atari-zoo"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the token would stand in it."""


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; give another one with --port, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} is not for you; give one above 1023 with --port, or 0"
    return f"cannot listen at {host}, port {port}: {error.strerror or error}; --host is another"
