"""Files that come in a model's place: pages of proxies and sites, and Git LFS's pointers.

https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

POINTER = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
ENOUGH = 512  # bytes of a file's start that tell


def stand_in(start: bytes) -> str:
    """What a file is that begins so, and what to do, if it stands for a model; else ""."""
    if start.startswith(POINTER):
        return "a Git LFS pointer, not the file itself; in its repository, run `git lfs pull`"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower().startswith(PAGES):
        return "a web page, not a model; perhaps of a proxy, or one that asks to sign in"
    return ""
