"""Makes the parts of a store from a backup: its catalog and its vectors, in a folder of their own.

A backup is not trusted. Nothing larger than its manifest says is written, no more than the disk has room for, and the
catalog is opened for writing only once it is found to be one of kb's.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

from kb.backup.chunks import damaged
from kb.backup.vectors import read_vectors
from kb.embedding.cache import EmbeddingCache
from kb.errors import BackupDamaged, BackupError, CatalogDamaged, ForeignStore
from kb.sqlite import connect_unshared, require_sound
from kb.store.catalog_schema import SCHEMA
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.backup.manifest import CatalogPart, Manifest
    from kb.backup.reading import Backup

# Catalog, vectors in the cache, and the vector index with its texts, each also while it is being written.
_ROOM: Final = 3
# No path of a watched folder leads out of it.
_OUTSIDE: Final = """
    SELECT count(*) FROM files
    WHERE typeof(name) != 'blob' OR instr(name, x'00') OR substr(name, 1, 1) = x'2f'
       OR instr(CAST(x'2f' || name || x'2f' AS BLOB), x'2f2e2e2f')
"""
_DIGESTS: Final = "SELECT DISTINCT digest FROM passages"


def catalog_of(backup: Backup) -> CatalogPart:
    """The catalog in a backup.

    Raises:
        BackupError: It contains only vectors.
    """
    part = backup.manifest.catalog
    if part is None:
        remedy = f"Bring them in: kb import {shell.quote(backup.place)}"
        raise BackupError(f"{backup.place} contains vectors and no catalog", remedy)
    return part


def require_room(manifest: Manifest, folder: Path) -> None:
    """Check that what a backup says it holds has room on a disk.

    Raises:
        BackupError: It has not.
    """
    needed, free = _ROOM * manifest.size, shutil.disk_usage(folder).free
    if needed > free:
        raise BackupError(
            f"the backup needs {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB",
            "Free some space, or name a store on another disk: kb --store DIR restore FILE",
        )


def write_catalog(backup: Backup, target: Path, between: Callable[[], None]) -> None:
    """Write the catalog of a backup to a file, and check that it is one.

    Raises:
        BackupError: The backup has none, or one of a newer version of kb.
        BackupDamaged: It is damaged, or no catalog of kb.
    """
    part = catalog_of(backup)
    with target.open("xb") as file:
        for chunk in part.chunks:
            between()
            file.write(backup.read(chunk))
    target.chmod(0o600)
    try:
        require_sound(str(target), SCHEMA)
    except (CatalogDamaged, ForeignStore) as error:
        raise damaged(backup.place, f"its catalog is not one of kb ({error.message.rpartition(': ')[2]})") from error
    with closing(connect_unshared(str(target))) as connection:
        if connection.execute(_OUTSIDE).fetchone()[0]:
            raise damaged(backup.place, "it names files outside its folders")


def write_cache(
    backup: Backup,
    catalog: Path,
    target: Path,
    between: Callable[[], None],
    *,
    limit: int = sys.maxsize,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Add the vectors that a catalog needs to an embedding cache.

    Args:
        backup: The backup.
        catalog: The catalog.
        target: The cache.
        between: Called between pieces.
        limit: The most vectors that the cache keeps.
        warn: Called with a sentence if the cache was damaged; None for a new one.

    Raises:
        BackupDamaged: A vector is damaged.
        StoreError: They cannot be written.
    """
    with closing(connect_unshared(str(catalog))) as connection:
        wanted = {row[0] for row in connection.execute(_DIGESTS) if isinstance(row[0], bytes)}
    part = backup.manifest.vectors
    cache = EmbeddingCache(str(target), limit, warn=warn or _refuse)
    try:
        for vectors in read_vectors(part, backup, backup.place, wanted):
            between()
            cache.put(part.fingerprint, vectors)
    finally:
        cache.close()


def _refuse(text: str) -> None:
    """In place of a warning: a new cache has no damage but that of the backup."""
    raise BackupDamaged(text)
