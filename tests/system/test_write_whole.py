"""Files that are written whole or not at all, and paths with a tilde."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from kb.system.files import write_whole
from kb.system.paths import expand_home

if TYPE_CHECKING:
    from pathlib import Path

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")


def mode_of(file: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_made_and_replaced(tmp_path: Path, durable: bool) -> None:
    """Nothing is left beside it, and a link is replaced, not followed."""
    file, other = tmp_path / "a", tmp_path / "b"
    other.write_bytes(b"other")

    write_whole(str(file), b"one\n", durable=durable)
    assert file.read_bytes() == b"one\n"
    file.unlink()
    file.symlink_to(other)
    write_whole(str(file), b"two\r\n", durable=durable)

    assert (file.read_bytes(), other.read_bytes()) == (b"two\r\n", b"other")
    assert not file.is_symlink()
    assert set(tmp_path.iterdir()) == {file, other}


@pytest.mark.parametrize("at", ["flush a file", "rename a file"])
def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, at: str) -> None:
    """With its content, and without what was written in its place."""
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def fail(what: str) -> None:
        if what == at:
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        write_whole(str(file), b"new", step=fail)

    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_an_interrupted_write_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """A draft of a fixed name is written anew, be it a link elsewhere."""
    file, draft, other = tmp_path / "a", tmp_path / "a.new", tmp_path / "b"
    other.write_bytes(b"other")
    draft.symlink_to(other)

    write_whole(str(file), b"new", draft=str(draft))

    assert (file.read_bytes(), other.read_bytes()) == (b"new", b"other")
    assert set(tmp_path.iterdir()) == {file, other}


@on_posix
def test_permissions_are_those_asked_for(tmp_path: Path) -> None:
    """The user's alone, those given, those of the file before, and for a new one those of the umask."""
    private, given, shared = tmp_path / "private", tmp_path / "given", tmp_path / "shared"
    umask = os.umask(0o027)
    try:
        write_whole(str(private), b"")
        write_whole(str(given), b"", mode=0o644)
        write_whole(str(shared), b"", mode=None)
        assert (mode_of(private), mode_of(given), mode_of(shared)) == (0o600, 0o644, 0o640)
        shared.chmod(0o604)
        write_whole(str(shared), b"", mode=None)
        assert mode_of(shared) == 0o604
    finally:
        os.umask(umask)


def test_a_tilde_that_names_no_user_is_part_of_a_name() -> None:
    """Undecodable bytes of a name stay too."""
    home = os.environ["HOME"]

    assert expand_home("~/a\udce9") == f"{home}/a\udce9"
    assert expand_home("~draft.md") == "~draft.md"
    assert expand_home("a/~") == "a/~"
