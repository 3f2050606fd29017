"""Repositories of the Hugging Face Hub, through huggingface_hub: its cache, tokens and endpoint."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from atari_zoo.downloads.downloads import DownloadError, is_offline
from atari_zoo.remote.choosing import chosen_file, companions
from atari_zoo.remote.listings import note_files, noted_files
from atari_zoo.remote.references import HubReference

PAGE = "README.md"
LARGEST_PAGE = 1 << 20  # bytes


@dataclass(frozen=True)
class HubFile:
    """A model's file that was fetched from the Hub.

    path: in huggingface_hub's cache. file: its path in the repository. revision: the commit.
    metadata: of the repository's page.
    """

    path: Path
    file: str
    revision: str
    metadata: dict[str, Any]


def fetched_from_hub(reference: HubReference) -> HubFile:
    """The model's file of a repository, fetched if it is not in the cache.

    Without a connection, what is in the cache serves. Raises DownloadError, in one line, if there
    is no such repository, revision or file, no permission, no connection, or no model in it.
    """
    hub = _hub()
    with _in_words(reference, hub), _quiet(hub):
        try:
            if is_offline():
                raise hub.errors.OfflineModeIsEnabled("ATARI_ZOO_OFFLINE is set")
            info = hub.HfApi().model_info(reference.repo, revision=reference.revision or None)
        except Exception as error:
            if _status(error) or isinstance(error, hub.errors.HFValidationError):
                raise
            return _cached(reference, hub, error)
        files = [sibling.rfilename for sibling in info.siblings or []]
        file = chosen_file(files, reference)
        note_files(reference.repo, info.sha or "", files)

        def fetched(name: str, revision: str | None = info.sha) -> Path:
            return Path(hub.hf_hub_download(reference.repo, name, revision=revision))

        for name in companions(file, files):
            fetched(name)
        page = fetched(PAGE) if PAGE in files else None
        # by the revision's name, so that the cache knows it by that when there is no connection
        path = fetched(file, reference.revision or None)
        return HubFile(path, file, info.sha or "", _metadata(page, hub))


def _cached(reference: HubReference, hub: ModuleType, error: Exception) -> HubFile:
    """What was fetched before; raises the error if that is nothing."""
    try:
        kept = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).repos
    except hub.errors.CacheNotFound:
        kept = frozenset()
    repos = [repo for repo in kept if repo.repo_id == reference.repo]
    wanted = reference.revision or "main"
    for revision in (revision for repo in repos for revision in repo.revisions):
        if wanted in revision.refs or revision.commit_hash == wanted:
            base = revision.snapshot_path
            there = sorted(path.relative_to(base).as_posix() for path in _files_below(base))
            file = _chosen_among(there, reference, revision.commit_hash)
            page = base / PAGE if PAGE in there else None
            return HubFile(base / file, file, revision.commit_hash, _metadata(page, hub))
    raise error


def _chosen_among(there: Sequence[str], reference: HubReference, commit: str) -> str:
    """The file that is meant, if it is among those in the cache: of all that the repository has,
    as with a connection, or else the one that has just that name."""
    known = noted_files(reference.repo, commit)
    if known is None and reference.file not in there:
        raise DownloadError(
            f"{reference}: what else is in the repository is not known without a connection; name "
            f"the file that is meant, of {', '.join(repr(file) for file in there)}"
        )
    file = chosen_file(known or there, reference)
    if file not in there:
        raise DownloadError(
            f"{reference}: '{file}' is not in the Hub's cache, and there is no connection"
        )
    return file


def _files_below(base: Path) -> Iterator[Path]:
    return (path for path in base.rglob("*") if path.is_file())


def _metadata(page: Path | None, hub: ModuleType) -> dict[str, Any]:
    """The head of the repository's page; {} where it has none that can be read."""
    if page is None or page.stat().st_size > LARGEST_PAGE:
        return {}
    try:
        found = hub.metadata_load(page)
    except Exception:  # YAML of somebody's own making
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _in_words(reference: HubReference, hub: ModuleType) -> Iterator[None]:
    """Errors of huggingface_hub, and of what it reaches the Hub with, as DownloadError."""
    try:
        yield
    except DownloadError:
        raise
    except Exception as error:
        raise DownloadError(f"{reference}: {_reason(error, reference, hub)}") from error


def _reason(error: Exception, reference: HubReference, hub: ModuleType) -> str:
    """What went wrong and what to do, in one line."""
    place, errors = hub.constants.ENDPOINT, hub.errors
    if isinstance(error, errors.HFValidationError):
        return "no name that a repository can have"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "not in the Hub's cache, and ATARI_ZOO_OFFLINE or HF_HUB_OFFLINE is set; unset it"
    if isinstance(error, errors.GatedRepoError):
        return (
            f"gated: accept its conditions at {place}/{reference.repo}, then `hf auth login`, or "
            "put your token into HF_TOKEN"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"no such repository at {place}; {_near(reference, hub)}a private one needs `hf auth "
            "login`, or your token in HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the repository has no revision '{reference.revision}'"
    status = _status(error)
    if status:
        advice = "try again in a few minutes" if status in (408, 429) or status > 499 else "refused"
        return f"{place} answered {status}: {advice}"
    words = " ".join(str(error).split())[:200] or type(error).__name__
    return f"no answer from {place} ({words}): is there a connection?"


def _near(reference: HubReference, hub: ModuleType) -> str:
    """Repositories of the same owner with names that are near."""
    owner = reference.repo.partition("/")[0]
    found: Sequence[str] = ()
    with suppress(Exception):  # a hint, that is not worth another error
        found = [model.id for model in hub.HfApi().list_models(author=owner, limit=1000)]
    close = difflib.get_close_matches(reference.repo, found, 1)
    return f"did you mean 'hf:{close[0]}'? " if close else ""


def _status(error: BaseException | None) -> int:
    """The status that the Hub answered with; 0 if there was no answer."""
    while error is not None:
        answer = getattr(error, "response", None)
        if answer is not None:
            return int(answer.status_code)
        error = error.__cause__
    return 0


@contextmanager
def _quiet(hub: ModuleType) -> Iterator[None]:
    """Without the Hub's bars where nobody looks at a terminal."""
    off: Callable[[], None] = hub.utils.disable_progress_bars
    if sys.stderr.isatty() or hub.utils.are_progress_bars_disabled():
        yield
        return
    off()
    try:
        yield
    finally:
        hub.utils.enable_progress_bars()


def _hub() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise DownloadError("models of the Hub need `pip install 'atari-zoo[hub]'`") from error
    return huggingface_hub
