"""The keyword index: which passages hold a term and how often, as rows of the catalog; BM25 over them.

A row holds the postings of one term in a range of passages, four bytes each, so that a question of a few words reads a
few kilobytes and adds them up with NumPy. SQLite's own full-text index would visit every passage with any of the words,
row by row, has its parameters fixed, and before SQLite 3.42 keeps deleted terms until it merges. Here a term that is
deleted is overwritten in the same transaction as its passage.

Two rows of every range hold the file of each passage, so that the same postings, added up by file, score whole files.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
Information Retrieval 3(4), 2009.
"""

from __future__ import annotations

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
# Checksums of postings are numbers below this.
MODULUS: Final = 2**61 - 1
# How much a word counts that was found inside a longer one, and how much of it has to be there.
_INSIDE_WEIGHT: Final = 0.5
_INSIDE_SHARE: Final = 0.6
# How much one counts that stands in the name of the file, or of its folders, alone.
_NAME_WEIGHT: Final = 0.25
# Terms that begin so make no text longer.
_UNCOUNTED: Final = (INSIDE, BESIDE, NAME)

_RANGE: Final = 2048
_POSTING: Final = np.dtype([("at", "<u2"), ("count", "<u2")])
_MOST: Final = 65535
# No term begins so: the lengths of the passages, the stemmers they were read by, and the halves of their files' ids.
_LENGTHS: Final = "\x02"
_STEMMER: Final = "\x03"
_FILE_LOW: Final = "\x04"
_FILE_HIGH: Final = "\x05"
_HALF: Final = 16

_APPEND: Final = """
    INSERT INTO postings (term, part, data) VALUES (?, ?, ?)
    ON CONFLICT (term, part) DO UPDATE SET data = CAST(data || excluded.data AS BLOB)
"""
_ROWS: Final = "SELECT part, data FROM postings WHERE term = ?"
_STEMMERS: Final = "SELECT DISTINCT term FROM postings WHERE term > ? AND term < ?"


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the keyword index is made of.

    Attributes:
        key: The passage's key.
        file: The id of its file, below 2**32.
        text: Its text.
        heading: Its headings and the title.
        language: Its document's language by code.
        path: Where its file lies below its folder.
    """

    key: int
    file: int
    text: str
    heading: str
    language: str
    path: str = ""


def counted(passage: Indexed) -> dict[str, int]:
    """How often each term stands in a passage, its length in terms, its stemmer and its file among them."""
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
    """The checksum of all postings; that of what ``add`` takes in and ``remove`` takes out is added and subtracted."""
    found = 0
    for term, part, data in connection.execute("SELECT term, part, data FROM postings"):
        numbers = np.frombuffer(data, "<u4", len(data) // _POSTING.itemsize)
        found += _weight(text_of(term), part) * (int(numbers.sum(dtype=np.uint64)) + len(numbers)) + len(data) % 4
    return found % MODULUS


def _weight(term: str, part: int) -> int:
    """What each posting of a row counts in the checksum: no two rows count the same."""
    return 2 * zlib.crc32(text_bytes(f"{term}\0{part}")) + 1


def add(connection: sqlite3.Connection, passages: Iterable[Indexed]) -> int:
    """Take in passages that are not there yet; by how much the checksum grows."""
    new: defaultdict[tuple[str, int], bytearray] = defaultdict(bytearray)
    sums: Counter[tuple[str, int]] = Counter()
    for passage in passages:
        part, at = divmod(passage.key, _RANGE)
        for term, count in counted(passage).items():
            new[term, part] += at.to_bytes(2, "little") + count.to_bytes(2, "little")
            sums[term, part] += (count << 16 | at) + 1
    connection.executemany(_APPEND, ((term, part, bytes(new[term, part])) for term, part in sorted(new)))
    return sum(_weight(*row) * numbers for row, numbers in sums.items()) % MODULUS


def remove(connection: sqlite3.Connection, passages: Iterable[Indexed]) -> int:
    """Take out passages, exactly as they were taken in; by how much the checksum shrinks."""
    sums: Counter[tuple[str, int]] = Counter()
    old: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for passage in passages:
        part, at = divmod(passage.key, _RANGE)
        for term, count in counted(passage).items():
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
    """The stemmers by which passages were read."""
    rows = connection.execute(_STEMMERS, (_STEMMER, _STEMMER + "\x7f"))
    return [bytes(row[0]).decode()[1:] for row in rows]


def every(connection: sqlite3.Connection) -> NDArray[np.int64]:
    """The keys of all passages."""
    return _read(connection, _LENGTHS)[0]


def holding(connection: sqlite3.Connection, word: Wanted) -> NDArray[np.int64]:
    """The keys of the passages in which any of a word's terms stands."""
    return np.unique(np.concatenate([_read(connection, term)[0] for term in word.terms]))


class Bm25:
    """The BM25 score of every passage for one question, and of every file where that is asked for.

    Attributes:
        scores: By passage key, shape (greatest key + 1,); 0 where no term of the question stands.
        shares: How much of the question stands in each passage, by the weight of its words, 0..1; the same shape.
        keys: The keys of all passages.
        rarest: In which share of all passages the rarest word of the question stands, 0..1.

    Args:
        connection: Of the catalog.
        question: What is asked.
        whole: Whether to score whole files too. A file is scored as if its passages were one text.
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
            # Where every file is one passage, its score is that of the passage.
            self._files = files if len(files.scores) < len(self.keys) else None
        self._read_by: dict[str, NDArray[np.bool_]] = {}
        for word, times in Counter(wanted(question, stemmers(connection))).items():
            self._add(word, times)
        if self._weight:
            np.minimum(self.shares / self._weight, 1, out=self.shares)

    def said(self, beside: float) -> NDArray[np.float64]:
        """What the words say of each passage, by key, 0 or more: in standard deviations above the mean.

        Args:
            beside: How much the score of its whole file counts, 0..1; that of the passage has the rest.
        """
        found = np.zeros_like(self.scores)
        found[self.keys] = _above_mean(self.scores[self.keys])
        if self._files is not None:
            of_files = _above_mean(self._files.scores)
            found[self.keys] = (1 - beside) * found[self.keys] + beside * of_files[self._files.of[self.keys]]
        return found

    def best_of_files(self, scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """The keys of the best passage of each of the best files by some scores of passages, best first."""
        scored = np.flatnonzero(scores)
        scored = scored[np.argsort(-scores[scored], kind="stable")]
        if self._files is None:
            return scored[:count]
        _, firsts = np.unique(self._files.of[scored], return_index=True)
        return scored[np.sort(firsts)[:count]]

    def _add(self, word: Wanted, times: int) -> None:
        """Add what one word of the question gives, as often as it stands there."""
        keys, counts = self._standing(word)
        weight = times * _rarity(len(keys), len(self.keys))
        self._weight += weight
        self.rarest = min(self.rarest, len(keys) / len(self.keys))
        self._score(keys, counts, times)
        held = [keys, *(self._keys(term) for term in word.part_of)]
        named = np.setdiff1d(np.concatenate([self._keys(NAME + term) for term in word.terms]), keys)
        if len(named):
            self._score(named, np.ones(len(named)), times * _NAME_WEIGHT)
            held.append(named)
        if word.inside:
            inside, shares = self._holding(word.inside)
            apart = ~np.isin(inside, keys)
            self._score(inside[apart], shares[apart], times * _INSIDE_WEIGHT)
            # A word that stands whole inside a longer one is there.
            held.append(inside[shares >= 1])
            rarity = _rarity(int(apart.sum()), len(self.keys))
            partly = apart & (shares < 1)
            self.shares[inside[partly]] += times * _INSIDE_WEIGHT * rarity
        self.shares[np.unique(np.concatenate(held))] += weight

    def _standing(self, word: Wanted) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The passages in which a word stands, and how often."""
        by = word.stemmers or ((),) * len(word.terms)
        held = (self._held(term, languages) for term, languages in zip(word.terms, by, strict=True))
        found = [one for one in held if len(one[0])]
        if word.together:
            keys = reduce(np.intersect1d, (self._keys(term) for term in word.together))
            found += [(keys, np.ones(len(keys)))] if len(keys) else []
        if not found:
            return np.zeros(0, np.int64), np.zeros(0)
        return found[0] if len(found) == 1 else _most(found, len(self.scores))

    def _keys(self, term: str) -> NDArray[np.int64]:
        return _read(self._connection, term)[0]

    def _held(self, term: str, languages: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The passages with a term, and how often it stands in each: of those that these stemmers read, or of all.

        What the stemmer of one language makes of a word may be another word of another.
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

    def _holding(self, runs: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The passages whose long words hold most of some runs of letters, and which share of them."""
        held = np.zeros(len(self.scores))
        for run in runs:
            held[self._keys(run)] += 1
        keys = np.flatnonzero(held >= _INSIDE_SHARE * len(runs))
        return keys, held[keys] / len(runs)


class _Files:
    """The BM25 scores of whole files: their passages' postings, added up.

    Attributes:
        of: The place of each passage's file, by passage key.
        scores: By place.
    """

    def __init__(self, connection: sqlite3.Connection, keys: NDArray[np.int64], lengths: NDArray[np.float64]) -> None:
        ids = np.zeros(int(keys.max()) + 1, np.int64)
        for term, weight in ((_FILE_LOW, 1), (_FILE_HIGH, 1 << _HALF)):
            places, halves = _read(connection, term)
            ids[places] += halves.astype(np.int64) * weight
        known, places = np.unique(ids[keys], return_inverse=True)
        self.of = np.zeros(len(ids), np.int64)
        self.of[keys] = places
        self.scores = np.zeros(len(known))
        self._saturation = _saturation(np.bincount(places, lengths).astype(np.float64))

    def score(self, keys: NDArray[np.int64], counts: NDArray[np.float64], times: float) -> None:
        """Add what a term gives that stands so often in these passages."""
        held = np.bincount(self.of[keys], counts, minlength=len(self.scores))
        there = np.flatnonzero(held)
        weight = times * _rarity(len(there), len(self.scores))
        self.scores[there] += weight * (K1 + 1) * held[there] / (held[there] + self._saturation[there])


def _rarity(holding: int, all_: int) -> float:
    """The inverse document frequency of a word that stands in so many of all passages, or files."""
    return log(1 + (all_ - holding + 0.5) / (holding + 0.5))


def _saturation(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often a term has to stand in texts of these lengths to give half of what it can give."""
    found: NDArray[np.float64] = K1 * (1 - B + B * lengths / lengths.mean())
    return found


def _above_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many standard deviations each score is above their mean; 0 below it, and where nothing deviates."""
    deviation = scores.std() if len(scores) else 0.0
    if deviation <= 0:
        return np.zeros_like(scores)
    above: NDArray[np.float64] = np.maximum((scores - scores.mean()) / deviation, 0)
    return above


def _read(connection: sqlite3.Connection, term: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The keys of the passages with a term, and how often it stands in each."""
    rows = connection.execute(_ROWS, (term,)).fetchall()
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0)
    postings = np.frombuffer(b"".join(data for _, data in rows), _POSTING)
    starts = np.repeat([part * _RANGE for part, _ in rows], [len(data) // _POSTING.itemsize for _, data in rows])
    return postings["at"] + starts, postings["count"].astype(np.float64)


def _most(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The passages with any of several terms, and how often the most frequent of them stands there."""
    counts = np.zeros(size)
    for keys, times in found:
        counts[keys] = np.maximum(counts[keys], times)
    keys = np.flatnonzero(counts)
    return keys, counts[keys]
