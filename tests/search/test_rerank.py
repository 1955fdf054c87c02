"""Reranking: the order is the reranker's, the cosines stay, and the time it may take is kept and told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from made_up import answer, hit, passage

from kb.records import ReadAs
from kb.search.rerank import reranked, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.records import Answer


@dataclass
class LongestFirst:
    """A reranker that likes long texts, and takes a second for each batch it reads."""

    name: str = "longest"
    now: float = 0.0
    loaded: int = 0
    batches: list[int] = field(default_factory=list)

    def load(self) -> None:
        """Loading takes a minute."""
        self.loaded += 1
        self.now += 60

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """The length of each text."""
        assert question == "Which?"
        self.batches.append(len(texts))
        self.now += 1
        return [float(len(text)) for text in texts]

    def clock(self) -> float:
        """The time."""
        return self.now


def lengths(*texts: int) -> Answer:
    """Hits whose texts have these lengths, in this order."""
    hits = [hit("x" * length, rank, path=f"{rank}.md", heading=()) for rank, length in enumerate(texts, 1)]
    return answer(*hits, question="Which?")


@given(st.lists(st.integers(1, 50), max_size=25), st.integers(1, 30), st.integers(1, 30), st.floats(0.1, 10))
def test_the_order_is_the_rerankers(texts: list[int], limit: int, most: int, seconds: float) -> None:
    """What was read comes first, best first, then the others as they were; nothing is lost, no cosine changes."""
    reranker, given_ = LongestFirst(), lengths(*texts)

    found = reranked(given_, reranker, limit=limit, most=most, seconds=seconds, clock=reranker.clock)

    read = sum(reranker.batches)
    assert read <= min(most, len(texts))
    expected = sorted(given_.hits[:read], key=lambda one: -len(one.passage.text)) + list(given_.hits[read:])
    assert [one.passage for one in found.hits] == [one.passage for one in expected[:limit]]
    assert [one.rank for one in found.hits] == list(range(1, min(limit, len(texts)) + 1))
    assert {one.score for one in found.hits} <= {0.75}
    assert [one.rerank is not None for one in found.hits] == [at < read for at in range(len(found.hits))]


def test_time_is_kept_and_told() -> None:
    """After three seconds no more is read; loading does not count; the first batch is always read."""
    reranker = LongestFirst()

    found = reranked(lengths(*range(1, 31)), reranker, limit=30, most=30, seconds=3, clock=reranker.clock)

    assert reranker.batches == [4, 4, 4]
    assert found.reranking
    assert (found.reranking.read, found.reranking.of, found.reranking.seconds) == (12, 30, 3.0)
    assert found.reranking.cut_off
    hasty = LongestFirst()
    assert reranked(lengths(1, 2), hasty, limit=9, most=9, seconds=1e-9, clock=hasty.clock).reranking.cut_off is False  # type: ignore[union-attr]


def test_nothing_found_loads_nothing() -> None:
    """Without hits there is nothing to read."""
    reranker = LongestFirst()

    assert reranked(lengths(), reranker, limit=9, most=9, seconds=1).hits == ()
    assert reranker.loaded == 0


def test_what_is_read_says_where_it_stands_once() -> None:
    """The heading trail stands before a text that does not begin with its own heading."""
    assert text_of(passage("Water first.", heading=("Tea", "Green"))) == "Tea > Green\nWater first."
    assert text_of(passage("## Green\n\nWater first.", heading=("Tea", "Green"))) == "Tea\n## Green\n\nWater first."
    assert text_of(passage("Water first.", heading=())) == "Water first."


def test_the_question_is_read_without_its_operators() -> None:
    """A reranker reads what was asked, and not how."""
    typed = replace(lengths(3, 5), question="-x Which? tag:y", read_as=ReadAs("Which?"))

    assert reranked(typed, LongestFirst(), limit=2, most=2, seconds=10).reranking
