"""The classes and functions that a pickle names: allowed, opaque, or refused."""

from __future__ import annotations

import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.opaque import OpaqueClass, inert_attribute, reconstructor

# beside the standard library, what has functions that run code or read other files
REFUSED = sys.stdlib_module_names | {"numpy", "torch", "cloudpickle", "dill", "joblib"}
ALWAYS: dict[str, Callable[..., Any]] = {
    "copyreg._reconstructor": reconstructor,
    "builtins.getattr": inert_attribute,
    "builtins.object": OpaqueClass("builtins.object"),
}
SHOWN = 100  # characters of a name in a message


def global_of(
    module: str, name: str, allowed: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    """What stands for a global; nothing is imported. Python 2's names are read as Python 3's.

    Raises ConversionError, with its name, if it belongs to what could run code.
    """
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    full = f"{module}.{name}"
    if full in allowed:
        return allowed[full]
    if full in ALWAYS:
        return ALWAYS[full]
    if module.partition(".")[0] in REFUSED:
        shown = full.encode("unicode_escape").decode()[:SHOWN]
        raise ConversionError(f"it would run code when read ('{shown}')")
    return OpaqueClass(full)
