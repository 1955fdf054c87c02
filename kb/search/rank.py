"""The order of hits: fusion of cosine and BM25, near duplicates, ties. Functions of values."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records.characters import SPACELESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from kb.records import Candidates, StoredPassage

# Fusion of cosine and BM25. Each score says how unlikely it is that a passage is unrelated to the question; the
# evidence of both is added, as in R. A. Fisher's combination of independent tests, which sums the logarithms of the
# tail probabilities. Cosines of unrelated passages are normally distributed, with a tail that falls with the square of
# the distance from the mean; the tail of BM25 scores is exponential and falls with the distance itself. A score that
# separates nothing for this question, as the cosine of a model that does not know its language, adds next to nothing,
# without a setting to choose.
#
# Both scores of a passage are combined with those of its whole file, since a short section may lack what the rest of
# its file says: the cosine with that of the centroid of the file's passages, the BM25 score with that of the file as
# one text.

KEYWORD_WEIGHT: Final = 2.0
"""The weight of the words against the cosines; found by measurement, as the two below: see docs/retrieval.md."""
CENTROID_WEIGHT: Final = 0.5
"""The share of the file's centroid in a passage's cosine, 0..1; the passage's own has the rest."""
FILE_WEIGHT: Final = 0.8
"""The share of the whole file in a passage's BM25 score, 0..1; the passage's own has the rest."""
FURTHER_WEIGHT: Final = 0.9
"""What each further passage of a file keeps of its score, 0..1: the second once, the third twice."""
# Equal scores deviate by less, since their mean is rounded.
ROUNDING: Final = 1e-9


def fused(
    near: NDArray[np.float64], background: NDArray[np.float64], deviations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the evidence that each passage is related to the question, 0 or more, without an upper bound.

    Args:
        near: The cosines of the candidates with the question, combined with those of their files: ``with_centroids``.
        background: The same of passages taken at random.
        deviations: BM25 scores of the candidates, in standard deviations above the mean of all passages.
    """
    total: NDArray[np.float64] = standardised(near, background) ** 2 / 2 + KEYWORD_WEIGHT * deviations
    return total


def without_cosine(
    deviations: NDArray[np.float64], others: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the evidence of passages that have no vector yet, whose cosine is not known rather than low.

    A passage is taken to be as near as the nearest of those with a vector that have no more of the words. But its
    cosine never tells more than its words do: where these say next to nothing, what is found by its meaning is better.
    Measured on collections with half of the files waiting: see docs/retrieval.md.

    Args:
        deviations: BM25 scores of the passages, in standard deviations above the mean of all passages.
        others: The same of the candidates with a vector.
        scores: What ``fused`` gives for these.
    """
    order = np.argsort(others, kind="stable")
    by_cosine = (scores - KEYWORD_WEIGHT * others)[order]
    nearest = np.maximum.accumulate(np.concatenate([np.zeros(1), by_cosine]))
    usual = nearest[np.searchsorted(others[order], deviations, side="right")]
    by_words = KEYWORD_WEIGHT * deviations
    total: NDArray[np.float64] = by_words + np.minimum(usual, by_words)
    return total


def with_centroids(own: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted means of the cosines of passages and of their files' centroids."""
    mixed: NDArray[np.float64] = (1 - CENTROID_WEIGHT) * own + CENTROID_WEIGHT * centroids
    return mixed


def with_further(scores: NDArray[np.float64], files: Sequence[int], ids: Sequence[str]) -> NDArray[np.float64]:
    """Return scores in which the further passages of a file count less, so that one file does not fill an answer.

    All passages of a file have its part of the score, so they would come before those of the next file, whatever they
    say themselves. The best passage keeps its score, and with it the order of files stays as it was.

    Args:
        scores: The scores of passages.
        files: The file of each.
        ids: Their ids, by which equal ones of a file are ordered, so that an answer is reproducible.
    """
    of_file = np.array(files, np.int64)
    order = np.lexsort((np.array(ids, str), -scores, of_file))
    starts = np.flatnonzero(np.diff(of_file[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    found = scores.copy()
    found[order] *= FURTHER_WEIGHT**place
    return found


def standardised(scores: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many standard deviations scores are above a mean; 0 below it, and where nothing deviates.

    Args:
        scores: The scores.
        among: The scores whose mean and deviation are taken.
    """
    deviation = float(among.std()) if len(among) else 0.0
    if deviation <= ROUNDING:
        return np.zeros_like(scores)
    above: NDArray[np.float64] = np.maximum((scores - float(among.mean())) / deviation, 0)
    return above


# Near duplicates: copies of a text, and texts that hardly differ.

# The least Jaccard coefficient of the shingles of near duplicates: in 150 words, two may differ.
MIN_OVERLAP: Final = 0.9
_SHINGLE: Final = 3
# Each sign of a script without spaces is a token.
_TOKEN: Final = re.compile(rf"[^\W{SPACELESS}]+|\S")
_NUMBER: Final = re.compile(r"\d+")


class ComparableText:
    """The text of a passage as it is compared with others; computed when first needed.

    Args:
        text: The text of a passage.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The numbers in it, in their order."""
        return tuple(_NUMBER.findall(self._text))

    @cached_property
    def shingles(self) -> frozenset[tuple[str, ...]]:
        """Each three tokens in a row (Broder's shingles); all tokens as one where there are fewer."""
        tokens = _TOKEN.findall(self._text)
        if len(tokens) < _SHINGLE:
            return frozenset({tuple(tokens)})
        return frozenset(zip(*(tokens[at:] for at in range(_SHINGLE)), strict=False))

    def is_near_duplicate(self, other: ComparableText) -> bool:
        """Whether two texts are the same but for white space and a word here and there; their numbers must be equal.

        White space apart, nearly the same means a Jaccard coefficient of their shingles of at least ``MIN_OVERLAP``
        (A. Broder, On the resemblance and containment of documents, 1997). A version, a date or an amount that
        differs makes another text: it may be all that was asked for.
        """
        if self.numbers != other.numbers:
            return False
        fewer, more = sorted((self.shingles, other.shingles), key=len)
        if len(fewer) < MIN_OVERLAP * len(more):
            return False
        shared = len(fewer & more)
        return shared >= MIN_OVERLAP * (len(fewer) + len(more) - shared)


def cosines(question: NDArray[np.float32], candidates: Candidates) -> NDArray[np.float64]:
    """Return the cosine of each candidate with the question, shape (number of candidates,), in -1..1.

    Computed in double precision over the lengths as they are, so that vectors a little off unit length, as a
    half-precision model makes them, still give a cosine. Equal vectors have equal cosines, wherever they stand.
    """
    vectors = candidates.vectors.astype(np.float64)
    target = question.astype(np.float64)
    lengths = np.sqrt(np.vecdot(vectors, vectors)) * np.linalg.norm(target)
    # Not a product of matrix and vector, which adds up some rows in another order than the others.
    products = np.vecdot(vectors, target)
    found: NDArray[np.float64] = np.clip(products / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return found


def distance(cosine: float) -> float:
    """Return the Euclidean distance of two unit vectors with this cosine: sqrt(2 - 2 cos), in 0..2."""
    return float(np.sqrt(max(0.0, 2.0 - 2.0 * cosine)))


def ranked(scored: Iterable[tuple[StoredPassage, float]]) -> list[tuple[StoredPassage, float]]:
    """Return passages best first; equal scores by folder, path and line, so that an answer is reproducible."""
    return sorted(scored, key=lambda one: (-one[1], *place(one[0])))


def place(passage: StoredPassage) -> tuple[str, str, int, int]:
    """Return the sort key of a passage: folder, path, line, ordinal."""
    return (passage.file.folder, passage.file.path, passage.first_line, passage.ordinal)


def taken(
    order: Iterable[tuple[StoredPassage, float]],
    *,
    limit: int,
    per_file: int,
    there: Callable[[StoredPassage], bool],
    fold: bool = False,
) -> list[list[StoredPassage]]:
    """Return the hits to show, each a passage followed by its near duplicates that are folded under it.

    Args:
        order: Passages with their scores, best first; consumed only as far as needed.
        limit: How many at most.
        per_file: How many of one file at most; 0 for any number.
        there: Whether a passage's file still exists; called only for passages that would be shown or named.
        fold: Whether a near duplicate of an earlier hit is folded under the first such one. It counts neither as a hit
            nor towards ``per_file``. After the last hit, near duplicates of any hit are folded until one is not.
    """
    hits: list[list[StoredPassage]] = []
    texts: list[ComparableText] = []
    of_file: dict[int, int] = {}
    for passage, _ in order:
        count = of_file.get(passage.file.id, 0)
        if per_file and count >= per_file:
            continue
        text = ComparableText(passage.text)
        same = next((at for at, other in enumerate(texts) if text.is_near_duplicate(other)), None) if fold else None
        if same is None and len(hits) == limit:
            break
        if not there(passage):
            continue
        if same is not None:
            hits[same].append(passage)
            continue
        of_file[passage.file.id] = count + 1
        hits.append([passage])
        texts.append(text)
        if len(hits) == limit and not fold:
            break
    return hits
