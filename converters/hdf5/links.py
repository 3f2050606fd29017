"""A group's members by name, from its symbol table or its link messages (sections III.A, IV.A.2).

Links that lead elsewhere, to another name or another file, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.hdf5.cursors import DAMAGED, IN_ITSELF, Cursor
from atari_zoo.converters.hdf5.objects import Hdf5File, Message

LINK_INFO, LINK, SYMBOL_TABLE = 0x0002, 0x0006, 0x0011
MEMBERS = 20_000
SOFT = 2  # the type of a symbol table's entry
LONGEST = 1_000  # of a name
TOO_MANY = "an HDF5 group with more members than a policy has layers"


def group_members(file: Hdf5File, messages: list[Message]) -> dict[str, int]:
    """Names and addresses; empty if the object is no group.

    Raises ConversionError if it is damaged, or links lead elsewhere.
    """
    found: dict[str, int] = {}
    left = MEMBERS  # counted with those of one name
    for message in messages:
        if message.kind == LINK:
            pairs = iter([_link(message.body)])
        elif message.kind == SYMBOL_TABLE:
            pairs = _table(file, message.body)
        else:
            if message.kind == LINK_INFO:
                _check_compact(message.body)
            continue
        for name, address in pairs:
            found[name] = address
            left -= 1
            if left < 0:
                raise ConversionError(TOO_MANY)
    return found


def _check_compact(body: Cursor) -> None:
    """Raises ConversionError if the links are in a heap, as those of libver='latest' may be."""
    body.take(1)
    body.take(8 if body.number(1) & 1 else 0)
    if body.offset() is not None:
        raise ConversionError(
            "an HDF5 file with groups of HDF5's newest kind; write it without libver='latest'"
        )


def _link(body: Cursor) -> tuple[str, int]:
    body.expect(b"\x01")
    flags = body.number(1)
    kind = body.number(1) if flags & 8 else 0
    body.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = _text(body.take(body.number(1 << (flags & 3))))
    address = body.offset() if kind == 0 else None
    if address is None:
        raise ConversionError(f"'{name}' in the HDF5 file is a link to elsewhere: refused")
    return name, address


def _table(file: Hdf5File, body: Cursor) -> Iterator[tuple[str, int]]:
    tree, heap = body.offset(), body.offset()
    if tree is None or heap is None:
        raise ConversionError(DAMAGED)
    names = file.cursor.at(heap)
    names.expect(b"HEAP")
    names.take(4)
    size = names.length()
    names.length()
    texts = file.cursor.at(_known(names.offset())).take(size)
    queue, seen = [tree], set[int]()
    while queue:
        address = queue.pop()
        if address in seen:
            raise ConversionError(IN_ITSELF)
        if max(len(seen), len(queue)) > MEMBERS:
            raise ConversionError(TOO_MANY)
        seen.add(address)
        here = file.cursor.at(address)
        signature = here.take(4)
        if signature == b"TREE":
            here.take(2)  # of groups; the level
            count = here.number(2)
            here.take(2 * here.offsets + here.lengths)
            for _ in range(count):
                queue.append(_known(here.offset()))
                here.length()
        elif signature == b"SNOD":
            here.take(2)
            for _ in range(here.number(2)):
                name, target, kind = here.number(here.offsets), here.offset(), here.number(4)
                here.take(20)
                text = _text(texts[name : name + LONGEST].partition(b"\0")[0])
                if kind == SOFT or target is None:
                    raise ConversionError(
                        f"'{text}' in the HDF5 file is a link to elsewhere: refused"
                    )
                yield text, target
        else:
            raise ConversionError(DAMAGED)


def _known(offset: int | None) -> int:
    if offset is None:
        raise ConversionError(DAMAGED)
    return offset


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    if not text.isprintable() or len(text) > LONGEST:
        raise ConversionError("the HDF5 file has names that cannot be printed: damaged")
    return text
