"""Python's unpickler, in which every operation that calls, or sets something, is replaced.

It is the one written in Python (pickle.py): the one in C allocates as much as a memo's index
asks for. What each operation does is told in pickletools.py.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from struct import unpack
from typing import Any, ClassVar

import numpy as np

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.arrays import PickledType, set_array_state
from atari_zoo.converters.pickles.containers import checked_key
from atari_zoo.converters.pickles.globals import ALWAYS, global_of
from atari_zoo.converters.pickles.opaque import Opaque, OpaqueClass

OPERATIONS = 2_000_000  # in one pickle: Dopamine's logs take some 600,000
LONG = 100  # what is longer may be an argument as often only as the file's size pays for
SIZED = (str, bytes, bytearray, list, tuple, dict)


class Unpickler(pickle._Unpickler):
    """Its `load` gives a pickle's content; what fails in it may raise any exception.

    file: has `read` and `readline`. size: of what is left in it, in bytes.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        file: Any,
        size: int,
        allowed: Mapping[str, Callable[..., Any]],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        super().__init__(file, encoding="latin1")  # Python 2's strings may be bytes
        self.dispatch = _Counted(type(self).dispatch)  # type: ignore[misc]
        self.allowed, self.persistent = allowed, persistent
        self.callable = {id(function) for function in (*allowed.values(), *ALWAYS.values())}
        self.unused = size

    def find_class(self, module: str, name: str) -> Any:
        return global_of(module, name, self.allowed)

    def persistent_load(self, pid: Any) -> Any:
        if self.persistent is None:
            raise ConversionError("the pickle refers to objects outside it")
        return self.persistent(pid)

    def get_extension(self, code: int) -> None:
        raise ConversionError("the pickle uses extension codes, which only its writer knows")

    def call(self, function: Any, args: Any) -> Any:
        if type(args) is not tuple:
            raise ConversionError("the pickle calls something without arguments")
        if not isinstance(function, Opaque | OpaqueClass) and id(function) not in self.callable:
            raise ConversionError(f"the pickle calls {type(function).__name__}")
        # one long string, named again and again, would take time and memory without end
        sizes = [len(x) for x in (args, *args) if isinstance(x, SIZED)]
        self.unused -= sum(size for size in sizes if size > LONG)
        if self.unused < 0:
            raise ConversionError("the pickle uses its contents more than once")
        return function(*args)

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self.stack[-1] = self.call(self.stack[-1], (*args, kwargs) if kwargs else args)

    def _instantiate(self, klass: Any, args: list[Any]) -> None:
        self.append(self.call(klass, tuple(args)))

    def load_build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, Opaque):
            made.state = state
        elif isinstance(made, PickledType):
            made.set_state(state)
        elif type(made) is np.ndarray:
            set_array_state(made, state)
        elif not isinstance(made, dict):  # whose attributes (a state dict's versions) are left out
            raise ConversionError(f"the pickle sets attributes of {type(made).__name__}")

    def load_append(self) -> None:
        self.extend([self.stack.pop()])

    def load_appends(self) -> None:
        self.extend(self.pop_mark())

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list | Opaque):
            raise ConversionError(f"the pickle appends to {type(target).__name__}")
        (target.items if isinstance(target, Opaque) else target).extend(items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def load_setitems(self) -> None:
        self.update(self.pop_mark())

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.update(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict | Opaque):
            raise ConversionError(f"the pickle sets items of {type(target).__name__}")
        pairs = target.pairs if isinstance(target, Opaque) else target
        for key, value in zip(items[::2], items[1::2], strict=True):
            pairs[checked_key(key)] = value

    def load_additems(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise ConversionError(f"the pickle adds to {type(self.stack[-1]).__name__}")
        self.stack[-1].update(checked_key(item) for item in items)

    def load_frozenset(self) -> None:
        items = self.pop_mark()  # which puts another `append` in place
        self.append(frozenset(checked_key(item) for item in items))

    def load_bytearray8(self) -> None:
        (count,) = unpack("<Q", self.read(8))
        self.append(bytearray(self.read(count)))  # not made before its bytes are there

    dispatch: ClassVar[dict[int, Callable[..., None]]] = pickle._Unpickler.dispatch | {
        code[0]: function
        for code, function in (
            (pickle.REDUCE, load_reduce),
            (pickle.NEWOBJ, load_reduce),  # classes are called like functions
            (pickle.NEWOBJ_EX, load_newobj_ex),
            (pickle.BUILD, load_build),
            (pickle.APPEND, load_append),
            (pickle.APPENDS, load_appends),
            (pickle.SETITEM, load_setitem),
            (pickle.SETITEMS, load_setitems),
            (pickle.DICT, load_dict),
            (pickle.ADDITEMS, load_additems),
            (pickle.FROZENSET, load_frozenset),
            (pickle.BYTEARRAY8, load_bytearray8),
        )
    }


class _Counted(dict[int, Callable[..., None]]):
    """The operations, which can be looked up so many times."""

    def __init__(self, operations: dict[int, Callable[..., None]]) -> None:
        super().__init__(operations)
        self.left = OPERATIONS

    def __getitem__(self, code: int) -> Callable[..., None]:
        self.left -= 1
        if self.left < 0:
            raise ConversionError("the pickle has too many operations")
        return super().__getitem__(code)
