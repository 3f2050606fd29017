"""Archives are read as Python's and GNU's own tools wrote them, and hostile ones are refused."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from atari_zoo.converters.archives.tarballs import file_names, members, unpack
from atari_zoo.converters.errors import ConversionError

CONTENTS = {
    "run/checkpoints/tf_ckpt-1.index": b"index" * 300,
    "run/checkpoints/empty": b"",
    "run/checkpoints/block": bytes(512),
    f"run/{'deep/' * 24}{'n' * 90}": b"a long name",
    "run/caf\u00e9": b"not only ASCII",
}


def tree(folder: Path) -> Path:
    for name, content in CONTENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def by_python(form: int) -> Callable[[Path, Path], None]:
    def write(source: Path, archive: Path) -> None:
        with tarfile.open(archive, "w", format=form) as out:
            out.add(source / "run", "run")

    return write


def by_gnu_tar(*options: str) -> Callable[[Path, Path], None]:
    def write(source: Path, archive: Path) -> None:
        subprocess.run(["tar", *options, "-C", source, "-cf", archive, "./run"], check=True)

    return write


WRITERS = {
    "Python, pax": by_python(tarfile.PAX_FORMAT),
    "Python, GNU": by_python(tarfile.GNU_FORMAT),
    "tar": by_gnu_tar(),
    "tar, gzip": by_gnu_tar("-z"),
    "tar, pax": by_gnu_tar("--format=pax"),
    "tar, ustar": by_gnu_tar("--format=ustar"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_archives_are_read_whatever_wrote_them(tmp_path: Path, writer: str) -> None:
    archive = tmp_path / "archive.tar"
    WRITERS[writer](tree(tmp_path / "tree"), archive)
    found = {str(name): size for name, size in members(archive)}
    assert found == {name: len(content) for name, content in CONTENTS.items()}
    for number, (name, content) in enumerate(CONTENTS.items()):
        (folder := tmp_path / str(number)).mkdir()
        unpack(archive, [PurePosixPath(name)], folder)
        assert [x.name for x in folder.iterdir()] == [PurePosixPath(name).name]
        assert (folder / PurePosixPath(name).name).read_bytes() == content


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **facts: object
) -> bytes:
    """An archive of one member, without its end."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for key, value in facts.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


END = bytes(1024)
PLAIN = member("a", b"content")
WRONG = {
    "parent": (member("../a") + END, r"'\.\./a' in it leads out"),
    "inner parent": (member("a/../../b") + END, "leads out"),
    "absolute": (member("/etc/a") + END, "'/etc/a' in it leads out"),
    "symlink": (member("a", kind=tarfile.SYMTYPE, linkname="b") + END, "'a' in it is a link"),
    "hard link": (member("a", kind=tarfile.LNKTYPE, linkname="b") + END, "'a' in it is a link"),
    "long link": (member("a", b"b" * 200, b"K") + END, "is a link"),
    "device": (member("a", kind=tarfile.CHRTYPE) + END, "a link or a device"),
    "fifo": (member("a", kind=tarfile.FIFOTYPE) + END, "a link or a device"),
    "sparse": (member("a", kind=tarfile.GNUTYPE_SPARSE) + END, "a link or a device"),
    "newline": (member("a\n/../b") + END, r"'a\\n/\.\./b' in it leads out"),
    "twice": (PLAIN + PLAIN + END, "'a' stands in it twice"),
    "end": (PLAIN, "cut short"),
    "cut": (member("a", bytes(5000))[:2000], "cut short"),
    "cut header": (PLAIN[:300], "cut short"),
    "checksum": (b"b" + PLAIN[1:] + END, "header's checksum"),
    "negative": (member("a", size=-512) + END, "a size in it is no number, or too large"),
    "large": (member("a", size=1 << 60) + END, "a size in it is no number, or too large"),
    "terabyte": (member("b", size=1 << 39) + END, "cut short"),
    "wanted terabyte": (member("a", size=1 << 39) + END, "'a' has 549755813888 bytes; unpack"),
    "long name": (member("a", bytes(20_000), b"L") + END, "a name of 20000 bytes"),
    "record": (member("a", b"9999 path=a\n", b"x") + END, "a record that does not fit"),
    "record's length": (member("a", b"0 path=a\n", b"x") + END, "a record that does not fit"),
    "record of digits": (member("a", b"1" * 600, b"x") + END, "no number, or too large"),
    "record's digits": (member("a", b"14 size=1_000\n", b"x") + PLAIN + END, "no number"),
    "record's size": (member("a", b"11 size=-1\n", b"x") + PLAIN + END, "no number"),
    "members": (member("b") * 2_001 + END, "more than 2000 members"),
    "names": (member("a", b"a", b"L") * 2_001 + END, "more than 2000 members"),
    "gzip": (gzip.compress(PLAIN + END)[:-30], "cut short"),
    "gzip's bits": (gzip.compress(PLAIN + END)[:20] + bytes(40), "archive is damaged"),
    "gzip of text": (gzip.compress(b"hello " * 500), "archive is damaged"),
    "text": (b"hello " * 500, "archive is damaged"),
    "empty": (b"", "cut short"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_archives_are_refused(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    archive, folder = tmp_path / "archive", tmp_path / "folder"
    archive.write_bytes(content)
    folder.mkdir()
    start = time.perf_counter()
    with pytest.raises(ConversionError, match=message) as caught:
        unpack(archive, [PurePosixPath("a")], folder)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - start < 5  # none goes round for ever
    assert {x.name for x in tmp_path.iterdir()} == {"archive", "folder"}


def test_a_bomb_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    """600 MB of zeros in 3 MB."""
    archive, out = tmp_path / "bomb.tar.gz", io.BytesIO()
    size = 600 << 20
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        file.write(member("a", size=size))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
        file.write(END)
    archive.write_bytes(out.getvalue())
    with pytest.raises(ConversionError, match="more than 512 MB; unpack the archive"):
        members(archive)


def test_names_are_listed_up_to_the_damage(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes((member("a") + member("b", bytes(900)))[:-700])
    assert file_names(tmp_path / "cut") == ["a", "b"]
    (tmp_path / "many").write_bytes(member("a") * 100)
    assert file_names(tmp_path / "many") == ["a"] * 64
    (tmp_path / "text").write_bytes(b"hello " * 500)
    assert file_names(tmp_path / "text") == []
