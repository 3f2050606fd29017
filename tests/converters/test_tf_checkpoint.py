"""TensorFlow's checkpoints are read bit for bit as TensorFlow reads them, or refused."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from dopamine_files import agent_variables, save
from real_policies import POLICIES, needs_policies
from table_files import block, entry, field, header, index, table

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.checkpoint import TfCheckpoint, open_checkpoint

SMALL = {"widths": (4, 4, 4), "units": 8}
FOREIGN = POLICIES / "bundle-SpaceInvaders" / "final.ckpt"


def of_tensorflow_2(prefix: Path) -> Path:
    """An object-based checkpoint: it has a graph of objects in it, as a string."""
    layer = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3))
    kept = tf.train.Checkpoint(layer=layer, step=tf.Variable(7, dtype=tf.int64))
    return Path(kept.write(str(prefix)))


def of_every_type(prefix: Path) -> Path:
    types = "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64"
    tensors = {kind: tf.cast([[0, 1, 2], [100, 50, 25]], kind) for kind in types.split()}
    tensors |= {"bool": tf.constant([True, False]), "scalar": tf.constant(-1.5)}
    tensors |= {"empty": tf.zeros((0, 4)), "text": tf.constant(["a", "bc"])}
    tensors["bfloat16 scalar"] = tf.constant(0.1, tf.bfloat16)
    tensors["specials"] = tf.constant([np.nan, np.inf, -0.0, 1e-45])
    return written(prefix, tensors)


def of_many(prefix: Path) -> Path:
    """Names of 700 kB: several blocks of TensorFlow's 256 kB, and many restarts in each."""
    return written(prefix, {f"{i:04d}{'/long' * 120}": tf.constant(float(i)) for i in range(1200)})


def written(prefix: Path, tensors: Mapping[str, tf.Tensor]) -> Path:
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return prefix


CHECKPOINTS: dict[str, Callable[[Path], Path]] = {
    "slim, RMSProp": lambda p: save(p, agent_variables(**SMALL), "rmsprop"),
    "keras, Adam": lambda p: save(p, agent_variables("iqn", "keras", **SMALL), "adam"),
    "two shards": lambda p: save(p, agent_variables(**SMALL), sharded=True),
    "step": lambda p: save(p, agent_variables(**SMALL), step=199),
    "TensorFlow 2": of_tensorflow_2,
    "every type": of_every_type,
    "many names": of_many,
}


def same_as_tensorflow(prefix: Path) -> TfCheckpoint:
    found = open_checkpoint(prefix)
    reader = tf.train.load_checkpoint(str(prefix))
    types = reader.get_variable_to_dtype_map()
    numbers = {name for name, kind in types.items() if kind != tf.string}
    assert set(found.shapes) == numbers
    for name in numbers:
        tensor, expected = found.tensor(name), np.asarray(reader.get_tensor(name))
        if types[name] == tf.bfloat16:
            expected = expected.astype(np.float32)
        assert (tensor.dtype, tensor.shape) == (expected.dtype, expected.shape)
        assert tensor.tobytes() == expected.tobytes(), name
        assert found.shapes[name] == expected.shape
    return found


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_it_is_read_as_tensorflow_reads_it(tmp_path: Path, name: str) -> None:
    found = same_as_tensorflow(CHECKPOINTS[name](tmp_path / "model"))
    assert found.shards == (2 if name == "two shards" else 1)
    assert {e.shard for e in found.entries.values()} == set(range(found.shards))


@needs_policies
def test_a_real_one_is_read_as_tensorflow_reads_it() -> None:
    assert len(same_as_tensorflow(FOREIGN).entries) == 57


def test_strings_and_partitioned_variables_are_refused_only_when_asked_for(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        two = v1.fixed_size_partitioner(2)
        v1.get_variable("parts", (6, 4), partitioner=two, use_resource=False)
        v1.get_variable("text", initializer=tf.constant(["a"]), use_resource=False)
        v1.get_variable("whole", initializer=[1.0, 2.0], use_resource=False)
        session.run(v1.global_variables_initializer())
        prefix = Path(v1.train.Saver().save(session, str(tmp_path / "model")))
    found = open_checkpoint(prefix)
    assert found.tensor("whole").tolist() == [1, 2]
    with pytest.raises(ConversionError, match="'parts' is a partitioned variable"):
        found.tensor("parts")
    with pytest.raises(ConversionError, match=r"'text' is of type 7 \(string\)"):
        found.tensor("text")
    with pytest.raises(KeyError):
        found.tensor("nothing")


DATA = struct.pack("<6f", *range(6))
GOOD = {b"a": entry(DATA, (2, 3)), b"b": entry(DATA[:8], (2,))}
MANY_AXES = b"".join(field(2, field(1, 1)) for _ in range(40))


def write(prefix: Path, content: bytes, data: bytes = DATA) -> Path:
    prefix.with_name(f"{prefix.name}.index").write_bytes(content)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    return prefix


def test_tables_written_by_hand_are_sound(tmp_path: Path) -> None:
    """So that what is wrong in those below is wrong alone."""
    prefix = write(tmp_path / "model", index(GOOD))
    assert same_as_tensorflow(prefix).tensor("a").tolist() == [[0, 1, 2], [3, 4, 5]]
    first, second = (block([(b"", header()), (b"a", GOOD[b"a"])]), block([(b"b", GOOD[b"b"])]))
    same_as_tensorflow(write(tmp_path / "blocks", table([first, second])))


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


WHOLE = index(GOOD)
ONE = [(b"", header()), (b"a", GOOD[b"a"])]
WRONG_INDICES = {
    "empty": (b"", "magic"),
    "cut": (WHOLE[:-20], "magic.*cut short"),
    "beginning lost": (WHOLE[30:], "damaged|more than there are"),
    "magic": (flipped(WHOLE, -1), "magic"),
    "first block": (flipped(WHOLE, 9), "block at byte 0 is damaged: its checksum"),
    "snappy": (table([block(ONE)], compression=1), "block at byte 0 is compressed \\(snappy\\)"),
    "handle": (WHOLE[:-48] + b"\xff" * 40 + WHOLE[-8:], "no number at byte 0"),
    "far handle": (
        WHOLE[:-48] + (b"\0\0" + b"\xff" * 8 + b"\1\1").ljust(40, b"\0") + WHOLE[-8:],
        "more than there are: cut short",
    ),
    "twice": (table([block([*ONE, ONE[1]])]), "the key 'a' stands twice"),
    "order": (table([block([ONE[1], ONE[0]])]), "the key '' is out of order"),
    "same block": (table([block(ONE), block(ONE)]), "the key '' is out of order"),
    "shared": (table([block(ONE, shared=3)]), "a restart at byte 0 that is none"),
    "restart": (table([block(ONE, restarts=(0, 5))]), "restarts where no entry begins"),
    "restarts": (table([block(ONE)[:-4] + b"\xff\xff\0\0"]), "65535 restarts in"),
    "no restarts": (table([block(ONE)[:-4] + bytes(4)]), "0 restarts in"),
    "entry": (table([b"\0\0\x7f" + block([])]), "an entry at byte 0 that does not fit"),
    "long key": (table([block([(b"a" * 5000, b"")])]), "a key of 5000 bytes"),
    "no header": (table([block([ONE[1]])]), "no header"),
    "big-endian": (index(GOOD, header(endianness=1)), "big-endian"),
    "no shards": (index(GOOD, header(shards=0)), "0 shards"),
    "shards": (index(GOOD, header(shards=1 << 40)), "1099511627776 shards"),
    "newer": (index(GOOD, header(oldest=2)), "newer layout"),
    "shard": (index({b"a": entry(DATA, (2, 3), shard=1)}), "the entry 'a': .* shard 1 of 1"),
    "name": (index({b"\xff\xfe": GOOD[b"a"]}), "a name in it is not text"),
    "lines": (index({b"a\nb": GOOD[b"a"]}), "a name in it is not text"),
    "negative": (index({b"a": entry(DATA, (2, (1 << 64) - 1))}), "'a': a size .* negative"),
    "axes": (index({b"a": field(2, MANY_AXES)}), "'a': its shape has more than 32 axes"),
    "rank": (index({b"a": field(2, field(3, 1))}), "'a': its shape is unknown"),
    "number": (index({b"a": field(1, b"xy")}), "'a': bytes where a number was expected"),
    "message": (index({b"a": field(2, 5)}), "'a': a number where a message was expected"),
    "group": (index({b"a": b"\x0b"}), "'a': field 1 has wire type 3"),
    "field": (index({b"a": b"\x12\x7fx"}), "'a': field 2 has 127 bytes, more than"),
    "large": (bytes(2 << 20), "an index of at most 1048576"),
}


@pytest.mark.parametrize("name", WRONG_INDICES)
def test_wrong_indices_are_refused(tmp_path: Path, name: str) -> None:
    content, message = WRONG_INDICES[name]
    with pytest.raises(ConversionError, match=f"^model.index: .*{message}") as caught:
        open_checkpoint(write(tmp_path / "model", content))
    assert "\n" not in str(caught.value)


def test_an_index_of_too_many_names_is_refused(tmp_path: Path) -> None:
    names = {f"{i:05d}".encode(): b"" for i in range(10_001)}
    with pytest.raises(ConversionError, match="more than 10000 entries"):
        open_checkpoint(write(tmp_path / "model", index(names)))


WRONG_TENSORS = {
    "checksum": (GOOD[b"a"], flipped(DATA, 3), "'a' in model.data-00000-of-00001 is damaged"),
    "cut": (GOOD[b"a"], DATA[:-1], "'a' ends at byte 24 of .*, which has 23: cut short"),
    "offset": (entry(DATA, (2, 3), offset=1 << 62), DATA, "ends at byte 46116860184273879"),
    "shape": (entry(DATA, (2, 2)), DATA, r"of the shape \(2, 2\) has 24 bytes, not 16"),
    "huge": (entry(DATA, (1 << 31, 1 << 31)), DATA, "has 24 bytes, not 18446744073709551616"),
    "empty": (entry(b"", (0, 1 << 62, 1 << 62)), DATA, "more than any layer of a policy"),
    "type": (entry(DATA, (3,), dtype=8), DATA, r"type 8 \(complex64\)"),
    "unknown type": (entry(DATA, (3,), dtype=99), DATA, r"type 99 \(unknown\)"),
}


@pytest.mark.parametrize("name", WRONG_TENSORS)
def test_wrong_tensors_are_refused(tmp_path: Path, name: str) -> None:
    described, data, message = WRONG_TENSORS[name]
    found = open_checkpoint(write(tmp_path / "model", index({b"a": described}), data))
    with pytest.raises(ConversionError, match=message):
        found.tensor("a")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    prefix = save(tmp_path / "model", agent_variables(**SMALL), sharded=True)
    (tmp_path / "model.data-00001-of-00002").unlink()
    found = open_checkpoint(prefix)
    for name, its in found.entries.items():
        if its.shard == 0:
            found.tensor(name)
            continue
        with pytest.raises(ConversionError, match=r"^model\.data-00001-of-00002 is missing"):
            found.tensor(name)
    with pytest.raises(ConversionError, match=r"^other\.index: there is no such file"):
        open_checkpoint(tmp_path / "other")
