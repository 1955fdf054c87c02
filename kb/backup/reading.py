"""Opens a backup, in a file or in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from kb.backup.archive import ArchiveReader
from kb.backup.folder import FolderReader, is_folder
from kb.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path

Backup: TypeAlias = ArchiveReader | FolderReader


def open_backup(path: Path) -> Backup:
    """A backup at a path: a file, a folder of backups for its newest one, or a snapshot in such a folder.

    Raises:
        BackupError: There is none, or it is one of a newer version of kb.
        BackupDamaged: It is damaged; more may be found when it is read.
    """
    if is_folder(path):
        return FolderReader(path)
    if path.is_dir():
        raise BackupError(f"{path} contains no backups", "Name a file or a folder that kb backup wrote")
    return ArchiveReader(path)
