"""Reading a regular file: stable, bounded, and with plain reasons for failures."""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING, cast

import pytest

from kb.errors import DocumentError
from kb.files.scan import document_error, inside, open_file, read_stable, too_large

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO


class Meddled(io.RawIOBase):
    """An open file that is written to whenever it is read."""

    def __init__(self, place: Path, added: bytes) -> None:
        super().__init__()
        self._place = place
        self._added = added
        self._file = open_file(str(place))

    def fileno(self) -> int:
        """The descriptor of the real file."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """The bytes of the file after an append."""
        with self._place.open("ab") as stream:
            stream.write(self._added)
        return self._file.read(size)

    def close(self) -> None:
        """Close the real file too."""
        self._file.close()
        super().close()


def test_a_file_is_read_whole_with_its_stat(tmp_path: Path) -> None:
    """For sizes around the read unit and exactly at the limit."""
    place = tmp_path / "a"
    for size in (0, 1, 1 << 20, (1 << 20) + 1, 2_500_000):
        place.write_bytes(b"x" * size)
        with open_file(str(place)) as stream:
            taken = read_stable(stream, max(size, 1))

        assert taken is not None
        assert taken[0] == b"x" * size
        assert taken[1].size == size
        assert taken[1].inode == place.stat().st_ino


def test_file_that_grows_while_read_is_rejected(tmp_path: Path) -> None:
    """The bytes and the stat of a file that changed do not match."""
    place = tmp_path / "a"
    place.write_bytes(b"x" * 100)

    with Meddled(place, b"y") as stream:
        assert read_stable(cast("BinaryIO", stream), 200_000) is None


def test_a_file_of_which_less_is_read_than_there_is_is_rejected(tmp_path: Path) -> None:
    """A network may end a file early, and say nothing of it."""
    place = tmp_path / "a"
    place.write_bytes(b"x" * 100)

    class Short(Meddled):
        def read(self, size: int = -1) -> bytes:
            return self._file.read(min(size, 60)) if not self._file.tell() else b""

    with Short(place, b"") as stream:
        assert read_stable(cast("BinaryIO", stream), 200_000) is None


def test_a_growing_file_cannot_pass_the_limit(tmp_path: Path) -> None:
    """However fast a file grows, at most the limit plus one byte is read."""
    place = tmp_path / "a"
    place.write_bytes(b"")

    with Meddled(place, b"y" * 1000) as stream, pytest.raises(DocumentError, match="over the limit"):
        read_stable(cast("BinaryIO", stream), 5_000)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="this system makes up no files")  # noqa: PTH110 - no Path needed to ask
def test_virtual_file_is_read_to_its_end() -> None:
    """A size of zero is not trusted."""
    with open_file("/proc/self/status") as stream:
        taken = read_stable(stream, 100_000)

    assert taken is not None
    assert taken[0].startswith(b"Name:")


def test_directory_is_not_a_file(tmp_path: Path) -> None:
    """It is refused by its kind before it is read."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(DocumentError, match="is a folder, not a file"):
            read_stable(cast("BinaryIO", Handle(descriptor)), 10)
    finally:
        os.close(descriptor)


class Handle:
    """A descriptor with the only method that is called before a read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor


def test_a_link_is_not_followed_when_opened(tmp_path: Path) -> None:
    """Even if it replaces a file at the last moment."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "a").symlink_to("secret")

    with pytest.raises(OSError, match="symbolic links") as caught:
        open_file(str(tmp_path / "a"))
    assert document_error(caught.value).message == "is a symbolic link, not a file"


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        (34_000_000, 10_000_000, "is 34 MB, over the limit of 10 MB (folders.max_file_mb)"),
        (10_040_000, 10_000_000, "is 10.04 MB, over the limit of 10.00 MB (folders.max_file_mb)"),
        (10_000_001, 10_000_000, "is 10.000001 MB, over the limit of 10.000000 MB (folders.max_file_mb)"),
        (34_000_000, 500_000, "is 34.0 MB, over the limit of 0.5 MB (folders.max_file_mb)"),
        (2 * 10**12, 10_000_000, "is 2,000,000 MB, over the limit of 10 MB (folders.max_file_mb)"),
    ],
)
def test_size_over_limit_is_shown_as_larger(size: int, limit: int, expected: str) -> None:
    """Both numbers have enough digits to differ."""
    assert too_large(size, limit).message == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(errno.EACCES, "x"), "cannot be read: permission denied"),
        (FileNotFoundError(errno.ENOENT, "x"), "is no longer there"),
        (NotADirectoryError(errno.ENOTDIR, "x"), "is no longer there"),
        (OSError(errno.ELOOP, "x"), "is a symbolic link, not a file"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "cannot be read: Input/output error"),
        (ValueError("embedded null byte"), "cannot be read: embedded null byte"),
    ],
)
def test_errors_of_the_system_become_reasons(error: OSError | ValueError, expected: str) -> None:
    """Each error has a plain reason and a remedy."""
    assert document_error(error).message == expected
    assert document_error(error).remedy


def test_inside_compares_whole_names() -> None:
    """Not only the beginnings of names; everything is inside the root."""
    assert inside("/a/b", {"/a"})
    assert inside("/a", {"/a"})
    assert not inside("/ab", {"/a"})
    assert inside("/ab", {"/"})
