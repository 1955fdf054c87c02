"""Remembers the vectors of past questions, so that one asked again needs no model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Embedder, VectorCache


class RememberedQuestions:
    """A model that looks a question up before it computes. Implements ``kb.ports.Embedder``.

    In the cache a question is a SHA-256 beside its vector, bounded and dropped with all the others; its words are kept
    nowhere.

    Args:
        embedder: The model.
        cache: Vectors by fingerprint and digest.
    """

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self._embedder = embedder
        self._cache = cache

    @property
    def fingerprint(self) -> str:
        """That of the model."""
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        """That of the model."""
        return self._embedder.dimension

    def embed_documents(
        self, texts: Sequence[str], tokens: Sequence[int], on_batch: Callable[[Sequence[int]], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors of documents, by the model."""
        return self._embedder.embed_documents(texts, tokens, on_batch)

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts, by the model; None where it is not in memory."""
        return self._embedder.embed_sentences(texts)

    def question_parts(self, text: str) -> int:
        """In how many parts the model reads a question."""
        return self._embedder.question_parts(text)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question."""
        name = f"question {self._embedder.fingerprint}"
        digest = hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).digest()
        known = self._cache.get(name, [digest]).get(digest)
        if known is not None:
            return known
        vector = self._embedder.embed_query(text)
        self._cache.put(name, {digest: vector})
        return vector
