"""The best sentences of hits, by their own cosines and the question's words, within a time limit."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.records import Candidates
from kb.search.rank import cosines
from kb.search.sentence_vectors import REMEMBERED, SentenceVectors
from kb.search.sentences import sentences
from kb.search.words import weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kb.ports import Embedder
    from kb.records import Hit, Sentence
    from kb.search.words import Words

MOST: Final = 3
# The gain of the sentence with most of the question's words over one with none: docs/retrieval.md, "Best sentences".
WORDS_GAIN: Final = 0.5
_SHORT: Final = 200


class BestSentences:
    """Finds the best sentences, with a cache of the last vectors. Threads may share it.

    Args:
        embedder: The model that embedded the passages.
        clock: Monotonic time in seconds.
        remembered: How many vectors to cache.
    """

    def __init__(
        self, embedder: Embedder, clock: Callable[[], float] = time.perf_counter, remembered: int = REMEMBERED
    ) -> None:
        self.vectors = SentenceVectors(embedder, clock, remembered)

    def of(self, hits: Sequence[Hit], question: NDArray[np.float32], words: Words, seconds: float) -> tuple[Hit, ...]:
        """Return hits with their best sentences, for as many as the time allows; the others unchanged."""
        limit = self.vectors.within(seconds)
        found = list(hits)
        for at, hit in enumerate(hits):
            units = sentences(hit.passage.text, hit.passage.file.kind)
            if not units or (len(units) <= MOST and len(hit.passage.text) <= _SHORT):
                # The passage is shown whole.
                continue
            vectors = [one for one in self.vectors.of([unit.text for unit in units], limit) if one is not None]
            if len(vectors) < len(units):
                # The next hit may be cached, or short.
                continue
            found[at] = replace(hit, best=_best(units, np.stack(vectors), question, words))
        return tuple(found)


def _best(
    units: Sequence[Sentence], vectors: NDArray[np.float32], question: NDArray[np.float32], words: Words
) -> tuple[Sentence, ...]:
    """Return the best sentences, best first; of equal ones the first in the text."""
    texts = [unit.text for unit in units]
    near = cosines(question, Candidates(tuple(texts), vectors))
    by_words = np.array(weights(texts, words))
    scores = near + WORDS_GAIN * by_words / (by_words.max() or 1.0)
    order = sorted(range(len(units)), key=lambda at: (-scores[at], at))[:MOST]
    return tuple(replace(units[at], cosine=float(near[at])) for at in order)
