"""The best sentences of hits, by their own cosines and the question's words, within a time limit."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from kb.errors import ModelError
from kb.records import Candidates
from kb.records.characters import seen
from kb.search.rank import cosines
from kb.search.sentences import BY_LINE, sentences
from kb.search.words import weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from kb.ports import Embedder
    from kb.records import Hit, Sentence
    from kb.search.words import Words

MOST: Final = 3
# The gain of the sentence with most of the question's words over one with none: docs/retrieval.md, "Best sentences".
WORDS_GAIN: Final = 0.5
_SHORT: Final = 200
# 16 MB for bge-m3.
_REMEMBERED: Final = 4096
# The most characters of a batch, unless it is a single sentence.
_BATCH_CHARACTERS: Final = 300


class BestSentences:
    """Finds the best sentences, with a cache of the last vectors. Threads may share it.

    Args:
        embedder: The model that embedded the passages.
        clock: Monotonic time in seconds.
        remembered: How many vectors to cache.
    """

    def __init__(
        self, embedder: Embedder, clock: Callable[[], float] = time.perf_counter, remembered: int = _REMEMBERED
    ) -> None:
        self._embedder = embedder
        self._clock = clock
        self._remembered = remembered
        self._vectors: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def of(self, hits: Sequence[Hit], question: NDArray[np.float32], words: Words, seconds: float) -> tuple[Hit, ...]:
        """Return hits with their best sentences, for as many as the time allows; the others unchanged.

        A batch is not begun if, at the speed of those before it, it would end after the time limit.
        """
        time_left = _Time(self._clock, seconds)
        found = list(hits)
        for at, hit in enumerate(hits):
            units = sentences(hit.passage.text, by_line=hit.passage.file.kind in BY_LINE)
            if len(units) <= MOST and len(hit.passage.text) <= _SHORT:
                # The passage is shown whole.
                continue
            vectors = self._embedded([seen(unit.text) for unit in units], time_left)
            if vectors is None:
                # The next hit may be cached, or short.
                continue
            found[at] = replace(hit, best=_best(units, vectors, question, words))
        return tuple(found)

    def _embedded(self, texts: Sequence[str], time_left: _Time) -> NDArray[np.float32] | None:
        """Return the vectors of sentences; None where there are none, or not all are computed in time."""
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        known = self._known(digests)
        lacking = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        for batch in _batches(lacking.items()):
            size = sum(len(text) for _, text in batch)
            if not time_left.suffices(size):
                break
            try:
                vectors = self._embedder.embed_sentences([text for _, text in batch])
            except ModelError:
                # The hits are still valid without their sentences.
                return None
            if vectors is None:
                return None
            time_left.spent(size)
            new = dict(zip((digest for digest, _ in batch), vectors, strict=True))
            known |= new
            self._keep(new)
        if not texts or not all(digest in known for digest in digests):
            return None
        return np.stack([known[digest] for digest in digests])

    def _known(self, digests: Iterable[bytes]) -> dict[bytes, NDArray[np.float32]]:
        with self._lock:
            known = {digest: self._vectors[digest] for digest in digests if digest in self._vectors}
            for digest in known:
                self._vectors.move_to_end(digest)
        return known

    def _keep(self, new: dict[bytes, NDArray[np.float32]]) -> None:
        with self._lock:
            self._vectors.update(new)
            while len(self._vectors) > self._remembered:
                self._vectors.popitem(last=False)


class _Time:
    """The time limit of one query, and whether another batch would end within it."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._began = clock()
        self._until = self._began + seconds
        self._embedding = 0.0
        self._characters = 0
        self._batch = self._began

    def suffices(self, characters: int) -> bool:
        """Whether the next batch may begin; the first one may while any time is left."""
        self._batch = self._clock()
        pace = self._embedding / self._characters if self._characters else 0.0
        return self._batch < self._until and self._batch + characters * pace <= self._until

    def spent(self, characters: int) -> None:
        """Record that the batch has ended."""
        self._embedding += self._clock() - self._batch
        self._characters += characters


def _batches(lacking: Iterable[tuple[bytes, str]]) -> list[list[tuple[bytes, str]]]:
    """Return sentences in batches of a few hundred characters, those of similar length together."""
    groups: list[list[tuple[bytes, str]]] = []
    size = _BATCH_CHARACTERS
    for digest, text in sorted(lacking, key=lambda one: len(one[1])):
        if size + len(text) > _BATCH_CHARACTERS:
            groups.append([])
            size = 0
        groups[-1].append((digest, text))
        size += len(text)
    return groups


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
