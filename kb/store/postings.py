"""The keyword index: how often each term occurs in each passage, in rows of the catalog.

A row contains the postings of one term in a range of passages, four bytes each, so that a short question reads a few
kilobytes and NumPy adds up the scores (``kb.store.bm25``). SQLite's own full-text index would visit all passages with
any of the words, row by row; its parameters are fixed, and before SQLite 3.42 it keeps deleted terms until it merges.
Here, deleted terms are overwritten in the transaction that deletes their passage.

Two rows of each range contain the file of each passage, so that the same postings, added up by file, score whole files.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.store.catalog_rows import text_bytes, text_of
from kb.store.languages import stemmer_for
from kb.store.terms import BESIDE, INSIDE, NAME, terms_of, terms_of_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kb.store.terms import Wanted

# Checksums of postings are computed modulo this.
MODULUS: Final = 2**61 - 1
# Terms with these prefixes do not count towards the length of a passage.
_UNCOUNTED: Final = (INSIDE, BESIDE, NAME)

RANGE: Final = 2048
_POSTING: Final = np.dtype([("at", "<u2"), ("count", "<u2")])
_MOST: Final = 65535
# Prefixes of rows that are not terms: the lengths of passages, their stemmers, and the two halves of their file ids.
LENGTHS: Final = "\x02"
STEMMER: Final = "\x03"
_FILE_LOW: Final = "\x04"
_FILE_HIGH: Final = "\x05"
_HALF: Final = 16
HALVES_OF_FILE: Final = ((_FILE_LOW, 0), (_FILE_HIGH, _HALF))
"""The terms whose counts are the halves of the id of each passage's file, with the place of their bits."""

_APPEND: Final = """
    INSERT INTO postings (term, part, data) VALUES (?, ?, ?)
    ON CONFLICT (term, part) DO UPDATE SET data = CAST(data || excluded.data AS BLOB)
"""
_ROWS: Final = "SELECT part, data FROM postings WHERE term = ?"
_ROW: Final = "SELECT data FROM postings WHERE term = ? AND part = ?"
_NEXT_TERM: Final = "SELECT term FROM postings WHERE term > ? ORDER BY term LIMIT 1"


@dataclass(frozen=True, slots=True)
class Indexed:
    """The parts of a passage that are indexed.

    Attributes:
        key: The passage's key.
        file: The id of its file, below 2**32.
        text: Its text.
        heading: Its headings and the title.
        language: The ISO 639 code of its document's language.
        path: The path of its file in the watched folder.
    """

    key: int
    file: int
    text: str
    heading: str
    language: str
    path: str = ""


def term_counts(passage: Indexed) -> dict[str, int]:
    """The number of times each term occurs in a passage, with entries for its length, stemmer and file."""
    language = stemmer_for(passage.language)
    counts = Counter(terms_of(passage.text, language))
    counts.update(terms_of(passage.heading, language))
    counts[LENGTHS] = max(1, sum(count for term, count in counts.items() if not term.startswith(_UNCOUNTED)))
    counts.update(terms_of_name(passage.path, language))
    counts[STEMMER + language] = 1
    counts[_FILE_LOW] = passage.file & _MOST
    counts[_FILE_HIGH] = passage.file >> _HALF
    return {term: min(count, _MOST) for term, count in counts.items()}


def total(connection: sqlite3.Connection) -> int:
    """The checksum of all postings. ``add`` and ``remove`` return the checksums to add to it and to subtract."""
    found = 0
    for term, part, data in connection.execute("SELECT term, part, data FROM postings"):
        numbers = np.frombuffer(data, "<u4", len(data) // _POSTING.itemsize)
        found += _weight(text_of(term), part) * (int(numbers.sum(dtype=np.uint64)) + len(numbers)) + len(data) % 4
    return found % MODULUS


def _weight(term: str, part: int) -> int:
    """The weight of a row's postings in the checksum, different for each row."""
    return 2 * zlib.crc32(text_bytes(f"{term}\0{part}")) + 1


def add(connection: sqlite3.Connection, passages: Iterable[Indexed]) -> int:
    """Add new passages; returns their checksum."""
    new: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for passage in passages:
        part, at = divmod(passage.key, RANGE)
        rows = new[part]
        for term, count in term_counts(passage).items():
            rows[term].append(count << _HALF | at)
    found = sorted((term, part, numbers) for part, rows in new.items() for term, numbers in rows.items())
    connection.executemany(_APPEND, ((term, part, _packed(numbers)) for term, part, numbers in found))
    return sum(_weight(term, part) * (sum(numbers) + len(numbers)) for term, part, numbers in found) % MODULUS


def _packed(numbers: Sequence[int]) -> bytes:
    """Postings as the row of a term has them: the place of each in the lower half, its count in the upper one."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


def remove(connection: sqlite3.Connection, passages: Iterable[Indexed]) -> int:
    """Remove passages, which must be the same as when they were added; returns their checksum."""
    sums: Counter[tuple[str, int]] = Counter()
    old: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for passage in passages:
        part, at = divmod(passage.key, RANGE)
        for term, count in term_counts(passage).items():
            old[term, part].append(at)
            sums[term, part] += (count << 16 | at) + 1
    for (term, part), places in sorted(old.items()):
        row = connection.execute(_ROW, (term, part)).fetchone()
        if row is None:
            continue
        postings = np.frombuffer(row[0], _POSTING)
        kept = postings[~np.isin(postings["at"], places)]
        if len(kept):
            connection.execute("UPDATE postings SET data = ? WHERE term = ? AND part = ?", (kept.tobytes(), term, part))
        else:
            connection.execute("DELETE FROM postings WHERE term = ? AND part = ?", (term, part))
    return sum(_weight(*row) * numbers for row, numbers in sums.items()) % MODULUS


def stemmers(connection: sqlite3.Connection) -> list[str]:
    """The stemmers of all passages, in the order of their names."""
    found: list[str] = []
    # One search for each, where a range of the index has as many rows as there are ranges of passages.
    while row := connection.execute(_NEXT_TERM, (STEMMER + found[-1] if found else STEMMER,)).fetchone():
        term = text_of(row[0])
        if not term.startswith(STEMMER):
            break
        found.append(term.removeprefix(STEMMER))
    return found


def holding(connection: sqlite3.Connection, word: Wanted) -> NDArray[np.int64]:
    """The keys of the passages with any of a word's terms."""
    return np.unique(np.concatenate([read(connection, term)[0] for term in word.terms]))


def read(connection: sqlite3.Connection, term: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The keys of the passages with a term, and how often it occurs in each."""
    rows = connection.execute(_ROWS, (term,)).fetchall()
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0)
    places, counts = _unpacked(b"".join(data for _, data in rows))
    starts = np.array([part * RANGE for part, _ in rows])
    keys = np.repeat(starts, [len(data) // _POSTING.itemsize for _, data in rows])
    keys += places
    return keys, counts


def read_part(connection: sqlite3.Connection, term: str, part: int) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """The places in a range of the passages with a term, and how often it occurs in each."""
    row = connection.execute(_ROW, (term, part)).fetchone()
    return _unpacked(row[0] if row else b"")


def _unpacked(data: bytes) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """The places and the counts of postings."""
    numbers = np.frombuffer(data, "<u4")
    return np.bitwise_and(numbers, _MOST, dtype=np.uint32), (numbers >> _HALF).astype(np.float64)
