"""What every ``kb.ports.VectorCache`` keeps to: the real cache and the fake."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.embedding.cache import EmbeddingCache, LayeredCache
from kb.testing import MemoryVectorCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from kb.ports import VectorCache


def key(name: str) -> bytes:
    """The digest of a text."""
    return sha256(name.encode()).digest()


def vector(*numbers: float) -> NDArray[np.float32]:
    """A vector of these numbers."""
    return np.array(numbers, np.float32)


@pytest.fixture(params=["memory", "sqlite", "borrowing"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorCache]:
    """An empty cache of each kind."""
    if request.param == "memory":
        yield MemoryVectorCache()
        return
    real = EmbeddingCache(str(tmp_path / "embeddings.db"), 1000, pytest.fail)
    kept = LayeredCache(real, MemoryVectorCache()) if request.param == "borrowing" else real
    yield kept
    kept.close()


class TestVectorCache:
    """The contract."""

    def test_an_empty_cache_knows_nothing(self, cache: VectorCache) -> None:
        """Asking of what was never put is no error."""
        assert cache.get("model", [key("a"), key("b")]) == {}
        assert cache.get("model", []) == {}

    def test_what_was_put_comes_back_as_float32(self, cache: VectorCache) -> None:
        """By digest, whatever the order, and only what is known."""
        cache.put("model", {key("a"): vector(1, 2), key("b"): vector(3, 4)})

        found = cache.get("model", [key("x"), key("b"), key("a"), key("b")])

        assert {digest: one.tolist() for digest, one in found.items()} == {key("a"): [1, 2], key("b"): [3, 4]}
        assert {one.dtype for one in found.values()} == {np.dtype(np.float32)}

    def test_to_peek_gives_the_same(self, cache: VectorCache) -> None:
        """What is known, and nothing of what is not."""
        cache.put("model", {b"a": vector(1, 0)})

        assert list(cache.peek("model", [b"a", b"b"])) == [b"a"]
        assert cache.peek("other", [b"a"]) == {}

    def test_models_are_kept_apart(self, cache: VectorCache) -> None:
        """The same text under two models has two vectors, of two lengths even."""
        cache.put("one", {key("a"): vector(1, 2)})
        cache.put("two", {key("a"): vector(3, 4, 5)})

        assert cache.get("one", [key("a")])[key("a")].tolist() == [1, 2]
        assert cache.get("two", [key("a")])[key("a")].tolist() == [3, 4, 5]
        assert cache.get("three", [key("a")]) == {}

    def test_a_known_digest_is_left_as_it_is(self, cache: VectorCache) -> None:
        """What an index holds already stays comparable with what the cache gives."""
        cache.put("model", {key("a"): vector(1, 2)})

        cache.put("model", {key("a"): vector(9, 9), key("b"): vector(3, 4)})

        found = cache.get("model", [key("a"), key("b")])
        assert found[key("a")].tolist() == [1, 2]
        assert found[key("b")].tolist() == [3, 4]

    def test_a_vector_is_kept_by_value(self, cache: VectorCache) -> None:
        """What the caller does with its array afterwards changes nothing."""
        mine = vector(1, 2)
        cache.put("model", {key("a"): mine})

        mine[0] = 7

        assert cache.get("model", [key("a")])[key("a")].tolist() == [1, 2]

    def test_putting_nothing_is_allowed(self, cache: VectorCache) -> None:
        """A run that embedded nothing has nothing to keep."""
        cache.put("model", {})

        assert cache.get("model", [key("a")]) == {}

    def test_numbers_that_are_not_finite_are_refused(self, cache: VectorCache) -> None:
        """They would be a wrong answer for ever."""
        with pytest.raises(ValueError, match="finite"):
            cache.put("model", {key("a"): vector(1, float("nan"))})

        assert cache.get("model", [key("a")]) == {}
