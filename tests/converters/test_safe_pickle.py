"""Pickles read without running them: what Python writes comes out, and what would run does not."""

from __future__ import annotations

import collections
import functools
import io
import operator
import os
import pickle
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atari_zoo.converters import ConversionError
from atari_zoo.converters.pickles import unpickler
from atari_zoo.converters.pickles.safe_pickle import NUMPY, Opaque, OpaqueClass, load_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(content: bytes, **more: Any) -> Any:
    return load_pickle(io.BytesIO(content), **more)


VALUES: dict[str, Any] = {
    "plain": [None, True, 0, -1, 255, 65536, -(2**31), 10**20, 1.5, "text", "Ωмега", b"\x00\xff"],
    "containers": {"a": (1, (2, [3])), "b": {"c": {}}, "d": (), 3: 4, 2.5: 6, None: 7, b"k": 8},
    "sets": [{1, 2}, frozenset(["a"]), set()],
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    "others": [bytearray(b"bytes"), 1 + 2j, slice(1, None, 2)],
    "tuples as keys": {(1, "a"): 2, (): 3},
    "long": ["x" * 100_000, b"y" * 100_000, bytearray(b"z" * 100_000), list(range(5000))],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", VALUES)
def test_what_python_writes_comes_out(name: str, protocol: int) -> None:
    value = VALUES[name]
    found = read(pickle.dumps(value, protocol))
    assert found == value and type(found) is type(value)
    assert repr(found) == repr(value)  # the types inside, too


TYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"
ARRAYS = {name: np.arange(6).reshape(2, 3).astype(name) for name in TYPES.split()} | {
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "scalar array": np.array(2.5),
    "empty": np.zeros((0, 3), np.float32),
    "strided": np.arange(20.0)[::3],
    "scalar": np.float32(1.25),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_numpys_arrays_come_out(name: str, protocol: int) -> None:
    value = ARRAYS[name]
    written = pickle.dumps([value, value], protocol)
    for content in (written, written.replace(b"numpy._core", b"numpy.core")):
        if content != written and protocol > 3:
            continue  # the name's length stands before it
        first, second = read(content)
        assert first is second and type(first) is type(value)
        np.testing.assert_array_equal(first, value)
        assert first.dtype == value.dtype
        assert first.flags.f_contiguous == value.flags.f_contiguous or value.ndim < 2


def test_arrays_cost_no_memory_of_their_own() -> None:
    array = read(pickle.dumps(np.arange(1000.0), 4))
    assert isinstance(array.base, bytes) and not array.flags.writeable


def test_the_file_stands_behind_the_pickle() -> None:
    """As torch's old files need it: several pickles, then raw bytes."""
    parts = [{"a": 1}, [2, "three"], "x" * 70_000]
    for protocol in PROTOCOLS:
        written = b"".join(pickle.dumps(part, protocol) for part in parts)
        file = io.BytesIO(b"skip" + written + b"raw bytes")
        file.seek(4)
        assert [load_pickle(file) for _ in parts] == parts
        assert file.read() == b"raw bytes"


class Policy:
    """Stands for a researcher's own class: pickled by a name that nothing here allows."""

    def __init__(self) -> None:
        self.weights = np.arange(3.0)
        self.inner = {"deep": [1, 2]}


class Slotted(dict[str, int]):
    __slots__ = ("extra",)


class Listed(list[int]):
    pass


class WithArguments:
    def __getnewargs_ex__(self) -> tuple[tuple[int], dict[str, int]]:
        return (1,), {"key": 2}

    def __new__(cls, *_: int, **__: int) -> WithArguments:
        return super().__new__(cls)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_classes_are_opaque(protocol: int) -> None:
    found = read(pickle.dumps(Policy(), protocol))
    assert isinstance(found, Opaque) and found.name == f"{__name__}.Policy" and found.args == ()
    np.testing.assert_array_equal(found.state["weights"], np.arange(3.0))
    assert found.state["inner"] == {"deep": [1, 2]}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_opaque_containers_keep_what_is_put_in_them(protocol: int) -> None:
    mapping, items = Slotted(a=1, b=2), Listed([3, 4])
    found = read(pickle.dumps([mapping, items, Policy], protocol))
    assert found[0].pairs == {"a": 1, "b": 2} and found[0].name.endswith("Slotted")
    assert found[1].items == [3, 4]
    assert found[2] == OpaqueClass(f"{__name__}.Policy")


class Hooked:
    """Holds a method of its own, as a module does whose optimizer hung hooks on it."""

    def __init__(self) -> None:
        self.kept = [self.method, Hooked.method, len]
        self.counts: dict[str, int] = collections.defaultdict(int, {"a": 1})

    def method(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("protocol", range(4, pickle.HIGHEST_PROTOCOL + 1))
def test_methods_of_other_classes_are_names(protocol: int) -> None:
    content = pickle.dumps(Hooked(), protocol)
    with pytest.raises(ConversionError, match=r"'builtins\.len'"):
        read(content)
    made = Hooked()
    made.kept.pop()
    found = read(pickle.dumps(made, protocol))
    assert found.state["kept"][0] == OpaqueClass(f"{__name__}.Hooked.method")
    assert [part.name for part in found.state["kept"]] == [f"{__name__}.Hooked.method"] * 2
    assert found.state["counts"] == {"a": 1} and type(found.state["counts"]) is dict


def test_attributes_of_attributes_end() -> None:
    """Each name would be longer than the last: memory would grow with the square of the file."""
    content, name = b"\x80\x04" + text("mine", "x") + b"\x94", b"\x8c\x63" + b"a" * 99
    for number in range(20):
        content += text("builtins", "getattr") + b"h" + bytes([number]) + name + b"\x86R\x94"
    with pytest.raises(ConversionError, match="attribute with a damaged name"):
        read(content + b".")


def test_keywords_of_opaque_classes_are_kept() -> None:
    for protocol in (4, 5):
        found = read(pickle.dumps(WithArguments(), protocol))
        assert found.args == (1, {"key": 2})


def test_optaxs_state_is_opaque() -> None:
    import jax.numpy as jnp
    import optax

    state = optax.adam(1e-3).init({"w": jnp.zeros(3)})
    found = read(pickle.dumps(state).replace(b"jax._src.array", b"jox._src.array"))
    assert [type(part) for part in found] == [Opaque, Opaque]
    assert found[0].name == "optax._src.transform.ScaleByAdamState" and len(found[0].args) == 3


def test_what_is_allowed_is_called_in_its_place() -> None:
    def policy(*args: Any) -> Any:
        return Opaque("seen", args)

    content = pickle.dumps([Policy(), np.zeros(2)])
    found = read(content, allowed=NUMPY | {f"{__name__}.Policy": policy})
    assert found[0].name == "seen" and "weights" in found[0].state
    with pytest.raises(ConversionError, match=r"'numpy\.\w+\.\w+\.\w+'|'numpy\.\w+\.\w+'"):
        read(content, allowed={})


def test_persistent_ids_go_to_the_caller() -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", int(value * 2)) if isinstance(value, float) else None

    file = io.BytesIO()
    Pickler(file, 2).dump([1.5, "a"])
    assert read(file.getvalue(), persistent=lambda pid: pid[1]) == [3, "a"]
    with pytest.raises(ConversionError, match="outside it"):
        read(file.getvalue())


class Reduced:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def text(module: str, name: str) -> bytes:
    """The operations that push a global, by STACK_GLOBAL."""
    parts = (part.encode() for part in (module, name))
    return b"".join(b"\x8c" + bytes([len(part)]) + part for part in parts) + b"\x93"


TOUCH = b"\x8c\x09touch ran"  # pushes the string
NDARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01bt"
# name -> a pickle that runs `touch ran` where it is loaded carelessly, and what is said of it
HOSTILE: dict[str, tuple[bytes, str]] = {
    "system": (pickle.dumps(Reduced(os.system, "touch ran")), "run code.*'posix.system'"),
    "protocol 0": (pickle.dumps(Reduced(os.system, "touch ran"), 0), "'posix.system'"),
    "os": (b"cos\nsystem\n(S'touch ran'\ntR.", "'os.system'"),
    "nt": (b"cnt\nsystem\n(S'touch ran'\ntR.", "'nt.system'"),
    "eval": (
        pickle.dumps(Reduced(eval, "__import__('os').system('touch ran')")),
        "'builtins.eval'",
    ),
    "exec": (
        pickle.dumps(Reduced(exec, "import pathlib; pathlib.Path('ran').touch()")),
        "'builtins.exec'",
    ),
    "python 2": (b'c__builtin__\neval\n(S\'open("ran", "w")\'\ntR.', "'builtins.eval'"),
    "open": (pickle.dumps(Reduced(open, "ran", "w")), r"'_?io.open'"),
    "popen": (pickle.dumps(Reduced(subprocess.Popen, ["touch", "ran"])), "'subprocess.Popen'"),
    "getattr": (b"\x80\x04" + text("builtins", "getattr") + b")R.", "'builtins.getattr'"),
    "getattr of text": (
        b"\x80\x04" + text("builtins", "getattr") + TOUCH + b"\x8c\x05upper\x86R.",
        "'builtins.getattr' of str",
    ),
    "getattr of a dict": (
        b"\x80\x04" + text("builtins", "getattr") + b"}\x8c\x05clear\x86R.",
        "'builtins.getattr' of dict",
    ),
    "getattr of what is allowed": (
        b"\x80\x04"
        + text("builtins", "getattr")
        + text("collections", "OrderedDict")
        + b"\x8c\x08__init__\x86R.",
        "'builtins.getattr' of function",
    ),
    "import": (b"cbuiltins\n__import__\n(S'os'\ntR.", "'builtins.__import__'"),
    "importlib": (b"cimportlib\nimport_module\n(S'os'\ntR.", "'importlib.import_module'"),
    "partial": (pickle.dumps(functools.partial(os.system, "touch ran")), "'functools.partial'"),
    "attrgetter": (pickle.dumps(operator.attrgetter("system")), "'operator.attrgetter'"),
    "thread": (pickle.dumps(Reduced(threading.Timer, 0, print)), "'threading.Timer'"),
    "pickle in a pickle": (
        pickle.dumps(Reduced(pickle.loads, pickle.dumps(Reduced(os.system, "touch ran")))),
        "'_?pickle.loads'",
    ),
    "numpy.load": (pickle.dumps(Reduced(np.load, "file.npy")), "'numpy.load'"),
    "torch": (
        pickle.dumps(
            Reduced(torch._utils._rebuild_tensor_v2, None, 0, (1 << 40,), (1,), False, None)
        ),
        "'torch._utils._rebuild_tensor_v2'",
    ),
    "torch.load": (pickle.dumps(Reduced(torch.load, "file.pt")), "'torch.serialization.load'"),
    "joblib": (b"cjoblib.numpy_pickle\nload\n(S'x'\ntR.", "'joblib.numpy_pickle.load'"),
    "inst": (b"(S'touch ran'\nios\nsystem\n.", "'os.system'"),
    "obj": (b"(cos\nsystem\nS'touch ran'\no.", "'os.system'"),
    "newobj": (b"\x80\x02cos\nsystem\nS'touch ran'\n\x85\x81.", "'os.system'"),
    "newobj_ex": (b"\x80\x04cos\nsystem\n" + TOUCH + b"\x85}\x92.", "'os.system'"),
    "through a module": (
        b"\x80\x04" + text("numpy", "core.os.system") + TOUCH + b"\x85R.",
        "'numpy.core.os.system'",
    ),
    "through an allowed name": (
        b"\x80\x04" + text("collections", "OrderedDict.__init__.__globals__") + b".",
        "'collections.OrderedDict.__init__.__globals__'",
    ),
    "submodule": (b"cos.path\njoin\n)R.", "'os.path.join'"),
    "newline in a name": (b"\x80\x04" + text("os", "sys\ntem") + b".", r"'os.sys\\ntem'"),
    "half a character": (b"\x80\x04\x8c\x02os\x8c\x03\xed\xa0\x80\x93.", r"'os.\\ud800'"),
    "extension": (b"\x80\x02\x82\x01.", "extension codes"),
    "extension 4": (b"\x80\x02\x84\x01\x00\x00\x00.", "extension codes"),
    "copyreg": (b"ccopyreg\n__newobj__\n(cos\nsystem\ntR.", "'copyreg.__newobj__'"),
    "copyreg of a function": (
        b"ccopyreg\n_reconstructor\n(cnumpy\ndtype\ncbuiltins\nobject\nNtR.",
        "object of no class",
    ),
    "calls a string": (b"\x80\x04" + TOUCH + b")R.", "calls str"),
    "calls with a string": (b"cmine\nPolicy\nS'abc'\nR.", "without arguments"),
    "state of an allowed class": (
        b"ccollections\nOrderedDict\n}S'__class__'\ncmine\nPolicy\nsb.",
        "sets attributes of function",
    ),
    "dict of a function": (b"cnumpy\ndtype\n}S'__dict__'\n}sb.", "sets attributes of function"),
    "state of a list": (b"]}S'append'\nNsb.", "sets attributes of list"),
    "dtype's attributes": (
        b"cnumpy\ndtype\n(S'f4'\ntR(N}S'__class__'\nNstb.",
        "numpy type with a damaged state",
    ),
    "append to a string": (TOUCH.join([b"\x80\x04", b""]) + b"Na.", "appends to str"),
    "append to an array": (NDARRAY + b"RK\x01a.", "appends to ndarray"),
    "set in an array": (NDARRAY + b"RK\x00K\x01s.", "sets items of ndarray"),
    "set in a list": (b"]K\x00K\x01s.", "sets items of list"),
    "add to a list": (b"\x80\x04](K\x01\x90.", "adds to list"),
    "objects": (pickle.dumps(np.array([{}, []], object)), "numpy object arrays are refused"),
    "strings": (pickle.dumps(np.array(["a"])), "type 'U1' are refused"),
    "records": (pickle.dumps(np.zeros(2, "f4,i4")), "type 'V8' are refused"),
    "dates": (pickle.dumps(np.array(["2020-01-01"], "M8[D]")), "type 'M8' are refused"),
    "big-endian": (pickle.dumps(np.arange(3, dtype=">f4")), "big-endian"),
    "subclass of arrays": (pickle.dumps(np.ma.masked_array([1])), "'numpy.ma"),
    "shape beyond the bytes": (
        pickle.dumps(np.zeros(77, np.uint8)).replace(b"K\x4d\x85", b"J\xff\xff\xff\x7f\x85"),
        "with 77 bytes",
    ),
    "array without a type": (NDARRAY + b"R(K\x01)NNC\x00tb.", "without a type"),
    "array filled twice": (
        NDARRAY + b"Rq\x00" + 2 * b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1\x85R\x89C\x02abtb" + b".",
        "array with a damaged state",
    ),
    "array class called": (b"cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.", "damaged numpy array"),
    "array of another class": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cmine\nArray\nK\x00\x85C\x01btR.",
        "class of its own",
    ),
    "scalar": (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\x02f4tRC\x02abtR.",
        "with 2 bytes",
    ),
    "encoded": (b"c_codecs\nencode\n(Vtext\nVrot13\ntR.", "damaged bytes"),
    "bytes of a number": (b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", "damaged bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_runs_and_the_global_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    with pytest.raises(ConversionError, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_careless_reading_would_run_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the pickles above are what they are said to be."""
    monkeypatch.chdir(tmp_path)
    for name in ("system", "os", "exec", "inst", "obj", "popen", "pickle in a pickle"):
        found = pickle.loads(HOSTILE[name][0])
        if isinstance(found, subprocess.Popen):
            found.wait()
        assert (tmp_path / "ran").exists(), name
        (tmp_path / "ran").unlink()


@pytest.mark.parametrize(
    "content",
    [
        b"cmine\nPolicy\n(S'touch ran'\ntR}S'__class__'\nNsb.",
        b"cmine\nPolicy\n)R}S'__setstate__'\ncmine\nsystem\nsb.",
        b"cmine\nPolicy\n)R(S'touch ran'\ntR.",
        b"cmine\nos.system\n(S'touch ran'\ntR.",
        b"(S'touch ran'\nimine\nPolicy\n.",
    ],
    ids=["class", "setstate", "called", "dotted", "inst"],
)
def test_hostile_states_stay_inert(content: bytes) -> None:
    found = read(content)
    assert type(found) is Opaque and found.name.startswith("mine.")


LONG = b"X" + (10**6).to_bytes(4, "little") + b"x" * 10**6
# small files that would take gigabytes, or hours
BOMBS: dict[str, tuple[bytes, str]] = {
    # the hash of each takes twice the time of the one before
    "tuples in tuples as a key": (b"\x80\x04}K\x01" + 60 * b"2\x86" + b"Ns.", "keys of type tuple"),
    "key of a dict made at once": (b"\x80\x04(]Nd.", "keys of type list"),
    "keys set at once": (b"\x80\x04}(]Nu.", "keys of type list"),
    "tuple in a dict made at once": (b"(I1\n" + 60 * b"2\x86" + b"Nd.", "keys of type tuple"),
    "large number in a tuple as a key": (b"\x80\x04}J\xff\xff\xff\x7f\x85Ns.", "type tuple"),
    # hash(n) is n modulo 2**61 - 1: such keys would all share one
    "large key": (b"\x80\x04}\x8a\x08" + (2**61 - 1).to_bytes(8, "little") + b"Ns.", "type int"),
    "object as a key": (b"}cmine\nPolicy\n)RNs.", "keys of type Opaque"),
    "array as a key": (b"}" + NDARRAY + b"RNs.", "keys of type ndarray"),
    "member of a set": (b"\x80\x04\x8f(]\x90.", "keys of type list"),
    "member of a frozen set": (b"\x80\x04(]\x91.", "keys of type list"),
    "member of a set by name": (b"cbuiltins\nset\n((]ltR.", "keys of type list"),
    "key by name": (b"ccollections\nOrderedDict\n(((]I1\nlltR.", "keys of type list"),
    "one string encoded again and again": (
        b"\x80\x04c_codecs\nencode\n\x94" + LONG + b"\x94(" + 9 * b"h\x00h\x01\x85R" + b"l.",
        "more than once",
    ),
    "one tuple given again and again": (
        b"\x80\x04cmine\nPolicy\n\x94(" + 999 * b"N" + b"t\x94(" + 9 * b"h\x00h\x01R" + b"l.",
        "more than once",
    ),
    "bytes to come": (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00.", "cut short"),
    "bytearray to come": (b"\x80\x05\x96\x00\x00\x00\x00\xff\x00\x00\x00.", "cut short"),
    "string to come": (b"\x80\x04\x8d\xff\xff\xff\xff\x01\x00\x00\x00.", "cut short"),
    "frame to come": (b"\x80\x04\x95\xff\xff\xff\xff\xff\x00\x00\x00.", "cut short"),
    "number to come": (b"\x80\x04\x8b\xff\xff\xff\x7f.", "cut short"),
    "number of a million digits": (b"L" + b"9" * 10**6 + b"L\n.", "damaged"),
    "marks alone": (b"(" * 10**3, "cut short"),
    "nothing": (b"", "cut short"),
    "no operation": (b"\xff", "damaged"),
    "empty stack": (b"R", "damaged"),
    "an odd key": (b"}(Nu.", "damaged"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(name: str) -> None:
    content, message = BOMBS[name]
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(ConversionError, match=message):
            read(content)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 2


def test_operations_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"(" + 997 * b"N" + b"l."
    monkeypatch.setattr(unpickler, "OPERATIONS", 1000)
    assert read(content) == [None] * 997
    monkeypatch.setattr(unpickler, "OPERATIONS", 999)
    with pytest.raises(ConversionError, match="too many operations"):
        read(content)


def test_a_memos_index_takes_no_memory() -> None:
    assert read(b"\x80\x04Nr\xff\xff\xff\xff.") is None


def test_every_cut_is_refused() -> None:
    written = pickle.dumps([np.arange(3.0), Policy(), {"a": 1.5}, "text", b"bytes"])
    for length in range(len(written)):
        with pytest.raises(ConversionError):
            read(written[:length])


def test_damage_is_refused_or_read() -> None:
    """Random changes of bytes: nothing but ConversionError is raised."""
    random = np.random.default_rng(0)
    values = [np.arange(3.0), Policy(), {"a": 1.5}, {1, 2}, collections.OrderedDict(a=1), b"b"]
    refused = 0
    for protocol in PROTOCOLS:
        written = pickle.dumps(values, protocol)
        for _ in range(100):
            damaged = bytearray(written)
            for place in random.integers(0, len(written), random.integers(1, 4)):
                damaged[place] = random.integers(0, 256)
            try:
                read(bytes(damaged))
            except ConversionError:
                refused += 1
    assert refused > 200
