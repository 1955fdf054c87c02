"""Lays the disk beside the catalog: one scan, and a look at the files that it lacks where so many went at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kb.index.plan import Comparison, compare, withheld
from kb.records import Failure, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kb.index.plan import Key
    from kb.ports import Catalog, Files


_MOUNTS: Final = "mounts"


def mounted_before(catalog: Catalog) -> frozenset[Key]:
    """Where file systems were mounted inside the folders when their files were indexed, as (folder, path)."""
    return frozenset((folder, path) for folder, path in json.loads(catalog.meta(_MOUNTS) or "[]"))


def note_mounts(catalog: Catalog, places: Collection[Key]) -> None:
    """Remember where file systems are mounted, for when one of them is gone."""
    if mounted_before(catalog) != frozenset(places):
        catalog.set_meta(_MOUNTS, json.dumps(sorted(places)))


def look(
    files: Files,
    catalog: Catalog,
    *,
    everything: bool = False,
    reread: Callable[[str], bool] = lambda _: False,
) -> tuple[Comparison, tuple[Failure, ...]]:
    """The disk beside the catalog, and what on the disk cannot be taken in; needs neither model nor vectors.

    Args:
        files: The watched folders.
        catalog: What is known of them.
        everything: Take every file as one to look at.
        reread: Whether the file at a path has to be read again, since its format is read by other rules now.
    """
    scan = files.scan()
    missing = tuple(Failure(folder, "", "the folder is not there") for folder in scan.missing)
    comparison = compare(
        scan,
        catalog.files(),
        everything=everything,
        reread=reread,
        mounted_before=mounted_before(catalog),
    )
    # Only what would be withheld is worth a stat each: all else that a scan lacks is let go anyway.
    excluded = frozenset(
        file.id for file in withheld(comparison.gone, comparison) if files.stat(file.folder, file.path) is not None
    )
    return replace(comparison, excluded=excluded), scan.problems + missing


def missing(files: Files, catalog: Catalog) -> Missing:
    """What an answer may lack: files that wait, that are kept though they are gone, that could not be indexed."""
    comparison, problems = look(files, catalog)
    return Missing(
        waiting=comparison.pending,
        held=len(comparison.held) + len(withheld(comparison.gone, comparison)),
        failed=sum(file.state == "failed" for file in catalog.files()) + len(problems),
    )
