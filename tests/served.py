"""A web server for the tests: real sockets, ranges as RFC 9110 has them, and trouble on demand."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What was asked for, and what was sent."""

    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0
    authorization: str | None = None
    time: float = field(default_factory=time.monotonic)


@dataclass
class Trouble:
    """How the server misbehaves with one path.

    status: answered instead of the file. headers: besides those that every answer has.
    location: where it sends the client instead.
    cut_after: the connection ends after so many bytes of a body.
    pause: seconds before each piece of a body, of `piece` bytes. stall: seconds after the first.
    slices: the most bytes that it sends of a range, as it may.
    ranges, if_range: whether it knows of them. validators: which headers tell the file's version.
    """

    status: int = 0
    cut_after: int = -1
    pause: float = 0.0
    stall: float = 0.0
    slices: int = 0
    piece: int = 1 << 14
    ranges: bool = True
    if_range: bool = True
    validators: tuple[str, ...] = ("ETag", "Last-Modified")
    headers: dict[str, str] = field(default_factory=dict)
    location: str = ""


class Served:
    """`with Served({"/a.bin": b"..."}) as server:` serves these at `server.url`."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})
        self.trouble: dict[str, Trouble | list[Trouble]] = {}  # a list: one after the other
        self.requests: list[Request] = []
        self.most_at_once = 0  # bodies that were on their way together
        self._under_way = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Served:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def sent(self) -> int:
        """Bytes of bodies, in all answers together."""
        return sum(request.sent for request in self.requests)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = Request(
            handler.path,
            handler.headers.get("Range"),
            handler.headers.get("If-Range"),
            authorization=handler.headers.get("Authorization"),
        )
        self.requests.append(request)
        trouble = self.trouble.get(handler.path, [])
        if isinstance(trouble, list):
            trouble = trouble.pop(0) if trouble else Trouble()
        content = self.files.get(handler.path)
        if trouble.location:
            return self._status(handler, request, 302, {"Location": trouble.location})
        if trouble.status:
            return self._status(handler, request, trouble.status, trouble.headers)
        if content is None:
            return self._status(handler, request, 404)
        versions = {
            "ETag": f'"{hashlib.md5(content).hexdigest()}"',
            "Weak": f'W/"{hashlib.md5(content).hexdigest()}"',
            "Last-Modified": f"Mon, 02 Jan 2023 00:00:{content[0] % 60:02d} GMT",
        }
        headers = {
            name.replace("Weak", "ETag"): versions[name] for name in trouble.validators
        } | trouble.headers
        start = self._start(request, trouble, headers)
        if start >= len(content) and start:
            return self._status(handler, request, 416, {"Content-Range": f"bytes */{len(content)}"})
        rest = content[start:]
        if start:
            rest = rest[: trouble.slices or None]
            end = start + len(rest) - 1
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        request.status = 206 if start else 200
        handler.send_response(request.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(rest)))
        handler.end_headers()
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        self._body(handler, request, trouble, rest)
        self._under_way -= 1

    @staticmethod
    def _start(request: Request, trouble: Trouble, headers: dict[str, str]) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        if not trouble.ranges or asked is None:
            return 0
        if trouble.if_range and request.if_range and request.if_range not in headers.values():
            return 0
        return int(asked[1])

    @staticmethod
    def _body(
        handler: BaseHTTPRequestHandler, request: Request, trouble: Trouble, content: bytes
    ) -> None:
        limit = len(content)
        if 0 <= trouble.cut_after < limit:
            limit = trouble.cut_after
        for begun in range(0, limit, trouble.piece):
            time.sleep(trouble.stall if begun and trouble.stall else trouble.pause)
            piece = content[begun : min(begun + trouble.piece, limit)]
            try:
                handler.wfile.write(piece)
            except OSError:  # the client went away
                handler.close_connection = True
                return
            request.sent += len(piece)
        if limit < len(content):
            handler.close_connection = True

    @staticmethod
    def _status(
        handler: BaseHTTPRequestHandler,
        request: Request,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> None:
        request.status = status
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
