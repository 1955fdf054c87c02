"""Notices about an answer: what is said, apart from what an option of the command line does about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from made_up import answer, hit

from kb.cli.output.notices import notices
from kb.records import Freshness, Unmatched
from kb.records.wording import count


def test_the_message_stands_without_the_advice() -> None:
    """A conversation shows the one, the command line both."""
    notice = notices(replace(answer(hit()), below=2), "")[0]

    assert notice.message == "2 more hits are no nearer than unrelated passages"
    assert notice.advice == "--weak shows them"
    assert str(notice) == "2 more hits are no nearer than unrelated passages: --weak shows them"


def test_what_was_typed_is_no_advice() -> None:
    """A value of a filter may look like an option."""
    notice = notices(replace(answer(hit()), unmatched=(Unmatched("tag", "a; --weak b"),)), "")[0]

    assert (notice.message, notice.advice) == ("no file in the index has the tag a; --weak b", "")


def test_a_filter_without_files_is_not_explained_by_what_is_left_to_embed() -> None:
    """Filters choose among all files, embedded or not; where the filter has files, the rest is told."""
    index = Freshness(datetime.now(UTC), 0, files=42, words_only=2)
    nothing = replace(answer(), mode="hybrid", index=index)
    unmatched = replace(nothing, unmatched=(Unmatched("path", "projects/"),))

    assert [str(one) for one in notices(unmatched, "")] == ["no file in the index matches the path projects/"]
    assert any("the answer may be in the others" in str(one) for one in notices(nothing, ""))


@pytest.mark.parametrize(("number", "words"), [(0, "0 files"), (1, "1 file"), (1204, "1,204 files")])
def test_numbers_have_their_noun(number: int, words: str) -> None:
    """In the plural unless it is one."""
    assert count(number, "file") == words
