"""kb's own errors as sentences."""

from __future__ import annotations

import pytest

from kb.errors import KbError, reason_of


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KbError("there is no key limmit"), "there is no key limmit"),
        (KbError("the disk is full", "Free some space"), "the disk is full. Free some space"),
        (
            KbError("unknown key limmit; did you mean limit?", "Mend it"),
            "unknown key limmit; did you mean limit? Mend it",
        ),
    ],
)
def test_an_error_is_one_sentence_and_its_remedy(error: KbError, text: str) -> None:
    """As in a log, on one line; a question has its mark already."""
    assert str(error) == text


def test_why_a_file_cannot_be_read_is_in_words() -> None:
    """The message around it names the file; a number and an encoding's name help nobody."""
    assert reason_of(FileNotFoundError(2, "No such file or directory", "/a.md")) == "no such file or directory"
    assert reason_of(OSError("out of ideas")) == "out of ideas"
    assert reason_of(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")) == "it is not UTF-8"
