"""Files and folders that a verb is to write, checked before its work begins."""

from __future__ import annotations

from pathlib import Path

from atari_zoo.converters.files import check_ending, check_parent


def check_file(path: Path, force: bool, *endings: str) -> Path:
    """The path, if a file can be written there; else the work would be lost.

    endings: those that its name may have, such as ".png"; any if none is given.
    Raises ValueError for another ending or a folder; FileExistsError if there is a file and not
    `force`; FileNotFoundError, PermissionError if its folder is not there or not to be written in.
    """
    check_ending(path, *endings)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; give a file's name with -o")
    if path.exists() and not force:
        raise FileExistsError(
            f"{path}: is there already; choose another name with -o, or --force to replace it"
        )
    check_parent(path)
    return path


def check_folder(path: Path, force: bool) -> Path:
    """The same of a folder: it may be there, but if it is not empty, only with `force`."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path}: is a file; give a folder's name with -o")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise FileExistsError(
            f"{path}: is not empty; choose another folder with -o, or --force to write into it"
        )
    check_parent(path)
    return path
