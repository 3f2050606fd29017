"""HDF5 files, against h5py; and those that libhdf5 itself would follow elsewhere, or hang on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from atari_zoo.converters import ConversionError
from atari_zoo.converters.hdf5.attributes import object_attributes
from atari_zoo.converters.hdf5.cursors import Cursor
from atari_zoo.converters.hdf5.objects import Hdf5File, Message
from atari_zoo.converters.hdf5.trees import hdf5_root


def written(path: Path, libver: Any) -> Path:
    random = np.random.default_rng(0)
    table = random.normal(size=(50, 33)).astype(np.float32)
    with h5py.File(path, "w", libver=libver) as file:
        file["whole"], file["deep/er/numbers"] = table, np.arange(10, dtype=">i4")
        file["one"], file["half"] = np.float64(2.5), np.ones(3, np.float16)
        file["flags"] = np.array([True, False])
        if libver != "latest":
            file.create_dataset("none", data=np.zeros((0, 3)))
            packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            file.create_dataset("packed", data=table, chunks=(7, 9), **packed)
            file.create_dataset("chunk", data=table, chunks=(50, 33))
            for number in range(200):
                file[f"many/group{number}/w"] = np.full(3, number)
        file["whole"].attrs["text"], file["whole"].attrs["bytes"] = "Größe", np.bytes_("size")
        file["deep"].attrs["texts"] = np.array(["a", "longer"], "S")
        file.attrs["any length"], file.attrs["numbers"] = ["x", "yy" * 300], np.arange(3)
        file.attrs["long"] = "x" * 60_000
    return path


@pytest.mark.parametrize("libver", ["earliest", ("earliest", "v108"), "latest"], ids=str)
def test_every_array_and_attribute_is_h5pys(tmp_path: Path, libver: Any) -> None:
    path = written(tmp_path / "a.h5", libver)
    root, seen = hdf5_root(path), []

    def compare(name: str, node: Any) -> None:
        found = root.at(name) if name else root
        assert found is not None
        for key, value in node.attrs.items():
            texts = isinstance(value, np.ndarray) and value.dtype.kind in "OS"
            value = value.decode() if isinstance(value, bytes) else value
            value = [getattr(x, "decode", lambda x=x: x)() for x in value] if texts else value
            np.testing.assert_array_equal(found.attributes[key], value)
        if isinstance(node, h5py.Dataset):
            array = found.array()
            np.testing.assert_array_equal(array, node[()])
            assert array.shape == node.shape and array.dtype.isnative
            seen.append(f"/{name}")

    with h5py.File(path) as file:
        compare("", file)
        file.visititems(compare)
    assert sorted(node.path for node in root.arrays()) == sorted(seen) and len(seen) > 4


def external(file: h5py.File) -> None:
    file["a"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(file: h5py.File) -> None:
    file["a"] = h5py.SoftLink("/b")


def elsewhere(file: h5py.File) -> None:
    file.create_dataset("a", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "x", (10,))
    file.create_virtual_dataset("a", layout)


def huge(file: h5py.File) -> None:
    file.create_dataset("a", (1 << 20, 1 << 20), "f4", chunks=(1 << 10, 1 << 10))


def unwritten(file: h5py.File) -> None:
    file.create_dataset("a", (1000,), "f4")


def sparse(file: h5py.File) -> None:
    file.create_dataset("a", (1000,), "f4", chunks=(10,))[:10] = 1


def records(file: h5py.File) -> None:
    file["a"] = np.zeros(3, [("x", "f4"), ("y", "i4")])


def texts(file: h5py.File) -> None:
    file["a"] = ["some", "text"]


def squeezed(file: h5py.File) -> None:
    file.create_dataset("a", data=np.zeros(1000), chunks=(100,), compression="lzf")


def named_type(file: h5py.File) -> None:
    file["kind"] = np.dtype("f4")
    file.create_dataset("a", (3,), file["kind"])[:] = 1


def circle(file: h5py.File) -> None:
    group = file.create_group("a")
    group["b"] = group


HOSTILE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "external link": (external, "'a' in the HDF5 file is a link to elsewhere: refused"),
    "soft link": (soft, "'a' in the HDF5 file is a link to elsewhere: refused"),
    "data elsewhere": (elsewhere, "'/a' in the HDF5 file: its numbers are in another file"),
    "virtual": (virtual, "of HDF5's newest kind, or a virtual one"),
    "huge": (huge, "damaged, or were never written|past what a policy has|damaged"),
    "unwritten": (unwritten, "never written"),
    "sparse": (sparse, "chunk at .10,. is missing"),
    "records": (records, "of a type that weights do not have"),
    "texts": (texts, "texts where numbers were expected"),
    "filter": (squeezed, "HDF5's filter 32000"),
    "named type": (named_type, "a name of its own"),
    "circle": (circle, "in themselves: refused"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_leads_elsewhere_or_nowhere_is_refused(tmp_path: Path, case: str) -> None:
    make, message = HOSTILE[case]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with pytest.raises(ConversionError, match=message) as caught:
        [node.array() for node in hdf5_root(tmp_path / "a.h5").arrays()]
    assert "\n" not in str(caught.value)


def test_a_shape_that_its_bytes_do_not_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros(777)
    data = path.read_bytes()
    assert data.count((777).to_bytes(8, "little")) >= 1
    for size in (778, 1 << 39, 1 << 62):
        path.write_bytes(data.replace((777).to_bytes(8, "little"), size.to_bytes(8, "little")))
        with pytest.raises(ConversionError, match=r"not what its|damaged"):
            [node.array() for node in hdf5_root(path).arrays()]


def test_groups_that_only_the_newest_library_writes_are_told(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        for number in range(100):
            file[f"w{number}"] = np.zeros(3)
    with pytest.raises(ConversionError, match="write it without libver='latest'"):
        list(hdf5_root(tmp_path / "a.h5").arrays())


def tree(kind: int, level: int, children: list[int], key: int) -> bytes:
    """A node of a B-tree, version 1. key: bytes beside each child."""
    head = b"TREE" + bytes([kind, level]) + len(children).to_bytes(2, "little") + b"\xff" * 16
    if kind == 0:  # keys are around the children, else before each
        return head + bytes(key) + b"".join(n.to_bytes(8, "little") + bytes(key) for n in children)
    return head + b"".join(bytes(key) + n.to_bytes(8, "little") for n in children)


def with_tree(path: Path, kind: int, children: Callable[[int], list[list[int]]]) -> Path:
    """A file whose first tree of a kind is another: nodes, one after another, of these children."""
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros((20, 20)), chunks=(5, 5))
    data = path.read_bytes()
    old = data.index(b"TREE" + bytes([kind])).to_bytes(8, "little")
    assert data.count(old) >= 1
    end = len(data)
    nodes = b"".join(tree(kind, 1, part, 8 if kind == 0 else 32) for part in children(end))
    path.write_bytes(data.replace(old, end.to_bytes(8, "little")) + nodes)
    return path


@pytest.mark.parametrize("kind", [0, 1], ids=["group", "chunks"])
def test_trees_in_themselves_are_refused(tmp_path: Path, kind: int) -> None:
    path = with_tree(tmp_path / "a.h5", kind, lambda end: [[end, end]])
    with pytest.raises(ConversionError, match="a tree that is in itself: refused"):
        [node.array() for node in hdf5_root(path).arrays()]


@pytest.mark.parametrize("kind, message", [(0, "more members"), (1, "more chunks than")])
def test_trees_with_more_children_than_are_counted_are_refused(
    tmp_path: Path, kind: int, message: str
) -> None:
    size = len(tree(kind, 1, [0] * 65_535, 8 if kind == 0 else 32))
    path = with_tree(
        tmp_path / "a.h5", kind, lambda end: [[*range(65_534), end + size], [*range(65_535)]]
    )
    with pytest.raises(ConversionError, match=message):
        [node.array() for node in hdf5_root(path).arrays()]


def test_a_group_that_lists_a_member_again_and_again_is_refused(tmp_path: Path) -> None:
    path = with_tree(tmp_path / "a.h5", 0, lambda end: [[end + 48]])
    data = path.read_bytes()
    entry = data[data.index(b"SNOD") + 8 :][:40]  # of the array
    path.write_bytes(data + b"SNOD\x01\0" + (20_001).to_bytes(2, "little") + entry * 20_001)
    with pytest.raises(ConversionError, match="more members"):
        list(hdf5_root(path).members)


def heap(texts: list[bytes]) -> bytes:
    """A global heap of objects numbered from 1."""
    parts = [
        number.to_bytes(2, "little") + bytes(6) + len(text).to_bytes(8, "little") + text.ljust(8)
        for number, text in enumerate(texts, 1)
    ]
    size = 16 + sum(map(len, parts))
    return b"GCOL\x01\0\0\0" + size.to_bytes(8, "little") + b"".join(parts)


def texts_in_heaps(path: Path, raw: bytes, places: list[tuple[int, int]]) -> list[str]:
    """An attribute's, of 40 bytes at most: of each where in `raw` its heap is, and its number."""
    with h5py.File(path, "w"):
        pass
    data = path.read_bytes()
    kind = b"\x19\x01\0\0" + (16).to_bytes(4, "little") + b"\x13\0\0\0" + (1).to_bytes(4, "little")
    space = b"\x01\x01" + bytes(6) + len(places).to_bytes(8, "little")
    body = b"\x01\0" + b"".join(n.to_bytes(2, "little") for n in (8, len(kind), len(space)))
    body += b"texts".ljust(8, b"\0") + kind + space
    for place, number in places:
        at = len(data) + place
        body += b"".join(n.to_bytes(w, "little") for n, w in ((40, 4), (at, 8), (number, 4)))
    file = Hdf5File(data + raw, 1 << 20)
    found: list[str] = object_attributes(file, [Message(0x0C, 0, Cursor(body))])["texts"]
    return found


def test_a_heap_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has 2,000 texts; each of 200 is its last."""
    raw = heap([b"%08d" % n for n in range(2_000)])
    calls: list[int] = []
    take = Cursor.take
    monkeypatch.setattr(Cursor, "take", lambda self, n: calls.append(n) or take(self, n))
    found = texts_in_heaps(tmp_path / "a.h5", raw, [(0, 2_000)] * 200)
    assert found == ["00001999"] * 200
    assert len(calls) < 20_000


def test_heaps_in_each_other_are_refused(tmp_path: Path) -> None:
    """Each begins in another's text, and has all those behind it."""
    inside = b"GCOL\x01\0\0\0" + (30_000).to_bytes(8, "little")
    raw = heap([inside] * 2_000)
    with pytest.raises(ConversionError, match="damaged, or cut short"):
        texts_in_heaps(tmp_path / "a.h5", raw, [(32 + 32 * n, n + 900) for n in range(100)])
