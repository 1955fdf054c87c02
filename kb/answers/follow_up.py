"""Follow-up questions, resolved by the question and the files before them. Functions of values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.search.words import content_words

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a question begins with, or refers with, that is about the one before it: English, Spanish, German, French.
_BEGINS: Final = re.compile(r"(?:and|but|or|what about|how about|y|e|pero|und|aber|oder|et|mais|ou)\b", re.IGNORECASE)
_REFERS: Final = re.compile(
    r"\b(?:it|its|they|them|their|he|him|his|she|her|hers|that one|this one|those|there|then|"
    r"ellos|ellas|eso|ello|allí|er|sie|ihm|ihn|ihr|sein|seine|davon|damit|dort|dazu|il|elle|ils|elles|lui|leur|cela)\b",
    re.IGNORECASE,
)
_FEW: Final = 2
_GLOB: Final = re.compile(r"([*?\[\]\\!])")


def is_follow_up(question: str) -> bool:
    """Whether a question is about the one before: it says so, refers to something, or has hardly a word of its own."""
    return bool(
        _BEGINS.match(question.strip()) or _REFERS.search(question) or len(content_words(question).split()) < _FEW
    )


def with_words_of(question: str, before: str) -> str:
    """Return a follow-up with the content words of the question before it that it does not have."""
    have = question.casefold()
    words = [word.strip("?!.,;:") for word in content_words(before).split()]
    more = [word for word in words if word.casefold() not in have]
    return " ".join([question, *more])


def globs_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns that match files by their paths below their folders, and nothing else."""
    return tuple(dict.fromkeys("/" + _GLOB.sub(r"\\\1", path) for path in paths))
