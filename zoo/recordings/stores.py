"""Stores of recordings: folders, zip archives and what fsspec reaches, read with checksums.

Every chunk ends with the CRC-32C of what is before it, as Zarr's codec `crc32c` has it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c
import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore, ZipStore

from atari_zoo.converters.errors import ConversionError
from atari_zoo.downloads.web import in_words

if TYPE_CHECKING:
    from fsspec.asyn import AsyncFileSystem


CHECKSUM = 4  # bytes


def checksum(content: bytes) -> bytes:
    """What a chunk of that content ends with."""
    return struct.pack("<I", google_crc32c.value(content))


class CheckedStore(WrapperStore[Store]):
    """A store whose chunks are whole, or named in an error.

    where: what the store is called in errors.
    Reading raises ConversionError where a chunk is missing, damaged or out of reach.
    """

    def __init__(self, store: Store, where: str = "") -> None:
        super().__init__(store)
        self.where = where

    def __str__(self) -> str:
        return self.where

    def _with_store(self, store: Store) -> CheckedStore:
        return CheckedStore(store, self.where)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        try:
            found = await super().get(key, prototype, byte_range)
        except Exception as error:  # a network's failures are of many kinds
            raise ConversionError(f"{self.where}: '{key}': {in_words(error)}") from error
        if key.endswith("zarr.json"):
            return found
        if found is None:
            raise ConversionError(f"{self.where}: '{key}' is missing; the other chunks are there")
        content = found.to_bytes()
        ends = content[-CHECKSUM:]
        if len(content) < CHECKSUM or ends != checksum(content[:-CHECKSUM]):
            raise ConversionError(
                f"{self.where}: '{key}' is damaged or cut short; the other chunks can be read"
            )
        return found


def is_url(path: str | Path) -> bool:
    """Whether that is for fsspec, such as https://host/play.zarr or s3://bucket/play.zarr."""
    return isinstance(path, str) and ("://" in path or "::" in path)


def store_of(path: str | Path) -> CheckedStore:
    """The store at a folder, a `.zip` file, or an address of either.

    Raises OSError if there is no such folder or file, ConversionError if the file is no zip
    archive or fsspec does not reach the address, ImportError if that needs another package.
    """
    where = str(path)
    if is_url(path):
        return CheckedStore(_remote(where), where)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such recording")
    if path.is_dir():
        return CheckedStore(LocalStore(path, read_only=True), where)
    store = ZipStore(path, mode="r")
    try:
        store._sync_open()
    except Exception as error:  # a damaged archive breaks whatever reads it
        raise ConversionError(f"{path}: no recording: neither a folder nor a zip file") from error
    return CheckedStore(store, where)


def group_of(store: CheckedStore) -> zarr.Group:
    """The group at the store's root. Raises ConversionError if there is none."""
    try:
        return zarr.open_group(store, mode="r", zarr_format=3, use_consolidated=False)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(f"{store.where}: no recording of atari-zoo") from error


def _remote(url: str) -> FsspecStore:
    import fsspec
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    if url.endswith(".zip") and "::" not in url:
        url = f"zip::{url}"
    try:
        # through fsspec's own thread, which closes its connections itself
        system, path = fsspec.url_to_fs(url)
    except ImportError:
        raise  # it names the package that is missing
    except Exception as error:  # file systems fail in many ways
        raise ConversionError(f"{url}: {in_words(error)}") from error
    wrapped: AsyncFileSystem = AsyncFileSystemWrapper(system, asynchronous=True)
    return FsspecStore(wrapped, read_only=True, path=path or "/")
