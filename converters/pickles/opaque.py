"""Names in the place of objects and classes that a pickle may not have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from atari_zoo.converters.errors import ConversionError

LONGEST = 1_000  # characters of a name: an attribute's attribute's ... would grow without end


@dataclass(eq=False, slots=True)
class Opaque:
    """Stands for an object of a class that is not allowed; nothing of that class is run.

    name: "module.Class". args: what it was made from. state: what it was then given.
    items, pairs: what was appended to it, and set in it.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, *args: Any) -> Opaque:
        return Opaque(self.name, args)


@dataclass(frozen=True, slots=True)
class OpaqueClass:
    """Stands for a class, or function, that is not allowed; calling it makes an `Opaque`."""

    name: str

    def __call__(self, *args: Any) -> Opaque:
        return Opaque(self.name, args)


def reconstructor(made: Any, base: Any, state: Any) -> Opaque:
    """`copyreg._reconstructor`, by which protocols 0 and 1 make objects.

    Raises ConversionError if `made` is no class that is left opaque.
    """
    if not isinstance(made, OpaqueClass):
        raise ConversionError("the pickle makes an object of no class")
    return Opaque(made.name, () if state is None else (state,))


def inert_attribute(owner: Any = None, name: Any = None, *_: Any) -> OpaqueClass:
    """`getattr`, by which methods are pickled with what they belong to: a name, and nothing of it.

    Raises ConversionError if `owner` is nothing that is left opaque.
    """
    if not isinstance(owner, Opaque | OpaqueClass) or type(name) is not str:
        raise ConversionError(
            f"it would run code when read ('builtins.getattr' of {type(owner).__name__})"
        )
    if len(owner.name) + len(name) > LONGEST:
        raise ConversionError("an attribute with a damaged name")
    return OpaqueClass(f"{owner.name}.{name}")
