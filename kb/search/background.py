"""What unrelated passages look like under a model: the measure by which an answer is told from nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.search.probes import PROBES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, Nearest

SAMPLE: Final = 500
_KEPT: Final = "unrelated"
# Measured again where the index has grown or shrunk by more than this.
_GROWTH: Final = 1.5
# What the words of a question are worth beside its cosine, in standard deviations, and how many have to be there
# beyond what chance gives: see docs/retrieval.md.
_SHARE_WEIGHT: Final = 3.0
_ASKED: Final = 2.7
# How much of a question's words, by their weight, answers it whatever the cosine: all of them (sums of floating point
# numbers come out a little apart), or most where the words are what is asked for.
ALL_WORDS: Final = 0.999
MOST_WORDS: Final = 0.7
# A word in more passages than this says no more of a question than those that every question has.
COMMON: Final = 0.5
# Of fewer passages the best is no measure, and so short a list is better shown than held back.
FEW: Final = 32


@dataclass(frozen=True, slots=True)
class Unrelated:
    """The cosines of questions with passages that do not answer them: mean and standard deviation.

    ``passages`` is how many the index had when they were measured, ``fingerprint`` the model's.
    """

    mean: float
    deviation: float
    passages: int
    fingerprint: str

    def evidence(self, cosine: float, share: float, passages: int) -> float:
        """How far a hit is above what the best of so many unrelated passages would have; 0 or more is an answer.

        Args:
            cosine: Of the hit with the question.
            share: How much of the question's words the hit holds, 0..1.
            passages: How many passages were asked. The best of n values of a normal distribution lies about
                sqrt(2 ln n) standard deviations above its mean (Leadbetter, Lindgren and Rootzén, "Extremes and
                Related Properties of Random Sequences and Processes", 1983, theorem 1.5.3).
        """
        if self.deviation <= 0:
            return 0.0
        expected = sqrt(2 * log(max(passages, 1)))
        return (cosine - self.mean) / self.deviation - expected + _SHARE_WEIGHT * share - _ASKED


class Background:
    """Passages taken at random, and what they have to do with questions about something else.

    Args:
        embedder: The model.
        catalog: Keeps what was measured.
    """

    def __init__(self, embedder: Embedder, catalog: Catalog) -> None:
        self._embedder = embedder
        self._catalog = catalog
        self._sample: tuple[int, NDArray[np.float64]] | None = None
        self._unrelated: Unrelated | None = None

    def cosines(self, index: Nearest, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """The cosines of a question with passages from all over the index."""
        return self._vectors(index) @ vector.astype(np.float64)

    def unrelated(self, index: Nearest) -> Unrelated:
        """How near passages come to questions they do not answer: measured once, and again as the index grows."""
        passages = self._catalog.count()
        known = self._unrelated or self._kept()
        if known is None or known.fingerprint != self._embedder.fingerprint or _far(known.passages, passages):
            known = self._measured(index, passages)
            self._catalog.set_meta(_KEPT, json.dumps(asdict(known)))
        self._unrelated = known
        return known

    def _measured(self, index: Nearest, passages: int) -> Unrelated:
        probes = np.array([self._embedder.embed_query(probe) for probe in PROBES], np.float64)
        cosines = self._vectors(index) @ probes.T
        mean, deviation = (float(cosines.mean()), float(cosines.std())) if cosines.size else (0.0, 0.0)
        return Unrelated(mean, deviation, passages, self._embedder.fingerprint)

    def _kept(self) -> Unrelated | None:
        kept = self._catalog.meta(_KEPT)
        try:
            return Unrelated(**json.loads(kept)) if kept else None
        except (ValueError, TypeError):
            # Written by another version of kb: measured anew.
            return None

    def _vectors(self, index: Nearest) -> NDArray[np.float64]:
        passages = self._catalog.count()
        if self._sample is None or _far(self._sample[0], passages):
            vectors = index.vectors(self._catalog.sample(SAMPLE))
            rows = np.array(list(vectors.values()), np.float64).reshape(len(vectors), self._embedder.dimension)
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            self._sample = (passages, rows / np.where(lengths > 0, lengths, 1.0))
        return self._sample[1]


def _far(before: int, now: int) -> bool:
    """Whether an index has become so much larger or smaller that what was measured of it is no longer good."""
    return max(before, now) > _GROWTH * max(min(before, now), 1)
