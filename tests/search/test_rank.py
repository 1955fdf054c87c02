"""Hits are ordered by exact cosine, ties by place, and taken under the limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.records import Candidates, FileStat, KnownFile, StoredPassage
from kb.search.candidates import ranks
from kb.search.rank import cosines, distance, ranked, taken

STAT = FileStat(1, 1, 1, 1, 1)


def stored(path: str, line: int = 1, file_id: int | None = None) -> StoredPassage:
    """A passage at a line of a file."""
    file = KnownFile(file_id if file_id is not None else len(path), "/f", path, STAT, b"", 0, "done")
    return StoredPassage(f"{path}:{line}", file, "text", (), line, line, None, b"", line)


def test_cosine_is_that_of_an_independent_computation() -> None:
    """The score is the dot product over the lengths, to double precision."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(50, 16)).astype(np.float32)
    question = rng.normal(size=16).astype(np.float32)

    found = cosines(question, Candidates(tuple(map(str, range(50))), vectors))

    for row, score in zip(vectors, found, strict=True):
        a, b = [float(x) for x in row], [float(x) for x in question]
        expected = math.fsum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
        assert score == pytest.approx(expected, abs=1e-12)


def test_cosine_stays_in_its_range() -> None:
    """Rounding never gives more than 1 or less than -1, and a zero vector scores 0."""
    vector = np.full(384, 1 / math.sqrt(384), dtype=np.float32)

    found = cosines(vector, Candidates(("a", "b", "c"), np.stack([vector, -vector, 0 * vector])))

    assert found.max() <= 1.0
    assert found.min() >= -1.0
    assert found[2] == 0.0


@pytest.mark.parametrize("count", [2, 3, 7, 320, 333])
def test_equal_vectors_have_equal_cosines(count: int) -> None:
    """Copies of a text are ordered by their places, which they are only if no rounding comes between them."""
    rng = np.random.default_rng(1)
    vector = rng.normal(size=384).astype(np.float32)
    for question in rng.normal(size=(10, 384)).astype(np.float32):
        alone = cosines(question, Candidates(("0",), vector[None]))

        found = cosines(question, Candidates(tuple(map(str, range(count))), np.tile(vector, (count, 1))))

        assert set(found.tolist()) == set(alone.tolist())


@given(st.floats(-1, 1))
def test_distance_is_that_of_unit_vectors(cosine: float) -> None:
    """L2 is the Euclidean distance of two unit vectors with this cosine."""
    other = (cosine, math.sqrt(1 - cosine * cosine))

    assert distance(cosine) == pytest.approx(math.dist((1.0, 0.0), other), abs=1e-7)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.sampled_from([0.1, 0.5, 0.5, 0.9]))))
def test_order_is_total(rows: list[tuple[str, int, float]]) -> None:
    """However the candidates come in, they come out in one order."""
    scored = [(stored(path, line), score) for path, line, score in rows]

    assert ranked(scored) == ranked(reversed(scored))
    assert [score for _, score in ranked(scored)] == sorted((score for _, score in scored), reverse=True)


def test_ties_are_broken_by_place() -> None:
    """Equal scores stand in the order of path and line."""
    order = ranked([(stored("b"), 0.5), (stored("a", 9), 0.5), (stored("a", 2), 0.5)])

    assert [passage.id for passage, _ in order] == ["a:2", "a:9", "b:1"]


def test_ties_between_folders_are_broken_by_their_names() -> None:
    """The same path stands in several folders."""
    two, one = (replace(stored("a"), file=replace(stored("a").file, folder=folder)) for folder in ("/two", "/one"))

    order = ranked([(two, 0.5), (replace(stored("b"), file=replace(stored("b").file, folder="/one")), 0.5), (one, 0.5)])

    assert [(passage.file.folder, passage.file.path) for passage, _ in order] == [
        ("/one", "a"),
        ("/one", "b"),
        ("/two", "a"),
    ]


def test_limits_per_file_and_presence_apply_before_the_top_is_cut() -> None:
    """A passage that is left out makes room for the next one."""
    order = [(stored("a", line, 1), 1 - line / 10) for line in range(1, 4)] + [
        (stored("b", 1, 2), 0.5),
        (stored("c", 1, 3), 0.4),
    ]

    hits = taken(order, limit=2, per_file=1, there=lambda passage: passage.file.path != "b")

    assert [passage.file.path for passage, *_ in hits] == ["a", "c"]


@given(st.dictionaries(st.text(max_size=4), st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), max_size=30))
def test_ranks_count_from_the_best_and_leave_out_what_scores_nothing(scores: dict[str, float]) -> None:
    """Equal scores are ranked in the order in which they are given."""
    order = sorted((id_ for id_, score in scores.items() if score > 0), key=scores.__getitem__, reverse=True)
    assert ranks(scores) == {id_: rank for rank, id_ in enumerate(order, 1)}
