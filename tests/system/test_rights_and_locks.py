"""Whose files are, and which are locked: as POSIX says it, and as Windows does."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pretend_windows import SEEN

from kb.system import files, locks, memory, users

if TYPE_CHECKING:
    from pathlib import Path


def test_a_private_folder_lets_nobody_else_in(tmp_path: Path) -> None:
    """Neither by its mode, nor as a link to one."""
    folder, link = tmp_path / "own", tmp_path / "link"
    folder.mkdir(mode=0o700)
    link.symlink_to(folder)

    assert users.is_private_folder(str(folder))
    assert not users.is_private_folder(str(link))
    folder.chmod(0o750)
    assert not users.is_private_folder(str(folder))
    assert users.rights_of_others(folder.stat()) == 0o050


def test_on_windows_a_private_folder_really_lies_in_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modes say nothing there. What leads out of the profile, and the profile itself, are none."""
    profile, outside = tmp_path / "ann", tmp_path / "anna"
    (profile / "kb").mkdir(parents=True, mode=0o777)
    (outside / "kb").mkdir(parents=True)
    (profile / "way").symlink_to(outside)
    monkeypatch.setenv("HOME", str(profile))
    monkeypatch.setattr(users, "WINDOWS", True)

    assert users.is_private_folder(str(profile / "kb"))
    assert not users.is_private_folder(str(profile))
    assert not users.is_private_folder(str(outside / "kb"))
    assert not users.is_private_folder(str(profile / "way" / "kb"))
    assert users.rights_of_others((profile / "kb").stat()) == 0
    assert users.is_own((profile / "kb").stat())


@pytest.mark.parametrize("side", ["posix", "windows"])
def test_a_lock_is_held_until_its_file_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    """Looking whether it is held takes it from nobody, and a file that is not there is held by nobody."""
    if side == "windows":
        monkeypatch.setattr(locks, "sys", SEEN["sys"])
        monkeypatch.setitem(sys.modules, "msvcrt", SEEN["msvcrt"])
    file = tmp_path / "lock"
    assert not locks.is_locked(str(file))
    file.write_text("content")
    holder, other = (os.open(file, os.O_RDWR) for _ in range(2))

    assert not locks.is_locked(str(file), locks.PAST_END)
    assert locks.try_lock(holder, locks.PAST_END)
    assert not locks.try_lock(other, locks.PAST_END)
    assert locks.is_locked(str(file), locks.PAST_END)
    assert file.read_text() == "content"
    os.close(holder)
    assert not locks.is_locked(str(file), locks.PAST_END)
    os.close(other)


def test_directories_are_locked_where_that_is_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows removes no file that is open, so that the lock file is enough there."""
    first = locks.lock_directory(str(tmp_path))
    assert first is not None
    with pytest.raises(BlockingIOError):
        locks.lock_directory(str(tmp_path))
    monkeypatch.setattr(locks, "sys", SEEN["sys"])
    assert locks.lock_directory(str(tmp_path)) is None
    os.close(first)


def test_a_file_that_somebody_reads_is_replaced_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses as long as another program has it open; one that never closes it is told."""
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new")
    refusals = iter([True, True, False])
    replace = os.replace

    def refusing(source: str, target: str) -> None:
        if next(refusals, False):
            raise PermissionError(13, "used by another process")
        replace(source, target)

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("os.replace", refusing)
    files.replace_file(str(new), str(old))
    assert old.read_text() == "new"

    refusals = iter([True] * 100)
    with pytest.raises(PermissionError):
        files.replace_file(str(old), str(new))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_has_ended_takes_no_memory() -> None:
    """Nor is it an error of another kind while its parent has not asked for its exit code."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessLookupError):
            memory.resident_memory(child.pid)
