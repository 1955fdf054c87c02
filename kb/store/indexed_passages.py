"""The length, file and stemmer of every indexed passage, kept in memory and in step with the keyword index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.store import postings
from kb.store.noted_changes import NotedChanges

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Up to so many times more ids than passages, an array of all ids is made.
_SPARSE: Final = 16
# With a larger share of changed ranges, reading everything again takes no longer.
_MOST_CHANGED: Final = 0.25
# Arrays grow by this share of their size, so that they are not copied for each new range.
_GROWTH: Final = 0.125
# The row of lengths of a range is written whenever a passage comes or goes.
_IS_LENGTHS: Final = f"term = char({ord(postings.LENGTHS)})"


@dataclass(slots=True)
class IndexedPassages:
    """The lengths and files of all indexed passages. Arrays by key have room for more keys than there are.

    Attributes:
        lengths: The number of terms in each passage, by key; 0 where there is no passage.
        files: The position of each passage's file in ``file_lengths``, by key; meaningless where there is no passage.
        file_ids: The id of the file at each position, ascending.
        file_lengths: The number of terms in each file, by position; 0 for files without a passage.
        languages: The stemmers of the passages.
        stemmers: The position of each passage's stemmer in ``languages``, by key; empty if there is only one.
        count: The number of passages.
        file_count: The number of files with a passage.
        terms: The number of terms in all passages.
    """

    lengths: NDArray[np.uint16]
    files: NDArray[np.int32]
    file_ids: NDArray[np.int64]
    file_lengths: NDArray[np.int64]
    languages: tuple[str, ...]
    stemmers: NDArray[np.uint8]
    count: int = 0
    file_count: int = 0
    terms: int = 0

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> IndexedPassages:
        """All passages of a catalog."""
        keys, lengths = postings.read(connection, postings.LENGTHS)
        size = postings.RANGE * (int(keys.max()) // postings.RANGE + 1) if len(keys) else 0
        ids = np.zeros(size, np.int64)
        for term, shift in postings.HALVES_OF_FILE:
            places, halves = postings.read(connection, term)
            ids[places] += halves.astype(np.int64) << shift
        file_ids, places = _positions(ids[keys])
        languages = tuple(postings.stemmers(connection))
        found = cls(
            np.zeros(size, np.uint16),
            np.zeros(size, np.int32),
            file_ids,
            np.bincount(places, lengths, len(file_ids)).astype(np.int64),
            languages,
            np.zeros(size if len(languages) > 1 else 0, np.uint8),
            len(keys),
            len(file_ids),
            int(lengths.sum()),
        )
        found.lengths[keys] = lengths
        found.files[keys] = places
        for number, language in enumerate(languages if len(languages) > 1 else ()):
            found.stemmers[postings.read(connection, postings.STEMMER + language)[0]] = number
        return found

    @property
    def size(self) -> int:
        """The number of keys that there is room for; all keys are below it."""
        return len(self.lengths)

    def read_range(self, connection: sqlite3.Connection, part: int) -> bool:
        """Read the passages of one range again.

        Returns:
            Whether that was possible; False if the ids of new files are not above those of all others.
        """
        start, end = part * postings.RANGE, (part + 1) * postings.RANGE
        places, lengths = postings.read_part(connection, postings.LENGTHS, part)
        ids = np.zeros(postings.RANGE, np.int64)
        for term, shift in postings.HALVES_OF_FILE:
            there, halves = postings.read_part(connection, term, part)
            ids[there] += halves.astype(np.int64) << shift
        if not self._add_files(np.unique(ids[places])):
            return False
        self._grow(end)
        self._count(slice(start, end), -1)
        self.lengths[start:end] = 0
        self.lengths[start + places] = lengths
        self.files[start + places] = np.searchsorted(self.file_ids, ids[places])
        self._count(slice(start, end), 1)
        for number, language in enumerate(self.languages if len(self.languages) > 1 else ()):
            self.stemmers[start + postings.read_part(connection, postings.STEMMER + language, part)[0]] = number
        return True

    def _add_files(self, ids: NDArray[np.int64]) -> bool:
        """Add those of some ascending ids that are not known yet; False if they do not come after all others."""
        new = ids[~np.isin(ids, self.file_ids)]
        if not len(new):
            return True
        if len(self.file_ids) and new[0] < self.file_ids[-1]:
            return False
        self.file_ids = np.concatenate([self.file_ids, new])
        self.file_lengths = np.concatenate([self.file_lengths, np.zeros(len(new), np.int64)])
        return True

    def _grow(self, size: int) -> None:
        """Make room for so many keys."""
        if size <= self.size:
            return
        more = np.zeros(max(size - self.size, int(self.size * _GROWTH)), np.uint8)
        self.lengths = np.concatenate([self.lengths, more.astype(np.uint16)])
        self.files = np.concatenate([self.files, more.astype(np.int32)])
        if len(self.languages) > 1:
            self.stemmers = np.concatenate([self.stemmers, more])

    def _count(self, keys: slice, times: int) -> None:
        """Add the passages of a range to the sums, or with -1 take them away."""
        lengths = self.lengths[keys].astype(np.int64)
        there = lengths > 0
        places = np.unique(self.files[keys][there])
        before = np.count_nonzero(self.file_lengths[places])
        np.add.at(self.file_lengths, self.files[keys][there], times * lengths[there])
        self.file_count += int(np.count_nonzero(self.file_lengths[places]) - before)
        self.count += times * int(np.count_nonzero(there))
        self.terms += times * int(lengths.sum())


class PassageTable:
    """The passages of the keyword index. After a change only the ranges that changed are read again."""

    def __init__(self) -> None:
        self._passages: IndexedPassages | None = None
        self._changes = NotedChanges("changed_ranges", "postings", "part", _IS_LENGTHS)

    def get(self, connection: sqlite3.Connection) -> IndexedPassages:
        """The passages as they are now, for use while the connection is this thread's alone."""
        if connection.in_transaction:
            # What it has written may still be rolled back.
            return IndexedPassages.read(connection)
        if self._passages is not None and self._changes.none_since(connection):
            return self._passages
        changed = self._changes.values(connection)
        # An error on the way leaves the passages half read.
        known, self._passages = self._passages, None
        if known is None or changed is None or not self._follow(connection, known, changed):
            known = IndexedPassages.read(connection)
        self._changes.follow(connection)
        self._passages = known
        return known

    @staticmethod
    def _follow(connection: sqlite3.Connection, known: IndexedPassages, changed: Sequence[int]) -> bool:
        """Read changed ranges again; False if everything has to be."""
        if len(changed) * postings.RANGE > max(postings.RANGE, _MOST_CHANGED * known.size):
            return False
        if changed and tuple(postings.stemmers(connection)) != known.languages:
            return False
        return all(known.read_range(connection, part) for part in changed)


def _positions(ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ids that occur, ascending, and the position of each id among them."""
    if not len(ids) or ids.max() > _SPARSE * len(ids):
        return np.unique(ids, return_inverse=True)
    # Ids of files are dense, so that they need not be sorted: of a million passages in a sixth of the time.
    occurs = np.zeros(int(ids.max()) + 1, bool)
    occurs[ids] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[ids]
