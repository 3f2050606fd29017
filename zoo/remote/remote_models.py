"""Models that are named by where they are: fetched, read, and their cards filled in."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from atari_zoo.converters.convert import read
from atari_zoo.converters.errors import naming
from atari_zoo.converters.registry import Source
from atari_zoo.downloads.bars import download_bars
from atari_zoo.remote.references import hub_reference
from atari_zoo.remote.repositories import fetched_from_hub
from atari_zoo.remote.told_facts import told_card
from atari_zoo.remote.web_files import fetched_address


def remote_source(name: str) -> Source:
    """What is in a model's file on the Hub or at an address, and what its page and names tell.

    name: `hf:owner/repo`, `hf:owner/repo@revision`, `hf:owner/repo/file.zip`, `https://...`.
    Raises DownloadError if it cannot be had, ConversionError, naming it, if it is no agent.
    """
    reference = hub_reference(name)
    if reference is None:
        with download_bars() as update:
            path = fetched_address(name, lambda done, size: update(path_name(name), done, size))
        names, metadata = unquote(urlsplit(name).path).strip("/").split("/"), {}
        origin = without_secrets(name)
    else:
        found = fetched_from_hub(reference)
        path, metadata = found.path, found.metadata
        names = [reference.repo.rpartition("/")[2], *found.file.split("/")]
        origin = f"hf:{reference.repo}@{found.revision}/{found.file}"
    with naming(name):
        source = read(path)
    told = told_card(metadata, [re.sub(r"\.\w+$", "", part) for part in names])
    source.card = _joined(told, source.card) | {"source": origin}
    return source


def without_secrets(address: str) -> str:
    """An address without what may let somebody in: a user's name, a query, a fragment."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def path_name(address: str) -> str:
    """The last part of an address's path."""
    return urlsplit(address).path.rpartition("/")[2] or address


def _joined(told: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    """What the file itself says counts before what is said of it."""
    known = {key: value for key, value in read.items() if value not in ("", "unknown")}
    return told | known
