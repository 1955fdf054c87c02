"""Cached vectors of questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kb.embedding.cache import CachedQueryEmbedder
from kb.errors import StoreError
from kb.testing import FakeEmbedder, MemoryVectorCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def test_a_question_asked_again_needs_no_model() -> None:
    """White space around it does not matter, words do, and the vector is the model's."""
    model = FakeEmbedder()
    asked = CachedQueryEmbedder(model, MemoryVectorCache())

    first, again = asked.embed_query("where is it?"), asked.embed_query(" where is it?\n")
    asked.embed_query("where is that?")

    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, FakeEmbedder().embed_query("where is it?"))
    assert model.questions == ["where is it?", "where is that?"]


def test_questions_and_documents_are_cached_separately() -> None:
    """A model may embed the same words differently as a question, and another model always does."""
    cache = MemoryVectorCache()
    model, other = FakeEmbedder(), FakeEmbedder(name="other")
    CachedQueryEmbedder(model, cache).embed_query("water")

    CachedQueryEmbedder(other, cache).embed_query("water")

    assert other.questions == ["water"]
    assert CachedQueryEmbedder(model, cache).fingerprint == model.fingerprint
    assert CachedQueryEmbedder(model, cache).dimension == model.dimension
    assert CachedQueryEmbedder(model, cache).embed_documents(["water"], [3]).shape == (1, model.dimension)


def test_vectors_are_written_together_and_at_the_latest_by_flush() -> None:
    """A question costs no write of its own; what was asked meanwhile needs no model either."""
    cache, model = MemoryVectorCache(), FakeEmbedder()
    asked = CachedQueryEmbedder(model, cache)

    def is_written(question: str) -> bool:
        later = FakeEmbedder()
        CachedQueryEmbedder(later, cache).embed_query(question)
        return not later.questions

    asked.embed_query("water")
    asked.embed_query("water")
    assert not is_written("water")
    asked.flush()
    assert is_written("water")
    for number in range(32):
        asked.embed_query(f"question {number}")
    assert is_written("question 0")
    assert is_written("question 31")
    assert len(model.questions) == 33


def test_broken_characters_are_no_error() -> None:
    """A terminal in another encoding may give lone surrogates."""
    CachedQueryEmbedder(FakeEmbedder(), MemoryVectorCache()).embed_query("caf\udce9")


def test_a_cache_that_cannot_be_written_fails_no_question() -> None:
    """It saves time and nothing else."""

    class Full(MemoryVectorCache):
        """A cache on a full disk."""

        def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:  # noqa: ARG002 - the signature is the port's
            """Fail.

            Raises:
                StoreError: Always.
            """
            raise StoreError("the disk is full")

    asked = CachedQueryEmbedder(FakeEmbedder(), Full())

    vectors = [asked.embed_query(str(number)) for number in range(40)]
    asked.flush()

    assert len(vectors) == 40
