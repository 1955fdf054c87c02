"""The keyword index: how often each term occurs in each passage, in rows of the catalog, with BM25 scoring.

A row contains the postings of one term in a range of passages, four bytes each, so that a short question reads a few
kilobytes and NumPy adds up the scores. SQLite's own full-text index would visit all passages with any of the words, row
by row; its parameters are fixed, and before SQLite 3.42 it keeps deleted terms until it merges. Here, deleted terms are
overwritten in the transaction that deletes their passage.

Two rows of each range contain the file of each passage, so that the same postings, added up by file, score whole files.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
Information Retrieval 3(4), 2009.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import reduce
from math import log
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.store.catalog_rows import text_bytes, text_of
from kb.store.languages import stemmer_for
from kb.store.terms import BESIDE, INSIDE, NAME, terms_of, terms_of_name, wanted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kb.store.terms import Wanted

K1: Final = 1.2
B: Final = 0.75
# Checksums of postings are computed modulo this.
MODULUS: Final = 2**61 - 1
# The weight of a word that is found inside a longer one, and the least share of its letter runs to be found.
_INSIDE_WEIGHT: Final = 0.5
_INSIDE_SHARE: Final = 0.6
# The weight of a word that occurs only in the path of the file.
_NAME_WEIGHT: Final = 0.25
# Terms with these prefixes do not count towards the length of a passage.
_UNCOUNTED: Final = (INSIDE, BESIDE, NAME)

_RANGE: Final = 2048
_POSTING: Final = np.dtype([("at", "<u2"), ("count", "<u2")])
_MOST: Final = 65535
# Equal scores deviate by less, since their mean is rounded.
_ROUNDING: Final = 1e-9
# Prefixes of rows that are not terms: the lengths of passages, their stemmers, and the two halves of their file ids.
_LENGTHS: Final = "\x02"
_STEMMER: Final = "\x03"
_FILE_LOW: Final = "\x04"
_FILE_HIGH: Final = "\x05"
_HALF: Final = 16
# Up to so many times more ids than passages, an array of all ids is made.
_SPARSE: Final = 16

_APPEND: Final = """
    INSERT INTO postings (term, part, data) VALUES (?, ?, ?)
    ON CONFLICT (term, part) DO UPDATE SET data = CAST(data || excluded.data AS BLOB)
"""
_ROWS: Final = "SELECT part, data FROM postings WHERE term = ?"
_STEMMERS: Final = "SELECT DISTINCT term FROM postings WHERE term > ? AND term < ?"


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
    counts[_LENGTHS] = max(1, sum(count for term, count in counts.items() if not term.startswith(_UNCOUNTED)))
    counts.update(terms_of_name(passage.path, language))
    counts[_STEMMER + language] = 1
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
        part, at = divmod(passage.key, _RANGE)
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
        part, at = divmod(passage.key, _RANGE)
        for term, count in term_counts(passage).items():
            old[term, part].append(at)
            sums[term, part] += (count << 16 | at) + 1
    for (term, part), places in sorted(old.items()):
        row = connection.execute("SELECT data FROM postings WHERE term = ? AND part = ?", (term, part)).fetchone()
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
    """The stemmers of all passages."""
    rows = connection.execute(_STEMMERS, (_STEMMER, _STEMMER + "\x7f"))
    return [bytes(row[0]).decode()[1:] for row in rows]


def all_keys(connection: sqlite3.Connection) -> NDArray[np.int64]:
    """The keys of all passages."""
    return _read(connection, _LENGTHS)[0]


def holding(connection: sqlite3.Connection, word: Wanted) -> NDArray[np.int64]:
    """The keys of the passages with any of a word's terms."""
    return np.unique(np.concatenate([_read(connection, term)[0] for term in word.terms]))


class Bm25:
    """The BM25 scores of all passages for one question, and optionally of all files.

    Attributes:
        scores: The scores by passage key, shape (greatest key + 1,); 0 for passages without a term of the question.
        shares: The share of the question in each passage, by the weight of its words, 0..1; the same shape.
        keys: The keys of all passages.
        rarest: The share of passages with the rarest word of the question, 0..1.

    Args:
        connection: The connection to the catalog.
        question: The question.
        whole: Whether to score whole files too, each as if its passages were one text.
    """

    def __init__(self, connection: sqlite3.Connection, question: str, *, whole: bool = False) -> None:
        self._connection = connection
        self.keys, lengths = _read(connection, _LENGTHS)
        size = int(self.keys.max()) + 1 if len(self.keys) else 0
        self.scores = np.zeros(size)
        self.shares = np.zeros(size)
        self.rarest = 1.0
        self._weight = 0.0
        self._files: _Files | None = None
        if not size:
            return
        self._saturation = np.zeros(size)
        self._saturation[self.keys] = _saturation(lengths)
        if whole:
            files = _Files(connection, self.keys, lengths)
            # If each file is one passage, the scores are those of the passages.
            self._files = files if len(files.scores) < len(self.keys) else None
        self._read_by: dict[str, NDArray[np.bool_]] = {}
        for word, times in Counter(wanted(question, stemmers(connection))).items():
            self._add(word, times)
        if self._weight:
            np.minimum(self.shares / self._weight, 1, out=self.shares)

    @property
    def most(self) -> float:
        """The upper bound of the score for the question with one more word, which no passage has; above 0."""
        return (K1 + 1) * (self._weight + _rarity(0, len(self.keys)))

    def deviations(self, file_weight: float) -> NDArray[np.float64]:
        """The score of each passage by key, in standard deviations above the mean; 0 for those below it.

        Args:
            file_weight: The weight of the score of the whole file, 0..1; the passage's score has the rest.
        """
        found = np.zeros_like(self.scores)
        found[self.keys] = _above_mean(self.scores[self.keys])
        if self._files is not None:
            of_files = _above_mean(self._files.scores)
            found[self.keys] = (1 - file_weight) * found[self.keys] + file_weight * of_files[self._files.of[self.keys]]
        return found

    def best_of_files(self, scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """The keys of the best passage of each file, for the best ``count`` files by these scores, best first."""
        scored = np.flatnonzero(scores)
        scored = scored[np.argsort(-scores[scored], kind="stable")]
        if self._files is None:
            return scored[:count]
        _, firsts = np.unique(self._files.of[scored], return_index=True)
        return scored[np.sort(firsts)[:count]]

    def _add(self, word: Wanted, times: int) -> None:
        """Add the scores for a word that occurs ``times`` times in the question."""
        keys, counts = self._passages_with(word)
        weight = times * _rarity(len(keys), len(self.keys))
        self._weight += weight
        self.rarest = min(self.rarest, len(keys) / len(self.keys))
        self._score(keys, counts, times)
        held = [keys, *(self._keys(term) for term in word.part_of)]
        in_names = [found for term in word.terms if len(found := self._keys(NAME + term))]
        if in_names and len(named := np.setdiff1d(np.concatenate(in_names), keys)):
            self._score(named, np.ones(len(named)), times * _NAME_WEIGHT)
            held.append(named)
        if word.inside:
            inside, shares = self._passages_with_most(word.inside)
            apart = ~np.isin(inside, keys)
            self._score(inside[apart], shares[apart], times * _INSIDE_WEIGHT)
            # A passage with the complete word inside a longer one counts as containing it.
            held.append(inside[shares >= 1])
            rarity = _rarity(int(apart.sum()), len(self.keys))
            partly = apart & (shares < 1)
            self.shares[inside[partly]] += times * _INSIDE_WEIGHT * rarity
        there = [one for one in held if len(one)]
        # The keys of one term are distinct.
        self.shares[there[0] if len(there) == 1 else np.unique(np.concatenate([*there, keys[:0]]))] += weight

    def _passages_with(self, word: Wanted) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The keys of the passages with a word, and how often it occurs in each."""
        by = word.stemmers or ((),) * len(word.terms)
        held = (self._read_for(term, languages) for term, languages in zip(word.terms, by, strict=True))
        found = [one for one in held if len(one[0])]
        if word.together:
            keys = reduce(np.intersect1d, (self._keys(term) for term in word.together))
            found += [(keys, np.ones(len(keys)))] if len(keys) else []
        if not found:
            return np.zeros(0, np.int64), np.zeros(0)
        return found[0] if len(found) == 1 else _most(found, len(self.scores))

    def _keys(self, term: str) -> NDArray[np.int64]:
        return _read(self._connection, term)[0]

    def _read_for(self, term: str, languages: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The keys of the passages with a term and one of these stemmers (empty for all), and its counts.

        Stemmers of different languages may give the same term for different words.
        """
        keys, counts = _read(self._connection, term)
        if not languages:
            return keys, counts
        kept = np.zeros(len(keys), bool)
        for language in languages:
            if language not in self._read_by:
                read_by = np.zeros(len(self.scores), bool)
                read_by[_read(self._connection, _STEMMER + language)[0]] = True
                self._read_by[language] = read_by
            kept |= self._read_by[language][keys]
        return keys[kept], counts[kept]

    def _score(self, keys: NDArray[np.int64], counts: NDArray[np.float64], times: float) -> None:
        weight = times * _rarity(len(keys), len(self.keys))
        self.scores[keys] += weight * (K1 + 1) * counts / (counts + self._saturation[keys])
        if self._files is not None:
            self._files.score(keys, counts, times)

    def _passages_with_most(self, runs: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The keys of the passages whose long words contain most of these letter runs, and the share in each."""
        held = np.zeros(len(self.scores))
        for run in runs:
            held[self._keys(run)] += 1
        keys = np.flatnonzero(held >= _INSIDE_SHARE * len(runs))
        return keys, held[keys] / len(runs)


class _Files:
    """The BM25 scores of whole files, from the postings of their passages.

    Attributes:
        of: The position of each passage's file in ``scores``, by passage key.
        scores: The scores of the files.
    """

    def __init__(self, connection: sqlite3.Connection, keys: NDArray[np.int64], lengths: NDArray[np.float64]) -> None:
        ids = np.zeros(int(keys.max()) + 1, np.int64)
        for term, weight in ((_FILE_LOW, 1), (_FILE_HIGH, 1 << _HALF)):
            places, halves = _read(connection, term)
            ids[places] += halves.astype(np.int64) * weight
        places = _places(ids[keys])
        self.of = np.zeros(len(ids), np.int64)
        self.of[keys] = places
        lengths_of_files = np.bincount(places, lengths).astype(np.float64)
        self.scores = np.zeros(len(lengths_of_files))
        self._saturation = _saturation(lengths_of_files)

    def score(self, keys: NDArray[np.int64], counts: NDArray[np.float64], times: float) -> None:
        """Add the scores for a word with these counts in these passages."""
        held = np.bincount(self.of[keys], counts, minlength=len(self.scores))
        there = np.flatnonzero(held)
        weight = times * _rarity(len(there), len(self.scores))
        self.scores[there] += weight * (K1 + 1) * held[there] / (held[there] + self._saturation[there])


def _places(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of each id among all that occur, in ascending order."""
    if ids.max() > _SPARSE * len(ids):
        return np.unique(ids, return_inverse=True)[1]
    # Ids of files are dense, so that they need not be sorted: of a million passages in a sixth of the time.
    occurs = np.zeros(int(ids.max()) + 1, bool)
    occurs[ids] = True
    return (np.cumsum(occurs) - 1)[ids]


def _rarity(holding: int, all_: int) -> float:
    """The inverse document frequency of a word in ``holding`` of all passages or files."""
    return log(1 + (all_ - holding + 0.5) / (holding + 0.5))


def _saturation(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """The count of a term at which it reaches half of its maximum score, for texts of these lengths."""
    found: NDArray[np.float64] = K1 * (1 - B + B * lengths / lengths.mean())
    return found


def _above_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviations by which each score exceeds their mean; 0 below it, or if all are equal."""
    deviation = scores.std() if len(scores) else 0.0
    if deviation <= _ROUNDING:
        return np.zeros_like(scores)
    above: NDArray[np.float64] = np.maximum((scores - scores.mean()) / deviation, 0)
    return above


def _read(connection: sqlite3.Connection, term: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The keys of the passages with a term, and how often it occurs in each."""
    rows = connection.execute(_ROWS, (term,)).fetchall()
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0)
    postings = np.frombuffer(b"".join(data for _, data in rows), _POSTING)
    starts = np.repeat([part * _RANGE for part, _ in rows], [len(data) // _POSTING.itemsize for _, data in rows])
    return postings["at"] + starts, postings["count"].astype(np.float64)


def _most(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The keys of the passages with any of several terms, and the count of the most frequent one in each."""
    counts = np.zeros(size)
    for keys, times in found:
        counts[keys] = np.maximum(counts[keys], times)
    keys = np.flatnonzero(counts)
    return keys, counts[keys]
