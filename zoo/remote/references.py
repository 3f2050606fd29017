"""Names of models that are elsewhere: `hf:owner/repo@revision/file`, and addresses."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from atari_zoo.downloads.downloads import DownloadError

PREFIX = "hf:"
ADDRESS = re.compile(r"(https?|gs|s3)://\S+")
PART = r"[\w-][\w.-]*"
# of a revision's slashes, those of the Hub's own references are known from a file's: refs/pr/1; in
# a branch of another name they are written %2F
REVISION = r"refs/[\w-]+/[^/@\s]+|[^/@\s]+"
GRAMMAR = re.compile(
    rf"(?P<repo>{PART}/{PART})(@(?P<revision>{REVISION}))?(/(?P<file>[^@\s][^@]*))?"
)
# the Hub's own pages of a repository, and of what is in it
PAGE = re.compile(
    rf"/(?P<repo>{PART}/{PART})(/(blob|resolve|tree|raw)/(?P<revision>{REVISION})(/(?P<file>.+))?)?/?"
)
HUB = "https://huggingface.co"
EXAMPLE = "hf:owner/repo, hf:owner/repo@revision or hf:owner/repo/path/in/repo.zip"


@dataclass(frozen=True)
class HubReference:
    """A repository of the Hugging Face Hub.

    revision: a branch, tag or commit; "" for the newest. file: in it, or a folder; "" for any.
    """

    repo: str
    revision: str = ""
    file: str = ""

    def __str__(self) -> str:
        slashes = "/" if re.fullmatch(REVISION, self.revision) else ""
        revision = f"@{quote(self.revision, safe=slashes)}" if self.revision else ""
        return f"{PREFIX}{self.repo}{revision}{f'/{self.file}' if self.file else ''}"


def is_remote(name: str) -> bool:
    """Whether a model's name is one of the Hub's, or an address."""
    return name.startswith(PREFIX) or ADDRESS.fullmatch(name) is not None


def hub_reference(name: str) -> HubReference | None:
    """The repository that a name, or the address of one of the Hub's pages, means; else None.

    Raises DownloadError if it begins with `hf:` and is no repository's name.

    >>> hub_reference("https://huggingface.co/sb3/ppo-PongNoFrameskip-v4/tree/main")
    HubReference(repo='sb3/ppo-PongNoFrameskip-v4', revision='main', file='')
    """
    if name.startswith(PREFIX):
        found = GRAMMAR.fullmatch(name.removeprefix(PREFIX).strip("/"))
        if found is None:
            raise DownloadError(f"'{name}' is no repository of the Hub; expected {EXAMPLE}")
    else:
        where = urlsplit(name)
        hosts = {urlsplit(hub).netloc for hub in (HUB, os.environ.get("HF_ENDPOINT", HUB))}
        found = PAGE.fullmatch(where.path) if where.netloc in hosts else None
        if found is None or found["repo"].startswith(("api/", "datasets/", "spaces/")):
            return None
    revision, file = (unquote(found[part] or "") for part in ("revision", "file"))
    return HubReference(found["repo"], revision, file.strip("/"))
