"""The order of hits: exact cosine, ties broken by place. Functions of values."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records.characters import SPACELESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from kb.records import Candidates, StoredPassage

# How meaning and words become one order: each says how unlikely it is that a passage is unrelated; both are added.
#
# R. A. Fisher's way of combining independent tests: the logarithms of the two tail probabilities are summed. Cosines
# of unrelated passages are spread as a normal distribution, whose tail falls with the square of the distance from the
# mean; BM25 scores have the tail of an exponential one, which falls with the distance itself. So a side that tells
# nothing apart for this question, as a model that does not know its language, adds next to nothing, with no setting
# to choose.
#
# On both sides a passage stands beside its whole file: what a short section does not say, the rest of its file may.
# The file is there as the middle of its passages' vectors, and as its own BM25 score, as if it were one passage.

KEYWORD_WEIGHT: Final = 2.0
"""What the words count beside the cosines; found by measurement, as the two below: see docs/retrieval.md."""
MIDDLE: Final = 0.5
"""What the cosine of the middle of its file counts of a passage; its own has the rest."""
WHOLE: Final = 0.8
"""What the BM25 score of its whole file counts of a passage; its own has the rest."""


def fused(near: NDArray[np.float64], background: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
    """The evidence that each passage has something to do with the question, 0 or more, without an upper end.

    Args:
        near: The cosines of the candidates with the question, beside those of their files: see ``beside``.
        background: The same of passages taken at random.
        said: What the words say of the candidates, in standard deviations above what they say of all passages.
    """
    total: NDArray[np.float64] = standardised(near, background) ** 2 / 2 + KEYWORD_WEIGHT * said
    return total


def beside(own: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosines of passages and those of the middles of their files as one number each."""
    mixed: NDArray[np.float64] = (1 - MIDDLE) * own + MIDDLE * middles
    return mixed


def standardised(scores: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many standard deviations scores are above the mean of others; 0 below it, and where nothing deviates."""
    deviation = float(among.std()) if len(among) else 0.0
    if deviation <= 0:
        return np.zeros_like(scores)
    above: NDArray[np.float64] = np.maximum((scores - float(among.mean())) / deviation, 0)
    return above


# Whether two passages say the same: copies of a text, and texts that hardly differ. Functions of values.

# Of the runs of three tokens that either of two texts has, so many must be in both: in 150 words, two may differ.
LEAST_SHARED: Final = 0.9
_RUN: Final = 3
# Each sign of a script without spaces is a token.
_TOKEN: Final = re.compile(rf"[^\W{SPACELESS}]+|\S")
_NUMBER: Final = re.compile(r"\d+")


class Wording:
    """A text as it is compared with others; what that needs is worked out when it is needed.

    Args:
        text: The text of a passage.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Its numbers, in their order."""
        return tuple(_NUMBER.findall(self._text))

    @cached_property
    def runs(self) -> frozenset[tuple[str, ...]]:
        """Each three tokens in a row (Broder's shingles), all of them together where there are fewer."""
        tokens = _TOKEN.findall(self._text)
        if len(tokens) < _RUN:
            return frozenset({tuple(tokens)})
        return frozenset(zip(*(tokens[at:] for at in range(_RUN)), strict=False))

    def like(self, other: Wording) -> bool:
        """Whether two texts are the same but for white space and a word here and there; their numbers must be equal.

        White space apart, nearly the same means a Jaccard coefficient of their runs of at least ``LEAST_SHARED``
        (A. Broder, On the resemblance and containment of documents, 1997). A version, a date or an amount that
        differs makes another text: it may be all that was asked for.
        """
        if self.numbers != other.numbers:
            return False
        fewer, more = sorted((self.runs, other.runs), key=len)
        if len(fewer) < LEAST_SHARED * len(more):
            return False
        shared = len(fewer & more)
        return shared >= LEAST_SHARED * (len(fewer) + len(more) - shared)


def cosines(question: NDArray[np.float32], candidates: Candidates) -> NDArray[np.float64]:
    """The cosine of each candidate with the question, shape (number of candidates,), in -1..1.

    Computed in double precision over the lengths as they are, so that vectors a little off unit length, as a
    half-precision model makes them, still give a cosine.
    """
    vectors = candidates.vectors.astype(np.float64)
    target = question.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(target)
    found: NDArray[np.float64] = np.clip((vectors @ target) / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return found


def distance(cosine: float) -> float:
    """The Euclidean distance of two unit vectors with this cosine: sqrt(2 - 2 cos), in 0..2."""
    return float(np.sqrt(max(0.0, 2.0 - 2.0 * cosine)))


def ranked(scored: Iterable[tuple[StoredPassage, float]]) -> list[tuple[StoredPassage, float]]:
    """Best first; equal scores in the order of folder, path and line, so that the same question has one answer."""
    return sorted(scored, key=lambda one: (-one[1], *place(one[0])))


def place(passage: StoredPassage) -> tuple[str, str, int, int]:
    """Where a passage stands, as something that can be ordered."""
    return (passage.file.folder, passage.file.path, passage.first_line, passage.ordinal)


def taken(
    order: Iterable[tuple[StoredPassage, float]],
    *,
    limit: int,
    per_file: int,
    there: Callable[[StoredPassage], bool],
    fold: bool = False,
) -> list[list[StoredPassage]]:
    """The passages to show, behind each those folded under it that say the same, in the order they came.

    Args:
        order: Passages with their scores, best first; walked through only as far as needed.
        limit: How many at most.
        per_file: How many of one file at most; 0 for any number.
        there: Whether a passage's file still exists; asked only for passages that would be shown or named.
        fold: Whether a passage that says the same as one taken before goes under the first such one. It counts neither
            as a hit nor for its file. After the last hit, those like any of the hits are taken in until one is not.
    """
    hits: list[list[StoredPassage]] = []
    wordings: list[Wording] = []
    of_file: dict[int, int] = {}
    for passage, _ in order:
        count = of_file.get(passage.file.id, 0)
        if per_file and count >= per_file:
            continue
        wording = Wording(passage.text)
        same = next((at for at, other in enumerate(wordings) if wording.like(other)), None) if fold else None
        if same is None and len(hits) == limit:
            break
        if not there(passage):
            continue
        if same is not None:
            hits[same].append(passage)
            continue
        of_file[passage.file.id] = count + 1
        hits.append([passage])
        wordings.append(wording)
        if len(hits) == limit and not fold:
            break
    return hits
