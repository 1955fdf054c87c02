"""Days as people type them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.syntax import parse_day

TODAY = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-01-15", date(2026, 1, 15)),
        ("today", TODAY),
        (" Yesterday ", date(2026, 3, 30)),
        ("0d", TODAY),
        ("7d", date(2026, 3, 24)),
        ("2w", date(2026, 3, 17)),
        ("99999w", date(109, 9, 24)),
        ("1m", date(2026, 2, 28)),
        ("3m", date(2025, 12, 31)),
        ("1y", date(2025, 3, 31)),
    ],
)
def test_a_day_is_read(text: str, day: date) -> None:
    """Dates, words and spans back from today; a shorter month gives its last day."""
    assert parse_day(text, TODAY) == day


@pytest.mark.parametrize("text", ["", "soon", "7", "d", "-7d", "2026-02-30", "99999y", "99999999d", "7 d", "7x"])
def test_no_day_is_an_error(text: str) -> None:
    """What names no day of the calendar is refused, never guessed."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message is made by the caller
        parse_day(text, TODAY)


@given(st.dates(), st.dates(), st.integers(0, 40), st.sampled_from("dwmy"))
def test_spans_never_lead_forward(day: date, today: date, number: int, unit: str) -> None:
    """A date means itself on any day; a span leads back, a longer one further."""
    assert parse_day(day.isoformat(), today) == day
    if today.year > 50:
        assert parse_day(f"{number + 1}{unit}", today) < parse_day(f"{number}{unit}", today) <= today
