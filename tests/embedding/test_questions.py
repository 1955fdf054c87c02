"""Cached vectors of questions."""

from __future__ import annotations

import numpy as np

from kb.embedding.cache import CachedQueryEmbedder
from kb.testing import FakeEmbedder, MemoryVectorCache


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


def test_broken_characters_are_no_error() -> None:
    """A terminal in another encoding may give lone surrogates."""
    CachedQueryEmbedder(FakeEmbedder(), MemoryVectorCache()).embed_query("caf\udce9")
