"""Checks of what the store holds: the catalog, its rows, whose it is, the vectors, and the embedding cache."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.claims import require_own_claim
from kb.doctor.catalog_view import OutOfTime, opened_catalog, quick_check
from kb.doctor.finding import Plain, Remedy, failed, ok, warning
from kb.embedding import cache
from kb.errors import CatalogDamaged
from kb.formats.registry import REGISTRY
from kb.integrity import is_there
from kb.open_store import CACHE_FILE, CATALOG_FILE
from kb.sqlite import Database, connect_unshared
from kb.store.audit import CatalogStamp
from kb.store.generations import CURRENT_FILE, Generations
from kb.store.index_stamp import IndexStamp
from kb.store.local_chroma import DATABASE
from kb.store.local_vectors import read_id
from kb.store.pairing import PairCheck

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.catalog_view import CatalogView
    from kb.doctor.finding import Finding

SECONDS: Final = 60.0
# The rest of the time is for opening the file and for what Python adds.
_SHARE: Final = 0.8


def _seconds(case: Case) -> float:
    return min(SECONDS, case.patience) * _SHARE


def catalog(case: Case) -> Finding:
    """Whether the catalog opens, has kb's tables, and passes SQLite's ``quick_check``."""
    index = Remedy(case.command("index"), after=": it reads every file again; vectors come from the embedding cache")
    if wrong := _lost(case):
        return failed(wrong, index)
    case.require_catalog()
    for attempt in (1, 2):
        try:
            # Raises if whoever used it last found it damaged.
            CatalogStamp(case.file(CATALOG_FILE)).is_unchanged()
            with opened_catalog(case) as view:
                wrong = view.quick_check(_seconds(case))
                count = len(view.files())
        except CatalogDamaged as error:
            wrong = error.message
        except OutOfTime:
            return warning(
                "too large to be checked within {seconds:g} s", case.command("check"), seconds=_seconds(case)
            )
        if not wrong:
            return ok("{count:,} files, and SQLite finds no fault", count=count)
        # Read while another process wrote it: it is damaged if it looks so twice.
        if attempt == 2 or not case.holder.locked:  # noqa: PLR2004 - the second of two
            break
    return failed("damaged: {reason}", index, reason=wrong)


def _lost(case: Case) -> str:
    """What is wrong where the catalog is gone, although the store has been filled; empty if it is there."""
    if case.holder.locked or not any(os.path.lexists(case.file(name)) for name in (CACHE_FILE, CURRENT_FILE)):
        return ""
    if not is_there(case.store, CATALOG_FILE):
        return "the catalog is missing from the store"
    place = Path(case.file(CATALOG_FILE))
    if place.is_dir():
        return "the catalog is a folder"
    return "" if place.stat().st_size or Path(f"{place}-wal").exists() else "the catalog is empty"


def checksums(case: Case) -> Finding:
    """Whether each row of the catalog has the checksum that kb wrote with it."""
    with opened_catalog(case) as view:
        try:
            found = view.audit(_seconds(case))
        except OutOfTime:
            return warning("too many to be checked within {seconds:g} s", case.command("check"), seconds=_seconds(case))
        except ValueError as error:
            return failed("the catalog is damaged: {reason}", case.command("index"), reason=str(error))
    if found.files:
        return failed(
            "the rows of {count:,} files were changed by something other than kb",
            Remedy(case.command("index"), after=", which reads those files again"),
            count=len(found.files),
        )
    if found.keywords:
        return failed(
            "the index of words does not match its checksum",
            Remedy(case.command("index"), after=", which builds it again"),
        )
    return ok("all rows have their checksums")


def claim(case: Case) -> Finding:
    """Whether the store was filled by this configuration, not by another."""
    with opened_catalog(case) as view:
        require_own_claim(view, case.settings)
    return ok("filled by this configuration")


def indexed(case: Case) -> Finding:
    """Whether a run has ended, no file waits, and every file of a kind that kb reads could be read."""
    with opened_catalog(case) as view:
        files = view.files()
        completed = view.meta("completed")
        unembedded = view.count_unembedded()
    states = [file.state for file in files]
    unread = sum(bool(REGISTRY.unread(file.path, file.reason)) for file in files)
    values = {
        "done": states.count("done"),
        "failing": states.count("failed") - unread,
        "waiting": states.count("pending"),
    }
    if case.daemon.status is not None and (completed is None or values["waiting"] or unembedded):
        return ok(
            "{done:,} files, {unembedded:,} passages to embed: the daemon is at work", unembedded=unembedded, **values
        )
    if completed is None:
        return warning("no index run has been completed; {done:,} files are indexed", case.command("index"), **values)
    if values["waiting"]:
        return warning(
            "a run was interrupted: {waiting:,} files wait, {done:,} are indexed", case.command("index"), **values
        )
    if unembedded:
        return warning(
            "a run was interrupted: {unembedded:,} passages are found by their words only",
            case.command("index"),
            unembedded=unembedded,
        )
    if values["failing"]:
        return warning(
            "{done:,} files are indexed, and {failing:,} could not be",
            Remedy(case.command("status", "--problems"), after=", which says why"),
            **values,
        )
    partly = sum(bool(file.unread) for file in files)
    return ok("{done:,} files", **values).with_details(("read in part", partly), ("not read", unread))


def vectors(case: Case) -> Finding:
    """Whether the vector index is there, belongs to the catalog, and was closed in order; it is not opened."""
    if case.chroma:
        return ok("a Chroma server keeps them")
    return _in_folder(case)


def _in_folder(case: Case) -> Finding:
    with opened_catalog(case) as view:
        live = len(view.with_vectors())
        generations, pairing = Generations(case.store), PairCheck(lambda: view, lambda _: {})
        if not live and not view.meta("generation"):
            return ok("none yet")
        if wrong := _misplaced(view, generations, pairing):
            return failed(wrong, case.command("rebuild"))
        if case.holder.locked:
            return ok("{live:,} passages; the process that has the store open checks it", live=live)
        paired = pairing.is_paired(read_id(generations.directory()))
    return _left(case, generations, paired=bool(paired)) or ok(
        "{live:,} passages, closed in order and unchanged since", live=live
    )


def _left(case: Case, generations: Generations, *, paired: bool) -> Finding | None:
    """What is wrong with how the vector index was left; None if nothing is."""
    if generations.is_unclean():
        return warning(
            "not closed in order, as after a crash: the next run checks it and repairs what is wrong",
            case.command("index"),
        )
    if file := _damage(generations):
        return failed(
            "{file} of the vector index was damaged or replaced since it was closed",
            case.command("rebuild"),
            file=Plain(os.path.basename(file)),  # noqa: PTH119 - the name that Chroma gave it
        )
    if paired and IndexStamp(generations).is_clean():
        return None
    return warning("touched by something other than kb since it was closed", case.command("index"))


def _damage(generations: Generations) -> str:
    """Which file of the vector index is damaged; empty if none is known to be."""
    stamp = IndexStamp(generations)
    if stamp.is_clean():
        return ""
    if file := stamp.resized() or stamp.changed():
        return file
    try:
        with closing(connect_unshared(os.path.join(generations.directory(), DATABASE))) as connection:  # noqa: PTH118 - plain strings
            return "" if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",) else DATABASE
    except sqlite3.DatabaseError:
        return DATABASE


def _misplaced(view: CatalogView, generations: Generations, pairing: PairCheck) -> str:
    """Why the vector index is not the one of this catalog; empty if it is."""
    name = generations.current()
    if name is None:
        return "the vector index is missing from the store"
    if name != view.meta("generation"):
        return "the catalog names another vector index than the store"
    paired = pairing.is_paired(read_id(generations.path(name)))
    return "the vector index belongs to another catalog" if paired is False else ""


def embedding_cache(case: Case) -> Finding:
    """Whether the embedding cache opens and passes SQLite's ``quick_check``."""
    case.require_catalog()
    path = case.file(CACHE_FILE)
    index = Remedy(case.command("index"), after=": the cache is set aside, and texts are embedded again when needed")
    if not os.path.lexists(path):
        return warning("there is none: whatever is needed is embedded again", case.command("index"))
    if os.path.isdir(path):  # noqa: PTH112 - plain strings throughout the stores
        return failed("the embedding cache is a folder", index)
    try:
        database = Database(path, cache.SCHEMA, access="read")
        try:
            wrong = quick_check(database, _seconds(case))
            count = database.rows("SELECT count(*) FROM entries", (), lambda row: int(row[0]))[0]
        finally:
            database.close()
    except cache.CacheDamaged as error:
        wrong = error.message
    except OutOfTime:
        return warning("too large to be checked within {seconds:g} s", case.command("check"), seconds=_seconds(case))
    if wrong:
        return failed("damaged: {reason}", index, reason=wrong)
    return ok("{count:,} vectors", count=count)
