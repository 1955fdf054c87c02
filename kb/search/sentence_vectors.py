"""The vectors of sentences, computed within a time limit and cached for the next question."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

from kb.errors import ModelError
from kb.records.characters import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Embedder

# 16 MB for bge-m3.
REMEMBERED: Final = 4096
# The most characters of a batch, unless it is a single sentence.
_BATCH_CHARACTERS: Final = 300


class TimeLimit:
    """The time limit of one query, and whether another batch would end within it.

    Args:
        clock: Monotonic time in seconds.
        seconds: The limit, from now on.
    """

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


class SentenceVectors:
    """Embeds sentences, with a cache of the last vectors. Threads may share it.

    Args:
        embedder: The model that embedded the passages.
        clock: Monotonic time in seconds.
        remembered: How many vectors to cache.
    """

    def __init__(
        self, embedder: Embedder, clock: Callable[[], float] = time.perf_counter, remembered: int = REMEMBERED
    ) -> None:
        self._embedder = embedder
        self._clock = clock
        self._remembered = remembered
        self._vectors: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def within(self, seconds: float) -> TimeLimit:
        """Return a time limit that begins now."""
        return TimeLimit(self._clock, seconds)

    def of(self, texts: Sequence[str], limit: TimeLimit, *, at_once: bool = False) -> list[NDArray[np.float32] | None]:
        """Return the unit vector of each sentence; None for those that are neither cached nor computed in time.

        A batch is not begun if, at the speed of those before it, it would end after the time limit. Without a loaded
        model nothing is computed.

        Args:
            texts: The sentences.
            limit: The time limit.
            at_once: Whether to embed them in one batch, which takes a third less time on two cores, but cannot be
                ended within it.
        """
        shown = [seen(text) for text in texts]
        digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in shown]
        known = self._known(digests)
        lacking = {digest: text for digest, text in zip(digests, shown, strict=True) if digest not in known}
        batches = [list(lacking.items())] if at_once and lacking else _batches(lacking.items())
        for batch in batches:
            size = sum(len(text) for _, text in batch)
            if not limit.suffices(size):
                break
            try:
                vectors = self._embedder.embed_sentences([text for _, text in batch])
            except ModelError:
                # The hits are still valid without their sentences.
                break
            if vectors is None:
                break
            limit.spent(size)
            new = dict(zip((digest for digest, _ in batch), vectors, strict=True))
            known |= new
            self._keep(new)
        return [known.get(digest) for digest in digests]

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
