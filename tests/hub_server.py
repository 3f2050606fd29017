"""A small Hugging Face Hub on this machine: its API for models and its files, on real sockets."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Repository:
    """Revisions by name; each has its files. gated, private: who may not have them."""

    revisions: dict[str, dict[str, bytes]]
    gated: bool = False
    private: bool = False

    def commit(self, revision: str) -> str:
        """Forty hexadecimal digits that depend on the content."""
        names = {self.commit_of(name): name for name in self.revisions}
        return revision if revision in names else self.commit_of(revision)

    def commit_of(self, name: str) -> str:
        content = repr(sorted(self.revisions[name].items())).encode()
        return hashlib.sha1(content).hexdigest()

    def files(self, revision: str) -> dict[str, bytes] | None:
        for name, files in self.revisions.items():
            if revision in (name, self.commit_of(name)):
                return files
        return None


@dataclass
class SmallHub:
    """`with SmallHub({"me/agent": Repository(...)}) as hub:` serves them at `hub.address`.

    status: answered to everything instead, if not 0.
    """

    repositories: dict[str, Repository]
    status: int = 0
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> SmallHub:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, body: bool) -> None:
        self.requests.append(handler.path)
        status, headers, content = self._found(handler)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if body:
            handler.wfile.write(content)

    def _found(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        if self.status:
            return self.status, {}, b"{}"
        where = urlsplit(handler.path)
        if where.path == "/api/models":
            owner = parse_qs(where.query).get("author", [""])[0]
            names = [name for name in self.repositories if name.startswith(f"{owner}/")]
            return 200, {}, json.dumps([{"id": name} for name in names]).encode()
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", where.path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", where.path)
        found = api or file
        if found is None:
            return 404, {}, b"{}"
        repo = self.repositories.get(found[1])
        signed = handler.headers.get("Authorization") == "Bearer hf_mine"
        if repo is None or (repo.private and not signed):
            return 404, {"X-Error-Code": "RepoNotFound"}, b'{"error": "Repository not found"}'
        revision = unquote(found[2] or "main")
        files = repo.files(revision)
        if files is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b'{"error": "Invalid rev id"}'
        commit = repo.commit(revision)
        if api:
            siblings = [{"rfilename": name} for name in files]
            return (
                200,
                {},
                json.dumps({"id": found[1], "sha": commit, "siblings": siblings}).encode(),
            )
        if repo.gated and not signed:
            return 403, {"X-Error-Code": "GatedRepo"}, b'{"error": "Access is restricted"}'
        content = files.get(unquote(found[3]))
        if content is None:
            return 404, {"X-Error-Code": "EntryNotFound"}, b'{"error": "Entry not found"}'
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return 200, {"ETag": etag, "X-Repo-Commit": commit}, content
