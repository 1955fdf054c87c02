"""Restores a backup into the store of a configuration."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.backup.staging import STAGING
from kb.claims import claim
from kb.container import Container
from kb.errors import BackupError, CatalogDamaged, ForeignStore, StoreError
from kb.models import encoder_if_here
from kb.open_store import CACHE_FILE, CATALOG_FILE
from kb.records import RestoreReport
from kb.system import shell
from kb.transfer import require_model, stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kb.backup.reading import Backup
    from kb.config import Settings
    from kb.embedding.encoder import Encoder
    from kb.store.catalog import SqliteCatalog

# Stands for a folder that is still to be chosen.
_FOLDER: Final = "FOLDER"


def restore(
    settings: Settings,
    path: Path,
    *,
    folders: Mapping[str, str] | None = None,
    force: bool = False,
    warn: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
    step: Callable[[str], None] = lambda _: None,
) -> RestoreReport:
    """Restore a backup into the store of a configuration.

    The new store is made beside the old one and checked, with its vector index. Then one transaction replaces the
    catalog: a process that is killed before it leaves the old store, and one killed after it the new one.

    Args:
        settings: The configuration.
        path: The backup.
        folders: Folders that moved, as old and new path.
        force: Replace a store that is not empty.
        warn: Called with a sentence for the user.
        should_stop: Called between pieces.
        step: Called with a description before each change on disk.

    Raises:
        BackupError: It is no backup, or one that does not fit the configuration.
        BackupDamaged: It is damaged.
        ModelMismatch: It was made with another model.
        StoreError: The store is not empty, and ``force`` is False; it is in use, or the disk is full.
        Cancelled: ``should_stop`` returned True.
    """
    from kb.backup.reading import open_backup

    started = time.monotonic()
    between = stopping(should_stop)
    container = Container(settings, warn)
    try:
        with open_backup(path) as backup:
            _require_fitting(backup, container, encoder := encoder_if_here(settings))
            container.hold(container.config.store.wait_seconds)
            _require_replaceable(container, force=force)
            staged = _verified(backup, container, between)
            try:
                generation = _stage(backup, staged, container, encoder, moved=folders or {}, between=between)
                _put_in_place(backup, staged, container, generation, step)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
            manifest = backup.manifest
    finally:
        container.close()
    return RestoreReport(
        store=container.store_path,
        files=manifest.files,
        passages=manifest.passages,
        vectors=manifest.vectors.count,
        without_vector=manifest.without_vector,
        index=bool(generation),
        seconds=time.monotonic() - started,
    )


def _require_fitting(backup: Backup, container: Container, encoder: Encoder | None) -> None:
    """Check what a backup says of itself, before anything is read or locked.

    Raises:
        BackupError: It is none of a store.
        FolderError: No folder is configured.
        ModelMismatch: It was made with another model.
    """
    from kb.backup.restoring import catalog_of

    catalog_of(backup)
    container.folders  # noqa: B018 - raises where none is configured
    require_model(backup, container.settings, encoder)


def _verified(backup: Backup, container: Container, between: Callable[[], None]) -> Path:
    """Check a backup whole, and make the folder in which a store is made from it.

    Raises:
        BackupError: The disk has no room for it.
        BackupDamaged: It is damaged.
    """
    from kb.backup.restoring import require_room

    store = Path(container.store_path)
    require_room(backup.manifest, store)
    backup.verify(between)
    staged = store / STAGING
    staged.mkdir(mode=0o700)
    return staged


def _require_replaceable(container: Container, *, force: bool) -> None:
    """Check that a store is empty, or may be replaced.

    Raises:
        StoreError: It is not; ``ForeignStore`` if another program made it.
    """
    from kb.sqlite import Database
    from kb.store.catalog_schema import SCHEMA
    from kb.store.generations import Generations

    # Refuses the folder of another program.
    Generations(container.store_path)
    place = os.path.join(container.store_path, CATALOG_FILE)  # noqa: PTH118 - plain strings throughout the stores
    if not container.exists:
        return
    remedy = "Replace it with --force, or name another store: kb --store DIR restore FILE"
    try:
        database = Database(place, SCHEMA, access="read")
    except ForeignStore:
        raise
    except StoreError as error:
        if force:
            return
        raise StoreError(f"there is a store at {container.store_path} already ({error.message})", remedy) from error
    try:
        files = database.rows("SELECT count(*) FROM files", (), lambda row: int(row[0]))[0]
    finally:
        database.close()
    if files and not force:
        raise StoreError(f"the store at {container.store_path} is not empty: it has {files} files", remedy)


def _stage(
    backup: Backup,
    staged: Path,
    container: Container,
    encoder: Encoder | None,
    *,
    moved: Mapping[str, str],
    between: Callable[[], None],
) -> str:
    """Make a whole store from a backup, and return its generation of the vector index; empty without a model."""
    from kb.backup.restoring import write_cache, write_catalog
    from kb.store.generations import Generations

    catalog = staged / CATALOG_FILE
    write_catalog(backup, catalog, between)
    write_cache(backup, catalog, staged / CACHE_FILE, between)
    settings = container.settings
    here = Container(settings.beside(str(staged)), container.warn, embedder=encoder)
    try:
        here.take_over()
        # Looks at every row.
        here.own()
        _fit(here.catalog, backup, settings, moved)
        if encoder is None or settings.config.store.chroma:
            # The first use makes the index, on the server where there is one.
            return ""
        here.store.require_model()
        here.vectors.rebuild()
    finally:
        here.close()
    return Generations(str(staged)).current() or ""


def _fit(catalog: SqliteCatalog, backup: Backup, settings: Settings, moved: Mapping[str, str]) -> None:
    """Make a restored catalog one of this configuration.

    Raises:
        BackupError: It has folders that are not configured here.
    """
    if catalog.meta("fingerprint") != backup.manifest.vectors.fingerprint:
        raise BackupError(f"{backup.place} has a catalog and vectors of two models", "Use another backup")
    known = catalog.folders()
    for old in moved:
        if old not in known:
            raise BackupError(
                f"{backup.place} has no files of {old}", f"It has files of {', '.join(known)}: --folder OLD=NEW"
            )
    configured = settings.folder_paths()
    now = {old: moved.get(old, old) for old in known}
    if lost := [old for old in known if now[old] not in configured]:
        which = "which is not a configured folder" if len(lost) == 1 else "which are not configured folders"
        found = {old: new for old, new in moved.items() if new in configured}
        raise BackupError(
            f"{backup.place} has files of {', '.join(now[old] for old in lost)}, {which} ({', '.join(configured)})",
            _where_they_are(found, lost, [folder for folder in configured if folder not in now.values()]),
        )
    try:
        catalog.move_folders(moved)
    except ValueError as error:
        raise BackupError(f"the folders cannot be moved: {error}", "Map each folder to one of its own") from error
    # The index of another store is none of this one.
    catalog.set_meta("generation", "")
    claim(catalog, settings)


def _put_in_place(
    backup: Backup,
    staged: Path,
    container: Container,
    generation: str,
    step: Callable[[str], None],
) -> None:
    """Replace a store by the staged one."""
    from kb.backup.restoring import write_cache
    from kb.sqlite import replace_database, set_aside
    from kb.store.audit import CatalogStamp
    from kb.store.catalog import SqliteCatalog
    from kb.store.catalog_schema import SCHEMA
    from kb.store.generations import Generations
    from kb.store.index_stamp import STAMP_FILE

    def before(what: str) -> None:
        container.lock.require_place()
        step(what)

    store = Path(container.store_path)
    generations = Generations(str(store), on_step=before)
    before("bring the vectors")
    if os.path.lexists(store / CACHE_FILE):
        # What is begun here is not given up, so nothing is asked between pieces.
        limit = container.config.embed.cache_vectors
        write_cache(backup, staged / CATALOG_FILE, store / CACHE_FILE, lambda: None, limit=limit, warn=container.warn)
    else:
        (staged / CACHE_FILE).rename(store / CACHE_FILE)
    name = generations.adopt(str(staged / generation)) if generation else ""
    catalog = SqliteCatalog(str(staged / CATALOG_FILE))
    catalog.set_meta("generation", name)
    catalog.close()
    before("replace the catalog")
    target = str(store / CATALOG_FILE)
    try:
        replace_database(str(staged / CATALOG_FILE), target, SCHEMA)
    except CatalogDamaged:
        set_aside(target, SCHEMA)
        replace_database(str(staged / CATALOG_FILE), target, SCHEMA)
    before("switch to the vector index")
    CatalogStamp(target).save("")
    if name:
        (staged / STAMP_FILE).replace(store / STAMP_FILE)
        generations.switch(name)
        generations.mark_clean()
    generations.sweep()


def _where_they_are(found: Mapping[str, str], lost: Sequence[str], free: Sequence[str]) -> str:
    """Return the advice to say where folders of a backup are now, with all options of the command.

    Args:
        found: The folders of which that was said.
        lost: Those of which it was not, or not rightly.
        free: The configured folders that are no folder of the backup. One of the same name goes before others.
    """
    left = list(free)
    where = dict.fromkeys(lost, "")
    for old in lost:
        where[old] = next((new for new in left if Path(new).name == Path(old).name), "")
        left = [new for new in left if new != where[old]]
    for old in lost:
        where[old] = where[old] or (left.pop(0) if left else "")
    options = " ".join(f"--folder {shell.quote(f'{old}={new or _FOLDER}')}" for old, new in {**found, **where}.items())
    them = "it is" if len(lost) == 1 else "they are"
    if none := [old for old in lost if not where[old]]:
        return (
            f"First add a folder for {', '.join(none)}: kb init --add {_FOLDER}; then say where {them} now: {options}"
        )
    return f"Say where {them} now: {options}"
