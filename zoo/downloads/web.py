"""Files on web servers, read from any byte on.

RFC 9110, sections 13.1.5 (If-Range) and 14 (Range): the server is asked for the rest of a version
of the file; if it has another version, or does not know ranges, it sends the whole.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

CHUNK = 1 << 15  # bytes
TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # worth asking again
LONGEST_WAIT = 60.0  # seconds that a server may have us wait before we ask again
PAGE = ("text/html", "application/xhtml")  # no model, log or recording is one


FAILURES: dict[type[BaseException], str] = {
    socket.gaierror: "no such host",
    TimeoutError: "timed out",
    ConnectionRefusedError: "connection refused",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
    ConnectionError: "cut off",
    IncompleteRead: "cut off",
}


class Refused(ValueError):
    """The address has no such file for us; asking again is of no use."""


class OtherContent(Refused):
    """What came has another hash than the file that was asked for."""


class Cut(ValueError):
    """The connection broke, or the server is out of order for now.

    wait: seconds before it wants to be asked again.
    """

    wait = 0.0


class Unreachable(Cut):
    """There was no answer at all."""


@dataclass
class Body:
    """The bytes of a file from `start` on.

    size: of the whole file; 0 where unknown.
    version: what `opened` may be asked for later; "" where the server tells none.
    digest: algorithm and hash of the whole file, where the server tells them.
    """

    chunks: Iterator[bytes]
    start: int
    size: int
    version: str
    digest: tuple[str, str] | None = None


@contextmanager
def over_http(url: str, start: int, version: str) -> Iterator[Body]:
    """The Body of what a web server has at `url`, from byte `start` of `version` on."""
    import requests
    from urllib3.exceptions import HTTPError

    headers = {"Accept-Encoding": "identity", "User-Agent": "atari-zoo"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    if is_hub(url) and (token := hub_token()):
        headers["Authorization"] = f"Bearer {token}"  # not handed on where it sends us elsewhere
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise Unreachable(in_words(error)) from error
    with response:
        body = _body(response, start, version)
        if body is not None:
            try:
                yield body
            except (requests.RequestException, HTTPError) as error:
                raise Cut(in_words(error)) from error
            return
    with over_http(url, 0, "") as whole:  # that range is of no use
        yield whole


def _body(response: Any, start: int, version: str) -> Body | None:
    """None where the rest was asked for and is not what was sent."""
    status, headers = response.status_code, response.headers
    etag = headers.get("ETag", "")
    found = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    reason = f"{status} {response.reason or ''}".strip()
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    if status in (206, 416) and not start:
        raise Refused(f"{reason}, though the whole was asked for")
    if status == 416:
        whole = span is not None and span[2] == str(start)  # nothing was missing
        return Body(iter(()), start, start, version) if whole else None
    if status == 206:
        if span is None or span[1] != str(start) or (found and found != version):
            return None
        size = int(span[2]) if span[2] != "*" else 0
        return Body(response.iter_content(CHUNK), start, size, version, _digest(response))
    if status != 200:
        raise _refusal(response, reason)
    if headers.get("Content-Type", "").lower().startswith(PAGE):
        raise Refused(
            "a web page came in the file's place; does a proxy, or the site, ask for a sign-in?"
        )
    chunks = response.iter_content(CHUNK)
    if headers.get("Content-Encoding", "identity") != "identity":
        return Body(chunks, 0, 0, "")  # packed on the way: lengths and ranges are of the packed
    return Body(chunks, 0, int(headers.get("Content-Length", 0)), found, _digest(response))


def _refusal(response: Any, reason: str) -> Exception:
    """What an answer without the file means: it may pass, or somebody must do something."""
    status = response.status_code
    if status in TRANSIENT:
        wait = _retry_after(response.headers.get("Retry-After", ""))
        if wait > LONGEST_WAIT:
            return Refused(f"{reason}: it wants to be asked again in {wait:.0f} seconds")
        cut = Cut(reason)
        cut.wait = wait
        return cut
    if status in (401, 403) and is_hub(response.url):
        given = "the token that is set does not open it" if hub_token() else "no token is set"
        return Refused(
            f"{reason}: a gated or private repository, or there is none, and {given}; accept its "
            "terms on its page, and put a token of https://huggingface.co/settings/tokens into "
            "HF_TOKEN"
        )
    if status == 401:
        return Refused(f"{reason}: it asks for a name or token; fetch the file by hand")
    return Refused(reason)


def _retry_after(words: str) -> float:
    """Seconds, from a number of them or a date (RFC 9110, section 10.2.3); 0 if it is neither."""
    if words.strip().isdecimal():
        return float(words)
    try:
        return max(0.0, parsedate_to_datetime(words).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def is_hub(url: str) -> bool:
    """Whether an address is the Hugging Face Hub's, or its mirror's that HF_ENDPOINT names."""
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return url.startswith(f"{hub.rstrip('/')}/")


def hub_token() -> str:
    """The user's token for the Hub: HF_TOKEN, else what `hf auth login` keeps; "" if none."""
    if token := os.environ.get("HF_TOKEN", "").strip():
        return token
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    try:
        return Path(os.environ.get("HF_TOKEN_PATH") or home / "token").read_text().strip()
    except OSError:
        return ""


def _digest(response: Any) -> tuple[str, str] | None:
    """Google's storage tells the MD5 of an object, the Hugging Face Hub the SHA-256 of a file."""
    for answer in (*response.history, response):
        linked = answer.headers.get("X-Linked-ETag", "").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", linked):
            return "sha256", linked
    stored = re.search(r"md5=([\w+/]{22}==)", response.headers.get("x-goog-hash", ""))
    if stored and response.headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        return "md5", base64.b64decode(stored[1]).hex()
    return None


def in_words(error: BaseException) -> str:
    """A connection's failure without the addresses of objects in memory."""
    for cause in causes(error):
        for kind, words in FAILURES.items():
            if isinstance(cause, kind):
                return words
    return f"{type(error).__name__}: {error}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it came from, each once, however libraries hand them on."""
    met, waiting = set[int](), [error]
    while waiting:
        found = waiting.pop()
        if id(found) in met:
            continue
        met.add(id(found))
        yield found
        inside = (found.__cause__, found.__context__, getattr(found, "reason", None), *found.args)
        waiting += [cause for cause in inside if isinstance(cause, BaseException)]
