"""A cache that falls back to another one without changing it."""

from __future__ import annotations

import numpy as np

from kb.embedding.cache import EmbeddingCache, LayeredCache
from kb.testing import MemoryVectorCache


def test_base_cache_is_read_and_not_written() -> None:
    """Vectors of the base are found under the same model only; new ones go into the own cache."""
    lender = MemoryVectorCache()
    lender.put("model", {b"a": np.array([1, 0], np.float32)})
    own = EmbeddingCache(":memory:", 10, print)
    cache = LayeredCache(own, lender)
    cache.put("model", {b"b": np.array([0, 1], np.float32)})

    assert set(cache.get("model", [b"a", b"b", b"c"])) == {b"a", b"b"}
    assert cache.get("other", [b"a"]) == {}
    assert lender.get("model", [b"b"]) == {}
    assert set(own.get("model", [b"a", b"b"])) == {b"b"}
    cache.close()
