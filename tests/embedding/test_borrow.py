"""A cache that looks into another one, and leaves that one as it is."""

from __future__ import annotations

import numpy as np

from kb.embedding.cache import BorrowingCache, EmbeddingCache
from kb.testing import MemoryVectorCache


def test_vectors_of_both_are_found_and_the_lender_is_left_alone() -> None:
    """What the lender has is found under the same model only; what is new goes into the own cache."""
    lender = MemoryVectorCache()
    lender.put("model", {b"a": np.array([1, 0], np.float32)})
    own = EmbeddingCache(":memory:", 10, print)
    cache = BorrowingCache(own, lender)
    cache.put("model", {b"b": np.array([0, 1], np.float32)})

    assert set(cache.get("model", [b"a", b"b", b"c"])) == {b"a", b"b"}
    assert cache.get("other", [b"a"]) == {}
    assert lender.get("model", [b"b"]) == {}
    assert set(own.get("model", [b"a", b"b"])) == {b"b"}
    cache.close()
