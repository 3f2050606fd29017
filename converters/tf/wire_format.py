"""Protocol buffers as bytes (https://protobuf.dev/programming-guides/encoding).

Made by hand, for the few small messages whose classes come with TensorFlow alone, 600 MB of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from atari_zoo.converters.errors import ConversionError


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers of a message's fields, and what they hold: numbers, or bytes of any kind.

    Raises ConversionError where the message is damaged.
    """
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            number, position = varint(message, position)
            yield field, number
            continue
        if wire == 2:
            length, position = varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ConversionError(f"field {field} has wire type {wire}: damaged")
        content, position = message[position : position + length], position + length
        if position > len(message):
            raise ConversionError(f"field {field} has {length} bytes, more than there are: damaged")
        yield field, content if wire == 2 else int.from_bytes(content, "little")


def message_in(content: int | bytes) -> bytes:
    """A field's content as a message of its own; raises ConversionError if it is a number."""
    if isinstance(content, int):
        raise ConversionError("a number where a message was expected")
    return content


def varint(data: bytes, position: int) -> tuple[int, int]:
    """The number of seven bits a byte that begins at byte `position`, and where it ends.

    Raises ConversionError if it is longer than 64 bits or than the data.
    """
    number = 0
    for place, byte in enumerate(data[position : position + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80 and number < 1 << 64:
            return number, position + place + 1
    raise ConversionError(f"no number at byte {position} of {len(data)}")
