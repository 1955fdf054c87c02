"""Compares only some places with the catalog, where that gives what a comparison of everything would give.

The places are those that changed since the last run. What else a run depends on is unchanged, which the basis of the
scan shows, or is looked at too: files that every run tries again, and those that may have been moved into a place.
Where that is not certain, everything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kb.indexing.plan import FEW, Comparison, compare, wrongly_failed
from kb.records import is_racy, subtrees_above

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kb.ports import Catalog, Files
    from kb.records import Failure, KnownFile, Scan, ScanBasis, Subtree

# With more of them, a comparison of everything takes no longer.
_MOST_PLACES: Final = 1000
_MOST_OF_A_SIZE: Final = 200


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the last run left, on which a comparison of some places relies.

    Attributes:
        basis: What its scan relied on.
        problems: The files and folders that could not be read.
        postponed: The places of files that it could not finish, without a trace in the catalog.
    """

    basis: ScanBasis
    problems: tuple[Failure, ...]
    postponed: frozenset[Subtree] = frozenset()


def compare_places(
    files: Files, catalog: Catalog, places: Collection[Subtree], last: LastRun
) -> tuple[Comparison, tuple[Failure, ...]] | None:
    """Compare the changed places with the catalog.

    Args:
        files: The watched folders.
        catalog: The catalog, as the last run left it.
        places: Where something changed since the last run began.
        last: What that run left.

    Returns:
        The comparison, and the files and folders that cannot be read, those elsewhere included; None if everything has
        to be compared.
    """
    unsettled = catalog.unsettled()
    again = {file.key for file in unsettled if _is_tried_again(file)}
    wanted = frozenset(places) | last.postponed | again
    while len(wanted) <= _MOST_PLACES:
        scan = files.scan_places(wanted, last.basis)
        if scan is None or scan.places is None:
            return None
        known = catalog.files_at(scan.places)
        comparison = compare(scan, known)
        if comparison.held or not _is_ordinary(comparison.gone, catalog):
            return None
        moved = _moved_from(scan, known, files, catalog)
        if moved is None:
            return None
        if not moved:
            return _with_rest(comparison, known, unsettled, catalog), _problems(scan, last)
        wanted |= moved
    return None


def _is_tried_again(file: KnownFile) -> bool:
    """Whether every run looks at a file that is not indexed, even if it did not change."""
    return file.state == "pending" or is_racy(file.stat, file.read_ns) or wrongly_failed(file)


def _is_ordinary(gone: Sequence[KnownFile], catalog: Catalog) -> bool:
    """Whether so few files are missing that none of them may be withheld."""
    if len(gone) > FEW:
        return False
    ids = {file.id for file in gone}
    return all(catalog.has_others(folder, ids) for folder in {file.folder for file in gone})


def _moved_from(scan: Scan, known: Sequence[KnownFile], files: Files, catalog: Catalog) -> frozenset[Subtree] | None:
    """Where new files may have been moved from, outside the scanned places; None if there are too many to look at.

    A moved file has the size that it had, and is gone from where it was.
    """
    keys = {file.key for file in known}
    sizes = {found.stat.size for found in scan.files if found.key not in keys}
    alike = [file for file in catalog.files_of_size(sizes) if file.key not in keys] if sizes else []
    if len(alike) > _MOST_OF_A_SIZE:
        return None
    return frozenset(file.key for file in alike if files.stat(file.folder, file.path) is None)


def _with_rest(
    comparison: Comparison, known: Sequence[KnownFile], unsettled: Sequence[KnownFile], catalog: Catalog
) -> Comparison:
    """The comparison, with what is known of the files elsewhere."""
    looked_at = {file.id for file in known}
    failed = tuple(file for file in unsettled if file.state == "failed" and file.id not in looked_at)
    elsewhere = catalog.count_files() - sum(file.state == "done" for file in known)
    return replace(comparison, failed=comparison.failed + failed, elsewhere=elsewhere)


def _problems(scan: Scan, last: LastRun) -> tuple[Failure, ...]:
    """The problems of the scanned places, and those elsewhere that the last run found."""
    places = scan.places or frozenset()
    elsewhere = [one for one in last.problems if not _lies_in((one.folder, one.path), places)]
    return tuple(dict.fromkeys((*elsewhere, *scan.problems)))


def _lies_in(place: Subtree, places: frozenset[Subtree]) -> bool:
    """Whether a place is one of some places, or below one."""
    return place in places or any(above in places for above in subtrees_above(place))
