"""Notices about an answer: what is said, apart from what an option of the command line does about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import answer, hit

from kb.cli.output.notices import notices
from kb.records import Unmatched
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


@pytest.mark.parametrize(("number", "words"), [(0, "0 files"), (1, "1 file"), (1204, "1,204 files")])
def test_numbers_have_their_noun(number: int, words: str) -> None:
    """In the plural unless it is one."""
    assert count(number, "file") == words
