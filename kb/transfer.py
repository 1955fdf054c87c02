"""Backups, exports and imports of an open store: joins ``kb.backup`` with the container."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.backup.staging import private_folder
from kb.errors import BackupError, Cancelled, ModelMismatch, StoreError
from kb.open_store import CATALOG_FILE
from kb.records import BackupReport, ExportReport, ImportReport
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.backup.contents import CatalogCopy, VectorSource
    from kb.backup.manifest import CatalogPart, Manifest, VectorPart
    from kb.backup.reading import Backup
    from kb.backup.tables import TableFormat
    from kb.config import Settings
    from kb.container import Container
    from kb.embedding.encoder import Encoder
    from kb.ports import Stream

KEPT: Final = 7
"""How many backups a folder keeps by default."""
_PAGE: Final = 500


# Backups.


def back_up(
    container: Container,
    path: Path,
    *,
    incremental: bool,
    keep: int,
    should_stop: Callable[[], bool],
) -> BackupReport:
    """Write a backup of a store, while it is used and indexed.

    Args:
        container: The store.
        path: The file, or with ``incremental`` the folder.
        incremental: Add to a folder what changed since its last backup.
        keep: How many backups the folder keeps.
        should_stop: Called between pieces.

    Raises:
        BackupError: Something else is at the path.
        StoreError: Nothing is indexed, or the disk is full.
        Cancelled: ``should_stop`` returned True.
    """
    if not incremental:
        return _write_archive(container, path, should_stop, with_catalog=True)
    from kb.backup.contents import put_catalog
    from kb.backup.folder import FolderWriter

    started = time.monotonic()
    _require_outside(container, path)
    between, source = _pacing(container, should_stop), _vectors_of(container)
    with _catalog_copy(container) as copy, FolderWriter(path) as folder:
        catalog = put_catalog(copy.path, folder, between)
        kept = folder.kept_blocks(copy.fingerprint, copy.needed)
        manifest = _manifest(copy, catalog, *source.put(copy, folder, between, kept))
        place = folder.finish(manifest, keep)
        size = sum(chunk.stored for chunk in manifest.chunks())
        return _report(manifest, str(place), size, folder.written, started)


def export_vectors(container: Container, path: Path, should_stop: Callable[[], bool]) -> BackupReport:
    """Write the vectors of a store into a file, for ``import_vectors`` on another machine.

    Raises:
        BackupError: Something else is at the path.
        StoreError: Nothing is indexed, or the disk is full.
        Cancelled: ``should_stop`` returned True.
    """
    return _write_archive(container, path, should_stop, with_catalog=False)


def _write_archive(
    container: Container, path: Path, should_stop: Callable[[], bool], *, with_catalog: bool
) -> BackupReport:
    """Write a backup of a store, or its vectors alone, into one file."""
    from kb.backup.archive import ArchiveWriter, is_archive
    from kb.backup.contents import put_catalog
    from kb.backup.target import replacing

    started = time.monotonic()
    _require_outside(container, path)
    between, source = _pacing(container, should_stop), _vectors_of(container)
    with _catalog_copy(container) as copy, replacing(path, is_archive) as file:
        archive = ArchiveWriter(file)
        catalog = put_catalog(copy.path, archive, between) if with_catalog else None
        manifest = _manifest(copy, catalog, *source.put(copy, archive, between))
        archive.finish(manifest)
        size = file.tell()
    return _report(manifest, str(path), size, size, started)


def verify_backup(path: Path, should_stop: Callable[[], bool] = lambda: False) -> BackupReport:
    """Check every byte of a backup; the newest one of a folder.

    Raises:
        BackupError: It is no backup, or one of a newer version of kb.
        BackupDamaged: It is damaged.
        Cancelled: ``should_stop`` returned True.
    """
    from kb.backup.reading import open_backup

    started = time.monotonic()
    with open_backup(path) as backup:
        backup.verify(stopping(should_stop))
        return _report(backup.manifest, backup.place, backup.size, 0, started)


def _manifest(copy: CatalogCopy, catalog: CatalogPart | None, vectors: VectorPart, lacking: int) -> Manifest:
    from kb import __version__
    from kb.backup.manifest import Manifest

    return Manifest(
        format=1,
        kind="vectors" if catalog is None else "backup",
        kb=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        model=copy.model,
        folders=copy.folders,
        files=copy.files,
        passages=copy.passages,
        without_vector=lacking,
        catalog=catalog,
        vectors=vectors,
    )


def _report(manifest: Manifest, path: str, size: int, written: int, started: float) -> BackupReport:
    return BackupReport(
        path=path,
        files=manifest.files,
        passages=manifest.passages,
        vectors=manifest.vectors.count,
        without_vector=manifest.without_vector,
        model=manifest.model,
        fingerprint=manifest.vectors.fingerprint,
        folders=manifest.folders,
        created=manifest.created,
        size=size,
        written=written,
        seconds=time.monotonic() - started,
    )


@contextmanager
def _catalog_copy(container: Container) -> Iterator[CatalogCopy]:
    """A copy of the catalog as it is now, which is removed afterwards.

    Raises:
        StoreError: Nothing is indexed, or the store belongs to another configuration.
    """
    from kb.backup.contents import look_into
    from kb.sqlite import copy_database
    from kb.store.catalog_schema import SCHEMA

    store = container.store_path
    if not container.exists:
        raise StoreError(f"nothing is indexed in the store at {store}", "Run kb index first")
    # Opening it migrates it, and refuses the store of another configuration.
    container.catalog.as_of()
    with private_folder(store) as folder:
        copy = folder / CATALOG_FILE
        copy_database(os.path.join(store, CATALOG_FILE), str(copy), SCHEMA)  # noqa: PTH118 - plain strings throughout the stores
        yield look_into(copy, store)


def _vectors_of(container: Container) -> VectorSource:
    """Where the vectors of a store are: in the cache, and those that it dropped in the vector index."""
    from kb.backup.contents import VectorSource

    def cached(digests: Sequence[bytes]) -> Mapping[bytes, NDArray[np.float32]]:
        return container.cache.peek(container.catalog.meta("fingerprint") or "", digests)

    return VectorSource(cached, lambda ids: _indexed(container, ids))


def _indexed(container: Container, ids: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
    """The vectors of passages in the vector index, which in a store only the holder of its lock may open."""
    if container.store.state == "read-only" and not container.store.on_server:
        return container.store.copied.get().index.vectors(ids)
    container.own()
    with container.vectors.using() as index:
        return index.vectors(ids)


def _require_outside(container: Container, path: Path) -> None:
    """Check that a backup is not written into the store that it is of.

    Raises:
        BackupError: It is.
    """
    if Path(os.path.realpath(path)).is_relative_to(container.store_path):
        raise BackupError(f"{path} is in the store itself", "Name a place outside it, on another disk if there is one")


def _require_unwatched(container: Container, path: Path) -> None:
    """Check that an export does not become part of what is indexed.

    Raises:
        BackupError: It would.
    """
    place = Path(os.path.realpath(path))
    for folder in container.settings.folder_paths():
        inside = place.is_relative_to(folder)
        if inside and container.files.belongs(folder, place.relative_to(folder).as_posix()):
            raise BackupError(f"{path} is in {folder}, so kb would index it", "Name a file outside the watched folders")


def _pacing(container: Container, should_stop: Callable[[], bool]) -> Callable[[], None]:
    """A function to call between pieces of work: questions go first, and a user can stop it."""
    stop = stopping(should_stop)

    def between() -> None:
        container.query_priority.wait()
        stop()

    return between


def stopping(should_stop: Callable[[], bool]) -> Callable[[], None]:
    """A function to call between pieces of work, which raises ``Cancelled`` once a user stops it."""

    def between() -> None:
        if should_stop():
            raise Cancelled("interrupted; nothing was changed")

    return between


# Exports for other programs, and vectors from elsewhere.


def export_table(
    container: Container,
    path: Path | Stream,
    kind: TableFormat,
    *,
    vectors: bool,
    replace: bool,
    should_stop: Callable[[], bool],
) -> ExportReport:
    """Write all passages with their places, metadata and vectors, as they are at one moment.

    Args:
        container: The store.
        path: The file, or a stream that stays open.
        kind: The format.
        vectors: Whether to write the vectors.
        replace: Whether an existing file may be replaced.
        should_stop: Called between pieces.

    Raises:
        BackupError: The file exists, or PyArrow is missing.
        StoreError: Nothing is indexed, or the disk is full.
        Cancelled: ``should_stop`` returned True.
    """
    from kb.backup.target import replacing

    if not isinstance(path, Path):
        return _write_table(container, path, kind, vectors, should_stop)
    _require_outside(container, path)
    _require_unwatched(container, path)
    if path.exists() and not replace:
        raise BackupError(f"{path} is there already", "Name another file, or replace it with --force")
    with replacing(path, lambda _: replace) as file:
        report = _write_table(container, file, kind, vectors, should_stop)
        size = file.tell()
    return ExportReport(str(path), report.passages, report.without_vector, size, report.seconds)


def _write_table(
    container: Container, file: Stream, kind: TableFormat, vectors: bool, should_stop: Callable[[], bool]
) -> ExportReport:
    from kb.backup.tables import open_table, record_of
    from kb.indexing.plan import pages
    from kb.store.catalog import SqliteCatalog

    started = time.monotonic()
    between = _pacing(container, should_stop)
    passages = lacking = 0
    with _catalog_copy(container) as copy:
        table = open_table(file, kind, {"model": copy.model, "fingerprint": copy.fingerprint})
        catalog = SqliteCatalog(str(copy.path))
        try:
            for page in pages(catalog.all_passages(), _PAGE):
                between()
                known: Mapping[bytes, NDArray[np.float32]] = {}
                if vectors:
                    known = container.cache.peek(copy.fingerprint, [passage.digest for passage in page])
                dropped = [passage.id for passage in page if vectors and passage.digest not in known]
                by_id = _indexed(container, dropped) if dropped else {}
                found = [known.get(passage.digest, by_id.get(passage.id)) for passage in page]
                table.write([record_of(passage, vector) for passage, vector in zip(page, found, strict=True)])
                passages += len(page)
                lacking += sum(vector is None for vector in found) if vectors else 0
        finally:
            catalog.close()
        table.close()
    return ExportReport("", passages, lacking, 0, time.monotonic() - started)


def import_vectors(container: Container, path: Path, should_stop: Callable[[], bool]) -> ImportReport:
    """Bring the vectors of a file or a backup into the embedding cache, so that their texts are not embedded here.

    The file is checked whole before any of it is used.

    Raises:
        ModelMismatch: They are of another model.
        BackupError: It is no such file, or one of a newer version of kb.
        BackupDamaged: It is damaged.
        StoreBusy: Another process holds the store.
        Cancelled: ``should_stop`` returned True.
    """
    from kb.backup.reading import open_backup
    from kb.backup.vectors import read_vectors

    started = time.monotonic()
    between = _pacing(container, should_stop)
    with open_backup(path) as backup:
        require_model(backup, container.settings, container.embedder)
        backup.verify(between)
        part = backup.manifest.vectors
        # Each is looked at before the first one is stored.
        for _ in read_vectors(part, backup, backup.place):
            between()
        container.own()
        limit = container.config.embed.cache_vectors
        if part.count > limit:
            container.warn(
                f"{path} has {part.count} vectors, and the cache keeps {limit} (embed.cache_vectors): set it higher"
            )
        new = 0
        for vectors in read_vectors(part, backup, backup.place):
            between()
            known = container.cache.peek(part.fingerprint, list(vectors))
            container.cache.put(part.fingerprint, vectors)
            new += len(vectors) - len(known)
    return ImportReport(part.count, new, time.monotonic() - started)


def _require_dimension(backup: Backup, encoder: Encoder) -> None:
    """Check that the vectors of a backup have the dimension of the model that they are said to be of.

    Raises:
        BackupDamaged: They have not.
    """
    from kb.backup.chunks import damaged

    found = backup.manifest.vectors
    if found.count and found.dimension != encoder.dimension:
        raise damaged(
            backup.place, f"its vectors have {found.dimension} numbers, and those of its model {encoder.dimension}"
        )


def require_model(backup: Backup, settings: Settings, encoder: Encoder | None) -> None:
    """Check that a backup was made with the configured model.

    Args:
        backup: The backup.
        settings: The configuration.
        encoder: The configured model; None if it is not on this machine, so that its name has to do.

    Raises:
        ModelMismatch: It was not.
        BackupDamaged: It says that it was, and its vectors have another number of dimensions.
    """
    theirs, ours = backup.manifest.model, settings.config.embed.model
    made = backup.manifest.vectors.fingerprint
    if encoder is None:
        if theirs == ours:
            return
    elif made == encoder.fingerprint:
        _require_dimension(backup, encoder)
        return
    if theirs != ours:
        raise ModelMismatch(
            f"{backup.place} was made with {theirs}, and embed.model is {ours}",
            f"Use its model: {settings.command()} model use {shell.quote(theirs)}",
        )
    precision = settings.config.embed.precision
    if " int8/" in made:
        how, remedy = "in int8", 'Set embed.precision = "int8" in config.toml to use these vectors'
    elif precision == "int8":
        how = "in floating point, and embed.precision is int8"
        remedy = 'Set embed.precision = "auto" in config.toml to use these vectors'
    else:
        how, remedy = (
            "from other files",
            "Use the same files of the model on both machines (embed.model, embed.revision)",
        )
    raise ModelMismatch(f"{backup.place} was made with {theirs} {how}", remedy)
