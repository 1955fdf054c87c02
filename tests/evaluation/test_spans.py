"""Characters that answer: recall, precision, IoU, and where a passage stands in a file as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import KbError
from kb.evaluation.judged import Span
from kb.evaluation.measures import Offsets, measured_spans

if TYPE_CHECKING:
    from pathlib import Path

SPANS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 30)).map(
        lambda one: Span(one[0], one[1], one[1] + one[2])
    ),
    min_size=1,
    max_size=12,
)


def test_an_example() -> None:
    """Half of what answers is found, in a passage twice as long as the whole of it."""
    found = measured_spans([Span("a", 0, 40), Span("b", 0, 10)], [Span("a", 30, 50)])

    assert found["span recall@5"] == pytest.approx(10 / 20)
    assert found["span precision@5"] == pytest.approx(10 / 50)
    assert found["span IoU@5"] == pytest.approx(10 / (50 + 10))


@given(SPANS, SPANS)
def test_counted_one_by_one(retrieved: list[Span], relevant: list[Span]) -> None:
    """The measures are those of characters counted singly."""
    found = measured_spans(retrieved, relevant)

    shown = [(one.document, at) for one in retrieved[:5] for at in range(one.start, one.end)]
    wanted = {(one.document, at) for one in relevant for at in range(one.start, one.end)}
    hit = sum(one in shown for one in wanted)
    assert found["span recall@5"] == pytest.approx(hit / len(wanted))
    assert found["span precision@5"] == pytest.approx(hit / len(shown))
    assert found["span IoU@5"] == pytest.approx(hit / (len(shown) + sum(one not in shown for one in wanted)))


def test_nothing_retrieved() -> None:
    """No division by zero."""
    assert set(measured_spans([], [Span("a", 0, 1)]).values()) == {0.0}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_offsets_are_those_of_the_file_as_it_is(tmp_path: Path, newline: str, mark: str) -> None:
    """Line ends of two characters and a byte order mark count; the same words before do not confuse."""
    raw = mark + newline.join(["same words", "", "other", "same words and", "more", "end"])
    file = tmp_path / "a.md"
    file.write_text(raw, "utf-8", newline="")

    found = Offsets(file).place("a", "same words and\nmore", 4)

    assert raw[found.start : found.end] == f"same words and{newline}more"


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    """What does not stand there any more has no offsets."""
    file = tmp_path / "a.md"
    file.write_text("new\n", "utf-8")

    with pytest.raises(KbError, match="changed since"):
        Offsets(file).place("a", "old", 1)
    with pytest.raises(KbError, match="changed since"):
        Offsets(file).place("a", "new", 9)
