"""BM25 scores of passages and of whole files for one question, from the postings of the keyword index.

Only passages with a word of the question are looked at. All others score 0, and enter the mean and the deviation of
scores by their number.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
Information Retrieval 3(4), 2009.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property, reduce
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.store import postings
from kb.store.terms import NAME, wanted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kb.store.indexed_passages import IndexedPassages
    from kb.store.terms import Wanted

K1: Final = 1.2
B: Final = 0.75
# The weight of a word that is found inside a longer one, and the least share of its letter runs to be found.
_INSIDE_WEIGHT: Final = 0.5
_INSIDE_SHARE: Final = 0.6
# The weight of a word that occurs only in the path of the file.
_NAME_WEIGHT: Final = 0.25
# Equal scores deviate by less, since their mean is rounded.
_ROUNDING: Final = 1e-9
# With so many times fewer passages than files, sorting is faster than an array of all files.
_FEW: Final = 16
# From this share of the passages on, all of them are computed in order, which is faster than some here and there.
_MANY: Final = 0.25
# The best passage of each file is sought among so many times the number of files first.
_PASSAGES_A_FILE: Final = 4


class Bm25:
    """The BM25 scores of passages for one question, and optionally of their files.

    Attributes:
        keys: The keys of the passages that score above 0, ascending.
        rarest: The share of passages with the rarest word of the question, 0..1.

    Args:
        connection: The connection to the catalog.
        question: The question.
        passages: All passages; they must not change while the scores are used.
        whole: Whether to score whole files too, each as if its passages were one text.
    """

    def __init__(
        self, connection: sqlite3.Connection, question: str, passages: IndexedPassages, *, whole: bool = False
    ) -> None:
        self._connection = connection
        self._passages = passages
        # The system gives memory for those places alone that are written to.
        self._scores = np.zeros(passages.size)
        self._shares = np.zeros(passages.size)
        self._scored = np.zeros(passages.size, bool)
        self.rarest = 1.0
        self._weight = 0.0
        self._files: _Files | None = None
        self.keys = np.zeros(0, np.int64)
        if not passages.count:
            return
        # For each length up to the longest.
        lengths = np.arange(int(passages.lengths.max()) + 1, dtype=np.float64)
        self._saturation = _saturation(lengths, passages.terms / passages.count)
        # If each file is one passage, the scores are those of the passages.
        if whole and passages.file_count < passages.count:
            self._files = _Files(passages)
        for word, times in Counter(wanted(question, passages.languages)).items():
            self._add(word, times)
        self.keys = np.flatnonzero(self._scored)
        self._above_mean = _AboveMean(self._scores[self.keys], passages.count)

    @property
    def most(self) -> float:
        """The upper bound of the score for the question with one more word, which no passage has; above 0."""
        return (K1 + 1) * (self._weight + _rarity(0, self._passages.count))

    def scores(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """The scores of some passages, 0 or more."""
        return self._scores[keys]

    def shares(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """The share of the question in some passages, by the weight of its words, 0..1."""
        shares: NDArray[np.float64] = self._shares[keys]
        return np.minimum(shares / self._weight, 1) if self._weight else shares

    def deviations(self, keys: NDArray[np.int64], file_weight: float) -> NDArray[np.float64]:
        """The scores of some passages, in standard deviations above the mean of all; 0 for those below it.

        Args:
            keys: The keys of the passages.
            file_weight: The weight of the score of the whole file, 0..1; the passage's score has the rest.
        """
        if not self._passages.count:
            return np.zeros(len(keys))
        found = self._above_mean(self._scores[keys])
        if self._files is None:
            return found
        found *= 1 - file_weight
        of_files = self._files.deviations()[self._passages.files[keys]]
        of_files *= file_weight
        # Passages that are not indexed have no file.
        of_files *= self._passages.lengths[keys] > 0
        found += of_files
        return found

    def best_of_files(self, keys: NDArray[np.int64], scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """The keys of the best passage of each file, for the best ``count`` files, best first.

        Args:
            keys: The keys of the passages to choose from, ascending.
            scores: Their scores; equal ones are ordered by key.
            count: The number of files.
        """
        wanted = _PASSAGES_A_FILE * count
        while True:
            best = _at_least(scores, wanted)
            best = best[np.argsort(-scores[best], kind="stable")]
            if self._files is None:
                return keys[best[:count]]
            _, firsts = np.unique(self._passages.files[keys[best]], return_index=True)
            if len(firsts) >= count or len(best) == len(keys):
                return keys[best[np.sort(firsts)[:count]]]
            wanted *= _PASSAGES_A_FILE

    def _add(self, word: Wanted, times: int) -> None:
        """Add the scores for a word that occurs ``times`` times in the question."""
        count = self._passages.count
        keys, counts = self._passages_with(word)
        weight = times * _rarity(len(keys), count)
        self._weight += weight
        self.rarest = min(self.rarest, len(keys) / count)
        self._score(keys, counts, times)
        held = [keys, *(self._keys(term) for term in word.part_of)]
        in_names = [found for term in word.terms if len(found := self._keys(NAME + term))]
        if in_names and len(named := np.setdiff1d(np.concatenate(in_names), keys)):
            self._score(named, np.ones(len(named)), times * _NAME_WEIGHT)
            held.append(named)
        if word.inside:
            inside, shares = self._passages_with_most(word.inside)
            whole = np.zeros(self._passages.size, bool)
            whole[keys] = True
            apart = ~whole[inside]
            self._score(inside[apart], shares[apart], times * _INSIDE_WEIGHT)
            # A passage with the complete word inside a longer one counts as containing it.
            held.append(inside[shares >= 1])
            rarity = _rarity(int(apart.sum()), count)
            partly = apart & (shares < 1)
            self._shares[inside[partly]] += times * _INSIDE_WEIGHT * rarity
        there = [one for one in held if len(one)]
        # The keys of one term are distinct.
        self._shares[there[0] if len(there) == 1 else np.unique(np.concatenate([*there, keys[:0]]))] += weight

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
        return found[0] if len(found) == 1 else _most(found)

    def _keys(self, term: str) -> NDArray[np.int64]:
        return postings.read(self._connection, term)[0]

    def _read_for(self, term: str, languages: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The keys of the passages with a term and one of these stemmers (empty for all), and its counts.

        Stemmers of different languages may give the same term for different words.
        """
        keys, counts = postings.read(self._connection, term)
        if not languages:
            return keys, counts
        chosen = np.array([one in languages for one in self._passages.languages])
        kept = chosen[self._passages.stemmers[keys]]
        return keys[kept], counts[kept]

    def _score(self, keys: NDArray[np.int64], counts: NDArray[np.float64], times: float) -> None:
        weight = times * _rarity(len(keys), self._passages.count)
        if len(keys) < _MANY * self._passages.size:
            saturation = self._saturation[self._passages.lengths[keys]]
            self._scores[keys] += weight * (K1 + 1) * counts / (counts + saturation)
            self._scored[keys] = True
        else:
            held = np.zeros(self._passages.size)
            held[keys] = counts
            self._scored |= held > 0
            total = held + self._saturation_of_all
            held *= weight * (K1 + 1)
            held /= total
            self._scores += held
        if self._files is not None:
            self._files.score(keys, counts, times)

    @cached_property
    def _saturation_of_all(self) -> NDArray[np.float64]:
        """The saturation of each passage, by key."""
        saturation: NDArray[np.float64] = self._saturation[self._passages.lengths]
        return saturation

    def _passages_with_most(self, runs: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The keys of the passages whose long words contain most of these letter runs, and the share in each."""
        found = np.concatenate([self._keys(run) for run in runs])
        keys, held = _summed(found, np.ones(len(found)), self._passages.size)
        most = held >= _INSIDE_SHARE * len(runs)
        return keys[most], held[most] / len(runs)


class _Files:
    """The BM25 scores of whole files, from the postings of their passages.

    Args:
        passages: All passages.
    """

    def __init__(self, passages: IndexedPassages) -> None:
        self._passages = passages
        self._scores = np.zeros(len(passages.file_lengths))
        self._scored = np.zeros(len(passages.file_lengths), bool)
        self._mean_length = passages.terms / passages.file_count
        self._deviations: NDArray[np.float64] | None = None

    def score(self, keys: NDArray[np.int64], counts: NDArray[np.float64], times: float) -> None:
        """Add the scores for a word with these counts in these passages."""
        there, held = _summed(self._passages.files[keys], counts, len(self._scores))
        weight = times * _rarity(len(there), self._passages.file_count)
        saturation = _saturation(self._passages.file_lengths[there].astype(np.float64), self._mean_length)
        self._scores[there] += weight * (K1 + 1) * held / (held + saturation)
        self._scored[there] = True

    def deviations(self) -> NDArray[np.float64]:
        """The score of each file, in standard deviations above the mean of all; 0 for those below it."""
        if self._deviations is None:
            self._deviations = _AboveMean(self._scores[self._scored], self._passages.file_count)(self._scores)
        return self._deviations


class _AboveMean:
    """Standard deviations above the mean of scores, most of which are 0.

    Args:
        scores: The scores that are not 0.
        count: The number of all scores.
    """

    def __init__(self, scores: NDArray[np.float64], count: int) -> None:
        self._mean = float(scores.sum()) / count
        zeros = (count - len(scores)) * self._mean**2
        self._deviation = sqrt((float(np.square(scores - self._mean).sum()) + zeros) / count)

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The standard deviations by which each score exceeds the mean; 0 below it, or if all are equal."""
        if self._deviation <= _ROUNDING:
            return np.zeros_like(scores)
        above: NDArray[np.float64] = scores - self._mean
        above /= self._deviation
        return np.maximum(above, 0, out=above)


def _rarity(holding: int, all_: int) -> float:
    """The inverse document frequency of a word in ``holding`` of all passages or files."""
    return log(1 + (all_ - holding + 0.5) / (holding + 0.5))


def _saturation(lengths: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """The count of a term at which it reaches half of its maximum score, for texts of these lengths."""
    found: NDArray[np.float64] = K1 * (1 - B + B * lengths / mean)
    return found


def _summed(
    places: NDArray[np.integer], counts: NDArray[np.float64], size: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The distinct ones of some places below ``size``, ascending, and the sum of the counts at each."""
    if len(places) * _FEW > size:
        sums = np.bincount(places, counts, size).astype(np.float64, copy=False)
        there = np.flatnonzero(sums)
        return there, sums[there]
    distinct, at = np.unique(places, return_inverse=True)
    return distinct.astype(np.intp), np.bincount(at, counts, len(distinct)).astype(np.float64, copy=False)


def _at_least(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The positions of the ``count`` greatest scores and of those equal to the least of them, ascending."""
    if len(scores) <= count or not count:
        return np.arange(min(len(scores), count))
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero(scores >= least)


def _most(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The keys of the passages with any of several terms, and the count of the most frequent one in each."""
    keys = np.concatenate([one for one, _ in found])
    times = np.concatenate([counts for _, counts in found])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.maximum.reduceat(times[order], starts)
