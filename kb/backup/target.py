"""The file that a backup or an export is written to: whole or not at all, for its owner only, over nothing else.

It is written beside its place under another name, and renamed when it is complete and on the disk.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from kb.errors import BackupError, StoreError
from kb.own_files import store_error_for
from kb.system import WINDOWS, shell
from kb.system.files import make_private, replace_file, sync_directory
from kb.system.locks import PAST_END, try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_READ: Final = 512


@contextmanager
def replacing(
    path: Path, begins_well: Callable[[bytes], bool], step: Callable[[str], None] = lambda _: None
) -> Iterator[BinaryIO]:
    """A new file that takes its place at a path when the context is left without an exception.

    Args:
        path: The place.
        begins_well: Whether a file that begins with these bytes may be replaced.
        step: Called with a description before each change on disk.

    Raises:
        BackupError: Another kind of file is there, or another process is writing it.
        StoreError: It cannot be written.
    """
    try:
        place = _place(path, begins_well)
        draft = place.with_name(f".{place.name}.part")
        with _draft(draft, path, begins_well) as file:
            try:
                yield file
                step("flush the file")
                file.flush()
                os.fsync(file.fileno())
                step("rename the file")
                if WINDOWS:
                    # There, no open file can be renamed.
                    file.close()
                replace_file(str(draft), str(place))
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        step("flush the folder")
        sync_directory(str(place.parent))
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> StoreError:
    """The error for a backup or an export that cannot be written."""
    return store_error_for(str(path), error, str(path), choose="name")


def _place(path: Path, begins_well: Callable[[bytes], bool]) -> Path:
    """The real path of the file to write, whose folder exists and which replaces nothing else.

    Raises:
        BackupError: It would replace something else.
    """
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise BackupError(
            f"there is no folder {place.parent}", f"Make it first: {shell.make_folder(str(place.parent))}"
        )
    with suppress(FileNotFoundError):
        mode = place.lstat().st_mode
        if stat.S_ISDIR(mode):
            raise BackupError(f"{path} is a folder", f"Name a file in it: {path / 'kb.backup'}")
        if not (stat.S_ISREG(mode) and begins_well(_beginning(place))):
            raise BackupError(f"{path} is there already, and kb did not write it", "Name another file, or move it away")
    return place


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_READ)


@contextmanager
def _draft(draft: Path, path: Path, begins_well: Callable[[bytes], bool]) -> Iterator[BinaryIO]:
    """The file under its other name, locked, so that no second process writes it; a remainder is overwritten."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(draft, flags, 0o600), "w+b") as file:
        if not _locked(file):
            raise BackupError(f"another process is writing {path}", "Wait until it is done")
        found = file.read(_READ)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or not (begins_well(found) or not found):
            raise BackupError(f"{draft} is in the way, and kb did not write it", "Name another file, or move it away")
        file.seek(0)
        file.truncate()
        make_private(file.fileno())
        yield file


def _locked(file: BinaryIO) -> bool:
    try:
        return try_lock(file.fileno(), PAST_END)
    except OSError:
        # The file system has no locks.
        return True
    finally:
        file.seek(0)
